/*
 * The virtio console against drivers, and all virtio devices of a VM against drivers that do anything (virtio_driver.h).
 *
 * Sources: core/vdev/virtio.c core/vdev/virtio_console.c ipc/block.c tests/host/virtio_machine.c
 * Sources: tests/host/virtio_play.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/heap.c tests/host/fake/windows.c tests/host/fake/exit.c tests/host/fake/panic.c tests/host/fake/lock.c
 */
#include <string.h>
#include "virtio_driver.h"
#include "soak.h"

TEST(the_console_prints_and_waits_while_there_is_no_room)
{
	u8 *text = virtio_ram(8 * PAGE_SIZE + 4000);

	memory = virtio_drive(2, 0, 1, 0);
	assert_int_equal(virtio_get(2, NUM_MAX), 32);
	for (u32 i = 0; i < 200; i++)
		text[i] = (u8)('a' + i % 26);
	descriptor(0, text, 200, 0);
	memory->available.index = 1;
	virtio_console_stuck(true);
	assert_true(virtio_store(2, NOTIFY, 4, 1));
	assert_int_equal(memory->used.index, 0);
	virtio_console_stuck(false);
	for (u32 exits = 0; virtio_store(2, NOTIFY, 4, 1); exits++)
		assert_true(exits < 6);
	assert_int_equal(strlen(virtio_printed()), 200);
	assert_memory_equal(virtio_printed(), text, 200);
	assert_int_equal(memory->used.index, 1);
	assert_true(virtio_line(2));
}

TEST(a_transmit_queue_that_is_made_again_begins_with_its_first_chain)
{
	memory = virtio_drive(2, 0, 1, 0);
	memset(virtio_ram(8 * PAGE_SIZE), 'a', 200);
	descriptor(0, virtio_ram(8 * PAGE_SIZE), 200, 0);
	memory->available.index = 1;
	assert_true(virtio_store(2, NOTIFY, 4, 1)); /* 64 of them */
	virtio_set(2, 0x30, 0);
	virtio_set(2, READY, 0); /* that is another one, and not ready */
	assert_true(virtio_store(2, NOTIFY, 4, 1));
	virtio_set(2, 0x30, 1);
	virtio_set(2, READY, 0);
	memset(&memory->available, 0, sizeof(memory->available));
	virtio_set(2, READY, 1);
	assert_false(virtio_store(2, NOTIFY, 4, 1));
	memset(virtio_ram(8 * PAGE_SIZE), 'b', 10);
	memory->descriptor[0].bytes = 10;
	memory->available.index = 1;
	while (virtio_store(2, NOTIFY, 4, 1))
		;
	assert_int_equal(strlen(virtio_printed()), 138);
	assert_int_equal(virtio_printed()[128], 'b');
	assert_int_equal(memory->used.index, 1);
}

TEST(a_page_that_is_passed_while_it_is_printed_is_not_read)
{
	memory = virtio_drive(2, 0, 1, 0);
	memset(virtio_ram((POOL_PAGE + 5) * PAGE_SIZE), 'a', 200);
	descriptor(0, virtio_ram((POOL_PAGE + 5) * PAGE_SIZE), 200, 0);
	memory->available.index = 1;
	assert_true(virtio_store(2, NOTIFY, 4, 1));
	assert_true(virtio_share(5, true));
	assert_false(virtio_store(2, NOTIFY, 4, 1));
	assert_int_equal(strlen(virtio_printed()), 64);
	assert_true(virtio_get(2, STATUS) & NEEDS_RESET);
}

TEST(what_is_typed_goes_into_the_drivers_buffers)
{
	assert_false(virtio_console_receive(&virtio_vm, 'x'));
	memory = virtio_drive(2, 0, 0, 0);
	assert_false(virtio_console_receive(&virtio_vm, 'x'));
	descriptor(0, virtio_ram(8 * PAGE_SIZE), 10, 2);
	memory->available.index = 1;
	assert_true(virtio_console_receive(&virtio_vm, 'x'));
	assert_int_equal(*virtio_ram(8 * PAGE_SIZE), 'x');
	assert_int_equal(memory->used.ring[0].bytes, 1);
	assert_true(virtio_line(2));
	assert_false(virtio_console_receive(&virtio_vm, 'y'));
}

static u64 seed;

static u32 random_number(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (u32)(seed >> 16);
}

TEST(whatever_drivers_do_requests_are_the_vms_and_a_reset_mends_all)
{
	u64 games = soak_count(700, 100000);

	seed = soak_seed() * 0x9e3779b97f4a7c15ul;
	for (u64 game = 0; game < games; game++) {
		virtio_machine_free();
		fake_lock_reset();
		virtio_machine_make(game & 1);
		virtio_play(random_number, 500);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(the_console_prints_and_waits_while_there_is_no_room),
		RUN_MADE(a_transmit_queue_that_is_made_again_begins_with_its_first_chain),
		RUN_MADE(a_page_that_is_passed_while_it_is_printed_is_not_read),
		RUN_MADE(what_is_typed_goes_into_the_drivers_buffers),
		RUN_MADE(whatever_drivers_do_requests_are_the_vms_and_a_reset_mends_all),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
