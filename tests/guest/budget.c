/* A VM below one that spins at the highest priority gets all that the other's budget leaves. */
#include "tests/guest/budget.h"

#define WINDOW_NS (10u * PERIOD_NS)

TEST(a_budget_is_all_that_is_taken)
{
	struct gaps gaps = gaps_in(WINDOW_NS);

	CHECK(gaps.count >= 9 && gaps.count <= 11);
	CHECK(gaps.longest_ns < BUDGET_NS + BUDGET_NS / 10);
	CHECK(gaps.sum_ns > WINDOW_NS / 5 * 8 / 10 && gaps.sum_ns < WINDOW_NS / 5 * 12 / 10);
}

TESTS = {
	RUN(a_budget_is_all_that_is_taken),
};
TESTS_MAIN
