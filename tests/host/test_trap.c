/*
 * The dispatch of exits: each is served by its own, and counts once.
 *
 * Sources: core/trap.c tests/host/fake/exit.c tests/host/fake/panic.c core/base/log.c
 */
#include <string.h>
#include "fake.h"
#include <weir/abi.h>
#include "arch/arm64/exit.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"
#include "core/vdev/vpsci.h"
#include "core/vdev/vsysreg.h"
#include "drivers/gic.h"

#define RAM_HOLE       0x20000000ul
#define CLASS(ec)      ((u64)(ec) << 26 | 1ul << 25)
#define DATA_ABORT     CLASS(0x24)
#define UNMAPPED       0x06ul	   /* translation fault, level 2 */
#define ISV_WORD       (3ul << 23) /* ISV, 4 bytes, into x0 */
#define REGISTER_NONE  0x3ul
#define REGISTER_AGAIN 0x5ul

static struct vm vm;
static u32 needed;
static struct vcpu vcpu, other;
static const char *served;
static u32 version; /* of the GIC */
static u64 called;
static struct vcpu *posted;
static u32 aborts, undefined;
static bool window_shows;

void hypercall(struct vcpu *self, u64 number)
{
	called = number;
	assert_ptr_equal(self, &vcpu);
	served = "hypercall";
}

void vgic_posted(struct vcpu *self, struct vcpu *target)
{
	assert_ptr_equal(self, &vcpu);
	posted = target;
}

void vpsci_call(struct vcpu *self)
{
	assert_ptr_equal(self, &vcpu);
	served = "psci";
}

bool vgic_mmio_distributor(struct vcpu *self, struct mmio *access)
{
	(void)self;
	access->value = 0x1234;
	served = "distributor";
	return true;
}

bool vgic_mmio_redistributor(struct vcpu *self, struct mmio *access)
{
	(void)self;
	(void)access;
	served = "redistributor";
	return true;
}

bool vgic_mmio_deactivate(struct vcpu *self, struct mmio *access)
{
	(void)self;
	(void)access;
	served = "deactivation";
	return true;
}

void virtio_mmio(struct vcpu *self, struct mmio *access)
{
	(void)self;
	(void)access;
	served = "virtio";
}

bool vuart_mmio(struct vcpu *self, struct mmio *access)
{
	(void)self;
	served = "uart";
	return access->bytes <= 4;
}

u32 gic_version(void)
{
	return version;
}

bool ipc_window_shows(struct vm *of, ipa_t ipa)
{
	(void)of;
	(void)ipa;
	return window_shows;
}

enum vsysreg vsysreg_access(struct vcpu *self, u64 syndrome)
{
	(void)self;
	served = "sysreg";
	if ((syndrome & 0xffff) == REGISTER_NONE)
		return VSYSREG_NONE;
	return (syndrome & 0xffff) == REGISTER_AGAIN ? VSYSREG_AGAIN : VSYSREG_DONE;
}

void arch_vcpu_take_keys(struct arch_vcpu *arch)
{
	(void)arch;
	served = "keys";
}

void arch_inject_abort(bool instruction, u64 far)
{
	(void)instruction; /* the PC stays: its vector is where it was */
	(void)far;
	aborts++;
}

void arch_inject_undefined(void)
{
	undefined++;
}

void arch_vcpu_take_fp(struct arch_vcpu *arch)
{
	(void)arch;
	served = "fp";
}

void sched_block(void)
{
	served = "block";
}

struct vcpu *sched_next(void)
{
	return &other;
}

void irq_handle(struct vcpu *current)
{
	assert_ptr_equal(current, &vcpu);
	served = "interrupt";
}

void vm_fault(struct vcpu *self, const char *what)
{
	(void)self;
	(void)what;
	served = "fault";
}

static int start(void **state)
{
	(void)state;
	memset(&vcpu, 0, sizeof(vcpu));
	vm = (struct vm){ .vcpu_count = 1 };
	vcpu.vm = &vm;
	vcpu.sched_needed = &needed;
	needed = window_shows = false;
	aborts = undefined = 0;
	version = 3;
	fake_exit = (struct fake_exit){ .pc = 0x40000000 };
	served = "";
	return 0;
}

