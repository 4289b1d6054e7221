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
#define ISV	       (1ul << 24)
#define SIZE(power)    ((u64)(power) << 22)
#define SIGNED	       (1ul << 21)
#define WIDE	       (1ul << 15)
#define WRITE	       (1ul << 6)
#define REGISTER_NONE  0x3ul
#define REGISTER_AGAIN 0x5ul

static struct vm vm;
static u32 needed;
static struct vcpu vcpu, other;
static const char *served;
static u32 version; /* of the GIC */
static u64 called, answer;
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
	if (!access->write)
		access->value = answer;
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
	answer = 0x1234;
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

static void expect_served(u64 ipa, const char *by, u64 offset)
{
	served = "";
	fake_exit.ipa = IPA(ipa);
	leave_with(DATA_ABORT | ISV_WORD | UNMAPPED);
	assert_string_equal(served, by);
	if (*by)
		assert_int_equal(vcpu.mmio.offset, offset);
}

/* Also what differs from an address of theirs only in bits that no address of the VM has. */
TEST(each_device_answers_from_its_first_word_to_its_last_and_gets_the_offset)
{
	static const struct {
		u64 base, bytes;
		const char *by;
	} device[] = {
		{ VM_GICD_BASE, VM_GICD_BYTES, "distributor" },
		{ VM_UART_BASE, VM_UART_BYTES, "uart" },
		{ VM_GICR_BASE, 2 * VM_GICR_STRIDE, "redistributor" },
		{ VM_VIRTIO_BASE, VM_VIRTIO_BYTES, "virtio" },
	};

	vm.vcpu_count = 2;
	for (u32 i = 0; i < ARRAY_SIZE(device); i++) {
		u64 base = device[i].base, last = device[i].bytes - 4;

		expect_served(base, device[i].by, 0);
		expect_served(base + 0x64, device[i].by, 0x64);
		expect_served(base + last, device[i].by, last);
		for (u32 bit = 28; bit < 52; bit++)
			expect_served(base | 1ul << bit, "", 0);
		expect_served(base + device[i].bytes, "", 0);
		if (base != VM_GICD_BASE) /* below which is the flash, and that answers, too */
			expect_served(base - 4, "", 0);
	}
	vm.vcpu_count = 1;
	expect_served(VM_GICR_BASE + VM_GICR_STRIDE, "", 0);
}

static u64 loaded(u64 syndrome, u64 value)
{
	answer = value;
	vcpu.arch.x[3] = 0x5555555555555555;
	leave_with(DATA_ABORT | ISV | 3ul << 16 | syndrome | UNMAPPED);
	return vcpu.arch.x[3];
}

static u64 stored(u64 syndrome, u32 rt, u64 value)
{
	vcpu.arch.x[3] = value;
	leave_with(DATA_ABORT | ISV | (u64)rt << 16 | WRITE | syndrome | UNMAPPED);
	assert_int_equal(vcpu.arch.x[3], value);
	return vcpu.mmio.value;
}

TEST(a_value_has_the_size_and_the_sign_of_its_access)
{
	fake_exit.ipa = IPA(VM_GICD_BASE);
	assert_int_equal(loaded(SIZE(2), 0x89abcdef), 0x89abcdef);
	assert_int_equal(loaded(SIZE(0) | SIGNED, 0x80), 0xffffff80);
	assert_int_equal(loaded(SIZE(1) | SIGNED | WIDE, 0x8000), 0xffffffffffff8000);
	assert_int_equal(loaded(SIZE(2) | SIGNED | WIDE, 0x7fffffff), 0x7fffffff);
	leave_with(DATA_ABORT | ISV_WORD | 31ul << 16 | UNMAPPED); /* into xzr */
	assert_int_equal(stored(SIZE(0), 3, 0x1122334455667788), 0x88);
	assert_int_equal(stored(SIZE(2), 3, 0x1122334455667788), 0x55667788);
	assert_int_equal(stored(SIZE(3), 3, 0x1122334455667788), 0x1122334455667788);
	assert_int_equal(stored(SIZE(2), 31, 0x1122334455667788), 0);
	assert_true(vcpu.mmio.write);
	assert_int_equal(aborts, 0);
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
		RUN_AFTER(start,
			  each_device_answers_from_its_first_word_to_its_last_and_gets_the_offset),
		RUN_AFTER(start, a_value_has_the_size_and_the_sign_of_its_access),
		RUN_AFTER(start, an_access_to_nothing_counts_as_an_abort),
		RUN_AFTER(start, an_access_that_is_tried_again_is_no_abort),
		RUN_AFTER(start, vectors_that_cannot_be_fetched_end_the_vm),
		RUN_AFTER(start, the_rest_counts_by_its_class),
		RUN_AFTER(start, the_scheduler_is_asked_when_it_has_something_to_decide),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
