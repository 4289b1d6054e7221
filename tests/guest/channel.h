/* What channel.c and channel_mortal.c agree on. */
#pragma once

#include <guest.h>

enum channel_mode { MODE_RECORDS = 1, MODE_PAGES = 2, MODE_END = 3 };

/* The first record of each session. */
struct channel_begin {
	uint64_t life;
	uint64_t mode;
};

#define PAGE_SLOTS 3u
#define SLOT_PAGES 4u
#define SLOT_WORDS (SLOT_PAGES * PAGE_SIZE / 8)

/* Record `number` of a life; what comes back is its complement. */
static inline uint64_t channel_word(uint64_t life, uint64_t number, uint64_t word)
{
	return (life << 40 | number) * 0x9e3779b97f4a7c15ull + word;
}

static inline uint32_t channel_words(uint64_t number)
{
	return 1 + (uint32_t)(number * 7 % 100);
}
