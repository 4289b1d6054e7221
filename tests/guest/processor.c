/*
 * What the CPU of a VM looks like: its feature registers and what they say; what they hide is undefined; keys of pointer
 * authentication, breakpoints, watchpoints and single steps are a vCPU's own, beside others of its core.
 */
#include "tests/guest/sysreg.h"
#include "tests/guest/tap.h"

#define GICD_BASE 0x08000000ul
#define ROUNDS	  30u
#define SPIN_NS	  3000000ul

static void spin(uint64_t ns)
{
	uint64_t end = timer_now() + timer_ticks(ns);

	while (timer_now() < end)
		;
}

/* ---- Exceptions ------------------------------------------------------------------------------ */

enum {
	EC_UNDEFINED = 0x00,
	EC_BREAKPOINT = 0x31,
	EC_STEP = 0x33,
	EC_WATCHPOINT = 0x35,
	EC_BRK = 0x3c
};

#define MDSCR_SS  1ul
#define MDSCR_KDE (1ul << 13)
#define MDSCR_MDE (1ul << 15)
#define PSTATE_SS (1ul << 21)
#define STEPS	  4u

static uint32_t undefined, points[2], watches[2], unknown;
static uint64_t step_pc[STEPS];
static uint32_t steps;

static bool on_exception(struct exception *exception)
{
	uint32_t class = exception->syndrome >> 26 & 63;

	switch (class) {
	case EC_UNDEFINED:
		undefined++;
		break;
	case EC_BREAKPOINT:
		points[cpu_index()]++;
		break;
	case EC_WATCHPOINT:
		watches[cpu_index()]++;
		break;
	case EC_BRK: /* from here on each instruction is a step */
		WRITE(mdscr_el1, MDSCR_KDE | MDSCR_SS);
		exception->pstate |= PSTATE_SS;
		break;
	case EC_STEP:
		step_pc[steps++] = exception->pc;
		if (steps == STEPS)
			WRITE(mdscr_el1, 0);
		else
			exception->pstate |= PSTATE_SS;
		return true;
	default:
		unknown++;
		break;
	}
	exception->pc += 4;
	return true;
}

/* ---- Feature registers ----------------------------------------------------------------------- */

/* S3_0_C0_C1_0 to S3_0_C0_C7_7, in this order. */
void read_features(uint64_t *values);
__asm__(".pushsection .text.read_features, \"ax\"\n"
	"read_features:\n"
	"	.irp	crm, 1, 2, 3, 4, 5, 6, 7\n"
	"	.irp	op2, 0, 1, 2, 3, 4, 5, 6, 7\n"
	"	mrs	x1, s3_0_c0_c\\crm\\()_\\op2\n"
	"	str	x1, [x0], #8\n"
	"	.endr\n"
	"	.endr\n"
	"	ret\n"
	"	.popsection\n");

static uint64_t features[8][8]; /* CRm, op2 */

static uint32_t field(uint32_t crm, uint32_t op2, uint32_t low)
{
	return features[crm][op2] >> low & 0xf;
}

static bool has_keys(void)
{
	return field(6, 1, 4) || field(6, 1, 8) || field(6, 2, 12);
}

TEST(every_feature_register_answers)
{
	exception_handle(on_exception);
	read_features(features[1]);
	CHECK_IS(undefined, 0);
}

TEST(aarch32_and_what_is_reserved_read_as_zero)
{
	for (uint32_t crm = 1; crm <= 7; crm++)
		for (uint32_t op2 = 0; op2 < 8; op2++)
			if (crm < 4 || op2 > 2 || (crm < 6 && op2 == 2) || (crm == 5 && op2 == 1))
				CHECK_IS(features[crm][op2], 0);
}

TEST(features_tell_of_what_a_vm_may_use)
{
	CHECK_IS(features[4][0] & 0xffff, 0x0011);  /* EL0 and EL1, AArch64 only */
	CHECK_IS(field(4, 0, 16), field(4, 0, 20)); /* FP and AdvSIMD */
	CHECK(field(4, 0, 16) != 0xf);
	CHECK_IS(field(4, 0, 24), gic_version() == 3);
	CHECK_IS(field(5, 0, 0), 6); /* debug version 8 */
	CHECK_IS(field(5, 0, 12), 5);
	CHECK_IS(field(5, 0, 20), 3);
	CHECK(field(7, 0, 0) <= 2);
}

