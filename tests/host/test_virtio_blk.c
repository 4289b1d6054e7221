/*
 * The virtio-blk driver: which disks it takes, requests of several segments, and devices that fail or lie (block_vms.h).
 *
 * Sources: tests/host/block_vms.c tests/host/fake/gic_pend.c
 * Sources: ipc/block.c drivers/virtio_blk.c core/base/log.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/vgic_pend.c
 */
#include "block_vms.h"
#include "core/memory.h"

/* The driver: finding a disk. */

TEST(probe_says_how_to_make_a_legacy_device_modern)
{
	hardware[0].version = 1;
	assert_false(probe(0));
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("-global virtio-mmio.force-legacy=false"));
	assert_int_equal(fake_heap_allocations(), 0);
}

TEST(probe_passes_over_what_is_no_disk_without_a_word)
{
	hardware[0].id = 0;
	assert_false(probe(0));
	hardware[0].id = 1;
	assert_false(probe(0));
	hardware[0].magic = 0;
	assert_false(probe(0));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(hardware[0].resets, 0);
}

TEST(probe_takes_only_the_features_that_it_knows)
{
	assert_true(probe(0));
	assert_int_equal(hardware[0].driver_features, 1ul << 32 | 1ul << 28 | 1ul << 9 | 1ul << 2);
	assert_int_equal(hardware[0].status, 0xf);
	assert_int_equal(hardware[0].queue_num, 256);
	assert_int_equal(block_device_get(0)->sectors, SECTORS);
	assert_false(block_device_get(0)->read_only);
	assert_int_equal(block_device_get(0)->intid, 48);
	assert_int_equal(fake_log_count(), 0);
}

TEST(probe_refuses_a_device_before_version_1)
{
	hardware[0].features &= ~(1ul << 32);
	assert_false(probe(0));
	assert_true(fake_log_has("virtio_mmio@0: the disk does not offer VIRTIO_F_VERSION_1"));
	assert_true(hardware[0].status & 128);
	assert_int_equal(block_device_count(), 0);
}

TEST(probe_refuses_a_device_that_needs_address_translation)
{
	hardware[0].features |= 1ul << 33;
	hardware[0].needs_features |= 1ul << 33;
	assert_false(probe(0));
	assert_true(fake_log_has("VIRTIO_F_ACCESS_PLATFORM"));
	assert_int_equal(fake_log_count(), 1);
}

TEST(probe_gives_up_on_a_device_that_does_not_reset)
{
	hardware[0].never_resets = true;
	assert_false(probe(0));
	assert_true(fake_log_has("does not reset"));
}

TEST(probe_refuses_a_device_without_a_queue)
{
	hardware[0].queue_max = 2;
	assert_false(probe(0));
	assert_true(fake_log_has("queue"));
}

TEST(probe_honours_the_limits_of_the_device)
{
	hardware[0].features |= 1ul << 1 | 1ul << 5;
	hardware[0].size_max = 5000;
	hardware[0].seg_max = 2;
	hardware[0].queue_max = 100;
	hardware[0].sectors = 0x1234567890ul;
	assert_true(probe(0));
	assert_int_equal(block_device_get(0)->max_segment_bytes, 4608);
	assert_int_equal(block_device_get(0)->max_segments, 2);
	assert_int_equal(block_device_get(0)->sectors, 0x1234567890ul);
	assert_true(block_device_get(0)->read_only);
	assert_int_equal(hardware[0].queue_num, 64);
}

TEST(probe_refuses_a_device_that_takes_no_whole_sector)
{
	hardware[0].features |= 1ul << 1;
	hardware[0].size_max = 511;
	assert_false(probe(0));
	assert_true(fake_log_has("less than a sector"));
}

TEST(probe_reads_the_capacity_again_if_it_changed_meanwhile)
{
	hardware[0].config_changes = 3;
	assert_true(probe(0));
	assert_int_equal(block_device_get(0)->sectors, SECTORS);
}

TEST(devices_beyond_the_table_are_left_out_and_named)
{
	struct block_device disk = { .name = "disk" };

	for (u32 i = 0; i < BLOCK_DEVICES_MAX; i++)
		assert_true(block_device_add(&disk));
	assert_false(probe(0));
	assert_int_equal(block_device_count(), BLOCK_DEVICES_MAX);
	assert_null(block_device_get(BLOCK_DEVICES_MAX));
	assert_true(fake_log_has("virtio_mmio@0: the disk is one more than Weir uses"));
	assert_false(hardware[0].status & 4);
}

/* The driver: requests of several segments, which the service does not make. */

static u32 done_count;
static enum weir_status done_status;

static void count_done(struct block_request *request, enum weir_status status)
{
	(void)request;
	done_count++;
	done_status = status;
}

