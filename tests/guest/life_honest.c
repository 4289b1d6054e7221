/*
 * Works while others come and go: wakes when it wanted to (with "late-ns=..." in its bootargs no more
 * than that later), writes to its disk, if it has one, and reads it back; until the manager
 * (life_random.c) says that it is enough.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/tap.h"

#define PERIOD_NS  500000u
#define TEST_WORDS (PAGE_SIZE / 8)

static weir_handle honest;
static uint64_t latest_ns;

static bool enough(void)
{
	uint64_t word = 0;

	CHECK_IS(weir_port_peer(honest, &word, NULL), WEIR_OK);
	return word != 0 || tap_failure.line;
}

static void sleep_on_time(void)
{
	uint64_t from = timer_now(), ns;

	task_sleep(PERIOD_NS);
	ns = timer_ns(timer_now() - from);
	CHECK(ns >= PERIOD_NS);
	CHECK(!latest_ns || ns <= PERIOD_NS + latest_ns);
}

static void write_and_read(uint64_t turn, uint64_t *page)
{
	struct block_request request = {
		.operation = WEIR_BLOCK_WRITE, .sector = turn % 64 * 8, .sectors = 8, .buffer = page
	};
	uint64_t different = 0;

	for (uint64_t word = 0; word < TEST_WORDS; word++)
		page[word] = turn << 16 | word;
	CHECK_IS(block_run(&request), WEIR_OK);
	memset(page, 0, PAGE_SIZE);
	request.operation = WEIR_BLOCK_READ;
	CHECK_IS(block_run(&request), WEIR_OK);
	for (uint64_t word = 0; word < TEST_WORDS; word++)
		different += page[word] != (turn << 16 | word);
	CHECK_IS(different, 0);
}

TEST(work_goes_on_while_others_come_and_go)
{
	uint64_t *page = memory_pages(1);
	struct weir_block_info disk;
	bool has_disk = weir_block_info(0, &disk) == WEIR_OK;

	latest_ns = bootargs_number("late-ns", 0);
	CHECK_IS(weir_port_find(weir_here(), "honest", &honest), WEIR_OK);
	for (uint64_t turn = 1; !enough(); turn++) {
		sleep_on_time();
		if (turn % 8 == 0 && has_disk)
			write_and_read(turn, page);
		CHECK_IS(weir_port_publish(honest, turn), WEIR_OK);
	}
}

TESTS = {
	RUN(work_goes_on_while_others_come_and_go),
};
TESTS_MAIN
