/*
 * Sends records through a ring to ring_out, on another core. A sample is the ticks of both cores
 * from the first record's write to the return of the last one's room, over the number of records:
 * copying in and out, publishing each record, and what the wake-ups cost when the ring runs full
 * and empty.
 */
#include "tests/bench/ring.h"

static struct weir_ring_producer ring;
static uint8_t content[LARGE];

static enum weir_status send_record(uint32_t bytes)
{
	enum weir_status status;

	while ((status = weir_ring_write(&ring, content, bytes, 0)) == WEIR_AGAIN)
		if (weir_ring_arm_write(&ring, bytes) == WEIR_AGAIN)
			event_wait(port, TASK_FOREVER);
	if (weir_ring_publish(&ring))
		weir_event_send(port);
	return status;
}

static uint64_t send_records(uint32_t bytes, uint32_t count)
{
	uint64_t start = ticks();

	for (uint32_t i = 0; i < count; i++)
		if (send_record(bytes) != WEIR_OK)
			return 0;
	while (weir_ring_arm_drained(&ring) == WEIR_AGAIN)
		event_wait(port, TASK_FOREVER);
	return ticks() - start;
}

static void measure(const char *name, uint32_t bytes, uint32_t count)
{
	uint64_t sample[SAMPLES];

	for (uint32_t i = 0; i < WARM_UP; i++)
		send_records(bytes, count);
	for (uint32_t i = 0; i < SAMPLES; i++)
		sample[i] = send_records(bytes, count);
	report_row(name, count, sample, SAMPLES);
}

int main(void)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	struct region window = weir_region(WEIR_REGION_WINDOW);
	weir_handle grant;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK ||
	    weir_ring_producer_init(&ring, pool.base, RING_PAGES * PAGE_SIZE) != WEIR_OK ||
	    weir_grant_share(port, 0, RING_PAGES, WEIR_READ, &grant) != WEIR_OK ||
	    weir_port_publish(port, grant) != WEIR_OK ||
	    weir_grant_map(port, meet(), 0, NULL, NULL) != WEIR_OK)
		return 1;
	weir_ring_producer_connect(&ring, window.base);
	measure("ring.record64", SMALL, SMALLS);
	measure("ring.bulk4k", LARGE, LARGES);
	weir_event_send(port);
	return 0;
}
