/*
 * The bulk ring, guests/include/weir/ring.h. Its pages are allocations of their exact size, so that
 * the address sanitizer sees each step outside.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <weir/ring.h>

#define SMALL 4096u
#define DATA  (SMALL - WEIR_RING_CONTROL_BYTES)

struct pair {
	uint64_t bytes;
	struct weir_ring_shared_producer *pages;
	struct weir_ring_shared_consumer *page;
	struct weir_ring_producer producer;
	struct weir_ring_consumer consumer;
};

static struct pair make_pair(uint64_t bytes)
{
	struct pair pair = { .bytes = bytes,
			     .pages = aligned_alloc(4096, bytes),
			     .page = aligned_alloc(4096, 4096) };

	memset(pair.pages, 0, bytes);
	memset(pair.page, 0, 4096);
	assert_int_equal(weir_ring_producer_init(&pair.producer, pair.pages, bytes), WEIR_OK);
	assert_int_equal(weir_ring_consumer_init(&pair.consumer, pair.page, pair.pages, bytes),
			 WEIR_OK);
	weir_ring_producer_connect(&pair.producer, pair.page);
	return pair;
}

static void free_pair(struct pair *pair)
{
	free(pair->pages);
	free(pair->page);
}

/* Content that depends on the record's number, so that a mix-up shows. */
static void fill(uint8_t *data, uint32_t bytes, uint32_t number)
{
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(number * 31 + i * 7);
}

static enum weir_status put(struct pair *pair, uint32_t bytes, uint32_t number)
{
	uint8_t content[DATA];

	fill(content, bytes, number);
	return weir_ring_write(&pair->producer, content, bytes, number);
}

static void expect(struct pair *pair, uint32_t bytes, uint32_t number)
{
	uint8_t content[DATA], expected[DATA];
	uint32_t got_bytes = ~0u, got_number = ~0u;

	assert_int_equal(
		weir_ring_read(&pair->consumer, content, sizeof(content), &got_bytes, &got_number),
		WEIR_OK);
	assert_int_equal(got_bytes, bytes);
	assert_int_equal(got_number, number);
	fill(expected, bytes, number);
	assert_memory_equal(content, expected, bytes);
}

static enum weir_status peek(struct pair *pair)
{
	struct weir_ring_record record;

	return weir_ring_peek(&pair->consumer, &record);
}

/* One record through an otherwise empty ring: moves the place where the next one goes. */
static void pass_through(struct pair *pair, uint32_t bytes)
{
	assert_int_equal(put(pair, bytes, 1), WEIR_OK);
	weir_ring_publish(&pair->producer);
	expect(pair, bytes, 1);
	weir_ring_release(&pair->consumer);
}

static void records_come_out_as_they_went_in(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	assert_int_equal(peek(&pair), WEIR_AGAIN);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(put(&pair, i * 9, i), WEIR_OK);
	assert_int_equal(peek(&pair), WEIR_AGAIN); /* committed, not published */
	weir_ring_publish(&pair.producer);
	for (uint32_t i = 0; i < 10; i++)
		expect(&pair, i * 9, i);
	assert_int_equal(peek(&pair), WEIR_AGAIN);
	free_pair(&pair);
}

static void record_beyond_a_quarter_is_invalid(void **state)
{
	struct pair pair = make_pair(SMALL);
	uint64_t max = weir_ring_max(SMALL);
	void *data;

	(void)state;
	assert_true(max + WEIR_RING_HEADER_BYTES <= DATA / 4);
	assert_int_equal(weir_ring_reserve(&pair.producer, max + 1, &data), WEIR_INVALID);
	assert_int_equal(weir_ring_reserve(&pair.producer, UINT64_MAX, &data), WEIR_INVALID);
	assert_int_equal(weir_ring_arm_write(&pair.producer, max + 1), WEIR_INVALID);
	assert_int_equal(weir_ring_reserve(&pair.producer, max, &data), WEIR_OK);
	free_pair(&pair);
}

