/*
 * The bulk ring, guests/include/weir/ring.h, while its peer writes what it likes into all that is its own,
 * at any moment: statuses, and nothing outside of the ring (the address sanitizer watches).
 *
 * What is covered: random sequences of all calls of one side, on an honest ring of one or two pages, ROUNDS
 * for each side and each kind of peer.
 *   lies: before and after each single read of a shared word, with a chance of 1 in 4 to 1 in 256, a
 *	word that matters (positions, wanted positions, magic, size, the headers at and behind the
 *	reader) becomes one near the truth, near a limit, or any.
 *   death: at one such moment all that is the peer's turns to zeroes, and stays so.
 *   thread: another thread writes any words, anywhere in the peer's pages, all the time.
 * After each call what the side keeps for itself must fit together, what it shares must not go back, and a
 * ring that is closed stays so.
 */
#include <pthread.h>
#include <sched.h>
#include <weir/order.h>

/* The peer's moments. */
static void moment(void);

#undef WEIR_ORDERED
#define WEIR_ORDERED(label, promise, statement) \
	do {                                    \
		moment();                       \
		statement;                      \
		moment();                       \
	} while (0)

#define weir_ring_word ring_word_itself
#include <weir/ring_memory.h>
#undef weir_ring_word

static inline uint64_t weir_ring_word(const weir_ring_word_t *word)
{
	uint64_t value;

	moment();
	value = ring_word_itself(word);
	moment();
	return value;
}

#include "ring_pair.h"

#define ROUNDS	   4000u
#define STEPS	   200u
#define BATCH	   8u
#define BYTES_MAX  (2 * SMALL)
#define RECORD_MAX (BYTES_MAX / 4)

static struct pair ring;
static uint32_t seed, chance; /* of a lie: 1 in so many; 0: none */
static int64_t death_in;      /* moments; < 0: never */
static bool producer_is_peer;
static uint32_t closed, passed; /* rings, records: that there were both */
static uint32_t torn;
static bool scribbled;	   /* by a thread */
static uint32_t scribbles; /* atomic: so many, as yet */
static uint8_t content[BATCH * RECORD_MAX];

