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
 * Each word of the peer is read once and checked before it is used; no address outside of the ring's
 * pages is ever formed from one. What is *peeked* may change under the reader's eyes; read copies out.
 *
 * Producer: weir_ring_reserve, fill in, weir_ring_commit, as often as there is room; then
 * weir_ring_publish. Consumer: weir_ring_read, or weir_ring_peek and weir_ring_skip, as often as
 * there are records; then weir_ring_release.
 *
 * Contexts: each side's functions are called by one task, or under one lock, of that side.
 * Tests: tests/host/test_ring.c. Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/abi.h>
#include <weir/order.h>

#define WEIR_RING_MAGIC		0x31474e4952494557ull /* "WEIRING1", little endian */
#define WEIR_RING_RECORD	0x80000000u
#define WEIR_RING_PADDING	0xc0000000u
#define WEIR_RING_KIND		0xc0000000u /* mask of the two */
#define WEIR_RING_HEADER_BYTES	8u
#define WEIR_RING_CONTROL_BYTES 256u /* of each side's first page; data begins behind */
#define WEIR_RING_BYTES_MIN	4096u
#define WEIR_RING_BYTES_MAX	(1u << 30)

/* A cache line for each word that is written often. */
struct weir_ring_shared_producer {
	uint64_t tail; /* position up to which records are there; store-release */
	uint64_t reserved0[7];
	uint64_t space_wanted; /* kick when the consumer's head gets here; 0: never */
	uint64_t reserved1[7];
	uint64_t magic; /* constant once the consumer knows the ring, as is `bytes` */
	uint64_t bytes; /* of the producer's pages, all of them */
	uint64_t reserved2[14];
};

struct weir_ring_shared_consumer {
	uint64_t head; /* position up to which records are not needed any more; store-release */
	uint64_t reserved0[7];
	uint64_t data_wanted; /* kick when the producer's tail gets here; 0: never */
	uint64_t reserved1[23];
};

WEIR_STATIC_ASSERT(sizeof(struct weir_ring_shared_producer) == WEIR_RING_CONTROL_BYTES, "control");
WEIR_STATIC_ASSERT(sizeof(struct weir_ring_shared_consumer) == WEIR_RING_CONTROL_BYTES, "control");

/* Private to the producer. */
struct weir_ring_producer {
	struct weir_ring_shared_producer *own;
	const struct weir_ring_shared_consumer *peer; /* 0: not known yet, nothing is consumed */
	uint8_t *data;
	uint64_t size;	    /* of the data */
	uint64_t position;  /* committed */
	uint64_t offset;    /* in the data, of `position` */
	uint64_t published; /* <= position */
	uint64_t head;	    /* the peer's, as last seen; <= published */
	uint64_t reserved;  /* content bytes of the open reservation */
	bool open;	    /* there is one */
	bool broken;
};

/* Private to the consumer. */
struct weir_ring_consumer {
	struct weir_ring_shared_consumer *own;
	const struct weir_ring_shared_producer *peer;
	const uint8_t *data;
	uint64_t size;
	uint64_t position; /* read */
	uint64_t offset;   /* in the data, of `position` */
	uint64_t released; /* <= position */
	uint64_t tail;	   /* the peer's, as last seen; >= position */
	bool broken;
};

struct weir_ring_record {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t tag;
};

/* Reads a word that the peer may be changing, exactly once. */
static inline uint64_t weir_ring_word(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

/* What a record with so much content takes. */
static inline uint64_t weir_ring_space(uint64_t content)
{
	return (content + WEIR_RING_HEADER_BYTES + 7) & ~(uint64_t)7;
}

/* The largest content, given the size of the data: header and content are at most a quarter of it.
 */
static inline uint64_t weir_ring_limit(uint64_t size)
{
	return (size / 4 & ~(uint64_t)7) - WEIR_RING_HEADER_BYTES;
}

/* The largest content of a record, given the bytes of all the producer's pages. */
static inline uint64_t weir_ring_max(uint64_t bytes)
{
	return weir_ring_limit(bytes - WEIR_RING_CONTROL_BYTES);
}

static inline bool weir_ring_bytes_valid(uint64_t bytes)
{
	return bytes >= WEIR_RING_BYTES_MIN && bytes <= WEIR_RING_BYTES_MAX &&
	       bytes % WEIR_RING_BYTES_MIN == 0;
}

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
	ring->position = 0;
	ring->offset = 0;
	ring->published = 0;
	ring->head = 0;
	ring->reserved = 0;
	ring->open = false;
	ring->broken = false;
	return WEIR_OK;
}

