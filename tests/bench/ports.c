/*
 * Calls that a VM makes for itself while others sleep on its core, each until a time of its own: a port is opened and
 * closed, and its timer set to a time that is behind those of all others.
 */
#include <weir/event.h>
#include "tests/bench/bench.h"

#define FAR_TICKS 20000000000u /* beyond the sleep of idle.c */

static void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

static uint64_t opened[PASSAGES], set[PASSAGES], closed[PASSAGES];

static enum weir_status once(uint32_t passage)
{
	enum weir_status status;
	weir_handle port;
	uint64_t start = ticks();

	status = weir_port_open_timer(&port);
	opened[passage] = ticks() - start;
	if (status != WEIR_OK)
		return status;
	start = ticks();
	status = weir_port_timer(port, start + FAR_TICKS);
	set[passage] = ticks() - start;
	if (status != WEIR_OK)
		return status;
	start = ticks();
	status = weir_port_close(port);
	closed[passage] = ticks() - start;
	return status;
}

int main(void)
{
	settle();
	irq_save();
	for (uint32_t i = 0; i < PASSAGES; i++)
		if (once(i) != WEIR_OK)
			return 1;
	report_row("port.open", 1, opened + WARM_UP, SAMPLES);
	report_row("port.timer", 1, set + WARM_UP, SAMPLES);
	report_row("port.close", 1, closed + WARM_UP, SAMPLES);
	return 0;
}