static uint32_t any(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

/* ---- The peer ---- */

static uint64_t any_position(uint64_t truth)
{
	switch (any(8)) {
	case 0:
		return truth + 8;
	case 1:
		return truth - 8;
	case 2:
		return truth + any(64) - 32;
	case 3:
		return truth + ring.bytes - WEIR_RING_CONTROL_BYTES + any(3) * 8 - 8;
	case 4:
		return truth + any(ring.bytes / 4) / 8 * 8;
	case 5:
		return any(2) ? 0 : UINT64_MAX - any(16);
	default:
		return truth ^ 1ull << any(64);
	}
}

static uint32_t any_header(uint64_t to_end)
{
	static const uint32_t kinds[] = { WEIR_RING_RECORD, WEIR_RING_PADDING, 0, 0x40000000 };
	uint32_t sizes[] = { any(200), any(RECORD_MAX), (uint32_t)to_end, any(1u << 30),
			     (uint32_t)to_end + any(24) - 12 };

	return kinds[any(8) % 4 * (any(4) == 0)] | (sizes[any(5)] & ~WEIR_RING_KIND);
}

static void producer_lies(void)
{
	struct weir_ring_shared_producer *shared = ring.pages;
	uint8_t *data = (uint8_t *)shared + WEIR_RING_CONTROL_BYTES;
	uint64_t size = ring.bytes - WEIR_RING_CONTROL_BYTES;
	uint64_t at = (uint64_t)(ring.consumer.next - ring.consumer.data);

	switch (any(8)) {
	case 0:
		shared->tail = any_position(ring.consumer.tail);
		break;
	case 1:
		shared->space_wanted = any_position(ring.consumer.released);
		break;
	case 2:
		if (any(16) == 0)
			shared->magic = any_position(shared->magic);
		break;
	case 3:
		at = any((uint32_t)size) / 8 * 8; /* fall through */
	default:
		if (at < size)
			*(uint32_t *)(void *)(data + at) = any_header(size - at);
	}
}

static void consumer_lies(void)
{
	if (any(2))
		ring.page->head = any_position(ring.producer.head);
	else
		ring.page->data_wanted = any_position(ring.producer.published);
}

static void moment(void)
{
	if (chance && any(chance) == 0) {
		if (producer_is_peer)
			producer_lies();
		else
			consumer_lies();
	}
	if (death_in > 0 && --death_in == 0)
		memset(producer_is_peer ? (void *)ring.pages : (void *)ring.page, 0,
		       producer_is_peer ? ring.bytes : SMALL);
}

/* What the honest side does is not disturbed. */
static void quiet(void (*act)(void))
{
	uint32_t chance_then = chance;
	int64_t death_then = death_in;

	chance = 0;
	death_in = -1;
	if (death_then)
		act();
	chance = chance_then;
	death_in = death_then;
}

static void produce_some(void)
{
	for (uint32_t i = any(6); i; i--) {
		uint32_t bytes = any(any(3) ? 80 : RECORD_MAX / 2), number = any(1u << 20);

		put(&ring, bytes, number);
	}
	weir_ring_publish(&ring.producer);
	weir_ring_arm_write(&ring.producer, any(200));
}

static void consume_some(void)
{
	struct weir_ring_record record;

	for (uint32_t i = any(6); i && weir_ring_peek(&ring.consumer, &record) == WEIR_OK; i--)
		weir_ring_skip(&ring.consumer, &record);
	weir_ring_release(&ring.consumer);
	weir_ring_arm_read(&ring.consumer);
}

/* ---- What always holds ---- */

static void check_consumer(void)
{
	const struct weir_ring_consumer *c = &ring.consumer;

	assert_true(c->next >= c->data && c->next <= c->data + c->size);
	assert_true(c->end <= c->data + c->size);
	assert_true(c->broken || weir_ring_consumed(c) <= c->tail);
	assert_true(c->broken || c->released <= weir_ring_consumed(c));
	assert_true(c->tail - c->released <= c->size);
	assert_int_equal(ring.page->head, c->released);
}

static void check_producer(void)
{
	const struct weir_ring_producer *p = &ring.producer;

	assert_true(p->next >= p->data && p->next <= p->data + p->size);
	assert_true(p->end >= p->next && p->end <= p->data + p->size);
	assert_true(p->head <= p->published && p->published <= weir_ring_committed(p));
	assert_true(weir_ring_committed(p) - p->head <= p->size);
	assert_int_equal(ring.pages->tail, p->published);
}

/* Whole, if the ring says so: only a death may have torn it. */
static void check_content(const uint8_t *data, uint32_t bytes, uint32_t number)
{
	uint8_t expected[RECORD_MAX];
	bool whole;

	if (death_in < 0)
		return; /* it may be anything */
	fill(expected, bytes, number);
	whole = memcmp(data, expected, bytes) == 0;
	torn += !whole;
	if (weir_ring_confirm(&ring.consumer) == WEIR_OK)
		assert_true(whole);
}

static enum weir_status read_one(void)
{
	uint32_t room = any(4) ? RECORD_MAX : any(200), bytes = 0, number = 0;
	uint8_t *buffer = malloc(room + 1);
	enum weir_status status = weir_ring_read(&ring.consumer, buffer, room, &bytes, &number);

	if (status == WEIR_OK) {
		assert_true(bytes <= room && bytes <= weir_ring_max(ring.bytes));
		check_content(buffer, bytes, number);
		passed++;
	}
	if (status == WEIR_INVALID)
		assert_true(bytes > room);
	free(buffer);
	return status;
}

static enum weir_status peek_one(void)
{
	const uint8_t *data = (const uint8_t *)ring.pages + WEIR_RING_CONTROL_BYTES;
	struct weir_ring_record record;
	enum weir_status status = weir_ring_peek(&ring.consumer, &record);

	if (status != WEIR_OK)
		return status;
	assert_true(record.data >= data && record.bytes <= weir_ring_max(ring.bytes));
	assert_true(record.data + record.bytes <= (const uint8_t *)ring.pages + ring.bytes);
	if (any(2))
		weir_ring_skip(&ring.consumer, &record);
	passed++;
	return WEIR_OK;
}

/* With a size that the compiler knows, or one that it does not. */
static enum weir_status read_many(void)
{
	uint32_t bytes = any(2) ? 64 : any(80), count = any(BATCH) + 1, done, tags[BATCH];
	uint64_t *buffer = malloc(count * bytes + 1);
	enum weir_status status =
		bytes == 64
			? weir_ring_read_batch(&ring.consumer, buffer, 64, count, tags, &done)
			: weir_ring_read_batch(&ring.consumer, buffer, bytes, count, NULL, &done);

	assert_true(done <= count);
	assert_true((status == WEIR_OK) == (done == count));
	passed += done;
	free(buffer);
	return status;
}

static enum weir_status consumer_step(void)
{
	switch (any(8)) {
	case 0:
		weir_ring_release(&ring.consumer);
		return WEIR_OK;
	case 1:
		return weir_ring_arm_read(&ring.consumer);
	case 2:
		return peek_one();
	case 3:
		return read_many();
	case 4:
		quiet(produce_some);
		return WEIR_OK;
	default:
		return read_one();
	}
}

static enum weir_status reserve_one(void)
{
	uint8_t *data = (uint8_t *)ring.pages + WEIR_RING_CONTROL_BYTES,
		*end = data + ring.producer.size;
	uint32_t bytes = any(any(3) ? 80 : RECORD_MAX);
	void *room = NULL;
	enum weir_status status = weir_ring_reserve(&ring.producer, bytes, &room);

	if (status != WEIR_OK)
		return status;
	assert_true((uint8_t *)room >= data + WEIR_RING_HEADER_BYTES &&
		    (uint8_t *)room + bytes <= end);
	memset(room, 0x5a, bytes);
	if (any(4))
		assert_int_equal(weir_ring_commit(&ring.producer, any(bytes + 1), 1), WEIR_OK);
	passed++;
	return WEIR_OK;
}

static enum weir_status producer_step(void)
{
	uint32_t bytes = any(any(3) ? 80 : RECORD_MAX), done;
	enum weir_status status;

	switch (any(8)) {
	case 0:
		weir_ring_publish(&ring.producer);
		return WEIR_OK;
	case 1:
		return weir_ring_arm_write(&ring.producer, bytes);
	case 2:
		return weir_ring_arm_drained(&ring.producer);
	case 3:
		status = weir_ring_write_batch(&ring.producer, content, bytes, BATCH, 1, &done);
		assert_true((status == WEIR_OK) == (done == BATCH));
		return status;
	case 4:
		quiet(consume_some);
		return WEIR_OK;
	case 5:
		return weir_ring_write(&ring.producer, content, 64, 2);
	default:
		return reserve_one();
	}
}

/* ---- Rounds ---- */

static void consumer_stays_closed(void)
{
	struct weir_ring_record record;
	uint8_t buffer[8];
	uint32_t done;

	assert_int_equal(weir_ring_peek(&ring.consumer, &record), WEIR_CLOSED);
	assert_int_equal(weir_ring_arm_read(&ring.consumer), WEIR_CLOSED);
	assert_int_equal(weir_ring_confirm(&ring.consumer), WEIR_CLOSED);
	assert_int_equal(weir_ring_read_batch(&ring.consumer, buffer, 8, 1, NULL, &done),
			 WEIR_CLOSED);
	assert_int_equal(done, 0);
	assert_false(weir_ring_release(&ring.consumer));
}

static void producer_stays_closed(void)
{
	uint64_t tail = ring.pages->tail;
	uint32_t done;
	void *room;

	assert_int_equal(weir_ring_reserve(&ring.producer, 0, &room), WEIR_CLOSED);
	assert_int_equal(weir_ring_commit(&ring.producer, 0, 0), WEIR_CLOSED);
	assert_int_equal(weir_ring_arm_drained(&ring.producer), WEIR_CLOSED);
	assert_int_equal(weir_ring_write(&ring.producer, content, 8, 0), WEIR_CLOSED);
	assert_int_equal(weir_ring_write_batch(&ring.producer, content, 8, 1, 0, &done),
			 WEIR_CLOSED);
	assert_int_equal(done, 0);
	assert_false(weir_ring_publish(&ring.producer));
	assert_int_equal(ring.pages->tail, tail);
}

/* Else a single core, or one that is given to others for long, would do round after round alone. */
static void wait_for_scribbles(void)
{
	uint32_t before = __atomic_load_n(&scribbles, __ATOMIC_RELAXED);

	while (__atomic_load_n(&scribbles, __ATOMIC_RELAXED) == before)
		sched_yield();
}

/* Until the ring is closed, or for so many steps. */
static void one_round(bool producer_lying)
{
	enum weir_status status = WEIR_OK;

	producer_is_peer = producer_lying;
	for (uint32_t i = 0; i < STEPS && status != WEIR_CLOSED; i++) {
		if (scribbled && any(32) == 0)
			wait_for_scribbles();
		status = producer_lying ? consumer_step() : producer_step();
		assert_true(status == WEIR_OK || status == WEIR_AGAIN || status == WEIR_CLOSED ||
			    status == WEIR_INVALID);
		if (producer_lying)
			check_consumer();
		else
			check_producer();
	}
	if (status != WEIR_CLOSED)
		return;
	closed++;
	if (producer_lying)
		consumer_stays_closed();
	else
		producer_stays_closed();
}

static void rounds(bool producer_lying, bool death)
{
	closed = passed = torn = 0;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		seed = round;
		chance = 0;
		death_in = -1;
		ring = make_pair(SMALL << any(2));
		chance = death ? 0 : 4u << any(4) * 2;
		death_in = death ? 1 + (int64_t)any(400) : -1;
		one_round(producer_lying);
		free_pair(&ring);
	}
	chance = 0;
	death_in = -1;
	assert_true(passed > 10 * ROUNDS && closed > ROUNDS / 2);
}

