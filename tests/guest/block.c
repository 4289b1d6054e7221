/*
 * The block service: block.h. Sector n of disk d starts with the words n and d
 * (tests/qemu/test_guests.py). Disk 0 is a part of device 0 from sector 1024 on, disk 1 all of
 * device 1, read-only.
 */
#include "tests/guest/tap.h"

#define FIRST_SECTOR 1024u
#define SECTORS	     4096u
#define DEVICE_1     8192u
#define MANY	     32u

static uint8_t *buffer; /* 64 pages, outside of the pool */

static struct weir_result submit(uint64_t disk, uint64_t operation, uint64_t sector,
				 uint64_t sectors, uint64_t address)
{
	return weir_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), disk | operation << 8, sector, sectors,
			 address, 0, 0);
}

static enum weir_status run(uint32_t disk, enum weir_block_operation operation, uint64_t sector,
			    uint64_t sectors, void *memory)
{
	struct block_request request = { .disk = disk,
					 .operation = operation,
					 .sector = sector,
					 .sectors = sectors,
					 .buffer = memory };

	return block_run(&request);
}

static uint64_t word(const void *memory, uint64_t sector, uint64_t index)
{
	return ((const uint64_t *)memory)[sector * WEIR_SECTOR_SIZE / 8 + index];
}

TEST(info_tells_size_and_access)
{
	struct weir_block_info info = { 0 };

	buffer = memory_pages(64);
	CHECK(buffer != NULL);
	CHECK_IS(weir_block_info(0, &info), WEIR_OK);
	CHECK_IS(info.sectors, SECTORS);
	CHECK(!info.read_only);
	CHECK(info.request_sectors_max >= 8);
	CHECK_IS(weir_block_info(1, &info), WEIR_OK);
	CHECK_IS(info.sectors, DEVICE_1);
	CHECK(info.read_only);
	CHECK_IS(weir_block_info(2, &info), WEIR_NOT_FOUND);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_BLOCK_INFO), ~0ull, 0, 0, 0, 0, 0).status,
		 WEIR_NOT_FOUND);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_BLOCK_INFO), 0, 1, 0, 0, 0, 0).status, WEIR_INVALID);
}

TEST(reads_come_from_the_right_sectors)
{
	static const uint64_t sectors[] = { 0, 1, 7, 100, SECTORS - 1 };

	for (unsigned int i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
		CHECK_IS(run(0, WEIR_BLOCK_READ, sectors[i], 1, buffer), WEIR_OK);
		CHECK_IS(word(buffer, 0, 0), FIRST_SECTOR + sectors[i]);
		CHECK_IS(word(buffer, 0, 1), 0);
		CHECK_IS(run(1, WEIR_BLOCK_READ, sectors[i], 1, buffer), WEIR_OK);
		CHECK_IS(word(buffer, 0, 0), sectors[i]);
		CHECK_IS(word(buffer, 0, 1), 1);
	}
}

TEST(the_largest_request_is_whole)
{
	struct weir_block_info info = { 0 };
	uint64_t sectors;

	CHECK_IS(weir_block_info(0, &info), WEIR_OK);
	sectors = info.request_sectors_max < 512 ? info.request_sectors_max : 512;
	CHECK_IS(run(0, WEIR_BLOCK_READ, 8, sectors, buffer), WEIR_OK);
	for (uint64_t i = 0; i < sectors; i++)
		CHECK_IS(word(buffer, i, 0), FIRST_SECTOR + 8 + i);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, info.request_sectors_max + 1, (uint64_t)buffer)
			 .status,
		 WEIR_INVALID);
}

TEST(nothing_beside_the_buffer_is_written)
{
	memset(buffer, 0x5a, 3 * WEIR_SECTOR_SIZE);
	CHECK_IS(run(1, WEIR_BLOCK_READ, 40, 1, buffer + WEIR_SECTOR_SIZE), WEIR_OK);
	CHECK_IS(word(buffer, 0, 63), 0x5a5a5a5a5a5a5a5all);
	CHECK_IS(word(buffer, 1, 0), 40);
	CHECK_IS(word(buffer, 2, 0), 0x5a5a5a5a5a5a5a5all);
}

TEST(what_was_written_is_read_back)
{
	for (uint64_t i = 0; i < 16 * WEIR_SECTOR_SIZE; i++)
		buffer[i] = (uint8_t)(i * 7 + i / 512);
	CHECK_IS(run(0, WEIR_BLOCK_WRITE, 200, 16, buffer), WEIR_OK);
	CHECK_IS(run(0, WEIR_BLOCK_FLUSH, 0, 0, NULL), WEIR_OK);
	memset(buffer, 0, 16 * WEIR_SECTOR_SIZE);
	CHECK_IS(run(0, WEIR_BLOCK_READ, 200, 16, buffer), WEIR_OK);
	for (uint64_t i = 0; i < 16 * WEIR_SECTOR_SIZE; i++)
		CHECK_IS(buffer[i], (uint8_t)(i * 7 + i / 512));
	CHECK_IS(run(0, WEIR_BLOCK_READ, 199, 1, buffer), WEIR_OK);
	CHECK_IS(word(buffer, 0, 0), FIRST_SECTOR + 199);
	CHECK_IS(run(0, WEIR_BLOCK_READ, 216, 1, buffer), WEIR_OK);
	CHECK_IS(word(buffer, 0, 0), FIRST_SECTOR + 216);
}

