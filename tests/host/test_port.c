/*
 * Ports that guests open, connect and close themselves.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "port_calls.h"

/* ---- Opening ---- */

TEST(open_gives_ports_behind_those_of_channels)
{
	assert_int_equal(open_ipi(0), GENERATION | 2);
	assert_int_equal(open_peer(0), GENERATION | 3);
	assert_int_equal(open_ipi(1), GENERATION | 1);
}

TEST(open_rejects_what_is_no_kind)
{
	static const u64 kinds[] = { 0, 8, 100, 1ul << 32 | WEIR_PORT_IPI, UINT64_MAX };

	for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(open_call(kinds[i], 0), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_IPI, 1), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_IPI, CHANNEL), WEIR_INVALID);
}

TEST(open_rejects_a_port_that_names_no_vm)
{
	weir_handle ipi = open_ipi(0), gone = open_ipi(0);

	assert_int_equal(weir_port_close(gone), WEIR_OK);
	assert_int_equal(open_call(WEIR_PORT_PEER, 0), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_PEER, GENERATION | PORTS), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_PEER, 2 * GENERATION), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_PEER, ipi), WEIR_INVALID);
	assert_int_equal(open_call(WEIR_PORT_PEER, gone), WEIR_STALE);
}

TEST(open_says_quota_when_all_ports_are_in_use)
{
	weir_handle last = 0;

	for (u32 i = 2; i < PORTS; i++)
		last = open_ipi(0);
	assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
	assert_int_equal(open_call(WEIR_PORT_PEER, CHANNEL), WEIR_QUOTA);
	assert_int_equal(ipc_vcpu(0, 0)->arch.x[1], 0);
	open_peer(1); /* the others' are theirs */
	ipc_run(0, 0);
	assert_int_equal(weir_port_close(last), WEIR_OK);
	assert_int_equal(open_ipi(0), last + GENERATION);
}

