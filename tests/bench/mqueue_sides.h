/*
 * A message queue's two sides, each counted while the other sleeps: so many messages as the ring has room for are
 * sent, then they are received, in turns.
 */
#pragma once

#include "tests/bench/mqueue.h"

/* X(function, row of the sender, row of the receiver, bytes of a message, messages of a turn) */
#define SIDES(X)                                                 \
	X(side64, "mqueue.send64", "mqueue.receive64", 64, 1000) \
	X(side4k, "mqueue.send4k", "mqueue.receive4k", 4096, 25)

#define SETTLE_NS 100000u /* until the other side is asleep */

static weir_handle turns;
static uint64_t turn;

/* The other side's turn, and ours again. */
static inline void turn_pass(void)
{
	weir_port_publish(turns, turn);
}

static inline void turn_await(void)
{
	uint64_t word = 0;

	while (weir_port_peer(turns, &word, NULL) == WEIR_OK && word != turn)
		event_wait(turns, TASK_FOREVER);
	task_sleep(SETTLE_NS);
}
