/*
 * GICv3 and GICv4 in their GICv3 form (IHI 0069), affinity routing on, all interrupts in Group 1
 * non-secure. Without LPIs: nothing that EL2 owns raises them.
 *
 * Owns: the distributor and the redistributors' frames; acknowledge, drop and deactivate are in
 * gic.c.
 */
#include "drivers/gic_v3.h"

#include "arch/arm64/barrier.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "core/base/log.h"
#include "drivers/gic_distributor.h"
#include "drivers/gic_kick.h"
#include "drivers/registers.h"

/* Distributor. */
#define GICD_IROUTER	 0x6000
#define GICD_CTLR_RWP	 (1u << 31)
#define GICD_CTLR_ARE	 0x10u
#define GICD_CTLR_ENABLE 0x03u /* EnableGrp1A and EnableGrp1; EnableGrp1 and 0 if DS is set */
/* Redistributor, first frame. */
#define GICR_TYPER	  0x0008
#define GICR_WAKER	  0x0014
#define GICR_TYPER_VLPIS  (1u << 1)
#define GICR_TYPER_LAST	  (1u << 4)
#define GICR_WAKER_SLEEP  (1u << 1)
#define GICR_WAKER_ASLEEP (1u << 2)
/* Its second frame, which is like a distributor for SGIs and PPIs. */
#define GICR_IGRPMODR 0x0d00

#define FRAME	  0x10000ul
#define GIC_PIDR2 0xffe8 /* of both: version in bits 7:4. IHI 0069 12.9.22 */
/* EL2 has addresses for so many; a core whose frames lie behind stays off. */
#define REDISTRIBUTORS_MAX (32 * MIB)

#define ICC_SRE_EL2	S3_4_C12_C9_5
#define ICC_PMR_EL1	S3_0_C4_C6_0
#define ICC_BPR1_EL1	S3_0_C12_C12_3
#define ICC_CTLR_EL1	S3_0_C12_C12_4
#define ICC_AP1R0_EL1	S3_0_C12_C9_0
#define ICC_IGRPEN1_EL1 S3_0_C12_C12_7
/* The macros take the register's name as it stands, so one more expansion is needed for ours. */
#define READ(name)	   READ_SYSREG(name)
#define WRITE(name, value) WRITE_SYSREG(name, value)

#define ICC_SRE_ENABLE \
	0x7ul /* SRE, no FIQ or IRQ bypass; EL1 cannot turn it off for the next vCPU */
#define ICC_CTLR_EOI_1 0x2ul

static void *distributor, *redistributors;
static u64 redistributors_bytes;
static u32 interrupt_count;
static void *sgi_frame[MAX_PCPUS];
static u64 route[MAX_PCPUS]; /* GICD_IROUTER towards each core */
static u64 kick[MAX_PCPUS];  /* ICC_SGI1R_EL1 that kicks it */

static void wait_distributor(void)
{
	while (register_read(distributor, GICD_CTLR) & GICD_CTLR_RWP)
		cpu_relax();
}

static u32 own_affinity(void)
{
	u64 mpidr = cpu_mpidr();

	return (u32)(mpidr & 0xffffff) | (u32)(mpidr >> 32) << 24;
}

/*
 * The frame pair of the core with these affinity fields: each is 2 frames, or 4 with VLPIs. 0: there
 * is none.
 */
static void *find_redistributor(u32 affinity)
{
	char *frame = redistributors;
	u64 offset = 0;
	u32 type, whose;

	while (offset + 2 * FRAME <= redistributors_bytes) {
		if (!cpu_probe(frame + offset + GICR_TYPER, &type) ||
		    !cpu_probe(frame + offset + GICR_TYPER + 4, &whose))
			break;
		if (whose == affinity)
			return frame + offset;
		if (type & GICR_TYPER_LAST)
			break;
		offset += type & GICR_TYPER_VLPIS ? 4 * FRAME : 2 * FRAME;
	}
	return 0;
}

/*
 * The tree tells of room for many more than there are. Up to the last that is there, one after the other, which
 * is in one piece; but more than Weir has cores as a whole, by blocks, for single pages would cost tables.
 */
static void map_redistributors(pa_t base, u64 bytes)
{
	u32 type = 0;
	char *frame;

	redistributors_bytes = min(bytes, 2 * FRAME);
	frame = redistributors = mmu_map_device(base, redistributors_bytes);
	while (cpu_probe(frame + GICR_TYPER, &type) && !(type & GICR_TYPER_LAST)) {
		u64 more = type & GICR_TYPER_VLPIS ? 4 * FRAME : 2 * FRAME;

		if (redistributors_bytes + more > min(bytes, MAX_PCPUS * 4 * FRAME)) {
			redistributors_bytes = bytes;
			redistributors = mmu_map_device(base, bytes);
			return;
		}
		mmu_map_device(PA(base.raw + redistributors_bytes), more);
		redistributors_bytes += more;
		frame += more;
	}
}

