/*
 * The two ends of the benchmark of message queues: how they meet, and what they send, which both know. As for
 * the ring (ring.h), so that the rows can be held against its: the same bytes in a ring, the same records.
 */
#pragma once

#include "tests/bench/bench.h"

/* The library's vectors do the work. */
static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

#define LANES	   8u
#define RING_PAGES 32u
#define LARGEST	   4096u

/* X(function, row, bytes of a message, messages of a sample, senders that take turns) */
#define ROWS(X)                                     \
	X(record64, "mqueue.record64", 64, 2000, 1) \
	X(bulk4k, "mqueue.bulk4k", 4096, 100, 1)    \
	X(fan_in, "mqueue.fan_in_8", 64, 2000, LANES)

#define MESSAGES_IN_ALL(count) ((uint64_t)PASSAGES * (count))

/* The channel of a sender. */
static inline const char *lane_name(uint32_t lane)
{
	static char name[] = "bench0";

	name[5] = (char)('0' + lane);
	return name;
}

#define INLINED static inline __attribute__((always_inline))
