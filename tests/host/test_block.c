/*
 * The block service: what its calls answer, disks that are parts of devices, completions (block_vms.h).
 *
 * Sources: tests/host/block_vms.c tests/host/fake/gic_pend.c
 * Sources: ipc/block.c drivers/virtio_blk.c core/base/log.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/vgic_pend.c
 */
#include <string.h>
#include "block_vms.h"

/* The calls: what they answer. */

TEST(info_tells_size_rights_and_largest_request)
{
	struct weir_block_info info;

	assert_int_equal(weir_block_info(A_WHOLE, &info), WEIR_OK);
	assert_int_equal(info.sectors, SECTORS);
	assert_false(info.read_only);
	assert_int_equal(info.request_sectors_max, 2048);
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_OK);
	assert_int_equal(info.sectors, PART);
	assert_int_equal(weir_block_info(A_READ_ONLY, &info), WEIR_OK);
	assert_true(info.read_only);
}

TEST(info_refuses_disks_that_are_not_there)
{
	struct weir_block_info info;

	assert_int_equal(weir_block_info(A_DISKS, &info), WEIR_NOT_FOUND);
	assert_int_equal(weir_call(WEIR_FN(WEIR_FN_BLOCK_INFO), UINT64_MAX, 0, 0, 0, 0, 0).status,
			 WEIR_NOT_FOUND);
	assert_int_equal(weir_block_info(A_MISSING, &info), WEIR_IO);
}

TEST(submit_refuses_disks_that_are_not_there)
{
	assert_int_equal(submit(A_DISKS, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_NOT_FOUND);
	assert_int_equal(submit(255, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(submit(A_MISSING, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_IO);
}

TEST(submit_refuses_operations_that_are_none)
{
	assert_int_equal(submit(0, 3, 0, 1, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, 255, 0, 1, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, 256, 0, 1, BUFFER, 0), WEIR_INVALID); /* bit 16 of x1 */
	assert_int_equal(
		weir_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), 1ul << 63, 0, 1, BUFFER, 0, 0).status,
		WEIR_INVALID);
}

TEST(submit_refuses_sectors_beyond_the_disk)
{
	static const struct {
		u64 sector, sectors;
	} bad[] = {
		{ 0, 0 },
		{ 0, PART + 1 },
		{ PART, 1 },
		{ PART - 1, 2 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - FIRST + 1, 1 }, /* wraps to sector 0 of the device */
		{ UINT64_MAX, 2 },
		{ 1, UINT64_MAX },
		{ 0, 1ul << 32 | 1 }, /* low half alone would do */
		{ 0, 1ul << 55 },     /* bytes wrap to 0 */
		{ 0, (1ul << 55) + 1 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			submit(A_PART, WEIR_BLOCK_READ, bad[i].sector, bad[i].sectors, BUFFER, 0),
			WEIR_INVALID);
		assert_int_equal(
			submit(A_PART, WEIR_BLOCK_WRITE, bad[i].sector, bad[i].sectors, BUFFER, 0),
			WEIR_INVALID);
	}
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, PART - 1, 1, BUFFER, 0), WEIR_OK);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 0, PART, BUFFER, 0), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 2);
}

TEST(submit_refuses_more_than_the_largest_request)
{
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2049, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2048, BUFFER, 0), WEIR_OK);
	serve_all(0);
	assert_int_equal(hardware[0].largest_transfer, MIB);
	assert_memory_equal(ram_at(a, BUFFER), medium[0], MIB);
}

TEST(submit_refuses_buffers_that_are_not_aligned)
{
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 1, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 256, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 512, 0), WEIR_OK);
}

TEST(submit_refuses_writes_to_a_read_only_disk)
{
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0), WEIR_DENIED);
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_OK);
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_OK);
}

