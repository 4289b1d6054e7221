/*
 * Event channels: ports, the event rings of each vCPU, and who is told.
 *
 * Owns:  struct port, struct event_ring.
 * Locks: vm->ipc->event.lock guards that VM's ports and rings. A send takes one lock, the
 *	  receiver's: what it reads of the sender's port is fixed while the sender runs (ipc.h).
 * ABI:   guests/include/weir/event.h
 *
 * A port is pending if and only if the position of its last entry lies in [head, tail) of its ring.
 * `entered` is that position + 1, so with entered <= tail always true the test is entered > head.
 * While a port is pending it is not entered again; so the entries of [head, tail) are of different
 * ports, and a ring with a slot for every port cannot overflow, whatever `head` the guest writes.
 */
#include "ipc/event.h"

#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"
#include "core/memory.h"

#define FIRST_GENERATION  1
#define HANDLE_INDEX_BITS 16
#define PORTS_MAX	  (1u << HANDLE_INDEX_BITS)

static u64 handle_index(weir_handle handle)
{
	return handle & (PORTS_MAX - 1);
}

static u64 ring_slots(const struct manifest_vm *config)
{
	u64 slots = 1;

	while (slots < config->ports)
		slots *= 2;
	return slots;
}

u64 event_ring_bytes(const struct manifest_vm *config)
{
	return align_up(ring_slots(config) * WEIR_EVENT_PRIORITIES * sizeof(u32), PAGE_SIZE);
}

/* The guest's head, read once; what lies outside of [last head, tail] is clamped to it. */
static u64 ring_head(struct event_ring *ring)
{
	u64 head = read_once(*ring->shared_head);

	if (head > ring->tail)
		head = ring->tail;
	if (head > ring->head)
		ring->head = head;
	return ring->head;
}

/*
 * Makes a port pending; returns the vCPU to interrupt, or 0 if it was pending already: then its
 * receiver, who has not moved its head past the entry, will look after it has.
 */
static struct vcpu *port_enter(struct port *port) NEEDS(&port->owner->lock)
{
	struct event_ring *ring = port->ring;

	/*
	 * [S1] the sender's data, written before this call, before `head` is read. Pairs with [R1]
	 * in weir_event_next: a receiver that moves its head and then finds no data has made us see
	 * that head, and we enter the port again.
	 */
	WEIR_ORDERED(S1, dmb ish, full_barrier());
	if (port->entered > ring_head(ring))
		return 0;

	ring->slot[ring->tail & ring->mask] = (u32)handle_index(port->handle);
	ring->tail++;
	port->entered = ring->tail;
	/* [S2] the entry before the tail. Pairs with [R2], the load of the tail in weir_event_next.
	 */
	WEIR_ORDERED(S2, stlr, __atomic_store_n(ring->shared_tail, ring->tail, __ATOMIC_RELEASE));
	return ring->vcpu;
}

/* Leaves a word, if there is one, and makes the port pending. WEIR_CLOSED: nobody is there. */
static enum weir_status port_signal(struct port *port, const u64 *word)
{
	struct vcpu *target = 0;
	bool open;

	spin_lock(&port->owner->lock);
	open = port->open;
	if (open) {
		if (word)
			port->word = *word;
		target = port_enter(port);
	}
	spin_unlock(&port->owner->lock);
	if (target)
		vgic_pend(target, WEIR_INTID_EVENT);
	return open ? WEIR_OK : WEIR_CLOSED;
}

enum weir_status event_port(struct vm *vm, weir_handle handle, struct port **port)
{
	const struct event_vm *event = &vm->ipc->event;
	u64 index = handle_index(handle);

	if (index >= event->port_count)
		return WEIR_INVALID;
	*port = &event->port[index_nospec(index, event->port_count)];
	if ((*port)->handle == handle)
		return WEIR_OK;
	/* Generations count up: 0 and those to come were never given out. */
	if (handle > (*port)->handle || handle < PORTS_MAX)
		return WEIR_INVALID;
	return WEIR_STALE;
}

