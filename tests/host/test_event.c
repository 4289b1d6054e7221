/*
 * Event channels: ports of the manifest, what their calls answer, and the lives of the VMs at their ends.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "ipc/event.h"

/* VM a has three ports, to b, to c and to b again. */
static const char *const channels[] = { "ab", "ac", "ab2", 0 };

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(3, 2, channels);
	return 0;
}

static weir_handle port_of(u32 vm, const char *name)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	weir_handle port = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_port_find(&pages, name, &port), WEIR_OK);
	return port;
}

static void send(u32 vm, const char *name)
{
	weir_handle port = port_of(vm, name);

	assert_int_equal(weir_event_send(port), WEIR_OK);
}

TEST(ports_are_numbered_in_the_order_of_the_manifest)
{
	assert_int_equal(port_of(0, "ab"), 1 << 16 | 0);
	assert_int_equal(port_of(0, "ac"), 1 << 16 | 1);
	assert_int_equal(port_of(0, "ab2"), 1 << 16 | 2);
	assert_int_equal(port_of(1, "ab"), 1 << 16 | 0);
	assert_int_equal(port_of(1, "ab2"), 1 << 16 | 1);
	assert_int_equal(port_of(2, "ac"), 1 << 16 | 0);
	assert_int_equal(fake_log_count(), 0);
}

TEST(find_rejects_a_length_out_of_range)
{
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, 0, 0, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, WEIR_NAME_MAX + 1, 0, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, UINT64_MAX, 0, 0, 0, 0), WEIR_INVALID);
}

TEST(find_knows_only_whole_names_of_channels_that_end_here)
{
	static const char *const unknown[] = { "a", "abc", "ab22", "AB",
					       "0123456789012345678901234567890" };
	struct weir_pages pages = ipc_pages(1, 0);
	weir_handle port;

	ipc_run(1, 0);
	for (u32 i = 0; i < ARRAY_SIZE(unknown); i++)
		assert_int_equal(weir_port_find(&pages, unknown[i], &port), WEIR_NOT_FOUND);
	assert_int_equal(weir_port_find(&pages, "ac", &port), WEIR_NOT_FOUND);
	memcpy(pages.in->buffer, "ab\0x", 4);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, 4, 0, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, 3, 0, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(weir_do(WEIR_FN_PORT_FIND, 2, 0, 0, 0, 0), WEIR_OK);
}

TEST(send_makes_the_peer_s_port_pending_and_interrupts)
{
	send(0, "ab2");
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 1);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 1), WEIR_INTID_EVENT), 0);
	assert_int_equal(ipc_next(1, 0), 1);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(ipc_next(2, 0), -1);
}

TEST(sends_to_a_pending_port_coalesce)
{
	for (u32 i = 0; i < 1000; i++)
		send(0, "ab");
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 1);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(ipc_next(1, 0), -1);
	send(0, "ab");
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 2);
	assert_int_equal(ipc_next(1, 0), 0);
}

TEST(sends_and_publications_are_counted_by_their_sender)
{
	weir_handle port = port_of(0, "ab");

	ipc_run(0, 1);
	assert_int_equal(weir_event_send(port), WEIR_OK);
	assert_int_equal(weir_event_send(port), WEIR_OK); /* coalesced, and sent all the same */
	assert_int_equal(weir_port_publish(port, 1), WEIR_OK);
	assert_int_equal(weir_event_send(port + 7), WEIR_INVALID);
	assert_int_equal(ipc_vcpu(0, 1)->account.sends, 2);
	assert_int_equal(ipc_vcpu(0, 1)->account.events, 1);
	assert_int_equal(ipc_vcpu(0, 0)->account.sends + ipc_vcpu(0, 0)->account.events, 0);
	assert_int_equal(ipc_vcpu(1, 0)->account.sends + ipc_vcpu(1, 0)->account.events, 0);
}

TEST(events_of_a_priority_arrive_in_the_order_of_their_sends)
{
	send(1, "ab2");
	send(2, "ac");
	send(1, "ab");
	send(2, "ac");
	assert_int_equal(ipc_next(0, 0), 2);
	assert_int_equal(ipc_next(0, 0), 1);
	assert_int_equal(ipc_next(0, 0), 0);
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(the_highest_priority_arrives_first)
{
	assert_int_equal(weir_port_bind(port_of(0, "ac"), 0, 3), WEIR_OK);
	assert_int_equal(weir_port_bind(port_of(0, "ab2"), 0, 1), WEIR_OK);
	send(1, "ab");
	send(1, "ab2");
	send(2, "ac");
	assert_int_equal(ipc_next(0, 0), 1);
	assert_int_equal(ipc_next(0, 0), 2);
	assert_int_equal(ipc_next(0, 0), 0);
}

TEST(calls_on_ports_reject_handles_of_no_port)
{
	static const u64 wrong[] = { 0,		1ul << 16 | 3, 1ul << 16 | 0xffff,
				     2ul << 16, UINT64_MAX,    0xffff,
				     1 };

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_int_equal(weir_event_send(wrong[i]), WEIR_INVALID);
		assert_int_equal(weir_port_bind(wrong[i], 0, 0), WEIR_INVALID);
		assert_int_equal(weir_port_publish(wrong[i], 1), WEIR_INVALID);
		assert_int_equal(weir_port_peer(wrong[i], 0, 0), WEIR_INVALID);
	}
}

