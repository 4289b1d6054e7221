/*
 * The console: whole lines, lines that have not ended, back-pressure that is fair, and never a wait.
 *
 * Sources: core/console.c core/base/log.c core/timeout.c tests/host/fake/timer.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "core/base/panic.h"
#include "core/console.h"
#include "core/irq.h"
#include "core/monitor.h"
#include "core/timeout.h"
#include "core/vm.h"
#include "drivers/uart.h"

#define UART_INTID 33u
#define ENDLESS	   1000000000u

/* The UART: takes `room` bytes, then says that its FIFO is full. */
static char line_out[65536];
static u32 out_length, room, puts_refused;
static bool transmit_on, busy;
static const char *input;

static void uart_start(void *registers)
{
	(void)registers;
}

static bool put(u8 byte)
{
	if (!room) {
		puts_refused++;
		return false;
	}
	room--;
	assert_true(out_length + 1 < sizeof(line_out));
	line_out[out_length++] = (char)byte;
	line_out[out_length] = 0;
	return true;
}

static int get(void)
{
	return input && *input ? (u8)*input++ : -1;
}

static void transmit_interrupt(bool on)
{
	transmit_on = on;
}

static void interrupt_clear(void)
{
}

static bool idle(void)
{
	return !busy;
}

static const struct uart_ops uart = { "fake,uart",	  uart_start,	   put, get,
				      transmit_interrupt, interrupt_clear, idle };
static const struct uart_ops *present;

bool uart_init(const char *compatible, u32 compatible_bytes, void *registers)
{
	(void)registers;
	present = compatible_bytes == 10 && !memcmp(compatible, "fake,uart", 10) ? &uart : 0;
	return present;
}

const struct uart_ops *uart_get(void)
{
	return present;
}

static void (*handler)(void *context);
static void *handler_context;

void irq_register(u32 intid, u32 core, bool edge, void (*fn)(void *context), void *context)
{
	assert_int_equal(intid, UART_INTID);
	assert_int_equal(core, 0);
	assert_false(edge);
	handler = fn;
	handler_context = context;
}

/* VMs, each with a line that it may have to keep. */
#define VMS 3

static struct manifest_vm configs[VMS];
static struct vm vms[VMS];
static u32 wanted[VMS], printed[VMS];

u32 vm_count(void)
{
	return VMS;
}

struct vm *vm_get(u32 id)
{
	return id < VMS ? &vms[id] : 0;
}

/* As core/vdev/vuart.c does: one line at a time, the next when this one has gone out. */
static bool vm_print(u32 id)
{
	char text[VUART_LINE];

	memset(text, 'a' + (int)id, sizeof(text));
	if (!console_vm_line(&vms[id], text, id == 0 ? 5 : sizeof(text)))
		return false;
	printed[id]++;
	return true;
}

void vuart_resume(struct vm *vm)
{
	assert_true(wanted[vm->id] > printed[vm->id]);
	vm_print(vm->id);
}

/* The monitor: takes what is typed, and has so many lines to say. */
static char typed[64];
static u32 received, answers, answered, refreshed;

void monitor_receive(u8 byte)
{
	assert_false(monitor_busy());
	typed[received++] = (char)byte;
	answers += byte == '!';
}

bool monitor_busy(void)
{
	return answered < answers;
}

bool monitor_step(void)
{
	if (monitor_busy()) {
		log_line("answer");
		answered++;
	}
	return monitor_busy();
}

void monitor_refresh(void)
{
	refreshed++;
}

u32 cpu_index(void)
{
	return 0;
}

static jmp_buf stopped;

void cpu_wait(void)
{
	longjmp(stopped, 1);
}

static void init(void)
{
	char registers[4];

	assert_true(console_init("fake,uart", 10, registers));
}

static void interrupt(void)
{
	handler(handler_context);
}

/* Interrupts until nothing is left. */
static void drain(void)
{
	while (transmit_on)
		interrupt();
}

/* Everything out of the last test, and a UART that takes all. */
static int start(void **state)
{
	static const char *const names[VMS] = { "a", "b", "longname" };

	(void)state;
	for (u32 i = 0; i < VMS; i++) {
		configs[i] = (struct manifest_vm){ .name = names[i] };
		vms[i] = (struct vm){ .config = &configs[i], .id = i };
		wanted[i] = ENDLESS;
		printed[i] = 0;
	}
	busy = false;
	room = ENDLESS;
	init();
	timeout_init_core();
	for (int i = 0; i < 10; i++)
		console_service();
	console_line(0, "flush", 5);
	console_flush();
	received = answers = answered = refreshed = 0;
	memset(typed, 0, sizeof(typed));
	out_length = puts_refused = 0;
	line_out[0] = 0;
	input = 0;
	for (u32 i = 0; i < VMS; i++)
		printed[i] = 0;
	return 0;
}

