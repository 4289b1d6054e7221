/* Equal priorities take turns: vCPUs that never give up the core all get on. */
#include "tests/guest/tap.h"

#define VCPUS 3u

static uint64_t turns[VCPUS];
static bool stop;

static void spin(void *arg)
{
	uint64_t index = (uint64_t)arg;

	while (!SHARED_READ(stop))
		SHARED_WRITE(turns[index], turns[index] + 1);
}

/* Sees each of the others get on several times, and does not give up the core itself. */
TEST(vcpus_that_spin_take_turns)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	uint32_t changes = 0;

	for (uint64_t i = 1; i < VCPUS; i++)
		CHECK_IS(cpu_start((uint32_t)i, spin, (void *)i), 0);
	for (uint64_t i = 1; changes < 20 && timer_now() < end; i = i % (VCPUS - 1) + 1) {
		uint64_t before = SHARED_READ(turns[i]);

		while (SHARED_READ(turns[i]) == before && timer_now() < end)
			;
		changes++;
	}
	CHECK_IS(changes, 20);
	CHECK(turns[1] && turns[2]);
	SHARED_WRITE(stop, true);
}

TESTS = {
	RUN(vcpus_that_spin_take_turns),
};
TESTS_MAIN
