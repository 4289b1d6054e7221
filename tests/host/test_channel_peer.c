/*
 * Channels of records (weir/channel.h) between fake VMs, whose memory is there: the end and
 * the restart of either side, new sessions, and peers that lie.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c tests/host/fake/lock.c
 */
#include "channel_sides.h"

/* ---- Ends, and new sessions ---- */

TEST(a_session_with_the_next_life_begins_with_nothing)
{
	for (u32 life = 0; life < 5; life++) {
		assert_int_equal(try_open(B), WEIR_AGAIN);
		assert_int_equal(try_open(A), WEIR_OK);
		assert_int_equal(try_open(B), WEIR_OK);
		send(A, "a");
		send(A, "a");
		send(B, "b");
		expect(B, "a");
		restart(1);
		assert_int_equal(check(A), WEIR_CLOSED);
		assert_int_equal(receive(A), WEIR_CLOSED);
	}
}

TEST(the_one_who_closes_can_open_again_and_so_can_the_other)
{
	for (u32 order = 0; order < 2; order++) {
		struct weir_channel *first = order ? A : B, *second = order ? B : A;

		machine_make(0);
		open_both();
		send(A, "lost");
		close_it(A);
		assert_int_equal(check(B), WEIR_CLOSED);
		assert_int_equal(send(A, "x"), WEIR_CLOSED);
		assert_int_equal(try_open(first), WEIR_AGAIN);
		assert_int_equal(try_open(second), WEIR_OK);
		assert_int_equal(try_open(first), WEIR_OK);
		send(A, "new");
		expect(B, "new");
		ipc_memory_end(0);
	}
	machine_make(0);
}

/* b still takes itself for open, with a grant that is gone: a must not read its old ring. */
TEST(a_peer_of_an_old_session_is_not_met)
{
	open_both();
	send(B, "old");
	assert_int_equal(try_open(A), WEIR_AGAIN); /* again, while it is open: a new session */
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(check(B), WEIR_CLOSED);
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_OK);
	assert_int_equal(receive(A), WEIR_AGAIN);
	send(B, "new");
	expect(A, "new");
}

TEST(a_channel_that_is_closed_leaves_nothing_mapped_or_shared)
{
	weir_handle grant;

	open_both();
	close_it(A);
	assert_true(window_is_empty(0));
	ipc_run(0, 0);
	assert_int_equal(weir_grant_share(A->port, 0, 3, WEIR_READ, &grant), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_BUSY); /* so nobody may take them before it is opened */
	assert_int_equal(weir_grant_revoke(grant), WEIR_OK);
	close_it(B);
	assert_true(window_is_empty(1));
}

/* ---- A restart at any moment of the other's opening ---- */

static enum weir_status opened[2]; /* what the last step of a and of b answered */

static void b_has_begun(void)
{
	ipc_memory_end(0);
	fake_lock_reset();
	machine_make(0);
	opened[1] = try_open(B);
}

static void b_has_begun_again(void)
{
	b_has_begun();
	assert_int_equal(try_open(A), WEIR_OK);
	assert_int_equal(try_open(B), WEIR_OK);
	restart(1);
	opened[1] = try_open(B);
}

static void a_opens(void)
{
	opened[0] = try_open(A);
}

static void b_starts_again(void *context)
{
	(void)context;
	restart(1);
	opened[1] = try_open(B);
}

/* Each does another step when there was an event, or when it sees that its session has ended, and not else. */
static void both_meet(void)
{
	for (u32 turn = 0; turn < 8; turn++) {
		struct weir_channel *channel = &sides[turn % 2].channel;
		bool told = events(turn % 2);

		if (opened[turn % 2] == WEIR_OK ? check(channel) != WEIR_OK : told)
			opened[turn % 2] = try_open(channel);
		assert_true(opened[turn % 2] == WEIR_OK || opened[turn % 2] == WEIR_AGAIN);
	}
	assert_int_equal(check(A), WEIR_OK);
	assert_int_equal(check(B), WEIR_OK);
	send(A, "to b");
	expect(B, "to b");
	send(B, "to a");
	expect(A, "to a");
}

TEST(who_opens_meets_a_peer_that_restarts_at_any_moment_of_it)
{
	/* To share, to look at the peer's word, to publish and to map: with a lock each. */
	assert_true(fake_lock_each_gap(b_has_begun, a_opens, b_starts_again, both_meet) >= 4);
	/* And to publish 0, to revoke and to unmap what there was before. */
	assert_true(fake_lock_each_gap(b_has_begun_again, a_opens, b_starts_again, both_meet) >= 7);
}

/* ---- Lies ---- */

/* What b publishes in place of a channel's grant; a's answer, which must leave nothing mapped. */
static void expect_refused(uint64_t word, enum weir_status answer)
{
	ipc_run(1, 0);
	assert_int_equal(weir_port_publish(B->port, word), WEIR_OK);
	assert_int_equal(try_open(A), answer);
	assert_int_equal(try_open(A), WEIR_AGAIN); /* the same word is not looked at twice */
	assert_true(window_is_empty(0));
}

static weir_handle share_as_b(u64 first, u32 pages, enum weir_access access)
{
	weir_handle grant = 0;

	ipc_run(1, 0);
	assert_int_equal(weir_grant_share(B->port, first, pages, access, &grant), WEIR_OK);
	return grant;
}