/* Exactly one exit was counted, for this reason. */
static void expect_counted(enum account_reason reason)
{
	for (u32 i = 0; i < ACCOUNT_REASONS; i++)
		assert_int_equal(vcpu.account.exit[i], i == (u32)reason);
	memset(&vcpu.account, 0, sizeof(vcpu.account));
}

static void leave_with(u64 syndrome)
{
	fake_exit.syndrome = syndrome;
	assert_null(trap_sync(&vcpu.arch));
}

/* As entry.S calls it. */
static void call(u32 function)
{
	vcpu.arch.x[0] = function;
	served = "";
	assert_null(trap_hvc(&vcpu.arch, function - WEIR_FN(0)));
}

TEST(calls_count_as_hypercalls_or_as_psci)
{
	call(WEIR_FN(WEIR_FN_VERSION));
	assert_string_equal(served, "hypercall");
	expect_counted(ACCOUNT_HYPERCALL);
	call(0x86000000); /* the same owner's, 32 bits wide */
	assert_string_equal(served, "hypercall");
	expect_counted(ACCOUNT_HYPERCALL);
	call(0x84000000);
	assert_string_equal(served, "psci");
	expect_counted(ACCOUNT_PSCI);
	leave_with(CLASS(0x17)); /* SMC */
	assert_int_equal(fake_exit.pc, 0x40000004);
	expect_counted(ACCOUNT_PSCI);
	leave_with(CLASS(0x16) | 7); /* HVC #7 */
	assert_int_equal(vcpu.arch.x[0], ~0ul);
	expect_counted(ACCOUNT_OTHER);
}

TEST(a_send_that_is_left_is_a_call_or_wakes_its_receiver)
{
	vcpu.arch.x[0] = WEIR_FN(WEIR_FN_EVENT_SEND);
	vcpu.arch.x[1] = 0x10000;
	posted = 0;
	assert_null(trap_sent(&vcpu.arch, SEND_CALL));
	assert_string_equal(served, "hypercall");
	assert_int_equal(called, WEIR_FN_EVENT_SEND);
	assert_int_equal(vcpu.arch.x[1], 0x10000);
	assert_null(posted);
	expect_counted(ACCOUNT_HYPERCALL);

	served = "";
	vcpu.told = &other;
	assert_null(trap_sent(&vcpu.arch, SEND_POSTED));
	assert_string_equal(served, "");
	assert_ptr_equal(posted, &other);
	assert_int_equal(vcpu.arch.x[0], WEIR_OK);
	assert_int_equal(vcpu.arch.x[1], 0);
	needed = true;
	assert_ptr_equal(trap_sent(&vcpu.arch, SEND_POSTED), &other.arch);
}

TEST(an_emulated_access_counts_as_mmio_and_is_skipped)
{
	fake_exit.ipa = IPA(VM_GICD_BASE);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_string_equal(served, "distributor");
	assert_int_equal(vcpu.arch.x[0], 0x1234);
	assert_int_equal(fake_exit.pc, 0x40000004);
	expect_counted(ACCOUNT_MMIO);
}

TEST(virtio_devices_answer_from_their_first_frame_to_their_last)
{
	fake_exit.ipa = IPA(VM_VIRTIO_BASE);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_string_equal(served, "virtio");
	expect_counted(ACCOUNT_MMIO);
	served = "";
	fake_exit.ipa = IPA(VM_VIRTIO_BASE + VM_VIRTIO_BYTES - 4);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_string_equal(served, "virtio");
	fake_exit.ipa = IPA(VM_VIRTIO_BASE + VM_VIRTIO_BYTES);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_int_equal(aborts, 1);
}