TEST(segments_are_filled_in_their_order)
{
	u8 *memory = heap_pages(2);
	struct block_segment segment[4];
	struct block_request request = { .operation = BLOCK_READ,
					 .sector = 7,
					 .segment_count = 4,
					 .segment = segment,
					 .done = count_done };
	struct block_device *device;

	assert_true(probe(0));
	device = block_device_get(0);
	for (u32 i = 0; i < 4; i++)
		segment[i] = (struct block_segment){ PA((u64)memory + 1024 * (3 - i)), 512, 0 };
	done_count = 0;
	assert_int_equal(device->ops->submit(device, &request), WEIR_OK);
	assert_int_equal(done_count, 0); /* never from inside submit */
	interrupt(0);
	assert_int_equal(done_count, 1);
	assert_int_equal(done_status, WEIR_OK);
	for (u32 i = 0; i < 4; i++)
		assert_memory_equal(memory + 1024 * (3 - i), medium[0] + (7 + i) * 512, 512);
}

/* Requests of two sectors by tables, as many as the ring has room for. */
static u32 submit_tables(u32 count)
{
	static struct block_request request[300];
	static struct block_segment table[300][4];
	u8 *memory = heap_page();
	u32 taken = 0;

	for (u32 i = 0; i < count; i++) {
		struct block_segment *segment = table[i];

		segment[1] = (struct block_segment){ PA((u64)memory + 512), 512, 3 | 2u << 16 };
		segment[2] = (struct block_segment){ PA((u64)memory), 512, 3 | 3u << 16 };
		request[i] = (struct block_request){ .operation = BLOCK_READ,
						     .sector = 7,
						     .segment_count = 2,
						     .segment = &segment[1],
						     .table = PA((u64)segment),
						     .has_table = true,
						     .done = count_done };
		taken += block_device_get(0)->ops->submit(block_device_get(0), &request[i]) ==
			 WEIR_OK;
	}
	done_count = 0;
	while (done_count < taken) {
		fake_virtio_serve_all(&hardware[0]);
		interrupt(0);
	}
	assert_int_equal(done_status, WEIR_OK);
	assert_memory_equal(memory + 512, medium[0] + 7 * 512, 512);
	assert_memory_equal(memory, medium[0] + 8 * 512, 512);
	return taken;
}

TEST(request_with_a_table_takes_one_descriptor)
{
	hardware[0].automatic = false;
	assert_true(probe(0));
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(submit_tables(300), 256);
	assert_int_equal(hardware[0].largest_table, 4 * 16);
}

TEST(device_that_takes_no_tables_gets_the_segments)
{
	hardware[0].automatic = false;
	hardware[0].features &= ~(1ul << 28);
	assert_true(probe(0));
	assert_int_equal(submit_tables(300), 64);
	assert_int_equal(hardware[0].largest_table, 0);
}

/* One that goes by itself leaves the free descriptors linked for those that do not. */
TEST(requests_with_and_without_a_table_take_turns)
{
	struct block_request request = { .operation = BLOCK_READ,
					 .segment_count = 1,
					 .segment = &request.own,
					 .done = count_done };

	request.own = (struct block_segment){ PA((u64)heap_page()), 512, 0 };
	assert_true(probe(0));
	assert_int_equal(submit_tables(3), 3);
	done_count = 0;
	for (u32 i = 0; i < 300; i++) {
		assert_int_equal(block_device_get(0)->ops->submit(block_device_get(0), &request),
				 WEIR_OK);
		interrupt(0);
	}
	assert_int_equal(done_count, 300);
	hardware[0].automatic = false;
	assert_int_equal(submit_tables(300), 256);
}

TEST(full_queue_answers_again_and_changes_nothing)
{
	static struct block_request request[86];
	u8 *memory = heap_page();
	struct block_device *device;

	hardware[0].automatic = false;
	assert_true(probe(0));
	device = block_device_get(0);
	done_count = 0;
	for (u32 i = 0; i < 86; i++) {
		request[i] = (struct block_request){ .operation = BLOCK_READ,
						     .segment_count = 1,
						     .segment = &request[i].own,
						     .own = { PA((u64)memory), 512, 0 },
						     .done = count_done };
		assert_int_equal(device->ops->submit(device, &request[i]),
				 i < 85 ? WEIR_OK : WEIR_AGAIN);
	}
	assert_int_equal(hardware[0].notifications, 85);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_int_equal(done_count, 1);
	assert_int_equal(device->ops->submit(device, &request[85]), WEIR_OK);
	fake_virtio_serve_all(&hardware[0]);
	interrupt(0);
	assert_int_equal(done_count, 86);
}

TEST(device_without_flush_is_taken_as_writing_through)
{
	hardware[0].features &= ~(1ul << 9);
	assert_true(probe(0));
	assert_true(block_device_get(0)->write_through);
}

/* A device that fails. */