static u32 count(const char *part)
{
	u32 found = 0;

	for (const char *at = line_out; (at = strstr(at, part)); at++)
		found++;
	return found;
}

TEST(a_uart_nobody_drives_is_refused)
{
	char registers[4];

	assert_false(console_init("other,uart", 11, registers));
}

TEST(lines_have_their_owner_in_front)
{
	log_line("%u VMs", 2u);
	assert_true(console_line("reader", "hello", 5));
	assert_string_equal(line_out, "weir: 2 VMs\r\n[reader] hello\r\n");
	out_length = 0;
	assert_true(console_vm_line(&vms[2], "", 0));
	assert_string_equal(line_out, "[longname] \r\n");
}

/* While the FIFO takes bytes nothing of a VM's line is left for the interrupt. */
TEST(with_room_in_the_fifo_a_line_of_a_vm_goes_straight_out)
{
	console_enable_interrupt(UART_INTID);
	assert_true(console_vm_line(&vms[0], "at once", 7));
	assert_string_equal(line_out, "[a] at once\r\n");
	assert_false(transmit_on);
}

TEST(the_interrupt_drains_what_is_left)
{
	console_enable_interrupt(UART_INTID);
	room = 4;
	log_line("piecemeal");
	assert_true(transmit_on);
	interrupt();
	assert_string_equal(line_out, "weir");
	assert_true(transmit_on);
	room = 4;
	interrupt();
	assert_string_equal(line_out, "weir: pi");
	assert_true(transmit_on);
	room = 100;
	interrupt();
	assert_string_equal(line_out, "weir: piecemeal\r\n");
	assert_false(transmit_on);
}

/* A full FIFO is asked once a call, not until it takes something. */
TEST(a_full_fifo_is_not_waited_for)
{
	room = 0;
	for (u32 i = 0; i < 10; i++)
		console_vm_line(&vms[0], "x", 1);
	assert_in_range(puts_refused, 1, 20);
}

TEST(lost_lines_of_weir_are_counted_where_they_are_missing)
{
	u32 fitted = 8192 / 102, lines = fitted + 7;
	char text[95];

	memset(text, 'x', sizeof(text));
	text[94] = 0;
	console_enable_interrupt(UART_INTID);
	room = 0;
	for (u32 i = 0; i < lines; i++)
		log_line("%s", text); /* 102 bytes with prefix and line end */
	room = ENDLESS;
	drain();
	log_line("after");
	drain();
	assert_int_equal(count("weir: xxx"), fitted);
	assert_int_equal(count("xx\r\nweir: 7 lines lost\r\nweir: after\r\n"), 1);
}

TEST(the_loss_is_told_by_the_interrupt_too)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	for (u32 i = 0; i < 1000; i++)
		log_line("some text");
	room = ENDLESS;
	drain();
	assert_int_equal(count("weir: some text"), 8192 / 17);
	assert_non_null(strstr(line_out, "lines lost\r\n"));
}

/* VMs leave room for Weir's own lines, which cannot wait. */
TEST(a_flooding_vm_leaves_room_for_weir)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	while (vm_print(1))
		;
	assert_false(console_has_room());
	assert_true(console_line(0, "weir: important", 15));
	wanted[1] = printed[1] + 1;
	room = ENDLESS;
	drain();
	assert_int_equal(count("weir: important\r\n"), 1);
	assert_int_equal(count("lines lost"), 0);
	assert_true(console_has_room());
}

/* Two VMs that print without end, one with short lines: each gets on as often as the other. */
TEST(vms_take_turns)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	while (vm_print(0))
		;
	assert_false(vm_print(1));
	assert_false(vm_print(2));
	for (u32 i = 0; i < VMS; i++)
		printed[i] = 0;
	for (u32 i = 0; i < 3000; i++) {
		room = 16; /* as the hardware's FIFO takes them */
		interrupt();
		/* Who prints on at once waits for its turn like the others. */
		for (u32 id = 0; id < VMS; id++)
			vm_print(id);
		out_length = 0;
	}
	assert_in_range(printed[0], 50, 200);
	assert_in_range(printed[1], printed[0] - 1, printed[0] + 1);
	assert_in_range(printed[2], printed[0] - 1, printed[0] + 1);
}

