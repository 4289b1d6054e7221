/*
 * The submission ring: commands of a vCPU, taken by its own core in WEIR_FN_SUBMIT, or by a communication core.
 *
 * A communication core calls, for each vCPU that it serves, from any number of rings in any order:
 *
 *	boot: submit_serve(vcpu, wake);			before any guest runs
 *	submit_waits(vcpu)				is there something? No lock, two loads
 *	used = submit_drain(vcpu, quantum)		takes commands worth `quantum`, and at most one more
 *	submit_sleep(vcpu)				before WFI, of each: false: there is something after all
 *
 * and sleeps when submit_sleep() was true of all of them. From then on each of those vCPUs calls `wake` when it
 * has put a command, until submit_drain() has found one in its ring. A wake-up that comes between
 * submit_sleep() and WFI must not be lost: an SGI, which stays pending, does.
 *
 * What a command is worth, in bytes: SUBMIT_COST_EVENT, or SUBMIT_COST_REQUEST and what it copies; so a
 * quantum bounds the instructions, too: 4,096 are some 3,500. What was used beyond the quantum is for the
 * caller to take from the next one. A copy goes on where it stopped; no command is half done else.
 *
 * Safe from any core, at any time from boot to power-off: while the VM is built, ends or is off submit_waits() is
 * false and submit_drain() does nothing; the VM's end takes the ring's lock first, so nobody is in it after
 * that. All is counted in vcpu->account.ring, also under that lock. What the commands do to others (events,
 * interrupts, kicks of cores) is as in calls of the vCPU on another core.
 *
 * Locks: the ring's, outermost of ipc/, bounded by the quantum; then what the command takes.
 * ABI:   guests/include/weir/submit.h. Source: submit.c. Tests: tests/host/test_submit.c
 */
#pragma once

#include <weir/submit.h>
#include "ipc/ipc.h"

#define SUBMIT_COST_EVENT   256u
#define SUBMIT_COST_REQUEST 1024u

/* Commands are there to be taken; as the guest's tail says, if that can be. By who drains the ring. */
static inline bool submit_waits(const struct vcpu *vcpu)
{
	const struct submit_vcpu *ring = &vcpu->ipc->submit;
	u64 ahead = read_once(vcpu->ipc->in->submit_tail) - ring->head;

	return ahead - 1 < WEIR_COMMANDS && !__atomic_load_n(&ring->stopped, __ATOMIC_RELAXED);
}

/* Takes commands until the ring is empty or as many as the quantum are used up; returns those: 0: nothing. */
u64 submit_drain(struct vcpu *vcpu, u64 quantum);

/* From now on the guest calls when it puts a command; false: there is one already, and it does not. */
bool submit_sleep(struct vcpu *vcpu);

/* Boot: a communication core drains the ring; `wake` is called on the vCPU's core, when its guest calls. */
void submit_serve(struct vcpu *vcpu, void (*wake)(struct vcpu *vcpu));

/* The ring is empty, as its pages are; at boot, and when the VM is rebuilt. */
void submit_vcpu_reset(struct vcpu *vcpu);
/* A step of ipc_vm_stop(), one vCPU: nothing is taken from its ring any more, and nobody is at it. */
bool submit_vm_stop(struct vm *vm, u64 *at);

/* Handler of ipc/hypercall.c. */
enum weir_status submit_call(struct vcpu *self, const struct call_args *in,
			     struct call_results *out);
