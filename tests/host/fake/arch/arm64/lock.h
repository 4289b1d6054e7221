/*
 * The real locks; but a thread that waits for one lets others run, of which one may hold it: there are fewer
 * processors here than cores in a test. Where a program is linked with fake/lock.c, that is told of each.
 */
#pragma once

#include "arch/arm64/barrier.h"

#include <sched.h>

static inline void let_others_run(void)
{
	sched_yield();
}

#define cpu_relax let_others_run
#include_next "arch/arm64/lock.h"
#undef cpu_relax

void fake_locks(const struct spinlock *lock) __attribute__((weak));
void fake_unlocks(const struct spinlock *lock) __attribute__((weak));

static inline void watched_lock(struct spinlock *lock) ACQUIRES(lock) NO_THREAD_SAFETY
{
	if (fake_locks)
		fake_locks(lock);
	spin_lock(lock);
}

static inline void watched_unlock(struct spinlock *lock) RELEASES(lock) NO_THREAD_SAFETY
{
	if (fake_unlocks)
		fake_unlocks(lock);
	spin_unlock(lock);
}

#define spin_lock   watched_lock
#define spin_unlock watched_unlock
