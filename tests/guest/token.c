/*
 * One of many VMs in a ring, each joined to the next: a token goes round, which each takes from the one before it and
 * gives to the one behind it, and each has its own timer and memory meanwhile. The manifest says by bootargs which of
 * how many it is; link n is between VM n and the next.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/tap.h"

#define ROUNDS 3u
#define NAP_NS 200000u

static uint64_t number, count;
static weir_handle before, behind;

static bool find_link(uint64_t link, weir_handle *port)
{
	char name[] = { 'l', (char)('0' + link / 10), (char)('0' + link % 10), 0 };

	return weir_port_find(weir_here(), name, port) == WEIR_OK;
}

static uint64_t said_before(void)
{
	uint64_t word = 0;

	CHECK_IS(weir_port_peer(before, &word, NULL), WEIR_OK);
	return word;
}

static void wait_for_token(uint64_t round)
{
	while (said_before() < round)
		event_wait(before, TASK_FOREVER);
	CHECK_IS(said_before(), round);
}

TEST(the_links_are_there)
{
	number = bootargs_number("number", 0);
	count = bootargs_number("count", 0);
	CHECK(count > 1);
	CHECK(find_link((number + count - 1) % count, &before));
	CHECK(find_link(number, &behind));
}

TEST(the_token_comes_round)
{
	for (uint64_t round = 1; round <= ROUNDS; round++) {
		if (number)
			wait_for_token(round);
		task_sleep(NAP_NS);
		CHECK_IS(weir_port_publish(behind, round), WEIR_OK);
		if (!number)
			wait_for_token(round);
	}
}

TEST(all_private_memory_is_its_own)
{
	uint64_t *page, *last = NULL, pages = 0;

	for (; (page = memory_pages(1)); last = page, pages++) {
		CHECK_IS(page[0] | page[511], 0);
		page[0] = number;
		page[511] = (uint64_t)last;
	}
	CHECK(pages > 0);
	for (; last; last = (uint64_t *)last[511])
		CHECK_IS(last[0], number);
}

/* The one before it may not go before its word was read. */
TEST(the_neighbour_has_all_of_it)
{
	uint64_t word = 0;

	CHECK_IS(weir_port_publish(before, ROUNDS), WEIR_OK);
	while (weir_port_peer(behind, &word, NULL) == WEIR_OK && word < ROUNDS)
		event_wait(behind, TASK_FOREVER);
}

TESTS = {
	RUN(the_links_are_there),
	RUN(the_token_comes_round),
	RUN(all_private_memory_is_its_own),
	RUN(the_neighbour_has_all_of_it),
};
TESTS_MAIN