/* Wherever the drained ring stands, with or without padding. */
static void largest_record_fits_in_a_drained_ring_at_any_place(void **state)
{
	uint32_t max = (uint32_t)weir_ring_max(SMALL);

	(void)state;
	for (uint32_t place = 8; place < DATA; place += 8) {
		struct pair pair = make_pair(SMALL);

		for (uint32_t at = 0; at < place;) {
			uint32_t step = place - at > 512 ? 512 : place - at;

			pass_through(&pair, step - WEIR_RING_HEADER_BYTES);
			at += step;
		}
		assert_int_equal(pair.producer.position, place);
		pass_through(&pair, max);
		free_pair(&pair);
	}
}

static void full_ring_has_room_after_a_release(void **state)
{
	struct pair pair = make_pair(SMALL);
	uint32_t count = 0;

	(void)state;
	while (put(&pair, 56, count) == WEIR_OK)
		count++;
	assert_int_equal(count, DATA / 64);
	weir_ring_publish(&pair.producer);
	assert_int_equal(put(&pair, 0, 0), WEIR_AGAIN);
	expect(&pair, 56, 0);
	assert_int_equal(put(&pair, 56, count), WEIR_AGAIN); /* read, not released */
	weir_ring_release(&pair.consumer);
	assert_int_equal(put(&pair, 56, count), WEIR_OK);
	weir_ring_publish(&pair.producer);
	for (uint32_t i = 1; i <= count; i++)
		expect(&pair, 56, i);
	assert_int_equal(peek(&pair), WEIR_AGAIN);
	free_pair(&pair);
}

static void wrap_is_padded(void **state)
{
	struct pair pair = make_pair(SMALL);
	struct weir_ring_record record;

	(void)state;
	for (int i = 0; i < 4; i++)
		pass_through(&pair, 900);
	assert_int_equal(pair.producer.offset, 4 * 912);
	assert_int_equal(put(&pair, 900, 7), WEIR_OK);
	weir_ring_publish(&pair.producer);
	assert_int_equal(pair.producer.position, DATA + 912);
	assert_int_equal(weir_ring_peek(&pair.consumer, &record), WEIR_OK);
	assert_ptr_equal(record.data, (uint8_t *)pair.pages + WEIR_RING_CONTROL_BYTES + 8);
	expect(&pair, 900, 7);
	free_pair(&pair);
}

