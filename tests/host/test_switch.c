/*
 * From one vCPU to another on a core: what is done, and in which order, so that nothing of the one is seen in the
 * other's time. Each instruction for registers, barriers and TLBs is recorded.
 *
 * Sources: arch/arm64/vcpu.c arch/arm64/extensions.c tests/host/fake/record.c tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include <stdio.h>
#include <string.h>
#include "arch/arm64/cpu.h"
#include "arch/arm64/sysreg.h"
#include "arch/arm64/vcpu.h"

#define NAMES 128
#define PMU   1ul /* one that counts, with one counter */

static struct arch_vcpu one, two, other; /* the first two are of one VM */

/* ---- The core -------------------------------------------------------------------------------- */

static const char *read[NAMES]; /* since prepare() */
static u32 reads;
static bool serror_pends;
static u64 breakpoints, watchpoints; /* less 1 */

static u64 value_of(const char *name)
{
	u64 value = 5381;

	while (*name)
		value = value * 33 + (u8)*name++;
	return value;
}

u64 fake_sysreg_read(const char *name)
{
	assert_true(reads < NAMES);
	read[reads++] = name;
	if (!strcmp(name, "id_aa64dfr0_el1"))
		return watchpoints << 20 | breakpoints << 12 | PMU << 8;
	return strcmp(name, "mdcr_el2") ? value_of(name) : 1;
}

void fake_sysreg_write(const char *name, u64 value)
{
	fake_note(name, value);
}

bool cpu_take_serror(void)
{
	fake_note("take serror", reads);
	return serror_pends;
}

void entry_forget(const struct arch_vcpu *vcpu);
void fp_save(struct fp_state *state);
void fp_load(const struct fp_state *state);

void fp_save(struct fp_state *state)
{
	fake_note("fp save", (u64)state);
}

void fp_load(const struct fp_state *state)
{
	fake_note("fp load", (u64)state);
}

void entry_forget(const struct arch_vcpu *vcpu)
{
	fake_note("forget", (u64)vcpu);
}

void list_regs_reset(struct list_regs *state)
{
	(void)state;
}

static bool was_read(const char *name, u32 before)
{
	for (u32 i = 0; i < before; i++)
		if (!strcmp(read[i], name))
			return true;
	return false;
}

static int prepare(void **state)
{
	(void)state;
	fake_cpu_set_index(0);
	arch_vcpu_init(&one, 0, 0, 5ul << 48, false);
	arch_vcpu_init(&two, 0, 1, 5ul << 48, false);
	arch_vcpu_init(&other, 0, 0, 6ul << 48, false);
	serror_pends = false;
	reads = 0;
	breakpoints = watchpoints = 0;
	fake_record_reset();
	return 0;
}

/* On core 0 all are known: `vcpu` was the last of its VM. */
static void load(struct arch_vcpu *vcpu)
{
	arch_vcpu_load(vcpu);
	fake_record_reset();
}

/* The translations of another vCPU of the VM are gone: behind its VTTBR, and complete before it runs. */
static void expect_own_tlb(void)
{
	u32 at = fake_record_find(fake_record_find(0, "vttbr_el2"), "isb");
	u32 tlb = fake_record_find(at, "tlbi vmalle1"), code = fake_record_find(at, "ic iallu");

	at = fake_record_find(tlb > code ? tlb : code, "dsb nsh");
	fake_record_find(at, "isb");
	assert_int_equal(fake_record_times("tlbi vmalle1"), 1);
}

/* ---- What they promise ----------------------------------------------------------------------- */

/* The DSB in it is in entry.S (tools/check-paths): what the guest has written is at its place, and what that leads to is
 * its own. */
TEST(vcpu_is_left_with_what_it_wrote_done_and_its_errors_taken)
{
	u32 at;

	assert_false(arch_vcpu_save(&one));
	at = fake_record_find(0, "take serror");
	assert_int_equal(fake_record_address(at), reads); /* all is saved by then */
	assert_int_equal(fake_record_count(), at + 1);
	prepare(0);
	serror_pends = true;
	assert_true(arch_vcpu_save(&one));
	at = fake_record_find(0, "take serror");
	assert_int_equal(fake_record_address(at), reads); /* for it costs ELR and SPSR */
	assert_int_equal(fake_record_address(fake_record_find(at, "elr_el2")), value_of("elr_el2"));
	assert_int_equal(fake_record_address(fake_record_find(at, "spsr_el2")),
			 value_of("spsr_el2"));
}