TEST(the_page_with_gicc_dir_answers_where_the_gic_has_one)
{
	version = 2;
	fake_exit.ipa = IPA(VM_GICC_DIR);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_string_equal(served, "deactivation");
	expect_counted(ACCOUNT_MMIO);
	fake_exit.ipa = IPA(VM_GICC_DIR + VM_GICC_DIR_BYTES);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_int_equal(aborts, 1);
	version = 3;
	fake_exit.ipa = IPA(VM_GICC_DIR);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_int_equal(aborts, 2);
}

TEST(an_access_to_nothing_counts_as_an_abort)
{
	fake_exit.ipa = IPA(RAM_HOLE);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_int_equal(aborts, 1);
	expect_counted(ACCOUNT_ABORT);
	fake_exit.ipa = IPA(VM_UART_BASE); /* without a syndrome that describes it */
	leave_with(DATA_ABORT | UNMAPPED);
	assert_int_equal(aborts, 2);
	expect_counted(ACCOUNT_ABORT);
	leave_with(DATA_ABORT | ISV_WORD | 0x0f); /* permission fault, level 3 */
	assert_int_equal(aborts, 3);
	expect_counted(ACCOUNT_ABORT);
	assert_int_equal(fake_exit.pc, 0x40000000);
}

TEST(an_access_that_is_tried_again_is_no_abort)
{
	fake_exit.ipa = IPA(VM_WINDOW_BASE);
	window_shows = true;
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_int_equal(aborts, 0);
	expect_counted(ACCOUNT_OTHER);
}

TEST(vectors_that_cannot_be_fetched_end_the_vm)
{
	leave_with(CLASS(0x20) | UNMAPPED);
	assert_int_equal(aborts, 1);
	assert_string_equal(served, "fault");
	expect_counted(ACCOUNT_ABORT);
}

TEST(the_rest_counts_by_its_class)
{
	leave_with(CLASS(0x01)); /* WFI */
	assert_string_equal(served, "block");
	expect_counted(ACCOUNT_WAIT);
	leave_with(CLASS(0x07));
	assert_string_equal(served, "fp");
	expect_counted(ACCOUNT_FP);
	leave_with(CLASS(0x18));
	assert_int_equal(undefined, 0);
	expect_counted(ACCOUNT_SYSREG);
	leave_with(CLASS(0x18) | REGISTER_NONE);
	assert_int_equal(undefined, 1);
	expect_counted(ACCOUNT_SYSREG);
	leave_with(CLASS(0x18) | REGISTER_AGAIN);
	assert_int_equal(undefined, 1);
	expect_counted(ACCOUNT_SYSREG);
	leave_with(CLASS(0x09));
	assert_string_equal(served, "keys");
	expect_counted(ACCOUNT_SYSREG);
	leave_with(CLASS(0x00));
	assert_int_equal(undefined, 2);
	expect_counted(ACCOUNT_OTHER);
	trap_irq(&vcpu.arch);
	assert_string_equal(served, "interrupt");
	expect_counted(ACCOUNT_INTERRUPT);
	trap_serror(&vcpu.arch);
	assert_string_equal(served, "fault");
	expect_counted(ACCOUNT_OTHER);
}

TEST(the_scheduler_is_asked_when_it_has_something_to_decide)
{
	needed = true;
	assert_ptr_equal(trap_irq(&vcpu.arch), &other.arch);
	needed = false;
	assert_null(trap_irq(&vcpu.arch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(start, calls_count_as_hypercalls_or_as_psci),
		RUN_AFTER(start, a_send_that_is_left_is_a_call_or_wakes_its_receiver),
		RUN_AFTER(start, an_emulated_access_counts_as_mmio_and_is_skipped),
		RUN_AFTER(start, virtio_devices_answer_from_their_first_frame_to_their_last),
		RUN_AFTER(start, the_page_with_gicc_dir_answers_where_the_gic_has_one),
		RUN_AFTER(start, an_access_to_nothing_counts_as_an_abort),
		RUN_AFTER(start, an_access_that_is_tried_again_is_no_abort),
		RUN_AFTER(start, vectors_that_cannot_be_fetched_end_the_vm),
		RUN_AFTER(start, the_rest_counts_by_its_class),
		RUN_AFTER(start, the_scheduler_is_asked_when_it_has_something_to_decide),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
