/*
 * Message queues in any order of events: senders open, send, close, lie, end and start again at random, and so
 * does the receiver. What is received from an honest sender it has sent in that session, each message once and
 * in order, whatever the others write; and whatever happened before, all can send again after a few steps.
 *
 * What is covered: SEQUENCES sequences of STEPS steps, from a seed.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <stdio.h>
#include "mqueue_sides.h"
#include "soak.h"

#define SEQUENCES soak_count(100, 10000)
#define STEPS	  200u
#define SETTLES	  8u /* looks of each, until all are open */

struct content {
	u64 who, session, number;
	u8 filler[200];
};

/* What each sender knows of its session, and what the receiver has seen of its lane. */
static struct {
	u64 session, sent;
	bool liar;
	u64 lane_session, seen, next;
} talks[LANES];

static u64 sessions, received, lies, restarts;
static u32 seed;

static u32 draw(u32 below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void open_step(u32 who)
{
	if (try_open(who) != WEIR_OK)
		return;
	talks[who].session = ++sessions;
	talks[who].sent = 0;
	talks[who].liar = false;
}

static enum weir_status send_one(u32 who)
{
	struct content content = { .who = who,
				   .session = talks[who].session,
				   .number = talks[who].sent };
	enum weir_status status;

	memset(content.filler, (int)content.number, sizeof(content.filler));
	status = send_bytes(who, &content, 24 + content.number % (sizeof(content.filler) + 1));
	if (status == WEIR_OK)
		talks[who].sent++;
	return status;
}

static void check_message(u32 who, const struct content *content, uint32_t bytes)
{
	if (talks[who].lane_session != lanes[who].session) {
		talks[who].lane_session = lanes[who].session;
		/* Once in a session of its sender's. */
		assert_true(content->session > talks[who].seen);
		talks[who].seen = content->session;
		talks[who].next = 0;
	}
	assert_int_equal(content->who, who);
	assert_int_equal(content->session, talks[who].session);
	assert_int_equal(content->number, talks[who].next);
	assert_int_equal(bytes, 24 + content->number % (sizeof(content->filler) + 1));
	for (u32 i = 24; i < bytes; i++)
		assert_int_equal(((const u8 *)content)[i], (u8)content->number);
	talks[who].next++;
	received++;
}

static enum weir_status receive_one(void)
{
	struct content content;
	struct weir_lane *from = NULL;
	uint32_t bytes = 0;
	enum weir_status status = receive_to(&content, sizeof(content), &bytes, &from);
	u32 who = (u32)(from - lanes);

	if (status != WEIR_OK)
		return status;
	assert_true(who < LANES);
	if (!talks[who].liar)
		check_message(who, &content, bytes);
	return status;
}

/* A word of what the sender shares is anything; then it calls. */
static void lie(u32 who)
{
	struct weir_channel *channel = &sides[who].sender.channel;
	u64 *words = (void *)channel->own;
	u32 word = draw(3) ? 512 + draw(40) : draw(3 * 512);

	if (!channel->own)
		return;
	talks[who].liar = true;
	words[word] = draw(2) ? draw(1000) * 8 : (u64)draw(1u << 24) << draw(40);
	ipc_run(sides[who].vm, 0);
	weir_event_send(channel->port);
	lies++;
}

static void live_again(u32 vm)
{
	ipc_memory_stop(vm);
	for (u32 i = draw(4); i > 0; i--) {
		u32 who = draw(LANES);

		if (sides[who].vm != vm)
			send_one(who);
		if (vm != 0)
			receive_one();
	}
	restart(vm);
	restarts++;
	for (u32 who = 0; who < LANES; who++)
		if (sides[who].vm == vm)
			talks[who].session = talks[who].sent = 0;
		else if (vm == 0)
			talks[who].lane_session = 0;
}

static void close_one(u32 who)
{
	ipc_run(sides[who].vm, 0);
	weir_sender_close(&sides[who].sender);
}

static void step(bool with_lies)
{
	u32 who = draw(LANES), what = draw(100);

	if (sides[who].sender.channel.state != WEIR_CHANNEL_OPEN)
		open_step(who);
	if (what < 45)
		send_one(who);
	else if (what < 90)
		receive_one();
	else if (what < 93)
		live_again(sides[who].vm);
	else if (what == 93)
		live_again(0);
	else if (what < 97 && with_lies)
		lie(who);
	else if (what == 97)
		close_one(who);
}

/* All are honest from here on, and can talk. */
static void settle(void)
{
	for (u32 who = 0; who < LANES; who++)
		close_one(who);
	for (u32 i = 0; i < SETTLES; i++) {
		while (receive_one() == WEIR_OK)
			;
		for (u32 who = 0; who < LANES; who++)
			if (sides[who].sender.channel.state != WEIR_CHANNEL_OPEN)
				open_step(who);
	}
	while (receive_one() == WEIR_OK)
		;
	for (u32 who = 0; who < LANES; who++) {
		assert_true(lanes[who].session != 0);
		assert_int_equal(send_one(who), WEIR_OK);
		assert_int_equal(receive_one(), WEIR_OK);
		assert_int_equal(talks[who].next, talks[who].sent);
	}
	assert_int_equal(receive_one(), WEIR_AGAIN);
	assert_true(weir_inbox_idle(&inbox));
}

static void run(bool with_lies)
{
	u64 first = soak_seed();

	received = lies = restarts = 0;
	for (u64 i = 0; i < SEQUENCES; i++) {
		seed = (u32)(first + i);
		machine_make(NULL);
		memset(talks, 0, sizeof(talks));
		for (u32 k = 0; k < STEPS; k++)
			step(with_lies);
		settle();
		ipc_memory_end(NULL);
	}
	printf("# from seed %lu: %lu messages, %lu restarts, %lu lies\n", (unsigned long)first,
	       (unsigned long)received, (unsigned long)restarts, (unsigned long)lies);
	assert_true(received > SEQUENCES * 20 && restarts > SEQUENCES);
}

TEST(messages_arrive_once_and_in_order_whoever_comes_and_goes)
{
	run(false);
}

TEST(a_sender_that_lies_harms_nobody_else)
{
	run(true);
	assert_true(lies > SEQUENCES);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_arrive_once_and_in_order_whoever_comes_and_goes),
		cmocka_unit_test(a_sender_that_lies_harms_nobody_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
