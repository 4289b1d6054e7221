/*
 * Channels of records: both VMs at a channel of the manifest, or at two ports that were joined by call, send and
 * receive, by three calls.
 *
 *	static struct weir_channel channel;
 *
 *	weir_channel_open(&channel, pages, &space, "name");
 *	weir_channel_send(&channel, "hello", 5);
 *	weir_channel_receive(&channel, buffer, sizeof(buffer), &bytes);
 *
 * Each call waits for what it needs: the peer, room, a record. The forms with `try` answer WEIR_AGAIN
 * instead. It is made of a port (event.h), a grant each way (grant.h) and two rings (ring.h).
 *
 * Protocol. Each end shares pages of its pool read-only, and publishes the grant on the channel's port:
 *   its first page:	   struct weir_ring_shared_consumer, of the ring that it reads; at
 *			   WEIR_CHANNEL_HEADER struct weir_channel_shared.
 *   the pages behind it:  the ring that it writes, as the producer's pages of ring.h.
 * So every page has one writer. An end is *attached* when it has the peer's pages mapped. A session is
 * a pair of grants: who opens makes its pages as new, shares them anew (which makes a new handle), and
 * publishes that; who sees a peer that is attached to another grant than its own waits for the peer's
 * next word, for that one is of a session that has ended. An end that closes publishes 0 and revokes
 * its pages. So does Weir when the VM ends: they turn to zeroes, and there is an event then. Who has
 * read something, sends, or is about to sleep looks whether `magic` is still there.
 *
 * The peer's end or restart ends the session: WEIR_CLOSED. So does weir_channel_close() there, or a lie:
 * what the peer writes can end the session, or be nonsense inside of a record, and nothing else.
 * weir_channel_open() then sets it up again with the same peer, or with its next life, and waits for it.
 * Records that were not received by then are lost: weir_channel_drain() waits until the peer has
 * received all. Who received the last record stays until the peer closes, or the peer may get WEIR_CLOSED
 * where it would have learned that all was received.
 *
 * Errors:
 *   WEIR_AGAIN:   `try` only: the peer is not there yet; no room; no record.
 *   WEIR_CLOSED:  the session has ended (open: what the peer published is no channel of these headers,
 *		   or not for us). Open it again.
 *   WEIR_TIMEOUT: channel->deadline has passed. All is as before the call.
 *   WEIR_INVALID: send: the record is larger than weir_channel_max(). receive: it is larger than the
 *		   buffer; *bytes says how large, and it stays. open: the name, or ring_pages.
 *   WEIR_NOT_FOUND: open: no channel of that name ends at this VM.
 *   WEIR_QUOTA:   open: the VM's pool or window has too few pages left (space.h), or the peer shares
 *		   more than window_pages.
 *   WEIR_BUSY:    open: somebody else uses the pages that the space gave out.
 *
 * Waiting. A side that waits says in its page for what, and is sent an event only then. `wait` of the
 * channel sleeps; it may return at any time, but must not sleep when an event of the port came after
 * weir_channel_arm() answered WEIR_AGAIN. Without one the vCPU sleeps by WFI with interrupts masked,
 * and the guest's handler of WEIR_INTID_EVENT has to take events by weir_event_next() until there is
 * none. guests/lib has one for tasks: channel_open() of its guest.h.
 *
 * The two rings are there for more: weir_ring_write() to `out` as often as there is room, or reserve and
 * commit, then weir_channel_flush(); weir_ring_peek() and skip on `in`, then weir_channel_release().
 *
 * Contexts: all functions of a channel are called by one task, or under one lock. If both ends only
 * send, both wait for ever when the rings are full: somebody has to receive.
 * Tests: tests/host/test_channel.c, test_channel_peer.c, test_channel_end.c, test_channel_random.c,
 * tests/guest/channel.c, tests/qemu/test_examples.py. Since ABI 1.
 */
#pragma once

