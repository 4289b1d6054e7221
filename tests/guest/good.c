/* Beside a VM that misbehaves: this one goes on as if nothing were. */
#include "tests/guest/tap.h"

TEST(time_hypercalls_and_memory_work_for_two_seconds)
{
	uint64_t end = timer_now() + timer_ticks(2000000000ull);
	uint64_t *page = memory_pages(1);

	for (uint64_t round = 0; timer_now() < end; round++) {
		uint64_t before = timer_now();

		page[round % 512] = round;
		task_sleep(2000000);
		CHECK(timer_now() - before >= timer_ticks(2000000));
		CHECK_IS(page[round % 512], round);
		CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0).status, WEIR_OK);
	}
}

TESTS = {
	RUN(time_hypercalls_and_memory_work_for_two_seconds),
};
TESTS_MAIN
