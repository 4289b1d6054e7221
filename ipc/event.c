/*
 * Event channels: ports, the event rings of each vCPU, and who is told. Which ports there are
 * besides those of channels is port.c's.
 *
 * Owns:  struct port, struct event_ring.
 * Locks: vm->ipc->event.lock guards that VM's ports and rings. A send takes one lock, the
 *	  receiver's: the sender's `peer` may just have changed, so it looks there whether the port
 *	  takes sends from this one (`from`, ipc.h).
 * ABI:   guests/include/weir/event.h
 */
#include "ipc/event.h"

#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"
#include "core/memory.h"
#include "ipc/event_ring.h"

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

enum weir_status port_signal(const struct port *sender, struct port *port, const u64 *word)
{
	struct vcpu *target = 0;
	bool open;

	spin_lock(&port->owner->lock);
	open = port->from == sender;
	if (open) {
		if (word)
			port->word = *word;
		if (port_enter(port))
			target = port->ring->vcpu;
	}
	spin_unlock(&port->owner->lock);
	if (target)
		vgic_pend(target, WEIR_INTID_EVENT);
	return open ? WEIR_OK : WEIR_CLOSED;
}

enum weir_status port_lookup(struct vm *vm, weir_handle handle, struct port **port)
{
	const struct event_vm *event = &vm->ipc->event;
	u64 index = handle & (BIT(HANDLE_INDEX_BITS) - 1);

	if (index >= event->port_count)
		return WEIR_INVALID;
	*port = &event->port[index_nospec(index, event->port_count)];
	if ((*port)->handle == handle)
		return WEIR_OK;
	/* Generations count up: 0 and those to come were never given out. */
	if (handle > (*port)->handle || handle < BIT(HANDLE_INDEX_BITS))
		return WEIR_INVALID;
	return WEIR_STALE;
}

RARE struct port_found event_port(struct vm *vm, weir_handle handle)
{
	struct port_found found = { 0 };
	struct port *port;

	found.status = port_lookup(vm, handle, &port);
	if (found.status != WEIR_OK)
		return found;
	spin_lock(&port->owner->lock);
	found.index = (u32)(port - port->owner->port);
	found.peer = port->peer;
	if (port->handle != handle)
		found.status = WEIR_STALE; /* another vCPU has closed it */
	else if (port->kind != PORT_CHANNEL && port->kind != PORT_PEER)
		found.status = WEIR_INVALID;
	else if (port->kind == PORT_PEER && !port->peer_open)
		found.status = WEIR_CLOSED;
	else if (found.peer->owner->vm == vm)
		found.status = WEIR_INVALID;
	spin_unlock(&port->owner->lock);
	return found;
}

/* Why port_of() finds none; the handle may have become a port's since. */
static RARE APART enum weir_status port_refusal(struct vm *vm, weir_handle handle)
{
	struct port *port;
	enum weir_status status = port_lookup(vm, handle, &port);

	return status == WEIR_OK ? WEIR_STALE : status;
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
	struct port *port = &vm->ipc->event.port[index];
	const struct port *from;

	assert(index < vm->ipc->event.port_count);
	from = read_once(port->from);
	if (from) /* 0: it is closed. If it has changed since, then whoever did that has told. */
		port_signal(from, port, 0);
}

/* What trap_send() leaves: handles of no port, and of ports whose peer takes nothing from them. */
RARE enum weir_status event_send_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	struct port *peer, *port = port_of(self, in->x1, &peer);

	(void)out;
	if (!port)
		return port_refusal(self->vm, in->x1);
	account_event(&self->account);
	return port_signal(port, peer, 0);
}

enum weir_status event_send(const struct vcpu *self, weir_handle handle)
{
	struct port *peer, *port = port_of(self, handle, &peer);

	return port ? port_signal(port, peer, 0) : port_refusal(self->vm, handle);
}

enum weir_status event_publish_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out)
{
	struct port *peer, *port = port_of(self, in->x1, &peer);

	(void)out;
	if (!port)
		return port_refusal(self->vm, in->x1);
	account_event(&self->account);
	return port_signal(port, peer, &in->x2);
}

RARE enum weir_status event_peer_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	enum weir_status status;
	struct port *port;

	status = port_lookup(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;

	spin_lock(&port->owner->lock);
	if (port->handle != in->x1)
		status = WEIR_STALE; /* another vCPU has closed it */
	out->x1 = port->word;
	out->x2 = port->peer_open;
	spin_unlock(&port->owner->lock);
	return status;
}

RARE bool port_unread(const struct port *port)
{
	u64 entered = port->masked ? port->entered - PORT_MASKED : port->entered;

	return entered > ring_head(port->ring);
}

