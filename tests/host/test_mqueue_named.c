/*
 * Message queues that are found by their name (weir/mqueue.h, weir/service.h), between fake VMs that no channel joins:
 * who comes first, ends and restarts of either side, lanes that are given back, and who lies or takes too much.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <string.h>
#include <weir/mqueue.h>
#include "ipc_memory.h"

#define VMS	4u
#define LANES	2u
#define SENDERS 4u
#define LOOKS	12u /* of all, until what can happen has */

static struct weir_lane lanes[LANES];
static struct weir_inbox inbox;
static struct weir_space spaces[VMS];
static struct weir_pages pages[VMS];
static weir_handle store_ports[VMS];
/* a receives; the senders are in b, b, c and d. */
static const u32 vm_of[SENDERS] = { 1, 1, 2, 3 };
static struct weir_sender senders[SENDERS];

static void vm_born(u32 vm)
{
	spaces[vm] = ipc_memory_space(vm);
	pages[vm] = ipc_pages(vm, 0);
	ipc_run(vm, 0);
	assert_int_equal(weir_port_open_store(&store_ports[vm]), WEIR_OK);
	for (u32 i = 0; i < SENDERS; i++)
		if (vm_of[i] == vm) {
			memset(&senders[i], 0, sizeof(senders[i]));
			senders[i].channel.ring_pages = 2;
		}
	if (vm != 0)
		return;
	weir_inbox_make(&inbox, lanes, LANES);
	inbox.window_pages = 3;
	assert_int_equal(weir_inbox_offer(&inbox, &pages[0], &spaces[0], "in"), WEIR_OK);
}

static int machine_make(void **state)
{
	static const char *const none[] = { 0 };

	(void)state;
	ipc_vms_set_peers(0, 0xe, 0);
	ipc_vms_set_store(0, 32, 4096, 32);
	ipc_vms_set_store(2, 32, 4096, 32);
	ipc_vms_make(VMS, 1, none);
	ipc_memory_make(VMS);
	for (u32 vm = 0; vm < VMS; vm++)
		vm_born(vm);
	return 0;
}

/* Tells the inbox of a's events; how many a VM had. */
static u32 events(u32 vm)
{
	u32 count = 0, number;

	ipc_run(vm, 0);
	while (weir_event_next(&pages[vm], &number)) {
		count++;
		if (vm == 0 && number == weir_port_number(store_ports[0]))
			weir_inbox_store_event(&inbox);
		for (u32 i = 0; vm == 0 && i < LANES; i++)
			if (lanes[i].used && weir_port_number(lanes[i].channel.port) == number)
				weir_lane_event(&lanes[i]);
	}
	return count;
}

static enum weir_status receive_to(char *buffer, u64 room, struct weir_lane **from)
{
	uint32_t bytes = 0;
	enum weir_status status;

	events(0);
	status = weir_inbox_try_receive(&inbox, buffer, room, &bytes, from);
	if (status == WEIR_OK)
		buffer[bytes] = 0;
	return status;
}

/* The receiver has nothing more to do. */
static void settle(void)
{
	struct weir_lane *from;
	char buffer[64];

	for (u32 i = 0; i < LOOKS; i++)
		assert_int_equal(receive_to(buffer, 63, &from), WEIR_AGAIN);
	assert_true(weir_inbox_idle(&inbox));
}

static enum weir_status join_once(u32 who)
{
	events(vm_of[who]);
	ipc_run(vm_of[who], 0);
	return weir_sender_try_join(&senders[who], &pages[vm_of[who]], &spaces[vm_of[who]], "a/in");
}

/* Looks only if there is an event, or it knows of news, as a sender does that sleeps. */
static enum weir_status join(u32 who)
{
	enum weir_status status = join_once(who);

	for (u32 i = 0; i < LOOKS && status == WEIR_AGAIN; i++) {
		settle();
		if (events(vm_of[who]) || senders[who].has_news)
			status = join_once(who);
	}
	return status;
}

static enum weir_status send(u32 who, const char *text)
{
	ipc_run(vm_of[who], 0);
	return weir_sender_try_send(&senders[who], text, strlen(text));
}

static void expect(const char *text)
{
	struct weir_lane *from = NULL;
	char buffer[64];

	assert_int_equal(receive_to(buffer, 63, &from), WEIR_OK);
	assert_string_equal(buffer, text);
	assert_true(from->session != 0 && from->node != 0);
}

static void joined(u32 who, const char *text)
{
	assert_int_equal(join(who), WEIR_OK);
	assert_int_equal(send(who, text), WEIR_OK);
	expect(text);
	settle();
}

static void restart(u32 vm)
{
	ipc_memory_renew(vm);
	vm_born(vm);
}

static u32 lanes_used(void)
{
	u32 count = 0;

	for (u32 i = 0; i < LANES; i++)
		count += lanes[i].used;
	return count;
}

TEST(a_queue_is_joined_by_its_name)
{
	joined(0, "one");
	joined(2, "two");
	assert_int_equal(lanes_used(), 2);
	assert_int_equal(lanes[0].vm & 0xffff, 1);
	assert_int_equal(lanes[1].vm & 0xffff, 2);
}

