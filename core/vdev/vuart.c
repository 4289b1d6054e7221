/*
 * The PL011 that a VM sees (ARM DDI 0183), one line at a time to the console.
 *
 * Owns:  vm->uart; for each core who wrote a part of a line there that nobody sees yet.
 * Locks: vm->uart.lock around the model; FR is read without it, for guests poll it before each
 * byte. What is a core's own needs none.
 *
 * A part of a line is shown when the VM has been silent at several looks that follow each other. They
 * are many until somebody types at the VM, for a VM, or the whole machine where that is emulated, may
 * be held up at any byte, and a line that is shown too early is broken in two by another VM's.
 */
#include "core/vdev/vuart.h"
#include "arch/arm64/cpu.h"
#include "core/base/escape.h"
#include "core/console.h"
#include "core/vdev/virtio_console.h"
#include "core/vm.h"
#include "drivers/pl011.h"

#define LOOK_US	    25000u
#define LOOKS	    30u
#define LOOKS_TYPED 2u

static struct watch {
	struct timeout timeout; /* the next look */
	u64 vms;		/* bit n: VM n */
} watches[MAX_PCPUS];

static const u8 id[] = { 0x11, 0x10, 0x14, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };

static bool has_fifo(const struct vuart *uart)
{
	return (uart->line_control & PL011_LCR_H_FEN) != 0;
}

/*
 * After every change: what FR says and what the interrupt's line is follow from the rest. `stuck`
 * is whether a finished line waits for the console; it is the only state that FR itself holds.
 */
static void update(struct vm *vm, bool stuck) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;
	u32 flags = stuck ? PL011_FR_TXFF | PL011_FR_BUSY : PL011_FR_TXFE;
	bool level = (uart->raw & uart->mask) != 0;

	if (!uart->fifo_count)
		flags |= PL011_FR_RXFE;
	if (uart->fifo_count >= (has_fifo(uart) ? VUART_FIFO : 1))
		flags |= PL011_FR_RXFF;
	__atomic_store_n(&uart->flags, flags, __ATOMIC_RELAXED);
	if (level == uart->interrupt)
		return;
	uart->interrupt = level;
	vgic_set_line(vm, VM_UART_INTID, level);
}

static bool is_stuck(const struct vuart *uart)
{
	return (uart->flags & PL011_FR_TXFF) != 0;
}

/* Gives the line to the console; false: it stays here, and vuart_resume() will be called. */
static bool print_line(struct vm *vm) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;

	if (!console_vm_line(vm, uart->line, uart->line_length))
		return false;
	uart->line_length = 0;
	return true;
}

/* ---- Lines that have not ended --------------------------------------------------------------- */

/* It has the byte that comes next ready, perhaps, and does not get to writing it. */
static bool held_up(const struct vcpu *writer)
{
	enum vcpu_run run = read_once(writer->run);

	return run == VCPU_READY || run == VCPU_THROTTLED;
}

/* False: there is no need to look again. `offered`: the console was to show it. */
static bool look_at(struct vm *vm, bool *offered)
{
	struct vuart *uart = &vm->uart;
	u32 looks = uart->typed ? LOOKS_TYPED : LOOKS;
	bool again;

	spin_lock(&vm->uart.lock);
	again = uart->line_length && !is_stuck(uart);
	*offered = again && !held_up(uart->writer) && ++uart->silent >= looks;
	if (*offered)
		again = !console_vm_part(vm, uart->line, uart->line_length);
	spin_unlock(&vm->uart.lock);
	return again;
}

static void look_later(struct watch *watch)
{
	timeout_set(&watch->timeout, timer_now() + timer_from_us(LOOK_US));
}

/* To show a part takes long: the VMs behind it are looked at next time. */
static void look(struct timeout *timeout)
{
	struct watch *watch = container_of(timeout, struct watch, timeout);
	bool offered = false;

	for (u64 left = watch->vms; left && !offered; left &= left - 1) {
		if (!look_at(vm_get((u32)__builtin_ctzl(left)), &offered))
			watch->vms &= ~(left & -left);
	}
	if (watch->vms)
		look_later(watch);
}

static void watch_line(struct vm *vm)
{
	struct watch *watch = &watches[cpu_index()];

	if (!watch->timeout.expired)
		timeout_init(&watch->timeout, look);
	watch->vms |= BIT(vm->id);
	if (!timeout_pending(&watch->timeout))
		look_later(watch);
}

static void forget_line(struct vm *vm)
{
	struct watch *watch = &watches[cpu_index()];

	watch->vms &= ~BIT(vm->id);
	if (!watch->vms && watch->timeout.expired)
		timeout_cancel(&watch->timeout);
}

