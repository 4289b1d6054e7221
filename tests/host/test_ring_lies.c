/*
 * The bulk ring, guests/include/weir/ring.h, with a peer that lies, or goes away: the ring is closed, and
 * nothing outside of it is touched.
 */
#include "ring_pair.h"

static void sizes_that_are_no_ring_are_refused(void **state)
{
	static const uint64_t sizes[] = { 0, 8, 4095, 4097, 6144, 1ull << 31, UINT64_MAX };
	struct pair pair = make_pair(2 * SMALL);

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_int_equal(weir_ring_producer_init(&pair.producer, pair.pages, sizes[i]),
				 WEIR_INVALID);
		assert_int_equal(
			weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, sizes[i]),
			WEIR_INVALID);
	}
	/* The producer says two pages. */
	assert_int_equal(weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, SMALL),
			 WEIR_CLOSED);
	pair.pages->magic++;
	assert_int_equal(weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, 2 * SMALL),
			 WEIR_CLOSED);
	free_pair(&pair);
}

static void expect_producer_closed(struct pair *pair)
{
	void *data;

	assert_int_equal(weir_ring_reserve(&pair->producer, 8, &data), WEIR_CLOSED);
	assert_int_equal(weir_ring_commit(&pair->producer, 0, 0), WEIR_CLOSED);
	assert_int_equal(weir_ring_arm_write(&pair->producer, 8), WEIR_CLOSED);
	assert_int_equal(weir_ring_arm_drained(&pair->producer), WEIR_CLOSED);
	assert_false(weir_ring_publish(&pair->producer));
}

/* One record was consumed, one is there, one is committed and not published. */
static void head_that_lies_closes_the_ring(void **state)
{
	static const uint64_t lies[] = { 0, 8, 20, 40, 48, 1ull << 63, UINT64_MAX - 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct pair pair = make_pair(SMALL);

		pass_through(&pair, 8);
		assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_OK);
		put(&pair, 8, 1);
		weir_ring_publish(&pair.producer);
		put(&pair, 8, 2);
		pair.page->head = lies[i];
		assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_CLOSED);
		expect_producer_closed(&pair);
		pair.page->head = 16; /* the truth comes too late */
		expect_producer_closed(&pair);
		free_pair(&pair);
	}
}

static void reservation_ends_with_its_ring(void **state)
{
	struct pair pair = make_pair(SMALL);
	void *data;

	(void)state;
	assert_int_equal(weir_ring_reserve(&pair.producer, 8, &data), WEIR_OK);
	pair.page->head = 8;
	assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_CLOSED);
	assert_int_equal(weir_ring_commit(&pair.producer, 8, 0), WEIR_CLOSED);
	free_pair(&pair);
}

/* The peer began anew: its page is zeroes. What it had not released is lost, what is sent from then on is not. */
static void ring_is_set_up_again_with_a_new_consumer(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	for (uint32_t life = 0; life < 20; life++) {
		for (uint32_t i = 0; i < 30; i++)
			pass_through(&pair, 8 * life);
		assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_OK);
		put(&pair, 100, 1);
		weir_ring_publish(&pair.producer);
		put(&pair, 100, 2);
		expect(&pair, 100, 1);
		memset(pair.page, 0, SMALL);
		assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_CLOSED);
		expect_producer_closed(&pair);
		assert_int_equal(weir_ring_producer_init(&pair.producer, pair.pages, SMALL),
				 WEIR_OK);
		assert_int_equal(put(&pair, 50, 3), WEIR_OK); /* before anybody is there */
		assert_true(weir_ring_publish(&pair.producer));
		assert_int_equal(
			weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, SMALL),
			WEIR_OK);
		weir_ring_producer_connect(&pair.producer, pair.page);
		expect(&pair, 50, 3);
		assert_int_equal(peek(&pair), WEIR_AGAIN);
		weir_ring_release(&pair.consumer);
		assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_OK);
	}
	free_pair(&pair);
}

static void expect_consumer_closed(struct pair *pair)
{
	assert_int_equal(weir_ring_arm_read(&pair->consumer), WEIR_CLOSED);
	assert_int_equal(peek(pair), WEIR_CLOSED);
	assert_false(weir_ring_release(&pair->consumer));
}

/* The tail is right, so only who looks at the records finds out. */
static void expect_records_closed(struct pair *pair)
{
	assert_int_equal(peek(pair), WEIR_CLOSED);
	expect_consumer_closed(pair);
}

static void tail_that_lies_closes_the_ring(void **state)
{
	static const uint64_t lies[] = { 0, 8, 17, 20, 16 + DATA + 8, 1ull << 63, UINT64_MAX - 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct pair pair = make_pair(SMALL);

		pass_through(&pair, 8);
		pair.pages->tail = lies[i];
		expect_consumer_closed(&pair);
		pair.pages->tail = 16;
		expect_consumer_closed(&pair);
		free_pair(&pair);
	}
}

static void tail_that_goes_back_behind_unread_records_closes_the_ring(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	put(&pair, 8, 0);
	put(&pair, 8, 1);
	weir_ring_publish(&pair.producer);
	assert_int_equal(peek(&pair), WEIR_OK);
	pair.pages->tail = 16;
	expect_consumer_closed(&pair);
	free_pair(&pair);
}

static uint32_t *header_at(struct pair *pair, uint64_t offset)
{
	return (uint32_t *)(void *)((uint8_t *)pair->pages + WEIR_RING_CONTROL_BYTES + offset);
}

