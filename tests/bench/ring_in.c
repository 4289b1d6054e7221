/*
 * Sends records through a ring to ring_out, on another core. A sample is the ticks of both cores
 * from the first record's write to the return of the last one's room, over the number of records:
 * copying in and out, publishing each record (of ring.batch64: each 32), and what the wake-ups cost
 * when the ring runs full and empty.
 */
#include "tests/bench/ring.h"

static struct weir_ring_producer ring;
static weir_handle port;
static uint64_t content[LARGEST / 8];

INLINED enum weir_status send_record(uint32_t bytes)
{
	enum weir_status status;

	while ((status = weir_ring_write(&ring, content, bytes, 0)) == WEIR_AGAIN)
		if (weir_ring_arm_write(&ring, bytes) == WEIR_AGAIN)
			event_wait(port, TASK_FOREVER);
	if (status != WEIR_OK)
		return status;
	if (weir_ring_publish(&ring))
		wake(port);
	return status;
}

/* The ring can be full in the midst of a batch. */
INLINED enum weir_status send_batch(uint32_t bytes)
{
	enum weir_status status;
	uint32_t done = 0, now;

	do {
		status = weir_ring_write_batch(&ring, (uint8_t *)content + done * bytes, bytes,
					       BATCH - done, 0, &now);
		done += now;
		if (weir_ring_publish(&ring))
			wake(port);
		if (status == WEIR_AGAIN && weir_ring_arm_write(&ring, bytes) == WEIR_AGAIN)
			event_wait(port, TASK_FOREVER);
	} while (status == WEIR_AGAIN);
	return status;
}

INLINED uint64_t send_records(uint32_t bytes, uint32_t count, bool batches)
{
	uint64_t start = ticks();

	MARK("from");
	for (uint32_t i = 0; i < count; i += batches ? BATCH : 1)
		if ((batches ? send_batch(bytes) : send_record(bytes)) != WEIR_OK)
			return 0;
	while (weir_ring_arm_drained(&ring) == WEIR_AGAIN)
		event_wait(port, TASK_FOREVER);
	MARK("to");
	return ticks() - start;
}

/* A row is a function of its own: in one of all of them the compiler would run out of registers. */
#define ROW(function, name, bytes, count, batches)                       \
	__attribute__((noinline)) static void function(void)             \
	{                                                                \
		uint64_t sample[PASSAGES];                               \
                                                                         \
		for (uint32_t i = 0; i < PASSAGES; i++)                  \
			sample[i] = send_records(bytes, count, batches); \
		report_row(name, count, sample + WARM_UP, SAMPLES);      \
	}

ROWS(ROW)

/* The grants from `first` on are the ring's `pages`, from `page` of the pool on. */
static bool open_ring(uint32_t first, uint32_t page, uint32_t pages)
{
	uint8_t *base = (uint8_t *)weir_region(WEIR_REGION_POOL).base + page * PAGE_SIZE;
	uint8_t *window = (uint8_t *)weir_region(WEIR_REGION_WINDOW).base;
	weir_handle grant;

	port = ports[first];
	if (weir_ring_producer_init(&ring, base, pages * PAGE_SIZE) != WEIR_OK)
		return false;
	for (uint32_t i = first; pages; i++) {
		uint32_t part = pages < WEIR_GRANT_PAGES_MAX ? pages : WEIR_GRANT_PAGES_MAX;

		if (weir_grant_share(ports[i], page, part, WEIR_READ, &grant) != WEIR_OK ||
		    weir_port_publish(ports[i], grant) != WEIR_OK)
			return false;
		page += part;
		pages -= part;
	}
	if (weir_grant_map(port, meet(port), first, NULL, NULL) != WEIR_OK)
		return false;
	weir_ring_producer_connect(&ring, window + first * PAGE_SIZE);
	return true;
}

int main(void)
{
	if (!find_ports() || !open_ring(0, 0, RING_PAGES))
		return 1;
	SMALL_ROWS(CALL)
	if (!open_ring(1, RING_PAGES, LARGE_PAGES))
		return 1;
	LARGE_ROWS(CALL)
	return 0;
}
