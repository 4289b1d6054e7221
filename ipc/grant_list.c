/*
 * What a VM has shared and passed, and what it has mapped, one by one (weir/grant.h).
 *
 * Owns:  nothing of its own; see grant.c.
 * Locks: vm->ipc->grant.lock of the VM that asks. What stands in another VM's entry of a grant that this
 *	  one has mapped does not change meanwhile: whoever ends the grant takes this lock too.
 */
#include "ipc/grant_table.h"

/* Words of a set, or pages of what begins before the page that was asked for: in one call. */
#define LOOKS 128u

/* x3 of the answer. */
static u64 packed(u64 pages, u64 port, u64 access, enum weir_grant_state state)
{
	return pages | port << 16 | access << 32 | (u64)state << 40;
}

static bool tell_given(const struct vm *vm, u64 page, struct call_results *out)
{
	const struct grant *grant = &vm->ipc->grant.grant[page];

	if (!grant->pages)
		return false;
	out->x2 = grant_handle(vm, page);
	out->x3 = packed(grant->pages, grant->port, grant->access,
			 grant->mapped ? WEIR_GRANT_MAPPED : WEIR_GRANT_WAITING);
	return true;
}

static bool tell_mapped(const struct vm *vm, u64 page, struct call_results *out)
{
	static const u8 states[] = {
		[WINDOW_MAPPED] = WEIR_GRANT_MAPPED,
		[WINDOW_SCRATCH] = WEIR_GRANT_REVOKED,
		[WINDOW_OFFERED] = WEIR_GRANT_WAITING,
	};
	const struct window_page *mapping = &vm->ipc->grant.window[page];
	u64 access = WEIR_READ_WRITE; /* of its own scratch page */

	if (!mapping->pages)
		return false;
	if (mapping->state != WINDOW_SCRATCH) {
		const struct vm *home = vm_get(mapping->home);
		const struct grant *grant = &home->ipc->grant.grant[mapping->grant];

		access = grant->access;
		out->x2 = grant_handle(home, mapping->grant);
	}
	out->x3 = packed(mapping->pages, mapping->port, access,
			 (enum weir_grant_state)states[mapping->state]);
	return true;
}

enum weir_status grant_list_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	struct vm *vm = self->vm;
	const struct grant_vm *own = &vm->ipc->grant;
	bool given = in->x1 == WEIR_GRANTS_GIVEN, found = false;
	const u64 *set = given ? own->shared : own->used;
	u64 size = given ? own->pool_pages : own->window_pages, page = in->x2;

	if (in->x1 > WEIR_GRANTS_MAPPED)
		return WEIR_INVALID;
	if (page >= size)
		return WEIR_NOT_FOUND;
	page = index_nospec(page, size);
	grant_lock(vm);
	for (u32 looks = LOOKS; page < size && !found && looks; looks--) {
		u64 more = set[page / 64] >> page % 64;

		if (more & 1)
			found = given ? tell_given(vm, page, out) : tell_mapped(vm, page, out);
		if (!found)
			page = more ? page + (more & 1 ? 1 : (u64)__builtin_ctzl(more))
				    : align_down(page, 64) + 64;
	}
	grant_unlock(vm);
	out->x1 = page;
	return page < size ? WEIR_OK : WEIR_NOT_FOUND;
}
