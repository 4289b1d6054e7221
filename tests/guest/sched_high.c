/*
 * A higher priority has the core when it wants it: this VM shares one with others that never give
 * it up, and gives it up itself by WFI, without which those would not get on and the run not end.
 */
#include "tests/guest/tap.h"

#define ROUNDS 64u

/*
 * A slice is 5 ms: without preemption half of the wake-ups would be later than 2 ms. Time counts
 * instructions in this image's runs (tests/qemu/test_guests.py), so a busy host delays none.
 */
TEST(it_wakes_in_less_than_a_slice)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint64_t due = timer_now() + timer_ticks(7000000);

		task_sleep(7000000);
		CHECK(timer_ns(timer_now() - due) < 100000);
	}
}

TESTS = {
	RUN(it_wakes_in_less_than_a_slice),
};
TESTS_MAIN
