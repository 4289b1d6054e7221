/*
 * vgic_pend() for a vCPU of another core, inline where it is hot: by vgic.c, and on the way of every
 * event (ipc/event_send.c).
 *
 * Locks: none. Tests: tests/host/test_raise.c
 */
#pragma once

#include "core/sched.h"
#include "drivers/gic_kick.h"

/*
 * [V1] what the interrupt announces before the bit. Pairs with [V2] in drain(). True: it is the first bit,
 * whose owner kicks: whoever finds the inbox in use knows that its kick is on the way, and that the inbox is
 * taken as a whole.
 */
static inline bool vgic_post(struct vcpu *target, u32 intid)
{
	u32 before, bit = 1u << (intid % 32);

	WEIR_ORDERED(V1, stlxr,
		     before = __atomic_fetch_or(&target->vgic.inbox, bit, __ATOMIC_ACQ_REL));
	return !before;
}

/*
 * Raises it if that takes no more than an SGI: `self` executes here; the target runs on another core. False:
 * it is in the inbox, and vgic_posted() does the rest. On GICv2 all words are 0, so all look like this core's.
 */
static inline bool vgic_raise_quickly(const struct vcpu *self, struct vcpu *target, u32 intid)
{
	if (!vgic_post(target, intid))
		return true;
	if (sched_run_after(target) != VCPU_RUNNING || target->kick == self->kick)
		return false;
	gic_kick_by(target->kick);
	return true;
}
