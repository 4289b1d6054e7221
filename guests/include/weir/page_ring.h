/*
 * Page rings: records that are pages. For what is so large that even one copy is too much: the pages
 * themselves go from one VM to the other, and come home when they have been used.
 *
 * sender:   weir_page_ring_open	receiver:  weir_page_ring_open
 *	     weir_page_ring_reserve		   weir_page_ring_receive
 *	     (fills the buffer)			   (uses the pages, writes to them)
 *	     weir_page_ring_pass		   weir_page_ring_return, or
 *						   weir_page_ring_try_pass_on
 *
 * Each call waits for what it needs; the forms with `try` answer WEIR_AGAIN. Both ends may send.
 *
 * Protocol. A channel (channel.h) of which the page ring has both rings. Its records are struct
 * weir_page_message, the tag is 0. Who sends passes pages of its pool (grant.h, WEIR_PASS), as many as
 * hold the bytes, and sends the grant's handle; from then on it sees a scratch page there. Who receives
 * maps them; it returns them by taking them out of its window, without a word: Weir raises an event on
 * the port by which home has passed them, whoever returns them, at whatever end of a chain of VMs.
 * Home then has them back, with what is in them.
 *
 * Home finds out which of its pages are there without a call: while a page is away, home sees one and
 * the same scratch page at all such places. One page of its own, the witness, is offered to the peer
 * for good, and never announced: what home writes there, it reads where a page is away, and nowhere
 * else. Nothing is written to a page that may be home again.
 *
 * Ends. When the receiver ends, or its session, or the sender opens again, the sender's pages come
 * home (zeroed, if it was the end of a VM that had them). Who has pages of a sender that has ended, or
 * has opened again, sees zeroes there, or what it writes itself, and the session has ended for it too.
 * A lie (what is sent is not passed, or no pages, or more than there is room for) ends the session. A
 * peer can always keep what it has, and by taking the witness make the sender write to its own scratch
 * page: until the sender opens again.
 *
 * Errors, besides those of channel.h:
 *   WEIR_AGAIN:   `try` only: no buffer is at home; no record; no place in the window.
 *   WEIR_INVALID: pass: no buffer of this page ring that was reserved, or more bytes than it has.
 *		   open: slots, or the pages of one, are out of range. return, try_pass_on: no record that
 *		   was received and is still here.
 *   WEIR_BUSY:    pass: a block request that is not finished names the pages, or they never were home,
 *		   for the peer has taken the witness. The buffer stays reserved.
 *   WEIR_QUOTA:   receive: there is a record, but no place for it in the window: return one, or wait
 *		   until those that were passed on have been taken.
 *   WEIR_CLOSED:  return: the session had ended, and what was read may have been zeroes.
 *   WEIR_DENIED:  try_pass_on: to the VM whose pages they are; return them.
 *
 * Contexts: as channel.h. One channel of the manifest for each page ring.
 * Tests: tests/host/test_page_ring.c, tests/qemu/test_examples.py. Since ABI 1.
 */
#pragma once

#include <weir/channel.h>

#define WEIR_PAGE_RING_SLOTS_MAX 64u
#define WEIR_PAGE_RING_PAGES	 16u

/* A record of the channel: who sends it writes it. */
struct weir_page_message {
	weir_handle grant;
	uint64_t bytes; /* from the start of the first page on; at most what the pages hold */
};

/* A record that was received. */
struct weir_page_record {
	uint8_t *data; /* whole pages; writable */
	uint64_t bytes;
	uint32_t pages;
	uint32_t slot; /* of the window */
};

struct weir_page_ring {
	/* The caller's, before it is opened first; of `channel` its caller's group, but the pages. */
	uint32_t slots;		    /* buffers to send, up to 64; 0: this end only receives */
	uint32_t slot_pages;	    /* of one, up to 64; 0: WEIR_PAGE_RING_PAGES */
	uint32_t window_slots;	    /* how many records it can hold, up to 64; 0: it only sends */
	uint32_t window_slot_pages; /* the largest, up to 64; 0: WEIR_PAGE_RING_PAGES */
	struct weir_channel channel;

	/* The page ring's. */
	uint32_t pool_page, window_page;	    /* the first ones that it has */
	uint8_t *buffers;			    /* slots, and the witness behind them */
	uint8_t *window;			    /* window slots */
	uint32_t next_slot, next_window_slot;	    /* where to look first */
	uint64_t reserved;			    /* slots that the caller fills */
	uint64_t held;				    /* window slots with a record */
	weir_handle away[WEIR_PAGE_RING_SLOTS_MAX]; /* 0: it is home, as far as is known */
	weir_handle witness;
	struct weir_page_message pending; /* received, without a place yet; grant 0: none */
};

