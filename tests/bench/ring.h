/*
 * The two ends of the ring benchmark: how they meet, and what they send, which both know. Ordinary
 * guests, with the library's tasks, interrupts and events. Each side's functions are inlined with the
 * bytes of a record, as in a program whose records are of one type.
 */
#pragma once

#include <weir/ring.h>
#include <weir/submit.h>
#include "tests/bench/bench.h"
#include "tests/bench/meet.h"

/* The library's vectors do the work. */
static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

/* Up to 16 KiB a record: a ring of one grant. 64 KiB: one of two, behind it. */
#define RING_PAGES  32u
#define LARGE_PAGES (2 * WEIR_GRANT_PAGES_MAX)
#define GRANTS	    3u /* each over a channel of its own: "bench0", ... */
#define LARGEST	    65536u
#define BATCH	    32u

/* X(function, row, bytes of a record, records of a sample, in batches) */
#ifdef BY_SUBMISSION_RING
#define SMALL_ROWS(X) X(record64, "ring.record64", 64, 2000, false)
#define LARGE_ROWS(X)
#else
#define SMALL_ROWS(X)                                 \
	X(record64, "ring.record64", 64, 2000, false) \
	X(batch64, "ring.batch64", 64, 2048, true)    \
	X(bulk256, "ring.bulk256", 256, 1000, false)  \
	X(bulk1k, "ring.bulk1k", 1024, 500, false)    \
	X(bulk4k, "ring.bulk4k", 4096, 100, false)    \
	X(bulk16k, "ring.bulk16k", 16384, 50, false)
#define LARGE_ROWS(X) X(bulk64k, "ring.bulk64k", LARGEST, 20, false)
#endif
#define ROWS(X)					    SMALL_ROWS(X) LARGE_ROWS(X)
#define CALL(function, name, bytes, count, batches) function();

/* Before a row's first record and behind its last one nobody is left in the ring. */
#define RECORDS_IN_ALL(count) ((uint64_t)PASSAGES * (count))

/* How each wakes the other: by a call, or by a command for a communication core. */
#ifdef BY_SUBMISSION_RING
static struct weir_submit submission;

static inline void wake_start(void)
{
	weir_submit_init(&submission, weir_here());
}

static inline void wake(weir_handle port)
{
	weir_submit_event(&submission, port);
}
#else
static inline void wake_start(void)
{
}

static inline void wake(weir_handle port)
{
	weir_event_send(port);
}
#endif

static weir_handle ports[GRANTS];

static inline bool find_ports(void)
{
	char name[] = "bench0";

	wake_start();
	for (uint32_t i = 0; i < GRANTS; i++, name[5]++)
		if (weir_port_find(weir_here(), name, &ports[i]) != WEIR_OK)
			return false;
	return true;
}

#define INLINED static inline __attribute__((always_inline))
