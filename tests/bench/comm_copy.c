/*
 * What a copy costs who puts it and the communication core that makes it, which is awake: when it was put the other
 * waits in `yield`, as the core does between two looks. The page copied to is one of submit_get.c.
 */
#include <weir/submit.h>
#include "tests/bench/grant.h"
#include "tests/bench/meet.h"

static struct weir_submit ring;
static uint64_t put[PASSAGES], made[PASSAGES];

static void await(void)
{
	while (!weir_submit_done(&ring, ring.tail))
		spin_yield();
}

static bool measure(uint32_t i, void *to, const void *from)
{
	struct block_request done = { .done = false };
	uint64_t start, end, flags = irq_save();

	weir_submit_event(&ring, port); /* from here on the core is awake */
	await();
	spin_yield();
	MARK("from copy.comm_core_put");
	start = ticks();
	weir_submit_put_copy(&ring, to, from, PAGE_SIZE, (uint64_t)&done);
	weir_submit_kick(&ring);
	end = ticks();
	MARK("to copy.comm_core_put");
	put[i] = end - start;
	MARK("from copy.comm_core_4k");
	start = ticks();
	await();
	made[i] = ticks() - start;
	MARK("to copy.comm_core_4k");
	irq_restore(flags);
	return block_wait(&done) == WEIR_OK;
}

int main(void)
{
	uint8_t *pages = memory_pages(2), *window = weir_region(WEIR_REGION_WINDOW).base;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK ||
	    weir_grant_map(port, meet(port), 0, NULL, NULL) != WEIR_OK)
		return 1;
	settle();
	weir_submit_init(&ring, weir_here());
	for (uint32_t i = 0; i < PASSAGES; i++) {
		task_sleep(SETTLE_NS); /* the other has taken the event, and sleeps again */
		if (!measure(i, window + i % 2 * PAGE_SIZE, pages + i % 2 * PAGE_SIZE))
			return 1;
	}
	report_row("copy.comm_core_put", 1, put + WARM_UP, SAMPLES);
	report_row("copy.comm_core_4k", 1, made + WARM_UP, SAMPLES);
	return 0;
}