TEST(a_waiting_vm_is_served_without_the_interrupt_too)
{
	room = 0;
	while (vm_print(1))
		;
	wanted[1] = printed[1] + 1;
	room = ENDLESS;
	console_service();
	assert_int_equal(printed[1], wanted[1]);
}

TEST(flush_prints_everything_and_ends)
{
	room = 0;
	while (vm_print(1))
		;
	wanted[1] = printed[1] + 1;
	room = ENDLESS;
	console_flush();
	assert_int_equal(count("[b] "), wanted[1]);
}

TEST(flush_gives_up_on_a_dead_uart)
{
	room = 0;
	log_line("never out");
	busy = true;
	console_flush();
	assert_int_equal(out_length, 0);
}

TEST(typing_is_taken_in_portions_and_the_interrupt_comes_again)
{
	console_enable_interrupt(UART_INTID);
	input = "0123456789012345678";
	interrupt();
	assert_int_equal(received, 4);
	assert_true(transmit_on);
	drain();
	assert_string_equal(typed, "0123456789012345678");
	assert_false(transmit_on);
}

/* ---- Lines that have not ended --------------------------------------------------------------- */

static u64 clock = 1;

static void pass(u64 us)
{
	clock += us * 1000;
	fake_timer_set(clock);
	timeout_interrupt();
}

TEST(a_line_grows_where_it_is)
{
	assert_true(console_vm_part(&vms[0], "pro", 3));
	assert_string_equal(line_out, "[a] pro");
	assert_true(console_shows(&vms[0]));
	assert_true(console_vm_part(&vms[0], "prompt> ", 8));
	assert_true(console_vm_part(&vms[0], "prompt> ", 8));
	assert_true(console_vm_line(&vms[0], "prompt> go", 10));
	assert_string_equal(line_out, "[a] prompt> go\r\n");
	assert_false(console_shows(&vms[0]));
}

TEST(a_line_is_taken_back_by_the_column)
{
	console_vm_part(&vms[0], "abc", 3);
	console_vm_part(&vms[0], "abc", 1);
	console_vm_part(&vms[0], "ax", 2);
	assert_string_equal(line_out, "[a] abc\b \b\b \bx");
}

TEST(another_line_breaks_it_off_and_it_goes_on_as_a_whole)
{
	console_vm_part(&vms[0], "prompt> ", 8);
	assert_true(console_vm_line(&vms[1], "hello", 5));
	assert_false(console_shows(&vms[0]));
	log_line("news");
	drain();
	assert_string_equal(line_out, "[a] prompt> \r\n[b] hello\r\nweir: news\r\n");
	out_length = 0;
	console_vm_part(&vms[0], "prompt> l", 9);
	console_vm_part(&vms[1], "b too", 5);
	console_vm_line(&vms[0], "prompt> ls", 10);
	assert_string_equal(line_out, "[a] prompt> l\r\n[b] b too\r\n[a] prompt> ls\r\n");
}

TEST(the_monitor_s_prompt_has_no_owner_and_ends)
{
	console_prompt("> ", 2);
	console_prompt("> ls", 4);
	console_prompt_end("> ls", 4);
	log_line("x");
	drain();
	assert_string_equal(line_out, "> ls\r\nweir: x\r\n");
}

/* Once nobody has printed for a moment; not as long as somebody does. */
TEST(what_was_broken_off_is_refreshed_when_it_is_quiet)
{
	console_enable_interrupt(UART_INTID);
	console_vm_part(&vms[0], "prompt> ", 8);
	log_line("news");
	assert_true(transmit_on);
	interrupt();
	assert_false(transmit_on);
	for (u32 i = 0; i < 10; i++) {
		pass(20000);
		log_line("more news");
	}
	assert_int_equal(refreshed, 0);
	pass(40000);
	pass(40000);
	assert_int_equal(refreshed, 1);
	pass(40000);
	assert_int_equal(refreshed, 1);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

/* A line that cannot be taken back for want of room is not continued: it would show what is not so. */
TEST(a_line_that_could_not_be_taken_back_begins_anew)
{
	static char filler[200];

	console_enable_interrupt(UART_INTID);
	memset(filler, '.', sizeof(filler));
	room = 0;
	while (console_line(0, filler, 100))
		;
	for (u32 length = 5; length < 100; length++) /* as far as there is room */
		console_prompt(filler, length);
	console_prompt(filler, 1);
	room = ENDLESS;
	drain();
	out_length = 0;
	console_prompt("> ax", 4);
	console_flush();
	assert_string_equal(line_out + out_length - 6, "\r\n> ax");
}

TEST(a_vm_s_part_waits_behind_those_that_wait_for_room)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	while (vm_print(1))
		;
	assert_false(console_vm_part(&vms[0], "prompt", 6));
	room = ENDLESS;
	wanted[1] = printed[1] + 1;
	drain();
	assert_true(console_vm_part(&vms[0], "prompt", 6));
}

