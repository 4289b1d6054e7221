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
 * Sources: tests/fuzz/requests.c tests/fuzz/commands.c tests/fuzz/nodes.c tests/fuzz/input.c
 * Sources: tests/host/fake/heap.c tests/host/fake/stage2.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/store.h>
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
#include "ipc/grant.h"
#include "ipc/store_node.h"
#include "ipc/submit.h"
#include "ipc/upcall.h"
#include <weir/submit.h>

#define STEPS_MAX 2000u
#define MARK	  0xdead0000ul /* what the guest has in the registers behind the arguments */
#define ANSWERS	  (1u << -WEIR_FAULT)
#define QUESTIONS 4096u

static struct {
	u32 gaps; /* so many times a lock is about to be taken before the other core comes in */
	bool wanted, happened;
} outer;

static struct {
	u32 asked, answered;
	bool over[QUESTIONS];
} upcalls;

static bool returning; /* the answer of a guest */

static bool step(bool inner);
static void follow(void);

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
static bool inside;	       /* this step came in between another */

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

/* Around what has effects one by one, and is no call. */
static void begin_parts(void)
{
	events_loose();
	events_begin_blind();
}

static void end_parts(void)
{
	events_end_blind();
	if (outer.happened && !inside)
		learn();
}

static void move_info(void)
{
	u32 byte = input_byte();
	u64 x[] = { byte < 248 ? byte & 3 : input_word() };
	const struct vm *vm = self->vm;
	u32 errors = 0;

	if (x[0] >= vm->config->disk_count)
		errors = 1u << -WEIR_NOT_FOUND;
	else if (!vm->ipc->block.disk[x[0]].device)
		errors = 1u << -WEIR_IO;
	if (call(WEIR_FN_BLOCK_INFO, x, 1, junk(), errors, 0))
		assert_int_equal(self->arch.x[1], vm->ipc->block.disk[x[0]].sectors);
}

/* Somewhere in RAM, mostly in the pool; or around its ends. */
static u64 some_buffer(void)
{
	u32 place = input_below(65536);
	u64 sectors = self->vm->ram_bytes / WEIR_SECTOR_SIZE;

	if (place < 0xf000)
		return VM_RAM_BASE + place % sectors * WEIR_SECTOR_SIZE;
	if (place < 0xf800)
		return VM_RAM_BASE + (sectors - (place & 15)) * WEIR_SECTOR_SIZE + (place >> 4 & 1);
	if (place < 0xfc00)
		return VM_RAM_BASE - (place & 3) * WEIR_SECTOR_SIZE;
	if (place < 0xfe00)
		return VM_WINDOW_BASE;
	return BIT(place & 63);
}

/* A disk that is broken answers at once. */
static void submit(const u64 x[6], u32 errors, u32 maybe)
{
	bool broken = maybe >> -WEIR_IO & 1;

	if (broken)
		begin_parts();
	if (call(WEIR_FN_BLOCK_SUBMIT, &x[1], 5, 0, errors, maybe))
		requests_accepted(self, x[5]);
	if (broken)
		end_parts();
}

static void move_submit(void)
{
	u32 what = input_byte(), maybe = 0, errors, byte;
	u64 x[6] = { 0 };

	/* As x1 to x5, for the registers' numbers. */
	x[1] = what < 240 ? (what & 3) | (what >> 2) % 3 << 8 : BIT(what - 240) | (what & 3) << 8;
	if (x[1] >> 8 != WEIR_BLOCK_FLUSH || what & 0x80) {
		byte = input_byte();
		x[2] = byte < 128 ? byte : byte < 224 ? 490 + (byte & 31) : input_word();
		byte = input_byte();
		x[3] = byte < 192 ? byte & 31 : byte < 250 ? byte - 180 : BIT(10 * (byte - 250));
		x[4] = some_buffer();
	}
	x[5] = requests_cookie();
	errors = requests_submit_errors(self, x, &maybe);
	submit(x, errors, maybe);
}

/* Many at a time, until there is no slot left. */
static void move_submit_many(void)
{
	u64 x[6] = { 0, WEIR_BLOCK_FLUSH << 8, 0, 0, 0, 0 };

	for (u32 times = 1 + (input_byte() & 63); times; times--) {
		u32 maybe = 0, errors = requests_submit_errors(self, x, &maybe);

		x[5] = requests_cookie();
		submit(x, errors, maybe);
	}
}

