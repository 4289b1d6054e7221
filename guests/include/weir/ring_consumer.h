/*
 * The bulk ring's consumer: finds records, reads them and gives their room back. ring.h says how the two sides work
 * together, what each status means, and which functions a consumer calls in which order. Since ABI 1.
 */
#pragma once

#include <weir/order.h>
#include <weir/ring_memory.h>

/*
 * Attaches to the producer's `bytes` at `pages`; `page` is the consumer's own, before it is shared
 * or after. WEIR_INVALID: `bytes` cannot be a ring. WEIR_CLOSED: what is there is no ring of that
 * size.
 */
static inline enum weir_status weir_ring_consumer_init(struct weir_ring_consumer *ring, void *page,
						       const void *pages, uint64_t bytes)
{
	const struct weir_ring_shared_producer *peer =
		(const struct weir_ring_shared_producer *)pages;

	if (!weir_ring_bytes_valid(bytes))
		return WEIR_INVALID;
	ring->own = (struct weir_ring_shared_consumer *)page;
	ring->peer = peer;
	ring->data = (const uint8_t *)pages + WEIR_RING_CONTROL_BYTES;
	ring->size = bytes - WEIR_RING_CONTROL_BYTES;
	ring->next = ring->data;
	ring->end = ring->data;
	ring->base = 0 - (uint64_t)(uintptr_t)ring->data;
	ring->released = 0;
	ring->tail = 0;
	ring->broken = __atomic_load_n(&peer->magic, __ATOMIC_ACQUIRE) != WEIR_RING_MAGIC ||
		       weir_ring_word(&peer->bytes) != bytes;
	__atomic_store_n(&ring->own->data_wanted, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->own->head, 0, __ATOMIC_RELEASE);
	return ring->broken ? WEIR_CLOSED : WEIR_OK;
}

/* Where the consumer stands: all before it was read. */
static inline uint64_t weir_ring_consumed(const struct weir_ring_consumer *ring)
{
	return ring->base + (uint64_t)(uintptr_t)ring->next;
}

/* For good: nothing to read, nothing to release. */
static inline enum weir_status weir_ring_break(struct weir_ring_consumer *ring)
{
	ring->broken = true;
	ring->end = ring->next;
	return WEIR_CLOSED;
}

/* Looks how far the producer is: never back, nor more ahead of what we gave back than the data is
 * long. */
static inline enum weir_status weir_ring_see_tail(struct weir_ring_consumer *ring)
{
	uint64_t tail;

	if (ring->broken)
		return WEIR_CLOSED;
	/* [C4] `tail` before the records. Pairs with [P4] in weir_ring_publish. */
	WEIR_ORDERED(C4, ldar, tail = __atomic_load_n(&ring->peer->tail, __ATOMIC_ACQUIRE));
	if (tail < ring->tail || tail - ring->released > ring->size || tail % 8)
		return weir_ring_break(ring);
	ring->tail = tail;
	return WEIR_OK;
}

/* The word of a header that says what it is, in the lower half, and the tag. */
static inline uint64_t weir_ring_header(const uint8_t *place)
{
	return weir_ring_word((const weir_ring_word_t *)(const void *)place);
}

/* In two registers. */
struct weir_ring_found {
	uint64_t header;
	enum weir_status status;
};

/*
 * Moves `end` to the end of what can be read in one piece, and `next` over a padding record. The
 * header that is read here is checked here, whatever the short way has seen there.
 */
WEIR_RING_LONG struct weir_ring_found weir_ring_find(struct weir_ring_consumer *ring)
{
	struct weir_ring_found found = { 0, WEIR_OK };

	for (;;) {
		uint64_t to_end = ring->size - (uint64_t)(ring->next - ring->data);
		uint64_t there = ring->tail - weir_ring_consumed(ring);

		if (!there || ring->broken) {
			found.status = weir_ring_see_tail(ring);
			if (found.status != WEIR_OK)
				return found;
			there = ring->tail - weir_ring_consumed(ring);
			found.status = WEIR_AGAIN;
			if (!there)
				return found;
		}
		if (!to_end) {
			ring->next = ring->data;
			ring->base += ring->size;
			to_end = ring->size;
		}
		ring->end =
			ring->next + weir_ring_least(weir_ring_least(there, to_end),
						     weir_ring_space(weir_ring_limit(ring->size)));
		found.status = WEIR_OK;
		found.header = weir_ring_header(ring->next);
		if (weir_ring_extent(found.header) <= (uint64_t)(ring->end - ring->next))
			return found;
		/* At the beginning nothing needs padding, so this cannot go round for ever. */
		if ((uint32_t)found.header != (WEIR_RING_PADDING | (uint32_t)to_end) ||
		    to_end == ring->size || to_end > there) {
			found.status = weir_ring_break(ring);
			return found;
		}
		ring->next += to_end;
	}
}

/*
 * The next record, which stays the next until weir_ring_skip. Its data are the producer's pages:
 * for peers that are trusted not to change them. A padding record on the way is passed for good.
 */
WEIR_RING_SHORT enum weir_status weir_ring_peek(struct weir_ring_consumer *ring,
						struct weir_ring_record *record)
{
	struct weir_ring_found found = { 0, WEIR_AGAIN };

	if (ring->next < ring->end) {
		found.header = weir_ring_header(ring->next);
		if (weir_ring_extent(found.header) <= (uint64_t)(ring->end - ring->next))
			found.status = WEIR_OK;
	}
	if (found.status != WEIR_OK) {
		found = weir_ring_find(ring);
		if (found.status != WEIR_OK)
			return found.status;
	}
	weir_ring_tell(record, ring->next, found.header);
	return WEIR_OK;
}

