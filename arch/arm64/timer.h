/* The generic timer as EL2 uses it: the counter, and CNTHP for EL2's own deadlines. timer.c */
#pragma once

#include "core/base/types.h"

#define TIMER_EL2_INTID	     26u
#define TIMER_VIRTUAL_INTID  27u
#define TIMER_PHYSICAL_INTID 30u /* of EL1 */

/*
 * Boot core, first. `tree_hz` is the clock-frequency of the tree's timer node, 0: it has none; it goes
 * before CNTFRQ_EL0, which firmware may have forgotten. A line if they differ.
 */
__attribute__((cold)) void timer_init(u32 tree_hz);
u64 timer_now(void);	   /* ticks */
u64 timer_frequency(void); /* ticks a second */
u64 timer_from_us(u64 us); /* ticks in so many microseconds */
void timer_init_core(void);
void timer_set_el2(u64 deadline); /* ticks; UINT64_MAX: off */

/* Virtual timer of the loaded vCPU. */
struct virtual_timer {
	bool enabled; /* ENABLE and not IMASK */
	bool expired; /* ISTATUS */
	u64 deadline; /* ticks */
};
struct virtual_timer timer_virtual_read(void);
