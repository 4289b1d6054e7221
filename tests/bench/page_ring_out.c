/*
 * Passes records of 16 pages to page_ring_in, on another core, who returns them. A sample is the ticks of
 * both cores from the first record to the return of the last, over the number of records: no content is
 * written or read, but all else is there: pass, the message, map, return, the event that tells of it, and
 * what is slept when all buffers are away.
 */
#include "tests/bench/ring.h"

#define RECORDS 100u

static struct weir_page_ring ring = { .slots = 8, .slot_pages = 16 };

static uint64_t pass_records(void)
{
	uint64_t start = ticks();
	uint8_t *buffer;

	MARK("from");
	for (uint32_t i = 0; i < RECORDS; i++)
		if (weir_page_ring_reserve(&ring, &buffer) != WEIR_OK ||
		    weir_page_ring_pass(&ring, buffer, 16 * PAGE_SIZE) != WEIR_OK)
			return 0;
	if (weir_page_ring_drain(&ring) != WEIR_OK)
		return 0;
	MARK("to");
	return ticks() - start;
}

int main(void)
{
	uint64_t sample[SAMPLES];

	if (page_ring_open(&ring, "bench") != WEIR_OK)
		return 1;
	for (uint32_t i = 0; i < WARM_UP; i++)
		pass_records();
	for (uint32_t i = 0; i < SAMPLES; i++)
		sample[i] = pass_records();
	report_row("page_ring.64k", RECORDS, sample, SAMPLES);
	return 0;
}
