/* Sends by one lane of a queue, the receiver asleep, then wakes it to receive what was sent. */
#include "tests/bench/mqueue_sides.h"

static struct weir_sender sender;
static uint64_t content[LARGEST / 8];

INLINED uint64_t send_turn(uint32_t bytes, uint32_t count)
{
	uint64_t start = ticks();

	for (uint32_t i = 0; i < count; i++)
		if (weir_sender_send(&sender, content, bytes) != WEIR_OK)
			return 0;
	return ticks() - start;
}

#define SIDE(function, send, receive, bytes, count)                 \
	__attribute__((noinline)) static void function(void)        \
	{                                                           \
		uint64_t sample[PASSAGES];                          \
                                                                    \
		for (uint32_t i = 0; i < PASSAGES; i++) {           \
			turn++;                                     \
			sample[i] = send_turn(bytes, count);        \
			turn_pass();                                \
			turn_await();                               \
		}                                                   \
		report_row(send, count, sample + WARM_UP, SAMPLES); \
	}

SIDES(SIDE)

int main(void)
{
	memset(content, 1, sizeof(content)); /* or the compiler knows that it is zero */
	sender.channel.ring_pages = RING_PAGES;
	if (sender_open(&sender, lane_name(0)) != WEIR_OK ||
	    weir_port_find(weir_here(), "turns", &turns) != WEIR_OK ||
	    weir_sender_send(&sender, content, 64) != WEIR_OK)
		return 1;
	task_sleep(SETTLE_NS);
	side64();
	side4k();
	return 0;
}
