/*
 * The send of an event, straight from the vector (arch/arm64/entry.S): no call is as frequent.
 *
 * Only x0 to x6, x16, x17 and x30 of the guest are saved when it runs, and the compiler keeps to that, or
 * saves what it takes besides (NARROW in the Makefile): so it calls nothing, and is compiled apart.
 * What does not go its way is left, unchanged, to hypercall(), or to vgic_posted().
 *
 * Owns:  nothing. Locks: the receiver's event.lock, as event.c.
 * ABI:   guests/include/weir/event.h. Tests: all that send, by tests/host/fake/ipc_vms.c
 */
#include "core/vdev/vgic_raise.h"
#include "ipc/event_ring.h"

VECTOR u64 trap_send(struct arch_vcpu *arch, u64 handle)
{
	struct vcpu *target, *self = container_of(arch, struct vcpu, arch);
	struct port *peer, *port = port_of(self, handle, &peer);
	bool entered;

	if (!port)
		return SEND_CALL;
	spin_lock(&peer->owner->lock);
	if (peer->from != port) {
		spin_unlock(&peer->owner->lock);
		return SEND_CALL;
	}
	target = peer->ring->vcpu;
	entered = port_enter(peer);
	spin_unlock(&peer->owner->lock);
	account_send(&self->account);
	if (entered && !vgic_raise_quickly(self, target, WEIR_INTID_EVENT)) {
		self->told = target;
		return SEND_POSTED;
	}
	return SEND_DONE;
}
