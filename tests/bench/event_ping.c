/*
 * Sends events to event_pong, which answers each by one. The same guests run on two cores, and on
 * one core with event_pong at the higher priority.
 */
#include "tests/bench/event.h"

static uint64_t sent[PASSAGES], returned[PASSAGES], came_back;

static void on_event(void)
{
	MARK("to event.round_trip");
	came_back = ticks();
	__atomic_store_n(&handled, handled + 1, __ATOMIC_RELEASE);
}

static enum weir_status ping(uint32_t passage)
{
	enum weir_status status;

	MARK("from event.send");
	MARK("from event.cross_core");
	MARK("from event.cross_core_vector vector");
	MARK("from event.round_trip");
	sent[passage] = ticks();
	status = weir_event_send(port);
	returned[passage] = ticks() - sent[passage];
	MARK("to event.send");
	spin_yield();
	wait_change(&handled, passage);
	return status;
}

int main(void)
{
	uint64_t round_trip[PASSAGES];

	if (!event_await())
		return 1;
	for (uint32_t i = 0; i < PASSAGES; i++) {
		if (ping(i) != WEIR_OK)
			return 1;
		round_trip[i] = came_back - sent[i];
	}
	weir_event_send(port); /* the other may report now, which takes the machine for a while */
	report_ends("from", "event.cross_core", sent);
	report_ends("from", "event.cross_core_vector", sent);
	report_row("event.send", 1, returned + WARM_UP, SAMPLES);
	report_row("event.round_trip", 1, round_trip + WARM_UP, SAMPLES);
	return 0;
}
