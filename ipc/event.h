/*
 * Event channels: asynchronous signals between VMs, joined port to port.
 *
 * Owns:  struct port, struct event_ring: the ports and the event rings of each VM.
 * Locks: vm->ipc->event.lock guards that VM's ports and rings; no call holds two of them.
 * ABI:   guests/include/weir/event.h. Source: event.c, port.c, port_source.c. Tests: tests/host/test_event*.c
 */
#pragma once

#include "ipc/ipc.h"

/* Bytes of one vCPU's event rings, whole pages. */
u64 event_ring_bytes(const struct manifest_vm *config);
u64 event_heap_bytes(const struct manifest_vm *config); /* of a VM's ports, at most */

/* Boot: the VM's ports, none open. */
void event_vm_create(struct vm *vm, const struct manifest *manifest);
/* While no port is open: empty rings of a vCPU in `slots` (event_ring_bytes()); its pages are
 * zeroed. */
void event_vcpu_reset(struct vcpu *vcpu, u32 *slots);
void event_vcpu_create(struct vcpu *vcpu); /* boot, before that */
/* Boot, when every VM has its ports: joins the manifest's channels, in their order. */
void event_connect(const struct manifest *manifest);
/*
 * Steps of ipc_vm_stop() and ipc_vm_rebuild(), one port each: it is closed, or, if a channel's,
 * open again as new under another handle, and its peer is told. False: there are no more.
 */
bool event_vm_stop(struct vm *vm, u64 *at);
bool event_vm_reset(struct vm *vm, u64 *at);

/*
 * The VM's port behind a handle: of a channel, or joined to another VM now, and its peer. WEIR_INVALID:
 * there is no such port; WEIR_STALE: it was closed since; WEIR_CLOSED: it has no other end. Called by a
 * vCPU of the VM; no lock.
 */
struct port_found {
	enum weir_status status;
	u32 index;
	struct port *peer;
};
struct port_found event_port(struct vm *vm, weir_handle handle);
/* Is the VM at the other end there? It may go at any time. */
bool event_peer_open(struct port *port);
/*
 * Makes a port pending: "look again". Not under an event lock; other ipc locks may be held. If it was
 * closed meanwhile, whoever has its number may be told instead.
 */
void event_raise(struct vm *vm, u32 port);

/* As WEIR_FN_EVENT_SEND by the VM, and not counted. By any core. */
enum weir_status event_send(const struct vcpu *self, weir_handle handle);

/* A completion is in the vCPU's `out` page: tells it, by its port or by WEIR_INTID_BLOCK. As above. */
void event_block_done(struct vcpu *vcpu);

/* Handlers of ipc/hypercall.c. */
enum weir_status event_find_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status event_send_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status event_bind_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status event_publish_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out);
enum weir_status event_peer_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
/* Of ports that are opened by call (port.c, port_source.c). */
enum weir_status port_open_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out);
enum weir_status port_connect_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out);
enum weir_status port_close_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status port_timer_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out);
enum weir_status port_mask_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out);
