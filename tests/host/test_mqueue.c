/*
 * Message queues (weir/mqueue.h) between fake VMs: order, turns, priorities, senders and receivers that come and
 * go, and senders that lie. tests/host/test_mqueue_random.c does it in any order.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include "mqueue_sides.h"

TEST(messages_of_one_sender_arrive_in_order)
{
	open_one(0);
	assert_int_equal(send(0, "one"), WEIR_OK);
	assert_int_equal(send(0, "two"), WEIR_OK);
	assert_int_equal(send(0, ""), WEIR_OK);
	expect(0, "one");
	expect(0, "two");
	expect(0, "");
	expect_nothing();
	assert_int_equal(send(0, "three"), WEIR_OK);
	expect(0, "three");
	expect_nothing();
}

TEST(a_sender_may_come_before_the_receiver_looks)
{
	assert_int_equal(try_open(0), WEIR_AGAIN);
	ipc_run(0, 0);
	events(0);
	expect_nothing();
	assert_int_equal(try_open(0), WEIR_OK);
	assert_int_equal(send(0, "early"), WEIR_OK);
	expect(0, "early");
	expect_nothing();
}

TEST(nothing_is_sent_before_the_lane_is_open)
{
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
	assert_int_equal(try_open(0), WEIR_AGAIN);
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
	ipc_run(1, 0);
	assert_int_equal(weir_sender_drain(&sides[0].sender), WEIR_CLOSED);
	weir_sender_close(&sides[0].sender);
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
}

TEST(senders_take_turns_of_so_many_messages_as_the_inbox_says)
{
	open_all();
	inbox.bound = 2;
	for (u32 who = 0; who < LANES; who++)
		for (u32 i = 0; i < 5; i++)
			assert_int_equal(send(who, "m"), WEIR_OK);
	for (u32 turn = 0; turn < 2; turn++)
		for (u32 k = 0; k < LANES * 2; k += 2) {
			uint32_t bytes;
			char byte;
			struct weir_lane *first = NULL, *second = NULL;

			assert_int_equal(receive_to(&byte, 1, &bytes, &first), WEIR_OK);
			assert_int_equal(receive_to(&byte, 1, &bytes, &second), WEIR_OK);
			assert_ptr_equal(first, second);
			first->context = (u8 *)first->context + 1;
		}
	for (u32 who = 0; who < LANES; who++)
		assert_ptr_equal(lanes[who].context, (void *)2);
}

TEST(who_floods_delays_another_by_one_turn)
{
	uint32_t bytes;
	struct weir_lane *from = NULL;
	u32 others = 0;

	open_all();
	while (send(0, "flood") == WEIR_OK)
		;
	assert_int_equal(send(2, "x"), WEIR_OK);
	for (u32 i = 0; from != &lanes[2]; i++) {
		char text[8];

		assert_int_equal(receive_to(text, sizeof(text), &bytes, &from), WEIR_OK);
		others += from != &lanes[2];
		send(0, "flood");
	}
	assert_true(others <= WEIR_INBOX_BOUND);
}

TEST(what_a_message_costs_does_not_grow_with_idle_lanes)
{
	u64 looks;

	open_all();
	looks = inbox.looks;
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(send(1, "m"), WEIR_OK);
		expect(1, "m");
	}
	/* Each time at the lane of the message alone. */
	assert_int_equal(inbox.looks - looks, 1);
	expect_nothing();
	looks = inbox.looks;
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(send(1, "m"), WEIR_OK);
		expect(1, "m");
		expect_nothing();
	}
	assert_int_equal(inbox.looks - looks, 200); /* it came, and it has none */
}

TEST(urgent_messages_come_first_but_not_for_ever)
{
	u32 urgent = 0;

	sides[1].sender.priority = WEIR_URGENT;
	open_all();
	assert_int_equal(lanes[1].priority, WEIR_URGENT);
	inbox.bound = 2;
	for (u32 i = 0; i < 4; i++)
		assert_int_equal(send(0, "n"), WEIR_OK);
	expect(0, "n");
	for (u32 i = 0; i < 60; i++)
		assert_int_equal(send(1, "u"), WEIR_OK);
	expect(0, "n"); /* its turn */
	for (; urgent < 60; urgent++) {
		char byte;
		uint32_t bytes;
		struct weir_lane *from = NULL;

		assert_int_equal(receive_to(&byte, 1, &bytes, &from), WEIR_OK);
		if (from == &lanes[0])
			break;
	}
	assert_int_equal(urgent, WEIR_INBOX_URGENT_TURNS * inbox.bound);
	expect(0, "n");
	for (; urgent < 60; urgent++)
		expect(1, "u");
	expect_nothing();
}

