/*
 * Message queues: an inbox takes messages of many senders, in many VMs; every VM may have inboxes and be a
 * sender to others.
 *
 *	static struct weir_lane lanes[8];		static struct weir_sender sender;
 *	static struct weir_inbox inbox;
 *
 *	weir_inbox_make(&inbox, lanes, 8);		weir_sender_open(&sender, pages, &space, "name");
 *	weir_inbox_add(&inbox, pages, &space, "name");	weir_sender_send(&sender, "hello", 5);
 *	weir_inbox_receive(&inbox, buffer,
 *		sizeof(buffer), &bytes, &lane);
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
 *   WEIR_CLOSED:  send: the session has ended; what was not received is lost. Open it again.
 *   WEIR_TIMEOUT: the deadline (inbox->deadline, sender->channel.deadline) has passed; all is as before.
 *   WEIR_INVALID: send: the message is larger than weir_channel_max(); open: the name, or ring_pages.
 *   WEIR_QUOTA:   add: the inbox has no free lane; add, open: pool or window have too few pages left.
 *   WEIR_NOT_FOUND, WEIR_BUSY: open, add: as channel.h.
 *
 * Waiting. `wait` of the inbox sleeps; it may return at any time, but must not sleep when an event of a
 * lane's port came after weir_inbox_idle() was true. Without one the vCPU sleeps by WFI with interrupts masked.
 * guests/lib has all of it for tasks: inbox_make(), inbox_add(), sender_open().
 *
 * Contexts: the functions of an inbox are called by one task, or under one lock; so are those of a sender;
 * weir_lane_event() by handlers at any time.
 * Tests: tests/host/test_mqueue.c, tests/host/test_mqueue_random.c, tests/guest/mqueue.c. Since ABI 1.
 */
#pragma once

#include <weir/channel.h>

#define WEIR_MQUEUE_MAGIC	0x3145554555514557ull /* "WEQUEUE1", little endian */
#define WEIR_INBOX_BOUND	16u /* messages of a turn, unless the inbox says otherwise */
#define WEIR_INBOX_URGENT_TURNS 8u
#define WEIR_INBOX_LANES_MAX	4096u

enum weir_priority { WEIR_NORMAL = 0, WEIR_URGENT = 1 };

#define WEIR_MQUEUE_PRIORITIES 2u

/* The first record of a lane. */
struct weir_mqueue_hello {
	uint64_t magic;
	uint64_t priority; /* enum weir_priority */
};

struct weir_inbox;

/* The receiver's end of one sender's lane. All of it is the inbox's, but for what is named. */
struct weir_lane {
	struct weir_inbox *inbox;
	struct weir_channel channel;
	struct weir_lane *behind; /* in the queue of turns */
	uint64_t session; /* counts those of the inbox from 1; 0: nobody sends. For all to read. */
	uint32_t priority;
	bool used;     /* it has a port */
	bool queued;   /* it has messages, or may have: it is looked at when its turn comes */
	void *context; /* the receiver's; nobody here looks at it */
};

struct weir_lane_queue {
	struct weir_lane *first, *last;
};

struct weir_inbox {
	/* The caller's, after weir_inbox_make(); 0: as said. */
	uint32_t bound;	       /* messages of a turn */
	uint32_t window_pages; /* the most that a sender shares; 0: 1 + WEIR_CHANNEL_RING_PAGES */
	uint32_t answer_pages; /* of the ring for answers of each lane; 0: 1 */
	/* Events of the lane's port are weir_lane_event(lane) from now on, or no more. */
	void (*listen)(struct weir_inbox *inbox, struct weir_lane *lane, bool on);
	/* A sender has come (lane->session is its session now), or goes (and the lane is not used after). 0: none */
	void (*changed)(struct weir_inbox *inbox, struct weir_lane *lane, bool here);
	/* Sleeps; false: the deadline has passed. 0: by WFI. */
	bool (*wait)(struct weir_inbox *inbox);
	void *context; /* nobody here looks at it */

	/* The caller's, at any time: when waiting ends, in ticks of the counter; 0: never. */
	uint64_t deadline;

	/* The inbox's. */
	struct weir_lane *turn; /* whose turn it is, the first of its queue; 0: nobody's */
	uint64_t left;		/* messages of that turn; 0 with `turn` 0 */
	struct weir_lane_queue queue[WEIR_MQUEUE_PRIORITIES];
	uint32_t urgent_turns; /* since the last one of a lane that is not urgent */
	struct weir_lane *lanes;
	uint32_t lane_count;
	uint64_t woken_words;			   /* bit i: `woken[i]` is not 0, or was not */
	uint64_t woken[WEIR_INBOX_LANES_MAX / 64]; /* a bit for each lane with news */
	uint64_t sessions; /* so many have begun; for all to read, as these: */
	uint64_t broken;   /* lanes that ended because of what their sender wrote */
	uint64_t looks;	   /* how often a lane was looked at besides for its messages */
};

/* ---- The inbox: who has news ---- */

/* `count` lanes, up to WEIR_INBOX_LANES_MAX; they are the inbox's from here on. */
static inline void weir_inbox_make(struct weir_inbox *inbox, struct weir_lane *lanes,
				   uint32_t count)
{
	__builtin_memset(inbox, 0, sizeof(*inbox));
	__builtin_memset(lanes, 0, count * sizeof(*lanes));
	inbox->bound = WEIR_INBOX_BOUND;
	inbox->lanes = lanes;
	inbox->lane_count = count;
	for (uint32_t i = 0; i < count; i++)
		lanes[i].inbox = inbox;
}

