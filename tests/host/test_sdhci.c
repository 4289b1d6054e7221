/*
 * The driver for SD host controllers, against a model of a controller with a card: identification, data, the
 * time that it takes from its core, and what others do meanwhile.
 *
 * Sources: tests/host/sd_slot.c drivers/sdhci.c drivers/sdhci_identification.c core/base/log.c
 * Sources: tests/host/fake/sd_host.c tests/host/fake/sd_card.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/cache.c tests/host/fake/panic.c tests/host/fake/timer.c
 * Sources: drivers/sdhci_adma.c drivers/dma.c
 */
#include <string.h>
#include "sd_slot.h"

/* ---- Identification -------------------------------------------------------------------------- */

TEST(large_card_is_found)
{
	probe_good();
	assert_false(device->read_only);
	assert_true(device->write_through);
	assert_int_equal(device->max_segments, BLOCK_SEGMENTS_MAX);
	assert_true((u64)device->max_segments * device->max_segment_bytes <= 0xfffful * SECTOR);
	assert_int_equal(hw.commands[OP_COND], 3);
	assert_int_equal(hw.power, 0xf02); /* four lines */
	check_card_works();
}

TEST(small_card_is_addressed_by_bytes)
{
	hw.large = false;
	probe_good();
	check_runs(request(0, BLOCK_READ, 3, 2), WEIR_OK);
	assert_int_equal(hw.last_argument, 3 * SECTOR);
	assert_memory_equal(memory, medium + 3 * SECTOR, 2 * SECTOR);
	check_card_works();
}

TEST(large_card_is_addressed_by_sectors)
{
	probe_good();
	check_runs(request(0, BLOCK_READ, 3, 2), WEIR_OK);
	assert_int_equal(hw.last_argument, 3);
	assert_memory_equal(memory, medium + 3 * SECTOR, 2 * SECTOR);
}

TEST(card_of_version_1_is_found)
{
	hw.large = false;
	hw.version1 = true;
	hw.lines_polls = 2; /* of the command that it does not know */
	probe_good();
	check_card_works();
}

TEST(capacity_is_that_of_the_card)
{
	static const struct {
		bool large;
		u64 sectors;
	} cards[] = {
		{ false, 4 },	    { false, 2048 },	{ false, 131072 },
		{ false, 2097152 }, { false, 4194304 }, { true, 1024 },
		{ true, 8388608 },  { true, 67108864 }, { true, 4294967296 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cards); i++) {
		prepare(0);
		hw.large = cards[i].large;
		hw.sectors = cards[i].sectors;
		probe_good();
	}
}

TEST(card_with_another_kind_of_addresses_is_not_used)
{
	hw.csd_structure = 2;
	probe();
	assert_int_equal(device->sectors, 0);
	assert_true(fake_log_has("mmc@1: no SD card answers"));
}

TEST(empty_slot_is_no_disk_and_not_worth_a_word)
{
	hw.inserted = false;
	probe();
	assert_int_equal(device->sectors, 0);
	assert_int_equal(fake_log_count(), 0);
}

TEST(slot_that_does_not_see_cards_is_asked)
{
	place.removable = false;
	hw.inserted = false;
	probe();
	assert_int_equal(device->sectors, 0);
	assert_int_equal(fake_log_count(), 1);
	assert_int_equal(hw.enable & 0xc0, 0); /* its pin says nothing */
}

TEST(card_that_is_never_ready_is_given_up_after_a_second)
{
	hw.ready_polls = FAKE_SD_FOR_EVER;
	probe();
	assert_int_equal(device->sectors, 0);
	assert_in_range(now_us, 1000000, 1200000);
}

TEST(slow_controller_is_waited_for)
{
	hw.reset_polls = hw.clock_polls = hw.debounce_polls = 5;
	probe_good();
}

TEST(dead_controller_is_given_up)
{
	for (u32 i = 0; i < 4; i++) {
		prepare(0);
		hw.reset_polls = i == 0 ? FAKE_SD_FOR_EVER : 0;
		hw.clock_polls = i == 1 ? FAKE_SD_FOR_EVER : 0;
		hw.debounce_polls = i == 2 ? FAKE_SD_FOR_EVER : 0;
		hw.lines_polls = i == 3 ? FAKE_SD_FOR_EVER : 0;
		hw.version1 = i == 3;
		probe();
		assert_int_equal(device->sectors, 0);
		assert_true(now_us < 2000000);
	}
}