static void commit_may_be_shorter_than_the_reservation(void **state)
{
	struct pair pair = make_pair(SMALL);
	void *data, *again;

	(void)state;
	assert_int_equal(weir_ring_commit(&pair.producer, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_ring_reserve(&pair.producer, 800, &data), WEIR_OK);
	assert_int_equal(weir_ring_reserve(&pair.producer, 100, &again), WEIR_OK);
	assert_ptr_equal(data, again);
	assert_int_equal(weir_ring_commit(&pair.producer, 101, 0), WEIR_INVALID);
	fill(data, 10, 5);
	assert_int_equal(weir_ring_commit(&pair.producer, 10, 5), WEIR_OK);
	assert_int_equal(weir_ring_commit(&pair.producer, 10, 5), WEIR_INVALID);
	weir_ring_publish(&pair.producer);
	expect(&pair, 10, 5);
	assert_int_equal(pair.consumer.position, 24);
	free_pair(&pair);
}

static void record_stays_when_the_buffer_is_too_small(void **state)
{
	struct pair pair = make_pair(SMALL);
	uint8_t buffer[99];
	uint32_t bytes, tag;

	(void)state;
	put(&pair, 100, 3);
	weir_ring_publish(&pair.producer);
	assert_int_equal(weir_ring_read(&pair.consumer, buffer, sizeof(buffer), &bytes, &tag),
			 WEIR_INVALID);
	assert_int_equal(bytes, 100);
	expect(&pair, 100, 3);
	free_pair(&pair);
}

static void producer_kicks_only_who_asked(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	put(&pair, 8, 0);
	assert_false(weir_ring_publish(&pair.producer)); /* not armed yet */
	expect(&pair, 8, 0);
	weir_ring_release(&pair.consumer);
	assert_int_equal(weir_ring_arm_read(&pair.consumer), WEIR_AGAIN);
	assert_false(weir_ring_publish(&pair.producer)); /* nothing new */
	put(&pair, 8, 1);
	assert_true(weir_ring_publish(&pair.producer));
	put(&pair, 8, 2);
	assert_false(weir_ring_publish(&pair.producer)); /* awake by now */
	assert_int_equal(weir_ring_arm_read(&pair.consumer), WEIR_OK);
	free_pair(&pair);
}

static void consumer_kicks_only_who_asked(void **state)
{
	struct pair pair = make_pair(SMALL);
	uint32_t count = 0;

	(void)state;
	while (put(&pair, 56, count) == WEIR_OK)
		count++;
	weir_ring_publish(&pair.producer);
	expect(&pair, 56, 0);
	assert_false(weir_ring_release(&pair.consumer)); /* not armed yet */
	assert_int_equal(weir_ring_arm_write(&pair.producer, 56), WEIR_OK);
	assert_int_equal(weir_ring_arm_write(&pair.producer, 184), WEIR_AGAIN);
	expect(&pair, 56, 1);
	assert_false(weir_ring_release(&pair.consumer)); /* not so far yet */
	expect(&pair, 56, 2);
	assert_true(weir_ring_release(&pair.consumer));
	assert_int_equal(put(&pair, 184, 0), WEIR_OK);
	expect(&pair, 56, 3);
	assert_false(weir_ring_release(&pair.consumer));
	assert_false(weir_ring_release(&pair.consumer)); /* nothing new */
	free_pair(&pair);
}

static void drained_is_told_when_the_last_record_is_released(void **state)
{
	struct pair pair = make_pair(SMALL);

	(void)state;
	assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_OK);
	put(&pair, 8, 0);
	put(&pair, 8, 1);
	weir_ring_publish(&pair.producer);
	assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_AGAIN);
	expect(&pair, 8, 0);
	assert_false(weir_ring_release(&pair.consumer));
	expect(&pair, 8, 1);
	assert_true(weir_ring_release(&pair.consumer));
	assert_int_equal(weir_ring_arm_drained(&pair.producer), WEIR_OK);
	free_pair(&pair);
}

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
		assert_int_equal(pair.consumer.offset, DATA - 192);
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

/* ---- Two threads: the consumer and the producer sleep whenever the ring says so. ---- */

#define STRESS_BYTES   8192u
#define STRESS_RECORDS 100000u

struct side {
	struct pair *pair;
	sem_t wake, *peer_wake;
	uint32_t sleeps;
};

static void kick(struct side *side, bool needed)
{
	if (needed)
		sem_post(side->peer_wake);
}

/* A kick that is lost shows as a time-out. */
static void sleep_until_kicked(struct side *side)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	side->sleeps++;
	while (sem_timedwait(&side->wake, &until) != 0) {
		if (errno != EINTR)
			abort();
	}
}

static uint32_t stress_bytes(uint32_t number)
{
	uint32_t mixed = number * 2654435761u;

	return (mixed >> 8) % (mixed & 1 ? 40 : (uint32_t)weir_ring_max(STRESS_BYTES) + 1);
}

