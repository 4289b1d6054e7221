/*
 * The disks as virtio devices: core/vdev/virtio.h, ipc/block_virtio.h, by a small driver of one queue without interrupt
 * suppression. Sector n of disk d starts with the words n and d (tests/qemu/test_guests.py). Slot 0 is a part of device
 * 0 from sector 1024 on, slot 1 all of device 1, read-only.
 */
#include "tests/guest/tap.h"
#include "tests/guest/virtio_driver.h"

#define FIRST_SECTOR 1024u
#define SECTORS	     4096u
#define DEVICE_1     8192u
#define SECTOR	     512u
#define LARGE	     (1028u << 10) /* bytes: more than go at once */

static uint8_t *buffer; /* 64 pages, outside of the pool */

static uint64_t word(const void *memory, uint64_t sector, uint64_t index)
{
	return ((const uint64_t *)memory)[sector * SECTOR / 8 + index];
}

TEST(every_slot_answers_and_says_whether_it_has_a_device)
{
	buffer = memory_pages(64);
	CHECK(buffer != NULL);
	for (slot = 0; slot < SLOTS; slot++) {
		CHECK_IS(get(MAGIC), 0x74726976);
		CHECK_IS(get(VERSION), 2);
		CHECK_IS(get(DEVICE_ID), slot < 2 ? 2 : slot == 2 ? 3 : 0);
		if (slot > 2) {
			put(STATUS, 1);
			CHECK_IS(get(STATUS), 0);
		}
	}
}

TEST(configuration_tells_size_and_access)
{
	slot = 0;
	CHECK_IS(get(CAPACITY), SECTORS);
	CHECK_IS(get(CAPACITY + 4), 0);
	CHECK_IS(get_long(CAPACITY), SECTORS);
	CHECK_IS(get_byte(CAPACITY + 1), SECTORS >> 8);
	CHECK_IS(get(BLK_SIZE), SECTOR);
	CHECK_IS(get(SEG_MAX), 16);
	CHECK_IS(get(SHARED_LENGTH), 0xffffffff);
	put(DEVICE_SELECT, 0);
	CHECK(!(get(DEVICE_FEATURES) & FEATURE_RO));
	put(DEVICE_SELECT, 1);
	CHECK_IS(get(DEVICE_FEATURES), 1);
	put(DEVICE_SELECT, 2);
	CHECK_IS(get(DEVICE_FEATURES), 0);
	slot = 1;
	CHECK_IS(get(CAPACITY), DEVICE_1);
	put(DEVICE_SELECT, 0);
	CHECK(get(DEVICE_FEATURES) & FEATURE_RO);
}

TEST(features_that_are_not_offered_are_not_taken)
{
	slot = 0;
	negotiate(1u << 28); /* indirect descriptors */
	CHECK_IS(get(STATUS), DRIVER);
	put(STATUS, 0);
	put(STATUS, DRIVER | FEATURES_OK); /* without VERSION_1 */
	CHECK_IS(get(STATUS), DRIVER);
	negotiate(0);
	CHECK_IS(get(STATUS), DRIVER | FEATURES_OK);
}

TEST(reads_come_from_the_right_sectors)
{
	static const uint64_t sectors[] = { 0, 1, 7, 100, SECTORS - 1 };

	for (uint32_t which = 0; which < 2; which++) {
		start(which);
		for (unsigned int i = 0; i < sizeof(sectors) / sizeof(sectors[0]); i++) {
			CHECK_IS(run(IN, sectors[i], buffer, SECTOR), 0);
			CHECK_IS(word(buffer, 0, 0), (which ? 0 : FIRST_SECTOR) + sectors[i]);
			CHECK_IS(word(buffer, 0, 1), which);
			CHECK_IS(queue->used.ring[i].id, 0);
			CHECK_IS(queue->used.ring[i].bytes, SECTOR + 1);
		}
	}
	CHECK(WAIT(SHARED_READ(interrupts) >= 10));
}

