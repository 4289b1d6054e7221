/*
 * Puts one command at a time into its submission ring, while comm_flood.c keeps its own full, of the same
 * priority and at the same communication core. A turn of the core is a quantum of 4096 bytes, 16 events: so many of
 * the other may be taken before each of ours, and not one more. Time counts instructions, and cores run in
 * turns (yield): so the counts are the same in each run.
 */
#include <weir/submit.h>
#include "tests/guest/comm.h"
#include "tests/guest/peer.h"
#include "tests/guest/tap.h"

#define COMMANDS 500u
#define QUANTUM	 16u

static struct weir_submit ring;
static weir_handle control, noise;

TEST(the_other_floods)
{
	weir_submit_init(&ring, weir_here());
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "noise", &noise), WEIR_OK);
	CHECK_IS(weir_port_mask(noise, true), WEIR_OK);
	CHECK_IS(weir_port_publish(control, FLOOD_BEGIN), WEIR_OK);
	while (!word_of(control)) /* without sleep: the other does not wait */
		__asm__ volatile("yield");
}

/* Each is taken before the next one is put. */
TEST(each_command_waits_for_one_turn_of_the_other_at_most)
{
	uint64_t taken;

	for (uint32_t i = 0; i < COMMANDS; i++) {
		CHECK_IS(weir_submit_event(&ring, noise), WEIR_OK);
		while (!weir_submit_done(&ring, ring.tail))
			__asm__ volatile("yield");
		CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_OK);
	}
	CHECK_IS(weir_port_publish(control, FLOOD_END), WEIR_OK);
	CHECK(WAIT(word_of(control) > 1));
	taken = word_of(control);
	printf("%u commands, and of the flood %lu\n", COMMANDS, taken);
	CHECK(taken >= COMMANDS * QUANTUM);
	CHECK(taken <= (COMMANDS + 2) * QUANTUM); /* before the first and behind the last, too */
}

TESTS = {
	RUN(the_other_floods),
	RUN(each_command_waits_for_one_turn_of_the_other_at_most),
};
TESTS_MAIN
