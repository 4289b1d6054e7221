/* Waits for each word that raw_in stores. */
#include "tests/bench/raw.h"

int main(void)
{
	struct words *own = (struct words *)weir_region(WEIR_REGION_POOL).base;
	const struct words *peer = (const struct words *)weir_region(WEIR_REGION_WINDOW).base;
	uint64_t at[PASSAGES];
	weir_handle port;

	if (!exchange_pages(&port))
		return 1;
	while (meet(port) != 1)
		event_wait(port, TASK_FOREVER);
	for (uint32_t i = 0; i < PASSAGES; i++) {
		__atomic_store_n(&own->seen, i + 1, __ATOMIC_RELEASE);
		wait_for(&peer->stored, i + 1);
		at[i] = ticks();
		MARK("to raw.shared_word");
	}
	report_ends("to", "raw.shared_word", at);
	return 0;
}
