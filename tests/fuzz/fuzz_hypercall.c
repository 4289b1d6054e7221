/*
 * The hypercall layer under guests that do as they like: each record of the input is a call, a write to a
 * shared page, or something that happens to the machine. What a call may answer is known before it is made
 * (events.c, grants.c, requests.c), and after each step everything has to fit together.
 *
 * A record may have the next one executed by the other core in the midst of its own step, when no lock is
 * held: then the answer is not known before, but all that holds after a step still has to.
 *
 * Sources: ipc/hypercall.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/ipc.c
 * Sources: ipc/manage.c core/life.c core/timeout.c core/base/log.c drivers/block_device.c
 * Sources: tests/fuzz/machine.c tests/fuzz/disk.c tests/fuzz/events.c tests/fuzz/grants.c
 * Sources: tests/fuzz/events_check.c tests/fuzz/sources.c tests/fuzz/moves_port.c tests/fuzz/moves_grant.c
 * Sources: tests/fuzz/moves_block.c tests/fuzz/moves_submit.c tests/fuzz/moves_store.c tests/fuzz/moves_upcall.c
 * Sources: tests/fuzz/moves_life.c
 * Sources: tests/fuzz/requests.c tests/fuzz/commands.c tests/fuzz/nodes.c tests/fuzz/input.c
 * Sources: tests/host/fake/heap.c tests/host/fake/stage2.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include <string.h>
#include "commands.h"
#include "events.h"
#include "grants.h"
#include "hvc.h"
#include "input.h"
#include "machine.h"
#include "moves.h"
#include "nodes.h"
#include "requests.h"
#include "sources.h"
#include "core/life.h"

#define STEPS_MAX 2000u
#define MARK	  0xdead0000ul /* what the guest has in the registers behind the arguments */

static struct {
	u32 gaps; /* so many times a lock is about to be taken before the other core comes in */
	bool wanted, happened;
} outer;

static bool step(bool inner);

/* ---- Another core in between ----------------------------------------------------------------- */

static void between(void)
{
	u32 core = machine.core;

	if (!outer.wanted || outer.gaps--)
		return;
	outer.wanted = false;
	if (!input_next())
		return;
	outer.happened = true;
	machine_on(!core);
	do
		assert_int_equal(machine_locks_held(), 0);
	while (step(true) && input_next());
	assert_int_equal(machine_locks_held(), 0);
	machine_on(core);
}

static void begin_outer(u32 how)
{
	outer.wanted = how >> 6 == 3;
	outer.gaps = how >> 4 & 3;
	outer.happened = false;
	machine.between = between;
}

bool disturbed(void)
{
	return outer.happened && !inside;
}

void more_gaps(u32 count)
{
	outer.gaps += count;
}

static void end_outer(void)
{
	machine.between = 0;
	assert_int_equal(machine_locks_held(), 0);
}

/* ---- Calls ----------------------------------------------------------------------------------- */

struct vcpu *self;
u32 me;
bool sure;
static u64 lives[MACHINE_VMS]; /* as last seen */
bool inside;

static enum weir_status call_any(u64 x0, const u64 x[6])
{
	u64 *registers = self->arch.x;
	struct vcpu *caller = self;
	s64 status;

	registers[0] = x0;
	for (u32 i = 1; i < 31; i++)
		registers[i] = i <= 6 ? x[i - 1] : MARK + i;
	fake_hvc(self);
	self = caller;
	me = caller->vm->id;
	for (u32 i = 4; i < 31; i++)
		assert_int_equal(registers[i], i <= 6 ? x[i - 1] : MARK + i);
	status = (s64)registers[0];
	sure = inside ? !events_are_blind() : !outer.happened;
	assert_true(status == WEIR_OK || status == -1 ||
		    (status <= WEIR_INVALID && status >= WEIR_FAULT));
	for (u32 i = 1; i < 4 && status != WEIR_OK; i++)
		assert_int_equal(registers[i], 0);
	return (enum weir_status)status;
}

bool call(u32 function, const u64 *argument, u32 count, u64 junk, u32 errors, u32 maybe)
{
	u64 x[6] = { 0 };
	enum weir_status status;

	for (u32 i = 0; i < count; i++)
		x[i] = argument[i];
	if (count < 6 && junk) {
		x[count] = junk;
		errors |= 1u << -WEIR_INVALID;
	}
	status = call_any(WEIR_FN(function), x);
	if (!sure)
		return status == WEIR_OK;
	if (status == WEIR_OK)
		assert_true(!errors || maybe & 1);
	else
		assert_true((errors | maybe) >> -status & 1);
	return status == WEIR_OK;
}

u64 junk(void)
{
	u32 byte = input_byte();

	return byte < 250 ? 0 : BIT((byte - 250) * 12);
}