TEST(many_are_in_flight)
{
	static struct block_request requests[MANY];

	for (uint32_t i = 0; i < MANY; i++) {
		requests[i] = (struct block_request){ .disk = i % 2,
						      .operation = WEIR_BLOCK_READ,
						      .sector = 300 + i,
						      .sectors = 1,
						      .buffer = buffer + i * 1024 };
		CHECK_IS(block_submit(&requests[i]), WEIR_OK);
	}
	for (uint32_t i = 0; i < MANY; i++) {
		CHECK_IS(block_wait(&requests[i]), WEIR_OK);
		CHECK_IS(word(buffer + i * 1024, 0, 0), (i % 2 ? 0 : FIRST_SECTOR) + 300 + i);
	}
}

TEST(ranges_and_operations_are_checked)
{
	uint64_t address = (uint64_t)buffer;

	CHECK_IS(submit(0, 3, 0, 1, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, 255, 0, 1, address).status, WEIR_INVALID);
	CHECK_IS(submit(1ull << 16, WEIR_BLOCK_READ, 0, 1, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 0, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, SECTORS, 1, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, SECTORS - 1, 2, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, ~0ull, 1, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, ~0ull, 2, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 1ull << 55, address).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 1, address + 8).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_FLUSH, 0, 1, 0).status, WEIR_INVALID);
	CHECK_IS(submit(0, WEIR_BLOCK_FLUSH, 0, 0, address).status, WEIR_INVALID);
	CHECK_IS(submit(2, WEIR_BLOCK_READ, 0, 1, address).status, WEIR_NOT_FOUND);
	CHECK_IS(submit(255, WEIR_BLOCK_READ, 0, 1, address).status, WEIR_NOT_FOUND);
}

TEST(a_read_only_disk_is_not_written)
{
	CHECK_IS(submit(1, WEIR_BLOCK_WRITE, 0, 1, (uint64_t)buffer).status, WEIR_DENIED);
	CHECK_IS(run(1, WEIR_BLOCK_READ, 0, 1, buffer), WEIR_OK);
	CHECK_IS(word(buffer, 0, 1), 1);
}

TEST(a_buffer_must_be_own_ram)
{
	struct region ram = weir_region(WEIR_REGION_RAM);
	uint64_t end = (uint64_t)ram.base + ram.bytes;
	static const uint64_t addresses[] = { 0,	  0x09000000, 0x0e000000,
					      0x0e001000, 0x3ffffe00, 0xfffffffffffffe00ull };

	for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++)
		CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 1, addresses[i]).status, WEIR_FAULT);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 2, 0xfffffffffffffe00ull).status, WEIR_FAULT);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 1, end).status, WEIR_FAULT);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 2, end - 512).status, WEIR_FAULT);
	CHECK_IS(submit(0, WEIR_BLOCK_READ, 0, 1, (uint64_t)weir_region(WEIR_REGION_WINDOW).base)
			 .status,
		 WEIR_FAULT);
	CHECK_IS(run(1, WEIR_BLOCK_READ, 5, 1, (void *)(end - 512)),
		 WEIR_OK); /* the pool, not shared */
	CHECK_IS(word((void *)(end - 512), 0, 0), 5);
}

/* Completions that are not taken keep their slots: at most WEIR_COMPLETIONS requests. */
TEST(the_quota_is_the_completion_ring)
{
	const struct weir_pages *pages = weir_here();
	struct weir_completion completion;
	uint64_t flags = irq_save(), end = timer_now() + timer_ticks(WAIT_NS);
	uint32_t accepted = 0, done = 0;
	int64_t status = WEIR_OK;

	while ((status == WEIR_OK || status == WEIR_AGAIN) && timer_now() < end) {
		status = submit(1, WEIR_BLOCK_READ, accepted, 1, (uint64_t)buffer).status;
		accepted += status == WEIR_OK;
	}
	CHECK_IS(status, WEIR_QUOTA);
	CHECK_IS(accepted, WEIR_COMPLETIONS);
	while (done < accepted && timer_now() < end)
		done += weir_block_next(pages, &completion);
	CHECK_IS(done, accepted);
	irq_restore(flags);
	CHECK_IS(run(1, WEIR_BLOCK_READ, 9, 1, buffer), WEIR_OK);
	CHECK_IS(word(buffer, 0, 0), 9);
}

TESTS = {
	RUN(info_tells_size_and_access),	RUN(reads_come_from_the_right_sectors),
	RUN(the_largest_request_is_whole),	RUN(nothing_beside_the_buffer_is_written),
	RUN(what_was_written_is_read_back),	RUN(many_are_in_flight),
	RUN(ranges_and_operations_are_checked), RUN(a_read_only_disk_is_not_written),
	RUN(a_buffer_must_be_own_ram),		RUN(the_quota_is_the_completion_ring),
};
TESTS_MAIN
