/*
 * Exits of a guest from any instruction that touches a device or a system register: two vCPUs on a core each, any syndrome,
 * any address around the devices, the empty virtio slots and the flash, v2 and v3; bytes that are typed, and a console that
 * has no room at times. What has to hold: the instruction is done or its abort is injected, never both; only the register
 * that it names changes, and holds no more than was read; the UART's FR, interrupt and receive FIFO are what follows from
 * all that was written, typed and read; a console's line is short and has no control characters.
 *
 * Sources: core/trap.c core/vdev/vuart.c core/vdev/vsysreg.c core/vdev/virtio.c core/vdev/vptimer.c
 * Sources: core/timeout.c
 * Sources: core/vdev/vgic.c core/vdev/vgic_lists.c core/vdev/vgic_registers.c core/vdev/vgic_hardware.c
 * Sources: core/vdev/vgic_wake.c core/vdev/vgic_v2.c core/vdev/vgic_v3.c
 * Sources: tests/fuzz/input.c tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c tests/host/fake/exit.c tests/host/fake/heap.c
 * Sources: tests/host/fake/virtio_console.c
 */
#include <string.h>
#include "fake.h"
#include "input.h"
#include "list_regs.h"
#include "arch/arm64/cpu.h"
#include "core/console.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/sched.h"
#include "core/vdev/vpsci.h"
#include "core/vdev/vsysreg.h"
#include "core/vdev/vuart.h"
#include "drivers/pl011.h"

#define VCPUS	   2u
#define STEPS_MAX  2000u
#define EC_SYSREG  0x18ul
#define EC_ABORT   0x24ul
#define ISV	   (1ul << 24)
#define WRITE	   (1ul << 6)
#define UNMAPPED   0x05ul
#define PC	   0x40000000ul
#define REGISTERS  31u
#define TYPED_MANY 8u

static struct vm vm;
static struct vcpu vcpus[VCPUS];
static u32 needed, aborts, again, held, at;
static bool console_full, shows;
static struct {
	u8 byte[VUART_KEPT];
	u32 count;
} typed; /* and not read */

void machine_locks(const struct spinlock *lock);
void machine_unlocks(const struct spinlock *lock);

/* The UART's, and inside it the vGIC's. */
void machine_locks(const struct spinlock *lock)
{
	assert_true(held++ < 2);
	assert_true(held == 1 || lock == &vm.vgic.lock);
}

void machine_unlocks(const struct spinlock *lock)
{
	(void)lock;
	assert_true(held-- > 0);
}

/* ---- The rest of the hypervisor -------------------------------------------------------------- */

void hypercall(struct vcpu *self, u64 number)
{
	(void)self;
	(void)number;
	fail_msg("no hypercall was made");
}

void vpsci_call(struct vcpu *self)
{
	(void)self;
	fail_msg("no SMC was executed");
}

void irq_handle(struct vcpu *current)
{
	(void)current;
}

void vm_fault(struct vcpu *self, const char *what)
{
	(void)self;
	fail_msg("%s", what);
}

struct vcpu *sched_next(void)
{
	return &vcpus[at];
}

void sched_block(void)
{
}

void arch_inject_abort(bool instruction, u64 far)
{
	(void)far;
	assert_false(instruction);
	aborts++;
}

void arch_inject_undefined(void)
{
	aborts++;
}

void arch_vcpu_take_fp(struct arch_vcpu *arch)
{
	(void)arch;
}

/* And the instruction is executed again. */
void arch_vcpu_take_keys(struct arch_vcpu *arch)
{
	(void)arch;
	again++;
}

u64 arch_vcpu_debug(struct arch_vcpu *arch, u32 number, bool is_read, u64 value)
{
	assert_true(arch == &vcpus[at].arch && number < 0x800);
	return is_read ? number : value;
}

u64 cpu_id_register(u32 number, bool pmu)
{
	assert_true(number < 64 && !pmu);
	return (u64)number << 32 | 1;
}