/* Goes on behind a record that was peeked. */
static inline void weir_ring_skip(struct weir_ring_consumer *ring,
				  const struct weir_ring_record *record)
{
	ring->next += weir_ring_space(record->bytes);
}

/*
 * Copies the next record out and goes on behind it. WEIR_INVALID: it has more than `room` bytes;
 * *bytes says how many.
 */
WEIR_RING_SHORT enum weir_status weir_ring_read(struct weir_ring_consumer *ring, void *buffer,
						uint64_t room, uint32_t *bytes, uint32_t *tag)
{
	struct weir_ring_record record;
	enum weir_status status = weir_ring_peek(ring, &record);

	if (status != WEIR_OK)
		return status;
	*bytes = record.bytes;
	*tag = record.tag;
	if (record.bytes > room)
		return WEIR_INVALID;
	if (__builtin_constant_p(room) && record.bytes == room)
		weir_ring_copy(buffer, weir_ring_aligned(record.data), room);
	else
		weir_ring_copy(buffer, record.data, record.bytes);
	weir_ring_skip(ring, &record);
	return WEIR_OK;
}

/*
 * Reads up to `count` records of exactly `bytes` each, one after the other into `contents`, their
 * tags into `tags`, unless that is 0: *done says how many. WEIR_OK: all of them. WEIR_AGAIN:
 * there are no more now. WEIR_INVALID: the next has another length; it stays, for weir_ring_read.
 */
WEIR_RING_SHORT enum weir_status weir_ring_read_batch(struct weir_ring_consumer *ring,
						      void *contents, uint64_t bytes,
						      uint32_t count, uint32_t *tags,
						      uint32_t *done)
{
	uint8_t *to = (uint8_t *)contents;
	enum weir_status status = bytes <= WEIR_RING_BYTES_MAX ? WEIR_OK : WEIR_INVALID;
	uint32_t read = 0;

	while (read < count && status == WEIR_OK) {
		const uint8_t *next = ring->next, *end = ring->end;
		struct weir_ring_found found;

		for (; read < count && end - next >= (int64_t)weir_ring_space(bytes); read++) {
			uint64_t header = weir_ring_header(next);

			if ((uint32_t)header != (WEIR_RING_RECORD | (uint32_t)bytes))
				break;
			if (tags)
				tags[read] = (uint32_t)(header >> 32);
			weir_ring_copy(to, weir_ring_aligned(next + WEIR_RING_HEADER_BYTES), bytes);
			to += bytes;
			next += weir_ring_space(bytes);
		}
		ring->next = next;
		if (read == count)
			break;
		found = weir_ring_find(ring);
		status = found.status;
		if (status == WEIR_OK && (uint32_t)found.header != (WEIR_RING_RECORD | bytes))
			status = WEIR_INVALID;
	}
	*done = read;
	return status;
}

/*
 * WEIR_OK: all that was read so far the producer had written. WEIR_CLOSED: it has gone meanwhile, and the
 * end of what was read last may be zeroes. For a record that has to be whole, before it is used: a
 * grant's pages turn to zeroes all at once, and the first of them holds the word that tells. (The
 * record of a producer that lies may be anything.)
 */
static inline enum weir_status weir_ring_confirm(struct weir_ring_consumer *ring)
{
	/* [C5] our reads of the records before that of `magic`. Pairs with stage2_set_pages() of the
	 * hypervisor: no core reads the old pages any more when one can read the new ones. */
	WEIR_ORDERED(C5, dmb ishld, __atomic_thread_fence(__ATOMIC_ACQUIRE));
	if (weir_ring_word(&ring->peer->magic) != WEIR_RING_MAGIC)
		return weir_ring_break(ring);
	return ring->broken ? WEIR_CLOSED : WEIR_OK;
}

/* weir_ring_release for who has just read something. */
static inline bool weir_ring_release_read(struct weir_ring_consumer *ring)
{
	const struct weir_ring_shared_producer *peer = ring->peer;
	struct weir_ring_shared_consumer *own = ring->own;
	uint64_t before = ring->released, position = weir_ring_consumed(ring);

	ring->released = position;
	/* [C3] our reads of the records before the head. Pairs with [P3] in weir_ring_see_head. */
	WEIR_ORDERED(C3, stlr, __atomic_store_n(&own->head, position, __ATOMIC_RELEASE));
	/* [C2] `head` is stored before space_wanted is read. Pairs with [P2] in weir_ring_arm_head.
	 */
	WEIR_ORDERED(C2, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	return weir_ring_came_by(weir_ring_word(&peer->space_wanted), before, position);
}

/* Gives back all that was read or skipped; true: kick the producer. */
static inline bool weir_ring_release(struct weir_ring_consumer *ring)
{
	return ring->released != weir_ring_consumed(ring) && !ring->broken &&
	       weir_ring_release_read(ring);
}

/*
 * Asks to be woken when there is something to read. WEIR_OK: there is already, do not sleep.
 * WEIR_AGAIN: sleep until the kick. Release first: the producer may be waiting for it.
 */
static inline enum weir_status weir_ring_arm_read(struct weir_ring_consumer *ring)
{
	enum weir_status status;

	__atomic_store_n(&ring->own->data_wanted, weir_ring_consumed(ring) + 1, __ATOMIC_RELAXED);
	/* [C1] data_wanted is stored before `tail` is read. Pairs with [P1] in weir_ring_publish.
	 */
	WEIR_ORDERED(C1, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	status = weir_ring_see_tail(ring);
	if (status != WEIR_OK)
		return status;
	return ring->tail == weir_ring_consumed(ring) ? WEIR_AGAIN : WEIR_OK;
}
