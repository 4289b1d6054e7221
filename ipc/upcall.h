/*
 * Upcalls: a question to a service inside a guest, answered or ended by its deadline.
 *
 * Owns:  struct upcall_vcpu. No lock: only the core that the vCPU is pinned to touches it; what
 *	  others may set (struct upcall_vm) is atomic.
 * ABI:   guests/include/weir/upcall.h. Source: upcall.c. Tests: tests/host/test_upcall.c
 */
#pragma once

#include <weir/upcall.h>
#include "ipc/ipc.h"

/*
 * Asks one vCPU; `answered` is called once, on this core, from the vCPU's hypercall or from the
 * timer's interrupt. Not blocking; only on the core that the vCPU is pinned to.
 *   status: the service's own; WEIR_TIMEOUT: no answer before `deadline` (ticks); WEIR_CLOSED: the
 *   VM ended (told at the deadline). `reply` is our copy, zeroes without an answer.
 *   errors, and then `answered` is not called: WEIR_NOT_FOUND: the vCPU does not offer the service,
 *   or its VM has ended. WEIR_BUSY: a request is open.
 */
enum weir_status upcall_request(struct vcpu *target, enum weir_service service,
				const u64 argument[4], u64 deadline, upcall_answered answered,
				void *context);

void upcall_vcpu_create(struct vcpu *vcpu);
/* The step of ipc_vm_stop(): no more requests, until a vCPU registers in the VM's next life. */
bool upcall_vm_stop(struct vm *vm, u64 *at);

/* Handlers of ipc/hypercall.c. */
enum weir_status upcall_register_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out);
enum weir_status upcall_return_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out);
