/*
 * Message queues, the receiver: lanes that come and go, and messages in turn. mqueue.h says how receiver and senders work
 * together, what each status means, and what may be called from where. Since ABI 1.
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

/* Its pages of pool and window, which it keeps from the first time on. */
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

/* From here on it is looked at. */
static inline void weir_lane_begin(struct weir_inbox *inbox, struct weir_lane *lane)
{
	lane->used = true;
	if (inbox->listen)
		inbox->listen(inbox, lane, true);
	weir_lane_event(lane); /* to look at it for the first time */
}

/* Has a VM as many lanes by name as one may have? */
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

/* WEIR_OK: look again. WEIR_TIMEOUT: the deadline has passed. */
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