TEST(calls_on_ports_reject_handles_of_an_earlier_generation)
{
	/* As a restart will leave it. */
	ipc_vm(0)->ipc->event.port[0].handle += 4ul << 16;
	for (u64 generation = 1; generation < 5; generation++) {
		weir_handle old = generation << 16;

		assert_int_equal(weir_event_send(old), WEIR_STALE);
		assert_int_equal(weir_port_bind(old, 0, 0), WEIR_STALE);
		assert_int_equal(weir_port_publish(old, 1), WEIR_STALE);
		assert_int_equal(weir_port_peer(old, 0, 0), WEIR_STALE);
	}
	assert_int_equal(weir_event_send(5ul << 16), WEIR_OK);
	assert_int_equal(weir_event_send(6ul << 16), WEIR_INVALID);
}

TEST(bind_rejects_a_vcpu_or_priority_out_of_range)
{
	weir_handle port = port_of(0, "ab");

	assert_int_equal(weir_do(WEIR_FN_PORT_BIND, port, 2, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_BIND, port, 1ul << 32, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_BIND, port, 0, 4, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_do(WEIR_FN_PORT_BIND, port, 0, 1ul << 32, 0, 0), WEIR_INVALID);
}

TEST(bind_moves_later_events_to_another_vcpu)
{
	assert_int_equal(weir_port_bind(port_of(1, "ab"), 1, 2), WEIR_OK);
	send(0, "ab");
	assert_int_equal(ipc_pends(ipc_vcpu(1, 1), WEIR_INTID_EVENT), 1);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_int_equal(ipc_next(1, 1), 0);
}

TEST(bind_waits_until_an_old_event_was_read)
{
	weir_handle port = port_of(1, "ab");

	send(0, "ab");
	ipc_run(1, 0);
	assert_int_equal(weir_port_bind(port, 1, 0), WEIR_BUSY);
	assert_int_equal(weir_port_bind(port, 0, 1), WEIR_BUSY);
	assert_int_equal(weir_port_bind(port, 0, 0), WEIR_OK); /* where it is */
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(weir_port_bind(port, 1, 0), WEIR_OK);
	assert_int_equal(weir_port_bind(port, 0, 0), WEIR_OK);
	send(0, "ab");
	assert_int_equal(ipc_next(1, 0), 0);
}

TEST(publish_leaves_a_word_and_tells_the_peer)
{
	weir_handle a = port_of(0, "ab"), b = port_of(1, "ab");
	bool open = false;
	u64 word = 1;

	ipc_run(1, 0);
	assert_int_equal(weir_port_peer(b, &word, &open), WEIR_OK);
	assert_int_equal(word, 0);
	assert_true(open);

	ipc_run(0, 0);
	assert_int_equal(weir_port_publish(a, 0x1234567890abcdef), WEIR_OK);
	assert_int_equal(weir_port_publish(a, UINT64_MAX), WEIR_OK);
	assert_int_equal(weir_port_peer(a, &word, &open), WEIR_OK);
	assert_int_equal(word, 0); /* its own is not what the peer published */

	ipc_run(1, 0);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_int_equal(weir_port_peer(b, &word, &open), WEIR_OK);
	assert_true(word == UINT64_MAX);
	assert_true(open);
}

TEST(peer_of_a_vm_that_stopped_is_told_and_gets_closed)
{
	weir_handle a = port_of(0, "ab"), other = port_of(0, "ac");
	bool open = true;
	u64 word;

	ipc_run(1, 0);
	assert_int_equal(weir_port_publish(port_of(1, "ab"), 5), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), 0);
	ipc_vm_end(1);
	assert_int_equal(ipc_next(0, 0), 0);
	assert_int_equal(ipc_next(0, 0), 2);
	assert_int_equal(ipc_next(0, 0), -1);

	ipc_run(0, 0);
	assert_int_equal(weir_event_send(a), WEIR_CLOSED);
	assert_int_equal(weir_port_publish(a, 1), WEIR_CLOSED);
	assert_int_equal(weir_port_peer(a, &word, &open), WEIR_OK);
	assert_int_equal(word, 5);
	assert_false(open);
	assert_int_equal(weir_port_peer(other, 0, &open), WEIR_OK);
	assert_true(open);
	assert_int_equal(weir_event_send(other), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
}

TEST(both_ends_may_stop)
{
	u32 pends;

	ipc_vm_end(1);
	pends = ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT);
	ipc_vm_end(0);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), pends);
	assert_int_equal(ipc_next(2, 0), 0);
}

