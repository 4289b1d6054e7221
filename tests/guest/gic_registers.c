/*
 * The interrupt controller's registers as a guest sees them: what is fixed, reserved or banked, what reads back, and
 * accesses of any size. All of it is so on QEMU's virt without a hypervisor, too, but for two things of its GICv2 that
 * IHI 0048 has otherwise: PPIs that software makes pending, and the distributor's gate of one group.
 */
#include "tests/guest/gic.h"

#define SPI	 SPI_FIRST
#define SPI_BIT	 (1u << SPI_FIRST % 32)
#define SGIS	 0xffffu
#define V3	 (gic_version() == 3)
#define ENABLED1 (GICD_BASE + GICD_ISENABLER + SPI_FIRST / 32 * 4)
#define FRAME(n) (GICR_BASE + (n)*0x20000ul)

static uint64_t cpu1_enabled, cpu1_priorities;
static bool cpu1_done;

static uint16_t read16(uint64_t address)
{
	return *(volatile uint16_t *)address;
}

static void write16(uint64_t address, uint16_t value)
{
	*(volatile uint16_t *)address = value;
}

static void nothing(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

TEST(what_is_reserved_reads_as_zero_and_takes_nothing)
{
	static const uint16_t reserved[] = { 0x00c, 0x010, 0x020, 0x07c, 0xe00, 0xefc };

	for (uint32_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		write32(GICD_BASE + reserved[i], ~0u);
		CHECK_IS(read32(GICD_BASE + reserved[i]), 0);
	}
	CHECK_IS(read32(GICD_BASE + (V3 ? 0xffe8 : 0xfe8)) >> 4 & 15, gic_version());
	CHECK(read32(GICD_BASE + 8)); /* IIDR */
}

TEST(control_is_what_one_security_state_has)
{
	uint32_t control = read32(GICD_BASE + GICD_CTLR);

	CHECK_IS(control & (V3 ? 0x80000050 : ~3u),
		 V3 ? 0x50 : 0); /* no write is on its way; DS, ARE */
	write32(GICD_BASE + GICD_CTLR, 0);
	CHECK_IS(read32(GICD_BASE + GICD_CTLR), V3 ? 0x50 : 0);
	write32(GICD_BASE + GICD_CTLR, control);
	CHECK_IS(read32(GICD_BASE + GICD_CTLR), control);
	write32(GICD_BASE + GICD_TYPER, 0);
	CHECK(read32(GICD_BASE + GICD_TYPER));
}

/* Enabled, priority: bytes and halfwords. */
TEST(parts_of_registers)
{
	uint64_t priority = GICD_BASE + GICD_IPRIORITYR + SPI;

	irq_handle(SPI, nothing, NULL);
	write32(priority, 0x10203040);
	CHECK_IS(read8(priority), 0x40);
	CHECK_IS(read8(priority + 3), 0x10);
	write8(priority + 1, 0xf8);
	CHECK_IS(read32(priority), 0x1020f840);
	write8(priority,
	       0x87); /* five bits at least, and if fewer than eight then the upper ones */
	CHECK_IS(read8(priority) & 0xf8, 0x80);
	if (V3) {
		write16(ENABLED1 + 2, 0xffff);
		write8(ENABLED1 + 1, 0xff);
		write64(ENABLED1, ~0ul);
		CHECK_IS(read16(ENABLED1) | read8(ENABLED1), 0);
		CHECK_IS(read32(ENABLED1), SPI_BIT);
		return;
	}
	write16(priority + 2, 0x5068);
	CHECK_IS(read16(priority + 2), 0x5068);
	write8(ENABLED1 + 1, 0x81);
	write16(ENABLED1 + 2, 0x4002);
	CHECK_IS(read32(ENABLED1), 0x40028101);
	CHECK_IS(read8(ENABLED1 + 3), 0x40);
	CHECK_IS(read16(ENABLED1), 0x8101);
	write8(ENABLED1 + 0x80 + 1, 0x80); /* ICENABLER */
	CHECK_IS(read32(ENABLED1), 0x40020101);
	write32(ENABLED1 + 0x80, ~SPI_BIT);
	CHECK_IS(read32(ENABLED1), SPI_BIT);
	CHECK_IS(read8(GICD_BASE + GICD_CTLR), 1);
}

TEST(sgis_are_edges_and_ppis_are_banked)
{
	uint64_t own = private_base();
	uint32_t priorities = read32(own + GICD_IPRIORITYR);

	CHECK_IS(read32(own + GICD_ICFGR), 0xaaaaaaaa);
	write32(own + GICD_ICFGR, 0);
	CHECK_IS(read32(own + GICD_ICFGR), 0xaaaaaaaa);
	write32(own + GICD_IPRIORITYR, 0x98a0a8b0);
	CHECK_IS(read32(own + GICD_IPRIORITYR), 0x98a0a8b0);
	write32(own + GICD_IPRIORITYR, priorities);
	if (V3) { /* not in the distributor */
		write32(GICD_BASE + GICD_ISENABLER, ~0u);
		write32(GICD_BASE + GICD_IPRIORITYR, ~0u);
		CHECK_IS(read32(GICD_BASE + GICD_ISENABLER), 0);
		CHECK_IS(read32(GICD_BASE + GICD_IPRIORITYR), 0);
		CHECK_IS(read32(GICD_BASE + GICD_ICFGR), 0);
		return;
	}
	write32(GICD_BASE + GICD_ICENABLER, SGIS);
	CHECK_IS(read32(GICD_BASE + GICD_ISENABLER) & SGIS, SGIS);
	write32(GICD_BASE + GICD_ISPENDR, SGIS);
	CHECK_IS(read32(GICD_BASE + GICD_ISPENDR) & SGIS, 0);
	write32(GICD_BASE + GICD_ITARGETSR, ~0u); /* this vCPU, and read-only */
	CHECK_IS(read32(GICD_BASE + GICD_ITARGETSR), 0x01010101);
	CHECK_IS(read32(GICD_BASE + GICD_ITARGETSR + 28), 0x01010101);
}

TEST(spis_are_routed_and_the_route_reads_back)
{
	uint64_t target = GICD_BASE + GICD_ITARGETSR + SPI,
		 route = GICD_BASE + GICD_IROUTER + 8 * SPI;

	if (!V3) {
		write32(target, 0x03020100);
		CHECK_IS(read32(target), 0x03020100);
		CHECK_IS(read8(target + 3), 3);
		write16(target, 0x0103);
		CHECK_IS(read32(target), 0x03020103);
		write32(target, 0x01010101);
		return;
	}
	write8(target, 1);
	CHECK_IS(read8(target), 0);
	CHECK_IS(read32(target), 0);
	CHECK_IS(read8(GICD_BASE + GICD_SPENDSGIR) | read32(GICD_BASE + GICD_CPENDSGIR), 0);
	write64(route, 1);
	CHECK_IS(read64(route), 1);
	write32(route, 0x100);
	CHECK_IS(read64(route), 0x100);
	CHECK_IS(read32(route + 4), 0);
	write32(route, 0);
	CHECK_IS(read64(GICD_BASE + GICD_IROUTER), 0); /* INTID 0 has none */
}

TEST(redistributors_are_one_for_each_vcpu)
{
	if (!V3)
		return;
	CHECK_IS(read64(FRAME(0) + 8) >> 32, 0);
	CHECK_IS(read64(FRAME(0) + 8) & 0xffff00, 0);
	CHECK_IS(read64(FRAME(0) + 8) & 0x10, 0);
	CHECK_IS(read64(FRAME(1) + 8) >> 32, 1);
	CHECK_IS(read32(FRAME(1) + 12), 1);
	CHECK_IS(read32(FRAME(1) + 8) & 0xffff10, 0x110);
	CHECK_IS(read32(FRAME(0) + 0x14) & 6, 0); /* WAKER: this vCPU is awake */
	CHECK_IS(read32(FRAME(0) + 0xffe8) >> 4 & 15, 3);
	CHECK_IS(read32(FRAME(0) + GICR_SGI_FRAME + 0xd00) &
			 read32(FRAME(0) + GICR_SGI_FRAME + 0xe00),
		 0);
	/* No extended PPIs, and no SPIs either. */
	irq_handle(SPI, nothing, NULL);
	CHECK(read32(ENABLED1) & SPI_BIT);
	for (uint32_t i = 1; i < 10; i++)
		CHECK_IS(read32(FRAME(0) + GICR_SGI_FRAME + GICD_ISENABLER + 4 * i), 0);
	write32(FRAME(0) + GICR_SGI_FRAME + GICD_ICENABLER + SPI / 32 * 4, ~0u);
	CHECK(read32(ENABLED1) & SPI_BIT);
	CHECK_IS(read32(FRAME(0) + GICR_SGI_FRAME + GICD_IPRIORITYR + SPI), 0);
	CHECK_IS(read32(FRAME(0) + GICR_SGI_FRAME + GICD_ICFGR + 8), 0);
}

TEST(pending_and_active_are_set_and_cleared_by_software)
{
	static const uint16_t intids[] = { 9, 22, SPI, SPI + 40 };
	uint64_t flags = irq_save();

	for (uint32_t i = V3 ? 0 : 1; i < 4; i++) {
		irq_handle(intids[i], NULL, NULL);
		for (uint32_t kind = GICD_ISPENDR; kind <= GICD_ISACTIVER; kind += 0x100) {
			set_bit(kind, intids[i]);
			CHECK(get_bit(kind, intids[i]));
			CHECK(get_bit(kind + 0x80, intids[i]));
			write32(bit_register(kind, intids[i]), 0);
			write32(bit_register(kind + 0x80, intids[i]), 0);
			CHECK(get_bit(kind, intids[i]));
			set_bit(kind + 0x80, intids[i]);
			CHECK(!get_bit(kind, intids[i]));
			CHECK(!get_bit(kind + 0x80, intids[i]));
		}
	}
	irq_restore(flags);
}

static void set_groups(bool group0, bool group1)
{
	if (!V3) { /* AckCtl: one register acknowledges both */
		write32(GICC_BASE + GICC_CTLR, group0 | group1 << 1 | 4);
		return;
	}
	__asm__ volatile("msr s3_0_c12_c12_6, %0" ::"r"((uint64_t)group0)); /* ICC_IGRPEN0 */
	__asm__ volatile("msr s3_0_c12_c12_7, %0\n\tisb" ::"r"((uint64_t)group1));
}

static uint32_t take_group0(void)
{
	uint64_t intid;

	if (!V3)
		return gic_take();
	__asm__ volatile("mrs %0, s3_0_c12_c8_0\n\tdsb sy" : "=r"(intid)::"memory"); /* ICC_IAR0 */
	return (uint32_t)intid;
}

static void end_group0(uint32_t taken)
{
	if (!V3)
		gic_end(taken);
	else /* ICC_EOIR0 */
		__asm__ volatile("msr s3_0_c12_c8_1, %0\n\tisb" ::"r"((uint64_t)taken) : "memory");
}

/*
 * More of each group than there are list registers; the distributor and the interface have a gate each. That of the
 * interface is the machine's, and QEMU's GICv2 gives what is behind a shut one to whoever reads IAR.
 */
TEST(groups_are_let_through_where_both_gates_are_open)
{
	uint32_t control = read32(GICD_BASE + GICD_CTLR);
	uint64_t groups = bit_register(GICD_IGROUPR, SPI);
	uint64_t flags = irq_save();

	__asm__ volatile("msr daifset, #1"); /* of GICv3 group 0 is FIQs */
	for (uint32_t i = 0; i < 16; i++) {
		irq_handle(SPI + i, nothing, NULL);
		set_edge(SPI + i);
		set_bit(GICD_ISPENDR, SPI + i);
	}
	write32(groups, read32(groups) | 0xffffu << SPI % 32);
	write32(groups, read32(groups) & ~(0xffu << SPI % 32));
	write32(GICD_BASE + GICD_CTLR, 0);
	set_groups(true, true);
	CHECK_IS(take_group0(), GIC_NOTHING);
	CHECK_IS(gic_take(), GIC_NOTHING);
	write32(GICD_BASE + GICD_CTLR, 2);
	if (V3) {
		set_groups(true, false);
		CHECK_IS(take_group0(), GIC_NOTHING);
	}
	set_groups(true, true);
	for (uint32_t i = 8; i < 12; i++) {
		CHECK_IS(gic_take(), SPI + i);
		gic_end(SPI + i);
	}
	write32(GICD_BASE + GICD_CTLR, 3);
	set_groups(true, !V3);
	for (uint32_t i = 0; i < 8; i++) {
		CHECK_IS(take_group0(), SPI + i);
		end_group0(SPI + i);
	}
	CHECK(!V3 || take_group0() == GIC_NOTHING);
	set_groups(true, true);
	for (uint32_t i = 12; i < 16; i++) {
		CHECK_IS(gic_take(), SPI + i);
		gic_end(SPI + i);
	}
	set_groups(!V3, V3);
	if (!V3)
		gic_two_steps(false);
	write32(groups, V3 ? ~0u : 0);
	write32(GICD_BASE + GICD_CTLR, control);
	irq_restore(flags);
}

static void look_at_own(void *arg)
{
	(void)arg;
	cpu1_enabled = read32(FRAME(1) + GICR_SGI_FRAME + GICD_ISENABLER);
	cpu1_priorities = read32(FRAME(1) + GICR_SGI_FRAME + GICD_IPRIORITYR + 28);
	SHARED_WRITE(cpu1_done, true);
}

/* GICv3's are everybody's: a kernel may set all of them up before it starts the other vCPUs. */
TEST(a_redistributor_keeps_what_it_was_given_before_its_vcpu_started)
{
	if (!V3)
		return;
	write32(FRAME(1) + GICR_SGI_FRAME + GICD_ISENABLER, 1u << 22);
	write32(FRAME(1) + GICR_SGI_FRAME + GICD_IPRIORITYR + 28, 0x20304050);
	CHECK_IS(cpu_start(1, look_at_own, NULL), 0);
	CHECK(WAIT(SHARED_READ(cpu1_done)));
	CHECK_IS(cpu1_enabled & 1u << 22, 1u << 22);
	CHECK_IS(cpu1_priorities, 0x20304050);
}

TESTS = {
	RUN(what_is_reserved_reads_as_zero_and_takes_nothing),
	RUN(control_is_what_one_security_state_has),
	RUN(parts_of_registers),
	RUN(sgis_are_edges_and_ppis_are_banked),
	RUN(spis_are_routed_and_the_route_reads_back),
	RUN(redistributors_are_one_for_each_vcpu),
	RUN(pending_and_active_are_set_and_cleared_by_software),
	RUN(groups_are_let_through_where_both_gates_are_open),
	RUN(a_redistributor_keeps_what_it_was_given_before_its_vcpu_started),
};
TESTS_MAIN
