/*
 * Deadlines of one core: a sorted list, driven by EL2's own timer. Only the owning core touches a
 * timeout. Callbacks run in the interrupt path and are short. Source: timeout.c
 */
#pragma once

#include "arch/arm64/timer.h" /* timer_now() and the conversions: what deadlines are counted in */
#include "core/base/list.h"

struct timeout {
	struct list link;
	u64 deadline; /* ticks */
	void (*expired)(struct timeout *timeout);
};

void timeout_init(struct timeout *timeout, void (*expired)(struct timeout *));
void timeout_set(struct timeout *timeout, u64 deadline);
void timeout_cancel(struct timeout *timeout);
bool timeout_pending(const struct timeout *timeout);
void timeout_init_core(void);
void timeout_interrupt(void); /* EL2's timer fired on this core */
