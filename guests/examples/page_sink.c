/* Page stream, the receiver: looks at the pages where they are, and returns them. */
#include <guest.h>

static struct weir_page_ring ring = { .window_slots = 2, .window_slot_pages = 16 };

int main(void)
{
	struct weir_page_record record;
	uint64_t sum = 0, records = 0;

	if (page_ring_open(&ring, "pages") != WEIR_OK)
		return 1;
	while (weir_page_ring_receive(&ring, &record) == WEIR_OK) {
		const uint64_t *words = (const uint64_t *)(const void *)record.data;

		for (uint64_t k = 0; k < record.bytes / 8; k += 64)
			sum += words[k];
		records++;
		weir_page_ring_return(&ring, &record);
	}
	printf("received %lu records, sum %lu\n", records, sum);
	return 0;
}