/* ---- Opening ---- */

/* May there be so many slots, of so many pages? 0 pages: WEIR_PAGE_RING_PAGES. */
static inline bool weir_page_ring_range(uint32_t slots, uint32_t *pages)
{
	if (!*pages)
		*pages = WEIR_PAGE_RING_PAGES;
	return slots <= WEIR_PAGE_RING_SLOTS_MAX && *pages <= WEIR_GRANT_PAGES_MAX;
}

/*
 * Once: takes pages, those of the channel first: if this VM ends, its grants are revoked in the order of
 * their pages. So when a page that was passed is not there any more, the channel's are not either.
 */
static inline enum weir_status weir_page_ring_place(struct weir_page_ring *ring,
						    const struct weir_pages *pages,
						    struct weir_space *space, const char *name)
{
	uint32_t pool = 0;
	enum weir_status status;

	if (!weir_page_ring_range(ring->slots, &ring->slot_pages) ||
	    !weir_page_ring_range(ring->window_slots, &ring->window_slot_pages))
		return WEIR_INVALID;
	ring->channel.ring_pages = 1;
	ring->channel.window_pages = 2;
	if (!ring->channel.own) {
		status = weir_channel_place(&ring->channel, pages, space, name);
		if (status != WEIR_OK)
			return status;
	}
	if (ring->slots)
		pool = ring->slots * ring->slot_pages + 1;
	status = weir_space_take(space, pool, ring->window_slots * ring->window_slot_pages,
				 &ring->pool_page, &ring->window_page);
	if (status != WEIR_OK)
		return status;
	ring->buffers = space->pool + (uint64_t)ring->pool_page * WEIR_PAGE_SIZE;
	ring->window = space->window + (uint64_t)ring->window_page * WEIR_PAGE_SIZE;
	return WEIR_OK;
}

/* Where in the window the records of a slot are mapped. */
static inline uint32_t weir_page_ring_window_page(const struct weir_page_ring *ring, uint32_t slot)
{
	return ring->window_page + slot * ring->window_slot_pages;
}

/* Nothing of ours is away any more, nothing of others' is here. */
static inline void weir_page_ring_reset(struct weir_page_ring *ring)
{
	for (uint32_t slot = 0; slot < ring->slots; slot++) {
		if (ring->away[slot])
			weir_grant_revoke(ring->away[slot]);
		ring->away[slot] = 0;
	}
	if (ring->witness)
		weir_grant_revoke(ring->witness);
	ring->witness = 0;
	/* What was passed on and not taken is in the window too. */
	for (uint32_t slot = 0; slot < ring->window_slots; slot++)
		weir_grant_unmap(weir_page_ring_window_page(ring, slot));
	ring->reserved = 0;
	ring->held = 0;
	ring->pending.grant = 0;
}

/*
 * Takes its pages back, returns those that it holds, and tells the peer, which finds the session ended
 * before a page is missing.
 */
static inline void weir_page_ring_close(struct weir_page_ring *ring)
{
	weir_channel_close(&ring->channel);
	weir_page_ring_reset(ring);
}

/* One step of opening. WEIR_AGAIN: not yet. */
static inline enum weir_status weir_page_ring_try_open(struct weir_page_ring *ring,
						       const struct weir_pages *pages,
						       struct weir_space *space, const char *name)
{
	enum weir_status status = WEIR_OK;

	if (!ring->buffers)
		status = weir_page_ring_place(ring, pages, space, name);
	else if (ring->channel.state != WEIR_CHANNEL_OFFERED)
		weir_page_ring_close(ring);
	if (status == WEIR_OK)
		status = weir_channel_try_open(&ring->channel, pages, space, name);
	if (status == WEIR_OK && ring->slots)
		status = weir_grant_pass(ring->channel.port,
					 ring->pool_page + ring->slots * ring->slot_pages, 1,
					 &ring->witness);
	/* The peer was there, and has gone. */
	return status == WEIR_CLOSED && ring->channel.state == WEIR_CHANNEL_OPEN ? WEIR_AGAIN
										 : status;
}

/* Opens it and waits for the peer to do so; what was open before is given up. */
static inline enum weir_status weir_page_ring_open(struct weir_page_ring *ring,
						   const struct weir_pages *pages,
						   struct weir_space *space, const char *name)
{
	enum weir_status status;

