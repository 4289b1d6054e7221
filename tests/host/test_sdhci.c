/*
 * The driver for SD host controllers, against a model of a controller with a card.
 *
 * Nothing waits: a test begins something and lets run() bring interrupts, what the card does and
 * timers in their order, in a time of its own, until nothing is left. A step of the driver that takes
 * too many accesses to registers, or anything that never ends, fails the test.
 *
 * Sources: drivers/sdhci.c drivers/sdhci_identification.c core/base/log.c
 * Sources: tests/host/fake/sd_host.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/cache.c tests/host/fake/panic.c
 */
#include <string.h>
#include "sd_host.h"
#include "core/base/list.h"
#include "core/memory.h"
#include "drivers/sdhci.h"

#define SECTORS	      4096u
#define SECTOR	      BLOCK_SECTOR_BYTES
#define INTID	      158u
#define MOST_ACCESSES 160u /* in one step: a block's words and some */
#define RESETS	      3u   /* for one request, as in the driver */
#define PAUSE_US      50u  /* between two blocks, as in the driver */

enum { READ_MANY = 18, WRITE_MANY = 25, STOP = 12, STATUS = 13, OP_COND = 41 };

static struct fake_sd hw;
static u8 medium[SECTORS * SECTOR];
static u64 now_us, deadline_us;
static u64 card_us; /* between two things that the card does; 48 bits at the slow clock take 120 */
static bool raised;
static struct block_device *device;
static u8 *memory; /* four pages */

/* ---- What lies around the driver ------------------------------------------------------------- */

static void raise_interrupt(u32 intid)
{
	assert_int_equal(intid, INTID);
	raised = true;
}

static void set_timer(void *context, u32 microseconds)
{
	assert_ptr_equal(context, &hw);
	deadline_us = microseconds ? now_us + microseconds : 0;
}

static struct sdhci_place place;

/* One interrupt, one thing that the card does, or the timer; false: nothing is left to come. */
static bool step(void)
{
	u64 before = hw.accesses;

	if (raised || fake_sd_line(&hw)) {
		raised = false;
		device->ops->interrupt(device);
	} else if (hw.coming_count && (!deadline_us || now_us + card_us < deadline_us)) {
		now_us += card_us;
		fake_sd_step(&hw);
	} else if (deadline_us) {
		now_us = deadline_us;
		deadline_us = 0;
		sdhci_timer(device);
	} else {
		return false;
	}
	assert_true(hw.accesses - before <= MOST_ACCESSES);
	return true;
}

static void run(void)
{
	for (u32 steps = 0; step(); steps++)
		assert_true(steps < 20000);
}

/* ---- Requests -------------------------------------------------------------------------------- */

#define REQUESTS 8

struct test_request {
	struct block_request request;
	u32 ends; /* calls of `done` */
	enum weir_status status;
	struct test_request *next; /* submitted when this one is done */
};

static struct test_request requests[REQUESTS];
static bool in_submit;

static enum weir_status submit(struct test_request *request)
{
	enum weir_status status;

	in_submit = true;
	status = device->ops->submit(device, &request->request);
	in_submit = false;
	return status;
}

static void done(struct block_request *request, enum weir_status status)
{
	struct test_request *over = container_of(request, struct test_request, request);

	assert_false(in_submit);
	over->ends++;
	over->status = status;
	if (over->next)
		assert_int_equal(submit(over->next), WEIR_OK);
}

static struct test_request *request(u32 index, enum block_operation operation, u64 sector,
				    u32 sectors)
{
	struct test_request *made = &requests[index];

	*made = (struct test_request){
		.request = {
			.operation = operation,
			.sector = sector,
			.segment_count = 1,
			.segment[0] = { PA((u64)memory), sectors * SECTOR },
			.done = done,
		},
	};
	return made;
}

static void check_ended(const struct test_request *ended, enum weir_status status)
{
	assert_int_equal(ended->ends, 1);
	assert_int_equal(ended->status, status);
}

static void begin(struct test_request *begun)
{
	assert_int_equal(submit(begun), WEIR_OK);
}

static void check_runs(struct test_request *begun, enum weir_status status)
{
	begin(begun);
	run();
	check_ended(begun, status);
}

