/*
 * The calls from core/ up into ipc/, declared here and defined in ipc/.
 */
#pragma once

#include "core/vm.h"

/* Serves one hypercall of the vendor-specific hypervisor range. Defined in ipc/hypercall.c. */
void hypercall(struct vcpu *self);

/* Boot: ABI pages, ports, grant tables of a VM and its vCPUs; then, when all VMs have them, joins
 * the manifest's channels and opens the disks. ipc/ipc.c */
void ipc_vm_create(struct vm *vm, const struct manifest *manifest);
void ipc_connect(const struct manifest *manifest);
/* Bytes of the shared pages of all of a VM's vCPUs, from VM_SHARED_BASE on; before creation too. */
u64 ipc_shared_bytes(const struct manifest_vm *config);
/*
 * The VM is off: closes its ports, grants, upcalls, drops its requests. What a device has already
 * is left to finish: until ipc_vm_idle() its RAM may be written, and vm_device_done() is called.
 */
void ipc_vm_stop(struct vm *vm);
bool ipc_vm_idle(const struct vm *vm);
/* Does the VM's grant window show a page there? Waits for a change that another core has begun.
 * ipc/grant.c */
bool ipc_window_shows(struct vm *vm, ipa_t ipa);
/*
 * Makes all of it as new, once it is stopped and idle: called with step 0, 1, ... until it says false,
 * each a bounded piece of work. Peers hear of it as their channels open again, one by one.
 */
bool ipc_vm_rebuild(struct vm *vm, u64 step);
