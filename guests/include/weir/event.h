/*
 * Event channels: asynchronous signals between VMs, joined port to port.
 *
 * A channel of the manifest has a port at each end. Sending on a port makes the peer's port
 * pending: its number goes into an event ring of the vCPU and priority that it is bound to, and
 * WEIR_INTID_EVENT is raised there. Sends to a port that is pending already coalesce; wake-ups may
 * be spurious: an event means "look again". Within one priority events arrive in the order of
 * their sends.
 *
 * A VM has as many ports as the manifest says (`ports`: 128 by default, up to 8,192). Those of the
 * manifest's channels are the first ones and stay for ever; the others are opened and closed by
 * call, also to a peer (WEIR_PORT_PEER): one VM opens a port for the other and tells it the handle,
 * by WEIR_FN_PORT_PUBLISH for example, and the other connects to it. All ports are sent on, bound,
 * masked and asked for their peer in the same way.
 *
 * Event rings: for each priority `event_slots` words of 4 bytes (port numbers), written by Weir
 * only, one ring after the other from the address in x3 of WEIR_FN_PAGES. Positions are counted in
 * events since start and never wrap (64 bits); slot = position & (event_slots - 1).
 * weir_out.event_tail[p] is written by Weir, weir_in.event_head[p] by the vCPU. A port is in at
 * most one ring, at most once, so a ring cannot overflow. A head that lies harms its owner only.
 *
 * WEIR_FN_PORT_FIND: the port of this VM at one end of a channel.
 *   in:  x1 = bytes of the name, 1..WEIR_NAME_MAX; the name itself at weir_in.buffer of the caller.
 *   out: x1 = port handle; its bits 15:0 are the number that the event rings carry.
 *   errors: WEIR_INVALID: x1 out of range. WEIR_NOT_FOUND: no channel of that name ends here.
 *
 * WEIR_FN_EVENT_SEND: make the peer's port pending.
 *   in:  x1 = port handle.
 *   errors: WEIR_INVALID: no such port. WEIR_STALE: an old handle. WEIR_CLOSED: the peer is off, or
 *	     has closed its port; or the port has no other end yet.
 *   What the caller wrote to shared memory before the call is visible to the peer after the event.
 *
 * WEIR_FN_PORT_BIND: choose the vCPU and priority that a port's events go to. At start: vCPU 0,
 *   priority 0.
 *   in:  x1 = port handle, x2 = vCPU index, x3 = priority, 0..WEIR_EVENT_PRIORITIES-1.
 *   errors: WEIR_INVALID: x1, x2 or x3 out of range. WEIR_STALE. WEIR_BUSY: an event of this port
 *	     is still unread in its old ring. The binding that it has is WEIR_OK at any time.
 *
 * WEIR_FN_PORT_PUBLISH: leave a word for the peer, who is told by an event on its port.
 *   in:  x1 = port handle, x2 = the word (a grant handle, for example; Weir does not look at it).
 *   errors: WEIR_INVALID, WEIR_STALE, WEIR_CLOSED as for send.
 *
 * WEIR_FN_PORT_PEER: what is at the other end.
 *   in:  x1 = port handle.
 *   out: x1 = the word that the peer published last, 0 before; x2 = 1 if the peer is open.
 *   errors: WEIR_INVALID, WEIR_STALE.
 *
 * WEIR_FN_PORT_OPEN: a new port, bound to vCPU 0, priority 0, not masked.
 *   in:  x1 = enum weir_port_kind, x2 = what the kind says.
 *	  WEIR_PORT_PEER: for the VM that port x2, of a channel or of this kind, is joined to or was
 *	    opened for: it may connect, once, in whatever life. Then there is an event on the port.
 *	  WEIR_PORT_IPI: joined to itself, a signal between vCPUs of this VM. x2 = 0.
 *	  WEIR_PORT_TIMER: the calling vCPU's deadline has passed (WEIR_FN_PORT_TIMER). x2 = 0.
 *	  WEIR_PORT_BLOCK: a completion is there for the calling vCPU, whose block requests raise
 *	    this port and no more WEIR_INTID_BLOCK, until it is closed. Whoever opens or closes it
 *	    looks at the completions then, for one may just have been announced. x2 = 0.
 *	  WEIR_PORT_VM_STATE: a VM is in another state: weir/manage.h tells which. x2 = the VM's
 *	    handle, which stands for all its lives, or 0: any VM.
 *	  WEIR_PORT_VM: as WEIR_PORT_PEER, for the VM whose handle x2 is, if the manifest lets the two
 *	    talk: a channel joins them, or `peers` of either names the other. weir/store.h tells handles.
 *	  WEIR_PORT_STORE: a watch of the store has something to tell (weir/store.h). There is an event
 *	    on it when it has been opened. x2 = 0.
 *	  Those of timer, block requests, VM state and store have no other end: sends on them are WEIR_CLOSED.
 *   out: x1 = port handle.
 *   errors: WEIR_INVALID: x1 is no kind, or x2 not what it says. WEIR_STALE: x2 is an old handle.
 *	     WEIR_BUSY: the calling vCPU has a port of this kind already (timer, block), or the VM has
 *	     (store); 8 ports of the machine watch VMs already. WEIR_DENIED: no right "manage" (VM
 *	     state); x2 is no VM that the manifest lets this one talk to (VM).
 *	     WEIR_NOT_FOUND: no VM is at the position that x2 names (VM state).
 *	     WEIR_QUOTA: no port is free. One that was closed with an event unread is in use until
 *	     all events of this VM that were pending then have been read.
 *
 * WEIR_FN_PORT_CONNECT: a new port, joined to one that a peer has opened.
 *   in:  x1 = port handle, which names the peer as x2 of WEIR_PORT_PEER does; x2 = the handle of
 *	  the peer's port; x3 = 0. Or x3 = WEIR_PORT_VM: x1 names the peer as x2 of that kind does.
 *   out: x1 = port handle. The peer gets an event on its port, and sees it open.
 *   errors: WEIR_INVALID: x1 is no port that names a VM, x2 never was a port of it, or x3 is
 *	     neither. WEIR_STALE: x1 or x2 is an old handle. WEIR_DENIED: x2 was not opened for this VM,
 *	     or x1 is no VM that the manifest lets this one talk to. WEIR_BUSY: x2 was connected
 *	     already. WEIR_QUOTA: no port is free, as above.
 *
 * WEIR_FN_PORT_CLOSE: give back a port that was opened or connected. Its peer gets an event and sees
 *   it closed; what it sends is WEIR_CLOSED from then on; its own port it closes when it likes.
 *   in:  x1 = port handle. An event of it that was not read yet may still be.
 *   errors: WEIR_INVALID. WEIR_STALE. WEIR_DENIED: a port of a manifest's channel. WEIR_BUSY: the
 *	     VM's own grants or mappings go by it: weir/grant.h, weir_grant_close_port().
 *
 * WEIR_FN_PORT_MASK: hold back events of a port, or no more. While it is masked it is not made
 *   pending; if there was a send meanwhile, it is when it is unmasked. What was pending before stays
 *   so. A port that is masked already stays so with WEIR_OK, and so one that is not.
 *   in:  x1 = port handle, x2 = 1: mask, 0: unmask.
 *   errors: WEIR_INVALID: no such port, or x2 is neither. WEIR_STALE.
 *
 * WEIR_FN_PORT_TIMER: an event on the port, once, when the virtual counter has reached a value; at
 *   once if it has. Setting it again replaces it. By the vCPU that opened the port, wherever that is
 *   bound to; the vCPU's own timer is another.
 *   in:  x1 = port handle, x2 = counter value, 0: none any more.
 *   errors: WEIR_INVALID: no port of this kind. WEIR_STALE. WEIR_DENIED: of another vCPU.
 *
 * When a VM ends, its peers get an event on each port that is joined to it; from before that on
 * their sends answer WEIR_CLOSED and x2 of WEIR_FN_PORT_PEER is 0. When it starts again they get
 * another event on each: x2 is 1, x1 is 0, sends arrive (the two events may coalesce). The peers'
 * handles stay; those of the VM itself are new, the old ones answer WEIR_STALE, its bindings are
 * those of the start and the peers' words are 0: what it has to know, they publish again.
 * Ports that it opened or connected are closed when it ends, and it has none when it starts again.
 *
 * Grants go by each port that is joined to another VM, of a channel or opened by call (grant.h).
 *
 * Source: ipc/event.c, ipc/port.c, ipc/port_source.c. Tests: tests/guest/event.c, tests/guest/port.c,
 * tests/guest/restart_peer.c, tests/host/test_event*.c, tests/host/test_port*.c. Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <weir/hypercall.h>
#include <weir/order.h>

enum weir_port_kind {
	WEIR_PORT_PEER = 1,
	WEIR_PORT_IPI = 2,
	WEIR_PORT_TIMER = 3,
	WEIR_PORT_BLOCK = 4,
	WEIR_PORT_VM_STATE = 5,
	WEIR_PORT_VM = 6,
	WEIR_PORT_STORE = 7,
};

/* What the event rings carry of a handle. */
static inline uint32_t weir_port_number(weir_handle port)
{
	return (uint32_t)(port & 0xffffu);
}

