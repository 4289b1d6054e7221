/*
 * A bulk ring whose peer dies again and again in the middle of it, as the producer or as the consumer,
 * and that is set up again with the peer's next life: records come whole, in order, from the
 * first, none of them of an earlier life.
 */
#include "tests/guest/ring_again.h"

#define LIVES	    40u
#define IN_THE_RING 60u /* more records than there ever are */

static weir_handle ring_grant, page_grant;
static uint8_t *ring_pages, *page;
static uint8_t buffer[RECORD_BYTES];

static bool peer_is_new(void)
{
	return is_open(control) && is_open(link) && word_of(control) == 0 && word_of(link) == 0;
}

/* As much of what the peer sent as was there before it died: all but what fits into the ring. */
static void consume(uint64_t life)
{
	struct weir_ring_consumer ring;
	enum weir_status status = WEIR_OK;
	uint32_t number = 0, bytes = 0, tag = 0;
	weir_handle peers = 0;

	CHECK_IS(weir_port_publish(control, life), WEIR_OK);
	CHECK(WAIT((peers = word_of(link)) != 0));
	CHECK_IS(weir_grant_map(link, peers, 0, NULL, NULL), WEIR_OK);
	CHECK_IS(weir_ring_consumer_init(&ring, page, window.base, RING_BYTES), WEIR_OK);
	CHECK_IS(weir_port_publish(link, page_grant), WEIR_OK);
	while (!tap_failure.line) {
		status = read_record(&ring, buffer, &bytes, &tag, peers);
		if (status != WEIR_OK)
			break;
		CHECK_IS(tag, number);
		CHECK(is_record(buffer, life, number, bytes));
		number++;
		if (number % 4 == 0)
			kick(weir_ring_release(&ring));
	}
	CHECK_IS(status, WEIR_CLOSED);
	CHECK(number <= records_of(life));
	CHECK(number + IN_THE_RING > records_of(life));
	CHECK_IS(weir_grant_unmap(0), WEIR_OK);
}

/* Until the peer dies: it has read what it wanted, at least. */
static void produce(uint64_t life)
{
	struct weir_ring_producer ring;
	enum weir_status status = WEIR_OK;
	uint32_t number = 0;
	weir_handle peers = 0;

	CHECK_IS(weir_ring_producer_init(&ring, ring_pages, RING_BYTES), WEIR_OK);
	CHECK_IS(weir_port_publish(link, ring_grant), WEIR_OK);
	CHECK_IS(weir_port_publish(control, life), WEIR_OK);
	CHECK(WAIT((peers = word_of(link)) != 0));
	CHECK_IS(weir_grant_map(link, peers, 0, NULL, NULL), WEIR_OK);
	weir_ring_producer_connect(&ring, window.base);
	while (!tap_failure.line) {
		status = write_record(&ring, life, number, peers);
		if (status != WEIR_OK)
			break;
		number++;
		if (number % 7 == 0)
			kick(weir_ring_publish(&ring));
	}
	CHECK_IS(status, WEIR_CLOSED);
	CHECK(number >= records_of(life));
	CHECK_IS(weir_grant_unmap(0), WEIR_OK);
}

TEST(a_ring_is_set_up_again_with_a_peer_that_dies_in_the_middle)
{
	CHECK(find_channels());
	ring_pages = pool.base;
	page = ring_pages + RING_BYTES;
	CHECK_IS(weir_grant_share(link, 0, RING_PAGES, WEIR_READ, &ring_grant), WEIR_OK);
	CHECK_IS(weir_grant_share(link, RING_PAGES, 1, WEIR_READ, &page_grant), WEIR_OK);
	for (uint64_t life = 1; life <= LIVES && !tap_failure.line; life++) {
		CHECK(WAIT(peer_is_new()));
		if (life % 2)
			consume(life);
		else
			produce(life);
		CHECK_IS(word_of(control), 0); /* else the line of the peer's failure */
	}
	CHECK(WAIT(peer_is_new()));
	CHECK_IS(weir_port_publish(control, LAST_LIFE), WEIR_OK);
	CHECK(WAIT(!is_open(control)));
}

TESTS = {
	RUN(a_ring_is_set_up_again_with_a_peer_that_dies_in_the_middle),
};
TESTS_MAIN
