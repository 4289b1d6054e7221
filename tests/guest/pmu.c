/* The performance counters are a VM's own, also when another VM of its core uses them. */
#include "tests/guest/sysreg.h"
#include "tests/guest/tap.h"

#define ROUNDS	   30u
#define CYCLES	   (1u << 31) /* of the enable registers: the cycle counter */
#define FILTER_EL1 (1ul << 31)
#define SLEEP_NS   2000000ul

static uint32_t counters(void)
{
	return READ(pmcr_el0) >> 11 & 31;
}

/* Something that differs from VM to VM and from time to time. */
static uint64_t own(uint64_t n)
{
	return (timer_now() ^ (uint64_t)weir_here()->in) * 2654435761u + n;
}

TEST(nothing_of_another_vm_is_in_the_registers)
{
	CHECK(READ(pmcntenset_el0) == 0);
	CHECK(READ(pmintenset_el1) == 0);
	CHECK(READ(pmovsset_el0) == 0);
	CHECK(READ(pmuserenr_el0) == 0);
	CHECK(READ(pmccntr_el0) == 0);
	CHECK((READ(pmcr_el0) & 1) == 0);
	CHECK(counters() > 0);
	for (uint32_t n = 0; n < counters(); n++) {
		WRITE(pmselr_el0, n);
		CHECK(READ(pmxevcntr_el0) == 0);
		CHECK(READ(pmxevtyper_el0) == 0);
	}
}

TEST(registers_survive_another_vm_of_the_core)
{
	uint32_t values[31], count = counters();

	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint32_t user = own(round) & 0xf, enabled = (uint32_t)own(1) & ((1u << count) - 1);
		uint64_t cycles = own(2);

		WRITE(pmuserenr_el0, user);
		WRITE(pmcntenclr_el0, ~0u);
		WRITE(pmcntenset_el0, enabled);
		WRITE(pmccntr_el0, cycles);
		WRITE(pmccfiltr_el0, round % 2 ? FILTER_EL1 : 0);
		for (uint32_t n = 0; n < count; n++) {
			WRITE(pmselr_el0, n);
			WRITE(pmxevcntr_el0, values[n] = (uint32_t)own(n));
			WRITE(pmxevtyper_el0, round + n);
		}
		WRITE(pmselr_el0, round % count);
		task_sleep(SLEEP_NS);
		CHECK(READ(pmselr_el0) == round % count);
		CHECK(READ(pmuserenr_el0) == user);
		CHECK(READ(pmcntenset_el0) == enabled);
		CHECK(READ(pmccntr_el0) == cycles);
		CHECK((READ(pmccfiltr_el0) & FILTER_EL1) == (round % 2 ? FILTER_EL1 : 0));
		for (uint32_t n = 0; n < count; n++) {
			WRITE(pmselr_el0, n);
			CHECK((uint32_t)READ(pmxevcntr_el0) == values[n]);
			CHECK((READ(pmxevtyper_el0) & 0x3ff) == round + n);
		}
	}
	WRITE(pmcntenclr_el0, ~0u);
}

/* QEMU counts time as cycles, whoever runs: so what another VM takes would be seen. */
TEST(cycles_of_another_vm_are_not_counted)
{
	uint64_t since, cycles, start;

	WRITE(pmccfiltr_el0, 0);
	WRITE(pmccntr_el0, 0);
	WRITE(pmcntenset_el0, CYCLES);
	WRITE(pmcr_el0, READ(pmcr_el0) | 1);
	start = READ(pmccntr_el0);
	for (uint32_t i = 0; i < 100000; i++)
		__asm__ volatile("");
	CHECK(READ(pmccntr_el0) > start);
	since = timer_now();
	cycles = READ(pmccntr_el0);
	for (uint32_t i = 0; i < ROUNDS; i++)
		task_sleep(SLEEP_NS);
	cycles = READ(pmccntr_el0) - cycles;
	CHECK(cycles > 0);
	CHECK(cycles < timer_ns(timer_now() - since) / 2);
	WRITE(pmcr_el0, 0);
}

#define INST_RETIRED 8u
#define CALLS	     100u

#define FILTER_EL2 (1ul << 27) /* NSH: there too */

static uint32_t version(void)
{
	return READ(id_aa64dfr0_el1) >> 8 & 0xf;
}

/* What an event counter and the cycle counter count while calls are made. */
static void count_calls(uint64_t filter, uint64_t *events, uint64_t *cycles)
{
	WRITE(pmselr_el0, 0);
	WRITE(pmxevtyper_el0, INST_RETIRED | filter);
	WRITE(pmccfiltr_el0, filter);
	WRITE(pmxevcntr_el0, 0);
	WRITE(pmccntr_el0, 0);
	WRITE(pmcntenset_el0, CYCLES | 1);
	WRITE(pmcr_el0, READ(pmcr_el0) | 1);
	for (uint32_t i = 0; i < CALLS; i++)
		weir_version();
	WRITE(pmcr_el0, 0);
	*events = READ(pmxevcntr_el0);
	*cycles = READ(pmccntr_el0);
	WRITE(pmcntenclr_el0, CYCLES | 1);
	WRITE(pmccfiltr_el0, 0);
}

/* Nor is what EL2 does for this one: a call is some 80 instructions, of which a quarter is the guest's. */
TEST(instructions_of_the_hypervisor_are_not_counted)
{
	uint64_t events, cycles;

	count_calls(0, &events, &cycles);
	CHECK(events > CALLS * 2);
	CHECK(events < CALLS * 50);
	CHECK(cycles < CALLS * 50); /* time counts instructions */
}

/* Where the core can refuse that: events from version 3.1 on, cycles from 3.5. */
TEST(nor_are_they_if_it_asks_for_that)
{
	uint64_t events, cycles;

	count_calls(FILTER_EL2, &events, &cycles);
	printf("# version %u, asked for EL2: %lu events, %lu cycles\n", version(), events, cycles);
	CHECK(version() < 4 || events < CALLS * 50);
	CHECK(version() < 6 || cycles < CALLS * 50);
}

/* Only where the manifest says so: tests/guest/processor.c sees none. */
TEST(the_feature_register_tells_of_counters)
{
	CHECK(version() > 0 && version() <= 8);
}

TESTS = {
	RUN(nothing_of_another_vm_is_in_the_registers),
	RUN(registers_survive_another_vm_of_the_core),
	RUN(cycles_of_another_vm_are_not_counted),
	RUN(instructions_of_the_hypervisor_are_not_counted),
	RUN(nor_are_they_if_it_asks_for_that),
	RUN(the_feature_register_tells_of_counters),
};
TESTS_MAIN
