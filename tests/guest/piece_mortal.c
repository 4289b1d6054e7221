/* The peer of piece.c: has its 2 MiB in its window, and dies with them. Reports nothing itself. */
#include <guest.h>
#include <weir/grant.h>
#include <weir/submit.h>
#include "tests/guest/piece.h"

#define SYSTEM_RESET 0x84000009u
#define WORDS	     (PIECE_PAGES * WEIR_PAGE_SIZE / 8)
#define PLACE	     512u

static weir_handle port;
static int failed; /* the line of the first check */
static volatile uint64_t *words;

#define EXPECT(condition)                    \
	do {                                 \
		if (!(condition) && !failed) \
			failed = __LINE__;   \
	} while (0)

static void answer(uint64_t word)
{
	weir_port_publish(port, failed ? PIECE_FAILED | (uint64_t)failed : word);
}

static void map(weir_handle grant)
{
	uint32_t pages = 0;

	EXPECT(weir_grant_map(port, grant, PLACE + 1, NULL, NULL) == WEIR_INVALID);
	EXPECT(weir_grant_map(port, grant, PLACE, &pages, NULL) == WEIR_OK);
	EXPECT(pages == PIECE_PAGES);
}

/* Between two words of the window, by Weir. */
static enum weir_status copy(uint64_t to, uint64_t from)
{
	struct block_request done = { .done = false };
	struct weir_submit ring;

	weir_submit_init(&ring, weir_here());
	weir_submit_put_copy(&ring, (void *)&words[to], (const void *)&words[from], 8,
			     (uint64_t)&done);
	weir_submit_kick(&ring);
	return block_wait(&done);
}

static void take(weir_handle grant)
{
	uint64_t different = 0;

	map(grant);
	EXPECT(copy(3, WORDS - 5) == WEIR_OK);
	EXPECT(words[3] == pattern(grant, WORDS - 5));
	words[3] = pattern(grant, 3);
	for (uint64_t i = 0; i < WORDS && !failed; i++) {
		different += words[i] != pattern(grant, i);
		words[i] = ~pattern(grant, i);
	}
	EXPECT(different == 0);
}

/* Each page is the sharer's or zeroes, at any time; in the end all are zeroes, and this VM's own. */
static void read_on(uint64_t word)
{
	uint64_t grant = word & PIECE_GRANT, step = WEIR_PAGE_SIZE / 8 + 8, others = 1;

	while (others && !failed) {
		others = 0;
		for (uint64_t i = 0; i < WORDS; i += step) {
			uint64_t is = words[i];

			EXPECT(is == 0 || is == pattern(grant, i));
			others += is != 0;
		}
	}
	EXPECT(copy(7, 8) == WEIR_CLOSED && copy(WORDS - 5, 8) == WEIR_CLOSED);
	words[7] = 0x1234;
	EXPECT(words[7] == 0x1234);
	words[7] = 0;
	answer(word | PIECE_GONE);
}

static void serve(uint64_t word)
{
	switch (word & ~PIECE_GRANT) {
	case PIECE_TAKE:
		take(word & PIECE_GRANT);
		break;
	case PIECE_READ:
		map(word & PIECE_GRANT);
		break;
	case PIECE_RETURN:
		EXPECT(weir_grant_unmap(PLACE) == WEIR_OK);
		EXPECT(weir_grant_unmap(PLACE) == WEIR_NOT_FOUND);
		break;
	case PIECE_RESET:
		weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
		break;
	default:
		break;
	}
	answer(word | PIECE_DONE);
	if ((word & ~PIECE_GRANT) == PIECE_READ)
		read_on(word);
}

int main(void)
{
	uint64_t word = 0, last = 0;

	if (weir_port_find(weir_here(), "piece", &port) != WEIR_OK)
		return 1;
	words = (uint64_t *)(weir_region(WEIR_REGION_WINDOW).base + PLACE * WEIR_PAGE_SIZE);
	while (word != PIECE_END) {
		weir_port_peer(port, &word, NULL);
		if (word == last)
			event_wait(port, TASK_FOREVER);
		else
			serve(word);
		last = word;
	}
	return 0;
}