/* A port whose old entry is unread stays, or it could be in two rings at once. */
static enum weir_status port_bind(struct port *port, struct event_ring *ring)
	NEEDS(&port->owner->lock)
{
	if (port->ring == ring)
		return WEIR_OK;
	if (port_unread(port))
		return WEIR_BUSY;
	port->ring = ring;
	port->entered = port->masked ? PORT_MASKED : 0;
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
	status = port_lookup(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;

	spin_lock(&port->owner->lock);
	if (port->handle != in->x1)
		status = WEIR_STALE; /* another vCPU has closed it */
	else
		status = port_bind(
			port,
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

	for (u32 i = 0; i < event->channel_count; i++) {
		if (strcmp(event->name[i], name) == 0) {
			out->x1 = event->port[i].handle;
			return WEIR_OK;
		}
	}
	return WEIR_NOT_FOUND;
}

static void channel_close(struct port *port)
{
	struct port *peer = port->peer;
	bool was_open;

	spin_lock(&port->owner->lock);
	was_open = port->from;
	port->from = 0;
	spin_unlock(&port->owner->lock);
	if (!was_open) /* the VM ends before it has been rebuilt: the peer knows */
		return;

	spin_lock(&peer->owner->lock);
	peer->peer_open = false;
	spin_unlock(&peer->owner->lock);
	port_signal(port, peer, 0);
}

/* A step looks at so many ports that are nobody's. */
#define STEP_PORTS 64u

RARE bool event_vm_stop(struct vm *vm, u64 *at)
{
	struct event_vm *event = &vm->ipc->event;
	u64 end = min(*at + STEP_PORTS, event->fresh);

	if (*at < event->channel_count) {
		channel_close(&event->port[(*at)++]);
		return true;
	}
	while (*at < end)
		if (port_close(&event->port[(*at)++], PORT_ANY_HANDLE) == WEIR_OK)
			break;
	return *at < event->fresh;
}

/*
 * The port is as new, under another handle; then its peer sees it open, and is told. The order of
 * the two locks is that of channel_close(): each end's `peer_open` is kept by the other.
 */
static void channel_reset(struct port *port)
{
	struct port *peer = port->peer;

	spin_lock(&port->owner->lock);
	port_begin(port, PORT_CHANNEL);
	port->from = peer;
	port->handle += BIT(HANDLE_INDEX_BITS); /* the next generation */
	spin_unlock(&port->owner->lock);

	spin_lock(&peer->owner->lock);
	peer->peer_open = true;
	peer->word = 0;
	spin_unlock(&peer->owner->lock);
	port_signal(port, peer, 0);
}

RARE bool event_vm_reset(struct vm *vm, u64 *at)
{
	struct event_vm *event = &vm->ipc->event;

	if (*at == event->channel_count) {
		port_reset_all(event);
		return false;
	}
	channel_reset(&event->port[(*at)++]);
	return true;
}

static u32 ports_of(const struct manifest_vm *config)
{
	return min(config->ports, PORTS_MAX);
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
	return min(count, ports_of(vm->config));
}

u64 event_heap_bytes(const struct manifest_vm *config)
{
	return heap_cost(ports_of(config) * sizeof(struct port)) +
	       heap_cost(ports_of(config) * sizeof(const char *));
}

RARE void event_vm_create(struct vm *vm, const struct manifest *manifest)
{
	struct event_vm *event = &vm->ipc->event;
	u32 channels = channels_of(vm, manifest);

	event->vm = vm;
	event->port_count = ports_of(vm->config);
	if (event->port_count)
		event->port = heap_alloc(event->port_count * sizeof(*event->port));
	if (channels)
		event->name = heap_alloc(channels * sizeof(*event->name));
	for (u32 i = 0; i < event->port_count; i++) {
		event->port[i].handle = PORT_CLOSED | i;
		event->port[i].owner = event;
	}
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		vm->vcpu[i]->port = event->port;
		vm->vcpu[i]->port_count = event->port_count;
	}
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

/* The next port of a VM, which has room for it; at boot, without a lock. */
static struct port *channel_add(struct vm *vm, const char *name) NO_THREAD_SAFETY
{
	struct event_vm *event = &vm->ipc->event;
	struct port *port = &event->port[event->channel_count];

	port_begin(port, PORT_CHANNEL);
	port->handle = BIT(HANDLE_INDEX_BITS) | event->channel_count; /* the first generation */
	port->peer_open = true;
	event->name[event->channel_count++] = name;
	event->fresh = event->channel_count;
	return port;
}

static bool has_room(const struct vm *vm, const struct manifest_channel *channel)
{
	if (vm->ipc->event.channel_count < vm->ipc->event.port_count)
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
	one = channel_add(first, channel->name);
	other = channel_add(second, channel->name);
	one->peer = other;
	one->from = other;
	other->peer = one;
	other->from = one;
}

RARE void event_connect(const struct manifest *manifest)
{
	for (u32 i = 0; i < manifest->channel_count; i++)
		join(manifest, &manifest->channel[i]);
}