/* The line has changed, and not ended. */
static void continue_line(struct vm *vm) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;

	uart->silent = 0;
	if (!console_shows(vm) || !console_vm_part(vm, uart->line, uart->line_length))
		watch_line(vm);
}

/* ---- Registers ------------------------------------------------------------------------------- */

/*
 * Control characters could move the cursor and so speak in another's name: only the tab passes. CR
 * is dropped because the console ends its lines itself.
 */
static bool printable(u8 byte)
{
	return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

/* False: nothing has changed. */
static bool edit_line(struct vuart *uart, u8 byte)
{
	u32 length = uart->line_length;

	if (escape_has(&uart->escape, byte))
		return false;
	/* The bytes of UTF-8 are not a column each: taken back one by one they would eat the name. */
	if (byte == '\b' && length && (u8)uart->line[length - 1] < 0x80)
		uart->line_length--;
	else if (printable(byte))
		uart->line[uart->line_length++] = (char)byte;
	return uart->line_length != length;
}

/* As far as the end of a line, and how far that is; a byte at least. */
static u32 take_bytes(struct vm *vm, const u8 *bytes, u32 count) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;
	bool printed = true, changed = false, whole = false;
	u32 taken = 0;

	while (taken < count && !whole) {
		u8 byte = bytes[taken++];

		if (byte == '\n')
			uart->escape = 0;
		else
			changed |= edit_line(uart, byte);
		whole = byte == '\n' || uart->line_length == VUART_LINE;
	}
	if (whole) {
		forget_line(vm);
		printed = print_line(vm);
	} else if (changed) {
		continue_line(vm);
	}
	if (printed)
		uart->raw |= PL011_INT_TX;
	else
		uart->raw &= ~PL011_INT_TX;
	update(vm, !printed);
	return taken;
}

u32 vuart_print(struct vcpu *self, const u8 *bytes, u32 count)
{
	struct vm *vm = self->vm;
	u32 taken = 0;

	spin_lock(&vm->uart.lock);
	if (!is_stuck(&vm->uart)) {
		vm->uart.writer = self;
		taken = take_bytes(vm, bytes, count);
	}
	spin_unlock(&vm->uart.lock);
	return taken;
}

static u32 read_data(struct vm *vm) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;
	u8 byte;

	if (!uart->fifo_count)
		return 0;
	byte = uart->fifo[uart->fifo_head];
	uart->fifo_head = (uart->fifo_head + 1) % VUART_KEPT;
	if (!--uart->fifo_count)
		uart->raw &= ~PL011_INT_RX;
	update(vm, is_stuck(uart));
	return byte;
}

/* Registers without an effect when read. */
static u32 read_plain(const struct vuart *uart, u32 offset)
{
	switch (offset) {
	case PL011_FR:
		return uart->flags;
	case PL011_IBRD:
		return uart->integer_baud;
	case PL011_FBRD:
		return uart->fraction_baud;
	case PL011_LCR_H:
		return uart->line_control;
	case PL011_CR:
		return uart->control;
	case PL011_IFLS:
		return uart->fifo_levels;
	case PL011_IMSC:
		return uart->mask;
	case PL011_RIS:
		return uart->raw;
	case PL011_MIS:
		return uart->raw & uart->mask;
	default:
		/* Reserved, and what reads as zero here: RSR, ICR, DMACR (there is no DMA). */
		return offset >= PL011_ID ? id[(offset - PL011_ID) / 4 % sizeof(id)] : 0;
	}
}

static void write_plain(struct vm *vm, u32 offset, u32 value) NEEDS(vm->uart.lock)
{
	struct vuart *uart = &vm->uart;

	switch (offset) {
	case PL011_IBRD:
		uart->integer_baud = value & 0xffff;
		break;
	case PL011_FBRD:
		uart->fraction_baud = value & 0x3f;
		break;
	case PL011_LCR_H:
		uart->line_control = value & 0xff;
		break;
	case PL011_CR:
		uart->control = value & 0xffff;
		break;
	case PL011_IFLS:
		uart->fifo_levels = value & 0x3f;
		break;
	case PL011_IMSC:
		uart->mask = value & PL011_INT_ALL;
		break;
	case PL011_ICR:
		uart->raw &= ~value;
		break;
	default:
		break; /* reserved, read-only, ECR (no error ever), DMACR */
	}
	update(vm, is_stuck(uart));
}

