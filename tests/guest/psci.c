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

#define MIGRATE_INFO_TYPE   0x84000006u
#define SMC64		    0x40000000u
#define SMCCC_VERSION	    0x80000000u
#define SMCCC_ARCH_FEATURES 0x80000001u

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

TEST(version_is_1_1)
{
	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(VERSION, 0, 0, 0), 0x10001);
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
		CHECK_IS(psci(FEATURES, SMCCC_VERSION, 0, 0), 0);
		/* These have no arguments of 64 bits. */
		for (uint32_t i = 0; i < 2; i++)
			CHECK_IS(psci(FEATURES, functions[2 * i] | SMC64, 0, 0), NOT_SUPPORTED);
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

/* All that PSCI 1.1 leaves to choice is not there, and says so. */
TEST(optional_functions_are_not_supported)
{
	static const uint32_t numbers[] = { 0x05, 0x07, 0x0b, 0x0c, 0x0d, 0x0e,
					    0x0f, 0x10, 0x11, 0x12, 0x13, 0x14 };

	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(MIGRATE_INFO_TYPE, 0, 0, 0), 2); /* nothing to migrate */
		for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
			for (uint32_t wide = 0; wide <= SMC64; wide += SMC64) {
				uint32_t function = VERSION | wide | numbers[i];

				CHECK_IS(psci(FEATURES, function, 0, 0), NOT_SUPPORTED);
				CHECK_IS(psci(function, 0, 0, 0), NOT_SUPPORTED);
			}
		}
		/* Nor are the others' numbers of 64 bits. */
		CHECK_IS(psci(VERSION | SMC64, 0, 0, 0), NOT_SUPPORTED);
		CHECK_IS(psci(SYSTEM_OFF | SMC64, 0, 0, 0), NOT_SUPPORTED);
		CHECK_IS(psci(SYSTEM_RESET | SMC64, 0, 0, 0), NOT_SUPPORTED);
	}
}

/* No workaround of firmware is called for a VM, no identity of the chip is told, no random numbers are made. */
TEST(smccc_tells_what_there_is)
{
	static const uint32_t none[] = { 0x80000002,			     /* SOC_ID */
					 0x80008000, 0x80007fff, 0x80003fff, /* WORKAROUND_1 to 3 */
					 0x84000050, 0x84000051, 0x84000052,
					 0x84000053, 0xc4000053, /* TRNG */
					 0xc5000020 /* PV_TIME_FEATURES */ };

	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(SMCCC_VERSION, 0, 0, 0), 0x10002);
		CHECK_IS(psci(SMCCC_ARCH_FEATURES, SMCCC_VERSION, 0, 0), 0);
		CHECK_IS(psci(SMCCC_ARCH_FEATURES, SMCCC_ARCH_FEATURES, 0, 0), 0);
		for (uint32_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
			CHECK_IS(psci(SMCCC_ARCH_FEATURES, none[i], 0, 0), NOT_SUPPORTED);
			CHECK_IS(psci(none[i], 0, 0, 0), NOT_SUPPORTED);
		}
	}
}

/* Registers x4 to x17 of a call of either kind: SMCCC 1.1 and later preserve them. */
#define CALL_KEEPS(instruction)                                                                 \
	({                                                                                      \
		register uint64_t x0 __asm__("x0") = SMCCC_VERSION;                             \
		uint64_t lost;                                                                  \
		__asm__ volatile("mov x4, #4\n\tmov x5, #5\n\tmov x6, #6\n\tmov x7, #7\n\t"     \
				 "mov x8, #8\n\tmov x9, #9\n\tmov x10, #10\n\tmov x11, #11\n\t" \
				 "mov x12, #12\n\tmov x13, #13\n\tmov x14, #14\n\t"             \
				 "mov x15, #15\n\tmov x16, #16\n\tmov x17, #17\n\t" instruction \
				 " #0\n\t"                                                      \
				 "sub x4, x4, #4\n\tsub x5, x5, #5\n\tsub x6, x6, #6\n\t"       \
				 "sub x7, x7, #7\n\tsub x8, x8, #8\n\tsub x9, x9, #9\n\t"       \
				 "sub x10, x10, #10\n\tsub x11, x11, #11\n\t"                   \
				 "sub x12, x12, #12\n\tsub x13, x13, #13\n\t"                   \
				 "sub x14, x14, #14\n\tsub x15, x15, #15\n\t"                   \
				 "sub x16, x16, #16\n\tsub x17, x17, #17\n\t"                   \
				 "orr x4, x4, x5\n\torr x6, x6, x7\n\torr x8, x8, x9\n\t"       \
				 "orr x10, x10, x11\n\torr x12, x12, x13\n\t"                   \
				 "orr x14, x14, x15\n\torr x16, x16, x17\n\t"                   \
				 "orr x4, x4, x6\n\torr x8, x8, x10\n\torr x12, x12, x14\n\t"   \
				 "orr x4, x4, x8\n\torr x12, x12, x16\n\torr %1, x4, x12"       \
				 : "+r"(x0), "=r"(lost)                                         \
				 :                                                              \
				 : "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", \
				   "x11", "x12", "x13", "x14", "x15", "x16", "x17", "memory");  \
		lost;                                                                           \
	})