weir_handle some_port(void)
{
	u32 byte = input_byte(), count = events_all_ports(me);
	weir_handle handle = events_handle(me, byte % count);

	if (byte < 208)
		return handle;
	if (byte < 216)
		return handle - 0x10000;
	if (byte < 224)
		return handle - 0x10000 + count;
	if (byte < 232)
		return handle + 0x10000;
	if (byte < 240)
		return handle + count;
	return input_word();
}

void learn(void)
{
	sources_learn(); /* or they would be judged */
	follow();
	events_learn();
	sources_learn();
}

void begin_parts(void)
{
	events_loose();
	events_begin_blind();
}

void end_parts(void)
{
	events_end_blind();
	if (disturbed())
		learn();
}

/* The calls that only tell, and numbers that are no call of ours. */
static void move_query(void)
{
	u32 byte = input_byte();
	u64 number = byte < 128	  ? byte % (WEIR_FN_MEMORY + 1)
		     : byte < 160 ? byte
				  : input_word(),
	    x[6] = { 0 };

	if (number < WEIR_FN_COUNT && number > WEIR_FN_MEMORY)
		return;
	x[0] = input_byte() & 3;
	for (u32 i = 1; i < 6; i++) {
		byte = input_byte();
		x[i] = byte < 240 ? 0 : byte;
	}
	call_any(number < WEIR_FN_COUNT ? WEIR_FN(number) : number, x);
}

static void move_smccc(void)
{
	bool uid = input_byte() & 1;

	self->arch.x[0] = uid ? WEIR_SMCCC_UID : WEIR_SMCCC_REVISION;
	fake_hvc(self);
	assert_int_equal(self->arch.x[0], uid ? WEIR_UID_0 : WEIR_ABI_VERSION);
}

/* ---- What guests do with their pages --------------------------------------------------------- */

static void move_receive(void)
{
	bool all = input_byte() & 1; /* the interrupt's handler */
	u32 port;

	if (all)
		machine.raised[me][self->index][WEIR_INTID_EVENT] = false;
	while (events_receive(me, self->index, &port)) {
		sources_received(me, port);
		if (!all)
			break;
	}
}

/* A head that lies: near what it should be, or anywhere. */
static void move_lie(void)
{
	struct weir_in *in = (struct weir_in *)(uintptr_t)self->ipc->in;
	u32 which = input_below(WEIR_EVENT_PRIORITIES + 1), byte = input_byte();
	u64 *head = &in->completion_head, tail = self->ipc->out->completion_tail;

	if (which < WEIR_EVENT_PRIORITIES) {
		head = &in->event_head[which];
		tail = self->ipc->out->event_tail[which];
	}
	*head = byte < 128 ? tail + 2 - (byte & 7) : byte < 192 ? *head + (byte & 3) : input_word();
	if (which < WEIR_EVENT_PRIORITIES)
		events_lie(me);
	else
		requests_lie(self);
}

static void move_scribble(void)
{
	struct weir_in *in = (struct weir_in *)(uintptr_t)self->ipc->in;

	in->upcall_reply[input_below(6)] = input_word();
	in->upcall_reply[input_below(6)] = input_word();
}

/* ---- Steps ----------------------------------------------------------------------------------- */

enum who {
	GUEST, /* a vCPU of a VM that runs, on its core */
	CORE,  /* the hypervisor, on that core */
	ANY    /* the hypervisor, on whatever core */
};

static const struct {
	void (*move)(void);
	enum who who;
} moves[] = {
	{ move_send, GUEST },	  { move_send, GUEST },	    { move_publish, GUEST },
	{ move_bind, GUEST },	  { move_bind, GUEST },	    { move_peer, GUEST },
	{ move_open, GUEST },	  { move_open, GUEST },	    { move_connect, GUEST },
	{ move_connect, GUEST },  { move_close, GUEST },    { move_mask, GUEST },
	{ move_timer, GUEST },	  { move_timer, GUEST },    { move_find, GUEST },
	{ move_share, GUEST },	  { move_share, GUEST },    { move_map, GUEST },
	{ move_map, GUEST },	  { move_map, GUEST },	    { move_unmap, GUEST },
	{ move_pass, GUEST },	  { move_revoke, GUEST },   { move_list, GUEST },
	{ move_info, GUEST },	  { move_submit, GUEST },   { move_submit, GUEST },
	{ move_submit, GUEST },	  { move_submit, GUEST },   { move_submit_many, GUEST },
	{ move_register, GUEST }, { move_return, GUEST },   { move_query, GUEST },
	{ move_smccc, GUEST },	  { move_receive, GUEST },  { move_receive, GUEST },
	{ move_take, GUEST },	  { move_lie, GUEST },	    { move_scribble, GUEST },
	{ move_disk, ANY },	  { move_disk, ANY },	    { move_disk, ANY },
	{ move_disk_break, ANY }, { move_time, ANY },	    { move_manage, GUEST },
	{ move_vm_info, GUEST },  { move_end, GUEST },	    { move_vm_step, CORE },
	{ move_vm_step, CORE },	  { move_vm_step, CORE },   { move_ask, CORE },
	{ move_put, GUEST },	  { move_put, GUEST },	    { move_put, GUEST },
	{ move_put, GUEST },	  { move_ring_lie, GUEST }, { move_ring_call, GUEST },
	{ move_drain, ANY },	  { move_drain, ANY },	    { move_store, GUEST },
	{ move_store, GUEST },	  { move_store, GUEST },    { move_store, GUEST },
	{ move_store, GUEST },	  { move_store, GUEST },
};

