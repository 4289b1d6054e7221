/*
 * The bulk ring, guests/include/weir/ring.h, between two sides that keep to it: test_ring_lies.c has the
 * others, test_ring_wrap.c positions far from their start.
 */
#include <pthread.h>

#include "ring_pair.h"

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
		assert_int_equal(weir_ring_committed(&pair.producer), place);
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
	assert_int_equal(pair.producer.next - pair.producer.data, 4 * 912);
	assert_int_equal(put(&pair, 900, 7), WEIR_OK);
	weir_ring_publish(&pair.producer);
	assert_int_equal(weir_ring_committed(&pair.producer), DATA + 912);
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
	assert_int_equal(weir_ring_consumed(&pair.consumer), 24);
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

/* ---- Batches ---- */

#define BATCH 32u

/* 64 bytes are copied word by word where the compiler knows them, all else by memcpy. */
struct message {
	uint64_t word[8];
};

static void number_messages(struct message *messages, uint32_t count, uint64_t first)
{
	for (uint32_t i = 0; i < count; i++)
		for (uint32_t w = 0; w < 8; w++)
			messages[i].word[w] = (first + i) << 8 | w;
}

static void batches_come_out_as_they_went_in(void **state)
{
	struct pair pair = make_pair(SMALL);
	struct message in[BATCH], out[BATCH];
	uint32_t done, tags[BATCH];

	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t count = round % (BATCH + 1);

		number_messages(in, count, round);
		memset(out, 0, sizeof(out));
		assert_int_equal(
			weir_ring_write_batch(&pair.producer, in, sizeof(*in), count, round, &done),
			WEIR_OK);
		assert_int_equal(done, count);
		weir_ring_publish(&pair.producer);
		assert_int_equal(
			weir_ring_read_batch(&pair.consumer, out, sizeof(*out), BATCH, tags, &done),
			count == BATCH ? WEIR_OK : WEIR_AGAIN);
		assert_int_equal(done, count);
		assert_memory_equal(in, out, count * sizeof(*in));
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(tags[i], round);
		weir_ring_release(&pair.consumer);
	}
	free_pair(&pair);
}

/* Any size, any place, and single records on the other side: the bytes in the ring are the same. */
static void batches_and_single_records_are_the_same(void **state)
{
	(void)state;
	for (uint32_t bytes = 0; bytes < 200; bytes++) {
		struct pair pair = make_pair(SMALL);
		uint8_t in[5 * 200], out[5 * 200];
		uint32_t done, got, tag;

		fill(in, sizeof(in), bytes);
		for (uint32_t round = 0; round < 30; round++) {
			assert_int_equal(
				weir_ring_write_batch(&pair.producer, in, bytes, 5, 9, &done),
				WEIR_OK);
			for (uint32_t i = 0; i < 5; i++)
				assert_int_equal(
					weir_ring_write(&pair.producer, in + i * bytes, bytes, 9),
					WEIR_OK);
			weir_ring_publish(&pair.producer);
			for (uint32_t i = 0; i < 5; i++) {
				assert_int_equal(weir_ring_read(&pair.consumer, out + i * bytes,
								bytes, &got, &tag),
						 WEIR_OK);
				assert_int_equal(tag, 9);
			}
			assert_memory_equal(in, out, 5 * bytes);
			memset(out, 0, sizeof(out));
			assert_int_equal(
				weir_ring_read_batch(&pair.consumer, out, bytes, 5, NULL, &done),
				WEIR_OK);
			assert_memory_equal(in, out, 5 * bytes);
			weir_ring_release(&pair.consumer);
		}
		free_pair(&pair);
	}
}

static void batch_says_how_much_was_done(void **state)
{
	struct pair pair = make_pair(SMALL);
	struct message in[BATCH] = { 0 }, out[BATCH];
	uint32_t written = 0, all = 0, done;
	volatile uint64_t absurd = UINT64_MAX; /* or the compiler warns */
	enum weir_status status;

	(void)state;
	do {
		status = weir_ring_write_batch(&pair.producer, in, sizeof(*in), BATCH, 0, &written);
		all += written;
	} while (status == WEIR_OK);
	assert_int_equal(status, WEIR_AGAIN);
	assert_int_equal(all, DATA / 72);
	weir_ring_publish(&pair.producer);
	for (uint32_t left = all; left; left -= done) {
		status =
			weir_ring_read_batch(&pair.consumer, out, sizeof(*out), BATCH, NULL, &done);
		assert_int_equal(done, left < BATCH ? left : BATCH);
		assert_int_equal(status, left < BATCH ? WEIR_AGAIN : WEIR_OK);
	}
	assert_int_equal(
		weir_ring_write_batch(&pair.producer, in, weir_ring_max(SMALL) + 1, 1, 0, &done),
		WEIR_INVALID);
	assert_int_equal(done, 0);
	assert_int_equal(weir_ring_write_batch(&pair.producer, in, absurd, 1, 0, &done),
			 WEIR_INVALID);
	assert_int_equal(weir_ring_read_batch(&pair.consumer, out, absurd, 1, NULL, &done),
			 WEIR_INVALID);
	assert_int_equal(done, 0);
	free_pair(&pair);
}

