/*
 * Message queues: an inbox takes messages of many senders, in many VMs; every VM may have inboxes and be a
 * sender to others.
 *
 *	static struct weir_lane lanes[8];		static struct weir_sender sender;
 *	static struct weir_inbox inbox;
 *
 *	inbox_make(&inbox, lanes, 8);			sender_join(&sender, "vm/name");
 *	inbox_offer(&inbox, "name");			weir_sender_send(&sender, "hello", 5);
 *	weir_inbox_receive(&inbox, buffer,
 *		sizeof(buffer), &bytes, &lane);
 *
 * (inbox_make() and the like are what guests/lib makes for tasks of the calls of this header.) The place of a queue is
 * published in the store (service.h), where senders find it by its name; or a lane is on a channel of the manifest:
 * weir_inbox_add() and weir_sender_open(), without the store.
 *
 * Each sender has a *lane*: a channel (channel.h) whose ring is in pages that the sender shares read-only. So
 * no sender can damage another's messages, and each pays for its own. The inbox's side of the channel is
 * for answers, by weir_lane_answer() and weir_sender_answer().
 *
 * Protocol. The first record of a lane is struct weir_mqueue_hello; each one behind it is a message, with
 * tag 0. All else is that of channel.h.
 *
 * Order: the messages of one sender arrive in the order in which they were sent. Between senders the inbox
 * takes turns: up to `bound` messages of one, then of the next that has any. A sender is urgent or not, which
 * it says in its hello; who sends both has two. The turns of urgent senders come first, but after
 * WEIR_INBOX_URGENT_TURNS of them another one has a turn, if it has messages.
 *
 * What a message costs the receiver depends neither on lanes that are idle nor on those that wait for their
 * turn: an idle lane is armed, and its port's event names it. So the guest's handler of events calls
 * weir_lane_event() for events of a lane's port, on whatever vCPU.
 *
 * Comes and goes. A sender that ends, closes or is restarted ends its lane; so does one that writes nonsense,
 * or a message that is larger than the receiver's buffer: its messages that were not received are lost, and
 * other lanes are as they were. Its next life is another session: lane->session is never the same. If the
 * receiver ends, or its inbox is closed, senders get WEIR_CLOSED, and open again. Who has sent its last message
 * waits by weir_sender_drain() before it closes.
 *
 * Errors:
 *   WEIR_AGAIN:   `try` only: no message (receive), no room (send, answer), the other side is not there (open).
 *   WEIR_CLOSED:  send: the session has ended, or never was, for more pages are shared than the inbox lets a lane
 *		   have (window_pages); what was not received is lost. Open it again.
 *   WEIR_TIMEOUT: the deadline (inbox->deadline, sender->channel.deadline) has passed; all is as before.
 *   WEIR_INVALID: send: the message is larger than weir_channel_max(); open: the name, or ring_pages.
 *   WEIR_QUOTA:   add: the inbox has no free lane; add, open: pool or window have too few pages left.
 *   WEIR_NOT_FOUND, WEIR_BUSY: open, add: as channel.h.
 *
 * Waiting. `wait` of the inbox sleeps; it may return at any time, but must not sleep when an event of a
 * lane's port came after weir_inbox_idle() was true. Without one the vCPU sleeps by WFI with interrupts masked.
 * guests/lib has all of it for tasks. Who offers or joins by name has a port of kind WEIR_PORT_STORE, whose events are
 * weir_inbox_store_event() for each inbox, and another step of each sender that joins.
 *
 * Contexts: an inbox is one task's, or under one lock; so is a sender; weir_lane_event() is for handlers at any time.
 * Tests: tests/host/test_mqueue.c, test_mqueue_named.c, test_mqueue_random.c, tests/guest/mqueue.c. Since ABI 1.
 */
#pragma once

#include <weir/mqueue_turns.h>

/* ---- The inbox: lanes that come and go ---- */

