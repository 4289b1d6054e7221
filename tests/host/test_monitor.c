/*
 * The monitor: who gets what is typed, its line, its commands and their answers, a line at a time.
 *
 * Sources: core/monitor.c core/base/log.c tests/host/fake/log.c tests/host/fake/timer.c
 */
#include <string.h>
#include "fake.h"
#include "core/base/log.h"
#include "core/console.h"
#include "core/life.h"
#include "core/monitor.h"

#define VMS	4
#define REFUSED 1u
#define KEY	"\x1d"

static struct manifest_vm configs[VMS];
static struct vm vms[VMS];
static struct vcpu vcpus[VMS][2];
static char typed[VMS][64], prompt[128], ended[128];
static u32 received[VMS], shown[VMS], prompts;
static enum vm_command commanded;
static const struct vm *commanded_vm;

u32 vm_count(void)
{
	return VMS;
}

struct vm *vm_get(u32 id)
{
	return id < VMS && id != REFUSED ? &vms[id] : 0;
}

bool vuart_receive(struct vm *vm, u8 byte)
{
	typed[vm->id][received[vm->id]++] = (char)byte;
	return true;
}

void vuart_show(struct vm *vm)
{
	shown[vm->id]++;
}

void console_prompt(const char *text, size_t length)
{
	assert_in_range(length, 6, 70);
	memcpy(prompt, text, length);
	prompt[length] = 0;
	prompts++;
}

void console_prompt_end(const char *text, size_t length)
{
	memcpy(ended, text, length);
	ended[length] = 0;
}

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = { "off", "building", "running", "dying", "rebuilding" };

	return names[state];
}

enum weir_status vm_command(struct vm *vm, enum vm_command what, u64 life)
{
	assert_int_equal(life, VM_ANY_LIFE);
	commanded = what;
	commanded_vm = vm;
	return what == VM_START && vm->state != VM_OFF ? WEIR_BUSY : WEIR_OK;
}

static int start(void **state)
{
	static const char *const names[VMS] = { "reader", "broken", "writer", "list" };

	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	for (u32 id = 0; id < VMS; id++) {
		configs[id] = (struct manifest_vm){ .name = names[id],
						    .priority = id + 2,
						    .core = { 1, 3 } };
		vms[id] = (struct vm){ .config = &configs[id],
				       .id = id,
				       .state = VM_RUNNING,
				       .life = 1,
				       .vcpu_count = id == 2 ? 2 : 1,
				       .vcpu = { &vcpus[id][0], &vcpus[id][1] } };
	}
	memset(typed, 0, sizeof(typed));
	memset(received, 0, sizeof(received));
	memset(shown, 0, sizeof(shown));
	commanded_vm = 0;
	fake_timer_set(1000000000);
	fake_log_reset();
	return 0;
}

/* Until nothing is left to say; as the console does, nothing is typed meanwhile. */
static void finish(void)
{
	for (u32 i = 0; monitor_busy(); i++) {
		u32 before = fake_log_count();

		assert_true(i < 100);
		monitor_step();
		assert_true(fake_log_count() - before <= 1);
	}
}

static void type(const char *text)
{
	for (; *text; text++) {
		monitor_receive((u8)*text);
		finish();
	}
}

/* A command. It opens the monitor if the last one left the input with a VM. */
static void run(const char *command)
{
	if (!fake_log_count() || fake_log_has("what is typed goes to"))
		type(KEY);
	fake_log_reset();
	type(command);
	type("\r");
}

static int close(void **state)
{
	(void)state;
	type("\r0\r"); /* wherever the test ended, the monitor is closed now, and reader has the input */
	type(KEY "\x15"
		 "0\r");
	return 0;
}

static void expect(u32 index, const char *text)
{
	assert_string_equal(fake_log_text(index), text);
}

TEST(typing_goes_to_the_first_vm_with_the_right)
{
	configs[2].rights = RIGHT_CONSOLE;
	type("hello");
	assert_string_equal(typed[2], "hello");
	assert_int_equal(received[0], 0);
}

