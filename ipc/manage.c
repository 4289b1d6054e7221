/*
 * Managing VMs for a VM that has the right (manage.h).
 *
 * Owns:  nothing. Locks: the other VM's vm->lock, alone.
 * ABI:   guests/include/weir/manage.h
 */
#include "ipc/manage.h"

#include <weir/manage.h>
#include "core/base/string.h"
#include "core/life.h"
#include "ipc/ipc.h"

#define HANDLE_INDEX_BITS 16
#define HANDLE_INDEX_MASK ((1u << HANDLE_INDEX_BITS) - 1)

_Static_assert(VM_OFF == (int)WEIR_VM_OFF && VM_BUILDING == (int)WEIR_VM_BUILDING &&
		       VM_RUNNING == (int)WEIR_VM_RUNNING && VM_DYING == (int)WEIR_VM_DYING &&
		       VM_REBUILDING == (int)WEIR_VM_REBUILDING,
	       "a state of the ABI is one of core/");

static bool may_manage(const struct vcpu *self)
{
	return self->vm->config->rights & RIGHT_MANAGE;
}

enum weir_status manage_info_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct weir_out *page = self->ipc->out;
	struct vm *vm = vm_get((u32)min(in->x1, UINT32_MAX));

	if (!may_manage(self))
		return WEIR_DENIED;
	if (in->x1 >= vm_count())
		return WEIR_NOT_FOUND;
	if (!vm)
		return WEIR_CLOSED;
	memset(page->name, 0, sizeof(page->name));
	memcpy(page->name, vm->config->name, min(strlen(vm->config->name), WEIR_NAME_MAX));
	spin_lock(&vm->lock);
	out->x1 = vm->life << HANDLE_INDEX_BITS | vm->id;
	out->x2 = vm->state;
	out->x3 = vm->life;
	spin_unlock(&vm->lock);
	return WEIR_OK;
}

static enum weir_status command(struct vcpu *self, enum vm_command what, weir_handle handle)
{
	struct vm *vm = vm_get(handle & HANDLE_INDEX_MASK);

	if (!may_manage(self))
		return WEIR_DENIED;
	if (handle == 0)
		return WEIR_INVALID;
	if (!vm)
		return WEIR_NOT_FOUND;
	/* No VM has been in life 0, which would be any. */
	if (handle >> HANDLE_INDEX_BITS == VM_ANY_LIFE)
		return WEIR_STALE;
	return vm_command(vm, what, handle >> HANDLE_INDEX_BITS);
}

enum weir_status manage_start_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	(void)out;
	return command(self, VM_START, in->x1);
}

enum weir_status manage_stop_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	(void)out;
	return command(self, VM_STOP, in->x1);
}

enum weir_status manage_restart_call(struct vcpu *self, const struct call_args *in,
				     struct call_results *out)
{
	(void)out;
	return command(self, VM_RESTART, in->x1);
}
