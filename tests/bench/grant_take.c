/* What taking the page that grant_give.c passes costs, while that VM sleeps. */
#include "tests/bench/grant.h"

static uint64_t map[SAMPLES];

/* The next that is given; 0: the giver is off. */
static weir_handle next(weir_handle last)
{
	uint64_t word = last;
	bool open = true;

	while (weir_port_peer(port, &word, &open) == WEIR_OK && open && (!word || word == last))
		event_wait(port, TASK_FOREVER);
	return open ? word : 0;
}

int main(void)
{
	weir_handle grant = 0;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK)
		return 1;
	for (uint32_t i = 0; i < SAMPLES; i++) {
		uint64_t start;

		grant = next(grant);
		task_sleep(SETTLE_NS);
		weir_grant_unmap(0); /* the remains of the last one */
		MARK("from grant.map4k");
		start = ticks();
		if (weir_grant_map(port, grant, 0, NULL, NULL) != WEIR_OK)
			return 1;
		map[i] = ticks() - start;
		MARK("to grant.map4k");
		weir_port_publish(port, grant);
	}
	next(grant); /* the last one must not come home before it is revoked */
	report_row("grant.map4k", 1, map, SAMPLES);
	return 0;
}
