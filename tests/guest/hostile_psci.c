/*
 * PSCI (ARM DEN 0022) with everything that an argument must not be; vCPUs that are turned on twice, at
 * once, by each other, in nonsense; and the last vCPU turned off, which is the end of the VM.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define CPU_SUSPEND   0x84000001u
#define CPU_OFF	      0x84000002u
#define CPU_ON	      0xc4000003u
#define AFFINITY_INFO 0xc4000004u
#define FEATURES      0x8400000au
#define SMC64	      0x40000000u

#define NOT_SUPPORTED	   -1
#define INVALID_PARAMETERS -2
#define ALREADY_ON	   -4
#define INVALID_ADDRESS	   -9

#define OTHERS	  2u
#define ROUNDS	  2000u
#define STATE_OFF 1
#define FUNCTIONS 0x100u

static uint32_t started[CPUS_MAX];
static uint32_t racers_go, raced;

static int32_t psci(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return (int32_t)weir_call(function, a1, a2, a3, 0, 0, 0).status;
}

static bool is_off(uint64_t cpu)
{
	return psci(AFFINITY_INFO, cpu, 0, 0) == STATE_OFF;
}

TEST(it_has_victims)
{
	hostile_begin();
	CHECK(hostile_victim[0] && hostile_victim[1]);
}

/* All but the two that would end the test, and CPU_OFF; by HVC and by SMC. */
TEST(functions_it_does_not_have_are_not_supported)
{
	for (uint32_t wide = 0; wide <= SMC64; wide += SMC64) {
		for (uint32_t i = 0; i < FUNCTIONS; i++) {
			uint32_t function = 0x84000000 | wide | i;

			if (psci(FEATURES, function, 0, 0) == NOT_SUPPORTED) {
				CHECK_IS(psci(function, ~0ull, ~0ull, ~0ull), NOT_SUPPORTED);
				CHECK_IS(psci(function, 0, 0, 0), NOT_SUPPORTED);
			}
		}
		CHECK_IS(psci(CPU_SUSPEND | wide, ~0ull, ~0ull, ~0ull), INVALID_PARAMETERS);
	}
}

/* MPIDRs of other VMs' vCPUs are not different from ours; so they are ours, or nobody's. */
TEST(vcpus_it_does_not_have_are_refused)
{
	uint64_t entry = (uint64_t)secondary_start;

	for (uint32_t bit = 2; bit < 64; bit++) {
		CHECK_IS(psci(CPU_ON, 1ull << bit, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(CPU_ON, 1ull << bit | 1, entry, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(AFFINITY_INFO, 1ull << bit | 1, 0, 0), INVALID_PARAMETERS);
		CHECK_IS(psci(AFFINITY_INFO, 1, 1ull << bit, 0), INVALID_PARAMETERS);
	}
	for (uint64_t i = OTHERS + 1; i < 0x10000; i += 7)
		CHECK_IS(psci(CPU_ON, i, entry, 0), INVALID_PARAMETERS);
}

TEST(entries_that_are_not_its_memory_are_refused)
{
	struct region ram = weir_region(WEIR_REGION_RAM), window = weir_region(WEIR_REGION_WINDOW);
	uint64_t end = (uint64_t)ram.base + ram.bytes;
	const uint64_t entries[] = { 0,
				     4,
				     0x08000000,
				     0x09000000,
				     0x0e000000,
				     (uint64_t)window.base,
				     (uint64_t)ram.base - 4,
				     end,
				     end - 2,
				     end + 4,
				     1ull << 40,
				     1ull << 63,
				     ~0ull,
				     ~0ull & ~3ull,
				     (uint64_t)ram.base + 1,
				     (uint64_t)ram.base + 2,
				     (uint64_t)ram.base + (1ull << 32) };

	for (uint32_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
		for (uint64_t cpu = 1; cpu <= OTHERS; cpu++)
			CHECK_IS(psci(CPU_ON, cpu, entries[i], 0), INVALID_ADDRESS);
	for (uint64_t cpu = 1; cpu <= OTHERS; cpu++)
		CHECK(is_off(cpu));
	/* One that is on, whatever the entry. */
	CHECK(psci(CPU_ON, 0, (uint64_t)secondary_start, 0) == ALREADY_ON);
}

static void note_start(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&started[cpu_index()], 1, __ATOMIC_RELEASE);
}

/* Two vCPUs turn on the third at once: one of them does it, as often as it was off. */
static void race(void *arg)
{
	(void)arg;
	while (!SHARED_READ(racers_go))
		__asm__ volatile("yield");
	for (uint32_t i = 0; i < ROUNDS; i++)
		if (cpu_start(2, note_start, NULL) == 0)
			__atomic_fetch_add(&raced, 1, __ATOMIC_RELEASE);
}

TEST(a_vcpu_is_turned_on_once_by_many)
{
	CHECK_IS(cpu_start(1, race, NULL), 0);
	SHARED_WRITE(racers_go, 1);
	race(NULL);
	CHECK(WAIT(is_off(1) && is_off(2)));
	CHECK(raced > 0);
	CHECK_IS(SHARED_READ(started[2]), raced);
}

/*
 * No kernel starts like this: in the middle of the shareable pool, without a stack, without vectors. It waits
 * for a word, and turns itself off.
 */
TEST(a_vcpu_starts_anywhere_in_memory)
{
	static const uint32_t program[] = {
		0xb9400001, /* ldr w1, [x0] */
		0x34ffffe1, /* cbz w1, back */
		0x52b08000, /* mov w0, #0x84000000 */
		0x321f0000, /* orr w0, w0, #2 */
		0xd4000002, /* hvc #0 */
	};
	uint32_t *code = (uint32_t *)weir_region(WEIR_REGION_POOL).base;
	uint32_t *word = code + 1024;

	memcpy(code, program, sizeof(program));
	*word = 0;
	__asm__ volatile("dc civac, %0\n\tdc civac, %1\n\tdsb sy" ::"r"(code), "r"(word)
			 : "memory");
	CHECK_IS(psci(CPU_ON, 2, (uint64_t)code, (uint64_t)word), 0);
	for (uint32_t i = 0; i < ROUNDS; i++)
		CHECK_IS(psci(CPU_ON, 2, (uint64_t)code, i), ALREADY_ON);
	CHECK(!is_off(2));
	*(volatile uint32_t *)word = 1;
	__asm__ volatile("dc civac, %0\n\tdsb sy" ::"r"(word) : "memory");
	CHECK(WAIT(is_off(2)));
}

static void off_at_once(void *arg)
{
	(void)arg;
}

TEST(a_vcpu_turns_on_and_off_without_end)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		cpu_start(1, off_at_once, NULL);
		if (i % 3 == 0)
			irq_send(1, i % 16);
	}
	CHECK(WAIT(is_off(1)));
}

TESTS = {
	RUN(it_has_victims),
	RUN(functions_it_does_not_have_are_not_supported),
	RUN(vcpus_it_does_not_have_are_refused),
	RUN(entries_that_are_not_its_memory_are_refused),
	RUN(a_vcpu_is_turned_on_once_by_many),
	RUN(a_vcpu_turns_on_and_off_without_end),
	RUN(a_vcpu_starts_anywhere_in_memory),
};

/*
 * No SYSTEM_OFF at the end, but CPU_OFF of the last vCPU that is on: nobody could ever turn one on again, so that the
 * VM is off. If it were not, the machine would never be, and the run not end.
 */
int main(void)
{
	tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0]));
	hostile_end();
	irq_save();
	psci(CPU_OFF, 0, 0, 0);
	printf("# it is still there\n");
	return 1;
}
