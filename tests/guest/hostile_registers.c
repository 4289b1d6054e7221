/*
 * Every encoding of the system instruction space, read and written, from EL1; trapped and undefined instructions,
 * from EL1 and from EL0. Each ends, in what the architecture says or in an undefined exception; and after them
 * the guest works, as do its victims.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define RT_NONE 31u /* which hints must have */
#define MRS_MSR(read, op0, rest)                                                                \
	(0xd5000000u | ((op0) ? 0 : RT_NONE) | (uint32_t)(read) << 21 | (uint32_t)(op0) << 19 | \
	 (uint32_t)(rest) << 5)
#define ENCODINGS		     16384u /* op1, CRn, CRm, op2 */
#define REGISTER(op1, crn, crm, op2) ((op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

#define HVC(immediate) (0xd4000002u | (uint32_t)(immediate) << 5)
#define SMC(immediate) (0xd4000003u | (uint32_t)(immediate) << 5)
#define SVC_0	       0xd4000001u

#define EC_SVC	  0x15u
#define EC_SYSREG 0x18u
#define EC_SVE	  0x19u
#define EC_SME	  0x1du

struct counts {
	uint32_t done, refused, other;
};

/* What hostile_run's own way back needs while it has it. */
static const uint32_t needed[] = {
	REGISTER(0, 1, 0, 0),  /* SCTLR_EL1 */
	REGISTER(0, 1, 0, 3),  /* SCTLR2_EL1 */
	REGISTER(0, 2, 0, 0),  /* TTBR0_EL1 */
	REGISTER(0, 2, 0, 2),  /* TCR_EL1 */
	REGISTER(0, 2, 0, 3),  /* TCR2_EL1 */
	REGISTER(0, 10, 2, 0), /* MAIR_EL1 */
	REGISTER(0, 12, 0, 0), /* VBAR_EL1 */
	REGISTER(0, 13, 0, 4), /* TPIDR_EL1: the runtime's */
};

static struct random random = { 5 };

