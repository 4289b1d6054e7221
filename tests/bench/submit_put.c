/* What commands in the submission ring cost who puts them, and makes the call that takes them. */
#include <weir/submit.h>
#include "tests/bench/grant.h"
#include "tests/bench/meet.h"

#define BATCH 16u

static struct weir_submit ring;
static uint64_t send[PASSAGES], batch[PASSAGES], copy[PASSAGES];

static void measure_send(uint32_t i)
{
	uint64_t start;

	task_sleep(SETTLE_NS);
	MARK("from submit.send");
	start = ticks();
	weir_submit_event(&ring, port);
	send[i] = ticks() - start;
	MARK("to submit.send");
}

/* The first of them wakes the other. */
static void measure_batch(uint32_t i)
{
	uint64_t start;

	task_sleep(SETTLE_NS);
	MARK("from submit.batch_send");
	start = ticks();
	for (uint32_t n = 0; n < BATCH; n++)
		weir_submit_put_event(&ring, port);
	weir_submit_kick(&ring);
	batch[i] = ticks() - start;
	MARK("to submit.batch_send");
}

static bool measure_copy(uint32_t i, void *to, const void *from)
{
	struct block_request done = { .done = false };
	uint64_t start, flags = irq_save();

	MARK("from copy.4k");
	start = ticks();
	weir_submit_put_copy(&ring, to, from, PAGE_SIZE, (uint64_t)&done);
	weir_submit_kick(&ring);
	copy[i] = ticks() - start;
	MARK("to copy.4k");
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
		measure_send(i);
		measure_batch(i);
		/* Others than the last time: Weir has mapped neither. */
		if (!measure_copy(i, window + i % 2 * PAGE_SIZE, pages + i % 2 * PAGE_SIZE))
			return 1;
	}
	report_row("submit.send", 1, send + WARM_UP, SAMPLES);
	report_row("submit.batch_send", BATCH, batch + WARM_UP, SAMPLES);
	report_row("copy.4k", 1, copy + WARM_UP, SAMPLES);
	return 0;
}
