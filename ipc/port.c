/*
 * Ports that are opened, connected, masked and closed by call.
 *
 * Owns:  which ports of a VM are free; struct port's `peer` and `from` of those that are no
 *	  channel's.
 * Locks: vm->ipc->event.lock of one VM at a time. What concerns both ends is done at one and then
 *	  at the other; `from` decides which sends arrive, whatever `peer` a sender still sees. Who
 *	  closes a port takes its VM's grant lock outside of that: no grant goes by it then.
 * ABI:   guests/include/weir/event.h
 *
 * Ends. A port whose peer is q takes sends from q only while q may send: so q's `peer` is set when
 * this port's `from` is set already, and `from` is reset first. A port that is closed is not free
 * before its peer has forgotten it: so no pair can be taken for another one of the same two ports. But by
 * a send that was on its way when both were closed and joined again: it arrives as one of the new pair.
 *
 * Numbers. A port that is closed while an entry of it is unread keeps its number until the entry was
 * read: so an entry never names another port, and no port is in the rings twice. Generations go on;
 * a port that has had the last one is not used any more.
 */
#include "ipc/port.h"

#include <weir/event.h>
#include "core/base/panic.h"
#include "ipc/grant.h"

/* Ports that are looked at, at most, for one that can be given out. */
#define TRIES 8u

#define LAST_GENERATION (~0ul >> HANDLE_INDEX_BITS)

/* The other end of a port that has none: no send arrives there. */
static struct event_vm nobody;
static struct port nowhere = { .owner = &nobody };

/* ---- Which ports are free -------------------------------------------------------------------- */

static void list_append_port(struct port_list *list, struct port *port) NEEDS(&port->owner->lock)
{
	struct event_vm *event = port->owner;
	u16 index = (u16)(port - event->port);

	if (list->count++)
		event->port[list->last].next = index;
	else
		list->first = index;
	list->last = index;
}

static struct port *list_pop_port(struct port_list *list, struct event_vm *event)
	NEEDS(&event->lock)
{
	struct port *port = &event->port[list->first];

	if (!list->count)
		return 0;
	list->count--;
	list->first = port->next;
	return port;
}

static bool worn_out(const struct port *port)
{
	return port->handle >> HANDLE_INDEX_BITS == LAST_GENERATION;
}

/* The port has no owner any more, and its peer has forgotten it. */
static void give_back(struct port *port) NEEDS(&port->owner->lock)
{
	struct event_vm *event = port->owner;

	port->kind = PORT_FREE;
	port->peer = &nowhere;
	port->from = 0;
	if (!worn_out(port))
		list_append_port(port_unread(port) ? &event->unread : &event->free, port);
}

/*
 * A port that nobody has; 0: there is none. If the guest has read all its events then none of those
 * that have an unread entry is passed over.
 */
static struct port *take(struct event_vm *event) NEEDS(&event->lock) NO_THREAD_SAFETY
{
	for (u32 tries = 0; tries < TRIES; tries++) {
		struct port *port;

		if (event->fresh < event->port_count) {
			port = &event->port[event->fresh++];
			if (!worn_out(port))
				return port;
			continue;
		}
		port = list_pop_port(&event->free, event);
		if (port)
			return port;
		port = list_pop_port(&event->unread, event);
		if (!port)
			return 0;
		if (!port_unread(port))
			return port;
		list_append_port(&event->unread, port);
	}
	return 0;
}

void port_reset_all(struct event_vm *event)
{
	spin_lock(&event->lock);
	event->fresh = event->channel_count;
	event->free.count = event->unread.count = 0;
	spin_unlock(&event->lock);
}

void port_begin(struct port *port, enum port_kind kind)
{
	port->ring = &port->owner->vm->vcpu[0]->ipc->event.ring[0];
	port->entered = 0;
	port->word = 0;
	port->masked = false;
	port->grants = 0;
	port->kind = (u8)kind;
	if (kind == PORT_CHANNEL)
		return; /* both ends know each other */
	port->peer = kind == PORT_IPI ? port : &nowhere;
	port->from = port;
	port->waiting = false;
	port->peer_open = kind == PORT_IPI;
}

/* Everything is ready: the VM has the port from now on. Or it came to nothing. */
static enum weir_status finish(struct port *port, enum weir_status status, struct call_results *out)
{
	u64 generation = (port->handle >> HANDLE_INDEX_BITS) + 1;

	spin_lock(&port->owner->lock);
	if (status == WEIR_OK)
		port->handle = generation << HANDLE_INDEX_BITS | (port->handle & (PORTS_MAX - 1));
	else
		give_back(port);
	out->x1 = port->handle;
	spin_unlock(&port->owner->lock);
	return status;
}

/* ---- Opening --------------------------------------------------------------------------------- */

