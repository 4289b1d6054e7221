/* What the two ends of the event benchmarks share: the port, and the way from interrupt to handler.
 */
#pragma once

#include "tests/bench/bench.h"

static weir_handle port;
static struct weir_pages pages;
static uint64_t vector_at;
static uint32_t handled; /* events of `port` */

/* Called through the table below, as a guest's handlers are. */
static void on_event(void);

static void (*volatile handlers[8])(void);

static void on_interrupt(uint64_t at, uint32_t intid)
{
	uint32_t number;

	if (intid != WEIR_INTID_EVENT)
		return;
	vector_at = at;
	while (weir_event_next(&pages, &number))
		if (number < 8 && handlers[number])
			handlers[number]();
}

static inline bool event_start(void)
{
	settle();
	lean_start();
	if (weir_pages_get(&pages) != WEIR_OK ||
	    weir_port_find(&pages, "bench", &port) != WEIR_OK || weir_port_number(port) >= 8)
		return false;
	handlers[weir_port_number(port)] = on_event;
	return true;
}

/* The passive end says that its vector counts events from now on; the active end waits for that. */
static inline bool event_offer(void)
{
	return event_start() && weir_port_publish(port, 1) == WEIR_OK;
}

static inline bool event_await(void)
{
	uint64_t word = 0;

	if (!event_start())
		return false;
	while (!word) {
		if (weir_port_peer(port, &word, NULL) != WEIR_OK)
			return false;
		spin_yield();
	}
	/* The offer's event came, to this vector or, while the guest started, to the library's. */
	__asm__ volatile("msr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::: LOST);
	handled = 0;
	return true;
}