TEST(what_was_written_and_flushed_is_read_back)
{
	start(0);
	for (uint64_t i = 0; i < 16 * SECTOR; i++)
		buffer[i] = (uint8_t)(i * 7 + i / 512);
	CHECK_IS(run(OUT, 200, buffer, 16 * SECTOR), 0);
	CHECK_IS(run(FLUSH, 0, NULL, 0), 0);
	memset(buffer, 0, 16 * SECTOR);
	CHECK_IS(run(IN, 200, buffer, 16 * SECTOR), 0);
	for (uint64_t i = 0; i < 16 * SECTOR; i++)
		CHECK_IS(buffer[i], (uint8_t)(i * 7 + i / 512));
	CHECK_IS(run(IN, 199, buffer, SECTOR), 0);
	CHECK_IS(word(buffer, 0, 0), FIRST_SECTOR + 199);
}

TEST(data_may_begin_anywhere)
{
	static const uint32_t from[] = { 64, 4096 - 64, 8192 - 509 };

	start(0);
	for (unsigned int i = 0; i < sizeof(from) / sizeof(from[0]); i++) {
		uint8_t *data = buffer + from[i];

		for (uint64_t at = 0; at < 2 * SECTOR; at++)
			data[at] = (uint8_t)(at * 3 + at / 512 + i);
		CHECK_IS(run(OUT, 300 + i, data, 2 * SECTOR), 0);
		memset(buffer, 0xa5, 16384);
		CHECK_IS(run(IN, 300 + i, data, 2 * SECTOR), 0);
		for (uint64_t at = 0; at < 2 * SECTOR; at++)
			CHECK_IS(data[at], (uint8_t)(at * 3 + at / 512 + i));
		CHECK_IS(data[-1], 0xa5);
		CHECK_IS(data[2 * SECTOR], 0xa5);
	}
}

/* Without SIZE_MAX, which this driver did not take, a piece may be of any length (5.2.3). */
TEST(a_piece_may_be_larger_than_what_goes_at_once)
{
	uint8_t *large = memory_pages(LARGE / 4096);

	CHECK(large != NULL);
	start(0);
	CHECK_IS(run(IN, 1400, large, LARGE), 0);
	CHECK_IS(queue->used.ring[0].bytes, LARGE + 1);
	for (uint64_t i = 0; i < LARGE / SECTOR; i++)
		CHECK_IS(word(large, i, 0), FIRST_SECTOR + 1400 + i);
}

TEST(a_driver_that_cannot_flush_writes_through)
{
	slot = 0;
	negotiate(0);
	set_queue(queue);
	put(STATUS, DRIVER | FEATURES_OK | DRIVER_OK);
	memset(buffer, 0x5a, SECTOR);
	CHECK_IS(run(OUT, 300, buffer, SECTOR), 0);
	memset(buffer, 0, SECTOR);
	CHECK_IS(run(IN, 300, buffer, SECTOR), 0);
	CHECK_IS(buffer[SECTOR - 1], 0x5a);
}

TEST(the_id_is_the_name_of_the_disk)
{
	static const char *const names[] = { "part", "whole" };

	for (uint32_t which = 0; which < 2; which++) {
		start(which);
		memset(buffer, 0xff, 32);
		CHECK_IS(run(GET_ID, 0, buffer, 20), 0);
		CHECK(strcmp((const char *)buffer, names[which]) == 0);
		CHECK_IS(buffer[19], 0);
		CHECK_IS(buffer[20], 0xff);
	}
}

