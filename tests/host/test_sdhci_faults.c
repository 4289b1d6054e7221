/*
 * The driver for SD host controllers, against a model of a controller with a card: errors, controllers that
 * hang, cards that are pulled, exchanged or protected. Who asked gets the error, once, and the next request
 * finds a card that works, if there is one.
 *
 * Sources: tests/host/sd_slot.c drivers/sdhci.c drivers/sdhci_identification.c core/base/log.c
 * Sources: tests/host/fake/sd_host.c tests/host/fake/sd_card.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/cache.c tests/host/fake/panic.c tests/host/fake/timer.c
 * Sources: drivers/sdhci_adma.c drivers/dma.c
 */
#include <string.h>
#include "sd_slot.h"

/* ---- Errors ---------------------------------------------------------------------------------- */

/* Of two requests the first fails, and only it. */
static void check_first_fails(enum block_operation operation)
{
	struct test_request *second = request(1, BLOCK_READ, 500, 2);

	request(0, operation, 20, 4)->next = second;
	begin(&requests[0]);
	run();
	check_ended(&requests[0], WEIR_IO);
	check_ended(second, WEIR_OK);
	assert_memory_equal(memory, medium + 500 * SECTOR, 2 * SECTOR);
	check_card_works();
}

TEST(bad_block_fails_its_request_alone)
{
	for (u32 block = 0; block < 4; block++) {
		for (u32 i = 0; i < 8; i++) {
			prepare(0);
			probe_good();
			hw.bad_blocks = 1;
			hw.bad_block = block;
			hw.stop_unneeded = i & 2;
			hw.lines_polls = i & 4 ? 3 : 0;
			check_first_fails(i & 1 ? BLOCK_WRITE : BLOCK_READ);
			assert_int_equal(hw.resets, 1);
			assert_in_range(now_us, 0, 1000000);
		}
	}
}

TEST(card_that_still_writes_is_waited_for)
{
	probe_good();
	hw.bad_blocks = 1;
	hw.busy_polls = 7;
	check_first_fails(BLOCK_WRITE);
	assert_int_equal(hw.commands[STATUS], 8);
	assert_int_equal(hw.resets, 1);
}

TEST(card_that_writes_for_ever_is_identified_again)
{
	probe_good();
	hw.bad_blocks = 1;
	hw.busy_polls = 1000;
	check_first_fails(BLOCK_WRITE);
	assert_int_equal(hw.resets, 2);
}

TEST(lines_that_stay_in_reset_cost_a_reset_of_all)
{
	probe_good();
	hw.bad_blocks = 1;
	hw.lines_polls = 200;
	check_runs(request(0, BLOCK_READ, 20, 4), WEIR_OK); /* it is sent again */
	assert_memory_equal(memory, medium + 20 * SECTOR, 4 * SECTOR);
	assert_int_equal(hw.resets, 2);
	check_card_works();
}

TEST(stop_that_hangs_costs_a_reset)
{
	probe_good();
	hw.bad_blocks = 1;
	hw.mute[STOP] = 1;
	check_first_fails(BLOCK_READ);
	assert_int_equal(hw.resets, 2);
}

TEST(what_the_card_could_not_write_is_an_error)
{
	probe_good();
	hw.programming_errors = 1;
	check_first_fails(BLOCK_WRITE);
	assert_int_equal(hw.resets, 1);
}

TEST(sector_behind_the_end_fails_at_once)
{
	u64 before;

	probe_good();
	before = now_us;
	check_runs(request(0, BLOCK_READ, SECTORS - 1, 2), WEIR_IO);
	assert_true(now_us - before < 100000);
	check_card_works();
}

/* ---- A controller that hangs ----------------------------------------------------------------- */

TEST(hanging_command_is_sent_again_after_a_reset)
{
	for (u32 i = 0; i < 4; i++) {
		prepare(0);
		probe_good();
		hw.mute[READ_MANY] = i == 0;
		hw.unheard[READ_MANY] = i == 1;
		hw.silent_blocks = i == 2;
		hw.unheard[READ_MANY] = i == 3 ? 2 : hw.unheard[READ_MANY];
		check_runs(request(0, BLOCK_READ, 9, 3), WEIR_OK);
		assert_memory_equal(memory, medium + 9 * SECTOR, 3 * SECTOR);
		assert_int_equal(hw.resets, i == 3 ? 3 : 2);
		assert_int_equal(hw.commands[READ_MANY], i == 3 ? 3 : 2);
		assert_int_equal(fake_log_count(), 0);
	}
}

/* What has come is not late because the core is: for identification as for requests, nothing is begun anew. */
TEST(core_that_is_held_up_takes_no_answer_for_a_hang)
{
	held_up = true;
	probe_good();
	check_runs(request(0, BLOCK_READ, 9, 3), WEIR_OK);
	assert_memory_equal(memory, medium + 9 * SECTOR, 3 * SECTOR);
	check_card_works();
	hw.bad_blocks = 1;
	check_first_fails(BLOCK_WRITE);
	assert_int_equal(hw.resets, 1);
}