/* Its timer is off before another's is on, and what is loaded was saved. */
TEST(all_that_is_loaded_was_saved)
{
	static const char *const weirs[] = { "vmpidr_el2", "hcr_el2", "mdcr_el2", "vttbr_el2",
					     "cptr_el2" };
	static const char *const guests[] = {
		"elr_el2",	"spsr_el2",	 "sp_el0",    "sp_el1",		"elr_el1",
		"spsr_el1",	"esr_el1",	 "far_el1",   "afsr0_el1",	"afsr1_el1",
		"vbar_el1",	"sctlr_el1",	 "cpacr_el1", "tcr_el1",	"ttbr0_el1",
		"ttbr1_el1",	"mair_el1",	 "amair_el1", "contextidr_el1", "tpidr_el0",
		"tpidrro_el0",	"tpidr_el1",	 "par_el1",   "csselr_el1",	"cntkctl_el1",
		"cntv_ctl_el0", "cntv_cval_el0",
	};
	u32 saved;

	arch_vcpu_save(&one);
	saved = reads;
	assert_int_equal(fake_record_address(fake_record_find(0, "cntv_ctl_el0")), 0);
	fake_record_reset();
	arch_vcpu_load(&one);
	for (u32 i = 0; i < ARRAY_SIZE(guests); i++) {
		assert_true(was_read(guests[i], saved));
		assert_int_equal(fake_record_address(fake_record_find(0, guests[i])),
				 value_of(guests[i]));
	}
	for (u32 i = 0; i < ARRAY_SIZE(weirs); i++)
		fake_record_find(0, weirs[i]);
	/* And nothing else, but one ISB behind them. */
	assert_int_equal(fake_record_count(), ARRAY_SIZE(guests) + ARRAY_SIZE(weirs) + 1);
	assert_int_equal(fake_record_find(0, "isb"), fake_record_count() - 1);
}

TEST(vcpus_of_one_vm_do_not_see_each_others_translations)
{
	load(&one);
	arch_vcpu_load(&two);
	expect_own_tlb();
	fake_record_reset();
	arch_vcpu_load(&one);
	expect_own_tlb();
	/* Another VM in between changes nothing. */
	load(&other);
	arch_vcpu_load(&two);
	expect_own_tlb();
}

/* They have its VMID, or were not there. */
TEST(translations_of_a_vcpu_that_was_the_last_of_its_vm_are_kept)
{
	load(&one);
	load(&other);
	arch_vcpu_load(&one);
	arch_vcpu_load(&one);
	assert_int_equal(fake_record_times("tlbi vmalle1"), 0);
	/* On another core its first one finds nothing. */
	fake_cpu_set_index(1);
	arch_vcpu_load(&two);
	assert_int_equal(fake_record_times("tlbi vmalle1"), 0);
	arch_vcpu_load(&one);
	expect_own_tlb();
}

/* Counters stand still while they are another's, and what was loaded is complete before they count again. */
TEST(counters_stand_still_through_a_switch)
{
	static const char *const counters[] = { "pmselr_el0",	"pmxevcntr_el0",  "pmxevtyper_el0",
						"pmccntr_el0",	"pmccfiltr_el0",  "pmuserenr_el0",
						"pmovsset_el0", "pmintenset_el1", "pmcntenset_el0",
						"pmcr_el0" };
	static const char *const off[] = { "pmcntenclr_el0", "pmintenclr_el1", "pmovsclr_el0" };
	u32 at, saved;

	arch_vcpu_init(&one, 0, 0, 5ul << 48, true);
	reads = 0;
	arch_vcpu_save(&one);
	saved = reads;
	at = fake_record_find(0, "pmcr_el0");
	assert_int_equal(fake_record_address(at) & 1, 0);
	assert_int_equal(fake_record_find(at, "isb"), at + 1);
	assert_int_equal(fake_record_find(fake_record_find(at, "pmselr_el0"), "isb"), at + 3);
	fake_record_reset();
	arch_vcpu_load(&one);
	at = fake_record_find(0, "pmcr_el0");
	assert_int_equal(fake_record_address(at) & 1, 0);
	for (u32 i = 0; i < ARRAY_SIZE(off); i++)
		assert_int_equal(fake_record_address(fake_record_find(at, off[i])), UINT32_MAX);
	at = fake_record_find(at, "pmselr_el0");
	assert_int_equal(fake_record_find(at, "isb"), at + 1);
	for (u32 i = 0; i < ARRAY_SIZE(counters); i++) {
		u32 last = fake_record_find(at + 1, counters[i]);

		assert_true(was_read(counters[i], saved) || i == 0);
		assert_int_equal(fake_record_address(last), value_of(counters[i]));
	}
	at = fake_record_find(at, "pmcr_el0");
	assert_int_equal(fake_record_find(fake_record_find(0, "pmcntenset_el0"), "isb"), at - 1);
}

