/*
 * Errors of a disk: block.h. Sector n of a device starts with the word n. Disk 0 is the first half
 * of device 0, which fails in two sectors (block_error.h), and whose second half is another VM's,
 * which works meanwhile (block_error_neighbour.c). Disk 1 is device 1, whose first flush fails.
 *
 * Requests that are in flight together are never neighbours on the device: QEMU's would make one of
 * them, and one answer.
 */
#include "tests/guest/block_error.h"
#include "tests/guest/tap.h"

#define MANY   60u
#define ROUNDS 8u

static uint8_t *buffer; /* 64 pages */
static weir_handle pair;

static enum weir_status run(uint32_t disk, enum weir_block_operation operation, uint64_t sector,
			    uint64_t sectors)
{
	struct block_request request = { .disk = disk,
					 .operation = operation,
					 .sector = sector,
					 .sectors = sectors,
					 .buffer = sectors ? buffer : NULL };

	return block_run(&request);
}

static uint64_t *word(uint64_t sector)
{
	return (uint64_t *)(void *)(buffer + sector * WEIR_SECTOR_SIZE);
}

/* The sector can be read, and holds what it should. */
static void check_sector(uint64_t sector, uint64_t expected)
{
	*word(0) = ~expected;
	CHECK_IS(run(0, WEIR_BLOCK_READ, sector, 1), WEIR_OK);
	CHECK_IS(*word(0), expected);
}

static bool neighbour_is_ready(void)
{
	uint64_t published = 0;

	return weir_port_peer(pair, &published, NULL) == WEIR_OK && published == PAIR_READY;
}

TEST(a_neighbour_uses_the_same_device)
{
	buffer = memory_pages(64);
	CHECK(buffer != NULL);
	CHECK_IS(weir_port_find(weir_here(), "pair", &pair), WEIR_OK);
	CHECK(WAIT(neighbour_is_ready()));
}

TEST(a_failed_read_is_reported_and_the_sectors_beside_it_are_read)
{
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS, 1), WEIR_IO);
	check_sector(READ_FAILS - 1, READ_FAILS - 1);
	check_sector(READ_FAILS + 1, READ_FAILS + 1);
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS, 1), WEIR_IO);
}

TEST(a_long_read_fails_if_one_of_its_sectors_does)
{
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS - 63, 64), WEIR_IO);
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS, 64), WEIR_IO);
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS - 64, 64), WEIR_OK);
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS + 1, 64), WEIR_OK);
	for (uint64_t i = 0; i < 64; i++)
		CHECK_IS(*word(i), READ_FAILS + 1 + i);
}

TEST(a_sector_that_cannot_be_read_can_be_written)
{
	CHECK_IS(run(0, WEIR_BLOCK_WRITE, READ_FAILS, 1), WEIR_OK);
	CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS, 1), WEIR_IO);
}

TEST(a_failed_write_is_reported_and_changes_nothing_else)
{
	for (uint64_t sector = WRITE_FAILS - 1; sector <= WRITE_FAILS + 1; sector++) {
		*word(0) = ~sector;
		CHECK_IS(run(0, WEIR_BLOCK_WRITE, sector, 1),
			 sector == WRITE_FAILS ? WEIR_IO : WEIR_OK);
	}
	check_sector(WRITE_FAILS - 1, ~(WRITE_FAILS - 1ull));
	check_sector(WRITE_FAILS, WRITE_FAILS);
	check_sector(WRITE_FAILS + 1, ~(WRITE_FAILS + 1ull));
	CHECK_IS(run(0, WEIR_BLOCK_FLUSH, 0, 0), WEIR_OK);
}

/* More errors than the device has descriptors, and than a vCPU has slots. */
TEST(among_many_in_flight_only_the_one_fails)
{
	static struct block_request requests[MANY];

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = 0; i < MANY; i++) {
			*word(i) = 0;
			requests[i] =
				(struct block_request){ .operation = WEIR_BLOCK_READ,
							.sector = READ_FAILS + 2 * (i - round),
							.sectors = 1,
							.buffer = word(i) };
			CHECK_IS(block_submit(&requests[i]), WEIR_OK);
		}
		for (uint32_t i = 0; i < MANY; i++)
			CHECK_IS(block_wait(&requests[i]), i == round ? WEIR_IO : WEIR_OK);
		for (uint32_t i = 0; i < MANY; i++)
			CHECK(i == round || *word(i) == requests[i].sector);
	}
}

TEST(errors_leave_no_slot_taken)
{
	for (uint32_t i = 0; i < 5 * WEIR_COMPLETIONS; i++)
		CHECK_IS(run(0, WEIR_BLOCK_READ, READ_FAILS, 1), WEIR_IO);
	check_sector(0, 0);
}

/* QEMU flushes only what was written since. */
TEST(a_failed_flush_is_reported_and_the_next_one_passes)
{
	CHECK_IS(run(1, WEIR_BLOCK_WRITE, 5, 1), WEIR_OK);
	CHECK_IS(run(1, WEIR_BLOCK_FLUSH, 0, 0), WEIR_IO);
	CHECK_IS(run(1, WEIR_BLOCK_READ, 6, 1), WEIR_OK);
	CHECK_IS(*word(0), 6);
	CHECK_IS(run(1, WEIR_BLOCK_FLUSH, 0, 0), WEIR_OK);
}

TESTS = {
	RUN(a_neighbour_uses_the_same_device),
	RUN(a_failed_read_is_reported_and_the_sectors_beside_it_are_read),
	RUN(a_long_read_fails_if_one_of_its_sectors_does),
	RUN(a_sector_that_cannot_be_read_can_be_written),
	RUN(a_failed_write_is_reported_and_changes_nothing_else),
	RUN(among_many_in_flight_only_the_one_fails),
	RUN(errors_leave_no_slot_taken),
	RUN(a_failed_flush_is_reported_and_the_next_one_passes),
};
TESTS_MAIN