TEST(request_that_always_hangs_fails_and_others_are_served)
{
	for (u32 i = 0; i < 3; i++) {
		prepare(0);
		probe_good();
		hw.mute[WRITE_MANY] = i == 0 ? RESETS : 0;
		hw.unheard[WRITE_MANY] = i == 1 ? RESETS : 0;
		hw.silent_blocks = i == 2 ? RESETS : 0;
		check_first_fails(BLOCK_WRITE);
		assert_int_equal(hw.resets, 1 + RESETS);
		assert_int_equal(hw.commands[WRITE_MANY],
				 RESETS + 1); /* one of check_card_works() */
	}
}

/* Each request has its resets: what one used up is not missed by the next. */
TEST(resets_are_counted_for_each_request)
{
	probe_good();
	hw.mute[READ_MANY] = RESETS;
	check_runs(request(0, BLOCK_READ, 1, 1), WEIR_IO);
	hw.mute[READ_MANY] = RESETS - 1;
	check_runs(request(1, BLOCK_READ, 1, 1), WEIR_OK);
	hw.mute[READ_MANY] = RESETS - 1;
	check_runs(request(2, BLOCK_READ, 1, 1), WEIR_OK);
}

TEST(controller_that_dies_fails_requests_until_it_lives)
{
	probe_good();
	hw.mute[READ_MANY] = 1;
	hw.reset_polls = FAKE_SD_FOR_EVER;
	request(0, BLOCK_READ, 1, 1)->next = request(1, BLOCK_READ, 2, 1);
	begin(&requests[0]);
	run();
	check_ended(&requests[0], WEIR_IO);
	check_ended(&requests[1], WEIR_IO);
	assert_int_equal(fake_log_count(), 1);
	hw.reset_polls = 0;
	check_card_works();
}

/* ---- Cards that come and go ------------------------------------------------------------------ */

/* The request was sent, and `moved` of its blocks are over. */
static void begin_until(struct test_request *begun, u32 moved)
{
	u64 until = hw.blocks_moved + moved;

	begin(begun);
	while (hw.blocks_moved < until || !hw.left)
		assert_true(step());
}

TEST(card_pulled_in_a_transfer_and_put_back_works_again)
{
	for (u32 moved = 0; moved < 3; moved++) {
		for (u32 writes = 0; writes < 2; writes++) {
			prepare(0);
			probe_good();
			begin_until(request(0, writes ? BLOCK_WRITE : BLOCK_READ, 40, 3), moved);
			fake_sd_remove(&hw);
			run();
			check_ended(&requests[0], WEIR_IO);
			assert_true(fake_log_has("mmc@1: the card was taken out"));
			check_runs(request(1, BLOCK_READ, 0, 1), WEIR_IO);
			fake_sd_insert(&hw);
			run();
			check_card_works();
			assert_int_equal(fake_log_count(), 1);
		}
	}
}

TEST(card_pulled_and_back_before_anybody_looked_is_identified_again)
{
	probe_good();
	begin_until(request(0, BLOCK_WRITE, 40, 3), 1);
	fake_sd_remove(&hw);
	fake_sd_insert(&hw);
	run();
	check_ended(&requests[0], WEIR_IO);
	check_card_works();
	fake_sd_remove(&hw);
	fake_sd_insert(&hw);
	check_runs(request(1, BLOCK_READ, 0, 1), WEIR_IO);
	check_card_works();
}

/* At whatever step of the identification; the request that waits for it is served or fails. */
TEST(card_may_be_pulled_while_it_is_identified)
{
	u32 steps = 0;

	for (;; steps++) {
		prepare(0);
		probe_good();
		fake_sd_remove(&hw);
		run();
		fake_sd_insert(&hw);
		assert_true(step());
		begin(request(0, BLOCK_READ, 0, 1));
		for (u32 i = 0; i < steps; i++)
			step();
		if (requests[0].ends)
			break;
		fake_sd_remove(&hw);
		run();
		check_ended(&requests[0], WEIR_IO);
		fake_sd_insert(&hw);
		run();
		check_card_works();
	}
	assert_in_range(steps, 40, 200);
}

TEST(another_card_is_not_taken)
{
	static u8 before[sizeof(medium)];

	probe_good();
	check_card_works(); /* leaves an answer where the identification's is read */
	memcpy(before, medium, sizeof(medium));
	fake_sd_remove(&hw);
	run();
	for (u32 word = 0; word < 4; word++) {
		hw.cid[word] ^= 1u << 8;
		fake_sd_insert(&hw);
		run();
		assert_true(fake_log_has("mmc@1: another card than before"));
		check_runs(request(0, BLOCK_WRITE, 0, 1), WEIR_IO);
		check_runs(request(1, BLOCK_READ, 0, 1), WEIR_IO);
		assert_memory_equal(medium, before, sizeof(medium));
		fake_sd_remove(&hw);
		run();
		hw.cid[word] ^= 1u << 8;
		fake_log_reset();
	}
	fake_sd_insert(&hw);
	run();
	check_card_works();
}

