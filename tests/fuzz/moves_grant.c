/* Moves of guests that are about grants (moves.h). */
#include "moves.h"

#include <weir/grant.h>
#include "events.h"
#include "grants.h"
#include "input.h"

static weir_handle some_grant(void)
{
	u32 byte = input_byte();

	if (byte < 224)
		return grants_recent(byte & 15);
	if (byte < 240)
		return grants_recent(byte & 15) + (BIT(16 + 2 * (byte & 3)) << (byte & 1));
	return input_word();
}

u64 some_page(u32 pages)
{
	u32 byte = input_byte();

	/* The same ones often, so that calls meet. */
	if (byte < 240)
		return byte < 128 ? byte & 1 : byte % pages;
	if (byte < 248)
		return pages - 4 + byte - 240; /* around the end */
	return input_word();
}

void move_share(void)
{
	const struct grant_vm *table = &self->vm->ipc->grant;
	u64 x[] = { some_port(), some_page(table->pool_pages), 0, 0 };
	u32 byte = input_byte();

	/* Small ones, or there is soon nothing left to be shared. */
	x[2] = byte < 192 ? byte & 7 : byte < 248 ? byte - 184 : input_word();
	byte = input_byte();
	x[3] = byte < 248 ? byte % 3 : byte;
	if (call(WEIR_FN_GRANT_SHARE, x, 4, junk(), grants_share_errors(me, x[0], x[1], x[2], x[3]),
		 0))
		grants_made(me, self->arch.x[1]);
}

void move_map(void)
{
	u64 x[] = { some_port(), some_grant(), some_page(self->vm->ipc->grant.window_pages) };

	if (!call(WEIR_FN_GRANT_MAP, x, 3, junk(), grants_map_errors(me, x[0], x[1], x[2]), 0))
		return;
	if (sure)
		assert_int_equal(self->arch.x[1], self->vm->ipc->grant.window[x[2]].pages);
}

static void tell(struct grants_told told)
{
	if (!sure) /* who is told depends on what was mapped then */
		learn();
	else if (told.port < EVENTS_PORTS)
		events_raise(told.vm, told.port);
}

void move_unmap(void)
{
	u64 x[] = { some_page(self->vm->ipc->grant.window_pages) };

	struct grants_told told = grants_unmap_tells(me, x[0]);

	if (call(WEIR_FN_GRANT_UNMAP, x, 1, junk(), grants_unmap_errors(me, x[0]), 0))
		tell(told);
}

void move_pass(void)
{
	u64 x[] = { some_port(), some_page(self->vm->ipc->grant.window_pages) };

	call(WEIR_FN_GRANT_PASS, x, 2, junk(), grants_pass_errors(me, x[0], x[1]), 0);
}

void move_list(void)
{
	const struct grant_vm *table = &self->vm->ipc->grant;
	u32 byte = input_byte(), errors = 0;
	u64 x[] = { byte < 250 ? byte & 1 : input_word(), some_page(table->pool_pages) }, next;

	next = grants_listed(me, x[0], x[1]);
	if (x[0] > WEIR_GRANTS_MAPPED)
		errors = 1u << -WEIR_INVALID;
	else if (next >= (x[0] ? table->window_pages : table->pool_pages))
		errors = 1u << -WEIR_NOT_FOUND;
	if (call(WEIR_FN_GRANT_LIST, x, 2, junk(), errors, 0) && sure)
		assert_int_equal(self->arch.x[1], next);
}

void move_revoke(void)
{
	u64 x[] = { some_grant() };
	struct grants_told told = grants_revoke_tells(me, x[0] & 0xffff);

	if (call(WEIR_FN_GRANT_REVOKE, x, 1, junk(), grants_revoke_errors(me, x[0]), 0))
		tell(told);
}