/* `name` is 0-terminated. */
static inline enum weir_status weir_port_find(const struct weir_pages *pages, const char *name,
					      weir_handle *port)
{
	struct weir_result result;
	uint64_t bytes = __builtin_strlen(name);

	if (bytes <= WEIR_NAME_MAX) /* else the call says that it is not */
		__builtin_memcpy(pages->in->buffer, name, bytes);
	result = weir_call(WEIR_FN(WEIR_FN_PORT_FIND), bytes, 0, 0, 0, 0, 0);
	if ((enum weir_status)result.status == WEIR_OK)
		*port = result.value[0];
	return (enum weir_status)result.status;
}

static inline enum weir_status weir_event_send(weir_handle port)
{
	return weir_do(WEIR_FN_EVENT_SEND, port, 0, 0, 0, 0);
}

static inline enum weir_status weir_port_bind(weir_handle port, uint32_t vcpu, uint32_t priority)
{
	return weir_do(WEIR_FN_PORT_BIND, port, vcpu, priority, 0, 0);
}

static inline enum weir_status weir_port_publish(weir_handle port, uint64_t word)
{
	return weir_do(WEIR_FN_PORT_PUBLISH, port, word, 0, 0, 0);
}

/* `word` and `open` may be 0. */
static inline enum weir_status weir_port_peer(weir_handle port, uint64_t *word, bool *open)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_PORT_PEER), port, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK && word)
		*word = result.value[0];
	if ((enum weir_status)result.status == WEIR_OK && open)
		*open = result.value[1] != 0;
	return (enum weir_status)result.status;
}