#include <weir/event.h>
#include <weir/grant.h>
#include <weir/ring.h>
#include <weir/space.h>

#define WEIR_CHANNEL_MAGIC	0x314e414843494557ull /* "WEICHAN1", little endian */
#define WEIR_CHANNEL_HEADER	2048u		      /* where it is in the first page */
#define WEIR_CHANNEL_RING_PAGES 8u

/* The end whose page it is in writes it, the peer reads it. */
struct weir_channel_shared {
	uint64_t magic;	   /* constant while it is shared */
	uint64_t attached; /* the peer's grant that this end has mapped; 0: none yet */
};

enum weir_channel_state {
	WEIR_CHANNEL_SHUT = 0, /* nothing is shared */
	WEIR_CHANNEL_OFFERED,  /* our pages are, the peer's are not there yet */
	WEIR_CHANNEL_OPEN,
	WEIR_CHANNEL_ENDED, /* nothing goes any more, our pages are still shared */
};

struct weir_channel {
	/* The caller's, before it is opened first; 0: as said. */
	uint32_t ring_pages;   /* of the ring to the peer, 1 to 63; 0: WEIR_CHANNEL_RING_PAGES */
	uint32_t window_pages; /* the most that the peer may share; 0: all that it can, 64 */
	/*
	 * 0: that of the manifest's channel `name`. Else it was opened or connected by call, and `name` is not
	 * looked at. There open waits for who connects, but nobody comes a second time: who has seen the peer's
	 * end closed (weir_port_peer) closes the channel, and the port (weir_grant_close_port).
	 */
	weir_handle port;
	/* Sleeps; false: the deadline has passed. 0: by WFI. */
	bool (*wait)(struct weir_channel *channel);
	void *context; /* for `wait`; nobody here looks at it */

	/* The caller's, at any time: when waiting ends, in ticks of the counter; 0: never. */
	uint64_t deadline;

	/* The channel's. */
	weir_handle grant;	/* ours, that the peer maps */
	weir_handle peer_grant; /* the peer's, that we have mapped; 0: none */
	weir_handle refused;	/* a word of the peer's that is not worth a second look */
	enum weir_channel_state state;
	enum weir_status (*arm)(struct weir_channel *channel); /* what it waits for */
	uint64_t wanted_bytes;
	uint32_t pool_page, window_page; /* the first ones that it has */
	uint8_t *own;			 /* the pages that it shares */
	const uint8_t *peer;		 /* those that it maps */
	struct weir_ring_producer out;
	struct weir_ring_consumer in;
};

/* ---- Opening ---- */

/* Once: takes pages. */
static inline enum weir_status weir_channel_take(struct weir_channel *channel,
						 struct weir_space *space)
{
	enum weir_status status;

	if (!channel->ring_pages)
		channel->ring_pages = WEIR_CHANNEL_RING_PAGES;
	if (!channel->window_pages)
		channel->window_pages = WEIR_GRANT_PAGES_MAX;
	if (channel->ring_pages >= WEIR_GRANT_PAGES_MAX)
		return WEIR_INVALID;
	status = weir_space_take(space, 1 + channel->ring_pages, channel->window_pages,
				 &channel->pool_page, &channel->window_page);
	if (status != WEIR_OK)
		return status;
	channel->own = space->pool + (uint64_t)channel->pool_page * WEIR_PAGE_SIZE;
	channel->peer = space->window + (uint64_t)channel->window_page * WEIR_PAGE_SIZE;
	return WEIR_OK;
}

/* Once: finds the port, if it was not given, takes pages. */
static inline enum weir_status weir_channel_place(struct weir_channel *channel,
						  const struct weir_pages *pages,
						  struct weir_space *space, const char *name)
{
	enum weir_status status = WEIR_OK;
	weir_handle port = channel->port;

	if (!port)
		status = weir_port_find(pages, name, &port);
	if (status == WEIR_OK)
		status = weir_channel_take(channel, space);
	if (status == WEIR_OK)
		channel->port = port;
	return status;
}