TEST(the_key_opens_the_monitor_and_again_it_gives_the_input_to_the_next_vm)
{
	run("0");
	expect(0, "what is typed goes to reader; Ctrl-] comes back here");
	type("a");
	type(KEY KEY);
	expect(1, "what is typed goes to writer; Ctrl-] comes back here"); /* broken is refused */
	type("b" KEY KEY);
	type("c" KEY KEY);
	type("d");
	assert_string_equal(typed[0], "ad");
	assert_string_equal(typed[2], "b");
	assert_string_equal(typed[3], "c");
}

TEST(a_vm_is_named_by_its_name_or_its_number)
{
	run("writer");
	type("x");
	run("3"); /* its name is a command's */
	type("y");
	assert_string_equal(typed[2], "x");
	assert_string_equal(typed[3], "y");
}

TEST(who_gets_the_input_shows_its_prompt)
{
	run("writer");
	assert_int_equal(shown[2], 1);
	monitor_refresh();
	assert_int_equal(shown[2], 2);
	type(KEY);
	prompts = 0;
	monitor_refresh();
	assert_int_equal(shown[2], 2);
	assert_int_equal(prompts, 1);
}

TEST(the_line_is_edited)
{
	type(KEY "lisx\x7ft  \b\b");
	assert_string_equal(prompt, "weir> list");
	type("\x15");
	assert_string_equal(prompt, "weir> ");
	type("\x7f\x7f");
	assert_string_equal(prompt, "weir> "); /* no further than its beginning */
	type("he\x1b[Al\x1b[12~p\t\x01\xc3");
	assert_string_equal(prompt, "weir> help");
	type("\r");
	assert_string_equal(ended, "weir> help");
	assert_string_equal(prompt, "weir> ");
	assert_true(fake_log_count() > 3);
}

TEST(a_very_long_line_is_cut)
{
	type(KEY);
	for (u32 i = 0; i < 1000; i++)
		type("x");
	assert_int_equal(strlen(prompt), 64);
	fake_log_reset();
	type("\r");
	assert_int_equal(fake_log_count(), 1);
	assert_int_equal(strncmp(fake_log_text(0), "no command and no VM: xxx", 25), 0);
}

TEST(empty_lines_say_nothing)
{
	type(KEY "\r\n  \r");
	assert_int_equal(fake_log_count(), 0);
	assert_string_equal(prompt, "weir> ");
}

TEST(unknown_commands_and_vms_are_told)
{
	run("foo bar");
	expect(0, "no command and no VM: foo; help shows what there is");
	run("stop nobody");
	expect(0, "no VM has the name or number nobody; list shows them");
	run("start");
	expect(0, "no VM has the name or number ; list shows them");
	run("restart 1"); /* was refused */
	expect(0, "no VM has the name or number 1; list shows them");
	run("stop 99999999999999999999");
	run("statistics 4294967296");
	expect(0, "no VM has the name or number 4294967296; list shows them");
	run("stop 0x");
	assert_null(commanded_vm);
}

TEST(list_shows_each_vm)
{
	vms[2].state = VM_REBUILDING;
	vms[2].life = 7;
	run("list");
	assert_int_equal(fake_log_count(), 3);
	expect(0, "0 reader: running, started 1 times, priority 2, cores 1, has the input");
	expect(1, "2 writer: rebuilding, started 7 times, priority 4, cores 1,3");
	expect(2, "3 list: running, started 1 times, priority 5, cores 1");
}

TEST(start_stop_and_restart_command_the_vm_and_say_its_state)
{
	vms[0].state = VM_OFF;
	run("start reader");
	assert_ptr_equal(commanded_vm, &vms[0]);
	assert_int_equal(commanded, VM_START);
	expect(0, "reader is off");
	run("start 2");
	assert_ptr_equal(commanded_vm, &vms[2]);
	expect(0, "writer is not off: it is running");
	run("  stop   writer  now");
	assert_int_equal(commanded, VM_STOP);
	assert_ptr_equal(commanded_vm, &vms[2]);
	run("restart list");
	assert_int_equal(commanded, VM_RESTART);
	assert_ptr_equal(commanded_vm, &vms[3]);
}

