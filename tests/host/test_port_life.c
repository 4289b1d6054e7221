/*
 * Ports that guests have opened: masked, and when the VMs at their ends end and begin anew.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "port_calls.h"

/* ---- Masking ---- */

TEST(mask_rejects_other_words_and_what_is_no_port)
{
	assert_int_equal(weir_do(WEIR_FN_PORT_MASK, CHANNEL, 2, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_MASK, CHANNEL, UINT64_MAX, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_port_mask(CHANNEL + GENERATION, true), WEIR_INVALID);
	assert_int_equal(weir_port_mask(0, false), WEIR_INVALID);
}

TEST(a_masked_port_keeps_its_event_until_it_is_unmasked)
{
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 0);
	assert_int_equal(ipc_next(1, 0), -1);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK); /* and forgets nothing */
	assert_int_equal(weir_port_mask(CHANNEL, false), WEIR_OK);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 1);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(weir_port_mask(CHANNEL, false), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(a_masked_port_that_nobody_sent_to_has_no_event)
{
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK); /* coalesced, not latched */
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), 0); /* what was pending before stays so */
	assert_int_equal(weir_port_mask(CHANNEL, false), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(a_port_that_was_pending_when_it_was_masked_is_not_entered_twice)
{
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, false), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(a_masked_port_is_bound_as_others_are)
{
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, true), WEIR_OK);
	assert_int_equal(weir_port_bind(CHANNEL, 1, 2), WEIR_BUSY);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(weir_port_bind(CHANNEL, 1, 2), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(CHANNEL), WEIR_OK);
	assert_int_equal(ipc_next(1, 1), -1);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(CHANNEL, false), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_int_equal(ipc_next(1, 1), 0);
}

TEST(a_masked_port_that_is_closed_leaves_no_mask_behind)
{
	weir_handle port = open_ipi(0);

	assert_int_equal(weir_port_mask(port, true), WEIR_OK);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	for (u32 i = 2; i < PORTS; i++)
		port = open_ipi(0);
	assert_int_equal(port >> 16, 2);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), weir_port_number(port));
}

TEST(closing_latches_at_a_masked_peer)
{
	weir_handle b = open_peer(1), a = connect_to(0, b);

	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(b, true), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_port_close(a), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(b, false), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), weir_port_number(b));
}

/* ---- Life and death ---- */

TEST(ports_of_a_vm_that_ends_close_and_its_peers_are_told)
{
	weir_handle waits = open_peer(1), b = open_peer(1), a = connect_to(0, b), ipi = open_ipi(1);

	while (ipc_next(0, 0) >= 0)
		;
	ipc_vm_end(1);
	assert_int_equal(ipc_next(0, 0), 0); /* the channel */
	assert_int_equal(ipc_next(0, 0), weir_port_number(a));
	assert_int_equal(ipc_next(0, 0), -1);
	assert_false(peer_open(0, a));
	assert_int_equal(weir_event_send(a), WEIR_CLOSED);
	assert_int_equal(connect_call(CHANNEL, waits), WEIR_STALE);
	assert_int_equal(connect_call(CHANNEL, ipi), WEIR_STALE);
	ipc_vm_renew(1);
	assert_false(peer_open(0, a));
	assert_int_equal(weir_event_send(a), WEIR_CLOSED);
	assert_int_equal(connect_call(CHANNEL, waits), WEIR_STALE);
}

/* A vCPU that was asleep, with events unread, some in ports that were closed. */
TEST(a_vm_that_started_again_has_all_its_ports_under_new_handles)
{
	weir_handle old[PORTS];

	for (u32 life = 1; life < 4; life++) {
		for (u32 i = 2; i < PORTS; i++) {
			old[i] = open_ipi(0);
			assert_int_equal(old[i], life * GENERATION | i);
			assert_int_equal(weir_port_mask(old[i], i & 1), WEIR_OK);
			assert_int_equal(weir_event_send(old[i]), WEIR_OK);
		}
		assert_int_equal(weir_port_close(old[4]), WEIR_OK);
		assert_int_equal(weir_port_close(old[5]), WEIR_OK);
		ipc_vm_renew(0);
		ipc_run(0, 0);
		assert_int_equal(ipc_next(0, 0), -1);
		for (u32 i = 2; i < PORTS; i++)
			assert_int_equal(weir_event_send(old[i]), WEIR_STALE);
	}
}

TEST(a_port_waits_for_its_peer_over_the_peer_s_lives)
{
	weir_handle a = open_peer(0);

	ipc_vm_renew(1);
	connect_to(1, a);
	assert_int_equal(ipc_next(0, 0), 0); /* the channel, closed and open again */
	assert_int_equal(ipc_next(0, 0), weir_port_number(a));
	assert_true(peer_open(0, a));
}

/* Both ends are there; one is closed by its death in the midst of what the other still sees. */
TEST(both_ends_may_end)
{
	weir_handle b = open_peer(1), a = connect_to(0, b);

	ipc_vm_end(1);
	ipc_vm_end(0);
	ipc_vm_renew(0);
	ipc_vm_renew(1);
	b = open_peer(1);
	a = connect_to(0, b);
	assert_int_equal(b >> 16, 2);
	assert_int_equal(a >> 16, 2);
	assert_int_equal(weir_event_send(a), WEIR_OK);
}

TEST(thousands_of_ports_close_in_bounded_steps)
{
	struct vm_work work = { 0 };
	u32 steps = 0;

	ipc_vms_set_ports(8192);
	ipc_vms_make(1, 1, channels + 2);
	for (u32 i = 0; i < 8192; i++)
		assert_int_equal(open_ipi(0), GENERATION | i);
	assert_int_equal(open_call(WEIR_PORT_IPI, 0), WEIR_QUOTA);
	while (ipc_vm_stop(ipc_vm(0), &work))
		steps++;
	assert_true(steps > 8000 && steps < 9000);
	work = (struct vm_work){ 0 };
	while (ipc_vm_rebuild(ipc_vm(0), &work))
		;
	assert_int_equal(open_ipi(0), 2 * GENERATION);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(mask_rejects_other_words_and_what_is_no_port),
		CASE(a_masked_port_keeps_its_event_until_it_is_unmasked),
		CASE(a_masked_port_that_nobody_sent_to_has_no_event),
		CASE(a_port_that_was_pending_when_it_was_masked_is_not_entered_twice),
		CASE(a_masked_port_is_bound_as_others_are),
		CASE(a_masked_port_that_is_closed_leaves_no_mask_behind),
		CASE(closing_latches_at_a_masked_peer),
		CASE(ports_of_a_vm_that_ends_close_and_its_peers_are_told),
		CASE(a_vm_that_started_again_has_all_its_ports_under_new_handles),
		CASE(a_port_waits_for_its_peer_over_the_peer_s_lives),
		CASE(both_ends_may_end),
		CASE(thousands_of_ports_close_in_bounded_steps),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
