/* Deadlines of each core (timeout.h). Owns: one sorted list a core. */
#include "core/timeout.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/timer.h"

/* An interrupt handles so many, for some wake a vCPU. */
#define EXPIRED_AT_ONCE 4u

static struct list queues[MAX_PCPUS];

static struct list *queue(void)
{
	return &queues[cpu_index()];
}

static struct timeout *first(void)
{
	return list_empty(queue()) ? 0 : container_of(queue()->next, struct timeout, link);
}

static void program(void)
{
	struct timeout *timeout = first();

	timer_set_el2(timeout ? timeout->deadline : UINT64_MAX);
}

void timeout_init_core(void)
{
	list_init(queue());
	program();
}

void timeout_init(struct timeout *timeout, void (*expired)(struct timeout *))
{
	list_init(&timeout->link);
	timeout->expired = expired;
}

bool timeout_pending(const struct timeout *timeout)
{
	return !list_empty(&timeout->link);
}

void timeout_set(struct timeout *timeout, u64 deadline)
{
	struct list *at;

	list_remove(&timeout->link);
	timeout->deadline = deadline;
	for (at = queue()->next; at != queue(); at = at->next)
		if (container_of(at, struct timeout, link)->deadline > deadline)
			break;
	list_insert_before(at, &timeout->link);
	program();
}

void timeout_cancel(struct timeout *timeout)
{
	if (!timeout_pending(timeout))
		return;
	list_remove(&timeout->link);
	program();
}

void timeout_interrupt(void)
{
	struct timeout *timeout;
	u64 now = timer_now();

	/*
	 * What a callback sets anew lies after `now`, or fires at the next interrupt; and so does
	 * what is too much for this one, for the timer is set to a time that is over.
	 */
	for (u32 i = 0; i < EXPIRED_AT_ONCE && (timeout = first()) && timeout->deadline <= now;
	     i++) {
		list_remove(&timeout->link);
		timeout->expired(timeout);
	}
	program();
}
