/*
 * Channels of records (weir/channel.h) between fake VMs, whose memory is there: opening, sending and
 * receiving, waiting, and which pages that takes.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include "channel_sides.h"

TEST(records_go_both_ways)
{
	open_both();
	assert_int_equal(send(A, "one"), WEIR_OK);
	assert_int_equal(send(B, "uno"), WEIR_OK);
	assert_int_equal(send(A, ""), WEIR_OK);
	expect(B, "one");
	expect(B, "");
	expect(A, "uno");
	assert_int_equal(receive(A), WEIR_AGAIN);
	assert_int_equal(receive(B), WEIR_AGAIN);
}

TEST(who_opens_first_may_send_before_the_other_looks)
{
	assert_int_equal(try_open(B), WEIR_AGAIN);
	assert_int_equal(try_open(A), WEIR_OK);
	assert_int_equal(send(A, "early"), WEIR_OK);
	assert_int_equal(try_open(B), WEIR_OK);
	expect(B, "early");
}

TEST(nothing_goes_before_it_is_open)
{
	assert_int_equal(send(A, "x"), WEIR_CLOSED);
	assert_int_equal(receive(A), WEIR_CLOSED);
	ipc_run(0, 0);
	assert_int_equal(weir_channel_drain(A), WEIR_CLOSED);
	assert_int_equal(weir_channel_arm_receive(A), WEIR_CLOSED);
	weir_channel_close(A);
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(send(A, "x"), WEIR_CLOSED);
}

TEST(what_each_end_shares_is_read_only_to_the_other)
{
	open_both();
	for (u32 vm = 0; vm < 2; vm++)
		for (u64 page = 0; page < 3; page++)
			assert_int_equal(fake_stage2_kind(&ipc_vm(vm)->stage2,
							  VM_WINDOW_BASE + page * PAGE_SIZE),
					 STAGE2_SHARED_READ);
}

TEST(a_record_larger_than_a_quarter_is_invalid)
{
	static char large[4096];
	uint32_t bytes = 0;
	uint64_t most;

	open_both();
	most = weir_channel_max(A);
	ipc_run(0, 0);
	assert_int_equal(weir_channel_try_send(A, large, most + 1), WEIR_INVALID);
	assert_int_equal(weir_channel_send(A, large, most + 1), WEIR_INVALID);
	assert_int_equal(weir_channel_try_send(A, large, most), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_channel_try_receive(B, large, most - 1, &bytes), WEIR_INVALID);
	assert_int_equal(bytes, most);
	assert_int_equal(weir_channel_receive(B, large, most, &bytes), WEIR_OK);
}

TEST(a_full_ring_is_again_until_the_peer_receives)
{
	u32 count = 0;

	open_both();
	while (send(A, "some text that fills the ring") == WEIR_OK)
		count++;
	assert_true(count > 100);
	assert_int_equal(send(A, "some text that fills the ring"), WEIR_AGAIN);
	expect(B, "some text that fills the ring");
	assert_int_equal(send(A, "some text that fills the ring"), WEIR_OK);
	for (u32 i = 0; i < count; i++)
		expect(B, "some text that fills the ring");
	assert_int_equal(receive(B), WEIR_AGAIN);
}

TEST(only_who_waits_is_told)
{
	open_both();
	events(0);
	events(1);
	send(A, "1");
	assert_int_equal(events(1), 0);
	expect(B, "1");
	ipc_run(1, 0);
	assert_int_equal(weir_channel_arm_receive(B), WEIR_AGAIN);
	send(A, "2");
	assert_int_equal(events(1), 1);
	send(A, "3");
	assert_int_equal(events(1), 0);
	ipc_run(1, 0);
	assert_int_equal(weir_channel_arm_receive(B), WEIR_OK);
	assert_int_equal(events(0), 0); /* nobody waits for room */
}

/* ---- Waiting ---- */

static u32 waits;
static void (*meanwhile)(void); /* what the other VM does while this one sleeps */

static bool wait_for_the_other(struct weir_channel *channel)
{
	u32 vm = vm_of(channel);

	waits++;
	if (weir_channel_arm(channel) != WEIR_AGAIN)
		return true;
	if (!meanwhile)
		return false;
	meanwhile();
	ipc_run(vm, 0);
	return true;
}

static enum weir_status open_waiting(struct weir_channel *channel)
{
	struct weir_pages pages = ipc_pages(vm_of(channel), 0);

	waits = 0;
	channel->wait = wait_for_the_other;
	ipc_run(vm_of(channel), 0);
	return weir_channel_open(channel, &pages, &sides[vm_of(channel)].space, "ab");
}

static void b_opens(void)
{
	try_open(B);
}

static void b_starts_and_opens(void)
{
	restart(1);
	try_open(B);
}

static void b_ends(void)
{
	ipc_memory_stop(1);
}

static void b_restarts(void)
{
	restart(1);
}

static void b_sends(void)
{
	assert_int_equal(send(B, "late"), WEIR_OK);
}

