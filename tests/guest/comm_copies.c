/*
 * Puts as many long copies at once as comm_budget.c may wait for, sleeps until they are done, and says how long that
 * took. Of its own time it takes next to nothing.
 */
#include <guest.h>
#include <weir/submit.h>
#include "tests/guest/comm.h"

#define COPIES 16u

static uint8_t from[WEIR_COPY_BYTES_MAX] __attribute__((aligned(64)));
static uint8_t to[WEIR_COPY_BYTES_MAX] __attribute__((aligned(64)));

int main(void)
{
	struct weir_submit ring;
	weir_handle control;
	uint64_t word = 0, begun;

	irq_handle(WEIR_INTID_BLOCK, NULL, NULL); /* completions are not looked at */
	weir_submit_init(&ring, weir_here());
	if (weir_port_find(weir_here(), "control", &control) != WEIR_OK)
		return 1;
	while (weir_port_peer(control, &word, NULL) == WEIR_OK && word != FLOOD_BEGIN)
		event_wait(control, TASK_FOREVER);
	begun = timer_now();
	for (uint64_t i = 0; i < COPIES; i++)
		weir_submit_put_copy(&ring, to, from, WEIR_COPY_BYTES_MAX, i);
	weir_submit_kick(&ring);
	weir_port_publish(control, 1);
	while (!weir_submit_done(&ring, ring.tail))
		task_sleep(500000);
	weir_port_publish(control, timer_now() - begun);
	while (weir_port_peer(control, &word, NULL) == WEIR_OK && word != FLOOD_END)
		event_wait(control, TASK_FOREVER);
	return 0;
}