TEST(a_sender_that_is_there_before_the_queue_is_told)
{
	ipc_run(0, 0);
	weir_inbox_close(&inbox);
	assert_int_equal(join_once(2), WEIR_AGAIN);
	events(2);
	ipc_run(0, 0);
	assert_int_equal(weir_inbox_offer(&inbox, &pages[0], &spaces[0], "in"), WEIR_OK);
	assert_true(events(2) > 0);
	joined(2, "late");
}

TEST(who_finds_no_lane_has_the_next_one_that_is_given_back)
{
	joined(0, "one");
	joined(2, "two");
	assert_int_equal(join(3), WEIR_AGAIN);
	assert_int_equal(lanes_used(), LANES);
	ipc_run(1, 0);
	weir_sender_close(&senders[0]);
	settle();
	assert_true(events(3) > 0);
	joined(3, "three");
	assert_int_equal(send(2, "two still"), WEIR_OK);
	expect("two still");
}

TEST(a_sender_that_ends_or_leaves_gives_its_lane_back)
{
	for (u32 i = 0; i < 20; i++) {
		joined(2, "x");
		if (i % 2)
			restart(2);
		else {
			ipc_run(2, 0);
			weir_sender_close(&senders[2]);
		}
		settle();
		assert_int_equal(lanes_used(), 0);
		assert_int_equal(inbox.sessions, i + 1);
	}
	assert_int_equal(inbox.broken, 0);
}

TEST(a_sender_that_ends_before_its_lane_is_open_gives_it_back)
{
	assert_int_equal(join_once(2), WEIR_AGAIN);
	settle();
	assert_int_equal(lanes_used(), 1);
	ipc_memory_stop(2);
	settle();
	assert_int_equal(lanes_used(), 0);
	restart(2);
	joined(2, "again");
}

TEST(a_receiver_that_starts_again_is_found_again)
{
	joined(0, "one");
	joined(2, "two");
	restart(0);
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
	joined(0, "one again");
	joined(2, "two again");
}

TEST(a_sender_that_lies_loses_its_lane_and_may_join_anew)
{
	struct weir_ring_shared_producer *ring;

	joined(0, "one");
	joined(2, "two");
	ring = (void *)(senders[2].channel.own + PAGE_SIZE);
	ring->tail = 1ul << 40;
	ipc_run(2, 0);
	weir_event_send(senders[2].channel.port);
	settle();
	assert_int_equal(inbox.broken, 1);
	assert_int_equal(lanes_used(), 1);
	assert_int_equal(send(2, "x"), WEIR_CLOSED);
	assert_int_equal(send(0, "honest"), WEIR_OK);
	expect("honest");
	joined(2, "better");
}

TEST(more_pages_than_there_is_room_for_lose_the_lane)
{
	senders[2].channel.ring_pages = 3;
	assert_int_equal(join(2), WEIR_OK); /* as far as it can see */
	settle();
	assert_int_equal(lanes_used(), 0);
	assert_int_equal(send(2, "x"), WEIR_CLOSED);
	joined(0, "one");
}

TEST(a_vm_has_no_more_lanes_than_it_may)
{
	inbox.vm_lanes = 1;
	joined(0, "one");
	assert_int_equal(join_once(1), WEIR_AGAIN);
	settle();
	assert_int_equal(lanes_used(), 1);
	joined(3, "three");
}

TEST(ports_and_nodes_are_not_used_up)
{
	for (u32 i = 0; i < 300; i++) {
		joined(i % SENDERS, "x");
		ipc_run(vm_of[i % SENDERS], 0);
		weir_sender_close(&senders[i % SENDERS]);
		settle();
	}
}

TEST(what_cannot_be_joined_says_why)
{
	ipc_run(1, 0);
	assert_int_equal(weir_sender_try_join(&senders[0], &pages[1], &spaces[1], "in"),
			 WEIR_INVALID);
	assert_int_equal(weir_sender_try_join(&senders[0], &pages[1], &spaces[1], "z/in"),
			 WEIR_NOT_FOUND);
	ipc_run(0, 0);
	assert_int_equal(weir_inbox_offer(&inbox, &pages[0], &spaces[0], "in"), WEIR_BUSY);
}

static u32 calls_left;

/* Whenever the receiver has made a call, a VM that has all the lanes it may comes again, on another core. */
static void pester(void)
{
	static bool inside;

	ipc_memory_sync();
	if (inside || !calls_left)
		return;
	inside = true;
	calls_left--;
	join_once(0);
	events(0); /* the receiver's handler */
	inside = false;
}

TEST(who_comes_again_and_again_does_not_hold_up_the_receiver)
{
	struct weir_lane *from;
	char buffer[64];

	inbox.vm_lanes = 1;
	joined(1, "the one that it may have");
	assert_int_equal(join_once(0), WEIR_AGAIN);
	calls_left = 20000;
	ipc_after_call = pester;
	assert_int_equal(receive_to(buffer, 63, &from), WEIR_AGAIN);
	ipc_after_call = ipc_memory_sync;
	assert_true(calls_left > 15000);
	assert_false(weir_inbox_idle(&inbox));
	joined(3, "another");
}

