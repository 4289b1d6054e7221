/*
 * A copy of 4 KiB into a shared page, by the library's memcpy; and a word that is stored there, for
 * raw_out, which waits for it.
 */
#include "tests/bench/raw.h"

#define COPIES 100u

static uint8_t content[PAGE_SIZE] __attribute__((aligned(64)));

static void measure_copy(void *page)
{
	uint64_t sample[PASSAGES];

	for (uint32_t i = 0; i < PASSAGES; i++) {
		uint64_t start = ticks();

		MARK("from");
		for (uint32_t k = 0; k < COPIES; k++)
			memcpy(page, content, PAGE_SIZE);
		MARK("to");
		sample[i] = ticks() - start;
	}
	report_row("raw.memcpy4k", COPIES, sample + WARM_UP, SAMPLES);
}

static void measure_word(struct words *own, const struct words *peer)
{
	uint64_t at[PASSAGES];

	for (uint32_t i = 0; i < PASSAGES; i++) {
		wait_for(&peer->seen, i + 1); /* it waits */
		MARK("from raw.shared_word");
		at[i] = ticks();
		__atomic_store_n(&own->stored, i + 1, __ATOMIC_RELEASE);
		spin_yield();
	}
	report_ends("from", "raw.shared_word", at);
}

int main(void)
{
	struct words *own = (struct words *)weir_region(WEIR_REGION_POOL).base;
	weir_handle port;

	if (!exchange_pages(&port))
		return 1;
	measure_copy(own);
	memset(own, 0, PAGE_SIZE);
	weir_port_publish(port, 1);
	measure_word(own, (const struct words *)weir_region(WEIR_REGION_WINDOW).base);
	return 0;
}