/* The first record of a lane. WEIR_CLOSED: it is none, and never will be. */
static inline enum weir_status weir_lane_greet(struct weir_inbox *inbox, struct weir_lane *lane)
{
	struct weir_channel *channel = &lane->channel;
	struct weir_mqueue_hello hello = { 0, 0 };
	enum weir_status status;
	uint32_t bytes = 0;

	do
		status = weir_channel_try_receive(channel, &hello, sizeof(hello), &bytes);
	while (status == WEIR_AGAIN && (status = weir_channel_arm_receive(channel)) == WEIR_OK);
	if (status == WEIR_AGAIN)
		return WEIR_AGAIN;
	if (status != WEIR_OK || bytes != sizeof(hello) || hello.magic != WEIR_MQUEUE_MAGIC ||
	    hello.priority >= WEIR_MQUEUE_PRIORITIES)
		return WEIR_CLOSED;
	lane->priority = (uint32_t)hello.priority;
	lane->session = ++inbox->sessions;
	weir_inbox_enqueue(inbox, lane);
	if (inbox->changed)
		inbox->changed(inbox, lane, true);
	return WEIR_OK;
}

/* Gives back the lane of a sender that had joined by name; who waits for one may have it. */
static inline void weir_lane_free(struct weir_inbox *inbox, struct weir_lane *lane)
{
	struct weir_service_peer peer;

	__builtin_memset(&peer, 0, sizeof(peer));
	peer.port = lane->channel.port;
	peer.node = lane->node;
	if (inbox->listen)
		inbox->listen(inbox, lane, false);
	weir_service_dismiss(&peer);
	lane->used = false;
	lane->node = 0;
	lane->vm = 0;
	lane->channel.port = 0;
	weir_inbox_store_event(inbox);
}

/*
 * The lane has ended: the sender has gone, or lied. If it is on a channel of the manifest, who comes next is looked
 * for at the next look; what this one shared is not worth one.
 */
static inline void weir_lane_end(struct weir_inbox *inbox, struct weir_lane *lane)
{
	if (lane->channel.peer_grant && weir_channel_intact(&lane->channel))
		inbox->broken++;
	if (lane->session && inbox->changed)
		inbox->changed(inbox, lane, false);
	lane->session = 0;
	lane->priority = WEIR_NORMAL;
	lane->channel.refused = lane->channel.peer_grant;
	weir_channel_close(&lane->channel);
	if (lane->node)
		weir_lane_free(inbox, lane);
	else
		weir_lane_event(lane);
}

/* Who has joined by name comes once: it has gone, or is refused. */
static inline bool weir_lane_hopeless(const struct weir_lane *lane, enum weir_status status)
{
	bool open = false;

	if (!lane->node || status == WEIR_OK)
		return false;
	weir_port_peer(lane->channel.port, NULL, &open);
	return status != WEIR_AGAIN || !open;
}

/* A lane of which nobody receives yet: one step of opening. */
static inline void weir_lane_step(struct weir_inbox *inbox, struct weir_lane *lane)
{
	enum weir_status status = WEIR_OK;

	if (lane->channel.state != WEIR_CHANNEL_OPEN)
		status = weir_channel_try_join(&lane->channel);
	if (status == WEIR_OK)
		status = weir_lane_greet(inbox, lane);
	/* On a channel of the manifest what was never mapped is refused by the channel itself. */
	if ((status == WEIR_CLOSED && lane->channel.peer_grant) || weir_lane_hopeless(lane, status))
		weir_lane_end(inbox, lane);
}

/* A free lane; 0: there is none. */
static inline struct weir_lane *weir_inbox_free_lane(struct weir_inbox *inbox)
{
	for (uint32_t i = 0; i < inbox->lane_count; i++)
		if (!inbox->lanes[i].used)
			return &inbox->lanes[i];
	return NULL;
}

static inline enum weir_status weir_lane_place(struct weir_inbox *inbox, struct weir_lane *lane,
					       struct weir_space *space)
{
	if (lane->channel.own)
		return WEIR_OK;
	lane->channel.ring_pages = inbox->answer_pages ? inbox->answer_pages : 1;
	lane->channel.window_pages =
		inbox->window_pages ? inbox->window_pages : 1 + WEIR_CHANNEL_RING_PAGES;
	return weir_channel_take(&lane->channel, space);
}