/* The card works: a block goes there and comes back. */
static void check_card_works(void)
{
	struct test_request *write = request(6, BLOCK_WRITE, 77, 1);
	struct test_request *read = request(7, BLOCK_READ, 77, 1);

	memset(memory, (int)(now_us & 0x7f) + 1, SECTOR);
	check_runs(write, WEIR_OK);
	assert_memory_equal(memory, medium + (u64)77 * SECTOR, SECTOR);
	memset(memory, 0, SECTOR);
	check_runs(read, WEIR_OK);
	assert_memory_equal(memory, medium + (u64)77 * SECTOR, SECTOR);
}

/* ---- Beginning ------------------------------------------------------------------------------- */

static int prepare(void **state)
{
	(void)state;
	fake_heap_reset();
	fake_log_reset();
	fake_cache_reset();
	for (u64 i = 0; i < sizeof(medium); i++)
		medium[i] = (u8)(i * 7 + i / SECTOR);
	now_us = 1000;
	deadline_us = 0;
	card_us = 120;
	raised = false;
	fake_sd_init(&hw, medium, SECTORS, &now_us);
	memory = heap_alloc(4 * PAGE_SIZE);
	place = (struct sdhci_place){
		.registers = &hw,
		.intid = INTID,
		.name = "mmc@1",
		.removable = true,
		.alloc = heap_alloc,
		.raise = raise_interrupt,
		.set_timer = set_timer,
		.context = &hw,
	};
	return 0;
}

static void probe(void)
{
	device = sdhci_probe(&place);
	assert_false(sdhci_settled(device));
	run();
	assert_true(sdhci_settled(device));
}

static void probe_good(void)
{
	probe();
	assert_int_equal(device->sectors, hw.sectors);
	assert_int_equal(fake_log_count(), 0);
}

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

	probe_good();
	for (u32 i = 0; i < 4; i++)
		read->request.segment[i] = write->request.segment[i] =
			(struct block_segment){ PA((u64)memory + offset[i]), sectors[i] * SECTOR };
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

TEST(timeout_that_comes_with_the_end_is_none)
{
	probe_good();
	begin(request(0, BLOCK_WRITE, 5, 2));
	while (!(hw.status & 2))
		assert_true(step());
	hw.status |= 1u << 20;
	run();
	check_ended(&requests[0], WEIR_OK);
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
	check_first_fails(BLOCK_READ);
	assert_int_equal(hw.resets, 2);
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

	if (hw.accesses < submit_at || second->request.driver_slot || second->ends)
		return;
	if (submit(second) == WEIR_OK)
		second->request.driver_slot = 1; /* it is the driver's now */
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
	if (!requests[1].request.driver_slot)
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
		RUN_AFTER(prepare, all_that_comes_in_one_interrupt_is_served),
		RUN_AFTER(prepare, last_block_and_the_end_come_together),
		RUN_AFTER(prepare, timeout_that_comes_with_the_end_is_none),
		RUN_AFTER(prepare, end_before_all_blocks_is_an_error),
		RUN_AFTER(prepare, blocks_may_take_their_time),
		RUN_AFTER(prepare, last_sector_of_the_card_is_read),
		RUN_AFTER(prepare, taken_queue_is_full),
		RUN_AFTER(prepare, next_request_may_come_from_done),
		RUN_AFTER(prepare, core_has_a_pause_after_each_block),
		RUN_AFTER(prepare, core_has_a_pause_after_each_request),
		RUN_AFTER(prepare, pause_is_not_cut_short),
		RUN_AFTER(prepare, failure_in_a_pause_leaves_nothing_masked),
		RUN_AFTER(prepare, bad_block_fails_its_request_alone),
		RUN_AFTER(prepare, card_that_still_writes_is_waited_for),
		RUN_AFTER(prepare, card_that_writes_for_ever_is_identified_again),
		RUN_AFTER(prepare, lines_that_stay_in_reset_cost_a_reset_of_all),
		RUN_AFTER(prepare, stop_that_hangs_costs_a_reset),
		RUN_AFTER(prepare, what_the_card_could_not_write_is_an_error),
		RUN_AFTER(prepare, sector_behind_the_end_fails_at_once),
		RUN_AFTER(prepare, hanging_command_is_sent_again_after_a_reset),
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
		RUN_AFTER(prepare, interrupts_that_mean_nothing_change_nothing),
		RUN_AFTER(prepare, status_that_nobody_asked_for_changes_nothing),
		RUN_AFTER(prepare, request_of_another_core_is_never_lost),
	};
	int failed = cmocka_run_group_tests(tests, 0, 0);

	fake_heap_reset();
	return failed;
}
