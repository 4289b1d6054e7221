/* Grants: grant.h. This VM shares; grant_peer.c maps. */
#include "tests/guest/grant_commands.h"
#include "tests/guest/tap.h"

#define WORDS (PAGE_SIZE / 8)
#define PAGES 3u

static weir_handle control, grants, stranger;
static struct region pool;

static struct weir_result call(uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4)
{
	return weir_call(WEIR_FN(number), a1, a2, a3, a4, 0, 0);
}

static uint64_t *pool_page(uint64_t page)
{
	return (uint64_t *)(pool.base + page * PAGE_SIZE);
}

static void fill(uint64_t first, uint64_t count)
{
	for (uint64_t page = 0; page < count; page++)
		for (uint64_t word = 0; word < WORDS; word++)
			pool_page(first + page)[word] = pattern(page, word);
}

/* How many words of the pages are not the pattern, or not its inverse. */
static uint64_t differences(uint64_t first, uint64_t count, uint64_t inverse)
{
	uint64_t different = 0;

	for (uint64_t page = 0; page < count; page++)
		for (uint64_t word = 0; word < WORDS; word++)
			different +=
				pool_page(first + page)[word] != (pattern(page, word) ^ inverse);
	return different;
}

static bool command(uint32_t what)
{
	static uint32_t round;
	uint64_t word = COMMAND(++round, what), answer = 0,
		 end = timer_now() + timer_ticks(WAIT_NS);

	if (weir_port_publish(control, word) != WEIR_OK)
		return false;
	while ((answer & ~COMMAND_FAILED) != (word | COMMAND_DONE) && timer_now() < end) {
		event_wait(control, timer_now() + timer_ticks(100000000));
		weir_port_peer(control, &answer, NULL);
	}
	return answer == (word | COMMAND_DONE);
}

static weir_handle share(uint64_t first, uint32_t count, enum weir_access access)
{
	weir_handle grant = 0;

	CHECK_IS(weir_grant_share(grants, first, count, access, &grant), WEIR_OK);
	CHECK(grant);
	CHECK_IS(weir_port_publish(grants, grant), WEIR_OK);
	return grant;
}

TEST(the_pool_is_there)
{
	pool = weir_region(WEIR_REGION_POOL);
	CHECK_IS(pool.bytes, 256 << 10);
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "grants", &grants), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "stranger", &stranger), WEIR_OK);
}

TEST(share_refuses_bad_arguments)
{
	uint64_t pages = pool.bytes / PAGE_SIZE;

	CHECK_IS(call(WEIR_FN_GRANT_SHARE, 0xffff, 0, 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants + (1ull << 16), 0, 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, 0, 0, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, 0, WEIR_GRANT_PAGES_MAX + 1, 0).status,
		 WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, pages, 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, pages - 1, 2, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, ~0ull, 2, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, 0, (1ull << 32) + 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, 0, 1, 3).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_SHARE, grants, 0, 1, ~0ull).status, WEIR_INVALID);
}

TEST(a_page_is_in_one_grant_at_most)
{
	weir_handle grant = share(2, 2, WEIR_READ), second = 0;

	CHECK_IS(weir_grant_share(grants, 3, 1, WEIR_READ, &second), WEIR_BUSY);
	CHECK_IS(weir_grant_share(grants, 1, 2, WEIR_READ, &second), WEIR_BUSY);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	CHECK_IS(weir_grant_share(grants, 3, 1, WEIR_READ, &second), WEIR_OK);
	CHECK_IS(weir_grant_revoke(second), WEIR_OK);
}

TEST(a_revoked_handle_is_stale_and_its_number_opens_nothing_else)
{
	weir_handle old = share(0, 1, WEIR_READ), new;

	CHECK_IS(weir_grant_revoke(old), WEIR_OK);
	CHECK_IS(weir_grant_revoke(old), WEIR_STALE);
	new = share(0, 1, WEIR_READ);
	CHECK(new != old);
	CHECK_IS(weir_grant_revoke(old), WEIR_STALE);
	CHECK_IS(weir_grant_revoke(new), WEIR_OK);
	CHECK_IS(weir_grant_revoke(0xffff), WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_GRANT_REVOKE, new, 1, 0, 0).status, WEIR_INVALID);
}