TEST(statistics_are_of_the_vm_and_of_each_vcpu_of_several)
{
	vcpus[2][0].account =
		(struct account){ .exit = { [ACCOUNT_HYPERCALL] = 9, [ACCOUNT_WAIT] = 3 },
				  .events = 3,
				  .sends = 1,
				  .block_requests = 5,
				  .block_sectors = 16,
				  .block_ticks = 7000000,
				  .run = 2000000 };
	vcpus[2][1].account =
		(struct account){ .exit = { [ACCOUNT_HYPERCALL] = 1, [ACCOUNT_OTHER] = 2 },
				  .steal = CLOCK_RUNS | 999000000,
				  .run = 3000000 };
	run("statistics writer");
	assert_int_equal(fake_log_count(), 6);
	expect(0, "writer: run 5 ms, steal 1 ms, 11 hypercalls, 4 events, 5 block requests of 8 "
		  "KiB in 7 ms");
	expect(1, "writer: exits: PSCI 0, MMIO 0, aborts 0, registers 0, waits 3, FP 0, interrupts "
		  "0, other 2");
	expect(2, "writer vCPU 0: run 2 ms, steal 0 ms, 10 hypercalls, 4 events, 5 block requests "
		  "of 8 KiB in 7 ms");
	expect(5, "writer vCPU 1: exits: PSCI 0, MMIO 0, aborts 0, registers 0, waits 0, FP 0, "
		  "interrupts 0, other 2");
	run("statistics");
	assert_int_equal(fake_log_count(), 2 + 6 + 2);
	assert_true(fake_log_has("list: exits: "));
}

TEST(statistics_tell_of_the_submission_ring_if_it_was_used)
{
	vcpus[2][1].account = (struct account){ .ring = { .events = 3,
							  .block_requests = 2,
							  .block_sectors = 8,
							  .copies = 1,
							  .copied_bytes = 4096 },
						.comm_ticks = 5000 };
	run("statistics writer");
	assert_int_equal(fake_log_count(), 8);
	expect(0, "writer: run 0 ms, steal 0 ms, 0 hypercalls, 3 events, 2 block requests of 4 KiB "
		  "in 0 "
		  "ms");
	expect(2,
	       "writer: ring: 3 events, 2 block requests, 1 copies of 4 KiB, 5 us of communication "
	       "cores");
	expect(7, "writer vCPU 1: ring: 3 events, 2 block requests, 1 copies of 4 KiB, 5 us of "
		  "communication cores");
}

TEST(garbage_harms_nobody)
{
	u32 random = 1;

	type(KEY);
	for (u32 i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		for (u32 id = 0; id < VMS; id++)
			received[id] = 0;
		fake_log_reset();
		monitor_receive((u8)(random >> 24));
		finish();
	}
}

#define FRESH(name) cmocka_unit_test_setup_teardown(name, start, close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(typing_goes_to_the_first_vm_with_the_right, start,
						close),
		FRESH(the_key_opens_the_monitor_and_again_it_gives_the_input_to_the_next_vm),
		FRESH(a_vm_is_named_by_its_name_or_its_number),
		FRESH(who_gets_the_input_shows_its_prompt),
		FRESH(the_line_is_edited),
		FRESH(a_very_long_line_is_cut),
		FRESH(empty_lines_say_nothing),
		FRESH(unknown_commands_and_vms_are_told),
		FRESH(list_shows_each_vm),
		FRESH(start_stop_and_restart_command_the_vm_and_say_its_state),
		FRESH(statistics_are_of_the_vm_and_of_each_vcpu_of_several),
		FRESH(statistics_tell_of_the_submission_ring_if_it_was_used),
		FRESH(garbage_harms_nobody),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