static bool is_needed(uint32_t op0, uint32_t rest)
{
	for (uint32_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (op0 == 3 && needed[i] == rest)
			return true;
	return false;
}

/* Instructions of op0 0 that wait: WFE, WFI, and those with a deadline. */
static bool waits(uint32_t op0, uint32_t rest)
{
	return op0 == 0 && (rest == REGISTER(3, 2, 0, 2) || rest == REGISTER(3, 2, 0, 3) ||
			    (rest & ~7u) == REGISTER(3, 1, 0, 0));
}

static bool run_saved(uint32_t slot, uint64_t value)
{
	uint64_t cpacr, cntkctl;
	bool aborted;

	__asm__ volatile("mrs %0, cpacr_el1" : "=r"(cpacr));
	__asm__ volatile("mrs %0, cntkctl_el1" : "=r"(cntkctl));
	aborted = hostile_run(slot, value, value, value);
	__asm__ volatile("msr cpacr_el1, %0" ::"r"(cpacr));
	__asm__ volatile("msr cntkctl_el1, %0" ::"r"(cntkctl));
	__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
	return aborted;
}

/* EL1's own traps: of the space of ID registers (FEAT_IDST), of SVE and SME by its CPACR. */
static bool is_refusal(uint32_t class)
{
	return class == EC_UNDEFINED || class == EC_SYSREG || class == EC_SVE || class == EC_SME;
}

static void count(struct counts *counts, bool raised)
{
	if (!raised)
		counts->done++;
	else if (is_refusal(EC_OF(hostile_self()->syndrome)))
		counts->refused++;
	else
		counts->other++;
}

/* All encodings of one op0, `slots` at a time; `value` is what is written. */
static struct counts sweep(bool read, uint32_t op0, bool at_random)
{
	struct counts counts = { 0 };

	for (uint32_t first = 0; first < ENCODINGS; first += HOSTILE_SLOTS) {
		for (uint32_t i = 0; i < HOSTILE_SLOTS; i++)
			hostile_put(i, MRS_MSR(read, op0, first + i));
		hostile_code_written();
		for (uint32_t i = 0; i < HOSTILE_SLOTS; i++) {
			uint64_t value = at_random ? random_next(&random) : UNMAPPED;

			if (waits(op0, first + i) || (!read && is_needed(op0, first + i)))
				continue;
			count(&counts, run_saved(i, value));
		}
	}
	return counts;
}

static void check_sweep(const char *what, const struct counts *counts, bool some)
{
	printf("# %s: %u done, %u refused, %u otherwise\n", what, counts->done, counts->refused,
	       counts->other);
	CHECK_IS(counts->done > 0, some);
	CHECK(counts->refused > 1000);
}

TEST(it_has_victims)
{
	hostile_begin();
	CHECK(hostile_victim[0] && hostile_victim[1]);
	irq_save(); /* to the end: what the sweeps pend is nobody's */
	hostile_make_executable(hostile_code);
}

TEST(every_system_register_is_read)
{
	struct counts counts = sweep(true, 3, false);

	check_sweep("mrs", &counts, true);
	CHECK_IS(counts.other, 0);
	counts = sweep(true, 2, false);
	check_sweep("mrs of debug", &counts, true);
	CHECK_IS(counts.other, 0);
}

TEST(every_system_register_is_written)
{
	struct counts counts;

	for (uint32_t round = 0; round < 2; round++) {
		counts = sweep(false, 3, true);
		check_sweep("msr", &counts, true);
		CHECK_IS(counts.other, 0);
	}
	counts = sweep(false, 2, true);
	check_sweep("msr of debug", &counts, true);
	CHECK_IS(counts.other, 0);
}

/* Cache, TLB and address translation, of an address where nothing is and of random ones. */
TEST(every_system_operation_is_executed)
{
	struct counts counts = sweep(false, 1, false);

	check_sweep("sys", &counts, true);
	counts = sweep(true, 1, false);
	check_sweep("sysl", &counts, false);
}

/* Hints, barriers, PSTATE; what of it moves the stack pointer or masks is undone by hostile_run. */
TEST(every_hint_and_barrier_is_executed)
{
	struct counts counts = sweep(false, 0, false);

	check_sweep("hints", &counts, true);
	counts = sweep(true, 0, false);
	check_sweep("no hints", &counts, false);
}

TEST(registers_of_el2_and_el3_are_undefined)
{
	struct counts counts = { 0 };

	for (uint32_t op1 = 4; op1 <= 6; op1++) {
		for (uint32_t rest = 0; rest < 2048; rest++) {
			/* op1 5 is EL1's registers as EL2 with VHE sees them. */
			uint32_t slot = rest % HOSTILE_SLOTS;

			if (slot == 0) {
				for (uint32_t i = 0; i < HOSTILE_SLOTS; i++)
					hostile_put(i, MRS_MSR(true, 3, op1 << 11 | (rest + i)));
				hostile_code_written();
			}
			count(&counts, hostile_run(slot, 0, 0, 0));
		}
	}
	CHECK_IS(counts.done, 0);
	CHECK_IS(counts.other, 0);
}

TEST(calls_with_an_immediate_are_not_supported)
{
	static const uint32_t immediates[] = { 1, 2, 0x100, 0x8000, 0xea1, 0x4a48, 0xffff };

	for (uint32_t i = 0; i < sizeof(immediates) / sizeof(immediates[0]); i++) {
		hostile_put(2 * i, HVC(immediates[i]));
		hostile_put(2 * i + 1, SMC(immediates[i]));
	}
	hostile_code_written();
	for (uint32_t i = 0; i < sizeof(immediates) / sizeof(immediates[0]); i++) {
		CHECK(!hostile_run(2 * i, WEIR_FN(WEIR_FN_VERSION), 0, 0));
		CHECK_IS(hostile_self()->syndrome, -1); /* what x0 was */
		/* PSCI's SYSTEM_OFF, by a call that is none. */
		CHECK(!hostile_run(2 * i, 0x84000008, 0, 0));
		CHECK(!hostile_run(2 * i + 1, WEIR_FN(WEIR_FN_VERSION), 0, 0));
		CHECK_IS(hostile_self()->syndrome, -1);
	}
}

/* Undefined on every CPU, or not offered to a VM: its ID registers say so. */
TEST(undefined_instructions_raise_an_exception)
{
	static const uint32_t words[] = {
		0x00000000,
		0x0000ffff,
		0xffffffff, /* UDF; not allocated */
		0x04e0e3e0,
		0x04bf5000,
		0x25d8e3e0, /* SVE */
		0xd503477f,
		0xd503417f,
		0xc0080000,	      /* SME: SMSTART, SMSTART SM, ZERO */
		0xd69f03e0 | 1 << 10, /* ERETAA */
		0xd6bf03e0,	      /* DRPS */
		0xd4a00001,
		0xd4a00002,
		0xd4a00003, /* DCPS1, DCPS2, DCPS3 */
		0xd5233060, /* TSTART */
		0xd4600000, /* TCANCEL */
		0xd4200000,
		0xd4200020, /* BRK */
		0xd4400000, /* HLT */
		SVC_0,
	};

	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		hostile_put(i, words[i]);
	hostile_code_written();
	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		CHECK(hostile_run(i, 0, 0, 0));
		if (tap_failure.line)
			printf("# %08x\n", words[i]);
	}
}