TEST(what_cannot_be_done_is_an_error)
{
	start(1);
	CHECK_IS(run(OUT, 0, buffer, SECTOR), 1); /* read-only */
	CHECK_IS(run(IN, DEVICE_1, buffer, SECTOR), 1);
	CHECK_IS(run(IN, DEVICE_1 - 1, buffer, 2 * SECTOR), 1);
	CHECK_IS(run(IN, ~0ull, buffer, SECTOR), 1);
	CHECK_IS(run(IN, 0, buffer, 100), 1);
	CHECK_IS(run(IN, 0, buffer, SECTOR + 8), 1);
	CHECK_IS(run(IN, 0, NULL, 0), 1);
	CHECK_IS(run(77, 0, buffer, SECTOR), 2);
	CHECK_IS(run(IN, 3, buffer, SECTOR), 0);
	CHECK_IS(word(buffer, 0, 0), 3);
	CHECK_IS(get(STATUS), DRIVER | FEATURES_OK | DRIVER_OK);
}

/* Sixteen requests of two pieces each, with one notification. */
TEST(many_are_in_flight)
{
	start(0);
	for (uint32_t i = 0; i < 16; i++) {
		fill(i, IN, 400 + 3 * i, buffer + i * 2048, SECTOR, 2);
		offer(4 * i);
	}
	put(QUEUE_NOTIFY, 0);
	CHECK(wait_used(16));
	for (uint32_t i = 0; i < 16; i++) {
		CHECK_IS(queue->answer[i], 0);
		CHECK_IS(word(buffer + i * 2048, 0, 0), FIRST_SECTOR + 400 + 3 * i);
		CHECK_IS(word(buffer + i * 2048, 1, 0), FIRST_SECTOR + 401 + 3 * i);
	}
}

/* More requests than the device has under way: the rest waits in the queue. */
TEST(a_full_queue_is_served_to_its_end)
{
	start(1);
	for (uint32_t i = 0; i < QUEUE; i++) {
		/* All of them read the same sector: chains may share descriptors that are only read. */
		if (i == 0)
			fill(0, IN, 9, buffer, SECTOR, 1);
		offer(0);
	}
	put(QUEUE_NOTIFY, 0);
	CHECK(wait_used(QUEUE));
	CHECK_IS(word(buffer, 0, 0), 9);
	CHECK_IS(get(STATUS), DRIVER | FEATURES_OK | DRIVER_OK);
}

TEST(a_long_chain_is_one_request)
{
	uint16_t used;

	start(0);
	used = queue->used.index;
	queue->header[0].type = IN;
	queue->header[0].sector = 500;
	queue->answer[0] = NO_ANSWER;
	queue->descriptor[0] = (struct descriptor){ (uint64_t)&queue->header[0], 16, NEXT, 1 };
	for (uint16_t i = 1; i <= 16; i++) /* backwards in memory, so that no two can be joined */
		queue->descriptor[i] =
			(struct descriptor){ (uint64_t)buffer + (17 - i) * SECTOR, SECTOR,
					     NEXT | WRITE, (uint16_t)(i + 1) };
	queue->descriptor[17] = (struct descriptor){ (uint64_t)&queue->answer[0], 1, WRITE, 0 };
	offer(0);
	put(QUEUE_NOTIFY, 0);
	CHECK(wait_used((uint16_t)(used + 1)));
	CHECK_IS(queue->answer[0], 0);
	for (uint64_t i = 1; i <= 16; i++)
		CHECK_IS(word(buffer, 17 - i, 0), FIRST_SECTOR + 500 + i - 1);
	CHECK_IS(queue->used.ring[used].bytes, 16 * SECTOR + 1);
}

/* What was in flight is over when the reset is: nothing is written behind it. */
TEST(a_reset_comes_after_what_is_in_flight)
{
	start(0);
	for (uint32_t i = 0; i < 16; i++) {
		fill(i, IN, 600 + i, buffer + i * SECTOR, SECTOR, 1);
		offer(4 * i);
	}
	put(QUEUE_NOTIFY, 0);
	put(STATUS, 0);
	memset(buffer, 0x77, 16 * SECTOR);
	CHECK_IS(get(STATUS), 0);
	CHECK_IS(get(QUEUE_READY), 0);
	CHECK_IS(get(INTERRUPT_STATUS), 0);
	task_sleep(20000000);
	for (uint32_t i = 0; i < 16; i++)
		CHECK_IS(buffer[i * SECTOR], 0x77);
	start(0);
	CHECK_IS(run(IN, 601, buffer, SECTOR), 0);
	CHECK_IS(word(buffer, 0, 0), FIRST_SECTOR + 601);
}