#define NUMBER(crn, crm, op2) ((crn) << 7 | (crm) << 3 | (op2))
#define MDSCR_MDE	      (1ul << 15)

/* Of a kind those are loaded, each once, with what the guest wrote, that there are and that it may have. */
static void check_points(const char *kind, u32 kind_number, u64 last, u32 most)
{
	for (u32 n = 0; n < 16; n++) {
		u32 times = n <= last && n < most;
		char name[16];

		snprintf(name, sizeof(name), "dbg%svr%u_el1", kind, n);
		assert_int_equal(fake_record_times(name), times);
		if (times)
			assert_int_equal(fake_record_address(fake_record_find(0, name)),
					 0x1000 * kind_number + n);
		snprintf(name, sizeof(name), "dbg%scr%u_el1", kind, n);
		assert_int_equal(fake_record_times(name), times);
	}
}

/* Which a core has it says itself; the architecture has two to sixteen of each. The others are undefined. */
TEST(points_are_loaded_that_the_core_has)
{
	arch_vcpu_debug(&one, NUMBER(1, 0, 4), false, 0); /* OSLAR_EL1 */
	for (u32 n = 0; n < 6; n++) {
		arch_vcpu_debug(&one, NUMBER(0, n, 4), false, 0x1000 * 4 + n);
		arch_vcpu_debug(&one, NUMBER(0, n, 6), false, 0x1000 * 6 + n);
	}
	arch_vcpu_debug(&one, NUMBER(0, 2, 2), false, MDSCR_MDE);
	for (u32 sort = 0; sort < 256; sort++) {
		breakpoints = sort & 15;
		watchpoints = sort >> 4;
		reads = 0;
		fake_record_reset();
		arch_vcpu_load(&one);
		check_points("b", 4, breakpoints, 6);
		check_points("w", 6, watchpoints, 4);
		assert_int_equal(fake_record_address(fake_record_find(0, "mdscr_el1")), MDSCR_MDE);
	}
}

/* The trap is off before the unit is touched; nobody's registers are loaded twice. */
TEST(fp_registers_are_those_of_who_uses_them)
{
	u32 at;

	arch_vcpu_take_fp(&one);
	at = fake_record_find(0, "cptr_el2");
	assert_int_equal(fake_record_find(at, "isb"), at + 1);
	assert_int_equal(fake_record_find(at, "fp load"), at + 2);
	assert_int_equal(fake_record_times("fp save"), 0);
	fake_record_reset();
	arch_vcpu_take_fp(&two);
	at = fake_record_find(fake_record_find(0, "cptr_el2"), "isb");
	at = fake_record_find(at, "fp save");
	assert_int_equal(fake_record_address(at), (u64)&one.fp);
	at = fake_record_find(at, "fp load");
	assert_int_equal(fake_record_address(at), (u64)&two.fp);
	fake_record_reset();
	arch_vcpu_take_fp(&two);
	assert_int_equal(fake_record_times("fp load"), 0);
	fake_record_reset();
	arch_vcpu_load(&one);
	assert_true(fake_record_address(fake_record_find(0, "cptr_el2")) & CPTR_TFP);
	fake_record_reset();
	arch_vcpu_load(&two);
	assert_false(fake_record_address(fake_record_find(0, "cptr_el2")) & CPTR_TFP);
}

/* Or the exit in which it was reset would save its former life over the new one. */
TEST(what_the_registers_have_of_a_vcpu_that_is_reset_is_forgotten)
{
	memset(one.x, 0xa5, sizeof(one.x));
	arch_vcpu_reset(&one, 0x40080000, 7);
	assert_int_equal(fake_record_address(fake_record_find(0, "forget")), (u64)&one);
	assert_int_equal(one.x[0], 7);
	for (u32 i = 1; i < ARRAY_SIZE(one.x); i++)
		assert_int_equal(one.x[i], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, vcpu_is_left_with_what_it_wrote_done_and_its_errors_taken),
		RUN_AFTER(prepare, all_that_is_loaded_was_saved),
		RUN_AFTER(prepare, vcpus_of_one_vm_do_not_see_each_others_translations),
		RUN_AFTER(prepare, translations_of_a_vcpu_that_was_the_last_of_its_vm_are_kept),
		RUN_AFTER(prepare, counters_stand_still_through_a_switch),
		RUN_AFTER(prepare, points_are_loaded_that_the_core_has),
		RUN_AFTER(prepare, fp_registers_are_those_of_who_uses_them),
		RUN_AFTER(prepare, what_the_registers_have_of_a_vcpu_that_is_reset_is_forgotten),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