TEST(a_full_lane_is_again_until_the_receiver_takes_some)
{
	u32 count = 0;

	open_all();
	while (send(0, "some text that fills the ring") == WEIR_OK)
		count++;
	assert_true(count > 100);
	assert_int_equal(send(1, "others have room"), WEIR_OK);
	ipc_run(1, 0);
	sides[0].sender.channel.wanted_bytes = 29;
	assert_int_equal(weir_channel_arm_room(&sides[0].sender.channel), WEIR_AGAIN);
	events(1);
	while (!events(1)) {
		char buffer[64];
		uint32_t bytes;
		struct weir_lane *from;

		assert_int_equal(receive_to(buffer, sizeof(buffer), &bytes, &from), WEIR_OK);
		count--;
	}
	assert_true(count > 100);
	assert_int_equal(send(0, "some text that fills the ring"), WEIR_OK);
}

/* ---- Waiting ---- */

static u32 waits;

static bool wait_once(struct weir_inbox *of)
{
	(void)of;
	waits++;
	if (waits > 1)
		return false;
	assert_int_equal(send(2, "woken"), WEIR_OK);
	ipc_run(0, 0);
	events(0);
	return true;
}

TEST(a_receiver_that_waits_is_woken_by_a_message_or_its_deadline)
{
	char buffer[64];
	uint32_t bytes = 0;
	struct weir_lane *from = NULL;

	open_all();
	inbox.wait = wait_once;
	waits = 0;
	ipc_run(0, 0);
	assert_int_equal(weir_inbox_receive(&inbox, buffer, sizeof(buffer), &bytes, &from),
			 WEIR_OK);
	assert_ptr_equal(from, &lanes[2]);
	assert_int_equal(weir_inbox_receive(&inbox, buffer, sizeof(buffer), &bytes, &from),
			 WEIR_TIMEOUT);
	assert_int_equal(waits, 2);
}

static bool give_up(struct weir_channel *channel)
{
	waits++;
	assert_int_equal(weir_channel_arm(channel), WEIR_AGAIN);
	return false;
}

TEST(a_sender_that_waits_for_room_has_a_deadline)
{
	open_all();
	while (send(0, "text") == WEIR_OK)
		;
	waits = 0;
	sides[0].sender.channel.wait = give_up;
	ipc_run(1, 0);
	assert_int_equal(weir_sender_send(&sides[0].sender, "text", 4), WEIR_TIMEOUT);
	assert_int_equal(waits, 1);
}

/* ---- Answers ---- */

TEST(an_answer_goes_to_who_asked)
{
	char buffer[16];
	uint32_t bytes = 0;

	open_all();
	assert_int_equal(send(2, "?"), WEIR_OK);
	expect(2, "?");
	assert_int_equal(weir_lane_answer(&lanes[2], "!", 1), WEIR_OK);
	ipc_run(2, 0);
	assert_int_equal(weir_sender_answer(&sides[2].sender, buffer, sizeof(buffer), &bytes),
			 WEIR_OK);
	assert_int_equal(bytes, 1);
	assert_int_equal(buffer[0], '!');
}

TEST(who_takes_no_answers_gets_none)
{
	enum weir_status status;
	static const char answer[500];
	u32 count = 0;

	open_all();
	ipc_run(0, 0);
	while ((status = weir_lane_answer(&lanes[0], answer, sizeof(answer))) == WEIR_OK)
		count++;
	assert_int_equal(status, WEIR_AGAIN);
	assert_int_equal(count, 7);
	assert_int_equal(send(0, "still"), WEIR_OK);
	expect(0, "still");
}

/* ---- Coming and going ---- */

TEST(a_sender_that_ends_ends_its_lane_only)
{
	u64 session;

	open_all();
	session = lanes[2].session;
	assert_int_equal(send(2, "lost"), WEIR_OK);
	assert_int_equal(send(0, "kept"), WEIR_OK);
	ipc_memory_stop(2);
	expect(0, "kept");
	expect_nothing();
	assert_int_equal(lanes[2].session, 0);
	assert_int_equal(inbox.broken, 0);
	assert_int_equal(went, 1);
	restart(2);
	open_one(2);
	assert_true(lanes[2].session > session);
	assert_int_equal(send(2, "again"), WEIR_OK);
	expect(2, "again");
	assert_int_equal(came, LANES + 1);
}

TEST(a_sender_whose_next_life_comes_before_its_end_was_seen_is_joined)
{
	open_all();
	ipc_memory_stop(2);
	restart(2);
	assert_int_equal(try_open(2), WEIR_AGAIN);
	events(2);
	expect_nothing();
	/* It sleeps, and is told. */
	assert_true(events(2) > 0);
	assert_int_equal(try_open(2), WEIR_OK);
	assert_int_equal(send(2, "again"), WEIR_OK);
	expect(2, "again");
}

