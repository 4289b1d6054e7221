/*
 * The driver for SD host controllers by DMA: a controller with ADMA2 that reads descriptors and data in
 * memory which it sees only as far as the driver has cleaned the caches, and whose work the core sees only
 * where it has invalidated them. However a transfer ends, the request's memory is its owner's again only
 * when the controller does nothing any more (sd_slot.c looks at that in each `done`).
 *
 * Sources: tests/host/sd_slot.c drivers/sdhci.c drivers/sdhci_identification.c drivers/sdhci_adma.c
 * Sources: drivers/dma.c core/base/log.c tests/host/fake/sd_host.c tests/host/fake/sd_card.c tests/host/fake/dma_memory.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c tests/host/fake/panic.c
 * Sources: tests/host/fake/timer.c
 */
#include <string.h>
#include "dma_memory.h"
#include "sd_slot.h"

#define BUS	   0xc0000000u
#define ADMA2	   BIT(19)
#define MOST	   64u /* sectors of a request */
#define FIRST_PAGE 1u  /* the table is in the one before */

static int prepare_dma(void **state)
{
	prepare(state);
	hw.capabilities |= ADMA2;
	hw.dma_read = dma_memory_read;
	hw.dma_write = dma_memory_write;
	place.dma = dma_memory_reset(BUS);
	place.table = dma_memory;
	place.table_address = BUS;
	memory = dma_memory + FIRST_PAGE * PAGE_SIZE;
	/* As it may be where nothing was in memory before. */
	memset(dma_memory, 0x5a, DMA_MEMORY_BYTES);
	dma_memory_settle();
	return 0;
}

/* A block is written and read; so many of the two go by DMA. */
static void check_works_with(u64 dma_blocks)
{
	u64 before = hw.dma_blocks, moved = hw.blocks_moved;

	check_card_works();
	assert_int_equal(hw.dma_blocks - before, dma_blocks);
	assert_int_equal(hw.blocks_moved - moved, 2);
}

static void check_read(const struct test_request *read, u64 sector, u32 sectors)
{
	check_ended(read, WEIR_OK);
	assert_memory_equal(memory, medium + sector * SECTOR, (u64)sectors * SECTOR);
}

/* ---- Data ------------------------------------------------------------------------------------ */

TEST(blocks_go_by_dma)
{
	probe_good();
	assert_int_equal(hw.power, 0xf12); /* ADMA2, four lines */
	assert_int_equal(device->max_segment_bytes, MOST * SECTOR);
	assert_int_equal(device->dma_limit, (u64)dma_memory + DMA_MEMORY_BYTES);
	check_works_with(2);
	check_works_with(2); /* again, in lines that hold what was read */
}

TEST(largest_request_takes_a_few_steps)
{
	u64 accesses;

	probe_good();
	for (u32 writes = 0; writes < 2; writes++) {
		accesses = hw.accesses;
		memset(memory, 0x77, (u64)MOST * SECTOR);
		check_runs(request(0, writes ? BLOCK_WRITE : BLOCK_READ, 100, MOST), WEIR_OK);
		assert_memory_equal(memory, medium + 100 * SECTOR, (u64)MOST * SECTOR);
		assert_int_equal(hw.dma_blocks, (writes + 1) * MOST);
		assert_true(hw.accesses - accesses <= 30);
	}
}

TEST(pieces_have_a_descriptor_each)
{
	static const u32 offset[] = { 0, PAGE_SIZE + SECTOR, 4 * PAGE_SIZE, SECTOR };
	static const u32 sectors[] = { 1, 2, 9, 3 };
	struct test_request *read = request(0, BLOCK_READ, 10, 0);
	struct test_request *write = request(1, BLOCK_WRITE, 100, 0);
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
	check_runs(write, WEIR_OK);
	assert_memory_equal(medium + 10 * SECTOR, medium + 100 * SECTOR, 15 * SECTOR);
	assert_int_equal(hw.dma_blocks, 30);
	/* Fewer of them after more. */
	check_works_with(2);
}

TEST(all_that_comes_in_one_interrupt_is_served)
{
	probe_good();
	hw.at_once = true;
	check_works_with(2);
	check_runs(request(0, BLOCK_READ, 5, 4), WEIR_OK);
	check_read(&requests[0], 5, 4);
}

/* Some controllers say so though nobody shall move words. */
TEST(buffer_that_is_ready_is_left_alone)
{
	u64 seen = 0;

	probe_good();
	begin(request(0, BLOCK_READ, 5, 4));
	while (step())
		for (; seen < hw.dma_blocks; seen++)
			hw.status |= 0x30;
	check_read(&requests[0], 5, 4);
	assert_int_equal(seen, 4);
	check_works_with(2);
}

TEST(coherent_device_needs_no_maintenance)
{
	place.dma.coherent = true;
	probe_good();
	dma_memory_settle();
	begin(request(0, BLOCK_READ, 5, 4));
	run();
	check_ended(&requests[0], WEIR_OK);
	dma_memory_settle(); /* the caches see what it wrote */
	check_read(&requests[0], 5, 4);
}