/* It was stopped again before it had been rebuilt. */
TEST(a_port_that_is_closed_already_tells_nobody_again)
{
	ipc_vm_end(1);
	while (ipc_next(0, 0) >= 0)
		;
	ipc_vm_end(1);
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(peer_of_a_vm_that_started_again_is_told_and_goes_on)
{
	weir_handle a = port_of(0, "ab");
	bool open = false;
	u64 word;

	ipc_run(1, 0);
	assert_int_equal(weir_port_publish(port_of(1, "ab"), 5), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), 0);
	ipc_vm_end(1);
	while (ipc_next(0, 0) >= 0)
		;
	for (struct vm_work work = { 0 }; ipc_vm_rebuild(ipc_vm(1), &work);)
		;
	assert_int_equal(ipc_next(0, 0), 0);
	assert_int_equal(ipc_next(0, 0), 2);
	assert_int_equal(ipc_next(0, 0), -1);
	ipc_run(0, 0);
	assert_int_equal(weir_port_peer(a, &word, &open), WEIR_OK);
	assert_int_equal(word, 0);
	assert_true(open);
	assert_int_equal(weir_event_send(a), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), 0);
	send(1, "ab");
	assert_int_equal(ipc_next(0, 0), 0);
}

TEST(old_handles_of_a_vm_that_started_again_are_stale)
{
	weir_handle old = port_of(1, "ab"), new;

	for (u64 life = 2; life < 5; life++) {
		ipc_vm_renew(1);
		new = port_of(1, "ab");
		assert_int_equal(new, life << 16);
		assert_int_equal(weir_event_send(old), WEIR_STALE);
		assert_int_equal(weir_port_publish(old, 1), WEIR_STALE);
		assert_int_equal(weir_port_peer(old, 0, 0), WEIR_STALE);
		assert_int_equal(weir_port_bind(old, 0, 0), WEIR_STALE);
		assert_int_equal(weir_event_send(new + (1 << 16)), WEIR_INVALID);
		assert_int_equal(weir_event_send(new), WEIR_OK);
	}
}

/* Bound elsewhere, an event unread, a word of the peer, heads far on: none of it is left. */
TEST(vm_that_started_again_has_rings_and_ports_as_new)
{
	struct weir_pages pages = ipc_pages(1, 1);
	u64 slots = pages.event_slots, word = 1;
	weir_handle b = port_of(1, "ab");

	assert_int_equal(weir_port_bind(b, 1, 2), WEIR_OK);
	ipc_run(0, 0);
	assert_int_equal(weir_port_publish(port_of(0, "ab"), 7), WEIR_OK);
	assert_int_equal(pages.out->event_tail[2], 1);
	memset(pages.in, 0xee, sizeof(*pages.in));
	ipc_vm_renew(1);
	for (u32 vcpu = 0; vcpu < 2; vcpu++) {
		static const struct weir_in zero;
		struct weir_out expected = { .event_slots = slots, .submit_wanted = 1 };

		pages = ipc_pages(1, vcpu);
		assert_memory_equal(pages.in, &zero, sizeof(zero));
		assert_memory_equal(pages.out, &expected, sizeof(expected));
		assert_int_equal(ipc_next(1, vcpu), -1);
	}
	ipc_run(1, 0);
	assert_int_equal(weir_port_peer(port_of(1, "ab"), &word, 0), WEIR_OK);
	assert_int_equal(word, 0);
	send(0, "ab");
	assert_int_equal(ipc_next(1, 1), -1);
	assert_int_equal(ipc_next(1, 0), 0);
}

TEST(both_ends_may_start_again)
{
	bool open = true;

	ipc_vm_end(0);
	ipc_vm_renew(1);
	ipc_run(1, 0);
	assert_int_equal(weir_port_peer(port_of(1, "ab"), 0, &open), WEIR_OK);
	assert_false(open);
	assert_int_equal(weir_event_send(port_of(1, "ab")), WEIR_CLOSED);
	ipc_vm_renew(0);
	ipc_run(1, 0);
	assert_int_equal(weir_port_peer(port_of(1, "ab"), 0, &open), WEIR_OK);
	assert_true(open);
	while (ipc_next(1, 0) >= 0 || ipc_next(0, 0) >= 0)
		;
	send(1, "ab");
	assert_int_equal(ipc_next(0, 0), 0);
	send(0, "ab");
	assert_int_equal(ipc_next(1, 0), 0);
}

