/*
 * Ports that Weir itself makes pending: a vCPU's timer, its block requests, and changes of VMs.
 *
 * Owns:  struct event_vcpu's `source` and `timer`; which ports are told of changes of VMs.
 * Locks: vm->ipc->event.lock as in event.c; `watching.lock`, with no other under it. A timeout is
 *	  its vCPU's core's alone.
 * ABI:   guests/include/weir/event.h
 *
 * Whoever makes such a port pending may be late: then the port was closed, and is nobody's or
 * another's, who is told to look again.
 */
#include "ipc/port.h"

#include "core/hypercall.h"

#define VM_INDEX_MASK ((1u << HANDLE_INDEX_BITS) - 1)

/* ---- Sources of a vCPU ----------------------------------------------------------------------- */

struct port **port_source(struct vcpu *vcpu, enum port_kind kind)
{
	if (kind == PORT_STORE)
		return &vcpu->vm->ipc->store.port;
	if (kind != PORT_TIMER && kind != PORT_BLOCK)
		return 0;
	return &vcpu->ipc->event.source[kind - PORT_TIMER];
}

/* False: the vCPU has no such port. */
static bool raise(struct event_vcpu *event, enum port_kind kind)
{
	struct port *port = read_once(event->source[kind - PORT_TIMER]);

	return port && port_signal(port, port, 0) == WEIR_OK;
}

static void timer_expired(struct timeout *timeout)
{
	raise(container_of(timeout, struct event_vcpu, timer), PORT_TIMER);
}

void event_vcpu_create(struct vcpu *vcpu)
{
	timeout_init(&vcpu->ipc->event.timer, timer_expired);
}

void event_block_done(struct vcpu *vcpu)
{
	if (!raise(&vcpu->ipc->event, PORT_BLOCK))
		vgic_pend(vcpu, WEIR_INTID_BLOCK);
}

enum weir_status port_timer_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	struct timeout *timer = &self->ipc->event.timer;
	enum weir_status status;
	struct port *port;

	(void)out;
	status = port_lookup(self->vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (port->kind != PORT_TIMER)
		return WEIR_INVALID;
	if (port->of != self->index)
		return WEIR_DENIED;
	if (in->x2)
		timeout_set(timer, in->x2);
	else
		timeout_cancel(timer);
	return WEIR_OK;
}

/* ---- Changes of VMs -------------------------------------------------------------------------- */

/* So many ports are told, at most, in one go. */
#define WATCHERS 8u

static struct {
	struct spinlock lock;
	u32 count; /* also read without the lock, as what follows */
	struct port *port[WATCHERS];
} watching;

enum weir_status port_watch_check(const struct vm *vm, weir_handle watched, u8 *of)
{
	const struct vm *other = vm_get(watched & VM_INDEX_MASK);

	if (!(vm->config->rights & RIGHT_MANAGE))
		return WEIR_DENIED;
	*of = PORT_ANY_VM;
	if (watched == 0)
		return WEIR_OK;
	if (!other)
		return WEIR_NOT_FOUND;
	*of = (u8)other->id;
	return watched >> HANDLE_INDEX_BITS == read_once(other->life) ? WEIR_OK : WEIR_STALE;
}

/* Puts `now` where `before` stands; false: it stands nowhere. */
static bool replace(const struct port *before, struct port *now)
{
	bool found = false;

	spin_lock(&watching.lock);
	for (u32 i = 0; i < WATCHERS && !found; i++) {
		found = watching.port[i] == before;
		if (found)
			write_once(watching.port[i], now);
	}
	if (found)
		write_once(watching.count, now ? watching.count + 1 : watching.count - 1);
	spin_unlock(&watching.lock);
	return found;
}

bool port_watch(struct port *port)
{
	return replace(0, port);
}

void port_unwatch(const struct port *port)
{
	replace(port, 0);
}

void ipc_vm_changed(const struct vm *vm)
{
	for (u32 i = 0; read_once(watching.count) && i < WATCHERS; i++) {
		struct port *port = read_once(watching.port[i]);

		if (port && (port->of == PORT_ANY_VM || port->of == vm->id))
			port_signal(port, port, 0);
	}
}
