/*
 * The console and lines that have not ended: prompts, and what comes in between (console_uart.h).
 *
 * Sources: core/console.c core/base/log.c core/timeout.c tests/host/fake/timer.c
 * Sources: tests/host/console_uart.c
 */
#include <string.h>
#include "console_uart.h"
#include "core/base/log.h"
#include "core/timeout.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_line_grows_where_it_is),
		FRESH(a_line_is_taken_back_by_the_column),
		FRESH(another_line_breaks_it_off_and_it_goes_on_as_a_whole),
		FRESH(the_monitor_s_prompt_has_no_owner_and_ends),
		FRESH(what_was_broken_off_is_refreshed_when_it_is_quiet),
		FRESH(a_line_that_could_not_be_taken_back_begins_anew),
		FRESH(a_vm_s_part_waits_behind_those_that_wait_for_room),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