void enter_el0(uint64_t pc, uint64_t a, uint64_t b);

__asm__(".pushsection .text.enter_el0, \"ax\"\n"
	"	.global enter_el0\n"
	"enter_el0:\n"
	"	msr	elr_el1, x0\n"
	"	mov	x3, #0x3c0\n"
	"	msr	spsr_el1, x3\n"
	"	mov	x0, x1\n"
	"	mov	x1, x2\n"
	"	eret\n"
	"	.popsection\n");

/* The class of the exception that ends an instruction at EL0. */
static uint32_t at_el0(uint32_t word, uint64_t x0)
{
	uint64_t *entry = hostile_entry(hostile_code);
	uint64_t page = (uint64_t)hostile_code, before = *entry;

	hostile_code[0] = word;
	hostile_code[1] = SVC_0;
	hostile_code_written();
	*entry = before | 3ul << 6; /* AP: read-only at both levels */
	hostile_tables_changed();
	hostile_try_asm((uint64_t(*)(uint64_t, uint64_t, uint64_t))(uint64_t)enter_el0, page, x0,
			0);
	*entry = before;
	hostile_tables_changed();
	return EC_OF(hostile_self()->syndrome);
}

TEST(el0_has_no_calls)
{
	CHECK_IS(at_el0(0xd503201f, 0), EC_SVC); /* nop: this works at all */
	for (uint32_t immediate = 0; immediate <= 0x8000; immediate += 0x4000) {
		CHECK_IS(at_el0(HVC(immediate), WEIR_FN(WEIR_FN_VERSION)), EC_UNDEFINED);
		CHECK_IS(at_el0(SMC(immediate), 0x84000008), EC_UNDEFINED);
	}
	CHECK_IS(at_el0(MRS_MSR(true, 3, REGISTER(4, 1, 1, 0)), 0), EC_UNDEFINED); /* HCR_EL2 */
	CHECK_IS(at_el0(MRS_MSR(false, 3, REGISTER(0, 12, 11, 5)), ~0ull),
		 EC_UNDEFINED); /* SGI1R */
	CHECK_IS(at_el0(0x00000000, 0), EC_UNDEFINED);
}

TEST(the_guest_works_still)
{
	uint64_t now = timer_now();

	CHECK_IS(weir_version(), WEIR_ABI_VERSION);
	CHECK(timer_now() - now < timer_ticks(WAIT_NS));
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(every_system_register_is_read),
	RUN(every_system_register_is_written),
	RUN(every_system_operation_is_executed),
	RUN(every_hint_and_barrier_is_executed),
	RUN(registers_of_el2_and_el3_are_undefined),
	RUN(calls_with_an_immediate_are_not_supported),
	RUN(undefined_instructions_raise_an_exception),
	RUN(el0_has_no_calls),
	RUN(the_guest_works_still),
};
TESTS_MAIN