TEST(features_hide_what_a_vm_may_not_use)
{
	static const uint8_t hidden[][3] = {
		{ 4, 0, 28 },		    /* RAS */
		{ 4, 0, 32 },		    /* SVE */
		{ 4, 0, 40 },		    /* MPAM */
		{ 4, 0, 44 },		    /* AMU */
		{ 4, 1, 8 },		    /* MTE */
		{ 4, 1, 24 },		    /* SME */
		{ 4, 4, 0 },  { 4, 5, 0 },  /* of SVE, of SME */
		{ 5, 0, 4 },  { 5, 0, 40 }, /* trace, its filter */
		{ 5, 0, 8 },		    /* PMU: the manifest gives none */
		{ 5, 0, 32 }, { 5, 0, 44 }, /* SPE, trace buffer */
		{ 6, 0, 24 },		    /* TME */
		{ 6, 1, 60 },		    /* LS64 */
		{ 6, 2, 0 },  { 6, 2, 16 }, /* WFxT, MOPS */
		{ 7, 0, 56 }, { 7, 0, 60 }, /* FGT, ECV */
		{ 7, 1, 8 },  { 7, 1, 16 }, /* VHE, LOR */
		{ 7, 2, 24 },		    /* NV */
	};

	for (uint32_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++)
		CHECK_IS(field(hidden[i][0], hidden[i][1], hidden[i][2]), 0);
}

/* ---- What is hidden -------------------------------------------------------------------------- */

#define HIDDEN(row)                                                                              \
	row(s3_0_c1_c2_0) /* ZCR_EL1 */ row(s3_0_c1_c2_6)	     /* SMCR_EL1 */              \
		row(s3_0_c1_c0_6) /* GCR_EL1 */ row(s3_0_c5_c6_0)    /* TFSR_EL1 */              \
		row(s3_0_c10_c4_0) row(s3_0_c10_c4_7)		     /* LORSA_EL1, LORID_EL1 */  \
		row(s3_0_c5_c3_0) row(s3_0_c5_c4_0)		     /* ERRIDR_EL1, ERXFR_EL1 */ \
		row(s3_3_c13_c2_0) /* AMCR_EL0 */ row(s3_0_c10_c5_0) /* MPAM1_EL1 */             \
		row(s2_1_c0_c1_0) /* TRCPRGCTLR */ row(s3_0_c9_c9_0) /* PMSCR_EL1 */             \
		row(s3_0_c9_c10_0) row(s3_0_c9_c11_0) /* PMBLIMITR_EL1, TRBLIMITR_EL1 */         \
		row(s3_0_c13_c0_5) /* ACCDATA_EL1 */ row(s3_0_c13_c0_7) /* SCXTNUM_EL1 */        \
		row(s3_3_c9_c12_0) row(s3_3_c9_c13_0) /* PMCR_EL0, PMCCNTR_EL0 */                \
		row(s3_3_c9_c14_0) row(s3_0_c9_c14_1) /* PMUSERENR_EL0, PMINTENSET_EL1 */        \
		row(s3_4_c1_c1_0) row(s3_4_c14_c0_3)  /* HCR_EL2, CNTVOFF_EL2 */

