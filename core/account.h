/*
 * What a vCPU has used and asked for, from boot to power-off: a restart of its VM does not reset it.
 *
 * Owner: the counters are written only by the core that the vCPU is pinned to, by plain increments;
 * any core may read a word at any time, once, as it stands at that moment. The clock `steal` is also
 * started by others, under the lock of that core's run queue, and block_ticks is written
 * under the vCPU's block.lock. Sums for a VM are made by who
 * shows them (monitor.c). What is done for the submission ring is counted apart, by who takes its
 * commands, under the ring's lock: that may be another core; as is what a communication core did for it.
 */
#pragma once

#include "core/base/types.h"

/* Why a guest left to EL2. Each exit counts once. */
enum account_reason {
	ACCOUNT_HYPERCALL, /* of Weir's range: the number of hypercalls */
	ACCOUNT_PSCI,	   /* all other calls by HVC #0 or SMC */
	ACCOUNT_MMIO,	   /* a device's register was emulated */
	ACCOUNT_ABORT,	   /* the guest got an abort, or ended by one */
	ACCOUNT_SYSREG,
	ACCOUNT_WAIT, /* WFI, WFE */
	ACCOUNT_FP,   /* first use of FP after another vCPU's */
	ACCOUNT_INTERRUPT,
	ACCOUNT_OTHER, /* undefined, HVC with an immediate, SError, an access that is tried again */
	ACCOUNT_REASONS
};

/*
 * Time in a state that begins and ends, in one word, so that a reader needs no lock: while it is
 * stopped the time gathered, while it runs the moment at which it would have begun had it never
 * stopped, and CLOCK_RUNS.
 */
#define CLOCK_RUNS (1ul << 63)

/* What came by the submission ring; each as the same without it. */
struct account_ring {
	u64 events, block_requests, block_sectors;
	u64 copies, copied_bytes; /* of copies, those that failed on the way too */
};

struct account {
	u64 exit[ACCOUNT_REASONS];
	u64 sends;  /* hypercalls that sent an event by trap_send(); counted here alone */
	u64 events; /* sent or published by it by other ways, to closed channels too */
	u64 block_requests, block_sectors; /* accepted */
	u64 block_ticks; /* of any core, to move their data, or to find them in interrupts */
	u64 comm_ticks;	 /* of its communication core, to serve its ring; of its budget, too */
	u64 run;	 /* a clock: on its core, the exits served for it included */
	u64 steal;	 /* a clock: ready, while its core runs others */
	struct account_ring ring;
};

static inline void account_exit(struct account *account, enum account_reason reason)
{
	write_once(account->exit[reason], account->exit[reason] + 1);
}

static inline void account_send(struct account *account)
{
	write_once(account->sends, account->sends + 1);
}

static inline void account_block(struct account *account, u64 sectors)
{
	write_once(account->block_requests, account->block_requests + 1);
	write_once(account->block_sectors, account->block_sectors + sectors);
}

static inline void account_event(struct account *account)
{
	write_once(account->events, account->events + 1);
}

static inline void account_clock_start(u64 *clock, u64 now)
{
	write_once(*clock, (now - *clock) | CLOCK_RUNS);
}

static inline void account_clock_stop(u64 *clock, u64 now)
{
	write_once(*clock, now - (*clock & ~CLOCK_RUNS));
}

/* Ticks up to `now`, which was read after the word; never less than nothing. */
static inline u64 account_clock_value(u64 word, u64 now)
{
	u64 begun = word & ~CLOCK_RUNS;

	if (!(word & CLOCK_RUNS))
		return word;
	return now > begun ? now - begun : 0;
}
