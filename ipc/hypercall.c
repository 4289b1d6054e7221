/*
 * The hypercall table: everything that a guest may ask, a row a line.
 *
 * Owns:  the table. Locks: none; handlers take their modules'.
 * ABI:   guests/include/weir/abi.h
 *
 * hypercall() is on the path of every call but most sends (event_send.c): it writes no more than it must.
 */
#include "core/hypercall.h"

#include "ipc/block.h"
#include "ipc/event.h"
#include "ipc/grant.h"
#include "ipc/ipc.h"
#include "ipc/manage.h"
#include "ipc/store.h"
#include "ipc/submit.h"
#include "ipc/upcall.h"

#define SMCCC_NOT_SUPPORTED (-1l) /* ARM DEN 0028, 7.1 */

/* The guest interface: number, name (its handler is name_call), arguments from x1 on. */
#define CALL_TABLE(ROW)                                  \
	ROW(WEIR_FN_VERSION, version, 0)                 \
	ROW(WEIR_FN_PAGES, pages, 0)                     \
	ROW(WEIR_FN_MEMORY, memory, 1)                   \
	ROW(WEIR_FN_PORT_FIND, event_find, 1)            \
	ROW(WEIR_FN_EVENT_SEND, event_send, 1)           \
	ROW(WEIR_FN_PORT_BIND, event_bind, 3)            \
	ROW(WEIR_FN_PORT_PUBLISH, event_publish, 2)      \
	ROW(WEIR_FN_PORT_PEER, event_peer, 1)            \
	ROW(WEIR_FN_GRANT_SHARE, grant_share, 4)         \
	ROW(WEIR_FN_GRANT_MAP, grant_map, 3)             \
	ROW(WEIR_FN_GRANT_UNMAP, grant_unmap, 1)         \
	ROW(WEIR_FN_GRANT_REVOKE, grant_revoke, 1)       \
	ROW(WEIR_FN_GRANT_PASS, grant_pass, 2)           \
	ROW(WEIR_FN_GRANT_LIST, grant_list, 2)           \
	ROW(WEIR_FN_BLOCK_INFO, block_info, 1)           \
	ROW(WEIR_FN_BLOCK_SUBMIT, block_submit, 5)       \
	ROW(WEIR_FN_UPCALL_REGISTER, upcall_register, 1) \
	ROW(WEIR_FN_UPCALL_RETURN, upcall_return, 2)     \
	ROW(WEIR_FN_VM_INFO, manage_info, 1)             \
	ROW(WEIR_FN_VM_START, manage_start, 1)           \
	ROW(WEIR_FN_VM_STOP, manage_stop, 1)             \
	ROW(WEIR_FN_VM_RESTART, manage_restart, 1)       \
	ROW(WEIR_FN_PORT_OPEN, port_open, 2)             \
	ROW(WEIR_FN_PORT_CONNECT, port_connect, 3)       \
	ROW(WEIR_FN_PORT_CLOSE, port_close, 1)           \
	ROW(WEIR_FN_PORT_MASK, port_mask, 2)             \
	ROW(WEIR_FN_PORT_TIMER, port_timer, 2)           \
	ROW(WEIR_FN_SUBMIT, submit, 0)                   \
	ROW(WEIR_FN_STORE_FIND, store_find, 3)           \
	ROW(WEIR_FN_STORE_MAKE, store_make, 5)           \
	ROW(WEIR_FN_STORE_READ, store_read, 1)           \
	ROW(WEIR_FN_STORE_WRITE, store_write, 3)         \
	ROW(WEIR_FN_STORE_REMOVE, store_remove, 2)       \
	ROW(WEIR_FN_STORE_LIST, store_list, 2)           \
	ROW(WEIR_FN_STORE_ALLOW, store_allow, 4)         \
	ROW(WEIR_FN_STORE_WATCH, store_watch, 2)         \
	ROW(WEIR_FN_STORE_WATCH_NEXT, store_watch_next, 0)

