/*
 * What a send is made of, inline for event_send.c, where it is hot, and for event.c: from the handle to the
 * port, and an event into the ring of its vCPU.
 *
 * Locks: as in event.h. ABI: guests/include/weir/event.h
 *
 * A port is pending if and only if the position of its last entry lies in [head, tail) of its ring.
 * `entered` is that position + 1, so with entered <= tail always true the test is entered > head.
 * While a port is pending it is not entered again; so the entries of [head, tail) are of different
 * ports, and a ring with a slot for every port cannot overflow, whatever `head` the guest writes.
 */
#pragma once

#include "ipc/port.h"

/*
 * The port of a handle, and its peer while the port had that handle: who closes a port takes its handle
 * before another can be its peer. 0: port_lookup() says why.
 */
static inline struct port *port_of(const struct vcpu *self, weir_handle handle, struct port **peer)
{
	u64 index = handle & (BIT(HANDLE_INDEX_BITS) - 1);
	struct port *port;

	if (index >= self->port_count)
		return 0;
	port = &self->port[index_nospec(index, self->port_count)];
	*peer = __atomic_load_n(&port->peer, __ATOMIC_ACQUIRE);
	return read_once(port->handle) == handle ? port : 0;
}

/* The guest's head, read once; what lies outside of [last head, tail] is clamped to it. */
static inline u64 ring_head(struct event_ring *ring)
{
	u64 head = read_once(*ring->shared_head);

	head = min(head, ring->tail);
	ring->head = max(head, ring->head);
	return ring->head;
}

/*
 * Makes a port pending. True: its ring's vCPU is to be interrupted. False: it was pending already, and its
 * receiver, who has not moved its head past the entry, will look after it has.
 */
static inline bool port_enter(struct port *port) NEEDS(&port->owner->lock)
{
	struct event_ring *ring = port->ring;

	/*
	 * [S1] the sender's data, written before this call, before `head` is read. Pairs with [R1]
	 * in weir_event_next: a receiver that moves its head and then finds no data has made us see
	 * that head, and we enter the port again.
	 */
	WEIR_ORDERED(S1, dmb ish, full_barrier());
	if (port->entered > ring_head(ring)) {
		port->latched = true; /* it may be masked */
		return false;
	}

	/* Without PORT_CLOSED: a port that connects takes sends before it has its handle. */
	ring->slot[ring->tail & ring->mask] = (u32)port->handle & (PORTS_MAX - 1);
	ring->tail++;
	port->entered = ring->tail;
	/* [S2] the entry before the tail. Pairs with [R2], the load of the tail in weir_event_next.
	 */
	WEIR_ORDERED(S2, stlr, __atomic_store_n(ring->shared_tail, ring->tail, __ATOMIC_RELEASE));
	return true;
}
