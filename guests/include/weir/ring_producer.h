/*
 * The bulk ring's producer: makes records and lets the consumer see them. ring.h says how the two sides work together,
 * what each status means, and which functions a producer calls in which order. Since ABI 1.
 */
#pragma once

#include <weir/order.h>
#include <weir/ring_memory.h>

/*
 * Makes an empty ring of the `bytes` at `pages`, before they are shared. WEIR_INVALID: `bytes` is
 * not a multiple of 4096 up to WEIR_RING_BYTES_MAX.
 */
static inline enum weir_status weir_ring_producer_init(struct weir_ring_producer *ring, void *pages,
						       uint64_t bytes)
{
	struct weir_ring_shared_producer *own = (struct weir_ring_shared_producer *)pages;

	if (!weir_ring_bytes_valid(bytes))
		return WEIR_INVALID;
	__atomic_store_n(&own->tail, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&own->space_wanted, 0, __ATOMIC_RELAXED);
	own->bytes = bytes;
	__atomic_store_n(&own->magic, WEIR_RING_MAGIC, __ATOMIC_RELEASE);
	ring->own = own;
	ring->peer = NULL;
	ring->data = (uint8_t *)pages + WEIR_RING_CONTROL_BYTES;
	ring->size = bytes - WEIR_RING_CONTROL_BYTES;
	ring->next = ring->data;
	ring->reserved = 0;
	ring->end = ring->data;
	ring->base = 0 - (uint64_t)(uintptr_t)ring->data;
	ring->published = 0;
	ring->head = 0;
	ring->broken = false;
	return WEIR_OK;
}

/* Once the consumer's page is known. */
static inline void weir_ring_producer_connect(struct weir_ring_producer *ring, const void *page)
{
	ring->peer = (const struct weir_ring_shared_consumer *)page;
}

/* Where the producer stands: all before it is committed. */
static inline uint64_t weir_ring_committed(const struct weir_ring_producer *ring)
{
	return ring->base + (uint64_t)(uintptr_t)ring->next;
}

/* For good: no room, no reservation, nothing to publish. */
static inline enum weir_status weir_ring_break_producer(struct weir_ring_producer *ring)
{
	ring->broken = true;
	ring->reserved = 0;
	ring->end = ring->next;
	ring->base -= weir_ring_committed(ring) - ring->published;
	return WEIR_CLOSED;
}

/* Looks how far the consumer is; it cannot be behind where it was, nor beyond what it was given. */
static inline enum weir_status weir_ring_see_head(struct weir_ring_producer *ring)
{
	uint64_t head;

	if (ring->broken)
		return WEIR_CLOSED;
	if (!ring->peer)
		return WEIR_OK;
	/* [P3] `head` is read before we write over what it gives back. Pairs with [C3] in
	 * weir_ring_release: the consumer's reads of a record end before that. */
	WEIR_ORDERED(P3, ldar, head = __atomic_load_n(&ring->peer->head, __ATOMIC_ACQUIRE));
	if (head < ring->head || head > ring->published || head % 8)
		return weir_ring_break_producer(ring);
	ring->head = head;
	return WEIR_OK;
}

/* From `next` to the end of the data. */
static inline uint64_t weir_ring_write_to_end(const struct weir_ring_producer *ring)
{
	return ring->size - (uint64_t)(ring->next - ring->data);
}

/* What a record takes at the present place: with the padding before it, if it needs one. */
static inline uint64_t weir_ring_need(const struct weir_ring_producer *ring, uint64_t content)
{
	uint64_t to_end = weir_ring_write_to_end(ring), space = weir_ring_space(content);

	return space <= to_end ? space : to_end + space;
}

/* Bytes that the consumer, as last seen, does not need. */
static inline uint64_t weir_ring_free(const struct weir_ring_producer *ring)
{
	return ring->size - (weir_ring_committed(ring) - ring->head);
}

/*
 * Moves `end` so that a record of so much content fits before it, and `next` to the beginning if
 * it does not fit before the end of the data.
 */
WEIR_RING_LONG enum weir_status weir_ring_make_room(struct weir_ring_producer *ring,
						    uint64_t content)
{
	uint64_t need, to_end;

	if (ring->broken)
		return WEIR_CLOSED;
	if (content > weir_ring_limit(ring->size))
		return WEIR_INVALID;
	need = weir_ring_need(ring, content);
	if (need > weir_ring_free(ring)) {
		enum weir_status status = weir_ring_see_head(ring);

		if (status != WEIR_OK)
			return status;
		if (need > weir_ring_free(ring))
			return WEIR_AGAIN;
	}
	to_end = weir_ring_write_to_end(ring);
	if (need > to_end) {
		if (to_end)
			weir_ring_put_header(ring->next, WEIR_RING_PADDING | (uint32_t)to_end, 0);
		ring->next = ring->data;
		ring->base += ring->size;
		to_end = ring->size;
	}
	ring->end = ring->next + weir_ring_least(weir_ring_least(weir_ring_free(ring), to_end),
						 weir_ring_space(weir_ring_limit(ring->size)));
	return WEIR_OK;
}

/* Where a record of so much content can be made; the number is not trusted, the room is. */
WEIR_RING_SHORT enum weir_status weir_ring_room(struct weir_ring_producer *ring, uint64_t content)
{
	if (content <= WEIR_RING_BYTES_MAX &&
	    weir_ring_space(content) <= (uint64_t)(ring->end - ring->next))
		return WEIR_OK;
	return weir_ring_make_room(ring, content);
}

/*
 * Room for a record of up to `content` bytes, at *data, 8-byte aligned. A second reservation
 * without a commit takes the place of the first.
 */
