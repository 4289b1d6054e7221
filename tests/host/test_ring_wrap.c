/*
 * Positions of bulk rings far from their start: where 16, 31, 32, 48 and 63 bits end. All that is done is
 * compared with a reference whose numbers count from the start of the test.
 *
 * What is covered, all of it, not a sample:
 *   records: each size there is (0 to a quarter of a ring of 4096 bytes) at each place of the ring, so that
 *	the position passes 2^32 in the middle of it; and at the other starts, at three places.
 *   rings: from each of `ring_starts` at two places, empty and three quarters full, every sequence of
 *	RING_STEPS steps out of: write a record (none, an eighth, a quarter), publish, read, release, arm
 *	for either side; and of BATCH_STEPS, where a batch of two records (an eighth each) that is written
 *	and one that is read take the place of the empty record and of arming the consumer.
 * Positions near 2^64 are not reached in a machine's life and not promised to work.
 *
 * Sources: tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/ring.h>
#include "fake.h"
#include "wrap_starts.h"

#define RING_STEPS  6
#define BATCH_STEPS 5

#define BYTES	   4096u
#define DATA	   (BYTES - WEIR_RING_CONTROL_BYTES)
#define RECORD_MAX ((u32)weir_ring_max(BYTES))

static struct weir_ring_shared_producer *shared; /* BYTES */
static struct weir_ring_shared_consumer *page;
static struct weir_ring_producer producer;
static struct weir_ring_consumer consumer;
static u8 content[DATA], buffer[DATA];

/* An empty ring through which `start` bytes have gone, and which now stands at `offset`. */
static void ring_at(u64 start, u64 offset)
{
	memset(shared, 0, WEIR_RING_CONTROL_BYTES);
	memset(page, 0, WEIR_RING_CONTROL_BYTES);
	assert_int_equal(weir_ring_producer_init(&producer, shared, BYTES), WEIR_OK);
	assert_int_equal(weir_ring_consumer_init(&consumer, page, shared, BYTES), WEIR_OK);
	weir_ring_producer_connect(&producer, page);
	producer.next = producer.end = producer.data + offset;
	consumer.next = consumer.end = consumer.data + offset;
	producer.base = consumer.base = start - (uintptr_t)producer.next;
	producer.published = producer.head = start;
	consumer.released = consumer.tail = start;
	shared->tail = page->head = start;
}

static int rings_make(void **state)
{
	(void)state;
	shared = aligned_alloc(4096, BYTES);
	page = aligned_alloc(4096, 4096);
	for (u32 i = 0; i < DATA; i++)
		content[i] = (u8)(i * 7 + i / 256);
	return 0;
}

static int rings_free(void **state)
{
	(void)state;
	free(shared);
	free(page);
	return 0;
}

/* Both sides sleep for it and are woken. */
static void one_record(u64 start, u64 offset, u32 bytes)
{
	u64 space = weir_ring_space(bytes), padding = space > DATA - offset ? DATA - offset : 0;
	u32 got = 0, tag = 0;

	ring_at(start, offset);
	assert_int_equal(weir_ring_arm_read(&consumer), WEIR_AGAIN);
	assert_int_equal(weir_ring_write(&producer, content, bytes, bytes + 1), WEIR_OK);
	assert_true(weir_ring_publish(&producer));
	assert_int_equal(weir_ring_arm_drained(&producer), WEIR_AGAIN);
	assert_int_equal(weir_ring_read(&consumer, buffer, bytes, &got, &tag), WEIR_OK);
	assert_int_equal(got, bytes);
	assert_int_equal(tag, bytes + 1);
	assert_memory_equal(buffer, content, bytes);
	assert_true(weir_ring_release(&consumer));
	assert_int_equal(weir_ring_arm_drained(&producer), WEIR_OK);
	assert_true(page->head == start + padding + space && shared->tail == page->head);
	assert_int_equal(weir_ring_read(&consumer, buffer, 0, &got, &tag), WEIR_AGAIN);
}

