/*
 * The console: one ring of bytes between everything that prints and the UART.
 *
 * Owns:  the ring, the VMs that wait for room, the UART's driver after boot, and what of a line
 *	  that has not ended is on the terminal.
 * Locks: `lock`, the innermost of all. vuart_resume() and monitor_*() are called without it.
 *
 * What cannot be done at once is left to the UART's interrupt, always on one core: a bounded piece
 * at a time, for it comes again while something is left.
 */
#include "core/console.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/lock.h"
#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"
#include "core/irq.h"
#include "core/monitor.h"
#include "core/timeout.h"
#include "core/vm.h"
#include "drivers/uart.h"

#define RING_BYTES 8192u /* a power of two: positions run freely */

/* Longest line of a VM: CR LF "[" name "] " text CR LF; names have at most 31 bytes. */
#define VM_LINE_BYTES (2u + VUART_LINE + 31u + 3u + 2u)
/* VMs leave that much to Weir, whose lines cannot wait. */
#define WEIR_BYTES 2048u
/* After a loss, lines go on when there is room for some of them, so that one report tells of them
 * all. */
#define REPORT_BYTES 1024u

/* More than a hardware FIFO holds, so that one that is filled to that is above its trigger level:
 * only from there does the transmit interrupt rise. */
#define DRAIN_AT_ONCE	48u
#define RECEIVE_AT_ONCE 4u
/* Nobody has printed for so long: a line that was broken off is shown again. */
#define QUIET_US 30000u
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
static u32 lines;	   /* that were put, of all */
static bool receive_later; /* there may be more than was taken */
static bool monitor_later; /* it has more to print */
static bool broken;	   /* a line that had not ended was broken off */

/* The UART's core: waits for the moment in which nobody prints. */
static struct timeout quiet;
static u32 quiet_lines; /* `lines` when it began */

/* The end of what was put: a line that has not ended. */
static struct {
	const void *owner; /* a VM, or the monitor; 0: it cannot be continued */
	size_t length;	   /* of its text, without the owner's name */
	bool there;
} tail;

static u32 panicking; /* atomic: a core has the UART for itself, for ever */

static u32 ring_room(void)
{
	return RING_BYTES - (ring_in - ring_out);
}

static void ring_put(const char *bytes, size_t count) NEEDS(lock)
{
	size_t at = ring_in % RING_BYTES;
	size_t first = min(count, RING_BYTES - at);

	memcpy(ring + at, bytes, first);
	memcpy(ring, bytes + first, count - first);
	ring_in += (u32)count;
}

/* The interrupt is wanted while something is left to be done when the UART has room. */
static void update_interrupt(const struct uart_ops *uart) NEEDS(lock)
{
	bool left = ring_in != ring_out || waiting || broken || receive_later || monitor_later;
	bool want = transmit_intid && left;

	if (want == transmit_on)
		return;
	transmit_on = want;
	uart->transmit_interrupt(want);
}

/* At boot, before there is an interrupt, all that the UART takes. */
static void drain(void) NEEDS(lock)
{
	const struct uart_ops *uart = uart_get();
	u32 end = transmit_intid && ring_in - ring_out > DRAIN_AT_ONCE ? ring_out + DRAIN_AT_ONCE
								       : ring_in;

	if (!uart)
		return;
	while (ring_out != end && uart->put((u8)ring[ring_out % RING_BYTES]))
		ring_out++;
	update_interrupt(uart);
}

/* Begins a line, or goes on with one that has not ended: how much of its text is there already. */
static size_t put_begin(const void *owner, const char *name, size_t length) NEEDS(lock)
{
	if (tail.there && owner && tail.owner == owner && tail.length <= length)
		return tail.length;
	if (tail.there) {
		ring_put("\r\n", 2);
		broken = true;
	}
	if (name) {
		ring_put("[", 1);
		ring_put(name, strlen(name));
		ring_put("] ", 2);
	}
	return 0;
}

/* Room for that much text of a line, whatever else it needs. */
static bool fits(const char *name, size_t length) NEEDS(lock)
{
	return 2 + (name ? strlen(name) + 3 : 0) + length + 2 <= ring_room();
}

/*
 * One line into the ring, all or nothing. `owner` is who may have begun it by put_part(), 0: nobody.
 * Without a UART lines go nowhere and nobody waits.
 */
static bool put_line(const void *owner, const char *name, const char *text, size_t length)
	NEEDS(lock)
{
	size_t shown;

	if (!uart_get())
		return true;
	if (!fits(name, length))
		return false;
	shown = put_begin(owner, name, length);
	ring_put(text + shown, length - shown);
	ring_put("\r\n", 2);
	tail.there = false;
	write_once(tail.owner, 0);
	lines++;
	return true;
}

/* A line as far as it has got, which may be less far than before. */
static bool put_part(const void *owner, const char *name, const char *text, size_t length)
	NEEDS(lock)
{
	bool mine = tail.there && tail.owner == owner;
	size_t back = mine && tail.length > length ? tail.length - length : 0;
	size_t shown;

	if (!fits(name, length + 3 * back)) {
		if (back) /* what is there is not the line any more */
			write_once(tail.owner, 0);
		return false;
	}
	for (; back; back--, tail.length--)
		ring_put("\b \b", 3);
	shown = put_begin(owner, name, length);
	ring_put(text + shown, length - shown);
	write_once(tail.owner, owner);
	tail.length = length;
	tail.there = true;
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
	if (put_line(0, 0, text, length))
		lost_lines = 0;
}

