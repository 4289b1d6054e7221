/* One of many that watch the deep nodes of paths_store.c, and take what they are told. */
#include <weir/store.h>
#include "guests/lib/runtime.h"

#define LIFE_NS 400000000ull

/* All that there is from the home down, and its first child of the last level. */
static void watch_all(weir_handle node)
{
	for (uint32_t depth = 0; depth < WEIR_STORE_DEPTH; depth++) {
		struct weir_store_child child;
		uint64_t at = 0;

		weir_store_watch(node, true);
		if (weir_store_list(weir_here(), node, &at, &child) != WEIR_OK)
			return;
		node = child.node;
	}
}

int main(void)
{
	uint64_t end = timer_now() + timer_ticks(LIFE_NS);
	weir_handle port, home = 0, node;
	bool gone;

	if (weir_port_open_store(&port) != WEIR_OK ||
	    weir_store_find(weir_here(), WEIR_STORE_ROOT, "paths", 0, &home) != WEIR_OK)
		return 1;
	while (timer_now() < end) {
		watch_all(home);
		while (weir_store_watch_next(&node, &gone) == WEIR_OK)
			;
		event_wait(port, end);
	}
	return 0;
}
