/* FP/SIMD registers are a vCPU's own, also when others of its core use theirs. */
#include "tests/guest/tap.h"

#define VCPUS  3u
#define ROUNDS 2000u

struct fp_registers {
	uint64_t q[64];
	uint64_t control, status;
};

static bool started[VCPUS], finished[VCPUS], stop;
static uint32_t wrong[VCPUS];

static void load(const struct fp_registers *from)
{
	__asm__ volatile(".arch_extension fp\n\t.arch_extension simd\n\t"
			 "ldp q0, q1, [%0, #0]\n\tldp q2, q3, [%0, #32]\n\t"
			 "ldp q4, q5, [%0, #64]\n\tldp q6, q7, [%0, #96]\n\t"
			 "ldp q8, q9, [%0, #128]\n\tldp q10, q11, [%0, #160]\n\t"
			 "ldp q12, q13, [%0, #192]\n\tldp q14, q15, [%0, #224]\n\t"
			 "ldp q16, q17, [%0, #256]\n\tldp q18, q19, [%0, #288]\n\t"
			 "ldp q20, q21, [%0, #320]\n\tldp q22, q23, [%0, #352]\n\t"
			 "ldp q24, q25, [%0, #384]\n\tldp q26, q27, [%0, #416]\n\t"
			 "ldp q28, q29, [%0, #448]\n\tldp q30, q31, [%0, #480]\n\t"
			 "msr fpcr, %1\n\tmsr fpsr, %2" ::"r"(from),
			 "r"(from->control), "r"(from->status)
			 : "memory");
}

static void store(struct fp_registers *to)
{
	__asm__ volatile(".arch_extension fp\n\t.arch_extension simd\n\t"
			 "stp q0, q1, [%2, #0]\n\tstp q2, q3, [%2, #32]\n\t"
			 "stp q4, q5, [%2, #64]\n\tstp q6, q7, [%2, #96]\n\t"
			 "stp q8, q9, [%2, #128]\n\tstp q10, q11, [%2, #160]\n\t"
			 "stp q12, q13, [%2, #192]\n\tstp q14, q15, [%2, #224]\n\t"
			 "stp q16, q17, [%2, #256]\n\tstp q18, q19, [%2, #288]\n\t"
			 "stp q20, q21, [%2, #320]\n\tstp q22, q23, [%2, #352]\n\t"
			 "stp q24, q25, [%2, #384]\n\tstp q26, q27, [%2, #416]\n\t"
			 "stp q28, q29, [%2, #448]\n\tstp q30, q31, [%2, #480]\n\t"
			 "mrs %0, fpcr\n\tmrs %1, fpsr"
			 : "=&r"(to->control), "=&r"(to->status)
			 : "r"(to)
			 : "memory");
}

/* FPCR: rounding mode in bits 23:22; FPSR: QC, bit 27. Patterns differ in every word. */
static void fill(struct fp_registers *registers, uint64_t seed)
{
	for (uint64_t i = 0; i < 64; i++)
		registers->q[i] = (seed + 1) * 0x9e3779b97f4a7c15ull + i * 0x0101010101010101ull;
	registers->control = (seed & 3) << 22;
	registers->status = (seed & 1) << 27;
}

static bool equal(const struct fp_registers *a, const struct fp_registers *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Long enough for the slice to end now and then; between load and store no code touches FP. */
static void spin(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		;
}

static void run(void *arg)
{
	uint64_t index = (uint64_t)arg;
	static struct fp_registers want[VCPUS], have[VCPUS];

	SHARED_WRITE(started[index], true);
	for (uint64_t round = 0; !SHARED_READ(stop); round++) {
		fill(&want[index], index + round * VCPUS);
		load(&want[index]);
		spin(20000 + round % 7 * 1000000);
		store(&have[index]);
		if (!equal(&want[index], &have[index]))
			SHARED_WRITE(wrong[index], wrong[index] + 1);
		if (round % 3 == 0)
			__asm__ volatile("wfi"); /* the timer, or SGI 1 of vCPU 0 */
	}
	SHARED_WRITE(finished[index], true);
}

static void nothing(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

TEST(registers_survive_other_vcpus_of_the_core)
{
	static struct fp_registers want, have;

	irq_handle(1, nothing, NULL);
	for (uint64_t i = 1; i < VCPUS; i++) {
		CHECK_IS(cpu_start((uint32_t)i, run, (void *)i), 0);
		CHECK(WAIT(SHARED_READ(started[i])));
	}
	for (uint64_t round = 0; round < 100; round++) {
		uint64_t flags = irq_save();

		fill(&want, ROUNDS + round);
		load(&want);
		spin(100000 + round % 5 * 2000000);
		store(&have);
		irq_restore(flags);
		CHECK(equal(&want, &have));
		for (uint32_t i = 1; i < VCPUS; i++)
			irq_send(i, 1);
	}
	SHARED_WRITE(stop, true);
	for (uint32_t i = 1; i < VCPUS; i++) {
		CHECK(WAIT((irq_send(i, 1), SHARED_READ(finished[i]))));
		CHECK_IS(wrong[i], 0);
	}
}

TEST(hypercalls_leave_the_registers_alone)
{
	static struct fp_registers want, have;

	for (uint64_t round = 0; round < 200; round++) {
		uint64_t flags = irq_save();

		fill(&want, round);
		load(&want);
		weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0);
		weir_call(WEIR_FN(WEIR_FN_EVENT_SEND), round, 0, 0, 0, 0, 0);
		store(&have);
		irq_restore(flags);
		CHECK(equal(&want, &have));
	}
}

TESTS = {
	RUN(registers_survive_other_vcpus_of_the_core),
	RUN(hypercalls_leave_the_registers_alone),
};
TESTS_MAIN