TEST(card_that_is_no_use_is_said_once)
{
	probe_good();
	fake_sd_remove(&hw);
	run();
	hw.cid[0]++;
	fake_sd_insert(&hw);
	for (u32 i = 0; i < 5; i++)
		check_runs(request(0, BLOCK_READ, 0, 1), WEIR_IO);
	assert_int_equal(fake_log_count(), 2); /* taken out; another one */
}

TEST(slot_without_a_pin_finds_its_card_again)
{
	place.removable = false;
	probe_good();
	begin_until(request(0, BLOCK_READ, 40, 3), 1);
	hw.inserted = false;
	hw.left = hw.coming_count = 0;
	run();
	check_ended(&requests[0], WEIR_IO);
	check_runs(request(1, BLOCK_READ, 0, 1), WEIR_IO);
	assert_int_equal(fake_log_count(), 1);
	fake_sd_insert(&hw);
	check_card_works();
}

/* However many follow, no step ends more than one. */
TEST(requests_without_a_card_fail_one_at_a_time)
{
	probe_good();
	fake_sd_remove(&hw);
	run();
	for (u32 i = 0; i < 4; i++)
		request(i, BLOCK_READ, i, 1)->next = i < 3 ? &requests[i + 1] : 0;
	begin(&requests[0]);
	for (u32 i = 0; i < 4; i++) {
		u64 before = now_us;

		assert_int_equal(requests[i].ends, 0);
		for (u32 steps = 0; !requests[i].ends; steps++)
			assert_true(step() && steps < 10);
		check_ended(&requests[i], WEIR_IO);
		assert_true(i == 0 || now_us - before >= PAUSE_US);
	}
	run();
	check_ended(&requests[3], WEIR_IO);
}

TEST(request_while_a_card_is_identified_is_served_after)
{
	probe_good();
	fake_sd_remove(&hw);
	run();
	fake_sd_insert(&hw);
	for (u32 i = 0; i < 10; i++)
		assert_true(step());
	check_runs(request(0, BLOCK_READ, 8, 1), WEIR_OK);
	assert_memory_equal(memory, medium + 8 * SECTOR, SECTOR);
}

/* ---- Write protection ------------------------------------------------------------------------ */

TEST(protected_card_is_read_only)
{
	hw.switch_protects = true;
	probe_good();
	assert_true(device->read_only);
	check_runs(request(0, BLOCK_READ, 8, 1), WEIR_OK);
	prepare(0);
	hw.csd_protects = true;
	probe_good();
	assert_true(device->read_only);
}

TEST(card_that_comes_back_protected_is_not_written)
{
	static u8 before[SECTOR];

	probe_good();
	memcpy(before, medium, SECTOR);
	fake_sd_remove(&hw);
	run();
	hw.switch_protects = true;
	fake_sd_insert(&hw);
	run();
	check_runs(request(0, BLOCK_WRITE, 0, 1), WEIR_IO);
	assert_memory_equal(medium, before, SECTOR);
	check_runs(request(1, BLOCK_READ, 0, 1), WEIR_OK);
	fake_sd_remove(&hw);
	run();
	hw.switch_protects = false;
	fake_sd_insert(&hw);
	run();
	check_card_works();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, bad_block_fails_its_request_alone),
		RUN_AFTER(prepare, card_that_still_writes_is_waited_for),
		RUN_AFTER(prepare, card_that_writes_for_ever_is_identified_again),
		RUN_AFTER(prepare, lines_that_stay_in_reset_cost_a_reset_of_all),
		RUN_AFTER(prepare, stop_that_hangs_costs_a_reset),
		RUN_AFTER(prepare, what_the_card_could_not_write_is_an_error),
		RUN_AFTER(prepare, sector_behind_the_end_fails_at_once),
		RUN_AFTER(prepare, hanging_command_is_sent_again_after_a_reset),
		RUN_AFTER(prepare, core_that_is_held_up_takes_no_answer_for_a_hang),
		RUN_AFTER(prepare, request_that_always_hangs_fails_and_others_are_served),
		RUN_AFTER(prepare, resets_are_counted_for_each_request),
		RUN_AFTER(prepare, controller_that_dies_fails_requests_until_it_lives),
		RUN_AFTER(prepare, card_pulled_in_a_transfer_and_put_back_works_again),
		RUN_AFTER(prepare, card_pulled_and_back_before_anybody_looked_is_identified_again),
		RUN_AFTER(prepare, card_may_be_pulled_while_it_is_identified),
		RUN_AFTER(prepare, another_card_is_not_taken),
		RUN_AFTER(prepare, card_that_is_no_use_is_said_once),
		RUN_AFTER(prepare, slot_without_a_pin_finds_its_card_again),
		RUN_AFTER(prepare, requests_without_a_card_fail_one_at_a_time),
		RUN_AFTER(prepare, request_while_a_card_is_identified_is_served_after),
		RUN_AFTER(prepare, protected_card_is_read_only),
		RUN_AFTER(prepare, card_that_comes_back_protected_is_not_written),
	};
	int failed = cmocka_run_group_tests(tests, 0, 0);

	fake_heap_reset();
	return failed;
}