/* The device needs a reset, and after it works as before. */
static void expect_broken(int line)
{
	put(QUEUE_NOTIFY, 0);
	tap_check(get(STATUS) & NEEDS_RESET, NEEDS_RESET, line, "the device needs a reset");
	tap_check(queue->used.index, 0, line, "nothing was used");
	start(slot);
	tap_check(run(IN, 11, buffer, SECTOR), 0, line, "it reads again");
	tap_check((int64_t)word(buffer, 0, 0), FIRST_SECTOR + 11, line, "the right sector");
	start(slot);
	fill(0, IN, 0, buffer, SECTOR, 1);
}

#define LIE(statement)                   \
	do {                             \
		statement;               \
		offer(0);                \
		expect_broken(__LINE__); \
	} while (0)

TEST(a_driver_that_lies_breaks_its_device_alone)
{
	struct region ram = weir_region(WEIR_REGION_RAM);
	uint64_t end = (uint64_t)ram.base + ram.bytes;

	start(0);
	fill(0, IN, 0, buffer, SECTOR, 1);
	LIE(queue->descriptor[1].next = 1);	     /* a loop */
	LIE(queue->descriptor[1].next = QUEUE);	     /* no descriptor */
	LIE(queue->descriptor[1].flags |= INDIRECT); /* not negotiated */
	LIE(queue->descriptor[1].bytes = 0);
	LIE(queue->descriptor[1].address = 0);
	LIE(queue->descriptor[1].address = BASE);
	LIE(queue->descriptor[1].address = 0x0e000000); /* Weir's pages */
	LIE(queue->descriptor[1].address = end);
	LIE(queue->descriptor[1].address = end - SECTOR + 1);
	LIE(queue->descriptor[1].address = ~0ull);
	LIE(queue->descriptor[1].bytes = 0xffffffff);
	LIE(queue->descriptor[0].address = end - 8);
	LIE(queue->descriptor[0].bytes = 8); /* less than a header */
	LIE(queue->descriptor[0].flags |= WRITE);
	LIE(queue->descriptor[2].flags = 0); /* no place for the answer behind what is written */
	LIE(queue->descriptor[2].address = end);
	LIE(queue->descriptor[0].flags = 0); /* a header alone */
	LIE(queue->available.index = QUEUE + 1);
	offer(QUEUE); /* no descriptor */
	expect_broken(__LINE__);
}

TEST(a_queue_is_in_ram_and_aligned)
{
	struct region ram = weir_region(WEIR_REGION_RAM);
	uint64_t end = (uint64_t)ram.base + ram.bytes;
	const struct {
		uint32_t part;
		uint64_t address;
	} bad[] = {
		{ DESCRIPTORS, 0 },
		{ DESCRIPTORS, end - 16 },
		{ DESCRIPTORS, (uint64_t)queue + 8 },
		{ AVAILABLE, ~1ull },
		{ AVAILABLE, end - 4 },
		{ AVAILABLE, (uint64_t)queue + 1 },
		{ USED, 0x0e001000ull },
		{ USED, end - 64 },
		{ USED, (uint64_t)queue + 2 },
	};

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(0);
		negotiate(0);
		put(QUEUE_NUM, QUEUE);
		put_address(DESCRIPTORS, queue->descriptor);
		put_address(AVAILABLE, &queue->available);
		put_address(USED, &queue->used);
		put_address(bad[i].part, (const void *)bad[i].address);
		put(QUEUE_READY, 1);
		CHECK_IS(get(QUEUE_READY), 0);
		CHECK(get(STATUS) & NEEDS_RESET);
	}
	for (uint32_t size = 0; size <= 512; size += size == 0 ? 3 : size == 3 ? 509 : 1) {
		negotiate(0);
		put(QUEUE_NUM, size);
		put_address(DESCRIPTORS, queue->descriptor);
		put_address(AVAILABLE, &queue->available);
		put_address(USED, &queue->used);
		put(QUEUE_READY, 1);
		CHECK_IS(get(QUEUE_READY), 0);
	}
	start(0);
	CHECK_IS(get(QUEUE_READY), 1);
	CHECK_IS(get(QUEUE_NUM_MAX), 256);
}

