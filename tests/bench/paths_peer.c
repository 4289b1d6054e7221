/* The other VM of paths: maps what it is granted, uses the core and the FP registers too. */
#include "tests/bench/bench.h"

static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

int main(void)
{
	weir_handle port;
	uint64_t word = 0, last = 0;
	bool open = true, keep = false;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK)
		return 1;
	while (weir_port_peer(port, &word, &open) == WEIR_OK && open) {
		__asm__ volatile(".arch_extension fp\n\tfmov d0, xzr");
		if (word != last && weir_grant_map(port, word, 0, NULL, NULL) == WEIR_OK && !keep)
			weir_grant_unmap(0);
		if (word != last)
			keep = !keep;
		last = word;
		event_wait(port, timer_now() + timer_ticks(5000000));
		if (!keep)
			weir_grant_unmap(0);
	}
	return 0;
}
