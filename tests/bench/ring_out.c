/* Reads what ring_in sends, and gives the room back record by record, or batch by batch. */
#include "tests/bench/ring.h"

static struct weir_ring_consumer ring;
static weir_handle port;
static uint64_t content[LARGEST / 8];

INLINED enum weir_status receive_record(uint32_t bytes)
{
	enum weir_status status;
	uint32_t length, tag;

	while ((status = weir_ring_read(&ring, content, bytes, &length, &tag)) == WEIR_AGAIN)
		if (weir_ring_arm_read(&ring) == WEIR_AGAIN)
			event_wait(port, TASK_FOREVER);
	if (status != WEIR_OK)
		return status;
	if (weir_ring_release(&ring))
		wake(port);
	return status;
}

/* What is there, up to a batch. */
INLINED uint32_t receive_batch(uint32_t bytes)
{
	uint32_t done;
	enum weir_status status = weir_ring_read_batch(&ring, content, bytes, BATCH, NULL, &done);

	if (weir_ring_release(&ring))
		wake(port);
	if (status == WEIR_AGAIN && weir_ring_arm_read(&ring) == WEIR_AGAIN)
		event_wait(port, TASK_FOREVER);
	return done;
}

INLINED void receive(uint32_t bytes, uint32_t count, bool batches)
{
	uint64_t left = RECORDS_IN_ALL(count);

	while (left)
		if (batches)
			left -= receive_batch(bytes);
		else if (receive_record(bytes) == WEIR_OK)
			left--;
		else
			return;
}

/* As in ring_in. */
#define ROW(function, name, bytes, count, batches)           \
	__attribute__((noinline)) static void function(void) \
	{                                                    \
		receive(bytes, count, batches);              \
	}

ROWS(ROW)

/* The ring comes in the grants from `first` on; this side's page is the one of that number. */
static bool open_ring(uint32_t first, uint32_t pages)
{
	uint8_t *page = (uint8_t *)weir_region(WEIR_REGION_POOL).base + first * PAGE_SIZE;
	uint8_t *window = (uint8_t *)weir_region(WEIR_REGION_WINDOW).base;
	weir_handle grant;
	uint32_t mapped = 0, part;

	port = ports[first];
	for (uint32_t i = first; mapped < pages; i++, mapped += part)
		if (weir_grant_map(ports[i], meet(ports[i]), first + mapped, &part, NULL) !=
		    WEIR_OK)
			return false;
	return weir_ring_consumer_init(&ring, page, window + first * PAGE_SIZE,
				       pages * PAGE_SIZE) == WEIR_OK &&
	       weir_grant_share(port, first, 1, WEIR_READ, &grant) == WEIR_OK &&
	       weir_port_publish(port, grant) == WEIR_OK;
}

int main(void)
{
	if (!find_ports() || !open_ring(0, RING_PAGES))
		return 1;
	SMALL_ROWS(CALL)
	weir_grant_unmap(0);
	if (!open_ring(1, LARGE_PAGES))
		return 1;
	LARGE_ROWS(CALL)
	return 0;
}