static inline void weir_lane_begin(struct weir_inbox *inbox, struct weir_lane *lane)
{
	lane->used = true;
	if (inbox->listen)
		inbox->listen(inbox, lane, true);
	weir_lane_event(lane); /* to look at it for the first time */
}

static inline bool weir_inbox_has_enough_of(const struct weir_inbox *inbox, weir_handle vm)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < inbox->lane_count; i++)
		count += inbox->lanes[i].node && inbox->lanes[i].vm == vm;
	return inbox->vm_lanes && count >= inbox->vm_lanes;
}

/*
 * Those who have come to the service, as many as there are lanes; the others wait until one is free. A few at once: a
 * VM that comes again whenever it is sent away, or changes its node for ever, would otherwise hold up all lanes.
 */
WEIR_RING_LONG void weir_inbox_accept(struct weir_inbox *inbox)
{
	struct weir_service_peer peer;
	struct weir_lane *lane;
	uint32_t come = 0;

	if (!weir_service_drain(WEIR_INBOX_BOUND))
		weir_inbox_store_event(inbox);
	while (come < WEIR_INBOX_BOUND && (lane = weir_inbox_free_lane(inbox)) &&
	       weir_lane_place(inbox, lane, inbox->space) == WEIR_OK &&
	       weir_service_accept(inbox->pages, &inbox->service, &peer) == WEIR_OK) {
		if (++come == WEIR_INBOX_BOUND)
			weir_inbox_store_event(inbox); /* the rest at the next look */
		if (weir_inbox_has_enough_of(inbox, peer.vm)) {
			weir_service_dismiss(&peer);
			continue;
		}
		lane->channel.port = peer.port;
		lane->vm = peer.vm;
		lane->node = peer.node;
		weir_lane_begin(inbox, lane);
	}
}

/* A lane had an event. */
static inline void weir_lane_look(struct weir_inbox *inbox, struct weir_lane *lane)
{
	inbox->looks++;
	if (lane->session && !lane->queued)
		weir_inbox_enqueue(inbox, lane);
	else if (lane->used && !lane->session)
		weir_lane_step(inbox, lane);
}

/* Looks at the lanes of a word that had events. */
static inline void weir_inbox_look_at(struct weir_inbox *inbox, uint32_t word)
{
	uint64_t lanes;

	/*
	 * What is read of a lane may be older than its bit: no lane is left before [C1], behind which the tail is
	 * read again, or without the calls of a step of opening.
	 */
	lanes = __atomic_exchange_n(&inbox->woken[word], 0, __ATOMIC_RELAXED);
	for (; lanes; lanes &= lanes - 1)
		weir_lane_look(inbox, &inbox->lanes[word * 64 + (uint32_t)__builtin_ctzll(lanes)]);
}

/* Looks at all lanes that had events. */
WEIR_RING_LONG void weir_inbox_look(struct weir_inbox *inbox)
{
	uint64_t words;

	/* [I2] the word's bit before the word. Pairs with [I1] in weir_lane_event. */
	WEIR_ORDERED(I2, ldaxr,
		     words = __atomic_exchange_n(&inbox->woken_words, 0, __ATOMIC_ACQUIRE));
	if (words & WEIR_INBOX_NEWS_OF_STORE && inbox->service.node)
		weir_inbox_accept(inbox);
	for (words &= ~WEIR_INBOX_NEWS_OF_STORE; words; words &= words - 1)
		weir_inbox_look_at(inbox, (uint32_t)__builtin_ctzll(words));
}

/* The lane whose turn it is has no message, or none any more: it waits for one, or has ended. */
WEIR_RING_LONG void weir_inbox_pause(struct weir_inbox *inbox, enum weir_status status)
{
	struct weir_lane *lane = weir_inbox_end_turn(inbox);

	inbox->looks++;
	if (status == WEIR_AGAIN)
		status = weir_channel_arm_receive(&lane->channel);
	if (status == WEIR_OK)
		weir_inbox_enqueue(inbox, lane);
	else if (status != WEIR_AGAIN)
		weir_lane_end(inbox, lane);
}