/* Whenever `victim` has made a call, `scribbler` changes a node of its own, of which the victim is told. */
static u32 scribbler, victim;
static weir_handle scribbled;

static void scribble(void)
{
	static bool inside;

	ipc_memory_sync();
	if (inside || !calls_left)
		return;
	inside = true;
	calls_left--;
	ipc_run(scribbler, 0);
	weir_store_write(&pages[scribbler], scribbled, "12345678", 8, 0, NULL);
	ipc_run(victim, 0);
	inside = false;
}

static void scribble_from_now_on(u32 vm, weir_handle node, u32 of)
{
	scribbler = vm;
	scribbled = node;
	victim = of;
	calls_left = 20000;
	ipc_after_call = scribble;
}

TEST(who_changes_its_node_for_ever_does_not_hold_up_the_receiver)
{
	struct weir_lane *from;
	char buffer[64];

	joined(0, "one");
	joined(3, "three");
	assert_int_equal(send(3, "honest"), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_store_write(&pages[1], senders[0].link.node, "12345678", 8, 0, NULL),
			 WEIR_OK);
	scribble_from_now_on(1, senders[0].link.node, 0);
	assert_int_equal(receive_to(buffer, 63, &from), WEIR_OK);
	ipc_after_call = ipc_memory_sync;
	assert_true(calls_left > 15000);
}

TEST(who_changes_its_node_for_ever_does_not_hold_up_who_joins)
{
	assert_int_equal(join_once(2), WEIR_AGAIN);
	assert_false(senders[2].has_news);
	ipc_run(0, 0);
	assert_int_equal(weir_store_write(&pages[0], inbox.service.node, "1", 1, 0, NULL), WEIR_OK);
	scribble_from_now_on(0, inbox.service.node, 2);
	assert_int_equal(join_once(2), WEIR_AGAIN);
	ipc_after_call = ipc_memory_sync;
	assert_true(calls_left > 15000);
	joined(2, "all the same");
	assert_false(senders[2].has_news);
}

static void write_of_a(weir_handle node)
{
	ipc_run(0, 0);
	assert_int_equal(weir_store_write(&pages[0], node, "1", 1, 0, NULL), WEIR_OK);
}

/* The home's change is behind them, so no event tells of its next one: the sender knows that it has to look again. */
TEST(more_changes_than_a_step_takes_are_looked_at_in_the_next)
{
	weir_handle nodes[WEIR_INBOX_BOUND];
	char name[] = "a";

	for (u32 i = 0; i < WEIR_INBOX_BOUND; i++, name[0]++) {
		ipc_run(0, 0);
		assert_int_equal(
			weir_store_make(&pages[0], 0, name, WEIR_STORE_ALL, 0, 0, &nodes[i]),
			WEIR_OK);
		ipc_run(2, 0);
		assert_int_equal(weir_store_watch(nodes[i], true), WEIR_OK);
	}
	ipc_run(0, 0);
	weir_inbox_close(&inbox);
	assert_int_equal(join_once(2), WEIR_AGAIN);
	for (u32 i = 0; i < WEIR_INBOX_BOUND; i++)
		write_of_a(nodes[i]);
	assert_int_equal(join_once(2), WEIR_AGAIN);
	assert_true(senders[2].has_news);
	ipc_run(0, 0);
	assert_int_equal(weir_inbox_offer(&inbox, &pages[0], &spaces[0], "in"), WEIR_OK);
	assert_int_equal(events(2), 0);
	joined(2, "all the same");
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_memory_end)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_MADE(a_queue_is_joined_by_its_name),
		RUN_MADE(a_sender_that_is_there_before_the_queue_is_told),
		RUN_MADE(who_finds_no_lane_has_the_next_one_that_is_given_back),
		RUN_MADE(a_sender_that_ends_or_leaves_gives_its_lane_back),
		RUN_MADE(a_sender_that_ends_before_its_lane_is_open_gives_it_back),
		RUN_MADE(a_receiver_that_starts_again_is_found_again),
		RUN_MADE(a_sender_that_lies_loses_its_lane_and_may_join_anew),
		RUN_MADE(more_pages_than_there_is_room_for_lose_the_lane),
		RUN_MADE(a_vm_has_no_more_lanes_than_it_may),
		RUN_MADE(who_comes_again_and_again_does_not_hold_up_the_receiver),
		RUN_MADE(who_changes_its_node_for_ever_does_not_hold_up_the_receiver),
		RUN_MADE(who_changes_its_node_for_ever_does_not_hold_up_who_joins),
		RUN_MADE(more_changes_than_a_step_takes_are_looked_at_in_the_next),
		RUN_MADE(ports_and_nodes_are_not_used_up),
		RUN_MADE(what_cannot_be_joined_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
