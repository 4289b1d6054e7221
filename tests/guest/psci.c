/* PSCI 1.x (ARM DEN 0022) by HVC and by SMC. */
#include "tests/guest/tap.h"

#define VERSION	      0x84000000u
#define CPU_SUSPEND   0x84000001u
#define CPU_OFF	      0x84000002u
#define CPU_ON_32     0x84000003u
#define CPU_ON	      0xc4000003u
#define AFFINITY_INFO 0xc4000004u
#define SYSTEM_OFF    0x84000008u
#define SYSTEM_RESET  0x84000009u
#define FEATURES      0x8400000au

#define NOT_SUPPORTED	   -1
#define INVALID_PARAMETERS -2
#define ALREADY_ON	   -4
#define INVALID_ADDRESS	   -9

#define STATE_ON      0
#define STATE_OFF     1
#define STATE_PENDING 2

#define POWER_DOWN (1u << 16) /* power_state of CPU_SUSPEND: else standby */

#define LAST_VCPU 3u

static uint32_t runs[LAST_VCPU + 1];
static bool leave, fired;

/* Results are signed 32-bit values, in x0 as a whole for the 64-bit calls. */
static int32_t by_hvc(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return (int32_t)weir_call(function, a1, a2, a3, 0, 0, 0).status;
}

static int32_t by_smc(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;

	__asm__ volatile("smc #0" : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3) : : "memory");
	return (int32_t)x0;
}

typedef int32_t (*conduit)(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3);

#define FOR_CONDUITS(psci) \
	for (conduit psci = by_hvc; psci; psci = psci == by_hvc ? by_smc : (conduit)0)

TEST(version_is_1_something)
{
	FOR_CONDUITS(psci)
	{
		int32_t version = psci(VERSION, 0, 0, 0);

		CHECK_IS(version >> 16, 1);
	}
}

TEST(features_tell_what_there_is)
{
	static const uint32_t functions[] = {
		VERSION,       CPU_SUSPEND, CPU_OFF,	  CPU_ON_32, CPU_ON,
		AFFINITY_INFO, SYSTEM_OFF,  SYSTEM_RESET, FEATURES,  CPU_SUSPEND | 0x40000000u
	};

	FOR_CONDUITS(psci)
	{
		for (unsigned int i = 0; i < sizeof(functions) / sizeof(functions[0]); i++)
			CHECK_IS(psci(FEATURES, functions[i], 0, 0), 0);
		CHECK_IS(psci(FEATURES, 0x8400001f, 0, 0), NOT_SUPPORTED);
		CHECK_IS(psci(FEATURES, 0x12345678, 0, 0), NOT_SUPPORTED);
	}
}

TEST(unknown_functions_are_not_supported)
{
	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(0x8400001f, 0, 0, 0), NOT_SUPPORTED);
		CHECK_IS(psci(0xc400001f, 0, 0, 0), NOT_SUPPORTED);
		CHECK_IS(psci(0x00000000, 0, 0, 0), NOT_SUPPORTED);
	}
}

TEST(smc_serves_no_hypercall)
{
	CHECK_IS(by_smc(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0), NOT_SUPPORTED);
}

TEST(cpu_on_refuses_bad_arguments)
{
	uint64_t entry = (uint64_t)weir_region(WEIR_REGION_RAM).base + 0x80000;

	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(CPU_ON, LAST_VCPU + 1, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(CPU_ON, 0x100, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(CPU_ON, 1ull << 32, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(CPU_ON, ~0ull, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(CPU_ON, 0, entry, 0), ALREADY_ON);
		CHECK_IS(psci(CPU_ON, 1, 0x09000000, 0), INVALID_ADDRESS);
		CHECK_IS(psci(CPU_ON, 1, ~0ull & ~3ull, 0), INVALID_ADDRESS);
		CHECK_IS(psci(AFFINITY_INFO, 1, 0, 0), STATE_OFF);
	}
}

TEST(affinity_info_refuses_bad_arguments)
{
	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(AFFINITY_INFO, LAST_VCPU + 1, 0, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(AFFINITY_INFO, ~0ull, 0, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(AFFINITY_INFO, 0, 0, 0), STATE_ON);
	}
}

static void run(void *arg)
{
	uint64_t index = (uint64_t)arg;

	__atomic_fetch_add(&runs[index], 1, __ATOMIC_RELEASE);
	while (!SHARED_READ(leave))
		task_sleep(200000);
}

TEST(vcpus_turn_on_off_and_on_again)
{
	for (uint32_t round = 1; round <= 5; round++) {
		SHARED_WRITE(leave, false);
		for (uint32_t i = 1; i <= LAST_VCPU; i++)
			CHECK_IS(cpu_start(i, run, (void *)(uint64_t)i), 0);
		for (uint32_t i = 1; i <= LAST_VCPU; i++) {
			CHECK(WAIT(SHARED_READ(runs[i]) == round));
			CHECK_IS(by_hvc(AFFINITY_INFO, i, 0, 0), STATE_ON);
			CHECK_IS(cpu_start(i, run, NULL), ALREADY_ON);
		}
		SHARED_WRITE(leave, true);
		for (uint32_t i = 1; i <= LAST_VCPU; i++)
			CHECK(WAIT(by_smc(AFFINITY_INFO, i, 0, 0) == STATE_OFF));
	}
}

static void off_by_smc(void *arg)
{
	(void)arg;
	irq_save();
	by_smc(CPU_OFF, 0, 0, 0);
	__atomic_fetch_add(&runs[0], 1, __ATOMIC_RELEASE); /* never */
}

TEST(smc_turns_a_vcpu_off)
{
	CHECK_IS(cpu_start(1, off_by_smc, NULL), 0);
	CHECK(WAIT(by_hvc(AFFINITY_INFO, 1, 0, 0) == STATE_OFF));
	CHECK_IS(runs[0], 0);
}

static void set_fired(void *arg)
{
	(void)arg;
	SHARED_WRITE(fired, true);
}

/* The deadline is an interrupt; both kinds of suspension end by it, where they began. */
TEST(suspend_ends_with_an_interrupt)
{
	FOR_CONDUITS(psci)
	{
		for (uint64_t state = 0; state <= POWER_DOWN; state += POWER_DOWN) {
			uint64_t deadline = timer_now() + timer_ticks(2000000);

			SHARED_WRITE(fired, false);
			timer_set(deadline, set_fired, NULL);
			while (!SHARED_READ(fired))
				CHECK_IS(psci(CPU_SUSPEND, state, 0x40080000, 0), 0);
			CHECK(timer_now() >= deadline);
		}
	}
}

TEST(suspend_refuses_levels_above_a_cpu_and_reserved_bits)
{
	FOR_CONDUITS(psci)
	{
		for (uint32_t bit = 17; bit < 32; bit++)
			CHECK_IS(psci(CPU_SUSPEND, 1u << bit, 0, 0), INVALID_PARAMETERS);
	}
}

TESTS = {
	RUN(version_is_1_something),
	RUN(features_tell_what_there_is),
	RUN(unknown_functions_are_not_supported),
	RUN(smc_serves_no_hypercall),
	RUN(cpu_on_refuses_bad_arguments),
	RUN(affinity_info_refuses_bad_arguments),
	RUN(vcpus_turn_on_off_and_on_again),
	RUN(smc_turns_a_vcpu_off),
	RUN(suspend_ends_with_an_interrupt),
	RUN(suspend_refuses_levels_above_a_cpu_and_reserved_bits),
};
TESTS_MAIN