/* Whose turn it is, after a look at what has happened; 0: nobody has a message. */
WEIR_RING_LONG struct weir_lane *weir_inbox_next_turn(struct weir_inbox *inbox)
{
	struct weir_lane *lane = inbox->turn;

	if (!weir_inbox_idle(inbox))
		weir_inbox_look(inbox);
	/* Nobody else has anything. */
	if (lane && !lane->behind && !inbox->queue[!lane->priority].first) {
		inbox->left = inbox->bound ? inbox->bound : 1;
		return lane;
	}
	if (lane)
		weir_inbox_enqueue(inbox, weir_inbox_end_turn(inbox));
	return weir_inbox_choose(inbox);
}

/* A lane on the channel that the manifest calls `name`, for the sender at its other end, in all its lives. */
static inline enum weir_status weir_inbox_add(struct weir_inbox *inbox,
					      const struct weir_pages *pages,
					      struct weir_space *space, const char *name)
{
	struct weir_lane *lane = weir_inbox_free_lane(inbox);
	enum weir_status status;

	if (!lane)
		return WEIR_QUOTA;
	status = weir_port_find(pages, name, &lane->channel.port);
	if (status == WEIR_OK)
		status = weir_lane_place(inbox, lane, space);
	if (status != WEIR_OK)
		return status;
	weir_lane_begin(inbox, lane);
	return WEIR_OK;
}

/*
 * Offers the inbox in the store, as "VM/NAME" with this VM's own name, to all VMs that the manifest lets it talk to:
 * they join by weir_sender_try_join(). `pages` are those of the vCPU that receives; they and `space` stay the
 * inbox's. Errors: those of weir_service_offer().
 */
static inline enum weir_status weir_inbox_offer(struct weir_inbox *inbox,
						const struct weir_pages *pages,
						struct weir_space *space, const char *name)
{
	enum weir_status status = weir_service_offer(pages, name, WEIR_STORE_ALL, &inbox->service);

	if (status != WEIR_OK)
		return status;
	inbox->pages = pages;
	inbox->space = space;
	weir_inbox_store_event(inbox);
	return WEIR_OK;
}

/* Ends all lanes; they keep their pages, and can be added again, or the inbox offered. */
static inline void weir_inbox_close(struct weir_inbox *inbox)
{
	if (inbox->service.node)
		weir_service_withdraw(inbox->pages, &inbox->service);
	inbox->service.node = 0;
	for (uint32_t i = 0; i < inbox->lane_count; i++) {
		struct weir_lane *lane = &inbox->lanes[i];

		if (!lane->used)
			continue;
		weir_channel_close(&lane->channel);
		lane->queued = false;
		lane->session = 0;
		if (lane->node) {
			weir_lane_free(inbox, lane);
			continue;
		}
		if (inbox->listen)
			inbox->listen(inbox, lane, false);
		lane->used = false;
		lane->channel.port = 0;
	}
	__builtin_memset(inbox->queue, 0, sizeof(inbox->queue));
	inbox->turn = NULL;
	inbox->left = 0;
}

/* ---- The inbox: receiving ---- */

/* The next message, of at most `room` bytes; *bytes says how many, *from whose. */
WEIR_RING_SHORT enum weir_status weir_inbox_try_receive(struct weir_inbox *inbox, void *buffer,
							uint64_t room, uint32_t *bytes,
							struct weir_lane **from)
{
	for (;;) {
		struct weir_lane *lane = inbox->turn;
		enum weir_status status;
		uint32_t tag;

		if (!inbox->left) {
			lane = weir_inbox_next_turn(inbox);
			if (!lane)
				return WEIR_AGAIN;
		}
		status = weir_ring_read(&lane->channel.in, buffer, room, bytes, &tag);
		if (status == WEIR_OK && weir_channel_intact(&lane->channel)) {
			inbox->left--;
			/* It is ours, whether the sender can still be woken or not. */
			weir_channel_kick(&lane->channel,
					  weir_ring_release_read(&lane->channel.in));
			*from = lane;
			return WEIR_OK;
		}
		weir_inbox_pause(inbox, status == WEIR_OK ? WEIR_CLOSED : status);
	}
}

