/*
 * A chain of VMs: source -> filter -> sink, over rings; and a supervisor, which kills the filter now and then while
 * records flow. What they say to each other is here.
 *
 * Every record arrives once: the source keeps a record until the sink has acknowledged it, and sends again what was
 * not when its channel to the filter has ended; records carry numbers, by which the sink drops doubles. Both ends sum
 * up what the sink has to get, in order: the supervisor compares.
 */
#pragma once

#include <guest.h>

#define RECORDS	     500000u
#define RECORD_WORDS 30u
#define KEPT	     512u /* the most records that are on their way */
#define KILLS	     3u
/* The inboxes, by their names in the store. */
#define CONTROL	    "supervisor/control"
#define ACKNOWLEDGE "source/acknowledge"
#define REPORT_NS   100000000u

struct record {
	uint64_t number;
	uint64_t last; /* 1: behind this one comes no other */
	uint64_t words[RECORD_WORDS];
};

/* From the sink to the source's inbox: all records before `next` have arrived. */
struct acknowledgement {
	uint64_t next;
};

/* From all three to the supervisor's inbox. */
enum stage { STAGE_SOURCE = 0, STAGE_FILTER = 1, STAGE_SINK = 2, STAGES = 3 };

struct report {
	uint64_t stage;
	uint64_t done;	  /* 1: the last report of this stage */
	uint64_t records; /* sent (not again), filtered in this life, arrived */
	uint64_t again;	  /* source: sent again; sink: doubles that were dropped */
	uint64_t kept;	  /* source: made, and not acknowledged */
	uint64_t sum;
};

/* What the filter makes of a word. */
static inline uint64_t filtered(uint64_t word)
{
	word ^= word >> 29;
	word *= 0xbf58476d1ce4e5b9ull;
	return word ^ word >> 32;
}

/* Sums in order: a record that is missing, doubled, changed, or elsewhere makes another sum. */
static inline uint64_t sum_up(uint64_t sum, const struct record *record)
{
	sum = (sum ^ record->number) * 0x100000001b3ull;
	for (uint32_t i = 0; i < RECORD_WORDS; i++)
		sum = (sum ^ record->words[i]) * 0x100000001b3ull;
	return sum;
}

/*
 * A stage's way to the supervisor. A report that finds no room is left out: the next one says more; the last
 * one waits until it was received.
 */
static struct weir_sender reporter;

static inline void report(const struct report *now)
{
	if (!now->done) {
		weir_sender_try_send(&reporter, now, sizeof(*now));
		return;
	}
	weir_sender_send(&reporter, now, sizeof(*now));
	weir_sender_drain(&reporter);
}

/* Is it time for one? Looked at for each record. */
static inline bool report_is_due(void)
{
	static uint64_t next;
	uint64_t now = timer_now();

	if (now < next)
		return false;
	next = now + timer_ticks(REPORT_NS);
	return true;
}