bool ipc_window_shows(struct vm *of, ipa_t ipa)
{
	assert_true(of == &vm);
	return ipa.raw ==
	       VM_FLASH_BYTES; /* one place of which another core has just ended the grant */
}

void ipc_pages_hold(struct vm *of)
{
	(void)of;
	fail_msg("there is no queue");
}

bool ipc_pages_shared(const struct vm *of, pa_t pa, u64 bytes)
{
	return of->ram_bytes && pa.raw + bytes;
}

void ipc_pages_release(struct vm *of)
{
	(void)of;
}

bool vm_ram(const struct vm *of, ipa_t ipa, u64 bytes, pa_t *pa)
{
	*pa = PA(ipa.raw + bytes);
	return of->ram_bytes != 0;
}

struct vm *vm_get(u32 id)
{
	return id ? 0 : &vm;
}

static void check_text(const char *text, size_t length)
{
	assert_true(length <= VUART_LINE);
	for (size_t i = 0; i < length; i++)
		assert_true(text[i] == '\t' || ((u8)text[i] >= ' ' && text[i] != 0x7f));
}

bool console_vm_line(struct vm *of, const char *text, size_t length)
{
	assert_true(of == &vm);
	check_text(text, length);
	return !console_full;
}

bool console_vm_part(struct vm *of, const char *text, size_t length)
{
	assert_true(of == &vm);
	check_text(text, length);
	return !console_full;
}

bool console_shows(const struct vm *of)
{
	assert_true(of == &vm);
	return shows;
}

void console_service(void)
{
	assert_int_equal(held, 0);
	if (!console_full)
		vuart_resume(&vm);
}

/* ---- Moves ----------------------------------------------------------------------------------- */

static void on(u32 n)
{
	at = n;
	fake_cpu_set_index(n);
	fake_sched_set_current(&vcpus[n]);
}

static u64 some_place(void)
{
	static const u64 bases[] = { VM_GICD_BASE, VM_GICD_BASE,   VM_GICR_BASE,
				     VM_UART_BASE, VM_UART_BASE,   VM_UART_BASE,
				     VM_UART_BASE, VM_VIRTIO_BASE, 0 };
	static const u64 sizes[] = {
		VM_GICD_BYTES, 0x1000,		(VCPUS + 1) * VM_GICR_STRIDE, 0x50, 0x50, 0x50,
		VM_UART_BYTES, VM_VIRTIO_BYTES, VM_FLASH_BYTES + 0x100
	};
	u32 which = input_below(ARRAY_SIZE(bases));
	u64 offset = input_byte() | (u64)input_byte() << 8 | (u64)input_byte() << 16;

	if (which + 1 == ARRAY_SIZE(bases) && offset & 1) /* its end */
		return VM_FLASH_BYTES + offset % 0x200 - 0x100;
	return bases[which] + offset % sizes[which];
}

/* What the UART is, by all that was done to it. */
static void check_uart(void)
{
	const struct vuart *uart = &vm.uart;
	u32 room = uart->line_control & PL011_LCR_H_FEN ? VUART_FIFO : 1;
	u32 empty = uart->flags & PL011_FR_RXFE, full = uart->flags & PL011_FR_RXFF;

	assert_true(uart->line_length <= VUART_LINE);
	assert_int_equal(uart->fifo_count, typed.count);
	assert_int_equal(empty != 0, typed.count == 0);
	assert_int_equal(full != 0, typed.count >= room);
	assert_int_equal(uart->interrupt, (uart->raw & uart->mask) != 0);
	assert_int_equal(!(uart->flags & PL011_FR_TXFF), (uart->flags & PL011_FR_TXFE) != 0);
	check_text(uart->line, uart->line_length);
}

/* The register was, or was not to be, what was typed first. */
static void check_data(u64 value)
{
	u8 first = typed.byte[0];

	if (!typed.count) {
		assert_int_equal(value, 0);
		return;
	}
	memmove(typed.byte, typed.byte + 1, --typed.count);
	assert_int_equal(value, first);
}

