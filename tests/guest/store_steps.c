/*
 * A node that many watch, written by a VM below another of the same core: whom the call itself does not tell are told
 * in the writer's own time, so not before the more urgent one gives the core up; and all of them are.
 */
#include <weir/store.h>
#include "tests/guest/store_steps.h"
#include "tests/guest/tap.h"

#define WATCHERS 5u

static weir_handle port[WATCHERS], node;
static uint64_t heard[WATCHERS], written;

/* What the watcher says; NOT_YET if that is no more than `known`. */
static uint64_t says(uint32_t watcher, uint64_t known)
{
	uint64_t word = NOT_YET;

	weir_port_peer(port[watcher], &word, NULL);
	return word > known ? word : NOT_YET;
}

TEST(all_watch_a_node)
{
	CHECK_IS(weir_store_make(weir_here(), 0, "n", WEIR_STORE_ALL, 0, 0, &node), WEIR_OK);
	for (uint32_t i = 0; i < WATCHERS; i++) {
		char name[] = "w0";

		name[1] = (char)('1' + i);
		CHECK_IS(weir_port_find(weir_here(), name, &port[i]), WEIR_OK);
		CHECK(WAIT(says(i, NOT_YET) == WATCHES));
	}
}

TEST(all_hear_that_it_was_written)
{
	CHECK_IS(weir_store_write(weir_here(), node, "x", 1, 0, NULL), WEIR_OK);
	written = timer_now();
	for (uint32_t i = 0; i < WATCHERS; i++) {
		CHECK(WAIT(says(i, WATCHES)));
		heard[i] = says(i, WATCHES);
	}
}

TEST(who_is_more_urgent_is_not_held_up_by_telling_the_others)
{
	CHECK(heard[0] < written);
	for (uint32_t i = 2; i < WATCHERS; i++)
		CHECK(heard[i] > heard[0]);
}

TEST(all_end)
{
	for (uint32_t i = 0; i < WATCHERS; i++)
		CHECK_IS(weir_port_publish(port[i], ENOUGH), WEIR_OK);
}

TESTS = {
	RUN(all_watch_a_node),
	RUN(all_hear_that_it_was_written),
	RUN(who_is_more_urgent_is_not_held_up_by_telling_the_others),
	RUN(all_end),
};
TESTS_MAIN