static enum weir_status version_call(struct vcpu *self, const struct call_args *in,
				     struct call_results *out)
{
	(void)self;
	(void)in;
	out->x1 = WEIR_ABI_VERSION;
	return WEIR_OK;
}

static enum weir_status pages_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	(void)in;
	out->x1 = self->ipc->shared_ipa;
	out->x2 = out->x1 + PAGE_SIZE;
	out->x3 = out->x2 + PAGE_SIZE;
	return WEIR_OK;
}

static enum weir_status memory_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out)
{
	const struct vm *vm = self->vm;

	switch (in->x1) {
	case WEIR_REGION_RAM:
		out->x1 = self->vm->ram_ipa;
		out->x2 = vm->ram_bytes;
		return WEIR_OK;
	case WEIR_REGION_POOL:
		out->x1 = vm_pool_base(vm);
		out->x2 = vm->pool_bytes;
		return WEIR_OK;
	case WEIR_REGION_WINDOW:
		out->x1 = VM_WINDOW_BASE;
		out->x2 = vm->window_bytes;
		return WEIR_OK;
	default:
		return WEIR_INVALID;
	}
}

/* What lies behind the arguments of a call, up to x6, ORed: must be 0. `arguments` is constant. */
static inline u64 call_rest(const struct call_args *in, u32 arguments)
{
	u64 low = (arguments < 1 ? in->x1 : 0) | (arguments < 2 ? in->x2 : 0);
	u64 middle = (arguments < 3 ? in->x3 : 0) | (arguments < 4 ? in->x4 : 0);
	u64 high = (arguments < 5 ? in->x5 : 0) | in->x6;

	return low | middle | high;
}

#define CHECKED(number, name, arguments)                                                      \
	static enum weir_status name##_checked(struct vcpu *self, const struct call_args *in, \
					       struct call_results *out)                      \
	{                                                                                     \
		return call_rest(in, arguments) ? WEIR_INVALID : name##_call(self, in, out);  \
	}
CALL_TABLE(CHECKED)

#define ENTRY(number, name, arguments) [number] = name##_checked,
static const call_handler calls[WEIR_FN_COUNT] = { CALL_TABLE(ENTRY) };

static void answer(struct vcpu *self, u64 x0, u64 x1, u64 x2, u64 x3)
{
	u64 *x = self->arch.x;

	x[0] = x0;
	x[1] = x1;
	x[2] = x2;
	x[3] = x3;
}

/* The range's general queries (ARM DEN 0028, 6.2), and what nobody knows. */
static RARE APART void general_query(struct vcpu *self)
{
	switch ((u32)self->arch.x[0]) {
	case WEIR_SMCCC_UID:
		answer(self, WEIR_UID_0, WEIR_UID_1, WEIR_UID_2, WEIR_UID_3);
		break;
	case WEIR_SMCCC_REVISION:
		answer(self, WEIR_ABI_VERSION, 0, 0, 0);
		break;
	default:
		answer(self, (u64)SMCCC_NOT_SUPPORTED, 0, 0, 0);
		break;
	}
}

/* The arguments are the saved registers themselves: handlers cannot write them. */
_Static_assert(offsetof(struct vcpu, arch.x) == 0, "struct call_args lies over x0..x6");

void hypercall(struct vcpu *self, u64 number)
{
	const struct call_args *in = (const struct call_args *)self->arch.x;
	struct call_results *out;
	enum weir_status status;
	call_handler handle;

	handle = number < WEIR_FN_COUNT ? calls[index_nospec(number, WEIR_FN_COUNT)] : 0;
	if (!handle) {
		general_query(self);
		return;
	}

	out = &self->ipc->results;
	*out = (struct call_results){ 0 };
	status = handle(self, in, out);
	if (status == WEIR_OK)
		answer(self, WEIR_OK, out->x1, out->x2, out->x3);
	else
		answer(self, (u64)(s64)status, 0, 0, 0);
}