TEST(each_record_size_at_each_place_passes_2_to_the_32)
{
	for (u32 bytes = 0; bytes <= RECORD_MAX; bytes++)
		for (u64 offset = 0; offset < DATA; offset += 8)
			one_record((1ul << 32) - weir_ring_space(bytes) / 16 * 8, offset, bytes);
}

TEST(each_record_size_is_the_same_wherever_positions_are)
{
	for (u32 bytes = 0; bytes <= RECORD_MAX; bytes++)
		for (u32 i = 0; i < ARRAY_SIZE(starts); i++)
			for (u64 offset = 0; offset < DATA; offset += DATA / 16 * 7 / 8 * 8)
				one_record(starts[i] & ~7ul, offset, bytes);
}

/* Positions from the start of the test. */
struct ring_reference {
	s64 position, published, read, released;
	s64 data_wanted, space_wanted;
	u32 written, taken; /* records */
	s64 end[2 * RING_STEPS + 3];
	u32 bytes[2 * RING_STEPS + 3], tag[2 * RING_STEPS + 3];
};

#define EIGHTH (DATA / 8 - WEIR_RING_HEADER_BYTES)

#define NEVER (-(1l << 40))

static u64 first_offset;

static s64 needed(const struct ring_reference *r, u32 bytes)
{
	s64 to_end = DATA - (s64)((first_offset + (u64)r->position) % DATA);
	s64 space = (s64)weir_ring_space(bytes);

	return space <= to_end ? space : to_end + space;
}

static bool has_room(const struct ring_reference *r, u32 bytes)
{
	return needed(r, bytes) <= (s64)DATA - (r->position - r->released);
}

static void note_written(struct ring_reference *r, u32 bytes, u32 tag)
{
	r->position += needed(r, bytes);
	r->end[r->written] = r->position;
	r->tag[r->written] = tag;
	r->bytes[r->written++] = bytes;
}

static void write_and_compare(struct ring_reference *r, u32 bytes)
{
	bool room = has_room(r, bytes);

	assert_int_equal(weir_ring_write(&producer, content, bytes, r->written),
			 room ? WEIR_OK : WEIR_AGAIN);
	if (room)
		note_written(r, bytes, r->written);
}

static void write_two_and_compare(struct ring_reference *r)
{
	u32 tag = r->written, expected = 0, done = ~0u;

	for (; expected < 2 && has_room(r, EIGHTH); expected++)
		note_written(r, EIGHTH, tag);
	assert_int_equal(weir_ring_write_batch(&producer, content, EIGHTH, 2, tag, &done),
			 expected == 2 ? WEIR_OK : WEIR_AGAIN);
	assert_int_equal(done, expected);
}

static void publish_and_compare(struct ring_reference *r)
{
	bool kick = r->published < r->data_wanted && r->data_wanted <= r->position;

	assert_int_equal(weir_ring_publish(&producer), kick);
	r->published = r->position;
}

static void read_and_compare(struct ring_reference *r)
{
	bool there = r->read != r->published;
	u32 bytes, tag;

	assert_int_equal(weir_ring_read(&consumer, buffer, DATA, &bytes, &tag),
			 there ? WEIR_OK : WEIR_AGAIN);
	if (!there)
		return;
	assert_int_equal(tag, r->tag[r->taken]);
	assert_int_equal(bytes, r->bytes[r->taken]);
	assert_memory_equal(buffer, content + (tag != r->taken ? EIGHTH : 0), bytes);
	r->read = r->end[r->taken++];
}

static void read_two_and_compare(struct ring_reference *r)
{
	enum weir_status expected = WEIR_OK;
	u32 first = r->taken, done = ~0u, tags[2];

	for (; expected == WEIR_OK && r->taken < first + 2; r->taken += expected == WEIR_OK) {
		if (r->read == r->published) {
			expected = WEIR_AGAIN;
		} else if (r->bytes[r->taken] == EIGHTH) {
			r->read = r->end[r->taken];
		} else {
			/* The padding before it was passed. */
			r->read = r->end[r->taken] - (s64)weir_ring_space(r->bytes[r->taken]);
			expected = WEIR_INVALID;
		}
	}
	assert_int_equal(weir_ring_read_batch(&consumer, buffer, EIGHTH, 2, tags, &done), expected);
	assert_int_equal(done, r->taken - first);
	for (u32 i = 0; i < done; i++) {
		assert_int_equal(tags[i], r->tag[first + i]);
		assert_memory_equal(buffer + i * EIGHTH,
				    content + (tags[i] != first + i ? EIGHTH : 0), EIGHTH);
	}
}