bool event_peer_open(struct port *port)
{
	bool open;

	spin_lock(&port->owner->lock);
	open = port->peer_open;
	spin_unlock(&port->owner->lock);
	return open;
}

void event_raise(struct vm *vm, u32 index)
{
	assert(index < vm->ipc->event.port_count);
	port_signal(&vm->ipc->event.port[index], 0);
}

enum weir_status event_send_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	enum weir_status status;
	struct port *port;

	(void)out;
	status = event_port(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	account_event(&self->account);
	return port_signal(port->peer, 0);
}

enum weir_status event_publish_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out)
{
	enum weir_status status;
	struct port *port;

	(void)out;
	status = event_port(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	account_event(&self->account);
	return port_signal(port->peer, &in->x2);
}

RARE enum weir_status event_peer_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	enum weir_status status;
	struct port *port;

	status = event_port(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;

	spin_lock(&port->owner->lock);
	out->x1 = port->word;
	out->x2 = port->peer_open;
	spin_unlock(&port->owner->lock);
	return WEIR_OK;
}

/* A port whose old entry is unread stays, or it could be in two rings at once. */
static enum weir_status port_bind(struct port *port, struct event_ring *ring)
	NEEDS(&port->owner->lock)
{
	if (port->ring == ring)
		return WEIR_OK;
	if (port->entered > ring_head(port->ring))
		return WEIR_BUSY;
	port->ring = ring;
	port->entered = 0;
	return WEIR_OK;
}

RARE enum weir_status event_bind_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	struct vm *vm = self->vm;
	enum weir_status status;
	struct port *port;
	struct vcpu *target;

	(void)out;
	if (in->x2 >= vm->vcpu_count || in->x3 >= WEIR_EVENT_PRIORITIES)
		return WEIR_INVALID;
	target = vm->vcpu[index_nospec(in->x2, vm->vcpu_count)];
	status = event_port(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;

	spin_lock(&port->owner->lock);
	status = port_bind(port,
			   &target->ipc->event.ring[index_nospec(in->x3, WEIR_EVENT_PRIORITIES)]);
	spin_unlock(&port->owner->lock);
	return status;
}

/* Copies the name out of the guest's page, each byte once, before it is compared. */
static void copy_name(char *name, const u8 *from, u64 bytes)
{
	for (u64 i = 0; i < bytes; i++)
		name[i] = (char)read_once(from[i]);
	name[bytes] = 0;
}

RARE enum weir_status event_find_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	const struct event_vm *event = &self->vm->ipc->event;
	char name[WEIR_NAME_MAX + 1];

	if (in->x1 == 0 || in->x1 > WEIR_NAME_MAX)
		return WEIR_INVALID;
	copy_name(name, self->ipc->in->buffer, in->x1);
	if (strlen(name) != in->x1)
		return WEIR_NOT_FOUND; /* no name of the manifest has a 0 inside */

	for (u32 i = 0; i < event->port_count; i++) {
		if (strcmp(event->port[i].name, name) == 0) {
			out->x1 = event->port[i].handle;
			return WEIR_OK;
		}
	}
	return WEIR_NOT_FOUND;
}

static void port_close(struct port *port)
{
	struct port *peer = port->peer;
	bool was_open;

	spin_lock(&port->owner->lock);
	was_open = port->open;
	port->open = false;
	spin_unlock(&port->owner->lock);
	if (!was_open) /* the VM ends before it has been rebuilt: the peer knows */
		return;

	spin_lock(&peer->owner->lock);
	peer->peer_open = false;
	spin_unlock(&peer->owner->lock);
	port_signal(peer, 0);
}

RARE bool event_vm_stop(struct vm *vm, u64 *at)
{
	struct event_vm *event = &vm->ipc->event;

	if (*at == event->port_count)
		return false;
	port_close(&event->port[(*at)++]);
	return true;
}

/*
 * The port is as new, under another handle; then its peer sees it open, and is told. The order of
 * the two locks is that of port_close(): each end's `peer_open` is kept by the other.
 */
