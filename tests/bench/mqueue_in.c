/*
 * Eight senders send messages to mqueue_out, on another core, by one queue. A sample is the ticks of both cores
 * from the first message's write to the return of the last one's room, over the number of messages, as with the
 * ring. Of mqueue.record64 and mqueue.bulk4k one sends, and seven lanes are idle.
 */
#include "tests/bench/mqueue.h"

static struct weir_sender senders[LANES];
static uint64_t content[LARGEST / 8];

INLINED uint64_t send_messages(uint32_t bytes, uint32_t count, uint32_t lanes)
{
	uint64_t start = ticks();

	MARK("from");
	for (uint32_t i = 0; i < count; i++)
		if (weir_sender_send(&senders[lanes == 1 ? 0 : i % lanes], content, bytes) !=
		    WEIR_OK)
			return 0;
	for (uint32_t i = 0; i < lanes; i++)
		weir_sender_drain(&senders[i]);
	MARK("to");
	return ticks() - start;
}

/* A row is a function of its own, as in ring_in. */
#define ROW(function, name, bytes, count, lanes)                        \
	__attribute__((noinline)) static void function(void)            \
	{                                                               \
		uint64_t sample[PASSAGES];                              \
                                                                        \
		for (uint32_t i = 0; i < PASSAGES; i++)                 \
			sample[i] = send_messages(bytes, count, lanes); \
		report_row(name, count, sample + WARM_UP, SAMPLES);     \
	}

ROWS(ROW)

int main(void)
{
	memset(content, 1, sizeof(content)); /* or the compiler knows that it is zero */
	for (uint32_t i = 0; i < LANES; i++) {
		senders[i].channel.ring_pages = RING_PAGES;
		if (sender_open(&senders[i], lane_name(i)) != WEIR_OK)
			return 1;
	}
	record64();
	bulk4k();
	fan_in();
	return 0;
}
