/* Both ends of budget.dts: time that a guest which never waits does not get is taken by the other. */
#pragma once

#include "tests/guest/tap.h"

#define BUDGET_NS 1000000u /* as in budget.dts */
#define PERIOD_NS 5000000u
#define GAP_NS	  100000u /* longer than any interrupt takes */

struct gaps {
	uint64_t count, sum_ns, longest_ns;
};

/* Spins for so long; what it missed of that. */
static inline struct gaps gaps_in(uint64_t ns)
{
	struct gaps gaps = { 0, 0, 0 };
	uint64_t last = timer_now(), end = last + timer_ticks(ns);

	while (last < end) {
		uint64_t now = timer_now(), gap = timer_ns(now - last);

		last = now;
		if (gap < GAP_NS)
			continue;
		gaps.count++;
		gaps.sum_ns += gap;
		if (gap > gaps.longest_ns)
			gaps.longest_ns = gap;
	}
	return gaps;
}