/* A word in place of the header of a record of 8 bytes at the beginning. */
static void header_that_lies_closes_the_ring(void **state)
{
	static const uint32_t lies[] = {
		0,
		1,
		8,
		0x40000008,
		WEIR_RING_RECORD | 9,
		WEIR_RING_RECORD | 952,
		WEIR_RING_RECORD | 0x3fffffff,
		WEIR_RING_PADDING,
		WEIR_RING_PADDING | 16,
		WEIR_RING_PADDING | DATA,
		UINT32_MAX,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct pair pair = make_pair(SMALL);

		put(&pair, 8, 0);
		weir_ring_publish(&pair.producer);
		*header_at(&pair, 0) = lies[i];
		expect_records_closed(&pair);
		free_pair(&pair);
	}
}

/* All that was said to be there is there, and still the record would reach beyond the end. */
static void record_or_padding_across_the_end_closes_the_ring(void **state)
{
	static const uint32_t lies[] = { WEIR_RING_RECORD | 192, WEIR_RING_PADDING | 184,
					 WEIR_RING_PADDING | 200, WEIR_RING_PADDING | 191 };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct pair pair = make_pair(SMALL);

		for (int n = 0; n < 4; n++)
			pass_through(&pair, 904);
		assert_int_equal(pair.consumer.next - pair.consumer.data, DATA - 192);
		*header_at(&pair, DATA - 192) = lies[i];
		pair.pages->tail = DATA + 2000;
		expect_records_closed(&pair);
		free_pair(&pair);
	}
}

/* It lies in the ring and in what was published, and still no producer of ours would write it. */
static void header_that_cannot_be_there_closes_the_ring(void **state)
{
	static const uint32_t lies[] = { WEIR_RING_RECORD | 953, WEIR_RING_RECORD | 2000,
					 WEIR_RING_PADDING | DATA };

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		struct pair pair = make_pair(SMALL);

		*header_at(&pair, 0) = lies[i];
		pair.pages->tail = DATA;
		expect_records_closed(&pair);
		free_pair(&pair);
	}
}

static void padding_beyond_the_tail_closes_the_ring(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	for (int n = 0; n < 4; n++)
		pass_through(&pair, 904);
	*header_at(&pair, DATA - 192) = WEIR_RING_PADDING | 192;
	pair.pages->tail += 184;
	expect_records_closed(&pair);
	free_pair(&pair);
}

static void revoked_pages_close_the_ring(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	for (int i = 0; i < 3; i++)
		put(&pair, 8, 0);
	weir_ring_publish(&pair.producer);
	expect(&pair, 8, 0);
	memset(pair.pages, 0, SMALL);
	expect_records_closed(&pair);
	free_pair(&pair);
}

static void ring_is_set_up_again_with_a_new_producer(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	for (uint32_t life = 0; life < 20; life++) {
		for (uint32_t i = 0; i < 30; i++)
			pass_through(&pair, 8 * life);
		put(&pair, 100, 1);
		put(&pair, 100, 2);
		weir_ring_publish(&pair.producer);
		expect(&pair, 100, 1);
		memset(pair.pages, 0, SMALL);
		assert_int_equal(weir_ring_confirm(&pair.consumer), WEIR_CLOSED);
		expect_consumer_closed(&pair);
		assert_int_equal(
			weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, SMALL),
			WEIR_CLOSED); /* not there yet */
		assert_int_equal(weir_ring_producer_init(&pair.producer, pair.pages, SMALL),
				 WEIR_OK);
		put(&pair, 50, 3);
		weir_ring_publish(&pair.producer);
		assert_int_equal(
			weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, SMALL),
			WEIR_OK);
		weir_ring_producer_connect(&pair.producer, pair.page);
		assert_int_equal(weir_ring_confirm(&pair.consumer), WEIR_OK);
		expect(&pair, 50, 3);
		assert_int_equal(peek(&pair), WEIR_AGAIN);
		weir_ring_release(&pair.consumer);
	}
	free_pair(&pair);
}

/* Whatever the peer writes: an error, or records that lie in the ring. ASan watches. */
static void garbage_never_leads_outside(void **state)
{
	uint32_t seed = 1, closed = 0, read = 0;
	uint8_t buffer[DATA];

	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct pair pair = make_pair(SMALL);
		uint32_t bytes, tag;
		enum weir_status status = WEIR_OK;

		for (uint64_t at = 0; at < DATA; at += 8) {
			seed = seed * 1664525 + 1013904223;
			*header_at(&pair, at) = (seed & WEIR_RING_KIND) |
						((seed >> 8) & (seed & 64 ? 0x3f : 0xfff));
		}
		pair.pages->tail = (seed >> 5) % (DATA + 64) & ~7u;
		while (status == WEIR_OK) {
			status = weir_ring_read(&pair.consumer, buffer, sizeof(buffer), &bytes,
						&tag);
			read += status == WEIR_OK;
		}
		assert_true(status == WEIR_CLOSED || status == WEIR_AGAIN);
		closed += status == WEIR_CLOSED;
		weir_ring_release(&pair.consumer);
		free_pair(&pair);
	}
	assert_true(closed > 1000 && read > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_that_are_no_ring_are_refused),
		cmocka_unit_test(head_that_lies_closes_the_ring),
		cmocka_unit_test(reservation_ends_with_its_ring),
		cmocka_unit_test(ring_is_set_up_again_with_a_new_consumer),
		cmocka_unit_test(ring_is_set_up_again_with_a_new_producer),
		cmocka_unit_test(tail_that_lies_closes_the_ring),
		cmocka_unit_test(tail_that_goes_back_behind_unread_records_closes_the_ring),
		cmocka_unit_test(header_that_lies_closes_the_ring),
		cmocka_unit_test(record_or_padding_across_the_end_closes_the_ring),
		cmocka_unit_test(header_that_cannot_be_there_closes_the_ring),
		cmocka_unit_test(padding_beyond_the_tail_closes_the_ring),
		cmocka_unit_test(revoked_pages_close_the_ring),
		cmocka_unit_test(garbage_never_leads_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