/* A call whose result is a port. */
static inline enum weir_status weir_port_make(uint32_t number, uint64_t a1, uint64_t a2,
					      weir_handle *port)
{
	struct weir_result result = weir_call(WEIR_FN(number), a1, a2, 0, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*port = result.value[0];
	return (enum weir_status)result.status;
}

/* For the VM that `joined` is joined to; it is to be told the handle. */
static inline enum weir_status weir_port_open_peer(weir_handle joined, weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_PEER, joined, port);
}

static inline enum weir_status weir_port_open_ipi(weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_IPI, 0, port);
}

static inline enum weir_status weir_port_open_timer(weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_TIMER, 0, port);
}

static inline enum weir_status weir_port_open_block(weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_BLOCK, 0, port);
}

/* `vm`: 0 for any. */
static inline enum weir_status weir_port_open_vm_state(weir_handle vm, weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_VM_STATE, vm, port);
}

/* For a VM that the manifest lets this one talk to; it is to be told the handle. */
static inline enum weir_status weir_port_open_vm(weir_handle vm, weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_VM, vm, port);
}

static inline enum weir_status weir_port_open_store(weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_OPEN, WEIR_PORT_STORE, 0, port);
}

/* To `theirs`, which the VM has opened. */
static inline enum weir_status weir_port_connect_vm(weir_handle vm, weir_handle theirs,
						    weir_handle *port)
{
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_PORT_CONNECT), vm, theirs, WEIR_PORT_VM, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*port = result.value[0];
	return (enum weir_status)result.status;
}

/* To `theirs`, which the VM that `joined` is joined to has opened. */
static inline enum weir_status weir_port_connect(weir_handle joined, weir_handle theirs,
						 weir_handle *port)
{
	return weir_port_make(WEIR_FN_PORT_CONNECT, joined, theirs, port);
}

static inline enum weir_status weir_port_close(weir_handle port)
{
	return weir_do(WEIR_FN_PORT_CLOSE, port, 0, 0, 0, 0);
}

static inline enum weir_status weir_port_mask(weir_handle port, bool masked)
{
	return weir_do(WEIR_FN_PORT_MASK, port, masked, 0, 0, 0);
}

/* `ticks` of the virtual counter; 0: none. */
static inline enum weir_status weir_port_timer(weir_handle port, uint64_t ticks)
{
	return weir_do(WEIR_FN_PORT_TIMER, port, ticks, 0, 0, 0);
}

/* An event of this priority is to be taken. */
static inline bool weir_event_waits(const struct weir_pages *pages, uint32_t priority)
{
	uint64_t end;

	/* [R2] the tail before the entry. Pairs with [S2] in ipc/event_ring.h. */
	WEIR_ORDERED(R2, ldar,
		     end = __atomic_load_n(&pages->out->event_tail[priority], __ATOMIC_ACQUIRE));
	return end != pages->in->event_head[priority];
}

WEIR_STATIC_ASSERT(WEIR_EVENT_PRIORITIES == 4, "weir_event_next looks at four");

/*
 * Takes the next event of this vCPU, highest priority first; false if there is none. The caller
 * then looks at what the event is about, and not before: a send from then on raises the event
 * again.
 */
static inline bool weir_event_next(const struct weir_pages *pages, uint32_t *port_number)
{
	uint64_t *head, position;
	uint32_t priority;

	if (weir_event_waits(pages, 3))
		priority = 3;
	else if (weir_event_waits(pages, 2))
		priority = 2;
	else if (weir_event_waits(pages, 1))
		priority = 1;
	else if (weir_event_waits(pages, 0))
		priority = 0;
	else
		return false;
	head = &pages->in->event_head[priority];
	position = *head;
	*port_number = pages->event_rings[priority * pages->event_slots +
					  (position & (pages->event_slots - 1))];
	/*
	 * [R3] the entry is read before `head` gives its slot back. Pairs with the sender, who writes
	 * a slot only if `head` says that it may: a store under a condition that was loaded comes
	 * after that load.
	 */
	WEIR_ORDERED(R3, stlr, __atomic_store_n(head, position + 1, __ATOMIC_RELEASE));
	/*
	 * [R1] `head` is stored before the caller's look at the data. Pairs with [S1] in ipc/event_ring.h:
	 * either the sender sees the head and queues the port again, or the caller sees the sender's
	 * data.
	 */
	WEIR_ORDERED(R1, dmb ish, __atomic_thread_fence(__ATOMIC_SEQ_CST));
	return true;
}
