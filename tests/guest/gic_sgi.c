/*
 * SGIs: to any set of vCPUs, from several at once, by hand where it is about what waits. GICv2 keeps each sender's
 * apart. It is so on QEMU's virt without a hypervisor, too, where GICv2 however does not survive it that one of several
 * senders is taken back.
 */
#include "tests/guest/gic.h"

#define VCPUS	  3u
#define SGIS	  16u
#define SGI	  3u
#define V2	  (gic_version() == 2)
#define FROM(cpu) (V2 ? (cpu) << 10 : 0)

static uint32_t command
	[VCPUS]; /* a number of SGIs to send to vCPU 0, from SGI on; taken back when they are sent */
static uint32_t arrived[VCPUS];

static void count(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	__atomic_fetch_add(&arrived[cpu_index()], 1, __ATOMIC_RELEASE);
}

static void serve(void *arg)
{
	uint32_t *mine = &command[cpu_index()];

	(void)arg;
	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		irq_handle(sgi, count, NULL);
	for (;;) {
		uint32_t todo = SHARED_READ(*mine);

		for (uint32_t i = 0; i < todo; i++)
			irq_send(0, (SGI + i) % SGIS);
		if (todo)
			SHARED_WRITE(*mine, 0);
		task_sleep(100000);
	}
}

/* The caller's interrupts may be masked: the others have another core. */
static void tell(uint32_t cpu, uint32_t sgis)
{
	SHARED_WRITE(command[cpu], sgis);
	while (SHARED_READ(command[cpu]))
		__asm__ volatile("yield");
}

static uint32_t sources(void)
{
	return V2 ? read32(GICD_BASE + GICD_SPENDSGIR) >> 8 * SGI & 0xff : 0;
}

TEST(the_others_start)
{
	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		irq_handle(sgi, count, NULL);
	for (uint32_t cpu = 1; cpu < VCPUS; cpu++)
		CHECK_IS(cpu_start(cpu, serve, NULL), 0);
	tell(1, 1);
	tell(2, 1);
	CHECK(WAIT(SHARED_READ(arrived[0]) == 2));
}

/* 48 are pending on GICv2, 16 on GICv3. */
TEST(all_sgis_of_all_senders_are_taken_once_each)
{
	uint64_t flags = irq_save();
	uint32_t seen[VCPUS] = { 0 }, taken;

	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		irq_send(0, sgi);
	tell(1, SGIS);
	tell(2, SGIS);
	tell(1, SGIS);
	CHECK_IS(sources(), V2 ? 7 : 0);
	while ((taken = gic_take()) != GIC_NOTHING) {
		uint32_t cpu = taken >> 10, bit = 1u << (taken & 0x3ff);

		CHECK(cpu < VCPUS && (taken & 0x3ff) < SGIS);
		CHECK(!(seen[cpu % VCPUS] & bit));
		seen[cpu % VCPUS] |= bit;
		gic_end(taken);
	}
	CHECK_IS(seen[0], 0xffff);
	CHECK_IS(seen[1], V2 ? 0xffff : 0);
	CHECK_IS(seen[2], V2 ? 0xffff : 0);
	irq_restore(flags);
}

TEST(one_that_is_active_comes_again_when_it_is_ended)
{
	uint64_t flags = irq_save();

	tell(2, 1);
	CHECK_IS(gic_take(), FROM(2u) | SGI);
	tell(2, 1);
	tell(1, 1);
	CHECK_IS(gic_take(), GIC_NOTHING);
	CHECK_IS(sources(), V2 ? 6 : 0);
	gic_end(FROM(2u) | SGI);
	for (uint32_t i = 0, seen = 0; i < (V2 ? 2u : 1u); i++) {
		uint32_t taken = gic_take();

		CHECK_IS(taken & 0x3ff, SGI);
		CHECK(!(seen >> (taken >> 10) & 1));
		seen |= 1u << (taken >> 10);
		gic_end(taken);
	}
	CHECK_IS(gic_take(), GIC_NOTHING);
	irq_restore(flags);
}

TEST(what_waits_is_taken_back_by_sender)
{
	uint64_t flags = irq_save();

	tell(1, 1);
	tell(2, 1);
	if (V2) {
		write8(GICD_BASE + GICD_CPENDSGIR + SGI, 4);
		CHECK_IS(sources(), 2);
		write32(GICD_BASE + GICD_SPENDSGIR, 1u << 8 * SGI);
		CHECK_IS(sources(), 3);
		CHECK_IS(read8(GICD_BASE + GICD_CPENDSGIR + SGI), 3);
		write8(GICD_BASE + GICD_CPENDSGIR + SGI, 1);
		CHECK_IS(gic_take(), FROM(1u) | SGI);
		gic_end(FROM(1u) | SGI);
	} else {
		CHECK(get_bit(GICD_ISPENDR, SGI));
		set_bit(GICD_ICPENDR, SGI);
	}
	CHECK_IS(gic_take(), GIC_NOTHING);
	irq_restore(flags);
}

/* `list`: of vCPUs; `others`: instead to all but this one. */
static void send(uint32_t list, bool others)
{
	if (V2)
		write32(GICD_BASE + GICD_SGIR, list << 16 | (others ? 1u << 24 : 0) | SGI);
	else /* ICC_SGI1R */
		__asm__ volatile("msr s3_0_c12_c11_5, %0\n\tisb" ::"r"((others ? 1ul << 40 : 0) |
								       SGI << 24 | list));
}

TEST(sgis_reach_the_set_of_vcpus_that_is_named)
{
	uint32_t expected[VCPUS];

	for (uint32_t set = 0; set < 9; set++) {
		uint32_t list = set < 8 ? set : 6;

		for (uint32_t cpu = 0; cpu < VCPUS; cpu++)
			expected[cpu] = SHARED_READ(arrived[cpu]) + (list >> cpu & 1);
		send(set < 8 ? list : 0, set == 8);
		for (uint32_t cpu = 0; cpu < VCPUS; cpu++)
			CHECK(WAIT(SHARED_READ(arrived[cpu]) == expected[cpu]));
	}
	if (V2) /* to itself alone */
		write32(GICD_BASE + GICD_SGIR, 2u << 24 | SGI);
	else
		send(1, false);
	expected[0]++;
	CHECK(WAIT(SHARED_READ(arrived[0]) == expected[0]));
	task_sleep(1000000);
	for (uint32_t cpu = 0; cpu < VCPUS; cpu++)
		CHECK_IS(SHARED_READ(arrived[cpu]), expected[cpu]);
}

TESTS = {
	RUN(the_others_start),
	RUN(all_sgis_of_all_senders_are_taken_once_each),
	RUN(one_that_is_active_comes_again_when_it_is_ended),
	RUN(what_waits_is_taken_back_by_sender),
	RUN(sgis_reach_the_set_of_vcpus_that_is_named),
};
TESTS_MAIN