TEST(submit_refuses_buffers_outside_of_ram)
{
	static const u64 bad[] = {
		0,
		VM_RAM_BASE - 512,
		VM_RAM_BASE + RAM_BYTES,
		VM_RAM_BASE + RAM_BYTES - 512, /* the second sector is beyond */
		VM_WINDOW_BASE,
		VM_SHARED_BASE,
		UINT64_MAX - 511, /* wraps */
		UINT64_MAX - 1023,
		1ul << 63 | VM_RAM_BASE,
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, bad[i], 0), WEIR_FAULT);
	assert_int_equal(hardware[0].notifications, 0);
	assert_true(block_vm_idle(a));
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, VM_RAM_BASE + RAM_BYTES - 1024, 0),
			 WEIR_OK);
}

TEST(submit_refuses_buffers_that_are_shared)
{
	shared_ipa = POOL + PAGE_SIZE;
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa, 0), WEIR_FAULT);
	assert_int_equal(submit(0, WEIR_BLOCK_WRITE, 0, 2, shared_ipa - 512, 0), WEIR_FAULT);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa + PAGE_SIZE - 512, 0),
			 WEIR_FAULT);
	assert_true(block_vm_idle(a));
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa - 512, 0), WEIR_OK);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa + PAGE_SIZE, 0), WEIR_OK);
}

TEST(flush_takes_no_sectors_and_no_buffer)
{
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 1, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 1, 0, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 5), WEIR_OK);
	serve_all(0);
	expect_next(5, WEIR_OK);
}

TEST(accepted_requests_and_their_sectors_are_counted)
{
	submit(0, WEIR_BLOCK_READ, 0, 3, BUFFER, 0);
	submit(0, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0);
	submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 0);
	submit(0, WEIR_BLOCK_READ, SECTORS, 1, BUFFER, 0); /* refused */
	assert_int_equal(self->account.block_requests, 3);
	assert_int_equal(self->account.block_sectors, 4);
}

/* A driver that moves the data itself. */
static enum weir_status submit_and_work(struct block_device *device, struct block_request *request)
{
	(void)device;
	assert_int_equal(request->ticks, 0);
	request->ticks = 7;
	request->done(request, WEIR_OK);
	return WEIR_OK;
}

TEST(time_that_moving_data_took_is_the_vcpus_that_asked)
{
	static const struct block_device_ops working = { .submit = submit_and_work };
	struct block_device *device = block_device_get(0);
	const struct block_device_ops *ops = device->ops;

	submit(0, WEIR_BLOCK_READ, 0, 3, BUFFER, 0);
	serve_all(0);
	assert_int_equal(self->account.block_ticks, 0);
	device->ops = &working;
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	device->ops = ops;
	assert_int_equal(self->account.block_ticks, 21);
	assert_int_equal(a->vcpu[1]->account.block_ticks, 0);
}

TEST(submit_refuses_more_than_the_completion_ring_holds)
{
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(64), WEIR_QUOTA);
	serve_all(0); /* done, and not consumed: still no room */
	assert_int_equal(read_one(64), WEIR_QUOTA);
	expect_next(0, WEIR_OK);
	assert_int_equal(read_one(64), WEIR_OK);
	assert_int_equal(read_one(65), WEIR_QUOTA);
	self = a->vcpu[1]; /* another vCPU has a ring of its own */
	assert_int_equal(read_one(0), WEIR_OK);
}

/* Disks of the manifest. */

TEST(a_part_is_its_own_sectors_of_the_device)
{
	memset(ram_at(a, BUFFER), 0x5a, 1024);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_WRITE, 3, 2, BUFFER, 1), WEIR_OK);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 5, 1, BUFFER + PAGE_SIZE, 2), WEIR_OK);
	serve_all(0);
	expect_next(1, WEIR_OK);
	expect_next(2, WEIR_OK);
	assert_memory_equal(medium[0] + (FIRST + 3) * 512, ram_at(a, BUFFER), 1024);
	assert_memory_equal(ram_at(a, BUFFER + PAGE_SIZE), medium[0] + (FIRST + 5) * 512, 512);
	assert_int_not_equal(medium[0][(FIRST + 3) * 512 - 1], 0x5a);
}

