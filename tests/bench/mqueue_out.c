/* Receives what mqueue_in sends. */
#include "tests/bench/mqueue.h"

static struct weir_lane lanes[LANES];
static struct weir_inbox inbox;
static uint64_t content[LARGEST / 8];

INLINED void receive(uint32_t bytes, uint32_t count)
{
	for (uint64_t left = MESSAGES_IN_ALL(count); left; left--) {
		struct weir_lane *from;
		uint32_t length;

		if (weir_inbox_receive(&inbox, content, bytes, &length, &from) != WEIR_OK)
			return;
	}
}

/* As in mqueue_in. */
#define ROW(function, name, bytes, count, lanes)             \
	__attribute__((noinline)) static void function(void) \
	{                                                    \
		receive(bytes, count);                       \
	}

ROWS(ROW)

int main(void)
{
	inbox_make(&inbox, lanes, LANES);
	inbox.window_pages = 1 + RING_PAGES;
	for (uint32_t i = 0; i < LANES; i++)
		if (inbox_add(&inbox, lane_name(i)) != WEIR_OK)
			return 1;
	record64();
	bulk4k();
	fan_in();
	return 0;
}
