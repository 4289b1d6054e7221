/*
 * The block service with a device that is full: who waits, and who is next (block_vms.h).
 *
 * Sources: tests/host/block_vms.c tests/host/fake/gic_pend.c
 * Sources: ipc/block.c drivers/virtio_blk.c core/base/log.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/vgic_pend.c
 */
#include "block_vms.h"

TEST(requests_beyond_the_device_wait_and_are_submitted_by_completions)
{
	fill_device();
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 85);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_int_equal(hardware[0].notifications, 86);
	assert_int_equal(hardware[0].pending_count, 85);
	serve_all(0);
	assert_int_equal(hardware[0].served, 95);
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_OK);
	for (u64 i = 0; i < 10; i++)
		expect_next(200 + i, WEIR_OK);
	expect_none();
}

/* However many there are: what comes behind them on the core does not wait for all. */
TEST(an_interrupt_ends_and_submits_a_few_and_is_raised_for_the_others)
{
	u32 rounds = 0;

	fill_device();
	for (u64 i = 0; i < 40; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	for (u32 i = 0; i < 85; i++)
		fake_virtio_serve(&hardware[0]);
	for (bool again = true; again; rounds++) {
		u32 submitted = hardware[0].notifications;
		u64 done = a->vcpu[0]->ipc->block.tail + a->vcpu[1]->ipc->block.tail;

		again = interrupt_once(0);
		assert_in_range(hardware[0].notifications - submitted, 0, 4);
		done = a->vcpu[0]->ipc->block.tail + a->vcpu[1]->ipc->block.tail - done;
		assert_in_range(done, 0, 4);
	}
	assert_in_range(rounds, 85 / 4, 85 / 4 + 2);
	assert_int_equal(hardware[0].pending_count, 40);
	serve_all(0);
	assert_int_equal(hardware[0].served, 125);
}

TEST(a_broken_device_fails_all_that_waits_a_few_at_a_time)
{
	struct weir_completion completion;

	fill_device();
	/* More than are in flight: they go on when those have ended. */
	for (u64 i = 0; i < 43; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	self = b->vcpu[0];
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(read_one(300 + i), WEIR_OK);
	fake_virtio_need_reset(&hardware[0]);
	for (bool again = true; again;) {
		u64 done = b->vcpu[0]->ipc->block.tail;

		again = interrupt_once(0);
		assert_in_range(b->vcpu[0]->ipc->block.tail - done, 0, 4);
	}
	for (u64 i = 0; i < 64; i++)
		expect_next(300 + i, WEIR_IO);
	self = a->vcpu[1]; /* those in flight and those that wait come together */
	for (u64 i = 0; i < 64; i++) {
		assert_true(next(&completion));
		assert_int_equal(completion.status, WEIR_IO);
	}
	expect_none();
}

TEST(a_vm_with_nothing_in_flight_gets_a_full_device_in_its_turn)
{
	fill_device();
	for (u64 i = 0; i < 20; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK); /* a waits with 20 */
	self = b->vcpu[0];
	assert_int_equal(read_one(1), WEIR_OK);
	assert_int_equal(read_one(2), WEIR_OK);
	for (u32 i = 0; i < 4; i++) { /* room for four: a, b, a, b */
		fake_virtio_serve(&hardware[0]);
		interrupt(0);
	}
	for (u32 i = 0; i < 81; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_none();
	for (u32 i = 0; i < 4; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_next(2, WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_OK);
	expect_next(200, WEIR_OK);
	expect_next(201, WEIR_OK);
	expect_none();
}

TEST(what_comes_new_waits_behind_what_waits)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 63; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 121), WEIR_OK);
	assert_int_equal(read_one(200), WEIR_OK); /* needs three descriptors, two are free */
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 201), WEIR_OK); /* needs two */
	assert_int_equal(hardware[0].notifications, 85);
	serve_all(0);
	for (u64 i = 0; i < 22; i++)
		expect_next(100 + i, WEIR_OK);
	expect_next(200, WEIR_OK);
	expect_next(201, WEIR_OK);
}

TEST(each_device_has_waiters_of_its_own)
{
	hardware[1].automatic = false;
	for (u64 i = 0; i < 90; i++) {
		self = a->vcpu[i / 45];
		assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, i, 1, BUFFER, i), WEIR_OK);
	}
	assert_int_equal(hardware[1].pending_count, 85);
	fake_virtio_serve(&hardware[1]);
	interrupt(1);
	assert_int_equal(hardware[1].pending_count, 85);
	serve_all(1);
	assert_int_equal(hardware[1].served, 90);
	assert_int_equal(hardware[0].notifications, 0);
}

TEST(one_full_device_does_not_hold_up_another)
{
	fill_device();
	assert_int_equal(read_one(200), WEIR_OK);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 1, BUFFER, 300), WEIR_OK);
	interrupt(1);
	expect_next(300, WEIR_OK);
	expect_none();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_SERVICE(requests_beyond_the_device_wait_and_are_submitted_by_completions),
		RUN_SERVICE(an_interrupt_ends_and_submits_a_few_and_is_raised_for_the_others),
		RUN_SERVICE(a_broken_device_fails_all_that_waits_a_few_at_a_time),
		RUN_SERVICE(a_vm_with_nothing_in_flight_gets_a_full_device_in_its_turn),
		RUN_SERVICE(what_comes_new_waits_behind_what_waits),
		RUN_SERVICE(each_device_has_waiters_of_its_own),
		RUN_SERVICE(one_full_device_does_not_hold_up_another),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
