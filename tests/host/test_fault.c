/*
 * Fault reports: the exception in words, and what is at the address.
 *
 * Sources: core/fault.c tests/host/fake/exit.c core/base/log.c tests/host/fake/log.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/exit.h"
#include "core/base/log.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "drivers/gic.h"

#define CLASS(ec)	  ((u64)(ec) << 26 | 1ul << 25)
#define DATA_ABORT	  CLASS(0x24)
#define INSTRUCTION_ABORT CLASS(0x20)
#define TRANSLATION	  0x05ul
#define PERMISSION	  0x0ful
#define ISV		  (1ul << 24)
#define WRITE		  (1ul << 6)
#define SIZE(log2)	  ((u64)(log2) << 22)

static struct manifest_vm config = { .name = "bad" };
static struct vm vm;
static struct vcpu vcpu = { .vm = &vm, .index = 2 };
static u32 gic, stops;
static bool untranslated;

u32 gic_version(void)
{
	return gic;
}

u64 ipc_shared_bytes(const struct manifest_vm *of)
{
	assert_ptr_equal(of, &config);
	return 0x3000;
}

bool arch_guest_untranslated(void)
{
	return untranslated;
}

bool vm_stop(struct vm *of, enum vm_end why)
{
	assert_ptr_equal(of, &vm);
	assert_int_equal(why, VM_END_FAULT);
	assert_int_equal(fake_log_count(), 0); /* not in the exit */
	stops++;
	return true;
}

static int start(void **state)
{
	(void)state;
	fake_log_reset();
	vm = (struct vm){ .config = &config,
			  .state = VM_RUNNING,
			  .ram_bytes = 0x200000,
			  .ram_ipa = VM_RAM_BASE,
			  .pool_bytes = 0x40000,
			  .window_bytes = 0x100000,
			  .vcpu_count = 3 };
	gic = 3;
	stops = 0;
	untranslated = true;
	return 0;
}

static void fault(u64 syndrome, u64 address)
{
	fake_log_reset();
	fake_exit = (struct fake_exit){ .syndrome = syndrome,
					.far = address,
					.ipa = IPA(address),
					.pc = 0x40001234,
					.pstate = 0x3c5 };
	vm_fault(&vcpu, "it did wrong");
	assert_int_equal(stops, 1);
	stops = 0;
	for (u32 i = 1; fault_report(&vm); i++)
		assert_int_equal(fake_log_count(), i); /* a line a step */
}

static void expect_place(u64 address, const char *words)
{
	char line[160];

	fault(DATA_ABORT | TRANSLATION, address);
	format_text(line, sizeof(line), "fault: VM bad vCPU 2: FAR %016lx IPA %010lx: %s", address,
		    address, words);
	assert_int_equal(fake_log_count(), 3);
	assert_string_equal(fake_log_text(2), line);
}

static void expect_exception(u64 syndrome, const char *words)
{
	char line[200];

	fault(syndrome, 0x20000000);
	format_text(line, sizeof(line),
		    "fault: VM bad vCPU 2: %s PC 0000000040001234 PSTATE 000003c5 ESR %08lx", words,
		    syndrome);
	assert_string_equal(fake_log_text(1), line);
}

TEST(the_report_says_who_why_what_and_where)
{
	fault(DATA_ABORT | ISV | SIZE(3) | WRITE | TRANSLATION, 0x9000018);
	assert_int_equal(fake_log_count(), 3);
	assert_string_equal(fake_log_text(0), "fault: VM bad vCPU 2: it did wrong");
	assert_string_equal(fake_log_text(1),
			    "fault: VM bad vCPU 2: data abort (translation fault, level 1, write "
			    "of 8 bytes) PC 0000000040001234 PSTATE 000003c5 ESR 93c00045");
	assert_string_equal(fake_log_text(2),
			    "fault: VM bad vCPU 2: FAR 0000000009000018 IPA 0009000018: 0x18 bytes "
			    "into the UART");
}

/* Its end is the first one's affair: what prints the report is then the only one that touches it. */
TEST(of_two_that_fault_at_once_the_first_is_reported_and_ends_the_vm)
{
	struct vcpu second = { .vm = &vm, .index = 1 };

	vm_fault(&vcpu, "it did wrong");
	vm_fault(&second, "it did wrong as well");
	assert_int_equal(stops, 1);
	assert_true(fault_report(&vm));
	assert_string_equal(fake_log_text(0), "fault: VM bad vCPU 2: it did wrong");
}

TEST(each_status_has_its_words)
{
	expect_exception(DATA_ABORT | 0x00, "data abort (address size fault, level 0, read)");
	expect_exception(DATA_ABORT | 0x07, "data abort (translation fault, level 3, read)");
	expect_exception(DATA_ABORT | 0x09, "data abort (access flag fault, level 1, read)");
	expect_exception(DATA_ABORT | 0x0f, "data abort (permission fault, level 3, read)");
	expect_exception(DATA_ABORT | 0x10, "data abort (external abort, read)");
	expect_exception(DATA_ABORT | 0x16, "data abort (external abort on a table walk, read)");
	expect_exception(DATA_ABORT | 0x18, "data abort (memory error, read)");
	expect_exception(DATA_ABORT | 0x1e, "data abort (memory error, read)");
	expect_exception(DATA_ABORT | 0x21, "data abort (alignment fault, read)");
	expect_exception(DATA_ABORT | 0x30, "data abort (TLB conflict, read)");
	expect_exception(DATA_ABORT | 0x35,
			 "data abort (exclusive or atomic access to what has none, read)");
	expect_exception(DATA_ABORT | 0x3f, "data abort (unknown status, read)");
}