/* Our word and the peer's, in the first page of each. */
static inline struct weir_channel_shared *weir_channel_own(const struct weir_channel *channel)
{
	return (struct weir_channel_shared *)(void *)(channel->own + WEIR_CHANNEL_HEADER);
}

static inline const struct weir_channel_shared *weir_channel_peer(
	const struct weir_channel *channel)
{
	return (const struct weir_channel_shared *)(const void *)(channel->peer +
								  WEIR_CHANNEL_HEADER);
}

/* Our pages, as new, under a new handle. WEIR_CLOSED: the peer is off. */
static inline enum weir_status weir_channel_offer(struct weir_channel *channel)
{
	struct weir_channel_shared *own = weir_channel_own(channel);
	enum weir_status status;

	__builtin_memset(channel->own, 0, WEIR_PAGE_SIZE);
	own->magic = WEIR_CHANNEL_MAGIC;
	status = weir_ring_producer_init(&channel->out, channel->own + WEIR_PAGE_SIZE,
					 (uint64_t)channel->ring_pages * WEIR_PAGE_SIZE);
	if (status != WEIR_OK)
		return status;
	weir_ring_break_producer(&channel->out); /* until the peer is there */
	status = weir_grant_share(channel->port, channel->pool_page, 1 + channel->ring_pages,
				  WEIR_READ, &channel->grant);
	if (status == WEIR_OK)
		channel->state = WEIR_CHANNEL_OFFERED;
	return status;
}

/* Takes the peer's pages out of the window. */
static inline void weir_channel_unmap(struct weir_channel *channel)
{
	if (channel->peer_grant)
		weir_grant_unmap(channel->window_page);
	channel->peer_grant = 0;
}

/* The peer's pages are mapped; are they a channel, and of this session? WEIR_STALE: of another. */
static inline enum weir_status weir_channel_meet(struct weir_channel *channel, uint32_t pages)
{
	const struct weir_channel_shared *peer = weir_channel_peer(channel);
	uint64_t magic, attached;
	enum weir_status status;

	if (pages > channel->window_pages)
		return WEIR_QUOTA;
	magic = weir_ring_word(&peer->magic);
	if (magic == 0)
		return WEIR_STALE; /* revoked by now, and these are zeroes */
	if (pages < 2 || magic != WEIR_CHANNEL_MAGIC)
		return WEIR_CLOSED;
	attached = __atomic_load_n(&peer->attached, __ATOMIC_ACQUIRE);
	if (attached && attached != channel->grant)
		return WEIR_STALE;
	status = weir_ring_consumer_init(&channel->in, channel->own, channel->peer + WEIR_PAGE_SIZE,
					 (uint64_t)(pages - 1) * WEIR_PAGE_SIZE);
	/* Revoked meanwhile: all its pages are zeroes before any is read as such. */
	return status == WEIR_CLOSED && !weir_ring_word(&peer->magic) ? WEIR_STALE : status;
}

/*
 * Maps what the peer has published. WEIR_STALE: it is of another session; WEIR_CLOSED: it is no channel, or not for
 * us.
 */
static inline enum weir_status weir_channel_attach(struct weir_channel *channel, weir_handle grant)
{
	uint32_t pages = 0;
	enum weir_status status =
		weir_grant_map(channel->port, grant, channel->window_page, &pages, NULL);

	if (status == WEIR_OK) {
		channel->peer_grant = grant;
		status = weir_channel_meet(channel, pages);
	} else if (status == WEIR_INVALID || status == WEIR_DENIED) {
		status = WEIR_CLOSED; /* it is the peer's word that is so, not ours */
	}
	if (status != WEIR_OK) {
		weir_channel_unmap(channel);
		return status;
	}
	weir_ring_producer_connect(&channel->out, channel->peer);
	channel->out.broken = false;
	/* Our ring is in order before the peer may take it for that of this session. */
	__atomic_store_n(&weir_channel_own(channel)->attached, grant, __ATOMIC_RELEASE);
	channel->state = WEIR_CHANNEL_OPEN;
	return WEIR_OK;
}