TEST(a_disk_that_does_not_fit_its_device_is_missing)
{
	struct weir_block_info info;

	disks[1].sectors = SECTORS - FIRST + 1;
	make_machine();
	disks[1].sectors = PART;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	disks[1].first_sector = UINT64_MAX;
	make_machine();
	disks[1].first_sector = FIRST;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	disks[1].missing = true;
	make_machine();
	disks[1].missing = false;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_IO);
	assert_int_equal(weir_block_info(A_WHOLE, &info), WEIR_OK);
}

TEST(a_read_only_device_makes_its_disks_read_only)
{
	block_device_get(1)->read_only = true;
	make_machine();
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0), WEIR_DENIED);
	assert_true(fake_log_has("/disks/other: device 1 is read-only"));
}

TEST(a_small_segment_makes_the_largest_request_small)
{
	struct weir_block_info info;

	block_device_get(1)->max_segment_bytes = 4096;
	make_machine();
	assert_int_equal(weir_block_info(A_OTHER, &info), WEIR_OK);
	assert_int_equal(info.request_sectors_max, 8);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 9, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 8, BUFFER, 0), WEIR_OK);
}

/* Completions. */

TEST(completion_arrives_on_the_vcpu_that_submitted)
{
	self = a->vcpu[1];
	assert_int_equal(read_one(9), WEIR_OK);
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 0);
	expect_none();
	serve_all(0);
	assert_int_equal(fake_pend_count(a->vcpu[1], WEIR_INTID_BLOCK), 1);
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 1);
	expect_next(9, WEIR_OK);
	expect_none();
	self = a->vcpu[0];
	expect_none();
}

TEST(requests_complete_in_the_order_of_the_device)
{
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(submit(0, WEIR_BLOCK_READ, i, 1, BUFFER + i * 512, i), WEIR_OK);
	fake_virtio_serve_at(&hardware[0], 2);
	fake_virtio_serve_at(&hardware[0], 2);
	interrupt(0);
	fake_virtio_serve_at(&hardware[0], 1);
	fake_virtio_serve_at(&hardware[0], 0);
	interrupt(0);
	expect_next(2, WEIR_OK);
	expect_next(3, WEIR_OK);
	expect_next(1, WEIR_OK);
	expect_next(0, WEIR_OK);
	assert_memory_equal(ram_at(a, BUFFER), medium[0], 4 * 512);
}

TEST(late_and_spurious_interrupts_do_no_harm)
{
	interrupt(0);
	assert_int_equal(read_one(1), WEIR_OK);
	interrupt(0);
	expect_none();
	fake_virtio_serve(&hardware[0]);
	expect_none(); /* not before its interrupt */
	interrupt(0);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_none();
	assert_int_equal(hardware[0].interrupt_status, 0);
}

TEST(io_error_reaches_the_guest_that_asked_and_no_other)
{
	assert_int_equal(read_one(1), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(2), WEIR_OK);
	self = a->vcpu[0];
	assert_int_equal(read_one(3), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	hardware[0].next_answer = 1; /* IOERR */
	fake_virtio_serve(&hardware[0]);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_next(3, WEIR_OK);
	self = b->vcpu[0];
	expect_next(2, WEIR_IO);
	assert_int_equal(read_one(4), WEIR_OK);
	hardware[0].next_answer = 2; /* UNSUPP */
	serve_all(0);
	expect_next(4, WEIR_IO);
}

TEST(an_answer_without_a_status_is_an_error)
{
	assert_int_equal(read_one(1), WEIR_OK);
	serve_all(0);
	expect_next(1, WEIR_OK);
	assert_int_equal(read_one(2), WEIR_OK); /* the same slot, where an OK still was */
	hardware[0].silent_status = true;
	serve_all(0);
	expect_next(2, WEIR_IO);
}

TEST(flush_of_a_device_that_writes_through_completes_at_once)
{
	block_device_get(0)->write_through = true;
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 7), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 0);
	expect_next(7, WEIR_OK);
	assert_int_equal(fake_pend_count(self, WEIR_INTID_BLOCK), 1);
	assert_true(block_vm_idle(a));
}

