/*
 * The VM that shares a device with block_error.c: its half has no errors, and it must never see
 * one, nor wrong data, while the other half fails.
 */
#include "tests/guest/block_error.h"
#include "tests/guest/tap.h"

#define MANY	48u
#define SPAN	512u
#define WRITTEN 1024u /* from here on its own words stand on the disk */
#define MARK(i) (0x9e3779b97f4a7c15ull * ((i) + 1))

static uint8_t *buffer;
static struct block_request requests[MANY];
static weir_handle pair;

static uint64_t *word(uint64_t sector)
{
	return (uint64_t *)(void *)(buffer + sector * WEIR_SECTOR_SIZE);
}

/* One batch, no two sectors of it beside each other. */
static void run(enum weir_block_operation operation, uint64_t first)
{
	for (uint32_t i = 0; i < MANY; i++) {
		requests[i] = (struct block_request){ .operation = operation,
						      .sector = first + 2 * i,
						      .sectors = 1,
						      .buffer = word(i) };
		CHECK_IS(block_submit(&requests[i]), WEIR_OK);
	}
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_IS(block_wait(&requests[i]), WEIR_OK);
}

static void work(uint64_t round)
{
	struct block_request flush = { .operation = WEIR_BLOCK_FLUSH };
	uint64_t first = round % SPAN;

	run(WEIR_BLOCK_READ, first);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_IS(*word(i), HALF_SECTORS + first + 2 * i);
	for (uint32_t i = 0; i < MANY; i++)
		*word(i) = MARK(round + i);
	run(WEIR_BLOCK_WRITE, WRITTEN + first);
	memset(buffer, 0, MANY * WEIR_SECTOR_SIZE);
	run(WEIR_BLOCK_READ, WRITTEN + first);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK_IS(*word(i), MARK(round + i));
	CHECK_IS(block_run(&flush), WEIR_OK);
}

TEST(the_half_without_errors_shows_none)
{
	uint64_t rounds = 0;
	bool open = true;

	buffer = memory_pages(MANY * WEIR_SECTOR_SIZE / PAGE_SIZE);
	CHECK(buffer != NULL);
	CHECK_IS(weir_port_find(weir_here(), "pair", &pair), WEIR_OK);
	work(rounds++);
	CHECK_IS(weir_port_publish(pair, PAIR_READY), WEIR_OK);
	while (open && !tap_failure.line) {
		work(rounds++);
		CHECK_IS(weir_port_peer(pair, NULL, &open), WEIR_OK);
	}
}

TESTS = {
	RUN(the_half_without_errors_shows_none),
};
TESTS_MAIN
