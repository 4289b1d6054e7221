/* Spins at the highest priority: its budget is used up in each period, and comes back with the next. */
#include "tests/guest/budget.h"

#define WINDOW_NS (16u * PERIOD_NS) /* longer than the other VM looks */

TEST(a_budget_comes_back_each_period)
{
	struct gaps gaps = gaps_in(WINDOW_NS);

	CHECK(gaps.count >= 14);
	CHECK(gaps.longest_ns > (PERIOD_NS - BUDGET_NS) / 10 * 9);
	CHECK(gaps.longest_ns < (PERIOD_NS - BUDGET_NS) / 10 * 11);
}

TESTS = {
	RUN(a_budget_comes_back_each_period),
};
TESTS_MAIN