bool gic_v3_init(const struct gic_registers *registers)
{
	distributor = mmu_map_device(registers->distributor, FRAME);
	map_redistributors(registers->redistributors,
			   min(registers->redistributors_bytes, REDISTRIBUTORS_MAX));
	if (!gic_frame_is(distributor, GIC_PIDR2, 4, 3))
		return gic_complain("the distributor", registers->distributor);
	if (!gic_frame_is(redistributors, GIC_PIDR2, 4, 3) || !find_redistributor(own_affinity()))
		return gic_complain("the boot core's redistributor", registers->redistributors);
	register_write(distributor, GICD_CTLR, 0);
	wait_distributor();
	/* Affinity routing first: what the other registers mean depends on it. IHI 0069 12.9.4. */
	register_write(distributor, GICD_CTLR, GICD_CTLR_ARE);
	wait_distributor();
	interrupt_count = gic_distributor_count(distributor);
	interrupt_count = min(interrupt_count, GIC_SPURIOUS);
	gic_distributor_reset(distributor, 32, interrupt_count, ~0u);
	wait_distributor();
	register_write(distributor, GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_ENABLE);
	wait_distributor();
	return true;
}

static void wake(void *redistributor)
{
	u32 waker = register_read(redistributor, GICR_WAKER);

	register_write(redistributor, GICR_WAKER, waker & ~GICR_WAKER_SLEEP);
	while (register_read(redistributor, GICR_WAKER) & GICR_WAKER_ASLEEP)
		cpu_relax();
}

/* SGIs and PPIs: Group 1, disabled but the kick, nothing pending or active. */
static void reset_private(void *frame)
{
	register_write(frame, GICR_IGRPMODR, 0);
	gic_distributor_reset(frame, 0, 32, ~0u);
	register_write(frame, GICD_ISENABLER, BIT(GIC_SGI_KICK));
}

bool gic_v3_init_core(void)
{
	u64 mpidr = cpu_mpidr();
	u32 core = cpu_index();
	char *redistributor = find_redistributor(own_affinity());

	if (!redistributor) { /* of the boot core it was found before */
		log_line(
			"tree: interrupt controller: reg: expected a redistributor of core %lx; it "
			"stays off",
			mpidr);
		return false;
	}
	/* First the system register interface, without which the other registers are undefined. */
	WRITE(ICC_SRE_EL2, ICC_SRE_ENABLE);
	isb();
	wake(redistributor);
	sgi_frame[core] = redistributor + FRAME;
	reset_private(sgi_frame[core]);
	route[core] = mpidr;
	/* IHI 0069 12.2.21: affinities 3, 2, 1, the range of 16, and a bit for affinity 0 in it. */
	kick[core] = (mpidr >> 32 & 0xff) << 48 | (mpidr >> 16 & 0xff) << 32 |
		     (mpidr >> 4 & 0xf) << 44 | (u64)GIC_SGI_KICK << 24 |
		     (mpidr >> 8 & 0xff) << 16 | BIT(mpidr & 0xf);
	WRITE(ICC_PMR_EL1, 0xff);
	WRITE(ICC_BPR1_EL1, 0);
	WRITE(ICC_AP1R0_EL1, 0);
	WRITE(ICC_CTLR_EL1, ICC_CTLR_EOI_1);
	WRITE(ICC_IGRPEN1_EL1, 1);
	isb();
	return true;
}

void gic_v3_route(u32 intid, u32 core)
{
	register_write(distributor, GICD_IROUTER + 8 * intid, (u32)route[core]);
	register_write(distributor, GICD_IROUTER + 8 * intid + 4, (u32)(route[core] >> 32));
}

void gic_v3_enable(u32 intid, u32 core, bool edge)
{
	void *frame = intid < 32 ? sgi_frame[cpu_index()] : distributor;

	if (intid >= 16)
		gic_distributor_config(frame, intid, edge);
	if (intid >= 32)
		gic_v3_route(intid, core);
	register_write(frame, GICD_ISENABLER + 4 * (intid / 32), (u32)BIT(intid % 32));
}

void gic_v3_kick(u32 core)
{
	gic_kick_by(kick[core]);
	isb();
}

u64 gic_v3_kick_word(u32 core)
{
	return kick[core];
}

void gic_v3_set_active(u32 intid, bool active)
{
	void *frame = sgi_frame[cpu_index()];
	u32 offset = active ? GICD_ISACTIVER : GICD_ICACTIVER;

	register_write(frame, offset, (u32)BIT(intid));
	/* The write is done when the read is: it must not overtake the guest's own deactivation. */
	register_read(frame, offset);
}

void *gic_v3_distributor(void)
{
	return distributor;
}
