/*
 * The block service: disks of the manifest, shared between VMs. ABI: guests/include/weir/block.h
 *
 * Locks, outer first: the VM's grant lock (only for a buffer in the pool), a device's waiting list,
 * a vCPU's slots and completion ring; the driver's own is taken under the second at most. Source:
 * block.c. Tests: tests/host/test_block*.c
 */
#pragma once

#include "drivers/block_device.h"
#include "ipc/call.h"
#include <weir/block.h>

struct block_slot; /* a request that a vCPU made, from submit to completion */

/* Physical memory; `to` is 0: none. */
struct block_reach {
	u64 from, to;
};

struct block_vcpu {
	/* Read-only after boot. */
	struct block_slot *slot; /* WEIR_COMPLETIONS of them */
	const struct weir_in *in;
	struct weir_out *out;

	struct spinlock lock;			    /* guards the rest */
	u64 free;				    /* bit n: slot n is not in use */
	struct block_reach reach[WEIR_COMPLETIONS]; /* what the DMA for slot n may touch */
	u64 accepted; /* position that the last accepted request can get at most */
	u64 tail;     /* what completion_tail was set to */
	u64 head;     /* completion_head as last seen and believed */
};

/* One disk of a VM: which part of which device. Read-only after boot. */
struct block_disk {
	const struct manifest_disk *config;
	struct block_device *device; /* 0: missing, and a line said so */
	u32 device_index;
	u64 first_sector, sectors;
	u64 max_sectors; /* of one request */
	bool read_only;
};

/* A VM's place in the queue for a device that is full. The device's waiting lock guards it. */
struct block_turn {
	struct list link;    /* in the device's turns while `waiting` is not empty */
	struct list waiting; /* its requests, in their order */
};

struct block_vm {
	struct block_disk disk[MANIFEST_VM_DISKS];
	u32 disk_count;
	struct virtio_disk *virtio[MANIFEST_VM_DISKS]; /* block_virtio.c: the same disks; fixed */
	bool stopped; /* atomic; between block_vm_stop() and block_vm_reset() */
	struct block_turn turn[BLOCK_DEVICES_MAX];
};

/* Requests of the VM end without a word. */
static inline __attribute__((always_inline)) bool block_stopped(const struct block_vm *block)
{
	return __atomic_load_n(&block->stopped, __ATOMIC_RELAXED);
}

/* Boot, when disks are known and the vCPUs have their pages: opens the VM's disks. */
void block_vm_create(struct vm *vm, const struct manifest *manifest);
u64 block_vcpu_heap_bytes(void); /* what it takes for a vCPU, at most */

/*
 * Steps of ipc_vm_stop(): what waits is dropped, a few requests each; what a device has is left to
 * finish and then dropped. RAM of the VM may be touched by a device until block_vm_idle() is true;
 * vm_device_done() is called after each request that ends. And the step of ipc_vm_rebuild(): as
 * new; the VM is idle, and its pages are zeroed.
 */
bool block_vm_stop(struct vm *vm, u64 *at);
bool block_vm_idle(const struct vm *vm);
bool block_vm_reset(struct vm *vm, u64 *at);

/*
 * A request that is not finished names memory of this range. For the grant module, under its lock:
 * a request is visible here before it asks grant_pages_shared(), so one of the two sees the other.
 */
bool block_pages_busy(struct vm *vm, pa_t pa, u64 bytes);

/*
 * For who makes requests. `request` is filled in; on WEIR_OK its `done` will be called, or was, maybe with locks of
 * the service held, if it failed; with WEIR_IO the device is broken. The VM is not stopped.
 */
enum weir_status block_start(struct vm *vm, const struct block_disk *disk,
			     struct block_request *request);
/* What moving a request's data, or finding it in an interrupt, took of some core is the vCPU's. */
void block_charge(struct vcpu *vcpu, u64 ticks);

/*
 * WEIR_FN_BLOCK_SUBMIT with these arguments (x1 to x5) for a vCPU, not counted; x3 is the sectors that it
 * moves. By any core, while the VM is not stopped.
 */
enum weir_status block_submit(struct vcpu *vcpu, const struct call_args *in);

/*
 * Completions that no request has: room is set aside, 0: there is none; and given back, with a
 * completion or, if the vCPU is not to hear of it, without. As above.
 */
struct block_slot *block_slot_take(struct vcpu *vcpu, u64 cookie);
void block_slot_complete(struct block_slot *slot, enum weir_status status);
void block_slot_return(struct block_slot *slot);

/* The calls. */
enum weir_status block_info_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status block_submit_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