/* ---- Words instead --------------------------------------------------------------------------- */

TEST(controller_without_it_moves_words)
{
	hw.capabilities &= ~(u32)ADMA2;
	probe_good();
	assert_int_equal(hw.power, 0xf02);
	assert_true(device->max_segment_bytes > MOST * SECTOR);
	assert_int_equal(device->dma_limit, 0);
	check_works_with(0);
}

TEST(controller_that_reaches_nothing_moves_words)
{
	place.dma.bytes = 0;
	probe_good();
	assert_true(device->max_segment_bytes > MOST * SECTOR);
	assert_int_equal(device->dma_limit, 0);
	check_works_with(0);
}

TEST(table_out_of_reach_means_words)
{
	place.table_address = DMA_UNREACHABLE;
	probe_good();
	check_works_with(0);
}

/* Of each request, wherever it lies. */
TEST(memory_out_of_reach_means_words)
{
	place.dma.bytes = 4 * PAGE_SIZE;
	probe_good();
	check_works_with(2);
	memory = dma_memory + 4 * PAGE_SIZE;
	check_works_with(0);
	memory = dma_memory + 4 * PAGE_SIZE - SECTOR;
	check_works_with(2);
	check_runs(request(0, BLOCK_READ, 5, 2), WEIR_OK);
	check_read(&requests[0], 5, 2);
	assert_int_equal(hw.dma_blocks, 4);
}

TEST(memory_that_is_not_aligned_means_words)
{
	probe_good();
	memory += 64;
	check_works_with(0);
}

TEST(request_that_takes_too_long_to_clean_means_words)
{
	probe_good();
	check_runs(request(0, BLOCK_READ, 5, MOST + 1), WEIR_OK);
	check_read(&requests[0], 5, MOST + 1);
	assert_int_equal(hw.dma_blocks, 0);
}

/* ---- Errors ---------------------------------------------------------------------------------- */

/* The controller is reset, the request sent again as words; and so is all that comes after. */
TEST(adma_error_costs_a_reset_and_dma)
{
	for (u32 at = 0; at < 8; at++) {
		prepare_dma(0);
		probe_good();
		hw.dma_errors = FAKE_SD_FOR_EVER;
		hw.dma_bad_block = at % 4;
		request(0, at < 4 ? BLOCK_READ : BLOCK_WRITE, 20, 4)->next =
			request(1, BLOCK_READ, 500, 2);
		memset(memory, 0x33, 4 * SECTOR);
		begin(&requests[0]);
		run();
		check_ended(&requests[0], WEIR_OK);
		check_read(&requests[1], 500, 2);
		assert_int_equal(hw.resets, 2);
		assert_int_equal(hw.dma_blocks, at % 4);
		assert_int_equal(fake_log_count(), 1);
		assert_true(fake_log_has("mmc@1: DMA fails"));
		check_works_with(0);
		assert_int_equal(hw.resets, 2);
	}
}

/* The one whose DMA went wrong, when words do not go either. */
TEST(adma_error_of_a_controller_that_hangs_fails_its_request_alone)
{
	probe_good();
	hw.dma_errors = 1;
	hw.reset_polls = 3;
	request(0, BLOCK_READ, 20, 4)->next = request(1, BLOCK_READ, 500, 2);
	begin(&requests[0]);
	while (hw.dma_errors)
		assert_true(step());
	hw.silent_blocks = RESETS - 1;
	run();
	check_ended(&requests[0], WEIR_IO);
	check_read(&requests[1], 500, 2);
	assert_int_equal(hw.resets, 1 + RESETS);
}

TEST(bad_block_fails_its_request_alone)
{
	for (u32 at = 0; at < 4; at++) {
		prepare_dma(0);
		probe_good();
		hw.lines_polls = at;
		hw.bad_blocks = 1;
		hw.bad_block = at;
		request(0, BLOCK_READ, 20, 4)->next = request(1, BLOCK_READ, 500, 2);
		begin(&requests[0]);
		run();
		check_ended(&requests[0], WEIR_IO);
		check_read(&requests[1], 500, 2);
		assert_int_equal(hw.dma_blocks, at + 2);
		check_works_with(2);
	}
}

/* Nothing says why, so DMA is left to the next one. */
TEST(transfer_that_hangs_is_sent_again_as_words)
{
	probe_good();
	hw.silent_blocks = 1;
	hw.reset_polls = 3;
	check_runs(request(0, BLOCK_READ, 20, 4), WEIR_OK);
	check_read(&requests[0], 20, 4);
	assert_int_equal(hw.dma_blocks, 0);
	assert_int_equal(hw.resets, 2);
	check_works_with(2);
}

/* The answer has come in time and is seen late; the transfer has its whole time from then on. */
TEST(transfer_goes_on_when_the_core_was_held_up)
{
	probe_good();
	held_up = true;
	card_us = 800000;
	check_runs(request(0, BLOCK_READ, 20, 1), WEIR_OK);
	check_read(&requests[0], 20, 1);
	assert_int_equal(hw.dma_blocks, 1);
	assert_int_equal(hw.commands[READ_MANY], 1);
	assert_int_equal(hw.resets, 1);
}

