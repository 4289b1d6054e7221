/*
 * Managing VMs: a VM with the right "manage" (its manifest's `rights`) lists, starts, stops and
 * restarts the VMs of the machine, itself among them.
 *
 * A VM is named by a handle: bits 15:0 are its position in the manifest, bits 63:16 the generation.
 * It has another one in each of its lives; from the moment it starts again the old ones answer
 * WEIR_STALE. So what was meant for a VM that has died meanwhile does not hit its successor.
 *
 * Start, stop and restart answer at once; what they began is done in bounded steps, in the time
 * and at the priority of the VM they are about, and WEIR_FN_VM_INFO shows how far it has come. They
 * may come in any state, also while an earlier one is not done yet: the last one counts. A VM that
 * stops or restarts itself does not see the answer.
 *
 * What ends with a VM, whoever ends it: its block requests, grants, mappings, registrations and
 * events; its peers are told on each port (event.h, grant.h, block.h, upcall.h). Its memory holds
 * nothing of it when it starts again: RAM as the image says and zero elsewhere, another `rng-seed`
 * in its device tree.
 *
 * WEIR_FN_VM_INFO: what there is to know of a VM.
 *   in:  x1 = its position in the manifest, from 0.
 *   out: x1 = its handle, x2 = enum weir_vm_state, x3 = how many times it has started; its name at
 *	  weir_out.name of the calling vCPU, filled up with zeroes.
 *   errors: WEIR_DENIED: no right "manage". WEIR_NOT_FOUND: x1 is beyond the last VM. WEIR_CLOSED:
 *	     the VM was refused at boot; there never is one at this position.
 *
 * WEIR_FN_VM_START: start a VM that is off.
 *   in:  x1 = its handle.
 *   errors: WEIR_DENIED, WEIR_INVALID, WEIR_NOT_FOUND, WEIR_STALE as below. WEIR_BUSY: it is not
 *	     off.
 *
 * WEIR_FN_VM_STOP: end a VM, in whatever state it is; WEIR_OK also if it is off already. The
 *   machine powers off with the last VM, unless the manifest says `stay`.
 *   in:  x1 = its handle.
 *   errors: WEIR_DENIED, WEIR_INVALID, WEIR_NOT_FOUND, WEIR_STALE as below.
 *
 * WEIR_FN_VM_RESTART: end a VM, in whatever state it is, and start it again; start it if it is off.
 *   in:  x1 = its handle.
 *   errors: WEIR_DENIED, WEIR_INVALID, WEIR_NOT_FOUND, WEIR_STALE as below.
 *
 * errors of all three: WEIR_DENIED: no right "manage". WEIR_INVALID: x1 is 0. WEIR_NOT_FOUND: no VM
 *   is at the position that x1 names. WEIR_STALE: x1 is not of the life that the VM has now.
 *
 * Source: ipc/manage.c. Tests: tests/guest/life*.c, tests/host/test_manage.c.
 * Since ABI 1.
 */
#pragma once

#include <weir/hypercall.h>

enum weir_vm_state {
	WEIR_VM_OFF = 0,
	WEIR_VM_BUILDING = 1,	/* it was off; its memory is filled */
	WEIR_VM_RUNNING = 2,	/* its vCPUs run, or could */
	WEIR_VM_DYING = 3,	/* what it has with others and with devices is brought to an end */
	WEIR_VM_REBUILDING = 4, /* it ended to start again; its memory is filled */
};

struct weir_vm_info {
	weir_handle vm;
	enum weir_vm_state state;
	uint64_t starts;
	char name[WEIR_NAME_MAX + 1]; /* 0-terminated */
};

/* The VM at `position` of the manifest. Not from a handler that may interrupt the same call. */
static inline enum weir_status weir_vm_info(const struct weir_pages *pages, uint64_t position,
					    struct weir_vm_info *info)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_VM_INFO), position, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status != WEIR_OK)
		return (enum weir_status)result.status;
	info->vm = result.value[0];
	info->state = (enum weir_vm_state)result.value[1];
	info->starts = result.value[2];
	__builtin_memcpy(info->name, pages->out->name, sizeof(info->name));
	return WEIR_OK;
}

static inline enum weir_status weir_vm_start(weir_handle vm)
{
	return weir_do(WEIR_FN_VM_START, vm, 0, 0, 0, 0);
}

static inline enum weir_status weir_vm_stop(weir_handle vm)
{
	return weir_do(WEIR_FN_VM_STOP, vm, 0, 0, 0, 0);
}

static inline enum weir_status weir_vm_restart(weir_handle vm)
{
	return weir_do(WEIR_FN_VM_RESTART, vm, 0, 0, 0, 0);
}
