/*
 * Watches the node of store_steps.c, and tells when it has heard that it was written. One does so only after a while in
 * which it has not given up its core.
 */
#include <guest.h>
#include <weir/store.h>
#include "tests/guest/bootargs.h"
#include "tests/guest/store_steps.h"

static weir_handle changes, told, node;

static bool written(void)
{
	struct weir_store_value value;

	return weir_store_read(weir_here(), node, &value) == WEIR_OK && value.generation > 1;
}

int main(void)
{
	uint64_t word = 0, end;
	weir_handle home = 0;
	char name[] = "w0";

	name[1] = (char)('0' + bootargs_number("me", 0));
	if (weir_port_open_store(&changes) != WEIR_OK ||
	    weir_port_find(weir_here(), name, &told) != WEIR_OK)
		return 1;
	if (weir_store_find(weir_here(), WEIR_STORE_ROOT, "writer", 0, &home) != WEIR_OK)
		return 1;
	while (weir_store_find(weir_here(), home, "n", 0, &node) != WEIR_OK)
		task_sleep(1000000);
	if (weir_store_watch(node, true) != WEIR_OK)
		return 1;
	event_wait(changes, timer_now()); /* it was opened */
	weir_port_publish(told, WATCHES);
	do
		event_wait(changes, TASK_FOREVER);
	while (!written());
	end = timer_now() + timer_ticks(bootargs_number("spin-ms", 0) * 1000000);
	while (timer_now() < end)
		__asm__ volatile("yield");
	weir_port_publish(told, timer_now());
	while (weir_port_peer(told, &word, 0) == WEIR_OK && word != ENOUGH)
		event_wait(told, TASK_FOREVER);
	return 0;
}
