/* What taking the page, and then the 2 MiB, that grant_give.c gives costs, while that VM sleeps. */
#include "tests/bench/grant.h"

static uint64_t map4k[SAMPLES], map2m[SAMPLES];
static weir_handle grant; /* the last one */

/* The next that is given, and its place is free; false: the giver is off. */
static bool next(uint64_t place)
{
	uint64_t word = grant;
	bool open = true;

	while (weir_port_peer(port, &word, &open) == WEIR_OK && open && (!word || word == grant))
		event_wait(port, TASK_FOREVER);
	grant = word;
	task_sleep(SETTLE_NS);
	weir_grant_unmap(place); /* the remains of the last one */
	return open;
}

static bool measure(uint32_t i)
{
	uint64_t start;

	next(0);
	MARK("from grant.map4k");
	start = ticks();
	if (weir_grant_map(port, grant, 0, NULL, NULL) != WEIR_OK)
		return false;
	map4k[i] = ticks() - start;
	MARK("to grant.map4k");
	weir_port_publish(port, grant);
	next(FIRST_2M);
	MARK("from grant.map2m");
	start = ticks();
	if (weir_grant_map(port, grant, FIRST_2M, NULL, NULL) != WEIR_OK)
		return false;
	map2m[i] = ticks() - start;
	MARK("to grant.map2m");
	weir_port_publish(port, grant);
	return true;
}

int main(void)
{
	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK)
		return 1;
	settle();
	for (uint32_t i = 0; i < SAMPLES; i++)
		if (!measure(i))
			return 1;
	next(0); /* the last one must not come home before it is revoked */
	report_row("grant.map4k", 1, map4k, SAMPLES);
	report_row("grant.map2m", 1, map2m, SAMPLES);
	return 0;
}
