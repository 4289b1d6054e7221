/* Pages that are passed along a chain: this VM is their home; pass_peer.c passes on, and returns. */
#include "tests/guest/pass.h"
#include "tests/guest/tap.h"

#define ROUNDS 200u
#define PAGES  3u
#define MARK   0x7363726174636800ull

static weir_handle first;
static struct region pool;

static volatile uint64_t *word_of(uint32_t page)
{
	return (volatile uint64_t *)(pool.base + page * PAGE_SIZE + 8 * page);
}

static bool returned(void)
{
	for (uint32_t page = 0; page < PAGES; page++)
		if (*word_of(page) == MARK)
			return false;
	return true;
}

static void wait_for_return(void)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	while (!returned() && timer_now() < end)
		event_wait(first, timer_now() + timer_ticks(100000000));
	CHECK(returned());
}

static void pass(weir_handle *grant)
{
	CHECK_IS(weir_grant_pass(first, 0, PAGES, grant), WEIR_OK);
	for (uint32_t page = 0; page < PAGES; page++)
		*word_of(page) = MARK;
}

TEST(home_sees_a_scratch_page_while_its_pages_are_away)
{
	weir_handle grant = 0, other = 0;

	pool = weir_region(WEIR_REGION_POOL);
	CHECK_IS(weir_port_find(weir_here(), "first", &first), WEIR_OK);
	for (uint32_t page = 0; page < PAGES; page++)
		*word_of(page) = page + 1;
	CHECK_IS(weir_grant_pass(first, 0, PAGES, &grant), WEIR_OK);
	for (uint32_t page = 0; page < PAGES; page++)
		CHECK_IS(*word_of(page), 0);
	*word_of(0) = MARK; /* its own to write, and one page for all */
	CHECK_IS(*(volatile uint64_t *)(pool.base + PAGE_SIZE), MARK);
	*word_of(0) = 0;
	CHECK_IS(weir_grant_pass(first, PAGES - 1, 2, &other), WEIR_BUSY);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	for (uint32_t page = 0; page < PAGES; page++)
		CHECK_IS(*word_of(page), page + 1);
}

/* Each of the two adds 1 to the first word that it finds there. */
TEST(pages_come_home_by_way_of_two_vms)
{
	weir_handle grant = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t page = 0; page < PAGES; page++)
			*word_of(page) = 100 * round + page;
		pass(&grant);
		CHECK_IS(weir_port_publish(first, grant), WEIR_OK);
		wait_for_return();
		for (uint32_t page = 0; page < PAGES; page++)
			CHECK_IS(*word_of(page), 100 * round + page + 2);
		CHECK_IS(weir_grant_revoke(grant), WEIR_STALE);
	}
}

TEST(what_is_away_and_what_is_shared_is_listed)
{
	weir_handle passed = 0, shared = 0;
	struct weir_grant_info info = { 0 };
	uint64_t page = 0;

	CHECK_IS(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_NOT_FOUND);
	CHECK_IS(weir_grant_pass(first, 1, PAGES, &passed), WEIR_OK);
	CHECK_IS(weir_grant_share(first, 10, 1, WEIR_READ, &shared), WEIR_OK);
	CHECK_IS(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_OK);
	CHECK(info.page == 1 && info.grant == passed && info.pages == PAGES);
	CHECK(info.port == (first & 0xffff) && info.access == WEIR_PASS);
	CHECK_IS(info.state, WEIR_GRANT_WAITING);
	CHECK_IS(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_OK);
	CHECK(info.page == 10 && info.grant == shared && info.access == WEIR_READ);
	CHECK_IS(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_NOT_FOUND);
	CHECK_IS(weir_grant_revoke(passed), WEIR_OK);
	CHECK_IS(weir_grant_revoke(shared), WEIR_OK);
}

TEST(the_chain_ends)
{
	CHECK_IS(weir_port_publish(first, PASS_END), WEIR_OK);
}

TESTS = {
	RUN(home_sees_a_scratch_page_while_its_pages_are_away),
	RUN(pages_come_home_by_way_of_two_vms),
	RUN(what_is_away_and_what_is_shared_is_listed),
	RUN(the_chain_ends),
};
TESTS_MAIN
