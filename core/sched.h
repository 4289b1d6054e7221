/*
 * The scheduler: each core has its own run queue; fixed priorities (7 first), round robin inside a
 * priority. A core with one vCPU takes no tick and does not trap WFI. Source: sched.c
 */
#pragma once

#include <weir/order.h>
#include "arch/arm64/barrier.h"
#include "core/vm.h"

#define SLICE_US 5000 /* of round robin */

/* Boot: this core's queue; then the vCPUs that are pinned to it. */
void sched_init_core(u32 core);
void sched_add(struct vcpu *vcpu); /* tells the queue of `vcpu->core` that it will run there */

/* The vCPU that this core has loaded, 0 while it is idle. */
struct vcpu *sched_current(void);

/* Makes a blocked vCPU ready; nothing if it is ready, running or stopped. Any core. */
void sched_wake(struct vcpu *vcpu);
/* Something changed for this vCPU (vgic inbox, stop): whoever has it looks. Any core. */
void sched_kick(struct vcpu *vcpu);

/* How the vCPU runs, after the caller has left something for it. */
static inline enum vcpu_run sched_run_after(const struct vcpu *vcpu)
{
	/*
	 * [K1] what the caller has left for the vCPU, before `run` is read. Pairs with [K2] in
	 * vgic_pending(), [K3] in vgic_settle() and [K4] in vgic_load(): a vCPU that blocks, runs
	 * on, or is loaded and then finds nothing has made us see that it blocks, or runs.
	 */
	WEIR_ORDERED(K1, dmb ish, full_barrier());
	return read_once(vcpu->run);
}

/* The current vCPU is to be settled (core/vdev/vgic.h) before it runs on, if it does. */
void sched_again(void);
/* When this core last took a decision, ticks; that nobody runs is one. */
u64 sched_decided(void);
/* From stopped to ready; it is reset before it runs (vcpu->restart). Any core. */
void sched_start(struct vcpu *vcpu);
/* From anything to stopped. True: it is on no core any more; false: its core will switch it out
 * and, if `ending`, call vm_vcpu_left(). Any core. */
bool sched_stop(struct vcpu *vcpu, bool ending);

/* The current vCPU waits for an interrupt (WFI). */
void sched_block(void);

/*
 * `ticks` of work for the vCPU that were not in its own time come off its budget: a communication core's, or an
 * interrupt's. 0: there is budget left; else when there will be again, and until then no such work is to be done.
 * It has run out while the vCPU runs: its core is told. Any core, no lock.
 */
u64 sched_spend(struct vcpu *vcpu, u64 ticks);
/* This core has worked for another vCPU than the one that it has loaded, whose time that is not. */
void sched_lent(u64 ticks);

/* At the end of an exit with *vcpu->sched_needed: who runs next on this core. Idles, handling
 * interrupts, until there is one. */
struct vcpu *sched_next(void);
/* A communication core, which has no vCPUs: its turns (core/hypercall.h), its interrupts, and idle between. */
__attribute__((noreturn)) void sched_communicate(void);
/* That core is to look at what the caller has left for it: ends its idling. */
void sched_alert(u32 core);
