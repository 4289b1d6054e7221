/*
 * The store: a tree of names with values, in which VMs find each other.
 *
 * Owns:  struct store_node, struct store_vm (ipc.h).
 * Locks: the store's own, one for the machine; no other is taken under it.
 * ABI:   guests/include/weir/store.h. Source: store.c, store_*.c. Tests: tests/host/test_store*.c
 */
#pragma once

#include "ipc/ipc.h"

/* Of a VM's nodes and watches, at most. */
u64 store_heap_bytes(const struct manifest_vm *config);
/* Boot, when every VM is there: the root and the homes. */
void store_create(void);

/* Steps of ipc_vm_stop() and ipc_vm_rebuild(); false: there are no more. */
bool store_vm_stop(struct vm *vm, u64 *at);
bool store_vm_tell(struct vm *vm, u64 *at); /* of changes that its vCPUs, and its end, have made */
bool store_vm_reset(struct vm *vm, u64 *at);

/* Handlers of ipc/hypercall.c. */
enum weir_status store_find_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status store_make_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status store_read_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status store_write_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status store_remove_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
enum weir_status store_list_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status store_allow_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status store_watch_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out);
enum weir_status store_watch_next_call(struct vcpu *self, const struct call_args *in,
				       struct call_results *out);
