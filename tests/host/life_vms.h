/*
 * Two VMs that start, end and begin anew, with a disk whose device is done when the test says so, for test_life*.c:
 * core/life.c and all of ipc/.
 *
 * The scheduler here is the test: turn(vm) is a turn of a VM's vCPU 0, and says what comes next. Source: life_vms.c
 */
#pragma once

#include "fake.h"
#include "core/life.h"
#include "core/vm.h"
#include "ipc/ipc.h"

#define VMS	   2u
#define VCPUS	   2u
#define POOL_PAGES 70u
#define RAM_BYTES  ((POOL_PAGES + 4ul) * PAGE_SIZE)
#define WINDOW	   66u /* pages */
#define DEVICES	   2
#define FILL_STEPS 3u
#define QUEUE	   16u /* requests that the device takes */

extern struct life_vms {
	struct manifest manifest;
	struct manifest_vm config[VMS];
	struct manifest_channel channel[2];
	struct manifest_disk disk;
	struct vm vm[VMS];
	struct vcpu vcpu[VMS][VCPUS];
	struct vcpu *loaded[VMS][VCPUS]; /* each vCPU has a core to itself */
	u32 seeds, offs, resets;
} machine;

static struct vm *const a = &machine.vm[0], *const b = &machine.vm[1];

extern u32 queued; /* requests that the device has */

/* Scrubs of pages of the heap: how many, and the last of them. */
extern u32 scrubs;
extern u64 scrubbed[VCPUS * 16];

/* Two VMs with two channels and a disk, which run. */
int machine_make(void **state);
int machine_end(void **state);

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_end)

/* A step of the VM, if its vCPU 0 has some to do; false: it has not. */
bool turn(struct vm *vm);
u32 turns(struct vm *vm);
/* The guest is there: its vCPUs run on their cores. */
void enter(struct vm *vm);
void leave(struct vcpu *vcpu);
void all_leave(struct vm *vm);
/* What is commanded; then all its vCPUs leave their cores. */
void command(struct vm *vm, enum vm_command what);
/* All that there is to do is done. */
void settle(struct vm *vm);
/* That vCPU makes the calls from now on. */
struct weir_pages run(struct vm *vm, u32 index);

/* The device is done with its oldest request; its interrupt makes room for others. */
void device_finish_one(void);
/* Reads into RAM until there is no slot left; more than the device takes. */
u32 fill_slots(struct vm *vm, u32 index);
void assert_runs_anew(struct vm *vm, u64 life);