TEST(transfer_that_always_hangs_fails)
{
	probe_good();
	hw.silent_blocks = RESETS;
	hw.reset_polls = 3;
	check_runs(request(0, BLOCK_WRITE, 20, 4), WEIR_IO);
	assert_int_equal(hw.resets, 1 + RESETS);
	check_works_with(2);
}

TEST(lines_that_stay_in_reset_cost_a_reset_of_all)
{
	probe_good();
	hw.bad_blocks = 1;
	hw.lines_polls = FAKE_SD_FOR_EVER;
	begin(request(0, BLOCK_READ, 20, 4));
	while (hw.resets < 2)
		assert_true(step());
	hw.lines_polls = 0;
	run();
	assert_int_equal(requests[0].ends, 1);
	check_works_with(2);
}

/* A controller that cannot be reset keeps the memory; the request ends when it lives again. */
TEST(controller_that_dies_keeps_its_request)
{
	probe_good();
	begin(request(0, BLOCK_READ, 20, 4));
	while (!hw.dma_active)
		assert_true(step());
	hw.coming_count = 0;
	hw.reset_polls = FAKE_SD_FOR_EVER;
	for (u32 i = 0; i < 1000; i++) {
		assert_true(step());
		assert_int_equal(requests[0].ends, 0);
	}
	hw.reset_polls = 0;
	run();
	assert_int_equal(requests[0].ends, 1);
	check_works_with(2);
}

TEST(card_pulled_in_a_transfer_fails_it_after_a_reset)
{
	for (u32 steps = 0;; steps++) {
		prepare_dma(0);
		probe_good();
		hw.reset_polls = 2;
		begin(request(0, BLOCK_READ, 20, 4));
		for (u32 i = 0; i < steps; i++)
			step();
		if (requests[0].ends)
			break;
		fake_sd_remove(&hw);
		run();
		check_ended(&requests[0], WEIR_IO);
		fake_sd_insert(&hw);
		run();
		check_works_with(2);
		assert_true(steps < 100);
	}
}

/* There is nothing to be waited for. */
TEST(card_pulled_at_rest_costs_no_reset)
{
	probe_good();
	check_works_with(2);
	fake_sd_remove(&hw);
	run();
	check_runs(request(0, BLOCK_READ, 20, 4), WEIR_IO);
	assert_int_equal(hw.resets, 1);
}

/* Back before anybody looked: the request is sent again, or fails. */
TEST(card_pulled_and_put_back_works_again)
{
	probe_good();
	begin(request(0, BLOCK_READ, 20, 4));
	while (hw.dma_blocks < 2)
		assert_true(step());
	fake_sd_remove(&hw);
	fake_sd_insert(&hw);
	run();
	assert_int_equal(requests[0].ends, 1);
	if (requests[0].status == WEIR_OK)
		check_read(&requests[0], 20, 4);
	check_works_with(2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare_dma, blocks_go_by_dma),
		RUN_AFTER(prepare_dma, largest_request_takes_a_few_steps),
		RUN_AFTER(prepare_dma, pieces_have_a_descriptor_each),
		RUN_AFTER(prepare_dma, all_that_comes_in_one_interrupt_is_served),
		RUN_AFTER(prepare_dma, buffer_that_is_ready_is_left_alone),
		RUN_AFTER(prepare_dma, coherent_device_needs_no_maintenance),
		RUN_AFTER(prepare_dma, controller_without_it_moves_words),
		RUN_AFTER(prepare_dma, controller_that_reaches_nothing_moves_words),
		RUN_AFTER(prepare_dma, table_out_of_reach_means_words),
		RUN_AFTER(prepare_dma, memory_out_of_reach_means_words),
		RUN_AFTER(prepare_dma, memory_that_is_not_aligned_means_words),
		RUN_AFTER(prepare_dma, request_that_takes_too_long_to_clean_means_words),
		RUN_AFTER(prepare_dma, adma_error_costs_a_reset_and_dma),
		RUN_AFTER(prepare_dma,
			  adma_error_of_a_controller_that_hangs_fails_its_request_alone),
		RUN_AFTER(prepare_dma, bad_block_fails_its_request_alone),
		RUN_AFTER(prepare_dma, transfer_that_hangs_is_sent_again_as_words),
		RUN_AFTER(prepare_dma, transfer_goes_on_when_the_core_was_held_up),
		RUN_AFTER(prepare_dma, transfer_that_always_hangs_fails),
		RUN_AFTER(prepare_dma, lines_that_stay_in_reset_cost_a_reset_of_all),
		RUN_AFTER(prepare_dma, controller_that_dies_keeps_its_request),
		RUN_AFTER(prepare_dma, card_pulled_in_a_transfer_fails_it_after_a_reset),
		RUN_AFTER(prepare_dma, card_pulled_at_rest_costs_no_reset),
		RUN_AFTER(prepare_dma, card_pulled_and_put_back_works_again),
	};
	int failed = cmocka_run_group_tests(tests, 0, 0);

	fake_heap_reset();
	return failed;
}
