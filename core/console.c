/*
 * The console: one ring of bytes between everything that prints and the UART.
 *
 * Owns:  the ring, the VMs that wait for room, the UART's driver after boot.
 * Locks: `lock`, the innermost of all. vuart_resume() and vuart_receive() are called without it.
 */
#include "core/console.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/lock.h"
#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"
#include "core/irq.h"
#include "core/vm.h"
#include "drivers/uart.h"

#define RING_BYTES 8192u /* a power of two: positions run freely */

/* Longest line of a VM: "[" name "] " text CR LF; names of the manifest have at most 31 bytes. */
#define VM_LINE_BYTES (VUART_LINE + 31u + 3u + 2u)
/* VMs leave that much to Weir, whose lines cannot wait. */
#define WEIR_BYTES 2048u
/* After a loss, lines go on when there is room for some of them, so that one report tells of them
 * all. */
#define REPORT_BYTES 1024u

/* What the hardware FIFO holds at most; more is taken by the next interrupt. */
#define RECEIVE_AT_ONCE 32u
/* So often without progress, and the UART is taken for dead. */
#define STUCK_POLLS 1000000u

static struct spinlock lock;
static char ring[RING_BYTES];
static u32 ring_in, ring_out;
static u32 lost_lines;		 /* of Weir, since the last that fitted */
static u64 waiting;		 /* bit n: VM n has a line that did not fit */
static u32 last_served;		 /* turns go round from here */
static const struct vm *serving; /* the waiting VM whose turn it is */
static u32 transmit_intid;	 /* 0: nobody drains but who prints */
static bool transmit_on;
static u32 panicking; /* atomic: a core has the UART for itself, for ever */

static u32 ring_room(void)
{
	return RING_BYTES - (ring_in - ring_out);
}

static void ring_put(const char *bytes, size_t count) NEEDS(lock)
{
	for (size_t i = 0; i < count; i++)
		ring[ring_in++ % RING_BYTES] = bytes[i];
}

/* The interrupt is wanted while something is left to be done when the UART has room. */
static void update_interrupt(const struct uart_ops *uart) NEEDS(lock)
{
	bool want = transmit_intid && (ring_in != ring_out || waiting);

	if (want == transmit_on)
		return;
	transmit_on = want;
	uart->transmit_interrupt(want);
}

static void drain(void) NEEDS(lock)
{
	const struct uart_ops *uart = uart_get();

	if (!uart)
		return;
	while (ring_in != ring_out && uart->put((u8)ring[ring_out % RING_BYTES]))
		ring_out++;
	update_interrupt(uart);
}

/* One line into the ring, all or nothing. Without a UART lines go nowhere and nobody waits. */
static bool put_line(const char *owner, const char *text, size_t length) NEEDS(lock)
{
	size_t name_length = owner ? strlen(owner) : 0;
	size_t bytes = length + 2 + (owner ? name_length + 3 : 0);

	if (!uart_get())
		return true;
	if (bytes > ring_room())
		return false;
	if (owner) {
		ring_put("[", 1);
		ring_put(owner, name_length);
		ring_put("] ", 2);
	}
	ring_put(text, length);
	ring_put("\r\n", 2);
	return true;
}

/* The gap is reported where it is: before the first line that fits again. */
static void report_lost(void) NEEDS(lock)
{
	char text[40];
	size_t length;

	if (!lost_lines || ring_room() < REPORT_BYTES)
		return;
	length = format_text(text, sizeof(text), "weir: %u lines lost", lost_lines);
	if (put_line(0, text, length))
		lost_lines = 0;
}

static bool take_line(const char *owner, const char *text, size_t length) NEEDS(lock)
{
	bool fits;

	drain();
	report_lost();
	fits = !lost_lines && put_line(owner, text, length);
	drain();
	return fits;
}

bool console_line(const char *owner, const char *text, size_t length)
{
	bool fits;

	spin_lock(&lock);
	fits = take_line(owner, text, length);
	spin_unlock(&lock);
	return fits;
}

/* Room is judged by the longest line, so that short lines do not overtake long ones for ever. */
static bool has_room(void) NEEDS(lock)
{
	return ring_room() >= VM_LINE_BYTES + WEIR_BYTES;
}

bool console_vm_line(struct vm *vm, const char *text, size_t length)
{
	bool fits;

	spin_lock(&lock);
	drain();
	fits = has_room() && (!waiting || serving == vm) &&
	       put_line(vm->config->name, text, length);
	if (!fits)
		waiting |= BIT(vm->id);
	drain();
	spin_unlock(&lock);
	return fits;
}

bool console_has_room(void)
{
	bool room;

	spin_lock(&lock);
	room = has_room();
	spin_unlock(&lock);
	return room;
}

/* The next VM whose turn it is, 0 if none waits. */
static struct vm *next_waiting(void) NEEDS(lock)
{
	if (!waiting)
		return 0;
	do
		last_served = (last_served + 1) % MAX_VMS;
	while (!(waiting & BIT(last_served)));
	waiting &= ~BIT(last_served);
	return vm_get(last_served);
}

