/*
 * The block service and VMs that end, and what the grant module asks of it (block_vms.h).
 *
 * Sources: tests/host/block_vms.c tests/host/fake/gic_pend.c
 * Sources: ipc/block.c drivers/virtio_blk.c core/base/log.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/vgic_pend.c
 */
#include <string.h>
#include "block_vms.h"

/* A VM that ends. */

TEST(vm_that_stopped_hears_no_more_and_is_idle_when_dma_is_over)
{
	fill_device();
	self = a->vcpu[0];
	stop_all(a);
	assert_false(block_vm_idle(a));
	assert_true(block_pages_busy(a, a->ram, RAM_BYTES));
	fake_pend_reset();
	for (u32 i = 0; i < 84; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_false(block_vm_idle(a));
	serve_all(0);
	assert_true(block_vm_idle(a));
	assert_false(block_pages_busy(a, a->ram, RAM_BYTES));
	expect_none();
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 0);
}

TEST(vm_that_stopped_drops_what_waits_and_leaves_the_others_waiting)
{
	fill_device();
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(1), WEIR_OK);
	stop_all(a);
	serve_all(0);
	assert_int_equal(hardware[0].served, 86);
	expect_next(1, WEIR_OK);
	assert_true(block_vm_idle(a));
}

TEST(each_request_that_ends_after_its_vm_is_told_and_the_last_finds_it_idle)
{
	memset(device_done, 0, sizeof(device_done));
	memset(device_done_idle, 0, sizeof(device_done_idle));
	self = a->vcpu[0];
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(9), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	stop_all(a);
	assert_int_equal(device_done[0], 0);
	serve_all(0);
	assert_int_equal(device_done[0], 2);
	assert_int_equal(device_done_idle[0], 1);
	assert_int_equal(device_done[1], 0);
}

/* Completions unread, positions far on: the guest begins at 0 and may have all slots in flight. */
TEST(vm_that_started_again_has_its_slots_and_completions_as_new)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 5; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	serve_all(0);
	expect_next(0, WEIR_OK);
	assert_int_equal(read_one(6), WEIR_OK);
	stop_all(a);
	serve_all(0);
	assert_true(block_vm_idle(a));
	memset((void *)self->ipc->in, 0, PAGE_SIZE);
	memset(self->ipc->out, 0, PAGE_SIZE);
	reset_all(a);
	expect_none();
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(read_one(0), WEIR_QUOTA);
	serve_all(0);
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		expect_next(100 + i, WEIR_OK);
	expect_none();
}

/* For the grant module. */

TEST(pages_are_busy_from_submit_to_completion)
{
	pa_t page;

	assert_true(vm_ram(a, IPA(POOL + PAGE_SIZE), PAGE_SIZE, &page));
	assert_false(block_pages_busy(a, page, PAGE_SIZE));
	self = a->vcpu[1];
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, POOL + PAGE_SIZE - 512, 1), WEIR_OK);
	assert_true(block_pages_busy(a, page, PAGE_SIZE));
	assert_true(block_pages_busy(a, PA(page.raw - PAGE_SIZE), PAGE_SIZE));
	assert_false(block_pages_busy(a, PA(page.raw + PAGE_SIZE), PAGE_SIZE));
	assert_false(block_pages_busy(a, PA(page.raw + 512), 512));
	assert_false(block_pages_busy(a, PA(page.raw - PAGE_SIZE), PAGE_SIZE - 512));
	assert_false(block_pages_busy(b, b->ram, RAM_BYTES));
	serve_all(0);
	assert_false(block_pages_busy(a, page, PAGE_SIZE));
}

TEST(flush_makes_no_page_busy)
{
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 1), WEIR_OK);
	assert_false(block_pages_busy(a, PA(0), UINT64_MAX));
	assert_false(block_vm_idle(a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_SERVICE(vm_that_stopped_hears_no_more_and_is_idle_when_dma_is_over),
		RUN_SERVICE(vm_that_stopped_drops_what_waits_and_leaves_the_others_waiting),
		RUN_SERVICE(each_request_that_ends_after_its_vm_is_told_and_the_last_finds_it_idle),
		RUN_SERVICE(vm_that_started_again_has_its_slots_and_completions_as_new),
		RUN_SERVICE(pages_are_busy_from_submit_to_completion),
		RUN_SERVICE(flush_makes_no_page_busy),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