/* The bytes of `word` that a narrow write replaces; registers that cannot be read count as zero. */
static u32 merged(u32 word, const struct mmio *access)
{
	u32 shift = 8 * (access->offset & 3);
	u32 bits = access->bytes < 4 ? (1u << (8 * access->bytes)) - 1 : ~0u;

	return (word & ~(bits << shift)) | (((u32)access->value & bits) << shift);
}

static void write_register(struct vm *vm, const struct mmio *access) NEEDS(vm->uart.lock)
{
	u32 offset = (u32)access->offset & ~3u;

	u8 byte = (u8)access->value;

	/* A byte written while FR says full is lost, as in hardware. */
	if (access->offset == PL011_DR && !is_stuck(&vm->uart))
		take_bytes(vm, &byte, 1);
	else if (offset != PL011_DR)
		write_plain(vm, offset, merged(read_plain(&vm->uart, offset), access));
}

static u64 read_register(struct vm *vm, const struct mmio *access) NEEDS(vm->uart.lock)
{
	u32 offset = (u32)access->offset & ~3u;
	u32 word = offset == PL011_DR ? read_data(vm) : read_plain(&vm->uart, offset);
	u32 value = mmio_extract(access, word);

	return access->bytes < 4 ? value & ((1u << (8 * access->bytes)) - 1) : value;
}

/* Everything but the reads that guests poll. */
static APART bool access_register(struct vcpu *self, struct mmio *access)
{
	struct vm *vm = self->vm;

	/* A guest that polls because its line is stuck drives the console on, interrupt or not. */
	if (access->offset == PL011_FR && is_stuck(&vm->uart))
		console_service();
	spin_lock(&vm->uart.lock);
	if (access->write) {
		vm->uart.writer = self;
		write_register(vm, access);
	} else {
		access->value = read_register(vm, access);
	}
	spin_unlock(&vm->uart.lock);
	return true;
}

bool vuart_mmio(struct vcpu *self, struct mmio *access)
{
	struct vm *vm = self->vm;
	u32 flags = __atomic_load_n(&vm->uart.flags, __ATOMIC_RELAXED);

	if (access->bytes > 4)
		return false; /* the peripheral bus is 32 bits wide */
	if (access->write || access->offset != PL011_FR || (flags & PL011_FR_TXFF))
		return access_register(self, access);
	access->value = flags;
	return true;
}

bool vuart_receive(struct vm *vm, u8 byte)
{
	struct vuart *uart = &vm->uart;
	bool room;

	if (!(read_once(uart->mask) & PL011_INT_RX) && virtio_console_receive(vm, byte))
		return true;
	spin_lock(&vm->uart.lock);
	room = uart->fifo_count < (has_fifo(uart) ? VUART_KEPT : 1);
	if (room) {
		uart->fifo[(uart->fifo_head + uart->fifo_count++) % VUART_KEPT] = byte;
		uart->raw |= PL011_INT_RX;
		uart->typed = true;
		update(vm, is_stuck(uart));
	}
	spin_unlock(&vm->uart.lock);
	return room;
}

void vuart_flush(struct vm *vm)
{
	struct vuart *uart = &vm->uart;

	spin_lock(&vm->uart.lock);
	if (uart->line_length && !is_stuck(uart))
		update(vm, !print_line(vm));
	spin_unlock(&vm->uart.lock);
}

void vuart_show(struct vm *vm)
{
	struct vuart *uart = &vm->uart;

	spin_lock(&vm->uart.lock);
	if (uart->line_length && !is_stuck(uart))
		console_vm_part(vm, uart->line, uart->line_length);
	spin_unlock(&vm->uart.lock);
}

/* The line goes out, and the guest learns by the raw transmit interrupt that it may write on. */
void vuart_resume(struct vm *vm)
{
	struct vuart *uart = &vm->uart;

	spin_lock(&vm->uart.lock);
	if (is_stuck(uart) && print_line(vm)) {
		uart->raw |= PL011_INT_TX;
		update(vm, false);
	}
	spin_unlock(&vm->uart.lock);
}

/* A line that the console did not take yet stays, and FR with it. */
void vuart_reset(struct vm *vm)
{
	struct vuart *uart = &vm->uart;

	spin_lock(&vm->uart.lock);
	uart->fifo_head = uart->fifo_count = 0;
	uart->line_control = uart->integer_baud = uart->fraction_baud = 0;
	uart->mask = uart->raw = 0;
	uart->control = PL011_CR_TXE | PL011_CR_RXE; /* the reset values of DDI 0183 3.3 */
	uart->fifo_levels = PL011_IFLS_RECEIVE_1_2 | PL011_IFLS_TRANSMIT_1_2;
	update(vm, is_stuck(uart));
	spin_unlock(&vm->uart.lock);
}