static inline enum weir_status weir_ring_reserve(struct weir_ring_producer *ring, uint64_t content,
						 void **data)
{
	enum weir_status status = weir_ring_room(ring, content);

	ring->reserved = 0;
	if (status != WEIR_OK)
		return status;
	ring->reserved = content + 1;
	*data = ring->next + WEIR_RING_HEADER_BYTES;
	return WEIR_OK;
}

/* Makes the reservation a record; `content` may be less than was reserved. */
static inline enum weir_status weir_ring_commit(struct weir_ring_producer *ring, uint64_t content,
						uint32_t tag)
{
	if (content >= ring->reserved)
		return ring->broken ? WEIR_CLOSED : WEIR_INVALID;
	weir_ring_put_header(ring->next, WEIR_RING_RECORD | (uint32_t)content, tag);
	ring->next += weir_ring_space(content);
	ring->reserved = 0;
	return WEIR_OK;
}

/* Makes a record where there is room for it; returns the place behind it. */
WEIR_RING_SHORT uint8_t *weir_ring_put(uint8_t *place, const void *content, uint64_t bytes,
				       uint32_t tag)
{
	weir_ring_put_header(place, WEIR_RING_RECORD | (uint32_t)bytes, tag);
	weir_ring_copy(weir_ring_aligned(place + WEIR_RING_HEADER_BYTES), content, bytes);
	return place + weir_ring_space(bytes);
}

/* Reserve, copy, commit. */
WEIR_RING_SHORT enum weir_status weir_ring_write(struct weir_ring_producer *ring,
						 const void *content, uint64_t bytes, uint32_t tag)
{
	enum weir_status status = weir_ring_room(ring, bytes);

	if (status != WEIR_OK)
		return status;
	ring->next = weir_ring_put(ring->next, content, bytes, tag);
	ring->reserved = 0;
	return WEIR_OK;
}

/*
 * Makes up to `count` records of `bytes` each, all with this tag, of what lies one after the other
 * at `contents`: *written says how many. WEIR_OK: all of them. WEIR_AGAIN: the ring is full then.
 * WEIR_INVALID, WEIR_CLOSED: as for one.
 */
WEIR_RING_SHORT enum weir_status weir_ring_write_batch(struct weir_ring_producer *ring,
						       const void *contents, uint64_t bytes,
						       uint32_t count, uint32_t tag,
						       uint32_t *written)
{
	const uint8_t *from = (const uint8_t *)contents;
	enum weir_status status = WEIR_OK;
	uint32_t done = 0;

	ring->reserved = 0;
	while (done < count && (status = weir_ring_room(ring, bytes)) == WEIR_OK) {
		uint64_t fit = (uint64_t)(ring->end - ring->next) / weir_ring_space(bytes);
		uint32_t stop = done + (uint32_t)weir_ring_least(fit, count - done);
		uint8_t *next = ring->next;

		for (; done < stop; done++, from += bytes)
			next = weir_ring_put(next, from, bytes, tag);
		ring->next = next;
	}
	*written = done;
	return status;
}

/*
 * weir_ring_publish for who has just committed something. *wanted is the word by which the consumer asks to
 * be kicked: 0 of one that never did, or whose page is not there any more.
 */
static inline bool weir_ring_publish_new(struct weir_ring_producer *ring, uint64_t *wanted)
{
	const struct weir_ring_shared_consumer *peer = ring->peer;
	struct weir_ring_shared_producer *own = ring->own;
	uint64_t before = ring->published, position = weir_ring_committed(ring);

	ring->published = position;
	*wanted = 1;
	/* [P4] the records before the tail. Pairs with [C4] in weir_ring_see_tail. */
	WEIR_ORDERED(P4, stlr, __atomic_store_n(&own->tail, position, __ATOMIC_RELEASE));
	if (!peer)
		return true;
	/* [P1] `tail` is stored before data_wanted is read. Pairs with [C1] in weir_ring_arm_read.
	 */
	WEIR_ORDERED(P1, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	*wanted = weir_ring_word(&peer->data_wanted);
	return weir_ring_came_by(*wanted, before, position);
}

/* Lets the consumer see all that was committed; true: kick it. */
static inline bool weir_ring_publish(struct weir_ring_producer *ring)
{
	uint64_t wanted;

	return ring->published != weir_ring_committed(ring) && weir_ring_publish_new(ring, &wanted);
}

/* Asks to be woken when the consumer has come to a position. WEIR_AGAIN: it has not. */
static inline enum weir_status weir_ring_arm_head(struct weir_ring_producer *ring, uint64_t wanted)
{
	enum weir_status status;

	__atomic_store_n(&ring->own->space_wanted, wanted, __ATOMIC_RELAXED);
	/* [P2] space_wanted is stored before `head` is read. Pairs with [C2] in weir_ring_release.
	 */
	WEIR_ORDERED(P2, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	status = weir_ring_see_head(ring);
	if (status != WEIR_OK)
		return status;
	return ring->head >= wanted ? WEIR_OK : WEIR_AGAIN;
}

/*
 * Asks to be woken when there is room for a record of `content` bytes. WEIR_OK: there is already,
 * do not sleep. WEIR_AGAIN: sleep until the kick. Publish first: what the consumer cannot see it
 * cannot free.
 */
static inline enum weir_status weir_ring_arm_write(struct weir_ring_producer *ring,
						   uint64_t content)
{
	uint64_t end;

	if (content > weir_ring_limit(ring->size))
		return WEIR_INVALID;
	end = weir_ring_committed(ring) + weir_ring_need(ring, content);
	return weir_ring_arm_head(ring, end > ring->size ? end - ring->size : 0);
}

/* Asks to be woken when the consumer has released all that was published; answers as above. */
static inline enum weir_status weir_ring_arm_drained(struct weir_ring_producer *ring)
{
	return weir_ring_arm_head(ring, ring->published);
}
