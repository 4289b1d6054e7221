/*
 * What the distributors of GICv2 and GICv3 have in common (gic_distributor.h).
 *
 * Owns nothing: the frames are the drivers'.
 */
#include "drivers/gic_distributor.h"

#include "drivers/registers.h"

#define PRIORITIES 0xa0a0a0a0u /* all the same: EL2 takes no nested interrupts */

u32 gic_distributor_count(const void *distributor)
{
	return 32 * ((register_read(distributor, GICD_TYPER) & 0x1f) + 1);
}

void gic_distributor_reset(void *frame, u32 first, u32 count, u32 group)
{
	for (u32 n = first / 32; n < (count + 31) / 32; n++) {
		register_write(frame, GICD_IGROUPR + 4 * n, group);
		register_write(frame, GICD_ICENABLER + 4 * n, ~0u);
		register_write(frame, GICD_ICPENDR + 4 * n, ~0u);
		register_write(frame, GICD_ICACTIVER + 4 * n, ~0u);
	}
	for (u32 n = first / 4; n < count / 4; n++)
		register_write(frame, GICD_IPRIORITYR + 4 * n, PRIORITIES);
	for (u32 n = max(first, 32u) / 16; n < (count + 15) / 16; n++)
		register_write(frame, GICD_ICFGR + 4 * n, 0);
}

void gic_distributor_config(void *frame, u32 intid, bool edge)
{
	u32 offset = GICD_ICFGR + 4 * (intid / 16), bit = 2u << 2 * (intid % 16);
	u32 word = register_read(frame, offset) & ~bit;

	register_write(frame, offset, edge ? word | bit : word);
}