TEST(raise_makes_a_port_pending_until_its_vm_stops)
{
	event_raise(ipc_vm(0), 2);
	event_raise(ipc_vm(0), 2);
	assert_int_equal(ipc_next(0, 0), 2);
	assert_int_equal(ipc_next(0, 0), -1);
	ipc_vm_end(0);
	event_raise(ipc_vm(0), 2);
	assert_int_equal(ipc_next(0, 0), -1);
}

TEST(channels_beyond_the_vm_s_ports_are_not_joined)
{
	struct weir_pages pages;
	weir_handle port;

	ipc_vms_set_ports(2);
	ipc_vms_make(3, 1, channels);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("channel ab2: not joined: VM a has no more than 2 ports"));
	pages = ipc_pages(1, 0);
	ipc_run(1, 0);
	assert_int_equal(weir_port_find(&pages, "ab2", &port), WEIR_NOT_FOUND);
	send(0, "ac");
	assert_int_equal(ipc_next(2, 0), 0);
}

TEST(channels_to_a_refused_vm_are_not_joined)
{
	ipc_vms_refuse(1);
	ipc_vms_make(3, 1, channels);
	assert_true(fake_log_has("manifest: /channels/ab: ends: not joined, VM b was "
				 "refused; correct it"));
	assert_int_equal(port_of(0, "ac"), 1 << 16 | 0);
	send(0, "ac");
	assert_int_equal(ipc_next(2, 0), 0);
}

TEST(a_vm_without_ports_gets_one_slot_and_no_port)
{
	ipc_vms_set_ports(0);
	ipc_vms_make(2, 1, channels);
	assert_int_equal(ipc_pages(0, 0).event_slots, 1);
	assert_int_equal(weir_event_send(1ul << 16), WEIR_INVALID);
}

TEST(rings_have_a_slot_for_every_port)
{
	static const u32 ports[] = { 1, 2, 3, 128, 129, 5000 };

	for (u32 i = 0; i < ARRAY_SIZE(ports); i++) {
		u64 slots;

		ipc_vms_set_ports(ports[i]);
		ipc_vms_make(2, 1, channels + 2);
		slots = ipc_pages(0, 0).event_slots;
		assert_true(slots >= ports[i] && (slots & (slots - 1)) == 0);
		/* All four rings lie inside of the pages: ASan sees to the rest. */
		assert_true(event_ring_bytes(ipc_vm(0)->config) >= slots * 16);
		for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++) {
			ipc_run(0, 0);
			assert_int_equal(weir_port_bind(1ul << 16, 0, priority), WEIR_OK);
			for (u64 n = 0; n < 2 * slots; n++) {
				ipc_run(1, 0);
				assert_int_equal(weir_event_send(1ul << 16), WEIR_OK);
				assert_int_equal(ipc_next(0, 0), 0);
			}
		}
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ports_are_numbered_in_the_order_of_the_manifest),
		CASE(find_rejects_a_length_out_of_range),
		CASE(find_knows_only_whole_names_of_channels_that_end_here),
		CASE(send_makes_the_peer_s_port_pending_and_interrupts),
		CASE(sends_to_a_pending_port_coalesce),
		CASE(sends_and_publications_are_counted_by_their_sender),
		CASE(events_of_a_priority_arrive_in_the_order_of_their_sends),
		CASE(the_highest_priority_arrives_first),
		CASE(calls_on_ports_reject_handles_of_no_port),
		CASE(calls_on_ports_reject_handles_of_an_earlier_generation),
		CASE(bind_rejects_a_vcpu_or_priority_out_of_range),
		CASE(bind_moves_later_events_to_another_vcpu),
		CASE(bind_waits_until_an_old_event_was_read),
		CASE(publish_leaves_a_word_and_tells_the_peer),
		CASE(peer_of_a_vm_that_stopped_is_told_and_gets_closed),
		CASE(both_ends_may_stop),
		CASE(peer_of_a_vm_that_started_again_is_told_and_goes_on),
		CASE(old_handles_of_a_vm_that_started_again_are_stale),
		CASE(vm_that_started_again_has_rings_and_ports_as_new),
		CASE(both_ends_may_start_again),
		CASE(raise_makes_a_port_pending_until_its_vm_stops),
		CASE(channels_beyond_the_vm_s_ports_are_not_joined),
		CASE(channels_to_a_refused_vm_are_not_joined),
		CASE(a_vm_without_ports_gets_one_slot_and_no_port),
		CASE(a_port_that_is_closed_already_tells_nobody_again),
		CASE(rings_have_a_slot_for_every_port),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