/*
 * Ends the session, if there is one, and tells the peer. What the peer has not received is lost. The
 * channel keeps its pages, and can be opened again.
 */
static inline void weir_channel_close(struct weir_channel *channel)
{
	if (channel->state == WEIR_CHANNEL_SHUT)
		return;
	weir_port_publish(channel->port, 0);
	weir_grant_revoke(channel->grant);
	weir_channel_unmap(channel);
	channel->grant = 0;
	channel->state = WEIR_CHANNEL_SHUT;
	weir_ring_break_producer(&channel->out);
}

/*
 * One step of opening at channel->port, whose pages were taken: at the first call and at each event of the
 * port. WEIR_AGAIN: not yet.
 */
static inline enum weir_status weir_channel_try_join(struct weir_channel *channel)
{
	enum weir_status status = WEIR_OK;
	uint64_t word = 0;

	if (channel->state != WEIR_CHANNEL_OFFERED)
		weir_channel_close(channel);
	if (channel->state == WEIR_CHANNEL_SHUT)
		status = weir_channel_offer(channel);
	if (status == WEIR_OK)
		status = weir_port_peer(channel->port, &word, NULL);
	/*
	 * Each time: a peer that was started meanwhile does not know it. And after its word was read: else that could be
	 * of a later life than the one that knows, and we were open, and it not.
	 */
	if (status == WEIR_OK)
		status = weir_port_publish(channel->port, channel->grant);
	if (status == WEIR_CLOSED)
		return WEIR_AGAIN;
	if (status != WEIR_OK)
		return status;
	if (!word || word == channel->refused)
		return WEIR_AGAIN;
	status = weir_channel_attach(channel, word);
	if (status != WEIR_OK && status != WEIR_BUSY)
		channel->refused = word;
	return status == WEIR_STALE ? WEIR_AGAIN : status;
}

/* The same at the port of the channel that the manifest calls `name`; the first call takes pages. */
static inline enum weir_status weir_channel_try_open(struct weir_channel *channel,
						     const struct weir_pages *pages,
						     struct weir_space *space, const char *name)
{
	enum weir_status status = WEIR_OK;

	if (!channel->own)
		status = weir_channel_place(channel, pages, space, name);
	return status == WEIR_OK ? weir_channel_try_join(channel) : status;
}

/* ---- Waiting ---- */

/* The session has ended: nothing is sent any more, also where there is room. */
WEIR_RING_LONG void weir_channel_ended(struct weir_channel *channel)
{
	if (channel->state != WEIR_CHANNEL_SHUT)
		channel->state = WEIR_CHANNEL_ENDED;
	weir_ring_break_producer(&channel->out);
}

/*
 * Were the peer's pages there until now? If it ends they turn to zeroes, all of them before any is read
 * as such; so what was read before this, if it was the peer's no more, makes this false.
 */
static inline bool weir_channel_intact(struct weir_channel *channel)
{
	const struct weir_channel_shared *peer = weir_channel_peer(channel);

	/* [H1] all that was read before `magic`. Pairs with the TLB maintenance of a revocation. */
	WEIR_ORDERED(H1, dmb ishld, __atomic_thread_fence(__ATOMIC_ACQUIRE));
	if (weir_ring_word(&peer->magic) == WEIR_CHANNEL_MAGIC)
		return true;
	weir_channel_ended(channel);
	return false;
}

/* Is the session as it was? WEIR_CLOSED: it has ended. */
static inline enum weir_status weir_channel_check(struct weir_channel *channel)
{
	return channel->state == WEIR_CHANNEL_OPEN && weir_channel_intact(channel) ? WEIR_OK
										   : WEIR_CLOSED;
}

