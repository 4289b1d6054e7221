/*
 * What EL2 does for a 4 KiB read: submitting, the device's interrupt, the completion and the
 * virtual interrupt. One request at a time; the benchmark build of Weir says how many ticks this VM
 * was at EL2.
 */
#include "tests/bench/bench.h"
#include "tests/bench/hypervisor/stats_call.h"

#define REQUESTS 64u

static struct weir_pages pages;
static uint8_t buffer[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
static uint32_t finished, failed;

static void on_interrupt(uint64_t at, uint32_t intid)
{
	struct weir_completion completion;

	(void)at;
	if (intid != WEIR_INTID_BLOCK)
		return;
	while (weir_block_next(&pages, &completion)) {
		failed += completion.status != WEIR_OK;
		finished++;
	}
}

static uint64_t el2_ticks(void)
{
	return weir_call(WEIR_FN(STATS_CALL), STATS_EL2_TICKS, 0, 0, 0, 0, 0).value[0];
}

static bool read_all(void)
{
	for (uint32_t i = 0; i < REQUESTS; i++) {
		uint32_t before = finished;

		if (weir_block_submit(0, WEIR_BLOCK_READ, 8 * i, 8, buffer, i) != WEIR_OK)
			return false;
		sleep_change(&finished, before);
	}
	return !failed;
}

int main(void)
{
	uint64_t sample[SAMPLES];

	settle();
	lean_start();
	if (weir_pages_get(&pages) != WEIR_OK || !read_all())
		return 1;
	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint64_t before = el2_ticks();

		MARK("from block.el2_per_request");
		if (!read_all())
			return 1;
		MARK("to block.el2_per_request");
		sample[i] = el2_ticks() - before;
	}
	report_row("block.el2_per_request", REQUESTS, sample, SAMPLES);
	return 0;
}