TEST(what_is_hidden_is_undefined)
{
	uint32_t before;

	unknown = 0;
	WRITE(cpacr_el1,
	      READ(cpacr_el1) | 3ul << 16 | 3ul << 24); /* or EL1 would trap SVE and SME itself */
#define ROW(name)                        \
	before = undefined;              \
	(void)READ(name);                \
	CHECK_IS(undefined, before + 1); \
	if (tap_failure.line)            \
		printf("# %s\n", #name);
	HIDDEN(ROW)
#undef ROW
	CHECK_IS(unknown, 0);
}

/* As on QEMU's Cortex-A53 and A72: kernels for these touch them before they know where they are. */
TEST(registers_of_one_core_take_what_is_written)
{
	uint32_t before = undefined;

	CHECK_IS(READ(s3_1_c15_c2_1), 0); /* CPUECTLR_EL1 */
	WRITE(s3_1_c15_c2_1, 0x40);
	CHECK_IS(READ(s3_1_c11_c0_2), 1 << 24); /* L2CTLR_EL1: two cores */
	WRITE(s3_1_c11_c0_2, 0);
	CHECK_IS(READ(s3_1_c11_c0_2), 1 << 24);
	CHECK_IS(READ(s3_1_c15_c3_0), GICD_BASE); /* CBAR_EL1 */
	CHECK_IS(READ(actlr_el1), 0);
	__asm__ volatile("dc cisw, %0\n\tdc csw, %0\n\tdc isw, %0" ::"r"(0ul));
	CHECK_IS(undefined, before);
	WRITE(s3_1_c15_c3_0, 0); /* is for reading */
	CHECK_IS(undefined, before + 1);
}

/* ---- Pointer authentication ------------------------------------------------------------------ */

#define KEYS(row)                                                                           \
	row(0, s3_0_c2_c1_0) row(1, s3_0_c2_c1_1) row(2, s3_0_c2_c1_2) row(3, s3_0_c2_c1_3) \
		row(4, s3_0_c2_c2_0) row(5, s3_0_c2_c2_1) row(6, s3_0_c2_c2_2)              \
			row(7, s3_0_c2_c2_3) row(8, s3_0_c2_c3_0) row(9, s3_0_c2_c3_1)
#define KEY_COUNT  10u
#define SCTLR_KEYS (1ul << 31 | 1ul << 30 | 1ul << 27 | 1ul << 13) /* EnIA, EnIB, EnDA, EnDB */
#define MODIFIER   0x123456789abcdeful

static void write_keys(uint64_t seed)
{
#define ROW(n, name) __asm__ volatile("msr " #name ", %0" ::"r"(seed * ((n) + 3)));
	KEYS(ROW)
#undef ROW
	__asm__ volatile("isb");
}

static uint32_t wrong_keys(uint64_t seed)
{
	uint32_t wrong = 0;

#define ROW(n, name) wrong += READ(name) != seed * ((n) + 3);
	KEYS(ROW)
#undef ROW
	return wrong;
}

/* By the keys APIA, APIB, APDA, APDB, APGA. */
static uint64_t sign(uint32_t key, uint64_t pointer)
{
	register uint64_t x0 __asm__("x0") = pointer;
	register uint64_t x1 __asm__("x1") = MODIFIER;

	switch (key) {
	case 0:
		__asm__ volatile(".inst 0xdac10020" : "+r"(x0) : "r"(x1)); /* pacia x0, x1 */
		break;
	case 1:
		__asm__ volatile(".inst 0xdac10420" : "+r"(x0) : "r"(x1)); /* pacib */
		break;
	case 2:
		__asm__ volatile(".inst 0xdac10820" : "+r"(x0) : "r"(x1)); /* pacda */
		break;
	case 3:
		__asm__ volatile(".inst 0xdac10c20" : "+r"(x0) : "r"(x1)); /* pacdb */
		break;
	default:
		__asm__ volatile(".inst 0x9ac13000" : "+r"(x0) : "r"(x1)); /* pacga x0, x0, x1 */
		break;
	}
	return x0;
}

static uint64_t authenticate(uint64_t pointer)
{
	register uint64_t x0 __asm__("x0") = pointer;
	register uint64_t x1 __asm__("x1") = MODIFIER;

	__asm__ volatile(".inst 0xdac11020" : "+r"(x0) : "r"(x1)); /* autia */
	return x0;
}

/* Signed before others had the core, and after it: by the same keys, or by others. 0: as it must be. */
static uint32_t keys_differ(uint64_t seed, uint64_t ns)
{
	uint64_t pointer = (uint64_t)&keys_differ, before[5], with;
	uint32_t wrong = 0;

	write_keys(seed);
	for (uint32_t key = 0; key < 5; key++)
		before[key] = sign(key, pointer);
	with = sign(0, pointer);
	spin(ns);
	wrong += wrong_keys(seed);
	for (uint32_t key = 0; key < 5; key++)
		wrong += sign(key, pointer) != before[key];
	wrong += authenticate(with) != pointer;
	return wrong;
}

static uint32_t others_wrong, others_rounds;
static bool stop, finished;

TEST(keys_are_a_vcpus_own)
{
	uint32_t before = undefined, same = 0;

	if (!has_keys()) {
		(void)READ(s3_0_c2_c1_0);
		CHECK_IS(undefined, before + 1); /* and not offered */
		return;
	}
	CHECK_IS(wrong_keys(0), 0); /* nothing of another VM's */
	WRITE(sctlr_el1, READ(sctlr_el1) | SCTLR_KEYS);
	for (uint64_t round = 1; round <= ROUNDS; round++)
		CHECK_IS(keys_differ(timer_now() * 0x9e3779b97f4a7c15ul, round % 3 * SPIN_NS), 0);
	for (uint32_t key = 0; key < 5; key++) {
		uint64_t with, pointer = (uint64_t)&keys_differ;

		write_keys(1);
		with = sign(key, pointer);
		write_keys(3);
		same += with == sign(key, pointer);
	}
	CHECK(same <= 1); /* it is they that sign */
	CHECK_IS(undefined, before);
}

/* ---- Debug ----------------------------------------------------------------------------------- */

#define AT_EL1 (1ul << 1)   /* PMC, PAC */
#define WORD   (0xful << 5) /* BAS of an instruction, or of a word's first half */
#define STORES (2ul << 3)   /* LSC */

void marked(void);
void stepped(uint64_t device);
__asm__(".pushsection .text.marked, \"ax\"\n"
	"marked:\n"
	"	nop\n"
	"	ret\n"
	"stepped:\n"
	"	brk	#0\n"
	"	nop\n"
	"	ldr	w1, [x0]\n"	 /* emulated */
	"	mrs	x1, actlr_el1\n" /* the same */
	"	nop\n"
	"	ret\n"
	"	.popsection\n");

static uint32_t watched[2] __attribute__((aligned(8)));

static void pass(void)
{
	__asm__ volatile("bl marked" ::: "x30", "memory");
	__atomic_store_n(&watched[0], 1, __ATOMIC_RELAXED);
}

/* The last ones of each: six breakpoints and four watchpoints. */
static void set_points(void)
{
	WRITE(dbgbvr5_el1, (uint64_t)marked);
	WRITE(dbgbcr5_el1, 1 | AT_EL1 | WORD);
	WRITE(dbgwvr3_el1, (uint64_t)watched);
	WRITE(dbgwcr3_el1, 1 | AT_EL1 | WORD | STORES);
	WRITE(mdscr_el1, MDSCR_KDE | MDSCR_MDE);
	__asm__ volatile("msr daifclr, #8");
}

TEST(the_os_lock_is_closed_at_the_start_and_debug_off)
{
	CHECK_IS(READ(oslsr_el1), 10);
	CHECK_IS(READ(mdscr_el1), 0);
	CHECK_IS(READ(dbgbcr5_el1), 0);
	set_points();
	pass();
	CHECK_IS(points[0] + watches[0], 0);
	WRITE(oslar_el1, 0);
	CHECK_IS(READ(oslsr_el1), 8);
}

TEST(points_are_a_vcpus_own)
{
	set_points();
	points[0] = watches[0] = 0;
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		pass();
		CHECK_IS(points[0], round);
		CHECK_IS(watches[0], round);
		spin(round % 3 * SPIN_NS);
		CHECK_IS(READ(dbgbvr5_el1), (uint64_t)marked);
		CHECK_IS(READ(dbgwcr3_el1), 1 | AT_EL1 | WORD | STORES);
	}
	WRITE(oslar_el1, 1);
	pass();
	CHECK_IS(points[0], ROUNDS);
	WRITE(oslar_el1, 0);
	WRITE(mdscr_el1, 0);
	pass();
	CHECK_IS(points[0], ROUNDS);
	CHECK_IS(watches[0], ROUNDS);
}