static void producer_that_lies_at_any_moment_harms_nobody(void **state)
{
	(void)state;
	rounds(true, false);
}

static void consumer_that_lies_at_any_moment_harms_nobody(void **state)
{
	(void)state;
	rounds(false, false);
}

static void producer_that_dies_at_any_moment_leaves_no_record_that_is_torn(void **state)
{
	(void)state;
	rounds(true, true);
	assert_true(torn > 100);
}

static void consumer_that_dies_at_any_moment_closes_the_ring(void **state)
{
	(void)state;
	rounds(false, true);
}

/* ---- A thread ---- */

static bool over;

/* It lets the other run now and then, which on a single core would have to wait for its time. */
static void *scribble(void *arg)
{
	uint32_t random = 1;
	weir_ring_word_t *page = arg;

	for (uint32_t count = 1; !__atomic_load_n(&over, __ATOMIC_RELAXED); count++) {
		random = random * 1664525 + 1013904223;
		__atomic_store_n(&page[random % 7 ? (random >> 8) % 512 : random >> 8 & 16],
				 random & 64 ? random >> 20 << 3 : random * 0x100000001ull,
				 __ATOMIC_RELAXED);
		__atomic_store_n(&scribbles, count, __ATOMIC_RELAXED);
		if (count % 256 == 0)
			sched_yield();
	}
	return NULL;
}