TEST(device_that_needs_a_reset_fails_every_request_once)
{
	fill_device();
	assert_int_equal(read_one(200), WEIR_OK); /* waits */
	fake_virtio_serve(&hardware[0]);	  /* cookie 0 was done in time */
	fake_virtio_need_reset(&hardware[0]);
	interrupt(0);
	self = a->vcpu[0];
	expect_next(0, WEIR_OK);
	for (u64 i = 1; i < 64; i++)
		expect_next(i, WEIR_IO);
	expect_none();
	assert_int_equal(read_one(1), WEIR_IO);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_IO);
	self = a->vcpu[1];
	expect_next(200, WEIR_IO);
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_IO);
	expect_none();
	interrupt(0);
	assert_int_equal(hardware[0].status, 0);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("virtio_mmio@0: the disk needs a reset"));
	assert_true(block_vm_idle(a));
	for (u32 i = 0; i < 200; i++) /* refusing takes no slot */
		assert_int_equal(read_one(1), WEIR_IO);
}

TEST(device_that_does_not_confirm_its_reset_keeps_the_memory)
{
	assert_int_equal(read_one(1), WEIR_OK);
	hardware[0].never_resets = true;
	fake_virtio_need_reset(&hardware[0]);
	interrupt(0);
	expect_none();
	assert_false(block_vm_idle(a));
	assert_int_equal(read_one(2), WEIR_IO);
	hardware[0].never_resets = false;
	interrupt(0);
	expect_next(1, WEIR_IO);
	assert_true(block_vm_idle(a));
}

TEST(change_of_configuration_is_not_taken_for_a_failure)
{
	assert_int_equal(read_one(1), WEIR_OK);
	hardware[0].interrupt_status |= 2;
	interrupt(0);
	serve_all(0);
	expect_next(1, WEIR_OK);
}

static void expect_liar(void)
{
	interrupt(0);
	assert_true(fake_log_has("virtio_mmio@0: the disk answered what it was not asked"));
	expect_next(1, WEIR_IO);
	expect_none();
	assert_int_equal(read_one(2), WEIR_IO);
}

TEST(answer_beyond_the_queue_is_not_used_as_an_index)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_answer_id(&hardware[0], 0x10000);
	expect_liar();
}

TEST(answer_to_what_was_not_asked_is_refused)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_answer_id(&hardware[0], 200);
	expect_liar();
}

TEST(the_same_answer_twice_is_refused)
{
	assert_int_equal(read_one(0), WEIR_OK);
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	fake_virtio_answer_id(&hardware[0], 0);
	interrupt(0);
	expect_next(0, WEIR_OK);
	expect_next(1, WEIR_IO);
	expect_none();
}

TEST(used_index_that_runs_ahead_is_refused)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_run_ahead(&hardware[0], 5000);
	hardware[0].never_resets = true;
	interrupt(0);
	expect_none(); /* nothing of what it claims is believed */
	hardware[0].never_resets = false;
	expect_liar();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_DRIVER(probe_says_how_to_make_a_legacy_device_modern),
		RUN_DRIVER(probe_passes_over_what_is_no_disk_without_a_word),
		RUN_DRIVER(probe_takes_only_the_features_that_it_knows),
		RUN_DRIVER(probe_refuses_a_device_before_version_1),
		RUN_DRIVER(probe_refuses_a_device_that_needs_address_translation),
		RUN_DRIVER(probe_gives_up_on_a_device_that_does_not_reset),
		RUN_DRIVER(probe_refuses_a_device_without_a_queue),
		RUN_DRIVER(probe_honours_the_limits_of_the_device),
		RUN_DRIVER(probe_refuses_a_device_that_takes_no_whole_sector),
		RUN_DRIVER(probe_reads_the_capacity_again_if_it_changed_meanwhile),
		RUN_DRIVER(devices_beyond_the_table_are_left_out_and_named),
		RUN_DRIVER(segments_are_filled_in_their_order),
		RUN_DRIVER(request_with_a_table_takes_one_descriptor),
		RUN_DRIVER(device_that_takes_no_tables_gets_the_segments),
		RUN_DRIVER(requests_with_and_without_a_table_take_turns),
		RUN_DRIVER(full_queue_answers_again_and_changes_nothing),
		RUN_DRIVER(device_without_flush_is_taken_as_writing_through),
		RUN_SERVICE(device_that_needs_a_reset_fails_every_request_once),
		RUN_SERVICE(device_that_does_not_confirm_its_reset_keeps_the_memory),
		RUN_SERVICE(change_of_configuration_is_not_taken_for_a_failure),
		RUN_SERVICE(answer_beyond_the_queue_is_not_used_as_an_index),
		RUN_SERVICE(answer_to_what_was_not_asked_is_refused),
		RUN_SERVICE(the_same_answer_twice_is_refused),
		RUN_SERVICE(used_index_that_runs_ahead_is_refused),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