TEST(a_sender_that_closes_and_comes_back_is_another_session)
{
	open_all();
	ipc_run(2, 0);
	weir_sender_close(&sides[2].sender);
	assert_int_equal(send(2, "x"), WEIR_CLOSED);
	expect_nothing();
	assert_int_equal(lanes[2].session, 0);
	assert_int_equal(inbox.broken, 0);
	open_one(2);
	assert_int_equal(lanes[2].session, LANES + 1);
}

TEST(a_message_of_a_sender_that_has_gone_is_not_half_received)
{
	open_all();
	assert_int_equal(send(2, "torn"), WEIR_OK);
	ipc_run(0, 0);
	events(0);
	ipc_memory_stop(2);
	expect_nothing(); /* the receiver knows of the message, and finds zeroes */
	assert_int_equal(inbox.broken, 0);
}

TEST(senders_of_a_receiver_that_ends_are_told_and_come_back)
{
	open_all();
	assert_int_equal(send(0, "lost"), WEIR_OK);
	ipc_memory_stop(0);
	/* Who sends learns it at once. */
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
	assert_int_equal(send(0, "x"), WEIR_CLOSED);
	assert_int_equal(try_open(0), WEIR_AGAIN);
	restart(0);
	expect_nothing();
	for (u32 i = 0; i < LANES; i++) {
		open_one(i);
		assert_int_equal(send(i, "new"), WEIR_OK);
		expect(i, "new");
	}
}

TEST(a_closed_inbox_ends_all_lanes_and_can_be_joined_again)
{
	struct weir_pages pages;

	open_all();
	assert_int_equal(send(0, "lost"), WEIR_OK);
	ipc_run(0, 0);
	weir_inbox_close(&inbox);
	expect_nothing();
	for (u32 i = 0; i < LANES; i++)
		assert_int_equal(send(i, "x"), WEIR_CLOSED);
	ipc_run(0, 0);
	pages = ipc_pages(0, 0);
	for (u32 i = 0; i < LANES; i++)
		assert_int_equal(weir_inbox_add(&inbox, &pages, &spaces[0], sides[i].name),
				 WEIR_OK);
	open_all();
}

TEST(an_inbox_has_so_many_lanes)
{
	struct weir_pages pages = ipc_pages(0, 0);

	ipc_run(0, 0);
	assert_int_equal(weir_inbox_add(&inbox, &pages, &spaces[0], "ab"), WEIR_QUOTA);
	weir_inbox_make(&inbox, lanes, LANES);
	assert_int_equal(weir_inbox_add(&inbox, &pages, &spaces[0], "none"), WEIR_NOT_FOUND);
	inbox.window_pages = FAKE_WINDOW_PAGES + 1;
	assert_int_equal(weir_inbox_add(&inbox, &pages, &spaces[0], "ab"), WEIR_QUOTA);
}

/* ---- Lies ---- */

static struct weir_ring_shared_producer *ring_of(u32 who)
{
	return (void *)(sides[who].sender.channel.own + PAGE_SIZE);
}

static void expect_only_this_lane_breaks(u32 who)
{
	char buffer[64];
	uint32_t bytes = 0;
	struct weir_lane *from = NULL;
	u32 got = 0;

	for (u32 i = 0; i < LANES; i++)
		if (i != who)
			assert_int_equal(send(i, "honest"), WEIR_OK);
	ipc_run(sides[who].vm, 0);
	weir_event_send(sides[who].sender.channel.port);
	while (receive_to(buffer, sizeof(buffer), &bytes, &from) == WEIR_OK) {
		assert_true(from != &lanes[who]);
		assert_memory_equal(buffer, "honest", 6);
		got++;
	}
	assert_int_equal(got, LANES - 1);
	assert_int_equal(inbox.broken, 1);
	assert_int_equal(lanes[who].session, 0);
	assert_true(weir_inbox_idle(&inbox));
	assert_int_equal(send(who, "x"), WEIR_CLOSED);
	open_one(who);
	assert_int_equal(send(who, "better"), WEIR_OK);
	expect(who, "better");
}

TEST(a_tail_that_cannot_be_breaks_one_lane)
{
	open_all();
	ring_of(2)->tail = 1ul << 40;
	expect_only_this_lane_breaks(2);
}

TEST(a_record_that_is_none_breaks_one_lane)
{
	open_all();
	assert_int_equal(send(1, "text"), WEIR_OK);
	memset(sides[1].sender.channel.own + PAGE_SIZE + WEIR_RING_CONTROL_BYTES, 0xff, 64);
	expect_only_this_lane_breaks(1);
}

TEST(a_message_larger_than_the_buffer_breaks_one_lane)
{
	static const char large[65];

	open_all();
	assert_int_equal(send_bytes(0, large, sizeof(large)), WEIR_OK);
	expect_only_this_lane_breaks(0);
}