/* Has something happened at the port that is worth another step of opening? */
static inline enum weir_status weir_channel_arm_open(struct weir_channel *channel)
{
	uint64_t word = 0;
	bool open = false;

	if (weir_port_peer(channel->port, &word, &open) != WEIR_OK || !open)
		return WEIR_AGAIN;
	if (channel->state == WEIR_CHANNEL_SHUT)
		return WEIR_OK;
	return word && word != channel->refused ? WEIR_OK : WEIR_AGAIN;
}

/*
 * For `wait` only: asks the peer to be woken. WEIR_AGAIN: sleep until an event of the port. Else:
 * return at once. An event that comes with the peer's end comes after its pages have turned to zeroes.
 */
static inline enum weir_status weir_channel_arm(struct weir_channel *channel)
{
	enum weir_status status = channel->arm(channel);

	if (status == WEIR_AGAIN && channel->state == WEIR_CHANNEL_OPEN &&
	    weir_channel_check(channel) != WEIR_OK)
		return WEIR_CLOSED;
	return status;
}

/* What a side waits for: each asks to be told, and looks once more. WEIR_AGAIN: not yet. */
static inline enum weir_status weir_channel_arm_record(struct weir_channel *channel)
{
	return weir_ring_arm_read(&channel->in);
}

static inline enum weir_status weir_channel_arm_room(struct weir_channel *channel)
{
	return weir_ring_arm_write(&channel->out, channel->wanted_bytes);
}

static inline enum weir_status weir_channel_arm_drained(struct weir_channel *channel)
{
	return weir_ring_arm_drained(&channel->out);
}

#if defined(__aarch64__)
/* With a deadline the guest's timer has to interrupt. */
static inline bool weir_channel_wait_wfi(struct weir_channel *channel)
{
	uint64_t flags, now;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags)::"memory");
	if (weir_channel_arm(channel) == WEIR_AGAIN)
		__asm__ volatile("dsb sy\n\twfi" ::: "memory");
	__asm__ volatile("msr daif, %1\n\tisb\n\tmrs %0, cntvct_el0"
			 : "=r"(now)
			 : "r"(flags)
			 : "memory");
	return !channel->deadline || now < channel->deadline;
}
#else
/* Nowhere else is there anything to sleep by. */
static inline bool weir_channel_wait_wfi(struct weir_channel *channel)
{
	(void)channel;
	return false;
}
#endif

/* Sleeps once, unless there is what `arm` asks for. */
static inline enum weir_status weir_channel_sleep(struct weir_channel *channel,
						  enum weir_status (*arm)(struct weir_channel *))
{
	bool in_time;

	channel->arm = arm;
	in_time = channel->wait ? channel->wait(channel) : weir_channel_wait_wfi(channel);
	return in_time ? WEIR_OK : WEIR_TIMEOUT;
}

/*
 * Opens the channel that the manifest calls `name`, which is 0-terminated, and waits for the peer to
 * do so. What was open before is given up.
 */
static inline enum weir_status weir_channel_open(struct weir_channel *channel,
						 const struct weir_pages *pages,
						 struct weir_space *space, const char *name)
{
	enum weir_status status;

