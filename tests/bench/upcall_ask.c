/*
 * Makes the benchmark build of Weir ask upcall_answer by upcall, and reports how long each answer
 * took: measured inside EL2, from the question to the call that brings the answer. The same guests
 * run on two cores, and on one with upcall_answer at the higher priority.
 */
#include "tests/bench/bench.h"
#include "tests/bench/hypervisor/stats_call.h"

static uint64_t target; /* upcall_answer */

static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

static struct weir_result stats(enum stats_operation operation, uint64_t argument)
{
	return weir_call(WEIR_FN(STATS_CALL), (uint64_t)operation, argument, 0, 0, 0, 0);
}

static uint64_t ask(void)
{
	struct weir_result result = stats(STATS_PING, target);

	spin_yield();
	while (result.status == WEIR_OK &&
	       (result = stats(STATS_PING_RESULT, 0)).status == WEIR_AGAIN)
		spin_yield();
	return result.status == WEIR_OK ? result.value[0] : 0;
}

int main(void)
{
	uint64_t sample[PASSAGES];

	/* The one that answers, when it has registered: no other does. */
	for (; !ask(); target = (target + 1) % 64)
		spin_yield();
	for (uint32_t i = 0; i < PASSAGES; i++)
		sample[i] = ask();
	report_row("upcall.ping", 1, sample + WARM_UP, SAMPLES);
	return 0;
}