TEST(command_that_hangs_ends_identification)
{
	static const u32 commands[] = { 0, 8, 55, 41, 2, 3, 9, 7, 6, 16 };

	for (u32 i = 0; i < ARRAY_SIZE(commands); i++) {
		prepare(0);
		hw.mute[commands[i]] = FAKE_SD_FOR_EVER;
		probe();
		assert_int_equal(hw.commands[commands[i]], 1);
		assert_true(fake_log_has("no SD card answers"));
	}
}

TEST(clock_is_slow_enough_if_its_base_is_not_known)
{
	hw.capabilities = 0;
	probe_good();
	check_card_works();
}

/* ---- Data ------------------------------------------------------------------------------------ */

TEST(blocks_go_to_the_pieces_of_a_request)
{
	struct test_request *read = request(0, BLOCK_READ, 10, 0);
	struct test_request *write = request(1, BLOCK_WRITE, 100, 0);
	static const u32 offset[] = { 0, PAGE_SIZE + SECTOR, 3 * PAGE_SIZE - SECTOR, SECTOR };
	static const u32 sectors[] = { 1, 2, 2, 3 };
	struct block_segment segment[4];

	probe_good();
	for (u32 i = 0; i < 4; i++)
		segment[i] = (struct block_segment){ PA((u64)memory + offset[i]),
						     sectors[i] * SECTOR, 0 };
	read->request.segment = write->request.segment = segment;
	read->request.segment_count = write->request.segment_count = 4;
	check_runs(read, WEIR_OK);
	for (u32 i = 0, at = 10; i < 4; at += sectors[i++])
		assert_memory_equal(memory + offset[i], medium + (u64)at * SECTOR,
				    (u64)sectors[i] * SECTOR);
	assert_int_equal(hw.commands[READ_MANY], 1);
	check_runs(write, WEIR_OK);
	assert_memory_equal(medium + 10 * SECTOR, medium + 100 * SECTOR, 8 * SECTOR);
	assert_int_equal(hw.commands[WRITE_MANY], 1);
	assert_int_equal(hw.blocks_moved, 16);
}

/* A guest may use its memory past the caches: what was read is cleaned, before a write forgotten. */
TEST(each_block_goes_past_the_caches)
{
	probe_good();
	check_runs(request(0, BLOCK_READ, 0, 2), WEIR_OK);
	assert_int_equal(fake_cache_count(), 2);
	check_runs(request(1, BLOCK_WRITE, 0, 1), WEIR_OK);
	assert_int_equal(fake_cache_count(), 3);
	for (u32 i = 0; i < 3; i++) {
		assert_int_equal(fake_cache_get(i).call, FAKE_CLEAN_INVALIDATE);
		assert_int_equal(fake_cache_get(i).bytes, SECTOR);
		assert_ptr_equal(fake_cache_get(i).start, memory + (i == 1 ? SECTOR : 0));
	}
}

/* As a driver of virtio's wants it: the window shows one page. */
TEST(block_may_lie_across_two_pages)
{
	struct test_request *read;
	u8 *page = (u8 *)align_up((u64)memory + SECTOR, PAGE_SIZE), *from = page - 100;

	probe_good();
	fake_cache_reset();
	read = request(0, BLOCK_READ, 3, 1);
	read->request.own.pa = PA((u64)from);
	check_runs(read, WEIR_OK);
	assert_memory_equal(from, medium + 3 * SECTOR, SECTOR);
	assert_int_equal(fake_cache_count(), 2);
	assert_int_equal(fake_cache_get(0).bytes, 100);
	assert_ptr_equal(fake_cache_get(1).start, page);
	assert_int_equal(fake_cache_get(1).bytes, SECTOR - 100);
	read->request.operation = BLOCK_WRITE;
	read->request.sector = 9;
	read->ends = 0;
	check_runs(read, WEIR_OK);
	assert_memory_equal(medium + 9 * SECTOR, medium + 3 * SECTOR, SECTOR);
	assert_int_equal(fake_cache_count(), 4);
}

