/*
 * Ticket spin locks, fair between cores. Never taken on memory that a guest can write. EL2 runs
 * with interrupts masked, so no interrupt variant exists. The lock order stands in core/README.md.
 *
 * [L1] the release and [L2] the acquire of the same lock order what is done under it. They do more in
 * one core: a load-acquire behind a store-release, also of another lock, is not done before the store
 * is seen (DDI 0487 B2.3.11). So what a core wrote under one lock is seen before it reads anything
 * under the next; the places that rely on it have a label of their own.
 */
#pragma once

#include <weir/order.h>
#include "arch/arm64/barrier.h"
#include "core/base/types.h"

#if defined(__clang__)
#define CAPABILITY	 __attribute__((capability("lock")))
#define ACQUIRES(lock)	 __attribute__((acquire_capability(lock)))
#define RELEASES(lock)	 __attribute__((release_capability(lock)))
#define NEEDS(lock)	 __attribute__((requires_capability(lock)))
#define NO_THREAD_SAFETY __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY
#define ACQUIRES(lock)
#define RELEASES(lock)
#define NEEDS(lock)
#define NO_THREAD_SAFETY
#endif

/* Marked in debug builds only: the compiler would inline less for so many marks. */
#ifdef WEIR_DEBUG
#define LOCK_ORDERED WEIR_ORDERED
#else
#define LOCK_ORDERED(label, promise, statement) statement
#endif

/* A ticket is taken, and the owner seen, in one access to both halves. */
struct CAPABILITY spinlock {
	union {
		struct {
			u16 owner;
			u16 next;
		};
		u32 both;
	};
};

static inline void spin_lock(struct spinlock *lock) ACQUIRES(lock) NO_THREAD_SAFETY
{
	u32 before, taken;
	u16 ticket;

	LOCK_ORDERED(L2, ldaxr,
		     before = __atomic_fetch_add(&lock->both, 1u << 16, __ATOMIC_ACQUIRE));
	/* Both halves the same: it was free. Hidden, or the compiler takes an instruction more. */
	taken = before ^ (before >> 16 | before << 16);
	__asm__("" : "+r"(taken));
	if (__builtin_expect(!taken, 1))
		return;
	ticket = (u16)(before >> 16);
	while (__atomic_load_n(&lock->owner, __ATOMIC_ACQUIRE) != ticket)
		cpu_relax();
}

static inline void spin_unlock(struct spinlock *lock) RELEASES(lock) NO_THREAD_SAFETY
{
	LOCK_ORDERED(L1, stlr,
		     __atomic_store_n(&lock->owner, (u16)(lock->owner + 1), __ATOMIC_RELEASE));
}
