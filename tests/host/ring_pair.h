/*
 * Both ends of a bulk ring in one program. The pages are allocations of their exact size, so that the
 * address sanitizer sees each step outside.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

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

static inline struct pair make_pair(uint64_t bytes)
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

static inline void free_pair(struct pair *pair)
{
	free(pair->pages);
	free(pair->page);
}

/* Content that depends on the record's number, so that a mix-up shows. */
static inline void fill(uint8_t *data, uint32_t bytes, uint32_t number)
{
	for (uint32_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)(number * 31 + i * 7);
}

static inline enum weir_status put(struct pair *pair, uint32_t bytes, uint32_t number)
{
	uint8_t content[DATA];

	fill(content, bytes, number);
	return weir_ring_write(&pair->producer, content, bytes, number);
}

static inline void expect(struct pair *pair, uint32_t bytes, uint32_t number)
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

static inline enum weir_status peek(struct pair *pair)
{
	struct weir_ring_record record;

	return weir_ring_peek(&pair->consumer, &record);
}

/* One record through an otherwise empty ring: moves the place where the next one goes. */
static inline void pass_through(struct pair *pair, uint32_t bytes)
{
	assert_int_equal(put(pair, bytes, 1), WEIR_OK);
	weir_ring_publish(&pair->producer);
	expect(pair, bytes, 1);
	weir_ring_release(&pair->consumer);
}
