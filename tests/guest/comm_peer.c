/* The other end of comm.c: answers each event by a command of its own ring, until it is told to end. */
#include <weir/submit.h>
#include "tests/guest/comm.h"
#include "tests/guest/tap.h"

TEST(all_events_are_answered)
{
	struct weir_submit ring;
	uint64_t word = 0;
	weir_handle port = 0;

	weir_submit_init(&ring, weir_here());
	CHECK_IS(weir_port_find(weir_here(), "peer", &port), WEIR_OK);
	while (word != PEER_END) {
		CHECK(event_wait(port, timer_now() + timer_ticks(3 * WAIT_NS)));
		CHECK_IS(weir_submit_event(&ring, port), WEIR_OK);
		CHECK_IS(weir_port_peer(port, &word, NULL), WEIR_OK);
		if (tap_failure.line)
			return;
	}
}

TESTS = {
	RUN(all_events_are_answered),
};
TESTS_MAIN
