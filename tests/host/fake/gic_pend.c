/* Interrupts of devices that the hypervisor raises itself: drivers/gic.h. */
#include "fake.h"
#include "drivers/gic.h"

static u64 raised[16];

void gic_pend(u32 intid)
{
	raised[intid / 64 % ARRAY_SIZE(raised)] |= BIT(intid % 64);
}

bool fake_gic_take(u32 intid)
{
	u64 *word = &raised[intid / 64 % ARRAY_SIZE(raised)];
	bool was = *word >> intid % 64 & 1;

	*word &= ~BIT(intid % 64);
	return was;
}
