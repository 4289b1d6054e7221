/*
 * The machine of the hypercall fuzzer: three VMs on two cores with the real ipc/ and the real life of VMs, a
 * VM that was refused, two disks. It does the rest of core/: lookups, interrupts, the scheduler.
 *
 * Cores are simulated by one thread: machine_on() says whose turn it is. When a core is about to take its
 * first lock, `machine.between` may let another core have its turn: that is where a second core's work
 * can come in between.
 * Source: machine.c, disk.c
 */
#pragma once

#include "fake.h"
#include "core/hypercall.h"
#include "core/vm.h"
#include "ipc/ipc.h"

#define MACHINE_VMS	4u /* the last was refused */
#define MACHINE_VCPUS	2u
#define MACHINE_CORES	2u
#define MACHINE_DEVICES 2u

#define MACHINE_RAM_BYTES (80 * PAGE_SIZE) /* of a VM, at most */

struct machine {
	struct manifest manifest;
	struct vm *vm[MACHINE_VMS];
	bool raised[MACHINE_VMS][MACHINE_VCPUS][32];
	u32 core; /* whose turn it is */
	u64 now;
	void (*between)(void);
};

extern struct machine machine;

void machine_make(void);
void machine_free(void);

void machine_on(u32 core);
u32 machine_locks_held(void);
/* Time goes by; then the timer's interrupt on the core whose turn it is. */
void machine_wait(u64 ticks);

/*
 * The vCPU is on its core from one to the other. Who is stopped meanwhile leaves the core in the end, as the
 * scheduler would have it.
 */
void machine_enter(struct vcpu *vcpu);
void machine_leave(struct vcpu *vcpu);
/* A turn of vCPU 0 of a VM that is built or ends; false: it has none. */
bool machine_vm_step(u32 vm);
bool machine_runs(u32 vm);
bool machine_closed(u32 vm); /* nothing of it is open: it is off, or is built and not open again */

/* The disks. A request that is in flight, 0 from the first index on that none has. */
struct block_request;
void disks_make(void);
const struct block_request *disk_request(u32 device, u32 index);
void disk_complete(u32 device, u32 index, bool error);
void disk_break(u32 device); /* what comes from now on fails */

/* The VM that this physical page belongs to; MACHINE_VMS: none. */
u32 machine_owner(u64 pa);