/* Once the consumer's page is known. */
static inline void weir_ring_producer_connect(struct weir_ring_producer *ring, const void *page)
{
	ring->peer = (const struct weir_ring_shared_consumer *)page;
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
	if (head < ring->head || head > ring->published || head % 8) {
		ring->broken = true;
		return WEIR_CLOSED;
	}
	ring->head = head;
	return WEIR_OK;
}

/* What a record takes at the present place: with the padding before it, if it needs one. */
static inline uint64_t weir_ring_need(const struct weir_ring_producer *ring, uint64_t content)
{
	uint64_t to_end = ring->size - ring->offset, space = weir_ring_space(content);

	return space <= to_end ? space : to_end + space;
}

static inline bool weir_ring_has_room(const struct weir_ring_producer *ring, uint64_t need)
{
	return need <= ring->size - (ring->position - ring->head);
}

static inline void weir_ring_put_header(struct weir_ring_producer *ring, uint32_t word,
					uint32_t tag)
{
	uint32_t *header = (uint32_t *)(void *)(ring->data + ring->offset);

	header[0] = word;
	header[1] = tag;
}

static inline void weir_ring_advance(struct weir_ring_producer *ring, uint64_t bytes)
{
	ring->position += bytes;
	ring->offset += bytes;
	if (ring->offset == ring->size)
		ring->offset = 0;
}

/*
 * Room for a record of up to `content` bytes, at *data, 8-byte aligned. A second reservation
 * without a commit takes the place of the first.
 */
static inline enum weir_status weir_ring_reserve(struct weir_ring_producer *ring, uint64_t content,
						 void **data)
{
	uint64_t need;

	ring->open = false;
	if (ring->broken)
		return WEIR_CLOSED;
	if (content > weir_ring_limit(ring->size))
		return WEIR_INVALID;
	need = weir_ring_need(ring, content);
	if (!weir_ring_has_room(ring, need)) {
		enum weir_status status = weir_ring_see_head(ring);

		if (status != WEIR_OK)
			return status;
		if (!weir_ring_has_room(ring, need))
			return WEIR_AGAIN;
	}
	if (need != weir_ring_space(content)) {
		uint64_t to_end = ring->size - ring->offset;

		weir_ring_put_header(ring, WEIR_RING_PADDING | (uint32_t)to_end, 0);
		weir_ring_advance(ring, to_end);
	}
	ring->reserved = content;
	ring->open = true;
	*data = ring->data + ring->offset + WEIR_RING_HEADER_BYTES;
	return WEIR_OK;
}

/* Makes the reservation a record; `content` may be less than was reserved. */
static inline enum weir_status weir_ring_commit(struct weir_ring_producer *ring, uint64_t content,
						uint32_t tag)
{
	if (ring->broken)
		return WEIR_CLOSED;
	if (!ring->open || content > ring->reserved)
		return WEIR_INVALID;
	ring->open = false;
	weir_ring_put_header(ring, WEIR_RING_RECORD | (uint32_t)content, tag);
	weir_ring_advance(ring, weir_ring_space(content));
	return WEIR_OK;
}

/* Reserve, copy, commit. */
static inline enum weir_status weir_ring_write(struct weir_ring_producer *ring, const void *content,
					       uint64_t bytes, uint32_t tag)
{
	void *data;
	enum weir_status status = weir_ring_reserve(ring, bytes, &data);

	if (status != WEIR_OK)
		return status;
	if (bytes)
		__builtin_memcpy(data, content, bytes);
	return weir_ring_commit(ring, bytes, tag);
}

