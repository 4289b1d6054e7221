/* Interrupts that were raised towards guests. */
#include "fake.h"
#include "core/vdev/vgic.h"

#define RAISED 1024

static struct {
	const struct vcpu *vcpu;
	u32 intid;
} raised[RAISED];
static u32 count;
static bool line[1020];

void vgic_pend(struct vcpu *target, u32 intid)
{
	assert_true(count < RAISED);
	assert_non_null(target);
	raised[count].vcpu = target;
	raised[count++].intid = intid;
}

void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	(void)vm;
	assert_true(intid < ARRAY_SIZE(line));
	line[intid] = level;
}

void fake_pend_reset(void)
{
	count = 0;
	for (u32 i = 0; i < ARRAY_SIZE(line); i++)
		line[i] = false;
}

u32 fake_pend_count(const struct vcpu *vcpu, u32 intid)
{
	u32 found = 0;

	for (u32 i = 0; i < count; i++)
		found += raised[i].intid == intid && (!vcpu || raised[i].vcpu == vcpu);
	return found;
}

bool fake_line(u32 intid)
{
	return line[intid];
}
