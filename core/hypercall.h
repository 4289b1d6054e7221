/*
 * The calls from core/ up into ipc/, declared here and defined in ipc/.
 */
#pragma once

#include "core/vm.h"

/*
 * Serves one hypercall of the vendor-specific hypervisor range. `number`: its function, which is W0 whatever the
 * upper half holds (SMCCC), less WEIR_FN(0); its upper half is 0, too. Defined in ipc/hypercall.c.
 */
void hypercall(struct vcpu *self, u64 number);

/* Boot: ABI pages, ports, grant tables of a VM and its vCPUs; then, when all VMs have them, joins
 * the manifest's channels and opens the disks. ipc/ipc.c */
void ipc_vm_create(struct vm *vm, const struct manifest *manifest);
void ipc_connect(const struct manifest *manifest);
/* Bytes of the shared pages of all of a VM's vCPUs, from VM_SHARED_BASE on; before creation too. */
u64 ipc_shared_bytes(const struct manifest_vm *config);
/* What ipc_vm_create() and ipc_connect() take from the heap for a VM, at most; before creation. */
u64 ipc_heap_bytes(const struct manifest_vm *config);
/*
 * Closes what the VM has with others, none of its vCPUs being on a core as its own: ports, grants,
 * upcalls, requests. Peers are told. What a device has already is left to finish: until
 * ipc_vm_idle() the VM's RAM may be written, and vm_device_done() is called.
 * ipc_vm_rebuild() makes all of it as new, once it is closed and idle; peers hear of it as their
 * channels open again, one by one.
 * Both are called until they say false, each time for a bounded piece of work, whose place is in
 * work->phase and work->at.
 */
bool ipc_vm_stop(struct vm *vm, struct vm_work *work);
bool ipc_vm_idle(const struct vm *vm);
bool ipc_vm_rebuild(struct vm *vm, struct vm_work *work);
/* A bounded step of a call that is not done, in a turn of the vCPU that has made it. ipc/store_watch.c */
void ipc_vcpu_step(struct vcpu *vcpu);
/* The VM is in another state: whoever watches it is told. No lock is held. ipc/port_source.c */
void ipc_vm_changed(const struct vm *vm);
/* Boot, when all VMs are made: which communication core serves which vCPUs, with a line for each. ipc/comm.c */
void ipc_comm_create(const struct manifest *manifest);
/* A turn of this core, which is one: it serves a ring, or finds none to serve. False: all of them sleep. */
bool ipc_comm_turn(u32 core);
/* Does the VM's grant window show a page there? Waits for a change that another core has begun.
 * ipc/grant.c */
bool ipc_window_shows(struct vm *vm, ipa_t ipa);
/*
 * Between the two no page of the VM's pool begins to be shared or passed; which are may be asked. What a
 * device is to reach is pinned there (virtio_pinned()). ipc/ipc.c
 */
void ipc_pages_hold(struct vm *vm);
bool ipc_pages_shared(const struct vm *vm, pa_t pa, u64 bytes);
void ipc_pages_release(struct vm *vm);