#if defined(__aarch64__)
/* With a deadline the guest's timer has to interrupt. */
static inline bool weir_inbox_wait_wfi(struct weir_inbox *inbox)
{
	uint64_t flags, now;

	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(flags)::"memory");
	if (weir_inbox_idle(inbox))
		__asm__ volatile("dsb sy\n\twfi" ::: "memory");
	__asm__ volatile("msr daif, %1\n\tisb\n\tmrs %0, cntvct_el0"
			 : "=r"(now)
			 : "r"(flags)
			 : "memory");
	return !inbox->deadline || now < inbox->deadline;
}
#else
/* Nowhere else is there anything to sleep by. */
static inline bool weir_inbox_wait_wfi(struct weir_inbox *inbox)
{
	(void)inbox;
	return false;
}
#endif

static inline enum weir_status weir_inbox_sleep(struct weir_inbox *inbox)
{
	bool in_time = inbox->wait ? inbox->wait(inbox) : weir_inbox_wait_wfi(inbox);

	return in_time ? WEIR_OK : WEIR_TIMEOUT;
}

/* Waits for the next message. */
WEIR_RING_SHORT enum weir_status weir_inbox_receive(struct weir_inbox *inbox, void *buffer,
						    uint64_t room, uint32_t *bytes,
						    struct weir_lane **from)
{
	enum weir_status status;