/* The VM that a port of the caller is joined to, or open for: that it has the port is the right. */
static enum weir_status named_vm(struct vm *vm, weir_handle handle, u8 *named)
{
	struct port *port;
	enum weir_status status = port_lookup(vm, handle, &port);

	if (status != WEIR_OK)
		return status;
	spin_lock(&port->owner->lock);
	if (port->handle != handle)
		status = WEIR_STALE; /* another vCPU has closed it */
	else if (port->kind == PORT_CHANNEL)
		*named = (u8)port->peer->owner->vm->id;
	else if (port->kind == PORT_PEER)
		*named = port->of;
	else
		status = WEIR_INVALID;
	spin_unlock(&port->owner->lock);
	return status;
}

/* A VM that the manifest lets this one talk to, by its handle. */
static enum weir_status talked_vm(const struct vm *vm, weir_handle handle, u8 *named)
{
	const struct vm *other = vm_get(handle & ((1u << HANDLE_INDEX_BITS) - 1));

	if (!other || !(vm->config->talks & BIT(other->id)))
		return WEIR_DENIED;
	*named = (u8)other->id;
	return handle >> HANDLE_INDEX_BITS == read_once(other->life) ? WEIR_OK : WEIR_STALE;
}

/* What x2 says, for the kind in x1. */
static enum weir_status open_check(const struct vcpu *self, const struct call_args *in, u8 *of)
{
	switch (in->x1) {
	case PORT_PEER:
		return named_vm(self->vm, in->x2, of);
	case PORT_VM:
		return talked_vm(self->vm, in->x2, of);
	case PORT_VM_STATE:
		return port_watch_check(self->vm, in->x2, of);
	case PORT_IPI:
	case PORT_TIMER:
	case PORT_BLOCK:
	case PORT_STORE:
		*of = (u8)self->index;
		return in->x2 ? WEIR_INVALID : WEIR_OK;
	default:
		return WEIR_INVALID;
	}
}

/* A port that has no handle yet. */
static enum weir_status open_port(struct vcpu *self, enum port_kind kind, u8 of,
				  struct port **port) NO_THREAD_SAFETY
{
	struct event_vm *event = &self->vm->ipc->event;
	struct port **source = port_source(self, kind);
	enum weir_status status = WEIR_OK;

	spin_lock(&event->lock);
	if (source && *source) {
		status = WEIR_BUSY;
	} else if (!(*port = take(event))) {
		status = WEIR_QUOTA;
	} else {
		port_begin(*port, kind);
		(*port)->of = of;
		(*port)->waiting = kind == PORT_PEER;
		if (source)
			write_once(*source, *port);
	}
	spin_unlock(&event->lock);
	return status;
}

_Static_assert(PORT_VM == (int)WEIR_PORT_VM && PORT_STORE == (int)WEIR_PORT_STORE &&
		       PORT_PEER == (int)WEIR_PORT_PEER && PORT_IPI == (int)WEIR_PORT_IPI &&
		       PORT_TIMER == (int)WEIR_PORT_TIMER && PORT_BLOCK == (int)WEIR_PORT_BLOCK &&
		       PORT_VM_STATE == (int)WEIR_PORT_VM_STATE,
	       "a kind of the ABI is one of ipc/");

enum weir_status port_open_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out)
{
	enum weir_status status;
	enum port_kind kind = in->x1 == PORT_VM ? PORT_PEER : (enum port_kind)in->x1;
	struct port *port;
	u8 of = 0;

	status = open_check(self, in, &of);
	if (status == WEIR_OK)
		status = open_port(self, kind, of, &port);
	if (status != WEIR_OK)
		return status;
	if (in->x1 == PORT_TIMER) /* a former port's may be still to come */
		timeout_cancel(&self->ipc->event.timer);
	if (in->x1 == PORT_VM_STATE && !port_watch(port))
		status = WEIR_BUSY;
	status = finish(port, status, out);
	if (in->x1 == PORT_STORE) /* a watch may have fired before */
		port_signal(port, port, 0);
	return status;
}

/* ---- Connecting ------------------------------------------------------------------------------ */

/* A port of this VM that a vCPU of `asks` may connect to? */
static enum weir_status connect_check(const struct port *port, weir_handle handle,
				      const struct vm *asks) NEEDS(&port->owner->lock)
{
	if (port->handle != handle)
		return WEIR_STALE;
	if (port->kind != PORT_PEER || port->of != asks->id)
		return WEIR_DENIED;
	return port->waiting ? WEIR_OK : WEIR_BUSY;
}

/* Joins a port that waits at the peer to `own`, which is joined to it already; the peer is told. */
static enum weir_status join(weir_handle handle, struct port *own)
{
	struct port *port = own->peer;
	enum weir_status status;

	spin_lock(&port->owner->lock);
	status = connect_check(port, handle, own->owner->vm);
	if (status == WEIR_OK) {
		port->waiting = false;
		port->peer_open = true;
		port->peer = own;
		port->from = own;
	}
	spin_unlock(&port->owner->lock);
	if (status == WEIR_OK)
		port_signal(own, port, 0);
	return status;
}

