/* Moves of guests that are about ports (moves.h). */
#include "moves.h"

#include <string.h>
#include <weir/event.h>
#include "events.h"
#include "grants.h"
#include "input.h"
#include "sources.h"

void move_send(void)
{
	u64 x[] = { some_port() };

	if (call(WEIR_FN_EVENT_SEND, x, 1, junk(), events_send_errors(me, x[0]), 0))
		events_raise_peer(me, port_index(x[0]));
}

void move_publish(void)
{
	u64 x[] = { some_port(), input_word() };

	if (call(WEIR_FN_PORT_PUBLISH, x, 2, junk(), events_send_errors(me, x[0]), 0))
		events_publish(me, port_index(x[0]), x[1]);
}

void move_bind(void)
{
	u64 x[] = { some_port(), 0, 0 };
	u32 byte = input_byte(), maybe = 0;

	x[1] = byte < 248 ? byte & 1 : byte - 246;
	byte = input_byte();
	x[2] = byte < 248 ? byte & 3 : input_word();
	if (!events_honest(me))
		maybe = 1u << -WEIR_BUSY;
	if (call(WEIR_FN_PORT_BIND, x, 3, junk(), events_bind_errors(me, x[0], x[1], x[2]), maybe))
		events_bind(me, port_index(x[0]), (u32)x[1], (u32)x[2]);
}

void move_peer(void)
{
	u64 x[] = { some_port() };

	if (!call(WEIR_FN_PORT_PEER, x, 1, junk(), events_port_errors(me, x[0]), 0) || !sure)
		return;
	assert_int_equal(self->arch.x[1], events_word(me, port_index(x[0])));
	assert_int_equal(self->arch.x[2], events_peer_open(me, port_index(x[0])));
}

/* A VM that is there, an earlier life of it, or one that is to come. */
static u64 some_vm(void)
{
	u32 byte = input_byte();
	u64 life = byte & 3 ? 1 : machine.vm[0]->life;

	if (byte >= 252)
		return input_word();
	if ((byte & 3) < MACHINE_VMS - 1)
		life = machine.vm[byte & 3]->life;
	return (life + (byte < 224 ? 0 : byte < 240 ? -1 : 1)) << 16 | (byte & 3);
}

/* All of them are joined by channels: each may talk to each. */
static u32 talk_errors(u64 vm)
{
	if (port_index(vm) >= MACHINE_VMS - 1 || port_index(vm) == me)
		return 1u << -WEIR_DENIED;
	return vm >> 16 == machine.vm[port_index(vm)]->life ? 0 : 1u << -WEIR_STALE;
}

static enum port_kind some_kind(void)
{
	static const u8 kinds[] = { PORT_PEER,	PORT_PEER,     PORT_PEER,     PORT_VM,
				    PORT_IPI,	PORT_TIMER,    PORT_TIMER,    PORT_BLOCK,
				    PORT_STORE, PORT_VM_STATE, PORT_VM_STATE, PORT_STORE };
	u32 byte = input_byte();

	return (enum port_kind)(byte < 240 ? kinds[byte % ARRAY_SIZE(kinds)] : byte - 240);
}

/* What x2 has to be for the kind in x1, or is not; what is refused then; for which VM or vCPU the port is. */
static u32 open_errors(u64 x[2], u32 *of)
{
	u32 byte = input_byte();

	switch (x[0]) {
	case WEIR_PORT_PEER:
		x[1] = some_port();
		if (!events_port_errors(me, x[1]))
			*of = events_named(me, x[1]);
		return events_name_errors(me, x[1]);
	case WEIR_PORT_VM:
		x[1] = some_vm();
		*of = port_index(x[1]);
		return talk_errors(x[1]);
	case WEIR_PORT_VM_STATE:
		x[1] = byte & 3 ? some_vm() : 0;
		*of = x[1] ? port_index(x[1]) : 0xff;
		return sources_errors(self, PORT_VM_STATE, x[1]);
	default:
		x[1] = byte < 240 ? 0 : byte;
		*of = self->index;
		if (x[0] == WEIR_PORT_IPI)
			return x[1] ? 1u << -WEIR_INVALID : 0;
		return x[0] && x[0] <= WEIR_PORT_STORE
			       ? sources_errors(self, (enum port_kind)x[0], x[1])
			       : 1u << -WEIR_INVALID;
	}
}

void move_open(void)
{
	enum port_kind kind = some_kind();
	u64 x[] = { kind, 0 };
	u32 of = 0, errors, maybe = 0;

	errors = open_errors(x, &of);
	kind = kind == PORT_VM ? PORT_PEER : kind;
	if (!errors || errors == 1u << -WEIR_BUSY)
		errors |= events_room_errors(me, &maybe);
	events_begin_blind();
	call(WEIR_FN_PORT_OPEN, x, 2, junk(), errors, maybe);
	events_end_blind();
	if (!sure)
		learn();
	if (!sure || self->arch.x[0] != WEIR_OK)
		return;
	events_opened(me, self->arch.x[1], kind, of);
	sources_opened(self, kind);
}

