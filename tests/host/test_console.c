/*
 * The console: whole lines, back-pressure that is fair, and never a wait; what is typed, and the monitor's answers
 * (console_uart.h).
 *
 * Sources: core/console.c core/base/log.c core/timeout.c tests/host/fake/timer.c
 * Sources: tests/host/console_uart.c
 */
#include <string.h>
#include "console_uart.h"
#include "core/base/log.h"
#include "core/base/panic.h"

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
		FRESH(the_monitor_answers_a_line_an_interrupt_and_takes_no_input_meanwhile),
		FRESH(the_monitor_waits_for_room),
		FRESH(an_interrupt_drains_a_bounded_piece),
		FRESH(without_a_uart_nobody_waits),
		FRESH(a_panic_prints_what_came_before_it_and_its_line),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