/* Chooses at most one VM at a time: `serving` is what lets it pass the others that wait. */
static struct vm *begin_turn(void)
{
	struct vm *vm = 0;

	spin_lock(&lock);
	drain();
	report_lost();
	if (!serving && has_room())
		vm = next_waiting();
	serving = vm ? vm : serving;
	drain();
	spin_unlock(&lock);
	return vm;
}

static void end_turn(void)
{
	spin_lock(&lock);
	serving = 0;
	drain();
	spin_unlock(&lock);
}

void console_service(void)
{
	struct vm *vm = begin_turn();

	if (!vm)
		return;
	vuart_resume(vm);
	end_turn();
}

/* The VM that what is typed goes to: the first with the right, else the first. */
static struct vm *input_vm(void)
{
	struct vm *first = 0;

	for (u32 id = 0; id < vm_count(); id++) {
		struct vm *vm = vm_get(id);

		if (vm && (vm->config->rights & RIGHT_CONSOLE))
			return vm;
		if (vm && !first)
			first = vm;
	}
	return first;
}

static int receive_byte(const struct uart_ops *uart)
{
	int byte;

	spin_lock(&lock);
	byte = uart->get();
	spin_unlock(&lock);
	return byte;
}

/* A byte for which the VM has no room is lost, as on a wire without flow control. */
static void receive(const struct uart_ops *uart)
{
	struct vm *vm = input_vm();

	for (u32 i = 0; i < RECEIVE_AT_ONCE; i++) {
		int byte = receive_byte(uart);

		if (byte < 0)
			return;
		if (vm)
			vuart_receive(vm, (u8)byte);
	}
}

static void interrupt(void *context)
{
	const struct uart_ops *uart = context;

	uart->interrupt_clear();
	receive(uart);
	console_service();
}

/* Weir's own lines: they are not kept for later, but that they were there is told. */
static void print_own(const char *line, size_t length)
{
	spin_lock(&lock);
	if (!take_line(0, line, length))
		lost_lines++;
	spin_unlock(&lock);
}

bool console_init(const char *compatible, u32 compatible_bytes, void *registers)
{
	if (!uart_init(compatible, compatible_bytes, registers))
		return false;
	log_set_sink(print_own);
	return true;
}

void console_enable_interrupt(u32 intid)
{
	if (!intid || !uart_get())
		return;
	irq_register(intid, 0, false, interrupt, (void *)uart_get());
	spin_lock(&lock);
	transmit_intid = intid;
	drain();
	spin_unlock(&lock);
}

/* Waits for room in the FIFO; false: the UART is dead. Only when the machine ends. */
static bool put_polling(const struct uart_ops *uart, char byte)
{
	for (u32 i = 0; i < STUCK_POLLS; i++) {
		if (uart->put((u8)byte))
			return true;
		cpu_relax();
	}
	return false;
}

static bool drain_polling(const struct uart_ops *uart)
{
	for (; ring_in != ring_out; ring_out++) {
		if (!put_polling(uart, ring[ring_out % RING_BYTES]))
			return false;
	}
	return true;
}

static bool flush_ring(const struct uart_ops *uart)
{
	bool alive;

	spin_lock(&lock);
	alive = drain_polling(uart);
	spin_unlock(&lock);
	return alive;
}

static void wait_idle(const struct uart_ops *uart)
{
	for (u32 i = 0; i < STUCK_POLLS && !uart->idle(); i++)
		cpu_relax();
}

void console_flush(void)
{
	const struct uart_ops *uart = uart_get();

	/* Each turn is one VM's line; a VM that still runs could keep it up for ever. */
	for (u32 turn = 0; uart && turn < MAX_VMS && flush_ring(uart); turn++)
		console_service();
	if (uart && flush_ring(uart))
		wait_idle(uart);
}

static void panic_print(const struct uart_ops *uart, const char *text)
{
	drain_polling(uart); /* what led here; without the lock: this core may hold it */
	while (*text)
		put_polling(uart, *text++);
	put_polling(uart, '\r');
	put_polling(uart, '\n');
	wait_idle(uart);
}

/*
 * Of several cores the first speaks: the others' misfortune is most likely its consequence, and a
 * panic within the panic must not start over.
 */
void panic(const char *format, ...)
{
	const char prefix[] = "weir: panic: ";
	char text[256];
	va_list arguments;

	memcpy(text, prefix, sizeof(prefix));
	va_start(arguments, format);
	format_text_v(text + sizeof(prefix) - 1, sizeof(text) - sizeof(prefix) + 1, format,
		      arguments);
	va_end(arguments);
	if (!__atomic_exchange_n(&panicking, 1, __ATOMIC_ACQ_REL) && uart_get())
		panic_print(uart_get(), text);
	for (;;)
		cpu_wait();
}