static void b_receives(void)
{
	assert_int_equal(receive(B), WEIR_OK);
}

static void b_closes(void)
{
	close_it(B);
}

TEST(open_waits_for_the_peer)
{
	meanwhile = b_opens;
	assert_int_equal(open_waiting(A), WEIR_OK);
	assert_int_equal(waits, 1);
	send(B, "hello");
	expect(A, "hello");
}

TEST(open_waits_for_a_peer_that_is_off)
{
	ipc_memory_stop(1);
	assert_int_equal(try_open(A), WEIR_AGAIN);
	meanwhile = b_starts_and_opens;
	assert_int_equal(open_waiting(A), WEIR_OK);
	assert_int_equal(try_open(B), WEIR_OK);
	send(A, "hello");
	expect(B, "hello");
}

/* The word that the first life was given is gone with it. */
TEST(open_tells_a_peer_that_started_meanwhile)
{
	assert_int_equal(try_open(A), WEIR_AGAIN);
	restart(1);
	assert_int_equal(try_open(B), WEIR_AGAIN);
	assert_int_equal(try_open(A), WEIR_OK);
	assert_int_equal(try_open(B), WEIR_OK);
	send(B, "hello");
	expect(A, "hello");
}

TEST(receive_waits_for_a_record)
{
	char buffer[8];
	uint32_t bytes = 0;

	open_both();
	meanwhile = b_sends;
	A->wait = wait_for_the_other;
	ipc_run(0, 0);
	assert_int_equal(weir_channel_receive(A, buffer, sizeof(buffer), &bytes), WEIR_OK);
	assert_int_equal(bytes, 4);
}

TEST(send_waits_for_room)
{
	open_both();
	while (send(A, "some text that fills the ring") == WEIR_OK)
		;
	meanwhile = b_receives;
	A->wait = wait_for_the_other;
	ipc_run(0, 0);
	assert_int_equal(weir_channel_send(A, "some text that fills the ring", 29), WEIR_OK);
}

TEST(drain_waits_until_all_is_received)
{
	open_both();
	ipc_run(0, 0);
	assert_int_equal(weir_channel_drain(A), WEIR_OK);
	send(A, "1");
	send(A, "2");
	meanwhile = b_receives;
	waits = 0;
	A->wait = wait_for_the_other;
	ipc_run(0, 0);
	assert_int_equal(weir_channel_drain(A), WEIR_OK);
	assert_int_equal(receive(B), WEIR_AGAIN);
	assert_int_equal(waits, 2);
}

/* Nobody has received anything yet: the zeroes that are left of the peer's pages look as before. */
TEST(who_waits_learns_that_the_peer_has_gone)
{
	static void (*const ends[])(void) = { b_ends, b_restarts, b_starts_and_opens, b_closes };
	char buffer[8];
	uint32_t bytes;

	for (u32 i = 0; i < 3 * ARRAY_SIZE(ends); i++) {
		enum weir_status status;

		machine_make(0);
		open_both();
		send(A, "x");
		meanwhile = ends[i % ARRAY_SIZE(ends)];
		A->wait = wait_for_the_other;
		if (i / ARRAY_SIZE(ends) == 1)
			while (send(A, "some text that fills the ring") == WEIR_OK)
				;
		ipc_run(0, 0);
		status = i / ARRAY_SIZE(ends) == 0
				 ? weir_channel_receive(A, buffer, sizeof(buffer), &bytes)
			 : i / ARRAY_SIZE(ends) == 1
				 ? weir_channel_send(A, "some text that fills the ring", 29)
				 : weir_channel_drain(A);
		assert_int_equal(status, WEIR_CLOSED);
		assert_int_equal(send(A, "x"), WEIR_CLOSED);
		assert_int_equal(receive(A), WEIR_CLOSED);
		ipc_memory_end(0);
	}
	machine_make(0);
}

TEST(a_deadline_ends_the_waiting_and_nothing_else)
{
	char buffer[8];
	uint32_t bytes;

	meanwhile = 0;
	assert_int_equal(open_waiting(A), WEIR_TIMEOUT);
	assert_int_equal(try_open(B), WEIR_OK);
	assert_int_equal(open_waiting(A), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_channel_receive(A, buffer, sizeof(buffer), &bytes), WEIR_TIMEOUT);
	send(A, "x");
	ipc_run(0, 0);
	assert_int_equal(weir_channel_drain(A), WEIR_TIMEOUT);
	while (send(A, "some text that fills the ring") == WEIR_OK)
		;
	ipc_run(0, 0);
	assert_int_equal(weir_channel_send(A, "some text that fills the ring", 29), WEIR_TIMEOUT);
	expect(B, "x");
	send(B, "y");
	expect(A, "y");
}

/* ---- Pages ---- */

