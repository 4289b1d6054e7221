/* Keeps its submission ring full, until comm_honest.c has had enough; then it says how many were taken. */
#include <weir/submit.h>
#include "tests/guest/comm.h"
#include "tests/guest/tap.h"

static weir_handle control, noise;
static struct weir_submit ring;
static uint64_t told;

static void on_control(weir_handle port, void *arg)
{
	uint64_t word = 0;

	(void)arg;
	weir_port_peer(port, &word, NULL);
	SHARED_WRITE(told, word);
}

TEST(it_floods)
{
	uint64_t first;

	weir_submit_init(&ring, weir_here());
	CHECK_IS(weir_port_find(weir_here(), "noise", &noise), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_mask(noise, true), WEIR_OK);
	event_handle(control, on_control, NULL);
	CHECK(WAIT(SHARED_READ(told) == FLOOD_BEGIN));
	while (weir_submit_event(&ring, noise) == WEIR_OK)
		;
	first = weir_submit_head(&ring);
	CHECK_IS(weir_port_publish(control, 1), WEIR_OK);
	while (SHARED_READ(told) != FLOOD_END) {
		while (weir_submit_event(&ring, noise) == WEIR_OK)
			;
		__asm__ volatile("yield");
	}
	CHECK_IS(weir_port_publish(control, weir_submit_head(&ring) - first), WEIR_OK);
}

TESTS = {
	RUN(it_floods),
};
TESTS_MAIN