static void offer_text(uint32_t i, const char *text, uint32_t bytes)
{
	queue->descriptor[i] = (struct descriptor){ (uint64_t)text, bytes, 0, 0 };
	offer(i);
}

/* The test's other side looks for this line (tests/qemu/test_guests.py). */
TEST(the_console_prints_in_pieces_and_whole)
{
	static const char first[] = "# by vir", rest[] = "tio\n# and mo";
	static struct queue *page;
	char *lines = (char *)buffer;

	page = memory_pages(1);
	slot = 2;
	negotiate(0);
	put(QUEUE_SELECT, 1);
	queue = page;
	put(QUEUE_NUM, QUEUE / 2);
	put_address(DESCRIPTORS, queue->descriptor);
	put_address(AVAILABLE, &queue->available);
	put_address(USED, &queue->used);
	put(QUEUE_READY, 1);
	CHECK_IS(get(QUEUE_READY), 1);
	put(STATUS, DRIVER | FEATURES_OK | DRIVER_OK);
	offer_text(0, first, sizeof(first) - 1);
	put(QUEUE_NOTIFY, 1);
	CHECK_IS(SHARED_READ(queue->used.index), 1);
	for (uint32_t i = 0; i < 50; i++)
		memcpy(lines + 40 * i, "re of it, some 2000 bytes, many lines\n# ", 40);
	offer_text(1, rest, sizeof(rest) - 1);
	offer_text(2, lines, 2000);
	put(QUEUE_NOTIFY, 1);
	CHECK_IS(SHARED_READ(queue->used.index), 3);
	queue->descriptor[3] = (struct descriptor){ (uint64_t)buffer, 1, WRITE, 0 };
	offer_text(4, "\n", 1);
	put(QUEUE_NOTIFY, 1);
	CHECK_IS(SHARED_READ(queue->used.index), 4);
	offer(3); /* nothing in it to print, for it is the device's to write */
	put(QUEUE_NOTIFY, 1);
	CHECK(get(STATUS) & NEEDS_RESET);
	put(STATUS, 0);
	CHECK_IS(get(STATUS), 0);
}

TESTS = {
	RUN(every_slot_answers_and_says_whether_it_has_a_device),
	RUN(configuration_tells_size_and_access),
	RUN(features_that_are_not_offered_are_not_taken),
	RUN(reads_come_from_the_right_sectors),
	RUN(what_was_written_and_flushed_is_read_back),
	RUN(data_may_begin_anywhere),
	RUN(a_piece_may_be_larger_than_what_goes_at_once),
	RUN(a_driver_that_cannot_flush_writes_through),
	RUN(the_id_is_the_name_of_the_disk),
	RUN(what_cannot_be_done_is_an_error),
	RUN(many_are_in_flight),
	RUN(a_full_queue_is_served_to_its_end),
	RUN(a_long_chain_is_one_request),
	RUN(a_reset_comes_after_what_is_in_flight),
	RUN(a_driver_that_lies_breaks_its_device_alone),
	RUN(a_queue_is_in_ram_and_aligned),
	RUN(the_console_prints_in_pieces_and_whole),
};
TESTS_MAIN