/* ---- The store ---- */

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
		sources_after_store(self, STORE_TELL_CALL,
				    done && function == WEIR_FN_STORE_ALLOW ? touched : 0);
	if (sure && function == WEIR_FN_STORE_WATCH_NEXT && (s64)self->arch.x[0] == WEIR_NOT_FOUND)
		sources_searched(me);
	return done;
}

/* Any call of it; what it tells has to be the VM's to read. */
static void move_store(void)
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

/* ---- The submission ring ---- */

/* RAM, the window, and what lies around them; mostly for a few words. */
static u64 some_place(void)
{
	u32 byte = input_byte();
	u64 place =
		byte & 1 ? VM_WINDOW_BASE + some_page(self->vm->ipc->grant.window_pages) * PAGE_SIZE
			 : align_down(some_buffer(), 8);

	return byte < 240 ? place + (byte & 0xf0) * 8 : place + (byte & 15);
}

static void move_put(void)
{
	u32 byte = input_byte(), size;

	if (byte < 100) {
		commands_put(self, WEIR_COMMAND_EVENT | (byte < 98 ? 0 : input_word() << 8),
			     some_port(), 0);
	} else if (byte < 150) {
		commands_put(self,
			     WEIR_COMMAND_BLOCK | (u64)input_below(4) << 8 |
				     (u64)input_below(4) << 16 | (u64)input_below(32) << 32,
			     byte & 1 ? 0 : input_byte(), byte & 1 ? 0 : some_buffer());
	} else if (byte < 250) {
		size = input_byte();
		size = size < 240 ? size * 8 : size < 250 ? (size - 230) * 1024 : (u32)input_word();
		commands_put(self, WEIR_COMMAND_COPY | (u64)size << 32, some_place(), some_place());
	} else {
		commands_put(self, input_word(), 0, 0);
	}
}

/* No event, for what happened to a port is not known any more. */
static void move_ring_lie(void)
{
	u32 byte = input_byte();
	u64 head = self->ipc->out->submit_head;

	commands_lie(self, byte < 128	? head + (byte & 127)
			   : byte < 192 ? head - (byte & 63)
					: input_word());
}

static void move_ring_call(void)
{
	events_loose();
	commands_before(self);
	call(WEIR_FN_SUBMIT, 0, 0, junk(), 0, 1u << -WEIR_AGAIN | 1);
	commands_after(self, sure);
}

/* A communication core: whatever the VM does. */
static void move_drain(void)
{
	u32 byte = input_byte();
	u64 quantum = byte < 128 ? (byte & 15) * 1024 : UINT64_MAX, used;
	struct vcpu *vcpu = self;

	events_loose();
	commands_before(vcpu);
	used = submit_drain(vcpu, quantum);
	/* In the midst of a call of the vCPU's it is not known how many requests that has. */
	commands_after(vcpu,
		       inside ? !events_are_blind() && vcpu->run != VCPU_RUNNING : !outer.happened);
	if (byte & 64)
		submit_sleep(vcpu);
	assert_true(used == 0 || used < quantum || used - quantum < 2 * PAGE_SIZE);
}

static void move_register(void)
{
	u32 byte = input_byte();
	u64 x[] = { byte < 248 ? byte & 3 : BIT(byte - 246) };
	const struct upcall_vcpu *upcall = &self->ipc->upcall;
	bool open = upcall->open && upcall->life == self->vm->ipc->upcall.ends;

	call(WEIR_FN_UPCALL_REGISTER, x, 1, junk(),
	     (x[0] > 3 ? 1u << -WEIR_INVALID : 0) | (open ? 1u << -WEIR_BUSY : 0), 0);
}

