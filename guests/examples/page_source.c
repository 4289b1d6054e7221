/*
 * Page stream, the sender: a thousand records of 64 KiB, none of which is copied. Two buffers go round:
 * one that was passed is the other VM's until it comes back.
 */
#include <guest.h>

#define RECORDS 1000u
#define WORDS	(65536u / 8)

static struct weir_page_ring ring = { .slots = 2, .slot_pages = 16 };

int main(void)
{
	uint64_t sum = 0;

	if (page_ring_open(&ring, "pages") != WEIR_OK)
		return 1;
	for (uint64_t i = 0; i < RECORDS; i++) {
		uint8_t *buffer;
		uint64_t *words;

		if (weir_page_ring_reserve(&ring, &buffer) != WEIR_OK)
			return 1;
		words = (uint64_t *)(void *)buffer;
		for (uint64_t k = 0; k < WORDS; k += 64)
			sum += words[k] = i * k;
		if (weir_page_ring_pass(&ring, buffer, WORDS * 8) != WEIR_OK)
			return 1;
	}
	/* When this VM ends, the other loses the pages. */
	if (weir_page_ring_drain(&ring) != WEIR_OK)
		return 1;
	printf("passed %u records, sum %lu\n", RECORDS, sum);
	return 0;
}