TEST(calls_keep_registers)
{
	CHECK_IS(CALL_KEEPS("hvc"), 0);
	CHECK_IS(CALL_KEEPS("smc"), 0);
}

/* Of a 32-bit call the upper halves of its registers mean nothing. */
TEST(upper_halves_of_a_32_bit_call_are_not_looked_at)
{
	uint64_t entry = (uint64_t)weir_region(WEIR_REGION_RAM).base + 0x80000, high = 1ull << 32;

	CHECK_IS((int32_t)weir_call(high | VERSION, 0, 0, 0, 0, 0, 0).status, 0x10001);
	FOR_CONDUITS(psci)
	{
		CHECK_IS(psci(CPU_ON_32, high | 0, entry | high, 0), ALREADY_ON);
		CHECK_IS(psci(CPU_ON_32, high | (LAST_VCPU + 1), entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(0x84000004, high | 1, high, 0), STATE_OFF);
		CHECK_IS(psci(FEATURES, high | VERSION, 0, 0), 0);
		CHECK_IS(psci(SMCCC_ARCH_FEATURES, high | SMCCC_VERSION, 0, 0), 0);
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

/* Again and again: one that comes between the look at `fired` and the suspension would not end that. */
static void set_fired(void *arg)
{
	SHARED_WRITE(fired, true);
	timer_set(timer_now() + timer_ticks(2000000), set_fired, arg);
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
			timer_set(0, NULL, NULL);
			CHECK(timer_now() >= deadline);
		}
	}
}

static void count_sgi(uint32_t intid, void *count)
{
	(void)intid;
	++*(uint32_t *)count;
}

/* As by WFI: also if PSTATE masks it. Without it nothing would end this. */
TEST(suspend_ends_with_an_interrupt_that_is_masked)
{
	static uint32_t sgis;

	irq_handle(3, count_sgi, &sgis);
	FOR_CONDUITS(psci)
	{
		for (uint64_t state = 0; state <= POWER_DOWN; state += POWER_DOWN) {
			uint64_t flags = irq_save();
			uint32_t before = sgis;

			irq_send(0, 3);
			CHECK_IS(psci(CPU_SUSPEND, state, 0x40080000, 0), 0);
			CHECK_IS(sgis, before);
			irq_restore(flags);
			CHECK(WAIT(SHARED_READ(sgis) == before + 1));
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
	RUN(version_is_1_1),
	RUN(features_tell_what_there_is),
	RUN(unknown_functions_are_not_supported),
	RUN(optional_functions_are_not_supported),
	RUN(smccc_tells_what_there_is),
	RUN(calls_keep_registers),
	RUN(upper_halves_of_a_32_bit_call_are_not_looked_at),
	RUN(smc_serves_no_hypercall),
	RUN(cpu_on_refuses_bad_arguments),
	RUN(affinity_info_refuses_bad_arguments),
	RUN(vcpus_turn_on_off_and_on_again),
	RUN(smc_turns_a_vcpu_off),
	RUN(suspend_ends_with_an_interrupt),
	RUN(suspend_ends_with_an_interrupt_that_is_masked),
	RUN(suspend_refuses_levels_above_a_cpu_and_reserved_bits),
};
TESTS_MAIN