/* ---- The monitor's answers ------------------------------------------------------------------- */

TEST(the_monitor_answers_a_line_an_interrupt_and_takes_no_input_meanwhile)
{
	console_enable_interrupt(UART_INTID);
	answers = 3;
	input = "ab";
	interrupt();
	assert_int_equal(answered, 1);
	assert_true(transmit_on);
	interrupt();
	assert_int_equal(received, 0);
	interrupt();
	assert_int_equal(answered, 3);
	assert_int_equal(received, 0);
	assert_true(transmit_on); /* for what was typed */
	drain();
	assert_string_equal(typed, "ab");
	assert_false(transmit_on);
}

TEST(the_monitor_waits_for_room)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	while (vm_print(1))
		;
	wanted[1] = printed[1] + 1;
	answers = 1;
	interrupt();
	assert_int_equal(answered, 0);
	assert_true(transmit_on);
	room = ENDLESS;
	drain();
	assert_int_equal(count("weir: answer\r\n"), 1);
}

TEST(an_interrupt_drains_a_bounded_piece)
{
	console_enable_interrupt(UART_INTID);
	room = 0;
	while (vm_print(1))
		;
	wanted[1] = printed[1] + 1;
	room = ENDLESS;
	interrupt();
	assert_in_range(out_length, 1, 200);
	assert_true(transmit_on);
	drain();
	assert_int_equal(count("[b] "), wanted[1]);
}

TEST(without_a_uart_nobody_waits)
{
	present = 0;
	for (u32 i = 0; i < 1000; i++) {
		assert_true(vm_print(1));
		log_line("nobody sees this");
	}
	console_service();
	console_flush();
}

/* The last test: the console belongs to the core that panicked from here on. */
TEST(a_panic_prints_what_came_before_it_and_its_line)
{
	room = 3;
	log_line("before");
	room = ENDLESS;
	if (!setjmp(stopped))
		panic("bad %s %x", "thing", 0xabcu);
	assert_string_equal(line_out, "weir: before\r\nweir: panic: bad thing abc\r\n");
	if (!setjmp(stopped))
		panic("again");
	assert_int_equal(count("again"), 0);
}

#define FRESH(name) cmocka_unit_test_setup(name, start)

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_uart_nobody_drives_is_refused),
		FRESH(lines_have_their_owner_in_front),
		FRESH(a_waiting_vm_is_served_without_the_interrupt_too),
		FRESH(with_room_in_the_fifo_a_line_of_a_vm_goes_straight_out),
		FRESH(the_interrupt_drains_what_is_left),
		FRESH(a_full_fifo_is_not_waited_for),
		FRESH(lost_lines_of_weir_are_counted_where_they_are_missing),
		FRESH(the_loss_is_told_by_the_interrupt_too),
		FRESH(a_flooding_vm_leaves_room_for_weir),
		FRESH(vms_take_turns),
		FRESH(flush_prints_everything_and_ends),
		FRESH(flush_gives_up_on_a_dead_uart),
		FRESH(typing_is_taken_in_portions_and_the_interrupt_comes_again),
		FRESH(a_line_grows_where_it_is),
		FRESH(a_line_is_taken_back_by_the_column),
		FRESH(another_line_breaks_it_off_and_it_goes_on_as_a_whole),
		FRESH(the_monitor_s_prompt_has_no_owner_and_ends),
		FRESH(what_was_broken_off_is_refreshed_when_it_is_quiet),
		FRESH(a_line_that_could_not_be_taken_back_begins_anew),
		FRESH(a_vm_s_part_waits_behind_those_that_wait_for_room),
		FRESH(the_monitor_answers_a_line_an_interrupt_and_takes_no_input_meanwhile),
		FRESH(the_monitor_waits_for_room),
		FRESH(an_interrupt_drains_a_bounded_piece),
		FRESH(without_a_uart_nobody_waits),
		FRESH(a_panic_prints_what_came_before_it_and_its_line),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