	while ((status = weir_page_ring_try_open(ring, pages, space, name)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&ring->channel, weir_channel_arm_open);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* ---- Sending ---- */

/* The largest record. */
static inline uint64_t weir_page_ring_slot_bytes(const struct weir_page_ring *ring)
{
	return (uint64_t)ring->slot_pages * WEIR_PAGE_SIZE;
}

/* Is it home? Looks by the witness at a slot that was passed. */
static inline bool weir_page_ring_home(struct weir_page_ring *ring, uint32_t slot)
{
	volatile uint64_t *witness;
	const volatile uint64_t *word;
	uint64_t other;

	if (!ring->away[slot])
		return true;
	witness = (volatile uint64_t *)(void *)(ring->buffers +
						ring->slots * weir_page_ring_slot_bytes(ring));
	word = (const volatile uint64_t *)(const void *)(ring->buffers +
							 slot * weir_page_ring_slot_bytes(ring));
	other = *word + 1;
	*witness = other;
	if (*word == other)
		return false;
	ring->away[slot] = 0;
	return true;
}

/* A slot that is home and not reserved, the one after the last first; SLOTS_MAX: there is none. */
static inline uint32_t weir_page_ring_free_slot(struct weir_page_ring *ring)
{
	for (uint32_t i = 0, slot = ring->next_slot; i < ring->slots; i++, slot++) {
		if (slot >= ring->slots)
			slot = 0;
		if (!(ring->reserved >> slot & 1) && weir_page_ring_home(ring, slot))
			return slot;
	}
	return WEIR_PAGE_RING_SLOTS_MAX;
}

/* A buffer of slot_pages to fill, whose pages are home and exclusively ours. */
static inline enum weir_status weir_page_ring_try_reserve(struct weir_page_ring *ring,
							  uint8_t **buffer)
{
	uint32_t slot;

	if (ring->channel.state != WEIR_CHANNEL_OPEN)
		return WEIR_CLOSED;
	slot = weir_page_ring_free_slot(ring);
	if (slot == WEIR_PAGE_RING_SLOTS_MAX)
		return WEIR_AGAIN;
	ring->next_slot = slot + 1;
	ring->reserved |= 1ull << slot;
	*buffer = ring->buffers + slot * weir_page_ring_slot_bytes(ring);
	return WEIR_OK;
}

/* Sends what was passed by `grant`; the place for it was reserved. */
static inline enum weir_status weir_page_ring_announce(struct weir_page_ring *ring, void *place,
						       weir_handle grant, uint64_t bytes)
{
	struct weir_page_message *message = (struct weir_page_message *)place;
	enum weir_status status;

	message->grant = grant;
	message->bytes = bytes;
	status = weir_ring_commit(&ring->channel.out, sizeof(*message), 0);
	return status == WEIR_OK ? weir_channel_flush(&ring->channel) : status;
}

/* Room for a message in the channel, before anything is passed. */
static inline enum weir_status weir_page_ring_place_for(struct weir_page_ring *ring, void **place)
{
	if (weir_channel_check(&ring->channel) != WEIR_OK)
		return WEIR_CLOSED;
	return weir_channel_ring(
		&ring->channel,
		weir_ring_reserve(&ring->channel.out, sizeof(struct weir_page_message), place));
}

/*
 * Passes the first `bytes` of a buffer that was reserved: it is the peer's until it is reserved again.
 * WEIR_AGAIN: the peer has not looked at what it was sent for long; the buffer stays reserved.
 */
static inline enum weir_status weir_page_ring_try_pass(struct weir_page_ring *ring,
						       const uint8_t *buffer, uint64_t bytes)
{
	uint64_t offset = (uint64_t)(buffer - ring->buffers);
	uint64_t slot = offset / weir_page_ring_slot_bytes(ring);
	uint32_t pages = (uint32_t)((bytes + WEIR_PAGE_SIZE - 1) / WEIR_PAGE_SIZE);
	enum weir_status status;
	void *place;

	if (slot >= ring->slots || offset != slot * weir_page_ring_slot_bytes(ring) ||
	    !(ring->reserved >> slot & 1) || bytes > weir_page_ring_slot_bytes(ring))
		return WEIR_INVALID;
	status = weir_page_ring_place_for(ring, &place);
	if (status == WEIR_OK)
		status = weir_channel_ring(
			&ring->channel,
			weir_grant_pass(ring->channel.port,
					ring->pool_page + (uint32_t)slot * ring->slot_pages,
					pages ? pages : 1, &ring->away[slot]));
	if (status != WEIR_OK)
		return status;
	ring->reserved &= ~(1ull << slot);
	return weir_page_ring_announce(ring, place, ring->away[slot], bytes);
}

/* ---- Receiving ---- */

/* What the message names is mapped: is it what an honest peer passes? */
static inline bool weir_page_ring_honest(const struct weir_page_ring *ring, uint32_t pages,
					 enum weir_access access)
{
	return access == WEIR_PASS && pages <= ring->window_slot_pages &&
	       ring->pending.bytes <= (uint64_t)pages * WEIR_PAGE_SIZE;
}

/* What the peer sent cannot be: the session is over. */
static inline enum weir_status weir_page_ring_lie(struct weir_page_ring *ring)
{
	ring->pending.grant = 0;
	return weir_channel_ring(&ring->channel, WEIR_CLOSED);
}

/* Maps what is pending to a slot. WEIR_BUSY: there is something that nobody has taken yet. */
static inline enum weir_status weir_page_ring_map(struct weir_page_ring *ring, uint32_t slot,
						  struct weir_page_record *record)
{
	uint32_t page = weir_page_ring_window_page(ring, slot), pages = 0;
	enum weir_access access = WEIR_READ;
	enum weir_status status =
		weir_grant_map(ring->channel.port, ring->pending.grant, page, &pages, &access);

	if (status == WEIR_BUSY)
		return status;
	if (status != WEIR_OK)
		return weir_page_ring_lie(ring);
	if (!weir_page_ring_honest(ring, pages, access)) {
		weir_grant_unmap(page);
		return weir_page_ring_lie(ring);
	}
	record->data = ring->window + (uint64_t)slot * ring->window_slot_pages * WEIR_PAGE_SIZE;
	record->bytes = ring->pending.bytes;
	record->pages = pages;
	record->slot = slot;
	ring->held |= 1ull << slot;
	ring->next_window_slot = slot + 1;
	ring->pending.grant = 0;
	return WEIR_OK;
}

/* Maps what is pending to the next slot of the window that is free. WEIR_AGAIN: none is. */
static inline enum weir_status weir_page_ring_find_place(struct weir_page_ring *ring,
							 struct weir_page_record *record)
{
	for (uint32_t i = 0, slot = ring->next_window_slot; i < ring->window_slots; i++, slot++) {
		enum weir_status status;

		if (slot >= ring->window_slots)
			slot = 0;
		if (ring->held >> slot & 1)
			continue;
		status = weir_page_ring_map(ring, slot, record);
		if (status != WEIR_BUSY)
			return status;
	}
	return WEIR_AGAIN;
}

/*
 * Takes the next record, or answers WEIR_AGAIN: there is none, or no slot of the window is free. It is ours until
 * it is returned or passed on.
 */
static inline enum weir_status weir_page_ring_try_receive(struct weir_page_ring *ring,
							  struct weir_page_record *record)
{
	uint32_t bytes = 0;
	enum weir_status status = WEIR_OK;

	if (!ring->pending.grant) {
		status = weir_channel_try_receive(&ring->channel, &ring->pending,
						  sizeof(ring->pending), &bytes);
		if (status == WEIR_INVALID || (status == WEIR_OK && bytes != sizeof(ring->pending)))
			return weir_page_ring_lie(ring);
	}
	if (status != WEIR_OK)
		return status;
	/* The channel's own pages are mapped already, so no place would ever be right for them. */
	if (!ring->pending.grant || ring->pending.grant == ring->channel.peer_grant)
		return weir_page_ring_lie(ring);
	return weir_page_ring_find_place(ring, record);
}

/* Is it a record that was received and not given away? */
static inline bool weir_page_ring_holds(const struct weir_page_ring *ring,
					const struct weir_page_record *record)
{
	return record->slot < ring->window_slots && ring->held >> record->slot & 1;
}

/*
 * Sends the pages of a record home, with what is in them. WEIR_INVALID: it was returned already.
 * WEIR_CLOSED: done, but the sender took them back before: what was read there may have been zeroes.
 */
static inline enum weir_status weir_page_ring_return(struct weir_page_ring *ring,
						     const struct weir_page_record *record)
{
	if (!weir_page_ring_holds(ring, record))
		return WEIR_INVALID;
	ring->held &= ~(1ull << record->slot);
	weir_grant_return(weir_page_ring_window_page(ring, record->slot));
	return weir_channel_check(&ring->channel);
}

/*
 * Passes the first record->bytes of a record on, to the peer of another page ring. If this is not
 * WEIR_OK, the record is still here.
 */
static inline enum weir_status weir_page_ring_try_pass_on(struct weir_page_ring *ring,
							  const struct weir_page_record *record,
							  struct weir_page_ring *to)
{
	weir_handle grant = 0;
	enum weir_status status;
	void *place;

	if (!weir_page_ring_holds(ring, record) ||
	    record->bytes > (uint64_t)record->pages * WEIR_PAGE_SIZE)
		return WEIR_INVALID;
	status = weir_page_ring_place_for(to, &place);
	if (status == WEIR_OK)
		status = weir_grant_pass_on(to->channel.port,
					    weir_page_ring_window_page(ring, record->slot), &grant);
	if (status != WEIR_OK)
		return status;
	ring->held &= ~(1ull << record->slot);
	/* If nobody is there any more, weir_page_ring_recall() gets it back. */
	weir_page_ring_announce(to, place, grant, record->bytes);
	return WEIR_OK;
}

/*
 * Sends home what was passed on and not taken. For when the session of the page ring that it was passed
 * to has ended: there nobody knows of it any more.
 */
static inline void weir_page_ring_recall(struct weir_page_ring *ring)
{
	for (uint32_t slot = 0; slot < ring->window_slots; slot++)
		if (!(ring->held >> slot & 1))
			weir_grant_unmap(weir_page_ring_window_page(ring, slot));
}

/* ---- Waiting ---- */

/* The page ring that has this channel. */
static inline struct weir_page_ring *weir_page_ring_of(struct weir_channel *channel)
{
	return (struct weir_page_ring *)(void *)((uint8_t *)channel -
						 offsetof(struct weir_page_ring, channel));
}

/* Weir tells when a page comes home, asked or not. */
static inline enum weir_status weir_page_ring_arm_slot(struct weir_channel *channel)
{
	struct weir_page_ring *ring = weir_page_ring_of(channel);

	return weir_page_ring_free_slot(ring) < ring->slots ? WEIR_OK : WEIR_AGAIN;
}

/* Room for a message; and all that was passed is home. */
static inline enum weir_status weir_page_ring_arm_message(struct weir_channel *channel)
{
	channel->wanted_bytes = sizeof(struct weir_page_message);
	return weir_channel_arm_room(channel);
}

static inline enum weir_status weir_page_ring_arm_all(struct weir_channel *channel)
{
	struct weir_page_ring *ring = weir_page_ring_of(channel);

	for (uint32_t slot = 0; slot < ring->slots; slot++)
		if (!weir_page_ring_home(ring, slot))
			return WEIR_AGAIN;
	return WEIR_OK;
}

/* Waits until a buffer is home, and reserves it. */
static inline enum weir_status weir_page_ring_reserve(struct weir_page_ring *ring, uint8_t **buffer)
{
	enum weir_status status;

	while ((status = weir_page_ring_try_reserve(ring, buffer)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&ring->channel, weir_page_ring_arm_slot);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

static inline enum weir_status weir_page_ring_pass(struct weir_page_ring *ring,
						   const uint8_t *buffer, uint64_t bytes)
{
	enum weir_status status;

	while ((status = weir_page_ring_try_pass(ring, buffer, bytes)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&ring->channel, weir_page_ring_arm_message);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Waits for a record. */
static inline enum weir_status weir_page_ring_receive(struct weir_page_ring *ring,
						      struct weir_page_record *record)
{
	enum weir_status status;

	while ((status = weir_page_ring_try_receive(ring, record)) == WEIR_AGAIN) {
		if (ring->pending.grant)
			return WEIR_QUOTA;
		status = weir_channel_sleep(&ring->channel, weir_channel_arm_record);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* WEIR_AGAIN: something that was passed is not home. */
static inline enum weir_status weir_page_ring_try_drain(struct weir_page_ring *ring)
{
	if (ring->channel.state != WEIR_CHANNEL_OPEN)
		return WEIR_CLOSED;
	return weir_page_ring_arm_all(&ring->channel);
}

/* Waits until all that was passed is home again. */
static inline enum weir_status weir_page_ring_drain(struct weir_page_ring *ring)
{
	enum weir_status status;

	while ((status = weir_page_ring_try_drain(ring)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&ring->channel, weir_page_ring_arm_all);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}