TEST(the_access_is_told_as_far_as_the_syndrome_tells_it)
{
	expect_exception(DATA_ABORT | ISV | TRANSLATION,
			 "data abort (translation fault, level 1, read of 1 bytes)");
	expect_exception(DATA_ABORT | ISV | SIZE(2) | TRANSLATION,
			 "data abort (translation fault, level 1, read of 4 bytes)");
	expect_exception(DATA_ABORT | WRITE | TRANSLATION,
			 "data abort (translation fault, level 1, write)");
	expect_exception(DATA_ABORT | WRITE | 1ul << 8 | TRANSLATION,
			 "data abort (translation fault, level 1, cache maintenance)");
	expect_exception(DATA_ABORT | 1ul << 7 | TRANSLATION,
			 "data abort (translation fault, level 1, read, on a walk of its tables)");
	expect_exception(INSTRUCTION_ABORT | TRANSLATION,
			 "instruction abort (translation fault, level 1)");
}

TEST(other_exceptions_have_a_name_and_no_address)
{
	static const struct {
		u32 class;
		const char *name;
	} classes[] = { { 0x00, "undefined instruction" },
			{ 0x0e, "illegal execution state" },
			{ 0x22, "PC alignment fault" },
			{ 0x26, "SP alignment fault" },
			{ 0x2f, "SError" },
			{ 0x3c, "exception" } };

	for (u32 i = 0; i < ARRAY_SIZE(classes); i++) {
		expect_exception(CLASS(classes[i].class), classes[i].name);
		assert_int_equal(fake_log_count(), 2);
	}
}

TEST(each_region_of_the_vm_is_known_from_its_first_byte_to_its_last)
{
	expect_place(0x08000000, "0x0 bytes into the GIC distributor");
	expect_place(0x0800ffff, "0xffff bytes into the GIC distributor");
	expect_place(0x080a0000, "0x0 bytes into the GIC redistributors");
	expect_place(0x080fffff, "0x5ffff bytes into the GIC redistributors");
	expect_place(0x09000000, "0x0 bytes into the UART");
	expect_place(0x09000fff, "0xfff bytes into the UART");
	expect_place(0x0e000000, "0x0 bytes into Weir's shared pages");
	expect_place(0x0e002fff, "0x2fff bytes into Weir's shared pages");
	expect_place(0x10000000, "0x0 bytes into the grant window");
	expect_place(0x100fffff, "0xfffff bytes into the grant window");
	expect_place(0x40000000, "0x0 bytes into RAM");
	expect_place(0x401bffff, "0x1bffff bytes into RAM");
	expect_place(0x401c0000, "0x0 bytes into the shareable pool");
	expect_place(0x401fffff, "0x3ffff bytes into the shareable pool");
	gic = 2;
	expect_place(0x08010000, "0x0 bytes into the GIC CPU interface");
	expect_place(0x080a0000,
		     "nothing; the nearest is the GIC CPU interface, 0x8e001 bytes below");
}

TEST(where_nothing_is_the_nearest_region_is_named)
{
	expect_place(0, "nothing; the nearest is the GIC distributor, 0x8000000 bytes above");
	expect_place(0x09001000, "nothing; the nearest is the UART, 0x1 bytes below");
	expect_place(0x0dffffff, "nothing; the nearest is Weir's shared pages, 0x1 bytes above");
	expect_place(0x20000000, "nothing; the nearest is the grant window, 0xff00001 bytes below");
	expect_place(0x3fffff00, "nothing; the nearest is RAM, 0x100 bytes above");
	expect_place(0x7fffffffff,
		     "nothing; the nearest is the shareable pool, 0x7fbfe00000 bytes below");
	vm.window_bytes = 0;
	expect_place(0x10000000,
		     "nothing; the nearest is Weir's shared pages, 0x1ffd001 bytes below");
}

/* HPFAR_EL2 is an older fault's after a permission fault. */
TEST(of_a_permission_fault_the_ipa_is_told_only_where_it_is_known)
{
	fault(INSTRUCTION_ABORT | PERMISSION, 0x0e000200);
	assert_true(fake_log_has("IPA 000e000200: 0x200 bytes into Weir's shared pages"));
	untranslated = false;
	fault(INSTRUCTION_ABORT | PERMISSION, 0x0e000200);
	assert_string_equal(fake_log_text(2),
			    "fault: VM bad vCPU 2: FAR 000000000e000200 IPA unknown: its own "
			    "tables say where");
	/* On a walk of the guest's tables HPFAR_EL2 is the table's. */
	fault(INSTRUCTION_ABORT | 1ul << 7 | PERMISSION, 0x0e000200);
	assert_true(fake_log_has("IPA 000e000200: 0x200 bytes into Weir's shared pages"));
	fault(DATA_ABORT | 1ul << 10 | 0x10, 0x0e000200); /* FnV: there is no address */
	assert_int_equal(fake_log_count(), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(start, the_report_says_who_why_what_and_where),
		RUN_AFTER(start, of_two_that_fault_at_once_the_first_is_reported_and_ends_the_vm),
		RUN_AFTER(start, each_status_has_its_words),
		RUN_AFTER(start, the_access_is_told_as_far_as_the_syndrome_tells_it),
		RUN_AFTER(start, other_exceptions_have_a_name_and_no_address),
		RUN_AFTER(start, each_region_of_the_vm_is_known_from_its_first_byte_to_its_last),
		RUN_AFTER(start, where_nothing_is_the_nearest_region_is_named),
		RUN_AFTER(start, of_a_permission_fault_the_ipa_is_told_only_where_it_is_known),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
