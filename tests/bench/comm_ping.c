/*
 * Sends events by its submission ring, which a communication core serves, to event_pong, which answers each by a
 * call. Each side alone: when it has sent it waits in `yield`, as the communication core does between two looks.
 */
#include <weir/submit.h>
#include "tests/bench/event.h"

static uint64_t spent[PASSAGES], left[PASSAGES];

static void on_event(void)
{
	__atomic_store_n(&handled, handled + 1, __ATOMIC_RELEASE);
}

/* Inlined, and the ring with it: what a sender of many events has of it in registers. */
static inline __attribute__((always_inline)) bool ping(struct weir_submit *ring, weir_handle to,
						       uint32_t passage)
{
	uint64_t start, end;

	MARK("from event.comm_core_send");
	start = ticks();
	if (!weir_submit_put_event(ring, to))
		return false;
	weir_submit_kick(ring);
	end = ticks();
	MARK("to event.comm_core_send");
	spent[passage] = end - start;
	MARK("from event.cross_core");
	MARK("from event.cross_core_vector vector");
	left[passage] = ticks();
	spin_yield();
	wait_change(&handled, passage);
	return true;
}

static __attribute__((noinline)) bool ping_all(weir_handle to)
{
	struct weir_submit ring;

	weir_submit_init(&ring, &pages);
	for (uint32_t i = 0; i < PASSAGES; i++)
		if (!ping(&ring, to, i))
			return false;
	return true;
}

int main(void)
{
	if (!event_await() || !ping_all(port))
		return 1;
	weir_event_send(port); /* the other may report now, which takes the machine for a while */
	report_ends("from", "event.cross_core", left);
	report_ends("from", "event.cross_core_vector", left);
	report_row("event.comm_core_send", 1, spent + WARM_UP, SAMPLES);
	return 0;
}
