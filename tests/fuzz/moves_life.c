/* Moves about the lives of VMs, and time (moves.h). */
#include "moves.h"

#include "events.h"
#include "grants.h"
#include "input.h"
#include "sources.h"
#include "core/life.h"
#include "ipc/store_node.h"

void move_time(void)
{
	static const u64 steps[] = { 1000, 1000000, 5000000, 1000000000, 100000000000 };

	u64 ticks = steps[input_below(ARRAY_SIZE(steps))];

	begin_parts();
	machine_wait(ticks);
	end_parts();
	if (!disturbed())
		sources_after_time();
}

/* A VM that manages, or would like to; positions and lives that are, were or are to come. */
void move_manage(void)
{
	static const u32 functions[] = { WEIR_FN_VM_START, WEIR_FN_VM_STOP, WEIR_FN_VM_RESTART };
	u32 function = functions[input_below(ARRAY_SIZE(functions))], byte = input_byte();
	const struct vm *vm = machine.vm[byte & 3];
	u64 life = vm ? vm->life : 1, x[] = { 0 };
	u32 errors = me ? 1u << -WEIR_DENIED : 0;

	life += byte < 240 ? 0 : byte < 248 ? -1 : 1;
	x[0] = life << 16 | (byte & 3);
	if (byte == 255)
		x[0] = input_word();
	byte = x[0] & 0xffff;
	vm = vm_get(byte);
	if (!x[0])
		errors |= 1u << -WEIR_INVALID;
	else if (!vm)
		errors |= 1u << -WEIR_NOT_FOUND;
	else if (x[0] >> 16 != vm->life)
		errors |= 1u << -WEIR_STALE;
	else if (function == WEIR_FN_VM_START && vm->state != VM_OFF)
		errors |= 1u << -WEIR_BUSY;
	call(function, x, 1, junk(), errors, 0);
}

void move_vm_info(void)
{
	u32 byte = input_byte(), errors = me ? 1u << -WEIR_DENIED : 0;
	u64 x[] = { byte < 248 ? byte % 5 : input_word() };

	if (x[0] >= MACHINE_VMS)
		errors |= 1u << -WEIR_NOT_FOUND;
	else if (!machine.vm[x[0]])
		errors |= 1u << -WEIR_CLOSED;
	if (!call(WEIR_FN_VM_INFO, x, 1, junk(), errors, 0) || !sure)
		return;
	assert_int_equal(self->arch.x[1], machine.vm[x[0]]->life << 16 | x[0]);
	assert_int_equal(self->arch.x[2], machine.vm[x[0]]->state);
	assert_string_equal((char *)self->ipc->out->name, machine.vm[x[0]]->config->name);
}

/* By PSCI, or by a fault. */
void move_end(void)
{
	u32 byte = input_byte();

	if ((byte & 15) < 2)
		vm_stop(self->vm, byte & 1 ? VM_END_RESET : VM_END_FAULT);
}

/* A turn of the VM's vCPU 0, or several. What it has revoked, the peer was told. */
void move_vm_step(void)
{
	const struct grant_vm *table = &self->vm->ipc->grant;
	u32 id = me, times = input_byte() & 1 ? 100 : 1;
	struct grants_told revoked[256], returned[256];
	enum vm_state state;
	bool stepped;

	more_gaps(input_byte() & 31); /* it has more of them than a call */
	while (times--) {
		for (u32 i = 0; i < table->pool_pages; i++)
			revoked[i] = grants_revoke_tells(id, i);
		for (u32 i = 0; i < table->window_pages; i++)
			returned[i] = grants_unmap_tells(id, i);
		state = machine.vm[id]->state;
		sources_before_store();
		events_loose();
		events_begin_blind();
		stepped = machine_vm_step(id);
		events_end_blind();
		if (stepped)
			sources_stepped(id, state);
		else
			times = 0;
		for (u32 i = 0; i < table->pool_pages; i++)
			if (revoked[i].port < EVENTS_PORTS && !table->grant[i].mapped)
				events_raise(revoked[i].vm, revoked[i].port);
		for (u32 i = 0; i < table->window_pages; i++)
			if (returned[i].port < EVENTS_PORTS && !table->window[i].pages)
				events_raise(returned[i].vm, returned[i].port);
		if (disturbed()) {
			learn(); /* in which order they were told is not known */
		} else {
			sources_after_end(id);
			follow();
		}
		events_settle();
	}
}