TEST(what_cannot_be_opened_says_why)
{
	A->ring_pages = 64;
	assert_int_equal(try_open(A), WEIR_INVALID);
	A->ring_pages = 2;
	assert_int_equal(try_open_as(0, A, "cd"), WEIR_NOT_FOUND);
	assert_int_equal(try_open_as(0, A, ""), WEIR_INVALID);
	sides[0].space.pool_used = FAKE_POOL_PAGES - 2;
	assert_int_equal(try_open(A), WEIR_QUOTA);
	sides[0].space.pool_used = 0;
	sides[0].space.window_used = FAKE_WINDOW_PAGES - 7;
	assert_int_equal(try_open(A), WEIR_QUOTA);
	assert_int_equal(sides[0].space.pool_used, 0);
	sides[0].space.window_used = 0;
	B->window_pages = 2;
	assert_int_equal(try_open(A), WEIR_AGAIN);
	assert_int_equal(try_open(B), WEIR_QUOTA);
	assert_true(window_is_empty(1));
}

/* A port to the other VM, by the one of the manifest. */
static void join_by_call(void)
{
	weir_handle a, b, opened;

	ipc_run(0, 0);
	a = ipc_vm(0)->ipc->event.port[0].handle;
	assert_int_equal(weir_port_open_peer(a, &opened), WEIR_OK);
	A->port = opened;
	ipc_run(1, 0);
	b = ipc_vm(1)->ipc->event.port[0].handle;
	assert_int_equal(weir_port_connect(b, opened, &B->port), WEIR_OK);
}

TEST(a_channel_goes_by_ports_that_were_opened_by_call)
{
	join_by_call();
	open_both();
	assert_int_equal(weir_port_number(A->port), ipc_vm(0)->ipc->event.channel_count);
	assert_int_equal(send(A, "one"), WEIR_OK);
	assert_int_equal(send(B, "uno"), WEIR_OK);
	expect(B, "one");
	expect(A, "uno");
	/* One closes, and the other's session ends. */
	ipc_run(0, 0);
	assert_int_equal(weir_port_close(A->port), WEIR_BUSY);
	weir_channel_close(A);
	assert_int_equal(weir_port_close(A->port), WEIR_OK);
	assert_int_equal(receive(B), WEIR_CLOSED);
	assert_int_equal(try_open(B), WEIR_AGAIN);
	ipc_run(1, 0);
	weir_channel_close(B);
	assert_int_equal(weir_port_close(B->port), WEIR_OK);
	join_by_call();
	open_both();
	assert_int_equal(send(A, "two"), WEIR_OK);
	expect(B, "two");
}

TEST(channels_of_a_vm_do_not_meet)
{
	static struct weir_channel other_a, other_b;
	char buffer[8];
	uint32_t bytes = 0;

	memset(&other_a, 0, sizeof(other_a));
	memset(&other_b, 0, sizeof(other_b));
	other_a.window_pages = other_b.window_pages = 16;
	open_both();
	assert_int_equal(try_open_as(0, &other_a, "ab2"), WEIR_AGAIN);
	assert_int_equal(try_open_as(1, &other_b, "ab2"), WEIR_OK);
	assert_int_equal(try_open_as(0, &other_a, "ab2"), WEIR_OK);
	assert_int_equal(other_a.ring_pages, WEIR_CHANNEL_RING_PAGES);
	assert_int_equal(sides[0].space.pool_used, 3 + 9);
	assert_int_equal(sides[0].space.window_used, 8 + 16);
	while (send(A, "some text that fills the ring") == WEIR_OK)
		;
	ipc_run(0, 0);
	assert_int_equal(weir_channel_try_send(&other_a, "other", 5), WEIR_OK);
	close_it(A);
	ipc_run(1, 0);
	assert_int_equal(weir_channel_try_receive(&other_b, buffer, 8, &bytes), WEIR_OK);
	assert_memory_equal(buffer, "other", 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(records_go_both_ways),
		RUN_MADE(who_opens_first_may_send_before_the_other_looks),
		RUN_MADE(nothing_goes_before_it_is_open),
		RUN_MADE(what_each_end_shares_is_read_only_to_the_other),
		RUN_MADE(a_record_larger_than_a_quarter_is_invalid),
		RUN_MADE(a_full_ring_is_again_until_the_peer_receives),
		RUN_MADE(only_who_waits_is_told),
		RUN_MADE(open_waits_for_the_peer),
		RUN_MADE(open_waits_for_a_peer_that_is_off),
		RUN_MADE(open_tells_a_peer_that_started_meanwhile),
		RUN_MADE(receive_waits_for_a_record),
		RUN_MADE(send_waits_for_room),
		RUN_MADE(drain_waits_until_all_is_received),
		RUN_MADE(who_waits_learns_that_the_peer_has_gone),
		RUN_MADE(a_deadline_ends_the_waiting_and_nothing_else),
		RUN_MADE(what_cannot_be_opened_says_why),
		RUN_MADE(a_channel_goes_by_ports_that_were_opened_by_call),
		RUN_MADE(channels_of_a_vm_do_not_meet),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