TEST(all_that_comes_in_one_interrupt_is_served)
{
	probe_good();
	hw.at_once = true;
	check_card_works();
	check_runs(request(0, BLOCK_READ, 5, 4), WEIR_OK);
	assert_memory_equal(memory, medium + 5 * SECTOR, 4 * SECTOR);
}

/* Transfer complete while the last block is still in the buffer, in one interrupt. */
TEST(last_block_and_the_end_come_together)
{
	probe_good();
	begin(request(0, BLOCK_READ, 5, 2));
	while (!(hw.left == 1 && fake_sd_line(&hw)))
		assert_true(step());
	hw.status |= 2;
	assert_true(step());
	check_ended(&requests[0], WEIR_OK);
	assert_memory_equal(memory, medium + 5 * SECTOR, 2 * SECTOR);
	hw.coming_count = 0; /* it has come already */
	run();
	check_card_works();
}

static void timeout_comes_with_the_end(u64 between_us)
{
	probe_good();
	card_us = between_us;
	begin(request(0, BLOCK_WRITE, 5, 2));
	while (!(hw.status & 2))
		assert_true(step());
	hw.status |= 1u << 20;
	run();
	check_ended(&requests[0], WEIR_OK);
}

/* The second: in the pause after the last block the end is not listened for. */
TEST(timeout_that_comes_with_the_end_is_none)
{
	timeout_comes_with_the_end(120);
}

TEST(timeout_that_comes_with_an_early_end_is_none)
{
	timeout_comes_with_the_end(1);
}

TEST(end_before_all_blocks_is_an_error)
{
	probe_good();
	begin(request(0, BLOCK_READ, 5, 4));
	while (hw.left != 2)
		assert_true(step());
	hw.status |= 2;
	hw.response[3] = 0x900; /* the stop was answered well */
	hw.coming_count = 0;
	run();
	check_ended(&requests[0], WEIR_IO);
	check_card_works();
}

/* Each has its own two seconds, the first with the command. */
TEST(blocks_may_take_their_time)
{
	probe_good();
	card_us = 900000;
	check_runs(request(0, BLOCK_WRITE, 5, 4), WEIR_OK);
	assert_int_equal(hw.resets, 1);
}

TEST(last_sector_of_the_card_is_read)
{
	probe_good();
	check_runs(request(0, BLOCK_READ, SECTORS - 1, 1), WEIR_OK);
	assert_memory_equal(memory, medium + (u64)(SECTORS - 1) * SECTOR, SECTOR);
	check_runs(request(1, BLOCK_READ, 0, 1), WEIR_OK);
}

TEST(taken_queue_is_full)
{
	probe_good();
	begin(request(0, BLOCK_READ, 0, 1));
	assert_int_equal(submit(request(1, BLOCK_READ, 1, 1)), WEIR_AGAIN);
	run();
	check_ended(&requests[0], WEIR_OK);
	assert_int_equal(requests[1].ends, 0);
	check_runs(&requests[1], WEIR_OK);
}

TEST(next_request_may_come_from_done)
{
	probe_good();
	for (u32 i = 0; i < 4; i++)
		request(i, BLOCK_READ, i, 1)->next = i < 3 ? &requests[i + 1] : 0;
	begin(&requests[0]);
	run();
	for (u32 i = 0; i < 4; i++)
		check_ended(&requests[i], WEIR_OK);
}

/* ---- Time of the core ------------------------------------------------------------------------ */

/* Runs on until so many blocks have moved, and says how long that took. */
static u64 time_of_blocks(u64 blocks)
{
	u64 before = now_us, until = hw.blocks_moved + blocks;

	for (u32 steps = 0; hw.blocks_moved < until; steps++)
		assert_true(step() && steps < 1000);
	return now_us - before;
}

/* A card that is faster than any: with each block the core would be busy for ever. */
TEST(core_has_a_pause_after_each_block)
{
	for (u32 writes = 0; writes < 2; writes++) {
		prepare(0);
		probe_good();
		card_us = 0;
		hw.at_once = true;
		begin(request(0, writes ? BLOCK_WRITE : BLOCK_READ, 0, 8));
		time_of_blocks(1);
		for (u32 i = 1; i < 8; i++)
			assert_true(time_of_blocks(1) >= PAUSE_US);
		run();
		check_ended(&requests[0], WEIR_OK);
	}
}

