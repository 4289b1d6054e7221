/*
 * GICv2, and GIC-400 (IHI 0048B). Interrupts stay in the group that non-secure software sees as its
 * own: with the Security Extensions IGROUPR is not ours to write (firmware put all in Group 1), and
 * without them everything is Group 0, signalled as IRQ; bit 0 of both CTLR enables it either way.
 *
 * Owns: the distributor and CPU interface frames.
 */
#include "drivers/gic_v2.h"
#include <weir/order.h>

#include "arch/arm64/cpu.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "core/base/log.h"
#include "drivers/gic_distributor.h"
#include "drivers/registers.h"

#define GICD_IIDR	 0x008
#define GICD_ITARGETSR	 0x800
#define GICD_SGIR	 0xf00
#define GICD_CPENDSGIR	 0xf10
#define GICD_PIDR2	 0xfe8 /* version in bits 7:4. IHI 0048 4.3.18 */
#define GICD_BYTES	 0x1000ul
#define GICC_CTLR	 0x0000
#define GICC_PMR	 0x0004
#define GICC_BPR	 0x0008
#define GICC_IAR	 0x000c
#define GICC_EOIR	 0x0010
#define GICC_APR	 0x00d0
#define GICC_IIDR	 0x00fc
#define GICC_DIR	 0x1000
#define GICC_BYTES	 0x2000ul
#define GICC_CTLR_ENABLE 0x1u
#define GICC_CTLR_EOI_1	 0x200u /* EOImodeNS; EOImode without the Security Extensions */
#define IAR_INTID	 0x3ffu

static void *distributor, *interface;
static u32 interrupt_count;
static u8 core_mask[MAX_PCPUS]; /* how ITARGETSR and SGIR name each core */
/* The last acknowledged SGI as read from IAR, for its source must go back with EOIR and DIR. */
static u32 acknowledged[MAX_PCPUS];

bool gic_v2_init(const struct gic_registers *registers)
{
	distributor = mmu_map_device(registers->distributor, GICD_BYTES);
	interface = mmu_map_device(registers->cpu_interface, GICC_BYTES);
	if (!gic_frame_is(distributor, GICD_PIDR2, 4, 2))
		return gic_complain("the distributor", registers->distributor);
	if (!gic_frame_is(interface, GICC_IIDR, 16, 2))
		return gic_complain("the CPU interface", registers->cpu_interface);
	register_write(distributor, GICD_CTLR, 0);
	interrupt_count = gic_distributor_count(distributor);
	gic_distributor_reset(distributor, 32, interrupt_count, 0);
	register_write(distributor, GICD_CTLR, 1);
	return true;
}

/* QEMU's does, and has product 0; GIC-400's is 2. What else says 0 only pays for it. */
bool gic_v2_loses_lines(void)
{
	return register_read(distributor, GICD_IIDR) >> 24 == 0;
}

void gic_v2_init_core(void)
{
	/* ITARGETSR0 to 7 read as the mask of the reading core; 0 on a machine with core 0 alone. */
	u32 mask = register_read(distributor, GICD_ITARGETSR);

	mask |= mask >> 16;
	mask |= mask >> 8;
	core_mask[cpu_index()] = (u8)max(mask, 1u);
	gic_distributor_reset(distributor, 0, 32, 0);
	for (u32 n = 0; n < 16 / 4; n++)
		register_write(distributor, GICD_CPENDSGIR + 4 * n, ~0u);
	register_write(distributor, GICD_ISENABLER, BIT(GIC_SGI_KICK));
	for (u32 n = 0; n < 4; n++)
		register_write(interface, GICC_APR + 4 * n, 0);
	register_write(interface, GICC_PMR, 0xff);
	register_write(interface, GICC_BPR, 0);
	register_write(interface, GICC_CTLR, GICC_CTLR_ENABLE | GICC_CTLR_EOI_1);
}

u32 gic_v2_acknowledge(void)
{
	u32 value = register_read(interface, GICC_IAR);
	u32 intid = value & IAR_INTID;

	if (intid < 16)
		acknowledged[cpu_index()] = value;
	return intid;
}

void gic_v2_drop(u32 intid)
{
	register_write(interface, GICC_EOIR, intid < 16 ? acknowledged[cpu_index()] : intid);
}

void gic_v2_deactivate(u32 intid)
{
	register_write(interface, GICC_DIR, intid < 16 ? acknowledged[cpu_index()] : intid);
}

/* By a byte, so that nobody's change of another one is undone. IHI 0048 4.3.12. */
void gic_v2_route(u32 intid, u32 core)
{
	((volatile u8 *)distributor)[GICD_ITARGETSR + intid] = core_mask[core];
}

void gic_v2_enable(u32 intid, u32 core, bool edge)
{
	if (intid >= 16)
		gic_distributor_config(distributor, intid, edge);
	if (intid >= 32)
		gic_v2_route(intid, core);
	register_write(distributor, GICD_ISENABLER + 4 * (intid / 32), (u32)BIT(intid % 32));
}

void gic_v2_kick(u32 core)
{
	/* [G1] what was left for the core, before the SGI. The other side is the exception that it is
	 * there, or the run queue's lock where interrupts are polled. */
	WEIR_ORDERED(G1, dsb ishst, dsb(ishst));
	register_write(distributor, GICD_SGIR, (u32)core_mask[core] << 16 | GIC_SGI_KICK);
}

void gic_v2_set_active(u32 intid, bool active)
{
	u32 offset = (active ? GICD_ISACTIVER : GICD_ICACTIVER) + 4 * (intid / 32);

	register_write(distributor, offset, (u32)BIT(intid % 32));
	/* The write is done when the read is: it must not overtake the guest's own deactivation. */
	register_read(distributor, offset);
}

void *gic_v2_distributor(void)
{
	return distributor;
}