TEST(ring_positions_wrap_at_65536)
{
	u64 count = 70000;

	for (u64 i = 0; i < count; i += 2) { /* two at a time, the second first */
		fake_pend_reset();
		assert_int_equal(submit(0, WEIR_BLOCK_READ, i % SECTORS, 1, BUFFER, i), WEIR_OK);
		assert_int_equal(submit(0, WEIR_BLOCK_READ, 5, 1, BUFFER + 512, i + 1), WEIR_OK);
		fake_virtio_serve_at(&hardware[0], 1);
		interrupt(0);
		expect_next(i + 1, WEIR_OK);
		fake_virtio_serve(&hardware[0]);
		interrupt(0);
		expect_next(i, WEIR_OK);
	}
	assert_int_equal(hardware[0].served, count);
	assert_int_equal(hardware[0].used_index, (u16)count);
	assert_memory_equal(ram_at(a, BUFFER), medium[0] + (count - 2) % SECTORS * 512, 512);
	assert_int_equal(a->vcpu[0]->ipc->out->completion_tail, count);
}

TEST(head_that_lies_forward_is_clamped_to_the_tail)
{
	struct weir_in *in = (struct weir_in *)self->ipc->in;

	in->completion_head = UINT64_MAX;
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(64), WEIR_QUOTA); /* in flight: no lie gives their slots */
	in->completion_head = 1000;
	assert_int_equal(read_one(64), WEIR_QUOTA);
	serve_all(0);
	assert_int_equal(read_one(64), WEIR_OK); /* it gave up its completions itself */
	assert_int_equal(self->ipc->out->completion_tail, 64);
}

TEST(head_that_lies_backward_takes_nothing_back)
{
	struct weir_in *in = (struct weir_in *)self->ipc->in;

	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	serve_all(0);
	in->completion_head = 60;
	for (u64 i = 0; i < 50; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	in->completion_head = 0;
	for (u64 i = 50; i < 60; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(0), WEIR_QUOTA);
	serve_all(0);
	assert_int_equal(self->ipc->out->completion_tail, 124);
	in->completion_head = 124;
	assert_int_equal(read_one(0), WEIR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_SERVICE(info_tells_size_rights_and_largest_request),
		RUN_SERVICE(info_refuses_disks_that_are_not_there),
		RUN_SERVICE(submit_refuses_disks_that_are_not_there),
		RUN_SERVICE(submit_refuses_operations_that_are_none),
		RUN_SERVICE(submit_refuses_sectors_beyond_the_disk),
		RUN_SERVICE(submit_refuses_more_than_the_largest_request),
		RUN_SERVICE(submit_refuses_buffers_that_are_not_aligned),
		RUN_SERVICE(submit_refuses_writes_to_a_read_only_disk),
		RUN_SERVICE(submit_refuses_buffers_outside_of_ram),
		RUN_SERVICE(submit_refuses_buffers_that_are_shared),
		RUN_SERVICE(flush_takes_no_sectors_and_no_buffer),
		RUN_SERVICE(accepted_requests_and_their_sectors_are_counted),
		RUN_SERVICE(time_that_moving_data_took_is_the_vcpus_that_asked),
		RUN_SERVICE(submit_refuses_more_than_the_completion_ring_holds),
		RUN_SERVICE(a_part_is_its_own_sectors_of_the_device),
		RUN_SERVICE(a_disk_that_does_not_fit_its_device_is_missing),
		RUN_SERVICE(a_read_only_device_makes_its_disks_read_only),
		RUN_SERVICE(a_small_segment_makes_the_largest_request_small),
		RUN_SERVICE(completion_arrives_on_the_vcpu_that_submitted),
		RUN_SERVICE(requests_complete_in_the_order_of_the_device),
		RUN_SERVICE(late_and_spurious_interrupts_do_no_harm),
		RUN_SERVICE(io_error_reaches_the_guest_that_asked_and_no_other),
		RUN_SERVICE(an_answer_without_a_status_is_an_error),
		RUN_SERVICE(flush_of_a_device_that_writes_through_completes_at_once),
		RUN_SERVICE(ring_positions_wrap_at_65536),
		RUN_SERVICE(head_that_lies_forward_is_clamped_to_the_tail),
		RUN_SERVICE(head_that_lies_backward_takes_nothing_back),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