static void move_return(void)
{
	const struct upcall_vcpu *upcall = &self->ipc->upcall;
	bool open = upcall->open && upcall->life == self->vm->ipc->upcall.ends;
	u32 byte = input_byte(), errors = 0;
	u64 x[] = { upcall->sequence, -(u64)(byte & 15) };

	if (byte >= 240)
		x[1] = input_word();
	if ((byte >> 4 & 7) > 5)
		x[0] += (byte >> 4 & 1) * 2 - 1;
	if (x[1] && (x[1] + 12 > 10))
		errors = 1u << -WEIR_INVALID;
	if (!open || x[0] != upcall->sequence)
		errors |= 1u << -WEIR_STALE;
	returning = true;
	call(WEIR_FN_UPCALL_RETURN, x, 2, junk(), errors, 0);
	returning = false;
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

static void move_take(void)
{
	u32 byte = input_byte();

	if (byte & 1) {
		machine.raised[me][self->index][WEIR_INTID_BLOCK] = false;
		while (requests_receive(self))
			;
	} else {
		requests_receive(self);
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

/* ---- What happens to the machine ------------------------------------------------------------- */

static void move_disk(void)
{
	u32 byte = input_byte(), device = byte & 1, count = 0;

	while (disk_request(device, count))
		count++;
	if (!count)
		return;
	begin_parts();
	disk_complete(device, (byte >> 1) % count, byte >> 5 == 7);
	end_parts();
}

static void move_disk_break(void)
{
	if (input_byte() == 1)
		requests_device_broken(input_byte() & 1);
}

static void move_time(void)
{
	static const u64 steps[] = { 1000, 1000000, 5000000, 1000000000, 100000000000 };

	u64 ticks = steps[input_below(ARRAY_SIZE(steps))];

	sources_before_time();
	begin_parts();
	machine_wait(ticks);
	end_parts();
	if (inside || !outer.happened)
		sources_after_time();
}

/* A VM that manages, or would like to; positions and lives that are, were or are to come. */
static void move_manage(void)
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

static void move_vm_info(void)
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
static void move_end(void)
{
	u32 byte = input_byte();

	if ((byte & 15) < 2)
		vm_stop(self->vm, byte & 1 ? VM_END_RESET : VM_END_FAULT);
}

/* A turn of the VM's vCPU 0, or several. What it has revoked, the peer was told. */
static void move_vm_step(void)
{
	const struct grant_vm *table = &self->vm->ipc->grant;
	u32 id = me, times = input_byte() & 1 ? 100 : 1;
	struct grants_told revoked[256], returned[256];
	enum vm_state state;
	bool stepped;

	outer.gaps += input_byte() & 31; /* it has more of them than a call */
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
		if (outer.happened && !inside) {
			learn(); /* in which order they were told is not known */
		} else {
			sources_after_store(machine.vm[id]->vcpu[0], STORE_TELL_STEP, 0);
			follow();
		}
		events_settle();
	}
}

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	bool *over = context;

	assert_false(*over);
	*over = true;
	upcalls.answered++;
	if (returning) /* the status is the service's own */
		return;
	assert_true(status == WEIR_TIMEOUT || status == WEIR_CLOSED);
	for (u32 i = 0; i < 6; i++)
		assert_int_equal(reply[i], 0);
}

static void move_ask(void)
{
	static const u64 argument[4] = { 1, 2, 3, 4 };
	u64 deadline = machine.now + 1000 * (1 + input_byte());
	enum weir_service service = input_byte() & 1;
	bool known = self->ipc->upcall.services >> service & 1 &&
		     self->ipc->upcall.life == self->vm->ipc->upcall.ends;
	enum weir_status status;

	if (upcalls.asked == QUESTIONS)
		return;
	status = upcall_request(self, service, argument, deadline, answered,
				&upcalls.over[upcalls.asked]);
	assert_int_equal(status == WEIR_NOT_FOUND, !known);
	if (status == WEIR_OK)
		upcalls.asked++;
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

/* VMs may have begun a life by any step. */
static void follow(void)
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
	u32 open = 0;

	events_settle();
	events_check();
	sources_check();
	grants_check();
	requests_check();
	commands_check();
	nodes_check();
	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++)
		for (u32 i = 0; i < machine.vm[vm]->vcpu_count; i++) {
			const struct upcall_vcpu *upcall = &machine.vm[vm]->vcpu[i]->ipc->upcall;

			open += upcall->open && upcall->answered == answered;
			assert_int_equal(timeout_pending(&upcall->deadline), upcall->open);
		}
	assert_int_equal(upcalls.asked - upcalls.answered, open);
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
	assert_int_equal(upcalls.asked, upcalls.answered);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	input_set(data, bytes);
	memset(&outer, 0, sizeof(outer));
	memset(&upcalls, 0, sizeof(upcalls));
	returning = false;
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
