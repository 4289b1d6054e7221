/*
 * The bulk ring: a stream of records from one producer to one consumer, through shared pages.
 *
 * It makes no hypercall: how the pages are shared (grant.h) and how the other side is woken
 * (event.h) is the caller's. Each side trusts the other with nothing but its own data.
 *
 * Pages, and who writes them:
 *   producer's pages: one or more, the producer writes, the consumer has them read-only: struct
 *	weir_ring_shared_producer, then the data up to the end of the last page.
 *   consumer's page: the consumer writes, the producer has it read-only: struct
 *	weir_ring_shared_consumer.
 *
 * Positions are counts of data bytes since the start, 64 bits, and do not wrap; 8-byte aligned. The
 * data holds records one after the other, none of them broken by the end: what does not fit before
 * it is filled by a padding record. A record is 8-byte aligned:
 *   u32  WEIR_RING_RECORD | bytes of content, or WEIR_RING_PADDING | bytes up to the end of the data
 *   u32  tag: the caller's, the ring does not look at it
 *   the content, then up to 7 bytes without meaning
 * So a page of zeroes (a grant that was revoked) holds no record.
 *
 * Wake-ups, event-index style. Who is about to sleep *arms*: it writes into its own page the position
 * at which it wants to be woken, and looks once more. Who moves its position past that one is told
 * ("kick"), and sends an event. A side that does not sleep is not woken.
 *
 * Errors:
 *   WEIR_AGAIN:   full (producer) or empty (consumer): arm, and sleep until the peer's kick.
 *   WEIR_INVALID: a record larger than a quarter of the data (weir_ring_max); on read, the caller's
 *		   buffer is too small, and the record stays.
 *   WEIR_CLOSED:  the peer wrote a position or length that cannot be, or revoked its pages. The
 *		   ring stays closed: all further calls answer this.
 * What is used of the peer's words is checked in the very copy that is used; no address outside of the
 * ring's pages is ever formed from one. What is *peeked* may change under the reader's eyes; read
 * copies out, and reads nothing twice.
 *
 * Producer: weir_ring_write, or weir_ring_reserve, fill in, weir_ring_commit, as often as there is
 * room; then weir_ring_publish. Consumer: weir_ring_read, or weir_ring_peek and weir_ring_skip, as
 * often as there are records; then weir_ring_release. Publish and release have a full barrier each: the
 * fewer, the faster. weir_ring_write_batch and weir_ring_read_batch are for many records of one size.
 * Sizes that the compiler knows (sizeof) are fastest; copies of 32, 64 and 96 bytes are inlined.
 *
 * Set up again: a ring that is closed, or whose peer began anew, is of no use any more. (That a peer has
 * gone, its port tells for certain; the ring only where its zeroes contradict what was seen before.)
 * Whoever is still there calls its init again and then tells the peer, by the port's word for example:
 * the producer weir_ring_producer_init, and weir_ring_producer_connect when the new consumer's page is
 * there; the consumer weir_ring_consumer_init, when the new producer's pages are. Records that were not
 * released by then are lost. When a producer goes away, what was read last may be torn: ask
 * weir_ring_confirm where that matters.
 *
 * Contexts: each side's functions are called by one task, or under one lock, of that side.
 * Tests: tests/host/test_ring.c, test_ring_lies.c,
 * test_ring_liar.c, test_wrap.c, tests/guest/ring_again.c. Since ABI 1.
 */
#pragma once

#include <weir/order.h>
#include <weir/ring_memory.h>

/* ---- Producer ---- */

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

/* ---- Consumer ---- */

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