static u64 limit(u64 syndrome, u32 bytes)
{
	bool is_signed = syndrome & 1ul << 21, wide = syndrome & 1ul << 15;

	if (is_signed)
		return wide ? ~0ul : UINT32_MAX;
	return bytes == 8 ? ~0ul : (1ul << 8 * bytes) - 1;
}

static void check_exit(u64 syndrome, u64 ipa, const u64 *before)
{
	const struct vcpu *self = &vcpus[at];
	u32 rt = syndrome >> 16 & 31, bytes = 1u << (syndrome >> 22 & 3);
	bool done = fake_exit.pc != PC, read = done && !(syndrome & WRITE);

	assert_true(!done || fake_exit.pc == PC + 4);
	assert_true(done + aborts == 1 || (!done && !aborts && ipa == VM_FLASH_BYTES));
	for (u32 i = 0; i < REGISTERS; i++)
		assert_true(self->arch.x[i] == before[i] || (read && i == rt));
	if (!done)
		return;
	assert_true(syndrome & ISV && ipa % bytes == 0);
	if (read && rt < REGISTERS)
		assert_true(self->arch.x[rt] <= limit(syndrome, bytes));
	if (ipa < VM_FLASH_BYTES && read && rt < REGISTERS && ipa < VM_GICD_BASE)
		assert_int_equal(self->arch.x[rt], 0);
	if ((ipa & ~3ul) != VM_UART_BASE || !read)
		return;
	if (ipa == VM_UART_BASE && rt < REGISTERS && !(syndrome & 1ul << 21))
		check_data(self->arch.x[rt]);
	else if (typed.count) /* a part of it, of which we only know that it is gone */
		memmove(typed.byte, typed.byte + 1, --typed.count);
}

static void move_access(void)
{
	struct vcpu *self = &vcpus[at];
	u64 before[REGISTERS], ipa = some_place(), how = input_byte();
	u32 sizes = input_byte(), rt = sizes >> 2 & 31;
	u64 syndrome = EC_ABORT << 26 | UNMAPPED | (u64)(sizes & 3) << 22 | (u64)rt << 16;

	syndrome |= (how & 15 ? ISV : 0) | (how & 16 ? WRITE : 0);
	syndrome |= (how & 32 ? 1ul << 15 : 0) | (how >> 6 == 1 ? 1ul << 21 : 0);
	if (how >> 6)
		ipa &= ~(u64)((1u << (sizes & 3)) - 1);
	if (how & 16 && rt < REGISTERS)
		self->arch.x[rt] = input_word();
	memcpy(before, self->arch.x, sizeof(before));
	fake_exit = (struct fake_exit){ .syndrome = syndrome, .pc = PC, .ipa = IPA(ipa) };
	aborts = 0;
	assert_null(trap_sync(&self->arch));
	check_exit(syndrome, ipa, before);
}

/* MRS, MSR, and system instructions that are trapped. */
static void move_register(void)
{
	/* ICC_SGI1R, SGI0R, ASGI1R, DIR, SRE; CNTP_TVAL, CTL, CVAL; OSLSR, ID_AA64PFR0, APIAKeyLo, DC CISW. */
	static const u32 encodings[] = {
		0x3a3016, 0x3e3016, 0x3c3016, 0x323016, 0x3a3018, 0x30f804,
		0x32f804, 0x34f804, 0x280402, 0x300008, 0x300802, 0x141c1c
	};
	struct vcpu *self = &vcpus[at];
	u32 which = input_byte(), how = input_byte(), rt = how >> 1 & 31;
	u64 syndrome = EC_SYSREG << 26 | rt << 5 | (how & 1), before[REGISTERS];

	if (which < 128)
		syndrome |= encodings[which % ARRAY_SIZE(encodings)] & ~0x3e1u;
	else
		syndrome |= (input_word() ^ (u64)input_byte() << 10) & 0x3ffc1e;
	if (rt < REGISTERS)
		self->arch.x[rt] = input_word();
	memcpy(before, self->arch.x, sizeof(before));
	fake_exit = (struct fake_exit){ .syndrome = syndrome, .pc = PC };
	aborts = again = 0;
	assert_null(trap_sync(&self->arch));
	assert_int_equal((fake_exit.pc == PC + 4) + aborts + again, 1);
	for (u32 i = 0; i < REGISTERS; i++)
		assert_true(self->arch.x[i] == before[i] ||
			    (how & 1 && !aborts && !again && i == rt));
}