static void port_reset(struct port *port)
{
	struct port *peer = port->peer;
	struct vm *vm = port->owner->vm;

	spin_lock(&port->owner->lock);
	port->handle += PORTS_MAX; /* the next generation */
	port->ring = &vm->vcpu[0]->ipc->event.ring[0];
	port->entered = 0;
	port->word = 0;
	port->open = true;
	spin_unlock(&port->owner->lock);

	spin_lock(&peer->owner->lock);
	peer->peer_open = true;
	peer->word = 0;
	spin_unlock(&peer->owner->lock);
	port_signal(peer, 0);
}

RARE bool event_vm_reset(struct vm *vm, u64 *at)
{
	struct event_vm *event = &vm->ipc->event;

	if (*at == event->port_count)
		return false;
	port_reset(&event->port[(*at)++]);
	return true;
}

/* Channels of the manifest that end at a VM, or as many of them as it may have ports. */
static u32 channels_of(const struct vm *vm, const struct manifest *manifest)
{
	u32 count = 0;

	for (u32 i = 0; i < manifest->channel_count; i++) {
		const struct manifest_channel *channel = &manifest->channel[i];

		if (channel->end[0] == vm->id || channel->end[1] == vm->id)
			count++;
	}
	return min(count, min(vm->config->ports, PORTS_MAX));
}

RARE void event_vm_create(struct vm *vm, const struct manifest *manifest)
{
	struct event_vm *event = &vm->ipc->event;

	event->vm = vm;
	event->port_room = channels_of(vm, manifest);
	if (event->port_room)
		event->port = heap_alloc(event->port_room * sizeof(*event->port));
}

RARE void event_vcpu_reset(struct vcpu *vcpu, u32 *slots)
{
	struct vcpu_ipc *ipc = vcpu->ipc;
	u64 count = ring_slots(vcpu->vm->config);

	for (u32 i = 0; i < WEIR_EVENT_PRIORITIES; i++) {
		ipc->event.ring[i] = (struct event_ring){
			.vcpu = vcpu,
			.slot = slots + i * count,
			.mask = count - 1,
			.shared_tail = &ipc->out->event_tail[i],
			.shared_head = &ipc->in->event_head[i],
		};
	}
	ipc->out->event_slots = count;
}

/* The next port of a VM; 0 if it has no room for one more. */
static struct port *port_add(struct vm *vm, const char *name)
{
	struct event_vm *event = &vm->ipc->event;
	struct port *port = &event->port[event->port_count];

	*port = (struct port){
		.handle = (weir_handle)FIRST_GENERATION << HANDLE_INDEX_BITS | event->port_count,
		.owner = event,
		.ring = &vm->vcpu[0]->ipc->event.ring[0],
		.open = true,
		.peer_open = true,
		.name = name,
	};
	event->port_count++;
	return port;
}

static bool has_room(const struct vm *vm, const struct manifest_channel *channel)
{
	if (vm->ipc->event.port_count < vm->ipc->event.port_room)
		return true;
	log_line("channel %s: not joined: VM %s has no more than %u ports (property ports)",
		 channel->name, vm->config->name, vm->config->ports);
	return false;
}

static void join(const struct manifest *manifest, const struct manifest_channel *channel)
{
	struct vm *first = vm_get(channel->end[0]), *second = vm_get(channel->end[1]);
	struct port *one, *other;

	if (!first || !second) {
		log_line("manifest: /channels/%s: ends: not joined, VM %s was refused; correct it",
			 channel->name, manifest->vm[channel->end[first ? 1 : 0]].name);
		return;
	}
	if (!has_room(first, channel) || !has_room(second, channel))
		return;
	one = port_add(first, channel->name);
	other = port_add(second, channel->name);
	one->peer = other;
	other->peer = one;
}

RARE void event_connect(const struct manifest *manifest)
{
	for (u32 i = 0; i < manifest->channel_count; i++)
		join(manifest, &manifest->channel[i]);
}