/* Pages of b's that are a channel but for what the test changes. */
static struct weir_channel_shared *make_pages(u64 first, u64 ring_bytes)
{
	struct weir_channel_shared *shared =
		(void *)((u8 *)ipc_memory_page(1, first) + WEIR_CHANNEL_HEADER);
	struct weir_ring_producer ring;

	shared->magic = WEIR_CHANNEL_MAGIC;
	assert_int_equal(weir_ring_producer_init(&ring, ipc_memory_page(1, first + 1), ring_bytes),
			 WEIR_OK);
	return shared;
}

TEST(a_word_that_is_no_channel_is_refused)
{
	weir_handle revoked;

	assert_int_equal(try_open(B), WEIR_AGAIN);
	expect_refused(1, WEIR_CLOSED);
	expect_refused(UINT64_MAX, WEIR_CLOSED);
	expect_refused(A->grant, WEIR_CLOSED); /* a's own */
	revoked = share_as_b(10, 3, WEIR_READ);
	weir_grant_revoke(revoked);
	expect_refused(revoked, WEIR_AGAIN); /* perhaps the next word is better */
	ipc_run(2, 0);
	assert_int_equal(try_open_as(2, &sides[2].channel, "ac"), WEIR_AGAIN);
	expect_refused(sides[2].channel.grant, WEIR_CLOSED); /* not b's to give */
	expect_refused(share_as_b(20, 3, WEIR_READ),
		       WEIR_AGAIN); /* zeroes, as if it were revoked */
	memset(ipc_memory_page(1, 30), 0x55, 3 * PAGE_SIZE);
	expect_refused(share_as_b(30, 3, WEIR_READ), WEIR_CLOSED);
	make_pages(40, PAGE_SIZE);
	expect_refused(share_as_b(40, 1, WEIR_READ), WEIR_CLOSED);
	make_pages(44, PAGE_SIZE); /* another size than is shared */
	expect_refused(share_as_b(44, 3, WEIR_READ), WEIR_CLOSED);
	make_pages(50, 8 * PAGE_SIZE);
	expect_refused(share_as_b(50, 9, WEIR_READ), WEIR_QUOTA);
	make_pages(60, PAGE_SIZE)->attached = A->grant + 1;
	expect_refused(share_as_b(60, 2, WEIR_READ), WEIR_AGAIN);
	expect_refused(0, WEIR_AGAIN);
	/* And then it tells the truth. */
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_OK);
	send(B, "truth");
	expect(A, "truth");
}

TEST(a_mapping_beyond_the_window_is_refused)
{
	A->window_pages = FAKE_WINDOW_PAGES;
	assert_int_equal(try_open(B), WEIR_AGAIN);
	expect_refused(share_as_b(30, 64, WEIR_READ), WEIR_AGAIN);
	sides[0].space.window_used = 0;
	memset(A, 0, sizeof(*A));
	sides[0].space.window_used = FAKE_WINDOW_PAGES - 8;
	sides[0].space.pool_used = 10;
	A->window_pages = 8;
	make_pages(4, 8 * PAGE_SIZE);
	expect_refused(share_as_b(4, 9, WEIR_READ), WEIR_CLOSED);
}

/* Whatever b writes into its pages, a's other memory stays as it was, and a gets a status. */
TEST(nonsense_in_the_peers_pages_ends_the_session)
{
	open_both();
	send(A, "x");
	send(B, "y");
	memset(ipc_memory_page(1, 0), 0xff, PAGE_SIZE);
	while (send(A, "some text that fills the ring") == WEIR_OK)
		;
	assert_int_equal(send(A, "x"), WEIR_CLOSED);
	assert_int_equal(receive(A), WEIR_CLOSED);
	machine_make(0);
	open_both();
	send(B, "y");
	memset(ipc_memory_page(1, 1), 0xff, PAGE_SIZE);
	assert_int_equal(receive(A), WEIR_CLOSED);
	assert_int_equal(send(A, "x"), WEIR_CLOSED);
	/* It is over when b begins anew. */
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_OK);
}

TEST(a_peer_that_revokes_its_pages_ends_the_session)
{
	open_both();
	send(B, "1");
	send(B, "2");
	expect(A, "1");
	ipc_run(1, 0);
	assert_int_equal(weir_grant_revoke(B->grant), WEIR_OK);
	assert_int_equal(receive(A), WEIR_CLOSED);
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(try_open(A), WEIR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(a_session_with_the_next_life_begins_with_nothing),
		RUN_MADE(the_one_who_closes_can_open_again_and_so_can_the_other),
		RUN_MADE(a_peer_of_an_old_session_is_not_met),
		RUN_MADE(a_channel_that_is_closed_leaves_nothing_mapped_or_shared),
		RUN_MADE(who_opens_meets_a_peer_that_restarts_at_any_moment_of_it),
		RUN_MADE(a_word_that_is_no_channel_is_refused),
		RUN_MADE(a_mapping_beyond_the_window_is_refused),
		RUN_MADE(nonsense_in_the_peers_pages_ends_the_session),
		RUN_MADE(a_peer_that_revokes_its_pages_ends_the_session),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
