/*
 * Channels in any order of events: two VMs open, send, receive, close, end and start again at random. What
 * is received was sent in that session, each record once and in order; and whatever happened before, both
 * are open after a few steps as soon as both want it.
 *
 * What is covered: SEQUENCES sequences of STEPS steps, from a seed, of all operations of both sides; sessions
 * that ended at each step of opening.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <stdio.h>
#include "channel_sides.h"
#include "soak.h"

#define SEQUENCES soak_count(200, 10000)
#define STEPS	  120u
#define SETTLES	  6u /* looks of each side, until both are open */

struct content {
	weir_handle session; /* the sender's grant */
	u64 number;
	u8 filler[200];
};

static u64 sent[2], received[2]; /* in the session that the side is in */
static u64 opened, records, restarts;
static u32 seed;

static u32 draw(u32 below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void look(u32 vm)
{
	struct weir_channel *channel = &sides[vm].channel;

	if (try_open(channel) != WEIR_OK)
		return;
	opened++;
	sent[vm] = received[vm] = 0;
}

static void send_one(u32 vm)
{
	struct weir_channel *channel = &sides[vm].channel;
	struct content content = { .session = channel->grant, .number = sent[vm] };
	u32 bytes = 16 + draw(sizeof(content.filler));

	ipc_run(vm, 0);
	if (weir_channel_try_send(channel, &content, bytes) == WEIR_OK)
		sent[vm]++;
}

static void receive_one(u32 vm)
{
	struct weir_channel *channel = &sides[vm].channel;
	struct content content;
	uint32_t bytes = 0;

	ipc_run(vm, 0);
	if (weir_channel_try_receive(channel, &content, sizeof(content), &bytes) != WEIR_OK)
		return;
	assert_true(content.session == channel->peer_grant);
	assert_int_equal(content.number, received[vm]);
	received[vm]++;
	records++;
}

/* It ends, is off for a while, and starts again. */
static void live_again(u32 vm)
{
	ipc_memory_stop(vm);
	for (u32 i = draw(3); i > 0; i--) {
		send_one(1 - vm);
		receive_one(1 - vm);
		if (check(&sides[1 - vm].channel) != WEIR_OK)
			look(1 - vm);
	}
	restart(vm);
	restarts++;
}

static void step(void)
{
	u32 vm = draw(2);
	u32 what = draw(100);

	if (what < 30)
		send_one(vm);
	else if (what < 60)
		receive_one(vm);
	else if (what < 80 && check(&sides[vm].channel) != WEIR_OK)
		look(vm);
	else if (what >= 80 && what < 85)
		close_it(&sides[vm].channel);
	else if (what >= 85 && what < 88)
		look(vm); /* also if it is open */
	else if (what >= 88 && what < 93)
		live_again(vm);
}

/* Both want it open, and look when they are woken. */
static void settle(void)
{
	for (u32 i = 0; i < SETTLES; i++)
		for (u32 vm = 0; vm < 2; vm++)
			if (check(&sides[vm].channel) != WEIR_OK)
				look(vm);
	for (u32 vm = 0; vm < 2; vm++) {
		u64 before = received[1 - vm];

		assert_int_equal(check(&sides[vm].channel), WEIR_OK);
		for (u32 i = 0; i < 200; i++)
			receive_one(1 - vm);
		send_one(vm);
		receive_one(1 - vm);
		assert_true(received[1 - vm] > before);
		assert_int_equal(received[1 - vm], sent[vm]);
	}
}

TEST(whatever_happened_both_open_and_nothing_is_lost_or_doubled_in_a_session)
{
	u32 first = (u32)soak_seed();

	for (u64 i = 0; i < SEQUENCES; i++) {
		seed = first + (u32)i;
		machine_make(0);
		for (u32 k = 0; k < STEPS; k++) {
			step();
			if (draw(20) == 0)
				settle();
		}
		ipc_memory_end(0);
	}
	printf("# %lu sessions, %lu records, %lu restarts\n", (unsigned long)opened,
	       (unsigned long)records, (unsigned long)restarts);
	assert_true(opened > 10 * SEQUENCES && records > 15 * SEQUENCES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(whatever_happened_both_open_and_nothing_is_lost_or_doubled_in_a_session),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
