/*
 * What life_target.c and its managers say to each other, in the words that they publish on the
 * channel that has the target's name, and what goes over the second channel, NAME-data.
 */
#pragma once

#include <stdint.h>

/* The channels: each target finds those that end at itself. */
#define LIFE_TARGETS  "low", "equal", "high", "other", "both", "halts", "large", "far"
#define LIFE_NAME_MAX 16u

/* From the target: what | its life | the line of the first check that failed | its seed. */
#define LIFE_HELLO 1u /* it has started, and all is as it should be */
#define LIFE_READY 2u /* it is in the situation that was ordered */
#define LIFE_WORD(what, life, line, seed)                                             \
	((uint64_t)(what) | (uint64_t)((life)&0xffff) << 8 | (uint64_t)(line) << 24 | \
	 (uint64_t)(seed) << 40)
#define LIFE_WHAT(word)	  ((uint32_t)((word)&0xff))
#define LIFE_LIFE(word)	  ((uint32_t)((word) >> 8 & 0xffff))
#define LIFE_FAILED(word) ((uint32_t)((word) >> 24 & 0xffff))
#define LIFE_SEED(word)	  ((uint32_t)((word) >> 40 & 0xffffff))

/* To the target: an order; what it waits for then is an event. */
#define LIFE_ORDER(situation, way) (0x80u | (uint64_t)(situation) << 8 | (uint64_t)(way) << 16)
#define LIFE_SITUATION(word)	   ((uint32_t)((word) >> 8 & 0xff))
#define LIFE_WAY(word)		   ((uint32_t)((word) >> 16 & 0xff))

/* What the target is doing when its end comes. With two vCPUs both do it. */
enum life_situation {
	LIFE_SLEEPS, /* in WFI, with a timer that is set */
	LIFE_SPINS,
	LIFE_FIRST_IS_OFF, /* vCPU 0 by CPU_OFF; the other one spins. One vCPU: as spins */
	LIFE_CALLS,	   /* one hypercall after the other, of all kinds */
	LIFE_READS,	   /* all the block requests that it may have are in flight */
	LIFE_SHARES,	   /* pages that nobody maps */
	LIFE_SHOWS,	   /* a page that the manager maps */
	LIFE_MAPS,	   /* a page of the manager */
	LIFE_WRITES_RING,  /* a record is half written */
	LIFE_INTERRUPTED,  /* more interrupts active and pending than there are list registers */
	LIFE_HAS_EVENTS,   /* pending, on all ports */
	LIFE_ANSWERS,	   /* an upcall; only where the manifest says `upcall-ms` */
	LIFE_USES_ALL,	   /* its whole pool, window and completion ring */
	LIFE_SITUATIONS,
};

/* How it ends. */
enum life_way {
	LIFE_BY_MANAGER,
	LIFE_BY_FAULT, /* these by itself, when the event comes */
	LIFE_BY_RESET,
	LIFE_BY_OFF,
};

#define LIFE_POOL_PAGES	  64u  /* shared-kib = 256 */
#define LIFE_WINDOW_PAGES 256u /* window-kib = 1024 */
#define LIFE_GRANT_PAGES  64u
#define LIFE_MANAGER_POOL 256u /* of the manager where LIFE_USES_ALL is ordered, in pages */

static inline uint64_t life_pattern(uint64_t life, uint64_t word)
{
	return (life + 1) * 0x9e3779b97f4a7c15ull ^ word << 32 ^ ~word;
}
