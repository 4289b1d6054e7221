/*
 * The VM that shares a card with card.c: while that is pulled and put back it sees errors or what stands in its
 * sectors, never anything else, and a card that works in the end.
 */
#include "tests/guest/tap.h"

#define HALF_SECTORS 4096u
#define RUN_NS	     (10 * WAIT_NS)

static uint8_t *sector;

TEST(only_errors_and_what_is_on_the_card_are_seen)
{
	struct block_request request = { .operation = WEIR_BLOCK_READ, .sectors = 1 };
	uint64_t end = timer_now() + timer_ticks(RUN_NS), good = 0, failed = 0, wrong = 0;
	enum weir_status status = WEIR_OK;
	weir_handle pair = 0;
	bool open = true;

	sector = request.buffer = memory_pages(1);
	CHECK(sector != NULL);
	CHECK_IS(weir_port_find(weir_here(), "pair", &pair), WEIR_OK);
	while (open && timer_now() < end) {
		request.sector = good % HALF_SECTORS;
		memset(sector, 0xff, WEIR_SECTOR_SIZE);
		status = block_run(&request);
		if (status == WEIR_OK)
			wrong += *(uint64_t *)(void *)sector != HALF_SECTORS + request.sector;
		else
			CHECK_IS(status, WEIR_IO);
		good += status == WEIR_OK;
		failed += status != WEIR_OK;
		if (status != WEIR_OK)
			weir_port_publish(pair, failed);
		CHECK_IS(weir_port_peer(pair, NULL, &open), WEIR_OK);
	}
	CHECK(!open);
	CHECK(good && failed);
	CHECK_IS(wrong, 0);
	CHECK_IS(block_run(&request),
		 WEIR_OK); /* the last one may have been before the card was back */
}

TESTS = {
	RUN(only_errors_and_what_is_on_the_card_are_seen),
};
TESTS_MAIN