TEST(core_has_a_pause_after_each_request)
{
	probe_good();
	card_us = 0;
	hw.at_once = true;
	for (u32 i = 0; i < 4; i++)
		request(i, BLOCK_READ, i, 1)->next = i < 3 ? &requests[i + 1] : 0;
	begin(&requests[0]);
	time_of_blocks(1);
	for (u32 i = 1; i < 4; i++)
		assert_true(time_of_blocks(1) >= PAUSE_US);
	run();
	check_ended(&requests[3], WEIR_OK);
}

static u64 clock_ticks;

static void tick(void)
{
	fake_timer_set(++clock_ticks);
}

/* Of which a register's access is a tick here. */
TEST(time_that_blocks_take_of_the_core_is_the_requests)
{
	probe_good();
	hw.access = tick;
	check_runs(request(0, BLOCK_READ, 0, 4), WEIR_OK);
	assert_int_equal(requests[0].request.ticks, 4 * SECTOR / 4);
	check_runs(request(1, BLOCK_WRITE, 0, 2), WEIR_OK);
	assert_int_equal(requests[1].request.ticks, 2 * SECTOR / 4);
	assert_int_equal(worked_ticks, 6 * SECTOR / 4);
}

/* Interrupts of the line's other devices, and requests of other cores, do not end it. */
TEST(pause_is_not_cut_short)
{
	probe_good();
	card_us = 0;
	hw.at_once = true;
	begin(request(0, BLOCK_READ, 0, 8));
	for (u32 i = 0; i < 8; i++) {
		time_of_blocks(1);
		for (u32 j = 0; j < 3; j++)
			device->ops->interrupt(device);
		assert_int_equal(hw.blocks_moved, i + 1);
	}
	run();
	check_ended(&requests[0], WEIR_OK);
	assert_memory_equal(memory, medium, 8 * SECTOR);
}

/* What is masked for a pause is heard again, however the request ended. */
TEST(failure_in_a_pause_leaves_nothing_masked)
{
	static const u32 errors[] = { 1u << 16, 1u << 20, 1u << 21 };

	for (u32 i = 0; i < ARRAY_SIZE(errors); i++) {
		prepare(0);
		probe_good();
		begin(request(0, BLOCK_READ, 0, 8));
		time_of_blocks(3);
		assert_false(hw.signal & 0x30);
		hw.status |= errors[i];
		run();
		check_ended(&requests[0], i == 0 ? WEIR_OK : WEIR_IO);
		check_card_works();
		assert_int_equal(hw.resets, i == 0 ? 2 : 1);
	}
}

/* ---- Other cores, other devices -------------------------------------------------------------- */

/* The interrupt line is shared: it comes at any time, also when this controller has nothing. */
TEST(interrupts_that_mean_nothing_change_nothing)
{
	device = sdhci_probe(&place);
	do
		device->ops->interrupt(device);
	while (step());
	assert_int_equal(device->sectors, SECTORS);
	begin(request(0, BLOCK_READ, 5, 3));
	do
		device->ops->interrupt(device);
	while (step());
	check_ended(&requests[0], WEIR_OK);
	assert_memory_equal(memory, medium + 5 * SECTOR, 3 * SECTOR);
	assert_int_equal(hw.commands[READ_MANY], 1);
	assert_int_equal(hw.resets, 1);
}

TEST(status_that_nobody_asked_for_changes_nothing)
{
	probe_good();
	hw.status = 0x01ff0033;
	run();
	assert_false(deadline_us);
	hw.status = 0x33;
	begin(request(0, BLOCK_READ, 5, 3));
	run();
	check_ended(&requests[0], WEIR_OK);
	hw.status = 0x01ff0000;
	check_runs(request(1, BLOCK_READ, 5, 3), WEIR_OK);
	check_card_works();
}

static u64 submit_at;

/* Another core, between two of the driver's accesses to registers. */
static void submit_second(void)
{
	struct test_request *second = &requests[1];

	if (hw.accesses < submit_at || second->request.driver_word || second->ends)
		return;
	if (submit(second) == WEIR_OK)
		second->request.driver_word = 1; /* it is the driver's now */
}

