/*
 * Grants: pages of one VM's shareable pool in another's grant window.
 *
 * Owns:  struct grant, struct window_page, and after boot the stage-2 entries of pool and window.
 * Locks: vm->ipc->grant.lock; several VMs: in the order of their ids.
 * ABI:   guests/include/weir/grant.h. Source: grant.c, grant_*.c. Tests: tests/host/test_grant*.c
 *
 * DMA and sharing exclude each other. Only pages of the pool can be shared, so for a buffer outside
 * of it (grant_in_pool() is false) there is nothing to do. Else the block service holds the
 * submitter's grant lock while it asks grant_pages_shared() and registers the request, and
 * grant_share_call() asks block_pages_busy() under the same lock before it commits:
 *
 *	grant_lock(vm);
 *	if (grant_pages_shared(vm, pa, bytes))
 *		... unlock, WEIR_FAULT
 *	... make block_pages_busy(vm, pa, bytes) true
 *	grant_unlock(vm);
 */
#pragma once

#include <weir/grant.h>
#include "ipc/ipc.h"

void grant_lock(struct vm *vm) ACQUIRES(&vm->ipc->grant.lock);
void grant_unlock(struct vm *vm) RELEASES(&vm->ipc->grant.lock);

/* Does a part of the range lie in the VM's pool? Needs no lock. */
bool grant_in_pool(const struct vm *vm, pa_t pa, u64 bytes);
/* Is a part of the range, which lies in the VM's RAM, in a grant? */
bool grant_pages_shared(const struct vm *vm, pa_t pa, u64 bytes) NEEDS(&vm->ipc->grant.lock);

void grant_vm_create(struct vm *vm);
u64 grant_heap_bytes(const struct manifest_vm *config); /* what that takes, at most */
/*
 * Steps of ipc_vm_stop(), while the VM's ports are still open: revokes what it shared, a grant each;
 * unmaps what it had mapped, a mapping each. And of ipc_vm_rebuild(): as new; generations go on.
 */
bool grant_vm_revoke(struct vm *vm, u64 *at);
bool grant_vm_unmap(struct vm *vm, u64 *at);
bool grant_vm_reset(struct vm *vm, u64 *at);

/* Handlers of ipc/hypercall.c. */
enum weir_status grant_share_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status grant_map_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out);
enum weir_status grant_unmap_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status grant_pass_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status grant_revoke_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
enum weir_status grant_list_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