/* From the handler of events, for each event of the lane's port. */
static inline void weir_lane_event(struct weir_lane *lane)
{
	struct weir_inbox *inbox = lane->inbox;
	uint64_t number = (uint64_t)(lane - inbox->lanes);

	/* [M1] what the event is about before the lane's bit. Pairs with [M2] in weir_inbox_look_at. */
	WEIR_ORDERED(M1, stlxr,
		     __atomic_fetch_or(&inbox->woken[number / 64], 1ull << (number % 64),
				       __ATOMIC_RELEASE));
	/* [M3] the lane's bit before that of its word. Pairs with [M4] in weir_inbox_look. */
	WEIR_ORDERED(
		M3, stlxr,
		__atomic_fetch_or(&inbox->woken_words, 1ull << (number / 64), __ATOMIC_RELEASE));
}

/* Nothing has happened since all was looked at. For `wait`. */
static inline bool weir_inbox_idle(const struct weir_inbox *inbox)
{
	return !__atomic_load_n(&inbox->woken_words, __ATOMIC_ACQUIRE);
}

/* ---- The inbox: turns ---- */

static inline void weir_inbox_enqueue(struct weir_inbox *inbox, struct weir_lane *lane)
{
	struct weir_lane_queue *queue = &inbox->queue[lane->priority];

	lane->behind = NULL;
	if (queue->first)
		queue->last->behind = lane;
	else
		queue->first = lane;
	queue->last = lane;
	lane->queued = true;
}

/* The lane whose turn it is: its turn is over. */
static inline struct weir_lane *weir_inbox_end_turn(struct weir_inbox *inbox)
{
	struct weir_lane *lane = inbox->turn;

	inbox->queue[lane->priority].first = lane->behind;
	if (lane->priority == WEIR_NORMAL)
		inbox->urgent_turns = 0;
	lane->queued = false;
	inbox->turn = NULL;
	inbox->left = 0;
	return lane;
}

/* Whose turn is next: the first of the urgent ones, but not for ever. */
static inline struct weir_lane *weir_inbox_choose(struct weir_inbox *inbox)
{
	struct weir_lane *lane = inbox->queue[WEIR_URGENT].first;
	struct weir_lane *normal = inbox->queue[WEIR_NORMAL].first;

	if (!lane || (normal && inbox->urgent_turns >= WEIR_INBOX_URGENT_TURNS))
		lane = normal;
	else
		inbox->urgent_turns++;
	inbox->turn = lane;
	inbox->left = !lane ? 0 : inbox->bound ? inbox->bound : 1;
	return lane;
}

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

/*
 * The lane has ended: the sender has gone, or lied. Who comes next is looked for at the next look; what this
 * one shared is not worth one.
 */
static inline void weir_lane_end(struct weir_inbox *inbox, struct weir_lane *lane)
{
	if (weir_channel_intact(&lane->channel))
		inbox->broken++;
	if (lane->session && inbox->changed)
		inbox->changed(inbox, lane, false);
	lane->session = 0;
	lane->priority = WEIR_NORMAL;
	lane->channel.refused = lane->channel.peer_grant;
	weir_channel_close(&lane->channel);
	weir_lane_event(lane);
}

/* A lane of which nobody receives yet: one step of opening. */
static inline void weir_lane_step(struct weir_inbox *inbox, struct weir_lane *lane)
{
	enum weir_status status = WEIR_OK;

	if (lane->channel.state != WEIR_CHANNEL_OPEN)
		status = weir_channel_try_join(&lane->channel);
	if (status == WEIR_OK)
		status = weir_lane_greet(inbox, lane);
	/* What was never mapped is refused by the channel itself. */
	if (status == WEIR_CLOSED && lane->channel.peer_grant)
		weir_lane_end(inbox, lane);
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

	/* [M2] the lane's bit before the lane. Pairs with [M1] in weir_lane_event. */
	WEIR_ORDERED(M2, ldaxr,
		     lanes = __atomic_exchange_n(&inbox->woken[word], 0, __ATOMIC_ACQUIRE));
	for (; lanes; lanes &= lanes - 1)
		weir_lane_look(inbox, &inbox->lanes[word * 64 + (uint32_t)__builtin_ctzll(lanes)]);
}

/* Looks at all lanes that had events. */
WEIR_RING_LONG void weir_inbox_look(struct weir_inbox *inbox)
{
	uint64_t words;

	/* [M4] the word's bit before the word. Pairs with [M3] in weir_lane_event. */
	WEIR_ORDERED(M4, ldaxr,
		     words = __atomic_exchange_n(&inbox->woken_words, 0, __ATOMIC_ACQUIRE));
	for (; words; words &= words - 1)
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

/* A free lane, with pages; 0: there is none. */
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
	lane->used = true;
	if (inbox->listen)
		inbox->listen(inbox, lane, true);
	weir_lane_event(lane); /* to look at it for the first time */
	return WEIR_OK;
}

/* Ends all lanes; they keep their pages, and can be added again. */
static inline void weir_inbox_close(struct weir_inbox *inbox)
{
	for (uint32_t i = 0; i < inbox->lane_count; i++) {
		struct weir_lane *lane = &inbox->lanes[i];

		if (!lane->used)
			continue;
		if (inbox->listen)
			inbox->listen(inbox, lane, false);
		weir_channel_close(&lane->channel);
		lane->used = false;
		lane->queued = false;
		lane->session = 0;
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
}