/* Room is judged by the longest line, so that short lines do not overtake long ones for ever. */
static bool has_room(void) NEEDS(lock)
{
	return ring_room() >= VM_LINE_BYTES + WEIR_BYTES;
}

/* What Weir prints in an exit that has other things to do goes out by the interrupt. */
static void drain_later(void) NEEDS(lock)
{
	if (transmit_intid)
		update_interrupt(uart_get());
	else
		drain();
}

static void make_room(void) NEEDS(lock)
{
	if (!has_room())
		drain();
}

static bool take_line(const char *name, const char *text, size_t length) NEEDS(lock)
{
	bool taken;

	make_room();
	report_lost();
	taken = !lost_lines && put_line(0, name, text, length);
	if (transmit_intid)
		update_interrupt(
			uart_get()); /* several of Weir's lines in one exit are many bytes */
	else
		drain();
	return taken;
}

bool console_line(const char *owner, const char *text, size_t length)
{
	bool taken;

	spin_lock(&lock);
	taken = take_line(owner, text, length);
	spin_unlock(&lock);
	return taken;
}

bool console_vm_line(struct vm *vm, const char *text, size_t length)
{
	bool taken;

	spin_lock(&lock);
	make_room();
	taken = has_room() && (!waiting || serving == vm) &&
		put_line(vm, vm->config->name, text, length);
	if (!taken)
		waiting |= BIT(vm->id);
	drain();
	spin_unlock(&lock);
	return taken;
}

bool console_vm_part(struct vm *vm, const char *text, size_t length)
{
	bool taken;

	spin_lock(&lock);
	make_room();
	taken = !uart_get() ||
		(has_room() && !waiting && put_part(vm, vm->config->name, text, length));
	drain();
	spin_unlock(&lock);
	return taken;
}

bool console_shows(const struct vm *vm)
{
	return read_once(tail.owner) == vm;
}

void console_prompt(const char *text, size_t length)
{
	spin_lock(&lock);
	if (!put_part(&tail, 0, text, length))
		broken = true; /* shown when there is room */
	drain_later();
	spin_unlock(&lock);
}

void console_prompt_end(const char *text, size_t length)
{
	spin_lock(&lock);
	put_line(&tail, 0, text, length);
	drain_later();
	spin_unlock(&lock);
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
	u64 behind = waiting & ~1ul << last_served;

	if (!waiting)
		return 0;
	last_served = (u32)__builtin_ctzl(behind ? behind : waiting);
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
	spin_unlock(&lock);
	return vm;
}

static void end_turn(void)
{
	spin_lock(&lock);
	serving = 0;
	update_interrupt(uart_get());
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

/* ---- The UART's core ------------------------------------------------------------------------- */

static int receive_byte(const struct uart_ops *uart)
{
	int byte;

	spin_lock(&lock);
	byte = uart->get();
	spin_unlock(&lock);
	return byte;
}

static void drain_some(void)
{
	spin_lock(&lock);
	drain();
	spin_unlock(&lock);
}

/* How many were taken; while the monitor answers, what is typed stays in the hardware. */
static u32 receive(const struct uart_ops *uart)
{
	u32 count = 0;
	int byte;

	while (count < RECEIVE_AT_ONCE && !monitor_busy() && (byte = receive_byte(uart)) >= 0) {
		monitor_receive((u8)byte);
		count++;
	}
	return count;
}

static void wait_for_quiet(void)
{
	timeout_set(&quiet, timer_now() + timer_from_us(QUIET_US));
}

static void quiet_over(struct timeout *timeout)
{
	bool still;

	(void)timeout;
	spin_lock(&lock);
	still = quiet_lines == lines;
	quiet_lines = lines;
	spin_unlock(&lock);
	if (still)
		monitor_refresh();
	else
		wait_for_quiet();
}

/* What is left for the next interrupt; true: a line was broken off since the last. */
static bool leave_for_later(bool more_input, bool more_output)
{
	bool was_broken;

	spin_lock(&lock);
	receive_later = more_input;
	monitor_later = more_output;
	was_broken = broken;
	broken = false;
	if (was_broken)
		quiet_lines = lines;
	update_interrupt(uart_get());
	spin_unlock(&lock);
	return was_broken;
}

/* One of three things at a time: an answer's line, what is typed, a VM's line. */
static void interrupt(void *context)
{
	const struct uart_ops *uart = context;
	bool answering = monitor_busy();
	u32 typed;

	uart->interrupt_clear();
	typed = receive(uart);
	if (answering && console_has_room())
		monitor_step();
	else if (answering || typed)
		drain_some();
	else
		console_service();
	if (leave_for_later(answering || typed, monitor_busy()) && !timeout_pending(&quiet))
		wait_for_quiet();
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
	timeout_init(&quiet, quiet_over);
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
	for (const char *end = tail.there ? "\r\n" : ""; *end; end++)
		put_polling(uart, *end);
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
