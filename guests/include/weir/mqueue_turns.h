/*
 * Message queues, inside: what an inbox and its lanes are, which lanes have news, and whose turn it is. mqueue.h is
 * what guests call, and says what all of it means. Since ABI 1.
 */
#pragma once

#include <weir/channel.h>
#include <weir/service.h>

#define WEIR_MQUEUE_MAGIC	 0x3145554555514557ull /* "WEQUEUE1", little endian */
#define WEIR_INBOX_BOUND	 16u /* messages of a turn, unless the inbox says otherwise */
#define WEIR_INBOX_URGENT_TURNS	 8u
#define WEIR_INBOX_WORDS	 63u
#define WEIR_INBOX_LANES_MAX	 (WEIR_INBOX_WORDS * 64)
#define WEIR_INBOX_NEWS_OF_STORE (1ull << 63)

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
	weir_handle vm;	  /* of a sender that has joined by name: its VM. For all to read. */
	weir_handle node; /* its node of the store; 0: the lane is on a channel of the manifest */
	bool used;	  /* it has a port */
	bool queued;	  /* it has messages, or may have: it is looked at when its turn comes */
	void *context;	  /* the receiver's; nobody here looks at it */
};

struct weir_lane_queue {
	struct weir_lane *first, *last;
};

struct weir_inbox {
	/* The caller's, after weir_inbox_make(); 0: as said. */
	uint32_t bound;	       /* messages of a turn */
	uint32_t window_pages; /* the most that a sender shares; 0: 1 + WEIR_CHANNEL_RING_PAGES */
	uint32_t answer_pages; /* of the ring for answers of each lane; 0: 1 */
	uint32_t vm_lanes;     /* the most lanes of one VM that joins by name; 0: all */
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
	uint64_t woken_words; /* bit i: `woken[i]` is not 0, or was not; NEWS_OF_STORE */
	uint64_t woken[WEIR_INBOX_WORDS]; /* a bit for each lane with news */
	struct weir_offer service; /* it is offered if `node` of this is not 0, with these: */
	const struct weir_pages *pages;
	struct weir_space *space;
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

	/* What the event is about is seen before the lane's bit: [R1] of weir_event_next stands between them. */
	__atomic_fetch_or(&inbox->woken[number / 64], 1ull << (number % 64), __ATOMIC_RELAXED);
	/* [I1] the lane's bit before that of its word. Pairs with [I2] in weir_inbox_look. */
	WEIR_ORDERED(
		I1, stlxr,
		__atomic_fetch_or(&inbox->woken_words, 1ull << (number / 64), __ATOMIC_RELEASE));
}

/* The same for events of the VM's port of kind WEIR_PORT_STORE, if the inbox is offered. */
static inline void weir_inbox_store_event(struct weir_inbox *inbox)
{
	__atomic_fetch_or(&inbox->woken_words, WEIR_INBOX_NEWS_OF_STORE, __ATOMIC_RELEASE);
}

/* Nothing has happened since all was looked at. For `wait`. */
static inline bool weir_inbox_idle(const struct weir_inbox *inbox)
{
	return !__atomic_load_n(&inbox->woken_words, __ATOMIC_ACQUIRE);
}

/* ---- The inbox: turns ---- */

/* Behind all others of its priority. */
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