	while ((status = weir_channel_try_open(channel, pages, space, name)) == WEIR_AGAIN) {
		status = weir_channel_sleep(channel, weir_channel_arm_open);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* ---- Sending and receiving ---- */

/* The largest record that can be sent. */
static inline uint64_t weir_channel_max(const struct weir_channel *channel)
{
	return weir_ring_max((uint64_t)channel->ring_pages * WEIR_PAGE_SIZE);
}

/* What a ring answered, and what that means for the channel. */
static inline enum weir_status weir_channel_ring(struct weir_channel *channel,
						 enum weir_status status)
{
	if (status == WEIR_CLOSED)
		weir_channel_ended(channel);
	return status;
}

/* Tells the peer by an event, if it wants to be told. */
static inline enum weir_status weir_channel_kick(struct weir_channel *channel, bool needed)
{
	return needed ? weir_channel_ring(channel, weir_event_send(channel->port)) : WEIR_OK;
}

/* Lets the peer see what was committed to `out`. */
static inline enum weir_status weir_channel_flush(struct weir_channel *channel)
{
	return weir_channel_kick(channel, weir_ring_publish(&channel->out));
}

/* Gives back what was skipped on `in`. */
static inline enum weir_status weir_channel_release(struct weir_channel *channel)
{
	return weir_channel_kick(channel, weir_ring_release(&channel->in));
}

/* Sends a record, or answers WEIR_AGAIN; errors: see above. */
static inline enum weir_status weir_channel_try_send(struct weir_channel *channel, const void *data,
						     uint64_t bytes)
{
	enum weir_status status;

	if (weir_channel_check(channel) != WEIR_OK)
		return WEIR_CLOSED;
	status = weir_ring_write(&channel->out, data, bytes, 0);
	if (status != WEIR_OK)
		return weir_channel_ring(channel, status);
	return weir_channel_flush(channel);
}

/*
 * Takes the next record, or answers WEIR_AGAIN; *bytes says how long it is, also of one that does not fit
 * (WEIR_INVALID).
 */
static inline enum weir_status weir_channel_try_receive(struct weir_channel *channel, void *buffer,
							uint64_t room, uint32_t *bytes)
{
	enum weir_status status;
	uint32_t tag;

	if (channel->state != WEIR_CHANNEL_OPEN)
		return WEIR_CLOSED;
	status = weir_ring_read(&channel->in, buffer, room, bytes, &tag);
	if (status != WEIR_OK)
		return weir_channel_ring(channel, status);
	if (!weir_channel_intact(channel))
		return WEIR_CLOSED;
	/* It is ours, whether the peer can still be woken or not. */
	weir_channel_release(channel);
	return WEIR_OK;
}

/* Sends a record, which is `data` as it is now. */
static inline enum weir_status weir_channel_send(struct weir_channel *channel, const void *data,
						 uint64_t bytes)
{
	enum weir_status status;

	channel->wanted_bytes = bytes;
	while ((status = weir_channel_try_send(channel, data, bytes)) == WEIR_AGAIN) {
		status = weir_channel_sleep(channel, weir_channel_arm_room);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Receives the next record, of at most `room` bytes; *bytes says how many. */
static inline enum weir_status weir_channel_receive(struct weir_channel *channel, void *buffer,
						    uint64_t room, uint32_t *bytes)
{
	enum weir_status status;

	while ((status = weir_channel_try_receive(channel, buffer, room, bytes)) == WEIR_AGAIN) {
		status = weir_channel_sleep(channel, weir_channel_arm_record);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* WEIR_AGAIN: the peer has not received all that was sent. */
static inline enum weir_status weir_channel_try_drain(struct weir_channel *channel)
{
	if (channel->state != WEIR_CHANNEL_OPEN)
		return WEIR_CLOSED;
	return weir_channel_ring(channel, weir_ring_arm_drained(&channel->out));
}

/* Waits until the peer has received all that was sent. */
static inline enum weir_status weir_channel_drain(struct weir_channel *channel)
{
	enum weir_status status;

	while ((status = weir_channel_try_drain(channel)) == WEIR_AGAIN) {
		status = weir_channel_sleep(channel, weir_channel_arm_drained);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/*
 * For who waits for several: asks to be woken when there is a record. WEIR_OK: there is one already.
 * WEIR_AGAIN: the next event of the port. WEIR_CLOSED: the session has ended.
 */
static inline enum weir_status weir_channel_arm_receive(struct weir_channel *channel)
{
	if (channel->state != WEIR_CHANNEL_OPEN)
		return WEIR_CLOSED;
	channel->arm = weir_channel_arm_record;
	return weir_channel_arm(channel);
}