static void *produce(void *arg)
{
	struct side *side = arg;
	struct weir_ring_producer *ring = &side->pair->producer;
	enum weir_status status;
	void *data;

	for (uint32_t i = 0; i < STRESS_RECORDS; i++) {
		uint32_t bytes = stress_bytes(i);

		while ((status = weir_ring_reserve(ring, bytes, &data)) == WEIR_AGAIN) {
			kick(side, weir_ring_publish(ring));
			if (weir_ring_arm_write(ring, bytes) == WEIR_AGAIN)
				sleep_until_kicked(side);
		}
		if (status != WEIR_OK)
			return "the producer's ring is closed";
		fill(data, bytes, i);
		weir_ring_commit(ring, bytes, i);
		if (i % 3 == 0)
			kick(side, weir_ring_publish(ring));
	}
	kick(side, weir_ring_publish(ring));
	while ((status = weir_ring_arm_drained(ring)) == WEIR_AGAIN)
		sleep_until_kicked(side);
	return status == WEIR_OK ? NULL : "the producer's ring closed at the end";
}

static const char *consume(struct side *side)
{
	struct weir_ring_consumer *ring = &side->pair->consumer;
	uint8_t buffer[STRESS_BYTES], expected[STRESS_BYTES];
	uint32_t bytes, tag;
	enum weir_status status;

	for (uint32_t i = 0; i < STRESS_RECORDS; i++) {
		while ((status = weir_ring_read(ring, buffer, sizeof(buffer), &bytes, &tag)) ==
		       WEIR_AGAIN) {
			kick(side, weir_ring_release(ring));
			if (weir_ring_arm_read(ring) == WEIR_AGAIN)
				sleep_until_kicked(side);
		}
		if (status != WEIR_OK || tag != i || bytes != stress_bytes(i))
			return "a record is not the next";
		fill(expected, bytes, i);
		if (memcmp(buffer, expected, bytes) != 0)
			return "a record's content is not what was written";
		if (i % 5 == 0)
			kick(side, weir_ring_release(ring));
	}
	kick(side, weir_ring_release(ring));
	return NULL;
}

static void two_threads_lose_nothing(void **state)
{
	struct pair pair = make_pair(STRESS_BYTES);
	struct side producer = { .pair = &pair }, consumer = { .pair = &pair };
	const char *consumer_error;
	void *producer_error;
	pthread_t thread;

	(void)state;
	producer.peer_wake = &consumer.wake;
	consumer.peer_wake = &producer.wake;
	sem_init(&producer.wake, 0, 0);
	sem_init(&consumer.wake, 0, 0);
	assert_int_equal(pthread_create(&thread, NULL, produce, &producer), 0);
	consumer_error = consume(&consumer);
	if (consumer_error)
		fail_msg("%s", consumer_error);
	pthread_join(thread, &producer_error);
	if (producer_error)
		fail_msg("%s", (const char *)producer_error);
	assert_true(producer.sleeps > 0);
	free_pair(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records_come_out_as_they_went_in),
		cmocka_unit_test(record_beyond_a_quarter_is_invalid),
		cmocka_unit_test(largest_record_fits_in_a_drained_ring_at_any_place),
		cmocka_unit_test(full_ring_has_room_after_a_release),
		cmocka_unit_test(wrap_is_padded),
		cmocka_unit_test(commit_may_be_shorter_than_the_reservation),
		cmocka_unit_test(record_stays_when_the_buffer_is_too_small),
		cmocka_unit_test(producer_kicks_only_who_asked),
		cmocka_unit_test(consumer_kicks_only_who_asked),
		cmocka_unit_test(drained_is_told_when_the_last_record_is_released),
		cmocka_unit_test(sizes_that_are_no_ring_are_refused),
		cmocka_unit_test(head_that_lies_closes_the_ring),
		cmocka_unit_test(tail_that_lies_closes_the_ring),
		cmocka_unit_test(tail_that_goes_back_behind_unread_records_closes_the_ring),
		cmocka_unit_test(header_that_lies_closes_the_ring),
		cmocka_unit_test(header_that_cannot_be_there_closes_the_ring),
		cmocka_unit_test(padding_beyond_the_tail_closes_the_ring),
		cmocka_unit_test(record_or_padding_across_the_end_closes_the_ring),
		cmocka_unit_test(revoked_pages_close_the_ring),
		cmocka_unit_test(garbage_never_leads_outside),
		cmocka_unit_test(two_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
