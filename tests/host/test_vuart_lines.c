/*
 * A VM's PL011: lines that have not ended, which are shown when the VM has been silent (vuart_guest.h).
 *
 * Sources: core/vdev/vuart.c core/timeout.c tests/host/fake/vgic_pend.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_console.c
 * Sources: tests/host/vuart_guest.c
 */
#include <string.h>
#include "vuart_guest.h"

static u64 clock;

static void pass(u64 ms)
{
	clock += ms * 1000000;
	fake_timer_set(clock);
	timeout_interrupt();
}

TEST(a_prompt_is_shown_when_the_vm_has_been_silent)
{
	print("login: ");
	for (u32 i = 0; i < 29; i++)
		pass(25);
	assert_int_equal(parts, 0);
	pass(25);
	assert_string_equal(part, "login: ");
	assert_int_equal(fake_timer_el2_deadline(),
			 UINT64_MAX); /* and then nobody looks any more */
	assert_int_equal(line_count, 0);
}

TEST(at_a_vm_that_is_typed_at_it_is_shown_soon)
{
	vuart_receive(&vm, 'x');
	print("# ");
	pass(25);
	assert_int_equal(parts, 0);
	pass(25);
	assert_string_equal(part, "# ");
}

TEST(who_prints_slowly_is_not_silent)
{
	vuart_receive(&vm, 'x');
	for (u32 i = 0; i < 20; i++) {
		print("x");
		pass(25);
	}
	assert_int_equal(parts, 0);
	print("\n"); /* nothing is left for the next test */
}

/* It may have the rest of the line ready. */
TEST(who_does_not_get_its_core_is_not_silent)
{
	vuart_receive(&vm, 'x');
	print("x");
	vcpu.run = VCPU_READY;
	for (u32 i = 0; i < 10; i++)
		pass(25);
	vcpu.run = VCPU_THROTTLED;
	for (u32 i = 0; i < 10; i++)
		pass(25);
	assert_int_equal(parts, 0);
	vcpu.run = VCPU_BLOCKED;
	pass(25);
	pass(25);
	assert_int_equal(parts, 1);
}

/* However many have one: the bytes of all of them are too many for an interrupt. */
TEST(at_each_look_one_part_is_shown)
{
	struct vcpu other = { .vm = &second, .run = VCPU_BLOCKED };
	struct mmio access = { .offset = DR, .bytes = 4, .write = true, .value = '2' };

	memset(&second, 0, sizeof(second));
	second.id = 1;
	memset(&second.uart, 0, sizeof(second.uart));
	vuart_reset(&second);
	print("1");
	assert_true(vuart_mmio(&other, &access));
	for (u32 i = 0; i < 30; i++)
		pass(25);
	assert_int_equal(parts, 1);
	assert_string_equal(part, "1");
	pass(25);
	assert_int_equal(parts, 2);
	assert_string_equal(part, "2");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(a_line_that_ends_is_not_looked_at)
{
	print("whole\n");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	print("half");
	assert_int_equal(fake_timer_el2_deadline(), clock + 25000000);
	print("\n");
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	assert_int_equal(line_count, 2);
}

TEST(a_line_that_is_shown_goes_on_byte_by_byte)
{
	shows = true;
	print("# l");
	assert_int_equal(parts, 3);
	assert_string_equal(part, "# l");
	has_room = false;
	print("s");
	has_room = true;
	assert_string_equal(part, "# l");
	vuart_receive(&vm, 'x');
	pass(25);
	pass(25);
	assert_string_equal(part, "# ls");
}

TEST(backspace_takes_back_what_is_one_column)
{
	shows = true;
	print("ab\b\b\b\bc\n");
	assert_string_equal(part, "c");
	assert_string_equal(lines[0], "c");
	print("a\xc3\xa4\b\b\bx\n"); /* UTF-8: it would take back more than it has */
	assert_string_equal(lines[1], "a\xc3\xa4x");
}

TEST(escape_sequences_are_left_out)
{
	print("a\x1b[1;31mb\x1b[0Kc\x1b(d\x1b[6ne\n");
	assert_string_equal(lines[0], "abcde");
	print("a\x1b[12\nb\n"); /* the end of the line is never part of one */
	assert_string_equal(lines[1], "a");
	assert_string_equal(lines[2], "b");
}

TEST(what_is_gathered_can_be_shown_at_once)
{
	vuart_show(&vm);
	assert_int_equal(parts, 0);
	print("# ");
	vuart_show(&vm);
	assert_string_equal(part, "# ");
	has_room = false;
	print("\n"); /* now the line is one that waits */
	has_room = true;
	vuart_show(&vm);
	assert_int_equal(parts, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(a_prompt_is_shown_when_the_vm_has_been_silent),
		FRESH(at_a_vm_that_is_typed_at_it_is_shown_soon),
		FRESH(who_prints_slowly_is_not_silent),
		FRESH(who_does_not_get_its_core_is_not_silent),
		FRESH(at_each_look_one_part_is_shown),
		FRESH(a_line_that_ends_is_not_looked_at),
		FRESH(a_line_that_is_shown_goes_on_byte_by_byte),
		FRESH(backspace_takes_back_what_is_one_column),
		FRESH(escape_sequences_are_left_out),
		FRESH(what_is_gathered_can_be_shown_at_once),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
