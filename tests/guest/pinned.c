/*
 * Pages that a virtio queue lies in are not given (weir/grant.h), and no queue lies in pages that are. The peer,
 * pinned_peer.c, only waits for the end.
 */
#include <weir/grant.h>
#include "tests/guest/tap.h"
#include "tests/guest/virtio_driver.h"

static weir_handle port;
static struct region pool;

/* A queue in three pages of the pool, from this one on. */
static bool ready(uint32_t page)
{
	const uint8_t *pages = (const uint8_t *)pool.base + page * PAGE_SIZE;

	negotiate(0);
	put(QUEUE_NUM, QUEUE);
	put_address(DESCRIPTORS, pages);
	put_address(AVAILABLE, pages + PAGE_SIZE);
	put_address(USED, pages + 2 * PAGE_SIZE);
	put(QUEUE_READY, 1);
	return get(QUEUE_READY);
}

TEST(pages_of_a_queue_are_not_given)
{
	weir_handle grant = 0;

	pool = weir_region(WEIR_REGION_POOL);
	CHECK_IS(weir_port_find(weir_here(), "pinned", &port), WEIR_OK);
	CHECK(ready(10));
	for (uint32_t page = 9; page < 14; page++) {
		bool free = page == 9 || page == 13;

		CHECK_IS(weir_grant_share(port, page, 1, WEIR_READ, &grant),
			 free ? WEIR_OK : WEIR_BUSY);
		if (free)
			CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	}
	CHECK_IS(weir_grant_share(port, 0, 64, WEIR_PASS, &grant), WEIR_BUSY);
	put(STATUS, 0);
	CHECK_IS(weir_grant_share(port, 9, 5, WEIR_PASS, &grant), WEIR_OK);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

TEST(a_queue_lies_in_no_page_that_is_given)
{
	for (uint32_t page = 20; page < 23; page++) {
		weir_handle grant = 0;

		CHECK_IS(weir_grant_share(port, page, 1, WEIR_READ, &grant), WEIR_OK);
		CHECK(!ready(20));
		CHECK(get(STATUS) & NEEDS_RESET);
		CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
		CHECK(ready(20));
		put(STATUS, 0);
	}
}

TESTS = {
	RUN(pages_of_a_queue_are_not_given),
	RUN(a_queue_lies_in_no_page_that_is_given),
};
TESTS_MAIN
