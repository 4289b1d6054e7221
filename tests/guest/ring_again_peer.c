/*
 * Dies in the middle of a record, in each of its lives but the last, in turn as the producer and as
 * the consumer of the ring. Reports nothing itself.
 */
#include "tests/guest/ring_again.h"

#define SYSTEM_RESET 0x84000009u

static uint8_t buffer[RECORD_BYTES];

static void die(void)
{
	weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
}

static void fail(int line)
{
	weir_port_publish(control, FAILED | (uint64_t)line);
	task_sleep(WAIT_NS);
}

#define EXPECT(condition)               \
	do {                            \
		if (!(condition))       \
			fail(__LINE__); \
	} while (0)

/* The last record is filled in, and not, or not wholly, there. */
static void produce(uint64_t life)
{
	struct weir_ring_producer ring;
	weir_handle grant = 0, peers = 0;
	uint32_t number;

	EXPECT(weir_ring_producer_init(&ring, pool.base, RING_BYTES) == WEIR_OK);
	EXPECT(weir_grant_share(link, 0, RING_PAGES, WEIR_READ, &grant) == WEIR_OK);
	EXPECT(weir_port_publish(link, grant) == WEIR_OK);
	EXPECT(WAIT((peers = word_of(link)) != 0));
	EXPECT(weir_grant_map(link, peers, 0, NULL, NULL) == WEIR_OK);
	weir_ring_producer_connect(&ring, window.base);
	for (number = 0; number < records_of(life); number++) {
		EXPECT(write_record(&ring, life, number, peers) == WEIR_OK);
		if (number % 3 == 0)
			kick(weir_ring_publish(&ring));
	}
	kick(weir_ring_publish(&ring));
	EXPECT(write_record(&ring, life, number, peers) == WEIR_OK);
}

static void consume(uint64_t life)
{
	struct weir_ring_consumer ring;
	weir_handle grant = 0, peers = 0;
	uint32_t bytes = 0, tag = 0;

	EXPECT(WAIT((peers = word_of(link)) != 0));
	EXPECT(weir_grant_map(link, peers, 0, NULL, NULL) == WEIR_OK);
	EXPECT(weir_ring_consumer_init(&ring, pool.base, window.base, RING_BYTES) == WEIR_OK);
	EXPECT(weir_grant_share(link, 0, 1, WEIR_READ, &grant) == WEIR_OK);
	EXPECT(weir_port_publish(link, grant) == WEIR_OK);
	for (uint32_t number = 0; number < records_of(life); number++) {
		EXPECT(read_record(&ring, buffer, &bytes, &tag, peers) == WEIR_OK);
		EXPECT(tag == number && is_record(buffer, life, number, bytes));
		if (number % 5 == 0)
			kick(weir_ring_release(&ring));
	}
}

int main(void)
{
	uint64_t life = 0;

	EXPECT(find_channels());
	EXPECT(WAIT((life = word_of(control)) != 0));
	if (life & LAST_LIFE)
		return 0;
	if (life % 2)
		produce(life);
	else
		consume(life);
	die();
	return 1;
}
