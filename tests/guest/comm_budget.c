/*
 * Puts one command at a time while comm_copies.c, which is more urgent and has a budget of 1 ms in 5, keeps the same
 * communication core busy for 7 ms: each waits for that budget at most, and the copies are made over several periods.
 * Time counts instructions, and cores run in turns (yield).
 */
#include <weir/submit.h>
#include "tests/guest/comm.h"
#include "tests/guest/tap.h"

#define BUDGET_NS 1000000ull
#define PERIOD_NS 5000000ull
#define WATCH_NS  (4 * PERIOD_NS)

static struct weir_submit ring;
static weir_handle control, noise;

static uint64_t word_of(weir_handle port)
{
	uint64_t word = 0;

	weir_port_peer(port, &word, NULL);
	return word;
}

TEST(the_other_copies)
{
	weir_submit_init(&ring, weir_here());
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "noise", &noise), WEIR_OK);
	CHECK_IS(weir_port_mask(noise, true), WEIR_OK);
	CHECK_IS(weir_port_publish(control, FLOOD_BEGIN), WEIR_OK);
	while (!word_of(control))
		__asm__ volatile("yield");
}

TEST(a_command_waits_for_the_budget_of_the_other_at_most)
{
	uint64_t end = timer_now() + timer_ticks(WATCH_NS), longest = 0;

	while (timer_now() < end) {
		uint64_t put = timer_now(), waited;

		CHECK_IS(weir_submit_event(&ring, noise), WEIR_OK);
		while (!weir_submit_done(&ring, ring.tail))
			__asm__ volatile("yield");
		waited = timer_now() - put;
		longest = waited > longest ? waited : longest;
	}
	printf("longest: %lu ns\n", longest);
	CHECK(longest < timer_ticks(BUDGET_NS * 3 / 2));
}

TEST(the_copies_take_a_budget_in_each_period)
{
	CHECK_IS(word_of(control), 1); /* by now they are not done */
	CHECK(WAIT(word_of(control) > 1));
	printf("all copies: %lu ns\n", word_of(control));
	CHECK(word_of(control) > timer_ticks(4 * PERIOD_NS));
	CHECK_IS(weir_port_publish(control, FLOOD_END), WEIR_OK);
}

TESTS = {
	RUN(the_other_copies),
	RUN(a_command_waits_for_the_budget_of_the_other_at_most),
	RUN(the_copies_take_a_budget_in_each_period),
};
TESTS_MAIN
