/*
 * What giving a page costs its home, while the peer (grant_take.c) sleeps: share, pass, revoke in use. And 2 MiB, which
 * the peer maps.
 */
#include "tests/bench/grant.h"

static uint64_t share[SAMPLES], pass[SAMPLES], revoke[SAMPLES];

static uint64_t give(enum weir_access access, weir_handle *grant)
{
	uint64_t start = ticks();

	weir_grant_share(port, 0, 1, access, grant);
	return ticks() - start;
}

/* The peer is told, and has mapped it. */
static void have_taken(weir_handle grant)
{
	uint64_t taken = 0;

	weir_port_publish(port, grant);
	while (weir_port_peer(port, &taken, NULL) == WEIR_OK && taken != grant)
		event_wait(port, TASK_FOREVER);
}

static bool measure(uint32_t i)
{
	weir_handle grant = 0;
	uint64_t start;

	task_sleep(SETTLE_NS);
	MARK("from grant.share");
	share[i] = give(WEIR_READ_WRITE, &grant);
	MARK("to grant.share");
	if (weir_grant_revoke(grant) != WEIR_OK)
		return false;
	MARK("from grant.pass4k");
	pass[i] = give(WEIR_PASS, &grant);
	MARK("to grant.pass4k");
	have_taken(grant);
	task_sleep(SETTLE_NS);
	MARK("from grant.revoke4k");
	start = ticks();
	if (weir_grant_revoke(grant) != WEIR_OK)
		return false;
	revoke[i] = ticks() - start;
	MARK("to grant.revoke4k");
	if (weir_grant_share(port, FIRST_2M, WEIR_GRANT_PAGES_2M, WEIR_READ_WRITE, &grant) !=
	    WEIR_OK)
		return false;
	have_taken(grant);
	return weir_grant_revoke(grant) == WEIR_OK;
}

int main(void)
{
	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK)
		return 1;
	settle();
	for (uint32_t i = 0; i < SAMPLES; i++)
		if (!measure(i))
			return 1;
	report_row("grant.share", 1, share, SAMPLES);
	report_row("grant.pass4k", 1, pass, SAMPLES);
	report_row("grant.revoke4k", 1, revoke, SAMPLES);
	return 0;
}