/* Opens a lane whose first record is this. */
static void open_with(u32 who, const void *hello, u64 bytes)
{
	struct side *side = &sides[who];
	struct weir_pages pages = ipc_pages(side->vm, 0);
	enum weir_status status = WEIR_AGAIN;

	for (u32 i = 0; i < 4 && status == WEIR_AGAIN; i++) {
		expect_nothing();
		ipc_run(side->vm, 0);
		status = weir_channel_try_open(&side->sender.channel, &pages, &spaces[side->vm],
					       side->name);
	}
	assert_int_equal(status, WEIR_OK);
	assert_int_equal(weir_channel_try_send(&side->sender.channel, hello, bytes), WEIR_OK);
}

TEST(a_lane_without_a_hello_is_none)
{
	struct weir_mqueue_hello bad[] = { { WEIR_MQUEUE_MAGIC, 2 }, { WEIR_MQUEUE_MAGIC + 1, 0 } };
	char longer[sizeof(struct weir_mqueue_hello) + 1];

	for (u32 i = 0; i < 2; i++) {
		open_with(0, &bad[i], sizeof(bad[i]));
		expect_nothing();
		assert_int_equal(inbox.broken, i + 1);
		assert_int_equal(lanes[0].session, 0);
		ipc_run(1, 0);
		assert_int_equal(weir_channel_check(&sides[0].sender.channel), WEIR_CLOSED);
	}
	memset(longer, 0, sizeof(longer));
	open_with(0, longer, sizeof(longer));
	expect_nothing();
	open_with(0, longer, 0);
	expect_nothing();
	assert_int_equal(inbox.broken, 4);
	assert_int_equal(came, 0);
	open_one(0);
	assert_int_equal(came, 1);
}

TEST(who_lies_once_is_not_looked_at_for_ever)
{
	u64 looks;
	struct weir_channel_shared *shared;

	open_all();
	shared = (void *)(sides[2].sender.channel.own + WEIR_CHANNEL_HEADER);
	ring_of(2)->tail = 1ul << 40;
	ipc_run(2, 0);
	weir_event_send(sides[2].sender.channel.port);
	shared->attached = 0; /* as if it were a new session */
	expect_nothing();
	looks = inbox.looks;
	for (u32 i = 0; i < 10; i++)
		expect_nothing();
	assert_int_equal(inbox.looks, looks);
	assert_int_equal(inbox.broken, 1);
}

TEST(more_pages_than_a_lane_has_room_for_are_refused)
{
	sides[0].sender.channel.ring_pages = 3;
	assert_int_equal(try_open(0), WEIR_AGAIN);
	expect_nothing();
	expect_nothing();
	assert_int_equal(lanes[0].session, 0);
	open_one(1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_MADE(messages_of_one_sender_arrive_in_order),
		RUN_MADE(a_sender_may_come_before_the_receiver_looks),
		RUN_MADE(nothing_is_sent_before_the_lane_is_open),
		RUN_MADE(senders_take_turns_of_so_many_messages_as_the_inbox_says),
		RUN_MADE(who_floods_delays_another_by_one_turn),
		RUN_MADE(what_a_message_costs_does_not_grow_with_idle_lanes),
		RUN_MADE(urgent_messages_come_first_but_not_for_ever),
		RUN_MADE(a_full_lane_is_again_until_the_receiver_takes_some),
		RUN_MADE(a_receiver_that_waits_is_woken_by_a_message_or_its_deadline),
		RUN_MADE(a_sender_that_waits_for_room_has_a_deadline),
		RUN_MADE(an_answer_goes_to_who_asked),
		RUN_MADE(who_takes_no_answers_gets_none),
		RUN_MADE(a_sender_that_ends_ends_its_lane_only),
		RUN_MADE(a_sender_whose_next_life_comes_before_its_end_was_seen_is_joined),
		RUN_MADE(a_sender_that_closes_and_comes_back_is_another_session),
		RUN_MADE(a_message_of_a_sender_that_has_gone_is_not_half_received),
		RUN_MADE(senders_of_a_receiver_that_ends_are_told_and_come_back),
		RUN_MADE(a_closed_inbox_ends_all_lanes_and_can_be_joined_again),
		RUN_MADE(an_inbox_has_so_many_lanes),
		RUN_MADE(a_tail_that_cannot_be_breaks_one_lane),
		RUN_MADE(a_record_that_is_none_breaks_one_lane),
		RUN_MADE(a_message_larger_than_the_buffer_breaks_one_lane),
		RUN_MADE(a_lane_without_a_hello_is_none),
		RUN_MADE(who_lies_once_is_not_looked_at_for_ever),
		RUN_MADE(more_pages_than_a_lane_has_room_for_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
