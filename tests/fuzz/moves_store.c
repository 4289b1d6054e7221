/* Moves of guests that are about the store (moves.h). */
#include "moves.h"

#include <string.h>
#include <weir/store.h>
#include "events.h"
#include "input.h"
#include "nodes.h"
#include "sources.h"
#include "core/hypercall.h"
#include "ipc/store_node.h"

static weir_handle some_node(void)
{
	u32 byte = input_byte();

	if (byte < 160)
		return nodes_recent(byte);
	if (byte < 192)
		return 0;
	if (byte < 224)
		return 0x10000 | byte % 34; /* the root, and homes */
	return byte < 248 ? nodes_recent(byte) + (BIT(16) >> (byte & 1)) : input_word();
}

void step_of_call(void)
{
	events_loose();
	sources_before_store();
	events_begin_blind();
	ipc_vcpu_step(self);
	events_end_blind();
	if (disturbed())
		learn();
	else
		sources_after_store(self, 0);
}

static bool store_call(u32 function, const u64 *x, u32 count)
{
	weir_handle touched = x[0] ? x[0] : store_node(self->vm->ipc->store.base)->handle;
	bool done;

	sources_before_store();
	events_begin_blind();
	done = call(function, x, count, junk(), nodes_errors(function),
		    nodes_errors(function) | 1u << -WEIR_OK);
	events_end_blind();
	if (!sure)
		learn();
	else
		sources_after_store(self, done && function == WEIR_FN_STORE_ALLOW ? touched : 0);
	if (sure && function == WEIR_FN_STORE_WATCH_NEXT && (s64)self->arch.x[0] == WEIR_NOT_FOUND)
		sources_searched(me);
	return done;
}

/* Any call of it; what it tells has to be the VM's to read. */
void move_store(void)
{
	static const char *const names[] = { "a", "b", "the-name-of-31-bytes-if-one-cou" };
	struct weir_in *in = (struct weir_in *)(uintptr_t)self->ipc->in;
	u32 function = WEIR_FN_STORE_FIND + input_below(9), byte = input_byte(), count = 0;
	u64 x[5] = { 0 };

	strcpy((char *)in->buffer, names[byte % 3]);
	if (function == WEIR_FN_STORE_WATCH + 1)
		function = WEIR_FN_STORE_WATCH_NEXT;
	else
		x[count++] = some_node();
	if (function == WEIR_FN_STORE_FIND || function == WEIR_FN_STORE_MAKE)
		x[count++] = byte < 250 ? strlen(names[byte % 3]) : input_word();
	else if (function != WEIR_FN_STORE_READ && function != WEIR_FN_STORE_WATCH_NEXT)
		x[count++] = byte < 240 ? byte & 1 : input_word();
	if (function == WEIR_FN_STORE_WRITE)
		x[1] = byte;
	for (u32 i = function == WEIR_FN_STORE_FIND || function == WEIR_FN_STORE_WRITE ? 1
		     : function == WEIR_FN_STORE_ALLOW				       ? 2
		     : function == WEIR_FN_STORE_MAKE				       ? 3
										       : 0;
	     i; i--)
		x[count++] = input_byte() & 1 ? 0 : input_word();
	if (!store_call(function, x, count) || !sure)
		return;
	if (function == WEIR_FN_STORE_MAKE)
		nodes_made(self->arch.x[1]);
	if (function == WEIR_FN_STORE_READ && x[0])
		nodes_told(me, x[0]);
	if ((function <= WEIR_FN_STORE_MAKE || function == WEIR_FN_STORE_LIST) && self->arch.x[1])
		nodes_told(me, self->arch.x[1]);
	if (function == WEIR_FN_STORE_WATCH_NEXT && self->arch.x[1] && !self->arch.x[2])
		nodes_told(me, self->arch.x[1]);
}