static void batch_ends_before_a_record_of_another_size(void **state)
{
	struct pair pair = make_pair(SMALL);
	struct message in[2] = { 0 }, out[4];
	uint32_t done;

	(void)state;
	number_messages(in, 2, 1);
	assert_int_equal(weir_ring_write_batch(&pair.producer, in, sizeof(*in), 2, 0, &done),
			 WEIR_OK);
	put(&pair, 63, 5);
	weir_ring_publish(&pair.producer);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(
			weir_ring_read_batch(&pair.consumer, out, sizeof(*out), 4, NULL, &done),
			WEIR_INVALID);
		assert_int_equal(done, i == 0 ? 2 : 0);
	}
	assert_memory_equal(in, out, sizeof(in));
	expect(&pair, 63, 5);
	free_pair(&pair);
}

static void write_takes_the_place_of_a_reservation(void **state)
{
	struct pair pair = make_pair(SMALL);
	struct message in = { { 0 } };
	uint32_t done;
	void *data;

	(void)state;
	assert_int_equal(weir_ring_reserve(&pair.producer, 100, &data), WEIR_OK);
	assert_int_equal(put(&pair, 8, 1), WEIR_OK);
	assert_int_equal(weir_ring_commit(&pair.producer, 8, 0), WEIR_INVALID);
	assert_int_equal(weir_ring_reserve(&pair.producer, 100, &data), WEIR_OK);
	assert_int_equal(weir_ring_write_batch(&pair.producer, &in, sizeof(in), 1, 2, &done),
			 WEIR_OK);
	assert_int_equal(weir_ring_commit(&pair.producer, 8, 0), WEIR_INVALID);
	weir_ring_publish(&pair.producer);
	expect(&pair, 8, 1);
	free_pair(&pair);
}

/* ---- Two threads: the consumer and the producer sleep whenever the ring says so. ---- */

#define STRESS_BYTES   8192u
#define STRESS_RECORDS 100000u

struct side {
	struct pair *pair;
	struct side *peer;
	uint32_t sleeps;
	/* Under `kicking`: */
	uint32_t kicks;
	bool asleep;
	bool over; /* it kicks no more */
};

static pthread_mutex_t kicking = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t kicked = PTHREAD_COND_INITIALIZER;

static void kick(struct side *side, bool needed)
{
	if (!needed)
		return;
	pthread_mutex_lock(&kicking);
	side->peer->kicks++;
	pthread_cond_broadcast(&kicked);
	pthread_mutex_unlock(&kicking);
}

/* Who sleeps will be kicked, or has been: a kick is lost if both wait for one, however long. */
static void check_sleeper(const struct side *side)
{
	const struct side *peer = side->peer;

	if (side->asleep && !side->kicks && (peer->over || (peer->asleep && !peer->kicks)))
		abort();
}

static void sleep_until_kicked(struct side *side)
{
	pthread_mutex_lock(&kicking);
	side->sleeps++;
	side->asleep = true;
	check_sleeper(side);
	while (!side->kicks)
		pthread_cond_wait(&kicked, &kicking);
	side->kicks--;
	side->asleep = false;
	pthread_mutex_unlock(&kicking);
}

static void side_ends(struct side *side)
{
	pthread_mutex_lock(&kicking);
	side->over = true;
	check_sleeper(side->peer);
	pthread_mutex_unlock(&kicking);
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
	side_ends(side);
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
	side_ends(side);
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
	producer.peer = &consumer;
	consumer.peer = &producer;
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
		cmocka_unit_test(batches_come_out_as_they_went_in),
		cmocka_unit_test(batches_and_single_records_are_the_same),
		cmocka_unit_test(batch_says_how_much_was_done),
		cmocka_unit_test(batch_ends_before_a_record_of_another_size),
		cmocka_unit_test(write_takes_the_place_of_a_reservation),
		cmocka_unit_test(two_threads_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
