/*
 * Deadlines of each core (timeout.h). Owns: one heap of them a core.
 *
 * It is a leftist heap (Knuth, The Art of Computer Programming, volume 3, 5.2.3): nobody is later than those below it,
 * and a rank is one more than the lower of those below, which is on the right. So a way to the right is not longer than
 * log2 of how many there are, and all is done by joining two heaps along such ways.
 */
#include "core/timeout.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/timer.h"

/* An interrupt handles so many, for some wake a vCPU. */
#define EXPIRED_AT_ONCE 4u

static struct timeout *heaps[MAX_PCPUS]; /* the first of each core; 0: nothing is pending */

static struct timeout **heap(void)
{
	return &heaps[cpu_index()];
}

static inline void program(const struct timeout *first)
{
	timer_set_el2(first ? first->deadline : UINT64_MAX);
}

static u64 rank_of(const struct timeout *timeout)
{
	return timeout ? timeout->rank : 0;
}

/* Has the higher rank on the left again. False: the rank is what it was. */
static bool balance(struct timeout *timeout)
{
	struct timeout *left = timeout->below[0], *right = timeout->below[1];
	u64 rank = min(rank_of(left), rank_of(right)) + 1;
	bool changed = timeout->rank != rank;

	timeout->rank = rank;
	if (rank_of(left) < rank_of(right)) {
		timeout->below[0] = right;
		timeout->below[1] = left;
	}
	return changed;
}

/* Joins the heap `other` to the one at `place`, which is below `above`; 0: one that is empty, or the core's. */
static void join(struct timeout **place, struct timeout *above, struct timeout *other)
{
	struct timeout *last = above;

	while (other) {
		struct timeout *here = *place;

		if (!here || other->deadline < here->deadline) {
			*place = other;
			other->up = last;
			other = here;
		}
		last = *place;
		place = &last->below[1];
	}
	for (; last != above; last = last->up)
		balance(last);
	while (last && balance(last))
		last = last->up;
}

void timeout_init_core(void)
{
	*heap() = 0;
	program(0);
}

void timeout_init(struct timeout *timeout, void (*expired)(struct timeout *))
{
	timeout->rank = 0;
	timeout->expired = expired;
}

void timeout_remove(struct timeout *timeout)
{
	struct timeout *above = timeout->up, *left = timeout->below[0], *right = timeout->below[1];
	struct timeout **first = heap(), **place = first;

	timeout->rank = 0;
	if (above)
		place = &above->below[above->below[1] == timeout];
	*place = left;
	if (left)
		left->up = above;
	if (above || right)
		join(place, above, right);
	program(*first);
}

void timeout_set(struct timeout *timeout, u64 deadline)
{
	struct timeout *first;

	timeout_cancel(timeout);
	first = *heap();
	*timeout = (struct timeout){ .rank = 1, .deadline = deadline, .expired = timeout->expired };
	if (first && deadline >= first->deadline) {
		join(heap(), 0, timeout);
	} else { /* what is earlier than all is so by far most often */
		timeout->below[0] = first;
		if (first)
			first->up = timeout;
		*heap() = timeout;
	}
	program(*heap());
}

void timeout_interrupt(void)
{
	struct timeout *timeout;
	u64 now = timer_now();

	/*
	 * What a callback sets anew lies after `now`, or fires at the next interrupt; and so does
	 * what is too much for this one, for the timer is set to a time that is over.
	 */
	for (u32 i = 0; i < EXPIRED_AT_ONCE && (timeout = *heap()) && timeout->deadline <= now;
	     i++) {
		timeout_remove(timeout);
		timeout->expired(timeout);
	}
	program(*heap());
}