/* The ring is set up again, in the same pages, whenever it is closed. */
static void with_a_thread(bool producer_lying)
{
	pthread_t thread;

	seed = 1;
	closed = passed = 0;
	over = false;
	scribbled = true;
	ring = make_pair(SMALL);
	assert_int_equal(pthread_create(&thread, NULL, scribble,
					producer_lying ? (void *)ring.pages : (void *)ring.page),
			 0);
	for (uint32_t round = 0; round < 50 * ROUNDS && closed < ROUNDS; round++) {
		weir_ring_producer_init(&ring.producer, ring.pages, ring.bytes);
		weir_ring_consumer_init(&ring.consumer, ring.page, ring.pages, ring.bytes);
		weir_ring_producer_connect(&ring.producer, ring.page);
		one_round(producer_lying);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	scribbled = false;
	free_pair(&ring);
	assert_true(closed >= ROUNDS);
}

static void thread_that_scribbles_over_the_producers_pages_harms_nobody(void **state)
{
	(void)state;
	with_a_thread(true);
}

static void thread_that_scribbles_over_the_consumers_page_harms_nobody(void **state)
{
	(void)state;
	with_a_thread(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(producer_that_lies_at_any_moment_harms_nobody),
		cmocka_unit_test(consumer_that_lies_at_any_moment_harms_nobody),
		cmocka_unit_test(producer_that_dies_at_any_moment_leaves_no_record_that_is_torn),
		cmocka_unit_test(consumer_that_dies_at_any_moment_closes_the_ring),
		cmocka_unit_test(thread_that_scribbles_over_the_producers_pages_harms_nobody),
		cmocka_unit_test(thread_that_scribbles_over_the_consumers_page_harms_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
