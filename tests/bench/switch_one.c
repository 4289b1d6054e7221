/*
 * Two VMs on one core, at one priority, hand the core to each other: each makes the other ready by
 * an event, which changes nothing yet, and waits for its answer in WFI. From before that WFI to
 * behind the WFI of the other.
 */
#include "tests/bench/event.h"

#ifndef SECOND
#define SECOND false
#endif

/* Where the first leaves the core, and where the second comes to it. */
static uint64_t at[PASSAGES];

static void on_event(void)
{
	handled++;
}

/* The interrupt stays masked over the WFI, so the first thing after it is the reading. */
static void wait_turn(uint32_t passage)
{
	uint64_t start, end;

	while (handled == passage) {
		if (!SECOND)
			MARK("from vm.switch");
		__asm__ volatile("mrs %[start], cntvct_el0\n"
				 "wfi\n"
				 "mrs %[end], cntvct_el0\n"
				 "msr daifclr, #2\n"
				 "isb\n"
				 "msr daifset, #2"
				 : [start] "=&r"(start), [end] "=&r"(end)::LOST);
		if (SECOND)
			MARK("to vm.switch");
		at[passage] = SECOND ? end : start;
	}
}

int main(void)
{
	if (!(SECOND ? event_offer() : event_await()))
		return 1;
	for (uint32_t i = 0; i < PASSAGES; i++) {
		if (!SECOND)
			weir_event_send(port);
		wait_turn(i);
		if (SECOND)
			weir_event_send(port);
	}
	report_ends(SECOND ? "to" : "from", "vm.switch", at);
	return 0;
}
