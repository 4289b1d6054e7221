/*
 * Pages that a virtio queue lies in are not given (weir/grant.h), and no queue lies in pages that are. The peer,
 * pinned_peer.c, only waits for the end.
 */
#include <weir/grant.h>
#include "tests/guest/tap.h"

#define BASE  0x0a000000ul /* slot 0: a disk */
#define QUEUE 16u

enum {
	DRIVER_FEATURES = 0x20,
	DRIVER_SELECT = 0x24,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	STATUS = 0x70,
	DESCRIPTORS = 0x80,
	AVAILABLE = 0x90,
	USED = 0xa0,
};

enum { DRIVER = 3, FEATURES_OK = 8, NEEDS_RESET = 64 };

static weir_handle port;
static struct region pool;

static void put(uint32_t offset, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(BASE + offset) : "memory");
}

static uint32_t get(uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(BASE + offset) : "memory");
	return value;
}

static void put_page(uint32_t offset, uint32_t page)
{
	uint64_t address = (uint64_t)pool.base + page * PAGE_SIZE;

	put(offset, (uint32_t)address);
	put(offset + 4, (uint32_t)(address >> 32));
}

/* A queue in three pages of the pool, from this one on. */
static bool ready(uint32_t page)
{
	put(STATUS, 0);
	put(STATUS, DRIVER);
	put(DRIVER_SELECT, 1);
	put(DRIVER_FEATURES, 1); /* VERSION_1 */
	put(STATUS, DRIVER | FEATURES_OK);
	put(QUEUE_NUM, QUEUE);
	put_page(DESCRIPTORS, page);
	put_page(AVAILABLE, page + 1);
	put_page(USED, page + 2);
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