TEST(what_is_shared_can_be_read_and_written_by_the_peer)
{
	weir_handle grant;

	fill(5, PAGES);
	grant = share(5, PAGES, WEIR_READ_WRITE);
	CHECK(command(MAP));
	CHECK(command(WRITE));
	CHECK_IS(differences(5, PAGES, ~0ull), 0);
	CHECK(command(UNMAP));
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

TEST(read_only_means_read_only)
{
	weir_handle grant;

	fill(0, PAGES);
	grant = share(0, PAGES, WEIR_READ);
	CHECK(command(MAP));
	CHECK(command(READ_ONLY));
	CHECK_IS(differences(0, PAGES, 0), 0);
	CHECK(command(UNMAP));
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

/* After the call the pages are ours alone: what the peer writes then does not show here. */
TEST(revoke_works_while_the_peer_has_it_mapped)
{
	weir_handle grant;

	fill(8, PAGES);
	grant = share(8, PAGES, WEIR_READ_WRITE);
	CHECK(command(MAP));
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	CHECK(command(REVOKED));
	CHECK_IS(differences(8, PAGES, 0), 0);
	CHECK(command(UNMAP));
}

TEST(the_largest_grant_can_be_mapped)
{
	uint32_t pages = (uint32_t)(pool.bytes / PAGE_SIZE);
	weir_handle grant;

	CHECK_IS(pages, WEIR_GRANT_PAGES_MAX);
	fill(0, pages);
	grant = share(0, pages, WEIR_READ_WRITE);
	CHECK(command(MAP));
	CHECK(command(WRITE));
	CHECK_IS(differences(0, pages, ~0ull), 0);
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
	CHECK(command(UNMAP));
}

/* The peer reads on its own core all the time: it sees the old page or the new one, never none. */
TEST(revoke_is_one_step_for_a_peer_that_reads)
{
	for (uint32_t round = 0; round < 200; round++) {
		weir_handle grant;

		fill(0, WEIR_GRANT_PAGES_MAX);
		grant = share(0, WEIR_GRANT_PAGES_MAX, WEIR_READ);
		CHECK(command(MAP));
		CHECK(command(READ_ON));
		CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
		CHECK(command(UNMAP));
	}
}

/* Generations: many more grants than there are numbers, each with a handle of its own. */
TEST(grants_can_be_made_and_revoked_for_ever)
{
	weir_handle last = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		weir_handle grant = share(i % 64, 1, WEIR_READ);

		CHECK(grant != last);
		CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
		last = grant;
	}
}

/* The other end of `stranger` is a third VM, which tries with the handle. */
TEST(a_grant_is_for_one_peer_only)
{
	weir_handle grant = share(0, 1, WEIR_READ);
	uint64_t answer = 0;

	CHECK_IS(weir_port_publish(stranger, grant), WEIR_OK);
	CHECK(WAIT((weir_port_peer(stranger, &answer, NULL), answer == COMMAND_DONE)));
	CHECK_IS(weir_grant_revoke(grant), WEIR_OK);
}

TEST(sharing_with_a_peer_that_is_off_is_closed)
{
	weir_handle grant;
	bool open = true;

	CHECK_IS(weir_port_publish(control, COMMAND(0, END)), WEIR_OK);
	CHECK(WAIT((weir_port_peer(control, NULL, &open), !open)));
	CHECK(WAIT(weir_port_peer(grants, NULL, &open) == WEIR_OK && !open));
	CHECK_IS(weir_grant_share(grants, 0, 1, WEIR_READ, &grant), WEIR_CLOSED);
}

TESTS = {
	RUN(the_pool_is_there),
	RUN(share_refuses_bad_arguments),
	RUN(a_page_is_in_one_grant_at_most),
	RUN(a_revoked_handle_is_stale_and_its_number_opens_nothing_else),
	RUN(what_is_shared_can_be_read_and_written_by_the_peer),
	RUN(read_only_means_read_only),
	RUN(revoke_works_while_the_peer_has_it_mapped),
	RUN(the_largest_grant_can_be_mapped),
	RUN(revoke_is_one_step_for_a_peer_that_reads),
	RUN(grants_can_be_made_and_revoked_for_ever),
	RUN(a_grant_is_for_one_peer_only),
	RUN(sharing_with_a_peer_that_is_off_is_closed),
};
TESTS_MAIN