static struct vcpu *choose(u32 byte)
{
	static const u8 vm[] = { 0, 0, 1, 1, 2, 0, 1, 2 }, vcpu[] = { 0, 1, 0, 1, 0, 0, 0, 0 };

	return machine.vm[vm[byte & 7]]->vcpu[vcpu[byte & 7]];
}

void follow(void)
{
	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++) {
		if (machine.vm[vm]->life != lives[vm]) {
			requests_begin(vm);
			commands_begin(vm);
		}
		lives[vm] = machine.vm[vm]->life;
		events_follow(vm, !outer.happened);
	}
	sources_settle();
}

/* On which core it is at work; a vCPU is on its core then. */
static void make_move(u32 which)
{
	bool guest = moves[which].who == GUEST;

	if (guest)
		machine_enter(self);
	if (guest && self->turns == TURNS_CALL)
		step_of_call();
	else
		moves[which].move();
	if (guest)
		machine_leave(self);
}

static bool may_move(u32 which, bool inner)
{
	/* What comes in between needs a core of its own. */
	if (inner && moves[which].who != ANY && self->core != machine.core)
		return false;
	return moves[which].who != GUEST || self->run == VCPU_READY;
}

/* True: what comes in between goes on with the next record. */
static bool step(bool inner)
{
	u32 which = input_below(ARRAY_SIZE(moves)), how = input_byte();
	struct vcpu *was = self;
	u32 was_me = me;

	self = choose(how);
	me = self->vm->id;
	if (moves[which].who == GUEST && !machine_runs(me))
		which = ARRAY_SIZE(moves);
	else if (!may_move(which, inner))
		which = ARRAY_SIZE(moves);
	if (which < ARRAY_SIZE(moves)) {
		inside = inner;
		if (!inner) {
			machine_on(moves[which].who == ANY ? how >> 3 & 1 : self->core);
			begin_outer(how);
		}
		make_move(which);
		if (!inner)
			end_outer();
		follow();
		inside = false;
	}
	if (inner) {
		self = was;
		me = was_me;
	}
	return how >> 7;
}

static void check(void)
{
	events_settle();
	events_check();
	sources_check();
	grants_check();
	requests_check();
	commands_check();
	nodes_check();
	upcalls_check();
}

/* Every VM ends, and the disks get done: nothing is left. */
static void finish(void)
{
	events_loose();
	for (u32 device = 0; device < MACHINE_DEVICES; device++)
		while (disk_request(device, 0))
			disk_complete(device, 0, false);
	commands_finish();
	for (u32 device = 0; device < MACHINE_DEVICES; device++)
		while (disk_request(device, 0))
			disk_complete(device, 0, false);
	sources_settle();
	check();
	requests_check_done();
	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++) {
		vm_command(machine.vm[vm], VM_STOP, VM_ANY_LIFE);
		machine_on(machine.vm[vm]->vcpu[0]->core);
		while (machine_vm_step(vm))
			;
		assert_int_equal(machine.vm[vm]->state, VM_OFF);
		assert_true(ipc_vm_idle(machine.vm[vm]));
		for (u32 i = 0; i < MACHINE_VMS - 1; i++)
			events_lie(i);
	}
	learn();
	check();
	for (u32 core = 0; core < MACHINE_CORES; core++) {
		machine_on(core);
		machine_wait(UINT64_MAX - 1 - machine.now);
	}
	upcalls_check_done();
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	input_set(data, bytes);
	memset(&outer, 0, sizeof(outer));
	upcalls_reset();
	machine_make();
	events_reset();
	grants_reset();
	requests_reset();
	commands_reset();
	nodes_reset();
	sources_reset();
	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++)
		lives[vm] = 1;
	self = machine.vm[0]->vcpu[0];
	for (u32 i = 0; i < STEPS_MAX && input_next(); i++) {
		step(false);
		check();
	}
	finish();
	machine_free();
	return 0;
}
