/*
 * Deadlines of one core, driven by EL2's own timer. Of n that are pending setting or cancelling one looks at some
 * log n, for a core may have several for each of a thousand vCPUs. Only the owning core touches a timeout.
 * Callbacks run in the interrupt path and are short. Source: timeout.c. Tests: tests/host/test_timeout.c
 */
#pragma once

#include "arch/arm64/timer.h" /* timer_now() and the conversions: what deadlines are counted in */

struct timeout {
	struct timeout *up, *below[2]; /* in its core's heap: who is earlier, and who is later */
	u64 rank;		       /* 0: it is in none, that is not pending */
	u64 deadline;		       /* ticks */
	void (*expired)(struct timeout *timeout);
};

void timeout_init(struct timeout *timeout, void (*expired)(struct timeout *));
void timeout_set(struct timeout *timeout, u64 deadline);
void timeout_remove(struct timeout *timeout); /* one that is pending */
void timeout_init_core(void);
void timeout_interrupt(void); /* EL2's timer fired on this core */

static inline bool timeout_pending(const struct timeout *timeout)
{
	return timeout->rank;
}

static inline __attribute__((always_inline)) void timeout_cancel(struct timeout *timeout)
{
	if (timeout_pending(timeout))
		timeout_remove(timeout);
}