void move_connect(void)
{
	u32 byte = input_byte(), peer = (me + 1 + (byte & 1)) % (MACHINE_VMS - 1), maybe = 0,
	    errors;
	u64 x[] = { some_port(), events_handle(peer, (byte >> 1) % events_all_ports(peer)), 0 };

	byte = input_byte();
	if (byte > 224)
		x[1] = byte > 240 ? input_word() : x[1] + ((byte & 1) ? 0x10000 : -0x10000ul);
	if (byte < 64) {
		x[0] = machine.vm[peer]->life << 16 | peer;
		if (byte < 8)
			x[0] = some_vm();
		x[2] = byte == 63 ? input_word() : WEIR_PORT_VM;
	}
	if (x[2] && x[2] != WEIR_PORT_VM)
		errors = 1u << -WEIR_INVALID;
	else
		errors = x[2] ? talk_errors(x[0]) : events_name_errors(me, x[0]);
	peer = x[2] ? port_index(x[0]) : errors ? 0 : events_named(me, x[0]);
	if (!errors)
		errors = events_connect_errors(me, peer, x[1], &maybe);
	events_begin_blind();
	call(WEIR_FN_PORT_CONNECT, x, 3, junk(), errors, maybe);
	events_end_blind();
	if (!sure)
		learn();
	else if (self->arch.x[0] == WEIR_OK)
		events_connected(me, self->arch.x[1], peer, x[1]);
}

/* A port of the VM's of this kind, if it has one, or any. */
static weir_handle port_of_kind(enum port_kind kind)
{
	u32 byte = input_byte(), port = events_find(me, kind, byte & 3);

	return byte >= 224 || port == EVENTS_PORTS ? some_port() : events_handle(me, port);
}

void move_timer(void)
{
	static const u64 steps[] = { 0, 1, 1000, 1000000, 1000000000 };
	u64 x[] = { port_of_kind(PORT_TIMER), 0 };
	u32 byte = input_byte();

	x[1] = byte < 240   ? machine.now + steps[byte % ARRAY_SIZE(steps)]
	       : byte < 248 ? byte - 240
			    : input_word();
	if (call(WEIR_FN_PORT_TIMER, x, 2, junk(), sources_timer_errors(self, x[0]), 0))
		sources_timer(self, x[1]);
}

void move_close(void)
{
	u64 x[] = { some_port() };

	events_begin_blind();
	call(WEIR_FN_PORT_CLOSE, x, 1, junk(),
	     events_close_errors(me, x[0], grants_by(me, port_index(x[0]))), 0);
	events_end_blind();
	if (!sure)
		learn();
	else if (self->arch.x[0] == WEIR_OK)
		events_closed(me, port_index(x[0]));
}

void move_mask(void)
{
	u64 x[] = { some_port(), 0 };
	u32 byte = input_byte(), errors = events_port_errors(me, x[0]);

	x[1] = byte < 240 ? byte & 1 : byte;
	if (x[1] > 1)
		errors |= 1u << -WEIR_INVALID;
	events_begin_blind();
	call(WEIR_FN_PORT_MASK, x, 2, junk(), errors, 0);
	events_end_blind();
	if (!sure)
		learn();
	else if (self->arch.x[0] == WEIR_OK)
		events_mask(me, port_index(x[0]), x[1]);
}

/* A name of a channel, whoever's, with its length or another. */
void move_find(void)
{
	static const char *const names[] = { "ab", "ac", "bc", "ba", "lost", "more" };
	static const u32 port[][6] = { { 0, 1, 9, 2, 9, 9 },
				       { 0, 9, 1, 2, 9, 9 },
				       { 9, 0, 1, 9, 9, 9 } };
	struct weir_in *in = (struct weir_in *)(uintptr_t)self->ipc->in;
	u32 name = input_below(6), byte = input_byte(), errors = 0;
	u64 x[] = { strlen(names[name]) };
	bool whole = byte < 224;

	strcpy((char *)in->buffer, names[name]);
	if (!whole)
		x[0] = byte < 240 ? byte - 224 : input_word();
	if (!x[0] || x[0] > WEIR_NAME_MAX)
		errors = 1u << -WEIR_INVALID;
	else if (x[0] != strlen(names[name]) || port[me][name] == 9)
		errors = 1u << -WEIR_NOT_FOUND;
	if (call(WEIR_FN_PORT_FIND, x, 1, junk(), errors, 0))
		assert_int_equal(self->arch.x[1], events_handle(me, port[me][name]));
}
