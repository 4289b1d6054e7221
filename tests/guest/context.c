/* System registers are a vCPU's own: they survive others of the core, with values of their own. */
#include "tests/guest/tap.h"

#define VCPUS 3u

/* Each of these EL1 reads and writes without Weir; the timer's compare value is masked (IMASK). */
#define REGISTERS(row)                                                                      \
	row(tpidr_el0) row(tpidrro_el0) row(contextidr_el1) row(cntkctl_el1) row(afsr0_el1) \
		row(afsr1_el1) row(far_el1) row(esr_el1) row(par_el1) row(csselr_el1)       \
			row(amair_el1) row(cntv_cval_el0) row(elr_el1) row(spsr_el1)

enum {
#define ROW(name) AT_##name,
	REGISTERS(ROW)
#undef ROW
		COUNT,
};

static bool started[VCPUS], finished[VCPUS], stop;
static uint64_t wrong[VCPUS]; /* a bit for each register that was */

/* Bits that are not kept read as zero: so what is written is first read back, without a switch. */
static void write_all(uint64_t seed)
{
#define ROW(name) __asm__ volatile("msr " #name ", %0" ::"r"(seed * (AT_##name + 3)));
	REGISTERS(ROW)
#undef ROW
	__asm__ volatile("isb");
}

static void read_all(uint64_t values[COUNT])
{
#define ROW(name) __asm__ volatile("mrs %0, " #name : "=r"(values[AT_##name]));
	REGISTERS(ROW)
#undef ROW
}

static void spin(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		;
}

/* A switch in the middle of writing and reading back is a switch like any other. */
static uint64_t differences(uint64_t seed, uint64_t ns)
{
	uint64_t before[COUNT], after[COUNT], flags = irq_save(), different = 0;

	__asm__ volatile("msr cntv_ctl_el0, %0" ::"r"(3ul));
	write_all(seed);
	read_all(before);
	spin(ns);
	read_all(after);
	__asm__ volatile("msr cntv_ctl_el0, xzr");
	irq_restore(flags);
	for (uint32_t i = 0; i < COUNT; i++)
		different |= (uint64_t)(before[i] != after[i]) << i;
	return different;
}

static void run(void *arg)
{
	uint64_t index = (uint64_t)arg;

	SHARED_WRITE(started[index], true);
	for (uint64_t round = 1; !SHARED_READ(stop); round++)
		wrong[index] |= differences((index << 8 | round) * 0x9e3779b97f4a7c15ull,
					    round % 5 * 1000000);
	SHARED_WRITE(finished[index], true);
}

TEST(system_registers_survive_other_vcpus_of_the_core)
{
	for (uint64_t i = 1; i < VCPUS; i++) {
		CHECK_IS(cpu_start((uint32_t)i, run, (void *)i), 0);
		CHECK(WAIT(SHARED_READ(started[i])));
	}
	for (uint64_t round = 1; round < 60; round++)
		CHECK_IS(differences(round * 0x7f4a7c159e3779b9ull, round % 7 * 1000000), 0);
	SHARED_WRITE(stop, true);
	for (uint32_t i = 1; i < VCPUS; i++) {
		CHECK(WAIT(SHARED_READ(finished[i])));
		CHECK_IS(wrong[i], 0);
	}
}

/* All in registers: whatever is lost makes the sum wrong. */
TEST(general_registers_survive_interrupts)
{
	for (uint32_t round = 0; round < 20; round++) {
		uint64_t sum = 0, end = timer_now() + timer_ticks(5000000);
		uint64_t a = 1, b = 2, c = 3, d = 5, e = 7, f = 11, g = 13, h = 17, turns = 0;

		for (; timer_now() < end; turns++)
			__asm__ volatile("add %0, %0, #1\n\tadd %1, %1, #2\n\t"
					 "add %2, %2, #3\n\tadd %3, %3, #4\n\t"
					 "add %4, %4, #5\n\tadd %5, %5, #6\n\t"
					 "add %6, %6, #7\n\tadd %7, %7, #8"
					 : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f),
					   "+r"(g), "+r"(h));
		sum = a + b + c + d + e + f + g + h;
		CHECK_IS(sum, 59 + 36 * turns);
	}
}

TESTS = {
	RUN(system_registers_survive_other_vcpus_of_the_core),
	RUN(general_registers_survive_interrupts),
};
TESTS_MAIN