TEST(a_port_that_waits_has_nobody_at_its_other_end)
{
	weir_handle port = open_peer(0);

	assert_false(peer_open(0, port));
	assert_int_equal(weir_event_send(port), WEIR_CLOSED);
	assert_int_equal(weir_port_publish(port, 1), WEIR_CLOSED);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(ipi_goes_to_the_vcpu_it_is_bound_to)
{
	weir_handle port = open_ipi(0);
	u64 word = 0;

	assert_true(peer_open(0, port));
	assert_int_equal(weir_port_bind(port, 1, 3), WEIR_OK);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(weir_port_publish(port, 77), WEIR_OK);
	assert_int_equal(ipc_pends(ipc_vcpu(0, 1), WEIR_INTID_EVENT), 1);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(ipc_next(0, 1), weir_port_number(port));
	assert_int_equal(weir_port_peer(port, &word, 0), WEIR_OK);
	assert_int_equal(word, 77);
}

/* ---- Connecting ---- */

TEST(connect_joins_the_two_and_tells_who_opened)
{
	weir_handle b = open_peer(1), a = connect_to(0, b);
	u64 word = 0;

	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	assert_int_equal(ipc_next(0, 0), -1);
	assert_true(peer_open(0, a));
	assert_true(peer_open(1, b));
	assert_int_equal(weir_event_send(b), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), weir_port_number(a));
	ipc_run(0, 1);
	assert_int_equal(weir_port_publish(a, 5), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	ipc_run(1, 0);
	assert_int_equal(weir_port_peer(b, &word, 0), WEIR_OK);
	assert_int_equal(word, 5);
}

TEST(connect_takes_any_port_that_names_the_peer)
{
	weir_handle b = open_peer(1), a = connect_to(0, b), again, other;

	ipc_run(1, 0);
	assert_int_equal(weir_port_open_peer(b, &again), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_port_connect(a, again, &other), WEIR_OK);
	assert_true(peer_open(1, again));
}

TEST(connect_rejects_a_port_that_names_no_vm)
{
	weir_handle theirs = open_peer(1), ipi = open_ipi(0), gone = open_ipi(0);

	assert_int_equal(weir_port_close(gone), WEIR_OK);
	assert_int_equal(connect_call(0, theirs), WEIR_INVALID);
	assert_int_equal(connect_call(ipi, theirs), WEIR_INVALID);
	assert_int_equal(connect_call(ipi + GENERATION, theirs), WEIR_INVALID);
	assert_int_equal(connect_call(gone, theirs), WEIR_STALE);
	assert_int_equal(connect_call(CHANNEL, theirs), WEIR_OK);
}

TEST(connect_rejects_what_the_peer_never_had)
{
	static const u64 wrong[] = {
		0, 1, 0xffff, GENERATION | PORTS, GENERATION | 3, UINT64_MAX, 1ul << 15 | 1,
	};
	weir_handle theirs = open_peer(1);

	ipc_run(0, 0);
	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(connect_call(CHANNEL, wrong[i]), WEIR_INVALID);
	assert_int_equal(connect_call(CHANNEL, theirs + GENERATION), WEIR_INVALID);
	assert_int_equal(connect_call(CHANNEL, theirs | PORT_CLOSED), WEIR_INVALID);
}

TEST(connect_rejects_a_port_that_was_closed)
{
	weir_handle theirs = open_peer(1);

	assert_int_equal(weir_port_close(theirs), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(connect_call(CHANNEL, theirs), WEIR_STALE);
	assert_int_equal(connect_call(CHANNEL, theirs + GENERATION), WEIR_INVALID);
}

/* b has one for a; c, which a has a channel to, has one for a; each fits its own VM only. */
TEST(connect_rejects_a_port_that_is_another_s)
{
	weir_handle b = open_peer(1), c = open_peer(2), ipi = open_ipi(1);

	assert_int_equal(b, c); /* numbers are each VM's own */
	ipc_run(2, 0);
	assert_int_equal(connect_call(c, GENERATION), WEIR_DENIED); /* a's end of "ab" */
	ipc_run(0, 0);
	assert_int_equal(connect_call(CHANNEL, ipi), WEIR_DENIED);
	assert_int_equal(connect_call(CHANNEL, CHANNEL), WEIR_DENIED);
	assert_int_equal(weir_port_open_peer(CHANNEL | 1, &b), WEIR_OK); /* a's, for c */
	ipc_run(1, 0);
	assert_int_equal(connect_call(CHANNEL, b), WEIR_DENIED);
	ipc_run(2, 0);
	assert_int_equal(connect_call(CHANNEL, b), WEIR_OK);
}

TEST(connect_is_for_one_only)
{
	weir_handle b = open_peer(1), a = connect_to(0, b);

	assert_int_equal(connect_call(CHANNEL, b), WEIR_BUSY);
	assert_int_equal(weir_port_close(a), WEIR_OK);
	assert_int_equal(connect_call(CHANNEL, b), WEIR_BUSY);
}

TEST(connect_says_quota_when_all_ports_are_in_use)
{
	weir_handle b = open_peer(1), last = 0;

	for (u32 i = 2; i < PORTS; i++)
		last = open_ipi(0);
	assert_int_equal(connect_call(CHANNEL, b), WEIR_QUOTA);
	assert_false(peer_open(1, b));
	ipc_run(0, 0);
	assert_int_equal(weir_port_close(last), WEIR_OK);
	assert_int_equal(connect_call(CHANNEL, b), WEIR_OK);
}

/* What failed has cost no port. */
TEST(connect_that_fails_takes_nothing)
{
	weir_handle b = open_ipi(1);

	ipc_run(0, 0);
	for (u32 i = 0; i < 3 * PORTS; i++)
		assert_int_equal(connect_call(CHANNEL, b), WEIR_DENIED);
	for (u32 i = 2; i < PORTS; i++)
		assert_int_equal(open_ipi(0) >> 16, 1);
}

/* ---- Closing ---- */

TEST(close_rejects_what_is_no_port)
{
	weir_handle port = open_ipi(0);

	assert_int_equal(weir_port_close(0), WEIR_INVALID);
	assert_int_equal(weir_port_close(port + GENERATION), WEIR_INVALID);
	assert_int_equal(weir_port_close(port + 1), WEIR_INVALID);
	assert_int_equal(weir_port_close(port | PORT_CLOSED), WEIR_INVALID);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	assert_int_equal(weir_port_close(port), WEIR_STALE);
}

TEST(close_leaves_the_manifest_s_channels_alone)
{
	assert_int_equal(weir_port_close(CHANNEL), WEIR_DENIED);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
}

TEST(close_tells_the_peer_who_sees_it_closed)
{
	weir_handle b = open_peer(1), a = connect_to(0, b);

	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	ipc_run(0, 0);
	assert_int_equal(weir_port_close(a), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	assert_int_equal(ipc_next(1, 0), -1);
	assert_false(peer_open(1, b));
	assert_int_equal(weir_event_send(b), WEIR_CLOSED);
	assert_int_equal(weir_port_publish(b, 3), WEIR_CLOSED);
	assert_int_equal(weir_port_bind(b, 1, 1), WEIR_OK);
	assert_int_equal(weir_port_close(b), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(all_calls_say_stale_of_a_port_that_was_closed)
{
	weir_handle port = open_ipi(0), next_one = 0;

	assert_int_equal(weir_port_close(port), WEIR_OK);
	for (u32 reused = 0; reused < 2; reused++) {
		assert_int_equal(weir_event_send(port), WEIR_STALE);
		assert_int_equal(weir_port_publish(port, 0), WEIR_STALE);
		assert_int_equal(weir_port_bind(port, 0, 0), WEIR_STALE);
		assert_int_equal(weir_port_peer(port, 0, 0), WEIR_STALE);
		assert_int_equal(weir_port_mask(port, true), WEIR_STALE);
		assert_int_equal(open_call(WEIR_PORT_PEER, port), WEIR_STALE);
		assert_int_equal(connect_call(port, CHANNEL), WEIR_STALE);
		for (u32 i = 2; i < PORTS && !reused; i++)
			next_one = open_ipi(0);
		assert_int_equal(next_one, port + GENERATION);
	}
}

/* A peer that never closes its end keeps nothing of ours, nor reaches what comes after it. */
TEST(a_peer_that_stays_does_not_reach_the_next_port_of_the_number)
{
	weir_handle b = open_peer(1), a = connect_to(0, b), ipi = 0;

	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	ipc_run(1, 0);
	assert_int_equal(weir_port_close(b), WEIR_OK);
	for (u32 i = 1; i < PORTS; i++)
		ipi = open_ipi(1);
	assert_int_equal(ipi, b + GENERATION);
	assert_int_equal(ipc_next(0, 0), weir_port_number(a));
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(a), WEIR_CLOSED);
	assert_int_equal(weir_port_publish(a, 1), WEIR_CLOSED);
	assert_int_equal(weir_port_close(a), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
}

/* A sender that has read its `peer` just before the other end was closed and taken by another. */
TEST(a_send_that_comes_too_late_does_not_arrive)
{
	weir_handle b = open_peer(1), a = connect_to(0, b), ipi = 0;
	struct port *sender = &ipc_vm(0)->ipc->event.port[weir_port_number(a)];
	struct port *peer = sender->peer;

	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	ipc_run(1, 0);
	assert_int_equal(weir_port_close(b), WEIR_OK);
	for (u32 i = 1; i < PORTS; i++)
		ipi = open_ipi(1);
	assert_int_equal(ipi, b + GENERATION);
	sender->peer = peer;
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(a), WEIR_CLOSED);
	assert_int_equal(weir_port_publish(a, 9), WEIR_CLOSED);
	assert_int_equal(ipc_next(1, 0), -1);
}

/* ---- Numbers ---- */

TEST(a_number_is_not_given_out_while_its_last_event_is_unread)
{
	weir_handle first = open_ipi(0);

	assert_int_equal(weir_event_send(first), WEIR_OK);
	assert_int_equal(weir_port_close(first), WEIR_OK);
	for (u32 i = 3; i < PORTS; i++)
		assert_true(weir_port_number(open_ipi(0)) != weir_port_number(first));
	assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
	assert_int_equal(ipc_next(0, 0), weir_port_number(first));
	assert_int_equal(open_ipi(0), first + GENERATION);
}

/* More of them than are looked at in a call: when all are read, all are free. */
TEST(all_numbers_are_free_when_all_events_were_read)
{
	weir_handle port[40];

	ipc_vms_set_ports(ARRAY_SIZE(port));
	ipc_vms_make(1, 2, channels + 2);
	for (u32 round = 1; round < 20; round++) {
		for (u32 i = 0; i < ARRAY_SIZE(port); i++) {
			port[i] = open_ipi(0);
			assert_int_equal(port[i] >> 16, round);
			assert_int_equal(weir_port_bind(port[i], i & 1, i >> 1 & 3), WEIR_OK);
			assert_int_equal(weir_event_send(port[i]), WEIR_OK);
		}
		for (u32 i = 0; i < ARRAY_SIZE(port); i++)
			assert_int_equal(weir_port_close(port[i]), WEIR_OK);
		for (u32 i = 0; i < 20; i++)
			assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
		while (ipc_next(0, 0) >= 0 || ipc_next(0, 1) >= 0)
			;
	}
}

TEST(a_port_that_has_had_its_last_generation_is_not_used_again)
{
	weir_handle port;

	ipc_vms_set_ports(2);
	ipc_vms_make(1, 1, channels + 2);
	ipc_vm(0)->ipc->event.port[0].handle = (UINT64_MAX - 1) << 16 | PORT_CLOSED;
	port = open_ipi(0);
	assert_true(port == UINT64_MAX << 16);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), 0);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	assert_int_equal(weir_event_send(port), WEIR_STALE);
	assert_int_equal(open_ipi(0), GENERATION | 1);
	assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
	ipc_vm_renew(0);
	assert_int_equal(open_ipi(0), 2 * GENERATION | 1);
	assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(open_gives_ports_behind_those_of_channels),
		CASE(open_rejects_what_is_no_kind),
		CASE(open_rejects_a_port_that_names_no_vm),
		CASE(open_says_quota_when_all_ports_are_in_use),
		CASE(a_port_that_waits_has_nobody_at_its_other_end),
		CASE(ipi_goes_to_the_vcpu_it_is_bound_to),
		CASE(connect_joins_the_two_and_tells_who_opened),
		CASE(connect_takes_any_port_that_names_the_peer),
		CASE(connect_rejects_a_port_that_names_no_vm),
		CASE(connect_rejects_what_the_peer_never_had),
		CASE(connect_rejects_a_port_that_was_closed),
		CASE(connect_rejects_a_port_that_is_another_s),
		CASE(connect_is_for_one_only),
		CASE(connect_says_quota_when_all_ports_are_in_use),
		CASE(connect_that_fails_takes_nothing),
		CASE(close_rejects_what_is_no_port),
		CASE(close_leaves_the_manifest_s_channels_alone),
		CASE(close_tells_the_peer_who_sees_it_closed),
		CASE(all_calls_say_stale_of_a_port_that_was_closed),
		CASE(a_peer_that_stays_does_not_reach_the_next_port_of_the_number),
		CASE(a_send_that_comes_too_late_does_not_arrive),
		CASE(a_number_is_not_given_out_while_its_last_event_is_unread),
		CASE(all_numbers_are_free_when_all_events_were_read),
		CASE(a_port_that_has_had_its_last_generation_is_not_used_again),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
