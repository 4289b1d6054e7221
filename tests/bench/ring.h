/*
 * The two ends of the ring benchmark: how they meet, and what they send. Ordinary guests, with the
 * library's tasks, interrupts and events.
 */
#pragma once

#include <weir/ring.h>
#include "tests/bench/bench.h"

/* The library's vectors do the work. */
static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

#define RING_PAGES 32u
#define SMALL	   64u
#define LARGE	   4096u
#define SMALLS	   2000u /* records of a sample */
#define LARGES	   100u

static weir_handle port;

static inline uint64_t meet(void)
{
	uint64_t word = 0;

	while (weir_port_peer(port, &word, NULL) == WEIR_OK && !word)
		event_wait(port, TASK_FOREVER);
	return word;
}
