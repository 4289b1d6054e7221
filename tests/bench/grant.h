/* The two ends of the grant benchmark: ordinary guests, with the library's tasks and events. */
#pragma once

#include <weir/grant.h>
#include "tests/bench/bench.h"

#define SETTLE_NS 200000ull /* in which the other VM has gone to sleep */
#define FIRST_2M  512u	    /* page of the pool and of the window: where the 2 MiB begin */

static weir_handle port;

/* The library's vectors do the work. */
static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}