/* Also over instructions that Weir executes. */
TEST(each_instruction_is_a_step)
{
	static const uint32_t offsets[STEPS] = { 8, 12, 16, 20 };

	for (uint32_t round = 0; round < ROUNDS; round++) {
		steps = 0;
		stepped(GICD_BASE);
		CHECK_IS(steps, STEPS);
		for (uint32_t i = 0; i < STEPS; i++)
			CHECK_IS(step_pc[i] - (uint64_t)stepped, offsets[i]);
	}
	CHECK_IS(unknown, 0);
}

/* The other vCPU of the core: keys of its own, and no points. */
static void other(void *arg)
{
	(void)arg;
	__asm__ volatile("msr daifclr, #8");
	if (has_keys()) {
		others_wrong += wrong_keys(0);
		WRITE(sctlr_el1, READ(sctlr_el1) | SCTLR_KEYS);
	}
	others_wrong += READ(mdscr_el1) || READ(dbgbvr5_el1) || READ(dbgwcr3_el1);
	for (uint64_t round = 1; !SHARED_READ(stop); round++) {
		if (has_keys())
			others_wrong += keys_differ(round * 0x7f4a7c159e3779b9ul, SPIN_NS);
		else
			spin(SPIN_NS);
		pass();
		SHARED_WRITE(others_rounds, others_rounds + 1);
	}
	SHARED_WRITE(finished, true);
}

TEST(another_vcpu_of_the_core_starts)
{
	CHECK_IS(cpu_start(1, other, NULL), 0);
	CHECK(WAIT(SHARED_READ(others_rounds) > 0));
}

TEST(it_saw_nothing_of_these)
{
	CHECK(WAIT(SHARED_READ(others_rounds) > 3));
	SHARED_WRITE(stop, true);
	CHECK(WAIT(SHARED_READ(finished)));
	CHECK_IS(others_wrong, 0);
	CHECK_IS(points[1] + watches[1], 0);
	printf("# keys: %u\n", has_keys());
}

TESTS = {
	RUN(every_feature_register_answers),
	RUN(aarch32_and_what_is_reserved_read_as_zero),
	RUN(features_tell_of_what_a_vm_may_use),
	RUN(features_hide_what_a_vm_may_not_use),
	RUN(what_is_hidden_is_undefined),
	RUN(registers_of_one_core_take_what_is_written),
	RUN(the_os_lock_is_closed_at_the_start_and_debug_off),
	RUN(another_vcpu_of_the_core_starts),
	RUN(keys_are_a_vcpus_own),
	RUN(points_are_a_vcpus_own),
	RUN(each_instruction_is_a_step),
	RUN(it_saw_nothing_of_these),
};
TESTS_MAIN
