/* Receives what mqueue_sides_in has sent, which sleeps meanwhile. */
#include "tests/bench/mqueue_sides.h"

static struct weir_lane lanes[1];
static struct weir_inbox inbox;
static uint64_t content[LARGEST / 8];

INLINED uint64_t receive_turn(uint32_t bytes, uint32_t count)
{
	uint64_t start = ticks();

	for (uint32_t i = 0; i < count; i++) {
		struct weir_lane *from;
		uint32_t length;

		if (weir_inbox_try_receive(&inbox, content, bytes, &length, &from) != WEIR_OK)
			return 0;
	}
	return ticks() - start;
}

#define SIDE(function, send, receive, bytes, count)                    \
	__attribute__((noinline)) static void function(void)           \
	{                                                              \
		uint64_t sample[PASSAGES];                             \
                                                                       \
		for (uint32_t i = 0; i < PASSAGES; i++) {              \
			turn++;                                        \
			turn_await();                                  \
			sample[i] = receive_turn(bytes, count);        \
			turn_pass();                                   \
		}                                                      \
		report_row(receive, count, sample + WARM_UP, SAMPLES); \
	}

SIDES(SIDE)

int main(void)
{
	struct weir_lane *from;
	uint32_t length;

	inbox_make(&inbox, lanes, 1);
	inbox.window_pages = 1 + RING_PAGES;
	if (inbox_add(&inbox, lane_name(0)) != WEIR_OK ||
	    weir_port_find(weir_here(), "turns", &turns) != WEIR_OK ||
	    weir_inbox_receive(&inbox, content, sizeof(content), &length, &from) != WEIR_OK)
		return 1; /* the first message, with which the lane is there */
	side64();
	side4k();
	return 0;
}