static void move_type(void)
{
	for (u32 left = 1 + input_below(TYPED_MANY); left; left--) {
		u8 byte = input_byte();

		if (vuart_receive(&vm, byte))
			typed.byte[typed.count++] = byte;
		else
			assert_true(typed.count == VUART_KEPT ||
				    !(vm.uart.line_control & PL011_LCR_H_FEN));
	}
}

static void move_console(void)
{
	u32 what = input_byte();

	console_full = what & 1;
	shows = what & 2;
	if (what & 4 && !console_full)
		vuart_resume(&vm);
	if (what & 8)
		vuart_flush(&vm);
	if (what & 16)
		vuart_show(&vm);
}

static void move_print(void)
{
	u8 bytes[64];
	u32 count = 1 + input_below(sizeof(bytes)), taken;

	for (u32 i = 0; i < count; i++)
		bytes[i] = input_byte();
	taken = vuart_print(&vcpus[at], bytes, count);
	assert_true(taken <= count);
}

static void move_time(void)
{
	u64 deadline = fake_timer_el2_deadline();

	if (deadline == UINT64_MAX)
		return;
	fake_timer_set(deadline);
	timeout_interrupt();
}

/* The VM begins anew; what it has not read is gone, what it has written stays. */
static void move_life(void)
{
	if (input_byte() & 7)
		return;
	vuart_flush(&vm);
	vuart_reset(&vm);
	typed.count = 0;
}

static void (*const moves[])(void) = { move_access,  move_access, move_access, move_access,
				       move_access,  move_access, move_access, move_register,
				       move_type,    move_type,	  move_print,  move_console,
				       move_console, move_time,	  move_time,   move_life };

static void begin(u32 version)
{
	static bool timeouts[VCPUS];

	fake_sched_reset();
	fake_list_regs_reset(version);
	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	typed.count = held = needed = 0;
	console_full = shows = false;
	vm.vcpu_count = VCPUS;
	for (u32 i = 0; i < VCPUS; i++) {
		vm.vcpu[i] = &vcpus[i];
		vcpus[i] =
			(struct vcpu){ .vm = &vm, .index = i, .core = i, .sched_needed = &needed };
	}
	vgic_init(&vm);
	vuart_reset(&vm);
	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		if (!timeouts[i])
			timeout_init_core();
		timeouts[i] = true;
		vptimer_init(&vcpus[i].ptimer);
		vgic_load(&vcpus[i]);
	}
}

/* No line is watched any more by this core, for the next input. */
static void end(void)
{
	console_full = false;
	vuart_resume(&vm);
	vuart_flush(&vm);
	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		for (u32 times = 0; times < 100 && fake_timer_el2_deadline() != UINT64_MAX; times++)
			move_time();
		vptimer_reset(&vcpus[i].ptimer);
		vgic_save(&vcpus[i]);
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	input_set(data, bytes);
	input_next();
	begin(2 + (input_byte() & 1));
	for (u32 i = 0; i < STEPS_MAX && input_next(); i++) {
		on(input_below(VCPUS));
		moves[input_below(ARRAY_SIZE(moves))]();
		assert_int_equal(held, 0);
		check_uart();
		fake_sched_reset();
	}
	end();
	return 0;
}
