/*
 * The locks as they are, and told of: whoever takes one that the same core has already, or gives back one
 * that it has not, would hang a machine. Found before the real header, since -Itests/fuzz/include comes
 * first. Defined by machine.c.
 */
#pragma once

#include_next "arch/arm64/lock.h"

void machine_locks(const struct spinlock *lock);
void machine_unlocks(const struct spinlock *lock);

static inline void told_lock(struct spinlock *lock) ACQUIRES(lock) NO_THREAD_SAFETY
{
	machine_locks(lock);
	spin_lock(lock);
}

static inline void told_unlock(struct spinlock *lock) RELEASES(lock) NO_THREAD_SAFETY
{
	machine_unlocks(lock);
	spin_unlock(lock);
}

#undef spin_lock
#undef spin_unlock
#define spin_lock   told_lock
#define spin_unlock told_unlock
