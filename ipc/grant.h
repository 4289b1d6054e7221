/*
 * Grants: pages of one VM's shareable pool in another's grant window.
 *
 * Owns:  struct grant, struct window_page, and after boot the stage-2 entries of pool and window.
 * Locks: vm->ipc->grant.lock; two VMs: lower id first.
 * ABI:   guests/include/weir/grant.h. Source: grant.c. Tests: tests/host/test_grant.c
 *
 * DMA and sharing exclude each other. Only pages of the pool can be shared, so for a buffer outside
 * of it (grant_in_pool() is false) there is nothing to do. Else the block service holds the
 * submitter's grant lock while it asks grant_pages_shared() and registers the request, and
 * grant_share() asks block_pages_busy() under the same lock before it commits:
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
/* Revokes what the VM shared, unmaps what it had mapped. Its ports are still open. Any core. */
void grant_vm_stop(struct vm *vm);
/* As new, after grant_vm_stop(); generations go on. Any core. */
void grant_vm_reset(struct vm *vm);

/* Handlers of ipc/hypercall.c. */
enum weir_status grant_share_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status grant_map_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out);
enum weir_status grant_unmap_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status grant_revoke_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
