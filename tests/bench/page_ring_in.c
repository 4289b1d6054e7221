/* Returns what page_ring_out passes, record by record, until that VM is off. */
#include "tests/bench/ring.h"

static struct weir_page_ring ring = { .window_slots = 8, .window_slot_pages = 16 };

int main(void)
{
	struct weir_page_record record;

	if (page_ring_open(&ring, "bench") != WEIR_OK)
		return 1;
	while (weir_page_ring_receive(&ring, &record) == WEIR_OK)
		weir_page_ring_return(&ring, &record);
	return 0;
}
