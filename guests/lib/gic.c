/*
 * The interrupt controller: GICv2 (IHI 0048) or GICv3 (IHI 0069), whichever this vCPU has. All
 * interrupts have one priority; end of interrupt also deactivates (EOImode 0).
 *
 * Owns: the table of handlers, written with irq_handle before the interrupt is enabled.
 */
#include "guests/lib/runtime.h"

#define GICD_CTLR	0x0000
#define GICD_IGROUPR	0x0080
#define GICD_ISENABLER	0x0100
#define GICD_ICENABLER	0x0180
#define GICD_IPRIORITYR 0x0400
#define GICD_ITARGETSR	0x0800
#define GICD_SGIR	0x0f00
#define GICD_IROUTER	0x6000

#define GICD_CTLR_V2_ENABLE 1u
#define GICD_CTLR_V3_ENABLE (1u << 4 | 1u << 1) /* affinity routing, group 1 */
#define GICD_CTLR_RWP	    (1u << 31)

#define GICC_CTLR 0x00
#define GICC_PMR  0x04
#define GICC_IAR  0x0c
#define GICC_EOIR 0x10

#define GICR_TYPER     0x0008
#define GICR_WAKER     0x0014
#define GICR_STRIDE    0x20000
#define GICR_SGI_FRAME 0x10000 /* where SGIs and PPIs have the distributor's layout */

#define GICR_TYPER_LAST	    (1u << 4)
#define GICR_WAKER_SLEEP    (1u << 1)
#define GICR_WAKER_CHILDREN (1u << 2)
#define INTID_SPECIAL	    1020u
#define PRIORITY	    0x80
#define FIRST_SPI	    32u

struct handler {
	void (*fn)(uint32_t intid, void *arg);
	void *arg;
};

static uint32_t version;
static struct handler handlers[IRQS_MAX];

uint32_t gic_version(void)
{
	return version;
}

/* The redistributor of this vCPU is the one with its affinity. */
static uint64_t redistributor(void)
{
	uint64_t frame = GICR_BASE, mpidr, type;

	__asm__("mrs %0, mpidr_el1" : "=r"(mpidr));
	for (;; frame += GICR_STRIDE) {
		type = mmio_read64(frame + GICR_TYPER);
		if (type >> 32 == (mpidr & 0xffffff) || (type & GICR_TYPER_LAST))
			return frame;
	}
}

/* Registers of the distributor's layout that serve this INTID on this vCPU. */
static uint64_t registers_of(uint32_t intid)
{
	if (version == 3 && intid < FIRST_SPI)
		return redistributor() + GICR_SGI_FRAME;
	return GICD_BASE;
}

static void disable(uint32_t intid)
{
	mmio_write32(registers_of(intid) + GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
}

static void route_to_first_cpu(uint32_t intid)
{
	uint64_t group = GICD_BASE + GICD_IGROUPR + intid / 32 * 4;

	if (version == 2) {
		mmio_write8(GICD_BASE + GICD_ITARGETSR + intid, 1);
		return;
	}
	mmio_write32(group, mmio_read32(group) | 1u << intid % 32);
	mmio_write64(GICD_BASE + GICD_IROUTER + intid * 8, 0);
}

void irq_handle(uint32_t intid, void (*fn)(uint32_t intid, void *arg), void *arg)
{
	uint64_t registers, flags;

	if (intid >= IRQS_MAX)
		return;
	if (!fn) {
		disable(intid);
		return;
	}
	flags = irq_save();
	handlers[intid].arg = arg;
	__atomic_store_n(&handlers[intid].fn, fn, __ATOMIC_RELEASE);
	if (intid >= FIRST_SPI)
		route_to_first_cpu(intid);
	registers = registers_of(intid);
	mmio_write8(registers + GICD_IPRIORITYR + intid, PRIORITY);
	mmio_write32(registers + GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
	irq_restore(flags);
}

void irq_send(uint32_t cpu, uint32_t sgi)
{
	/* Data that the interrupt announces is to be seen by the one that takes it. */
	__asm__ volatile("dsb ishst" ::: "memory");
	if (version == 2)
		mmio_write32(GICD_BASE + GICD_SGIR, 1u << (16 + cpu) | sgi);
	else /* ICC_SGI1R_EL1, affinity 0 below 16 */
		__asm__ volatile(
			"msr s3_0_c12_c11_5, %0\n\tisb" ::"r"((uint64_t)sgi << 24 | 1ul << cpu));
}

static void dispatch(uint32_t intid)
{
	const struct handler *handler = &handlers[intid < IRQS_MAX ? intid : 0];

	if (intid < IRQS_MAX && handler->fn)
		handler->fn(intid, handler->arg);
}

static void dispatch_v2(void)
{
	uint32_t acknowledge = mmio_read32(GICC_BASE + GICC_IAR);
	uint32_t intid = acknowledge & 0x3ff;

	if (intid >= INTID_SPECIAL)
		return;
	dispatch(intid);
	mmio_write32(GICC_BASE + GICC_EOIR, acknowledge);
}

static void dispatch_v3(void)
{
	uint64_t intid;

	__asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(intid)::"memory"); /* ICC_IAR1 */
	if (intid >= INTID_SPECIAL)
		return;
	dispatch((uint32_t)intid);
	__asm__ volatile("msr s3_0_c12_c12_1, %0" ::"r"(intid) : "memory"); /* ICC_EOIR1 */
}

void irq_dispatch(void)
{
	if (version == 2)
		dispatch_v2();
	else
		dispatch_v3();
}

void gic_init(void)
{
	uint64_t features;

	__asm__("mrs %0, id_aa64pfr0_el1" : "=r"(features));
	version = (features >> 24 & 15) ? 3 : 2;
	if (version == 2) {
		mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_V2_ENABLE);
		return;
	}
	mmio_write32(GICD_BASE + GICD_CTLR, GICD_CTLR_V3_ENABLE);
	while (mmio_read32(GICD_BASE + GICD_CTLR) & GICD_CTLR_RWP)
		__asm__ volatile("yield");
}

static void cpu_init_v3(void)
{
	uint64_t frame = redistributor();

	mmio_write32(frame + GICR_WAKER, mmio_read32(frame + GICR_WAKER) & ~GICR_WAKER_SLEEP);
	while (mmio_read32(frame + GICR_WAKER) & GICR_WAKER_CHILDREN)
		__asm__ volatile("yield");
	mmio_write32(frame + GICR_SGI_FRAME + GICD_IGROUPR, 0xffffffff);

	__asm__ volatile("msr s3_0_c12_c12_5, %0\n\tisb" ::"r"(7ul)); /* ICC_SRE */
	__asm__ volatile("msr s3_0_c12_c12_4, %0" ::"r"(0ul));	      /* ICC_CTLR */
	__asm__ volatile("msr s3_0_c4_c6_0, %0" ::"r"(0xfful));	      /* ICC_PMR */
	__asm__ volatile("msr s3_0_c12_c12_7, %0\n\tisb" ::"r"(1ul)); /* ICC_IGRPEN1 */
}

void gic_cpu_init(void)
{
	if (version == 3) {
		cpu_init_v3();
		return;
	}
	mmio_write32(GICC_BASE + GICC_PMR, 0xff);
	mmio_write32(GICC_BASE + GICC_CTLR, 1);
}