	while ((status = weir_inbox_try_receive(inbox, buffer, room, bytes, from)) == WEIR_AGAIN) {
		status = weir_inbox_sleep(inbox);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/*
 * Answers who sent what was received last from this lane. It does not wait: WEIR_AGAIN, who does not take its
 * answers gets none.
 */
static inline enum weir_status weir_lane_answer(struct weir_lane *lane, const void *data,
						uint64_t bytes)
{
	return weir_channel_try_send(&lane->channel, data, bytes);
}

/* ---- The sender ---- */

struct weir_sender {
	/* The caller's, before it is opened first. */
	enum weir_priority priority;
	struct weir_channel channel; /* of it the caller's groups, and `deadline` */

	struct weir_service_link link; /* the sender's; not on a channel of the manifest */
	bool has_news; /* the last step has left some of the store's changes: the next is due without an event */
};

static inline enum weir_status weir_sender_greet(struct weir_sender *sender)
{
	struct weir_mqueue_hello hello = { WEIR_MQUEUE_MAGIC, (uint64_t)sender->priority };

	return weir_channel_try_send(&sender->channel, &hello, sizeof(hello));
}

/* One step of opening, at the first call and at each event of the port. WEIR_AGAIN: not yet. */
static inline enum weir_status weir_sender_try_open(struct weir_sender *sender,
						    const struct weir_pages *pages,
						    struct weir_space *space, const char *name)
{
	enum weir_status status;

	if (!sender->channel.window_pages)
		sender->channel.window_pages = 2;
	status = weir_channel_try_open(&sender->channel, pages, space, name);
	if (status == WEIR_OK)
		status = weir_sender_greet(sender);
	/* The receiver was there, and has gone. */
	return status == WEIR_CLOSED && sender->channel.state == WEIR_CHANNEL_ENDED ? WEIR_AGAIN
										    : status;
}

/*
 * Joins the inbox at the other end of the channel that the manifest calls `name`, and waits for it. What was
 * open before is given up.
 */
static inline enum weir_status weir_sender_open(struct weir_sender *sender,
						const struct weir_pages *pages,
						struct weir_space *space, const char *name)
{
	enum weir_status status;

	while ((status = weir_sender_try_open(sender, pages, space, name)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&sender->channel, weir_channel_arm_open);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Why there was no room; or the message is in the lane, and the receiver may have gone. */
WEIR_RING_LONG enum weir_status weir_sender_look(struct weir_channel *channel,
						 enum weir_status status)
{
	if (weir_channel_check(channel) != WEIR_OK)
		return WEIR_CLOSED;
	return weir_channel_ring(channel, status);
}

/*
 * What a receiver wants that has armed once is never 0: so no other word of its page has to be read to find out
 * that it has gone.
 */
WEIR_RING_SHORT enum weir_status weir_sender_try_send(struct weir_sender *sender, const void *data,
						      uint64_t bytes)
{
	struct weir_channel *channel = &sender->channel;
	enum weir_status status = weir_ring_write(&channel->out, data, bytes, 0);
	uint64_t wanted;

	if (status != WEIR_OK)
		return weir_sender_look(channel, status);
	if (weir_ring_publish_new(&channel->out, &wanted))
		return weir_channel_kick(channel, true);
	return wanted ? WEIR_OK : weir_sender_look(channel, WEIR_OK);
}

/* Sends a message, which is `data` as it is now. */
WEIR_RING_SHORT enum weir_status weir_sender_send(struct weir_sender *sender, const void *data,
						  uint64_t bytes)
{
	enum weir_status status;

	while ((status = weir_sender_try_send(sender, data, bytes)) == WEIR_AGAIN) {
		sender->channel.wanted_bytes = bytes;
		status = weir_channel_sleep(&sender->channel, weir_channel_arm_room);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Waits for the next answer. */
static inline enum weir_status weir_sender_answer(struct weir_sender *sender, void *buffer,
						  uint64_t room, uint32_t *bytes)
{
	return weir_channel_receive(&sender->channel, buffer, room, bytes);
}

/* Waits until all that was sent has been received. */
static inline enum weir_status weir_sender_drain(struct weir_sender *sender)
{
	return weir_channel_drain(&sender->channel);
}

/* Leaves the inbox. What was not received is lost: weir_sender_drain() first. */
static inline void weir_sender_close(struct weir_sender *sender)
{
	weir_channel_close(&sender->channel);
	if (sender->link.port) {
		weir_service_leave(&sender->link);
		sender->channel.port = 0;
	}
}

/* Looks how far the connection is; if it is over before the lane was open, asks anew. */
static inline enum weir_status weir_sender_connect(struct weir_sender *sender,
						   const struct weir_pages *pages, const char *path)
{
	enum weir_status status;
	bool open = false;

	sender->has_news = !weir_service_drain(WEIR_INBOX_BOUND);
	if (sender->link.joined) {
		weir_port_peer(sender->link.port, NULL, &open);
		if (!open)
			weir_sender_close(sender);
	}
	status = weir_service_connect(pages, path, NULL, 0, &sender->link);
	if (status == WEIR_CLOSED)
		status = weir_service_connect(pages, path, NULL, 0, &sender->link);
	return status;
}

/*
 * Joins the inbox that the VM of `path`, "VM/NAME", offers: one step, at first, at each event of the store's port and of
 * sender->link.port, and soon if sender->has_news. What was open before is given up. WEIR_AGAIN: not yet. Errors
 * besides: those of weir_service_connect().
 */
static inline enum weir_status weir_sender_try_join(struct weir_sender *sender,
						    const struct weir_pages *pages,
						    struct weir_space *space, const char *path)
{
	struct weir_channel *channel = &sender->channel;
	enum weir_status status = WEIR_OK;

	if (channel->state == WEIR_CHANNEL_OPEN || channel->state == WEIR_CHANNEL_ENDED)
		weir_sender_close(sender);
	if (!channel->window_pages)
		channel->window_pages = 2;
	if (!channel->own)
		status = weir_channel_take(channel, space);
	if (status == WEIR_OK)
		status = weir_sender_connect(sender, pages, path);
	if (status != WEIR_OK)
		return status;
	channel->port = sender->link.port;
	status = weir_channel_try_join(channel);
	if (status == WEIR_OK)
		status = weir_sender_greet(sender);
	return status == WEIR_CLOSED ? WEIR_AGAIN : status;
}
