/*
 * What memory itself costs, with nobody checking: the limits of all that goes through shared pages.
 * raw_in copies and stores, raw_out, on another core, loads from the page that raw_in shares.
 */
#pragma once

#include <weir/event.h>
#include <weir/grant.h>
#include "tests/bench/bench.h"
#include "tests/bench/meet.h"

/* The library's vectors do the work. */
static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

/* In the page: `stored` counts up to PASSAGES; the other side's answer is a word of its own page. */
struct words {
	uint64_t stored;
	uint64_t seen;
};

/* Each side's first page of the pool, for the other to read; the other's is in the window. */
static inline bool exchange_pages(weir_handle *port)
{
	weir_handle grant;

	return weir_port_find(weir_here(), "bench", port) == WEIR_OK &&
	       weir_grant_share(*port, 0, 1, WEIR_READ, &grant) == WEIR_OK &&
	       weir_port_publish(*port, grant) == WEIR_OK &&
	       weir_grant_map(*port, meet(*port), 0, NULL, NULL) == WEIR_OK;
}

static inline void wait_for(const uint64_t *word, uint64_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) != value)
		spin_yield();
}