/* Lets the consumer see all that was committed; true: kick it. */
static inline bool weir_ring_publish(struct weir_ring_producer *ring)
{
	uint64_t before = ring->published, wanted;

	if (ring->broken || before == ring->position)
		return false;
	ring->published = ring->position;
	/* [P4] the records before the tail. Pairs with [C4] in weir_ring_see_tail. */
	WEIR_ORDERED(P4, stlr,
		     __atomic_store_n(&ring->own->tail, ring->position, __ATOMIC_RELEASE));
	if (!ring->peer)
		return true;
	/* [P1] `tail` is stored before data_wanted is read. Pairs with [C1] in weir_ring_arm_read.
	 */
	WEIR_ORDERED(P1, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	wanted = weir_ring_word(&ring->peer->data_wanted);
	return before < wanted && wanted <= ring->position;
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
	end = ring->position + weir_ring_need(ring, content);
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
	ring->position = 0;
	ring->offset = 0;
	ring->released = 0;
	ring->tail = 0;
	ring->broken = __atomic_load_n(&peer->magic, __ATOMIC_ACQUIRE) != WEIR_RING_MAGIC ||
		       weir_ring_word(&peer->bytes) != bytes;
	__atomic_store_n(&ring->own->data_wanted, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&ring->own->head, 0, __ATOMIC_RELEASE);
	return ring->broken ? WEIR_CLOSED : WEIR_OK;
}

static inline enum weir_status weir_ring_break(struct weir_ring_consumer *ring)
{
	ring->broken = true;
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

static inline void weir_ring_pass(struct weir_ring_consumer *ring, uint64_t bytes)
{
	ring->position += bytes;
	ring->offset += bytes;
	if (ring->offset == ring->size)
		ring->offset = 0;
}

/*
 * The next record, which stays the next until weir_ring_skip. Its data are the producer's pages:
 * for peers that are trusted not to change them. A padding record on the way is passed for good.
 */
static inline enum weir_status weir_ring_peek(struct weir_ring_consumer *ring,
					      struct weir_ring_record *record)
{
	for (;;) {
		const uint32_t *header =
			(const uint32_t *)(const void *)(ring->data + ring->offset);
		uint64_t to_end = ring->size - ring->offset, content;
		uint32_t word;

		if (ring->position == ring->tail || ring->broken) {
			enum weir_status status = weir_ring_see_tail(ring);

			if (status != WEIR_OK)
				return status;
			if (ring->position == ring->tail)
				return WEIR_AGAIN;
		}
		word = __atomic_load_n(&header[0], __ATOMIC_RELAXED);
		content = word & ~WEIR_RING_KIND;
		if ((word & WEIR_RING_KIND) == WEIR_RING_PADDING) {
			/* At the beginning nothing needs padding, so this cannot go round for ever.
			 */
			if (content != to_end || to_end == ring->size ||
			    to_end > ring->tail - ring->position)
				return weir_ring_break(ring);
			weir_ring_pass(ring, to_end);
			continue;
		}
		if ((word & WEIR_RING_KIND) != WEIR_RING_RECORD ||
		    content > weir_ring_limit(ring->size) || weir_ring_space(content) > to_end ||
		    weir_ring_space(content) > ring->tail - ring->position)
			return weir_ring_break(ring);
		record->data = ring->data + ring->offset + WEIR_RING_HEADER_BYTES;
		record->bytes = (uint32_t)content;
		record->tag = __atomic_load_n(&header[1], __ATOMIC_RELAXED);
		return WEIR_OK;
	}
}

/* Goes on behind a record that was peeked. */
static inline void weir_ring_skip(struct weir_ring_consumer *ring,
				  const struct weir_ring_record *record)
{
	weir_ring_pass(ring, weir_ring_space(record->bytes));
}

/*
 * Copies the next record out and goes on behind it. WEIR_INVALID: it has more than `room` bytes;
 * *bytes says how many.
 */
static inline enum weir_status weir_ring_read(struct weir_ring_consumer *ring, void *buffer,
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
	if (record.bytes)
		__builtin_memcpy(buffer, record.data, record.bytes);
	weir_ring_skip(ring, &record);
	return WEIR_OK;
}

/* Gives back all that was read or skipped; true: kick the producer. */
static inline bool weir_ring_release(struct weir_ring_consumer *ring)
{
	uint64_t before = ring->released, wanted;

	if (ring->broken || before == ring->position)
		return false;
	ring->released = ring->position;
	/* [C3] our reads of the records before the head. Pairs with [P3] in weir_ring_see_head. */
	WEIR_ORDERED(C3, stlr,
		     __atomic_store_n(&ring->own->head, ring->position, __ATOMIC_RELEASE));
	/* [C2] `head` is stored before space_wanted is read. Pairs with [P2] in weir_ring_arm_head.
	 */
	WEIR_ORDERED(C2, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	wanted = weir_ring_word(&ring->peer->space_wanted);
	return before < wanted && wanted <= ring->position;
}

/*
 * Asks to be woken when there is something to read. WEIR_OK: there is already, do not sleep.
 * WEIR_AGAIN: sleep until the kick. Release first: the producer may be waiting for it.
 */
static inline enum weir_status weir_ring_arm_read(struct weir_ring_consumer *ring)
{
	enum weir_status status;

	__atomic_store_n(&ring->own->data_wanted, ring->position + 1, __ATOMIC_RELAXED);
	/* [C1] data_wanted is stored before `tail` is read. Pairs with [P1] in weir_ring_publish.
	 */
	WEIR_ORDERED(C1, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	status = weir_ring_see_tail(ring);
	if (status != WEIR_OK)
		return status;
	return ring->tail == ring->position ? WEIR_AGAIN : WEIR_OK;
}