enum scene { SCENE_GOOD, SCENE_BAD_BLOCK, SCENE_HANG, SCENE_PULLED, SCENES };

/* Both end, whenever the second was submitted. */
static void check_race(enum scene scene, u32 at)
{
	prepare(0);
	probe_good();
	request(1, BLOCK_READ, 60, 2);
	begin(request(0, BLOCK_READ, 50, 2));
	hw.bad_blocks = scene == SCENE_BAD_BLOCK;
	hw.mute[READ_MANY] = scene == SCENE_HANG ? RESETS : 0;
	submit_at = hw.accesses + at;
	hw.access = submit_second;
	if (scene == SCENE_PULLED) {
		while (!hw.left)
			assert_true(step());
		fake_sd_remove(&hw);
		step();
		fake_sd_insert(&hw);
	}
	run();
	hw.access = 0;
	if (!requests[1].request.driver_word)
		begin(&requests[1]);
	run();
	check_ended(&requests[0], scene == SCENE_GOOD ? WEIR_OK : WEIR_IO);
	if (scene == SCENE_PULLED && requests[1].status == WEIR_IO)
		assert_int_equal(requests[1].ends, 1); /* it came while there was no card */
	else
		check_ended(&requests[1], WEIR_OK);
}

TEST(request_of_another_core_is_never_lost)
{
	for (u32 scene = 0; scene < SCENES; scene++)
		for (u32 at = 0; at < 500; at += scene == SCENE_GOOD ? 1 : 3)
			check_race((enum scene)scene, at);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, large_card_is_found),
		RUN_AFTER(prepare, small_card_is_addressed_by_bytes),
		RUN_AFTER(prepare, large_card_is_addressed_by_sectors),
		RUN_AFTER(prepare, card_of_version_1_is_found),
		RUN_AFTER(prepare, capacity_is_that_of_the_card),
		RUN_AFTER(prepare, card_with_another_kind_of_addresses_is_not_used),
		RUN_AFTER(prepare, empty_slot_is_no_disk_and_not_worth_a_word),
		RUN_AFTER(prepare, slot_that_does_not_see_cards_is_asked),
		RUN_AFTER(prepare, card_that_is_never_ready_is_given_up_after_a_second),
		RUN_AFTER(prepare, slow_controller_is_waited_for),
		RUN_AFTER(prepare, dead_controller_is_given_up),
		RUN_AFTER(prepare, command_that_hangs_ends_identification),
		RUN_AFTER(prepare, clock_is_slow_enough_if_its_base_is_not_known),
		RUN_AFTER(prepare, blocks_go_to_the_pieces_of_a_request),
		RUN_AFTER(prepare, each_block_goes_past_the_caches),
		RUN_AFTER(prepare, block_may_lie_across_two_pages),
		RUN_AFTER(prepare, all_that_comes_in_one_interrupt_is_served),
		RUN_AFTER(prepare, last_block_and_the_end_come_together),
		RUN_AFTER(prepare, timeout_that_comes_with_the_end_is_none),
		RUN_AFTER(prepare, timeout_that_comes_with_an_early_end_is_none),
		RUN_AFTER(prepare, end_before_all_blocks_is_an_error),
		RUN_AFTER(prepare, blocks_may_take_their_time),
		RUN_AFTER(prepare, last_sector_of_the_card_is_read),
		RUN_AFTER(prepare, taken_queue_is_full),
		RUN_AFTER(prepare, next_request_may_come_from_done),
		RUN_AFTER(prepare, core_has_a_pause_after_each_block),
		RUN_AFTER(prepare, core_has_a_pause_after_each_request),
		RUN_AFTER(prepare, time_that_blocks_take_of_the_core_is_the_requests),
		RUN_AFTER(prepare, pause_is_not_cut_short),
		RUN_AFTER(prepare, failure_in_a_pause_leaves_nothing_masked),
		RUN_AFTER(prepare, interrupts_that_mean_nothing_change_nothing),
		RUN_AFTER(prepare, status_that_nobody_asked_for_changes_nothing),
		RUN_AFTER(prepare, request_of_another_core_is_never_lost),
	};
	int failed = cmocka_run_group_tests(tests, 0, 0);

	fake_heap_reset();
	return failed;
}