/* A port that is nobody's yet, but joined to `peer` as far as it is concerned; 0: none is free. */
static struct port *take_joined(struct event_vm *event, u8 vm, struct port *peer) NO_THREAD_SAFETY
{
	struct port *own;

	spin_lock(&event->lock);
	own = take(event);
	if (own) {
		port_begin(own, PORT_PEER);
		own->of = vm;
		own->peer = peer;
		own->from = peer;
		own->peer_open = true;
	}
	spin_unlock(&event->lock);
	return own;
}

enum weir_status port_connect_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	enum weir_status status;
	struct port *own, *peer;
	u8 named = 0;

	if (in->x3 && in->x3 != PORT_VM)
		return WEIR_INVALID;
	status = in->x3 ? talked_vm(self->vm, in->x1, &named) : named_vm(self->vm, in->x1, &named);
	if (status != WEIR_OK)
		return status;
	status = port_lookup(vm_get(named), in->x2, &peer);
	if (status != WEIR_OK)
		return status;
	own = take_joined(&self->vm->ipc->event, named, peer);
	if (!own)
		return WEIR_QUOTA;
	return finish(own, join(in->x2, own), out);
}

/* ---- Closing --------------------------------------------------------------------------------- */

/* The port `gone` was this one's peer, unless this one has been closed meanwhile. */
static void forget(struct port *port, const struct port *gone)
{
	bool joined;

	spin_lock(&port->owner->lock);
	joined = port->peer == gone;
	if (joined) {
		write_once(port->peer, &nowhere);
		port->from = port;
		port->peer_open = false;
	}
	spin_unlock(&port->owner->lock);
	if (joined)
		port_signal(port, port, 0);
}

/* The vCPU that it was a source of has none any more. */
static void leave_source(struct port *port) NEEDS(&port->owner->lock)
{
	struct port **source;

	if (port->kind != PORT_TIMER && port->kind != PORT_BLOCK && port->kind != PORT_STORE)
		return;
	source = port_source(port->owner->vm->vcpu[port->of], (enum port_kind)port->kind);
	write_once(*source, 0);
}

/* Takes the port from its VM, unless grants go by it. *peer is who has to forget it. */
static enum weir_status part(struct port *port, weir_handle handle, struct port **peer)
{
	struct vm *vm = port->owner->vm;
	enum weir_status status = WEIR_OK;

	grant_lock(vm);
	spin_lock(&port->owner->lock);
	*peer = port->peer;
	if (handle == PORT_ANY_HANDLE ? port->kind == PORT_FREE : port->handle != handle) {
		status = WEIR_STALE;
	} else if (port->grants) {
		assert(handle != PORT_ANY_HANDLE); /* a VM's grants end before its ports */
		status = WEIR_BUSY;
	} else {
		port->handle |= PORT_CLOSED;
		port->from = 0;
		write_once(port->peer, &nowhere);
		leave_source(port);
	}
	spin_unlock(&port->owner->lock);
	grant_unlock(vm);
	return status;
}

enum weir_status port_close(struct port *port, weir_handle handle)
{
	struct port *peer;
	enum weir_status status = part(port, handle, &peer);

	if (status != WEIR_OK)
		return status;

	if (port->kind == PORT_VM_STATE)
		port_unwatch(port);

	if (peer != port)
		forget(peer, port);
	spin_lock(&port->owner->lock);
	give_back(port);
	spin_unlock(&port->owner->lock);
	return WEIR_OK;
}

enum weir_status port_close_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	enum weir_status status;
	struct port *port;

	(void)out;
	status = port_lookup(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (port->kind == PORT_CHANNEL)
		return WEIR_DENIED;
	return port_close(port, in->x1);
}

/* ---- Masking --------------------------------------------------------------------------------- */

/* True: what was sent meanwhile is to be delivered. */
static bool set_mask(struct port *port, bool masked) NEEDS(&port->owner->lock)
{
	if (port->masked == masked)
		return false;
	port->masked = masked;
	if (masked) {
		port->entered += PORT_MASKED;
		port->latched = false;
		return false;
	}
	port->entered -= PORT_MASKED;
	return port->latched;
}

enum weir_status port_mask_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out)
{
	const struct port *from;
	enum weir_status status;
	struct port *port;
	bool deliver = false;

	(void)out;
	if (in->x2 > 1)
		return WEIR_INVALID;
	status = port_lookup(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	spin_lock(&port->owner->lock);
	from = port->from;
	if (port->handle != in->x1)
		status = WEIR_STALE; /* another vCPU has closed it */
	else
		deliver = set_mask(port, in->x2);
	spin_unlock(&port->owner->lock);
	/* If there is another end by now then whoever changed that has told. */
	if (deliver)
		port_signal(from, port, 0);
	return status;
}
