/* Grants of 2 MiB: grant.h. This VM gives them; piece_mortal.c takes them, and dies with them now and then. */
#include "tests/guest/piece.h"
#include "tests/guest/tap.h"

#define FIRST  512u /* page of the pool, which begins where 2 MiB do */
#define WORDS  (PIECE_PAGES * PAGE_SIZE / 8)
#define ROUNDS 20u

static weir_handle port;
static volatile uint64_t *words;

/* What the peer says, or 0 when it has begun anew. */
static bool answered(uint64_t expected)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS), word = 0;

	do {
		weir_port_peer(port, &word, NULL);
		if (word & PIECE_FAILED)
			CHECK_IS(word, PIECE_DONE);
		if (word == expected)
			return true;
		event_wait(port, timer_now() + timer_ticks(100000000));
	} while (timer_now() < end && !tap_failure.line);
	return false;
}

static void command(uint64_t word)
{
	CHECK_IS(weir_port_publish(port, word), WEIR_OK);
	CHECK(answered(word | PIECE_DONE));
}

static weir_handle give(enum weir_access access)
{
	weir_handle grant = 0, again = 0;
	uint64_t next;

	CHECK_IS(weir_grant_share(port, FIRST, PIECE_PAGES, access, &grant), WEIR_OK);
	CHECK_IS(weir_grant_share(port, FIRST + 17, 1, WEIR_READ, &again), WEIR_BUSY);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	next = grant + (1ull << 22); /* the next generation */
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = pattern(next, i);
	CHECK_IS(weir_grant_share(port, FIRST, PIECE_PAGES, access, &grant), WEIR_OK);
	CHECK_IS(grant, next);
	return grant;
}

static uint64_t different(uint64_t grant, uint64_t inverse)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < WORDS; i++)
		count += words[i] != (pattern(grant, i) ^ inverse);
	return count;
}

static uint64_t not_zero(void)
{
	uint64_t count = 0;

	for (uint64_t i = 0; i < WORDS; i++)
		count += words[i] != 0;
	return count;
}

TEST(the_pool_has_pieces)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	weir_handle grant;

	words = (uint64_t *)(pool.base + FIRST * PAGE_SIZE);
	CHECK_IS((uint64_t)words % (2 << 20), 0);
	CHECK_IS(weir_port_find(weir_here(), "piece", &port), WEIR_OK);
	CHECK_IS(weir_grant_share(port, FIRST + 1, PIECE_PAGES, WEIR_READ, &grant), WEIR_INVALID);
	CHECK_IS(weir_grant_share(port, FIRST, PIECE_PAGES - 1, WEIR_READ, &grant), WEIR_INVALID);
	CHECK_IS(weir_grant_share(port, 2 * FIRST, PIECE_PAGES, WEIR_READ, &grant), WEIR_INVALID);
}

TEST(what_is_shared_is_read_and_written_by_the_peer)
{
	weir_handle grant = give(WEIR_READ_WRITE);

	command(PIECE_TAKE | grant);
	CHECK_IS(different(grant, ~0ull), 0);
	command(PIECE_RETURN);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

TEST(revoke_is_one_step_for_a_peer_that_reads)
{
	for (uint32_t round = 0; round < ROUNDS && !tap_failure.line; round++) {
		weir_handle grant = give(round % 2 ? WEIR_READ : WEIR_READ_WRITE);

		command(PIECE_READ | grant);
		task_sleep(round * 20000);
		CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
		CHECK(answered(PIECE_READ | PIECE_GONE | grant));
		CHECK_IS(different(grant, 0), 0);
		command(PIECE_RETURN);
	}
}

/* This VM has a page of zeroes there meanwhile, and what it writes there is nowhere else. */
TEST(what_is_passed_is_the_peer_s_until_it_is_returned)
{
	weir_handle grant = give(WEIR_PASS);

	CHECK_IS(not_zero(), 0);
	words[0] = 5;
	CHECK_IS(words[PAGE_SIZE / 8], 5);
	words[0] = 0;
	command(PIECE_TAKE | grant);
	command(PIECE_RETURN);
	CHECK_IS(different(grant, ~0ull), 0);
	CHECK_IS(weir_grant_revoke(grant), WEIR_STALE);
}

TEST(what_the_peer_dies_with_comes_home_zeroed)
{
	for (uint32_t round = 0; round < ROUNDS && !tap_failure.line; round++) {
		weir_handle grant = give(WEIR_PASS), page = 0;
		bool open = false;

		command(PIECE_TAKE | grant);
		CHECK_IS(weir_port_publish(port, PIECE_RESET), WEIR_OK);
		CHECK(answered(0));
		CHECK_IS(weir_grant_revoke(grant), WEIR_STALE);
		CHECK_IS(not_zero(), 0);
		CHECK(WAIT(weir_port_peer(port, NULL, &open) == WEIR_OK && open));
		CHECK_IS(weir_grant_share(port, FIRST + 17, 1, WEIR_PASS, &page), WEIR_OK);
		CHECK_IS(weir_grant_revoke(page), WEIR_OK);
	}
}

TEST(what_is_shared_stays_and_is_mapped_by_the_next_life)
{
	weir_handle grant = give(WEIR_READ_WRITE);

	command(PIECE_READ | grant);
	/* It reads, and does not listen. */
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	CHECK(answered(PIECE_READ | PIECE_GONE | grant));
	command(PIECE_RETURN);
	grant = give(WEIR_READ_WRITE);
	command(PIECE_TAKE | grant);
	CHECK_IS(weir_port_publish(port, PIECE_RESET), WEIR_OK);
	CHECK(answered(0));
	CHECK_IS(different(grant, ~0ull), 0);
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = pattern(grant, i);
	CHECK(WAIT(weir_port_publish(port, PIECE_TAKE | grant) == WEIR_OK));
	CHECK(answered(PIECE_TAKE | PIECE_DONE | grant));
	CHECK_IS(different(grant, ~0ull), 0);
	CHECK_IS(weir_port_publish(port, PIECE_END), WEIR_OK);
}

TESTS = {
	RUN(the_pool_has_pieces),
	RUN(what_is_shared_is_read_and_written_by_the_peer),
	RUN(revoke_is_one_step_for_a_peer_that_reads),
	RUN(what_is_passed_is_the_peer_s_until_it_is_returned),
	RUN(what_the_peer_dies_with_comes_home_zeroed),
	RUN(what_is_shared_stays_and_is_mapped_by_the_next_life),
};
TESTS_MAIN