static void release_and_compare(struct ring_reference *r)
{
	bool kick = r->released < r->space_wanted && r->space_wanted <= r->read;

	assert_int_equal(weir_ring_release(&consumer), kick);
	r->released = r->read;
}

static void ring_step(struct ring_reference *r, u32 step)
{
	static const u32 sizes[] = { 0, EIGHTH, DATA / 4 - WEIR_RING_HEADER_BYTES };

	switch (step) {
	case 3:
		publish_and_compare(r);
		break;
	case 4:
		read_and_compare(r);
		break;
	case 5:
		release_and_compare(r);
		break;
	case 6:
		assert_int_equal(weir_ring_arm_read(&consumer),
				 r->read != r->published ? WEIR_OK : WEIR_AGAIN);
		r->data_wanted = r->read + 1;
		break;
	case 7:
		assert_int_equal(weir_ring_arm_write(&producer, RECORD_MAX),
				 has_room(r, RECORD_MAX) ? WEIR_OK : WEIR_AGAIN);
		r->space_wanted = r->position + needed(r, RECORD_MAX) - (s64)DATA;
		break;
	case 8:
		write_two_and_compare(r);
		break;
	case 9:
		read_two_and_compare(r);
		break;
	default:
		write_and_compare(r, sizes[step]);
	}
}

/* The steps to choose from: 8 and 9 are the batches. */
static const u32 *choice;

static u64 rings_from(const struct ring_reference *reference, u32 steps)
{
	struct weir_ring_shared_consumer page_then = *page;
	struct weir_ring_producer producer_then = producer;
	struct weir_ring_consumer consumer_then = consumer;
	u8 shared_then[BYTES];
	u64 done = 1;

	if (!steps)
		return done;
	memcpy(shared_then, shared, BYTES);
	for (u32 step = 0; step < 8; step++) {
		struct ring_reference then = *reference;

		ring_step(&then, choice[step]);
		done += rings_from(&then, steps - 1);
		memcpy(shared, shared_then, step < 3 ? BYTES : WEIR_RING_CONTROL_BYTES);
		*page = page_then;
		producer = producer_then;
		consumer = consumer_then;
	}
	return done;
}

/* From all starts. */
static u64 all_rings(u32 steps)
{
	static const u64 ring_starts[] = { 0, (1ul << 31) - DATA / 2, (1ul << 32) - DATA,
					   (1ul << 32) - 8, (1ul << 63) - 8 };
	u64 done = 0;

	for (u32 i = 0; i < 4 * ARRAY_SIZE(ring_starts); i++) {
		struct ring_reference reference = { .data_wanted = NEVER, .space_wanted = NEVER };

		first_offset = i & 1 ? DATA - DATA / 8 : 0;
		ring_at(ring_starts[i / 4] & ~7ul, first_offset);
		for (u32 full = 0; i & 2 && full < 3; full++)
			write_and_compare(&reference, RECORD_MAX);
		done += rings_from(&reference, steps);
	}
	return done;
}

TEST(rings_are_the_same_wherever_their_positions_are)
{
	static const u32 singles[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	choice = singles;
	assert_int_equal(all_rings(RING_STEPS), 20 * 299593); /* (8^7 - 1) / 7 */
}

TEST(batches_are_the_same_wherever_their_positions_are)
{
	static const u32 batches[] = { 8, 1, 2, 3, 4, 5, 9, 7 };

	choice = batches;
	assert_int_equal(all_rings(BATCH_STEPS), 20 * 37449); /* (8^6 - 1) / 7 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_record_size_at_each_place_passes_2_to_the_32,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(each_record_size_is_the_same_wherever_positions_are,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(rings_are_the_same_wherever_their_positions_are,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(batches_are_the_same_wherever_their_positions_are,
						rings_make, rings_free),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
