/* Reads what ring_in sends, and gives the room back record by record, until that VM is off. */
#include "tests/bench/ring.h"

static struct weir_ring_consumer ring;
static uint8_t content[LARGE];

static bool peer_is_there(void)
{
	bool open = false;

	return weir_port_peer(port, NULL, &open) == WEIR_OK && open;
}

static enum weir_status receive_record(void)
{
	enum weir_status status;
	uint32_t bytes, tag;

	while ((status = weir_ring_read(&ring, content, LARGE, &bytes, &tag)) == WEIR_AGAIN)
		if (weir_ring_arm_read(&ring) == WEIR_AGAIN) {
			event_wait(port, TASK_FOREVER);
			if (!peer_is_there())
				return WEIR_CLOSED;
		}
	if (weir_ring_release(&ring))
		weir_event_send(port);
	return status;
}

int main(void)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	struct region window = weir_region(WEIR_REGION_WINDOW);
	weir_handle grant;
	uint32_t pages;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK ||
	    weir_grant_map(port, meet(), 0, &pages, NULL) != WEIR_OK ||
	    weir_ring_consumer_init(&ring, pool.base, window.base, pages * PAGE_SIZE) != WEIR_OK ||
	    weir_grant_share(port, 0, 1, WEIR_READ, &grant) != WEIR_OK ||
	    weir_port_publish(port, grant) != WEIR_OK)
		return 1;
	while (receive_record() == WEIR_OK)
		;
	return 0;
}
