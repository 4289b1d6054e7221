/* The other end of event_ping: answers each event from its handler, but the last one. */
#include "tests/bench/event.h"

static uint64_t vectored[PASSAGES], arrived[PASSAGES];

static void on_event(void)
{
	uint64_t now = ticks();

	MARK("to event.cross_core");
	if (handled < PASSAGES) {
		arrived[handled] = now;
		vectored[handled] = vector_at;
		weir_event_send(port);
	}
	handled++;
}

int main(void)
{
	if (!event_offer())
		return 1;
	for (uint32_t i = 0; i < PASSAGES + 1; i++)
		sleep_change(&handled, i);
	report_ends("to", "event.cross_core", arrived);
	report_ends("to", "event.cross_core_vector", vectored);
	return 0;
}
