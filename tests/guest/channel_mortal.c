/*
 * Answers channel.c, and dies at some moment of it, to live again. It waits for records by WFI, as a guest
 * does that has no tasks.
 */
#include "tests/guest/channel.h"
#include "tests/guest/random.h"

#define SYSTEM_RESET 0x84000009u

static struct weir_channel talk;
static struct weir_page_ring ring = { .window_slots = PAGE_SLOTS, .window_slot_pages = SLOT_PAGES };
static uint64_t buffer[256];

static void die(void *arg)
{
	(void)arg;
	weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
}

static void die_soon(uint64_t life)
{
	struct random random = { .state = timer_now() + life };

	timer_set(timer_now() + timer_ticks(20000 + random_below(&random, 3000000)), die, NULL);
}

static void answer_records(void)
{
	uint32_t bytes;

	while (weir_channel_receive(&talk, buffer, sizeof(buffer), &bytes) == WEIR_OK) {
		for (uint32_t i = 0; i < bytes / 8; i++)
			buffer[i] = ~buffer[i];
		weir_channel_send(&talk, buffer, bytes);
	}
}

/*
 * Holds two for a while, so that it dies with pages of the other's; not before the first has come, for the
 * other would wait here, and the next life there.
 */
static void answer_pages(uint64_t life)
{
	struct weir_page_record record[2];

	for (uint64_t i = 0; weir_page_ring_receive(&ring, &record[i % 2]) == WEIR_OK; i++) {
		uint64_t *words = (uint64_t *)(void *)record[i % 2].data;

		for (uint64_t k = 0; k < record[i % 2].bytes / 8; k++)
			words[k] = ~words[k];
		if (i == 0)
			die_soon(life);
		else
			weir_page_ring_return(&ring, &record[(i + 1) % 2]);
	}
}

int main(void)
{
	struct channel_begin begin = { 0 };
	uint32_t bytes = 0;

	if (weir_channel_open(&talk, weir_here(), memory_shared(), "talk") != WEIR_OK)
		return 1;
	if (weir_channel_receive(&talk, &begin, sizeof(begin), &bytes) != WEIR_OK ||
	    bytes != sizeof(begin))
		return 1;
	if (begin.mode == MODE_END)
		return 0;
	if (begin.mode == MODE_PAGES && page_ring_open(&ring, "pages") != WEIR_OK)
		return 1;
	if (begin.mode == MODE_RECORDS) {
		die_soon(begin.life);
		answer_records();
	} else {
		answer_pages(begin.life);
	}
	printf("the other has closed the channel\n");
	return 1;
}
