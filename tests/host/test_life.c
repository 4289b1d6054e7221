/*
 * The life of a VM: what a command does in each state and at each step, and that nothing is left of a
 * life: all tables, byte by byte, as after the first.
 *
 * The scheduler here is the test: turn(vm) is a turn of a VM's vCPU 0, and says what comes next.
 *
 * Sources: core/life.c core/timeout.c core/base/log.c drivers/block_device.c
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c ipc/block.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c tests/host/fake/stage2.c
 * Sources: tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/fake/panic.c
 * Sources: tests/host/fake/cache.c tests/host/fake/gic_pend.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/block.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/manage.h>
#include <weir/upcall.h>
#include "fake.h"
#include "hvc.h"
#include "soak.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/fault.h"
#include "core/life.h"
#include "core/machine.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"
#include "drivers/block_device.h"
#include "ipc/event.h"
#include "ipc/ipc.h"

#define VMS	   2u
#define VCPUS	   2u
#define POOL_PAGES 70u
#define RAM_BYTES  ((POOL_PAGES + 4ul) * PAGE_SIZE)
#define WINDOW	   66u /* pages */
#define DEVICES	   2
#define FILL_STEPS 3u
#define QUEUE	   16u /* requests that the device takes */
#define STEPS_MAX  1000u
#define PIECES	   256u
#define KINDS	   8u /* of lives: live_once() */

static struct {
	struct manifest manifest;
	struct manifest_vm config[VMS];
	struct manifest_channel channel[2];
	struct manifest_disk disk;
	struct vm vm[VMS];
	struct vcpu vcpu[VMS][VCPUS];
	struct vcpu *loaded[VMS][VCPUS]; /* each vCPU has a core to itself */
	u32 seeds, offs, resets;
} machine;

static struct vm *const a = &machine.vm[0], *const b = &machine.vm[1];
static struct vcpu *running;

/* ---- The device: takes QUEUE requests, and is done with them when the test says so. ------------- */

static struct block_request *queue[QUEUE];
static u32 queued;

static enum weir_status device_submit(struct block_device *device, struct block_request *request)
{
	(void)device;
	if (queued == QUEUE)
		return WEIR_AGAIN;
	queue[queued++] = request;
	return WEIR_OK;
}

static const struct block_device_ops device_ops = { .submit = device_submit };
static struct block_device device = { .ops = &device_ops,
				      .name = "disk",
				      .sectors = 1000,
				      .max_segments = 1,
				      .max_segment_bytes = 1 << 20 };

/* With the interrupt of it, which makes room for others. */
static void device_finish_one(void)
{
	struct block_request *request = queue[0];

	memmove(&queue[0], &queue[1], --queued * sizeof(queue[0]));
	request->done(request, WEIR_OK);
	do
		block_device_room(&device);
	while (fake_gic_take(device.intid));
}

/* ---- What is below and beside life.c ------------------------------------------------------------- */

u32 vm_count(void)
{
	return VMS;
}

struct vm *vm_get(u32 id)
{
	return id < VMS ? &machine.vm[id] : 0;
}

u64 vm_pool_base(const struct vm *vm)
{
	return VM_RAM_BASE + vm->ram_bytes - vm->pool_bytes;
}

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	u64 offset = ipa.raw - VM_RAM_BASE;

	if (offset >= vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

/* Devices are given and taken while no vCPU runs. */
bool passthrough_step(struct vm *vm, bool give)
{
	assert_true(vm->stepping);
	assert_int_equal(give, vm->state != VM_DYING);
	if (vm->passed == (give ? vm->config->passed_count : 0))
		return false;
	vm->passed += give ? 1 : -1u;
	return true;
}

/* RAM must not be filled while a device may write to it. */
bool vm_fill_step(const struct vm *vm, u64 *filled)
{
	assert_true(ipc_vm_idle(vm));
	return (*filled)++ < FILL_STEPS;
}

/* Scrubs of a page of the heap. */
static u32 scrubs;
static u64 scrubbed[VCPUS * 16];

void fake_note(const char *what, u64 address)
{
	if (!strcmp(what, "scrub"))
		scrubbed[scrubs++ % ARRAY_SIZE(scrubbed)] = address;
}

static void **place(const struct vcpu *vcpu)
{
	return (void **)&machine.loaded[vcpu->vm->id][vcpu->index];
}

void sched_start(struct vcpu *vcpu)
{
	assert_int_equal(vcpu->run, VCPU_STOPPED);
	assert_null(*place(vcpu));
	vcpu->run = VCPU_READY;
}

bool sched_stop(struct vcpu *vcpu, bool ending)
{
	vcpu->run = VCPU_STOPPED;
	vcpu->ending = *place(vcpu) && ending;
	return !*place(vcpu);
}

void vgic_pend(struct vcpu *vcpu, u32 intid)
{
	(void)vcpu;
	(void)intid;
}

void vgic_init(struct vm *vm)
{
	for (u32 i = 0; i < VCPUS; i++)
		assert_null(machine.loaded[vm->id][i]);
	machine.resets++;
}

void vuart_reset(struct vm *vm)
{
	(void)vm;
}

void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	(void)vm;
	(void)intid;
	(void)level;
}

bool fault_report(struct vm *vm)
{
	(void)vm;
	return false;
}

void vuart_flush(struct vm *vm)
{
	(void)vm;
}

void stage2_forget(const struct stage2 *tables)
{
	(void)tables;
}

void guest_tree_reseed(struct guest_seed seed)
{
	(void)seed;
	machine.seeds++;
}

void machine_off(void)
{
	machine.offs++;
}

struct weir_result weir_call(u32 function, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
	const u64 registers[] = { function, a1, a2, a3, a4, a5, a6 };
	u64 *x = running->arch.x;

	assert_int_equal(running->vm->state, VM_RUNNING);
	memcpy(x, registers, sizeof(registers));
	fake_hvc(running);
	return (struct weir_result){ .status = (s64)x[0], .value = { x[1], x[2], x[3] } };
}

/* ---- The scheduler: turns ---------------------------------------------------------------------- */

static void leave(struct vcpu *vcpu)
{
	*place(vcpu) = 0;
	if (!vcpu->ending)
		return;
	vcpu->ending = false;
	vm_vcpu_left(vcpu->vm);
}

/* A step of the VM, if its vCPU 0 has some to do; false: it has not. */
static bool turn(struct vm *vm)
{
	struct vcpu *first = vm->vcpu[0];

	if (!vm->stepping || first->run != VCPU_READY)
		return false;
	*place(first) = first;
	vm_step(vm);
	leave(first);
	return true;
}

static u32 turns(struct vm *vm)
{
	u32 count = 0;

	while (turn(vm))
		assert_true(++count < STEPS_MAX);
	return count;
}

/* The guest is there: its vCPUs run on their cores. */
static void enter(struct vm *vm)
{
	assert_int_equal(vm->state, VM_RUNNING);
	for (u32 i = 0; i < VCPUS; i++) {
		vm->vcpu[i]->run = VCPU_RUNNING;
		*place(vm->vcpu[i]) = vm->vcpu[i];
	}
}

static void all_leave(struct vm *vm)
{
	for (u32 i = 0; i < VCPUS; i++)
		if (*place(vm->vcpu[i]))
			leave(vm->vcpu[i]);
}

static void command(struct vm *vm, enum vm_command what)
{
	assert_int_equal(vm_command(vm, what, VM_ANY_LIFE), WEIR_OK);
	all_leave(vm);
}

/* All that there is to do is done. */
static void settle(struct vm *vm)
{
	turns(vm);
	while (queued)
		device_finish_one();
	turns(vm);
}

static struct weir_pages run(struct vm *vm, u32 index)
{
	struct weir_pages pages;

	running = vm->vcpu[index];
	pages.in = (struct weir_in *)(uintptr_t)running->ipc->in;
	pages.out = running->ipc->out;
	pages.event_rings = (const u32 *)(running->ipc->out + 1);
	pages.event_slots = running->ipc->out->event_slots;
	return pages;
}

/* ---- The machine ------------------------------------------------------------------------------- */

static void *no_tables(void)
{
	return 0;
}

static void make_vm(struct vm *vm, const char *name)
{
	u32 id = (u32)(vm - machine.vm);
	struct manifest_vm *config = &machine.config[id];

	*config = (struct manifest_vm){ .name = name,
					.rights = RIGHT_MANAGE,
					.vcpus = VCPUS,
					.memory_bytes = RAM_BYTES,
					.shared_bytes = POOL_PAGES * PAGE_SIZE,
					.window_bytes = WINDOW * PAGE_SIZE,
					.ports = 128,
					.disk_count = 1,
					.writable_disk_count = 1,
					.passed_count = DEVICES,
					.on_fault = ON_FAULT_RESTART };
	vm->config = config;
	vm->id = id;
	vm->ram = PA((id + 1ul) << 32);
	vm->ram_bytes = RAM_BYTES;
	vm->ram_ipa = VM_RAM_BASE;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	vm->vcpu_count = VCPUS;
	stage2_init(&vm->stage2, id + 1, no_tables);
	stage2_make_tables(&vm->stage2, IPA(VM_WINDOW_BASE), vm->window_bytes);
	stage2_map(&vm->stage2, IPA(VM_RAM_BASE), vm->ram, vm->ram_bytes, STAGE2_RAM, false);
	for (u32 i = 0; i < VCPUS; i++) {
		vm->vcpu[i] = &machine.vcpu[id][i];
		vm->vcpu[i]->vm = vm;
		vm->vcpu[i]->index = i;
	}
}

static void machine_free(void)
{
	/* life.c counts those that are not off. */
	for (u32 i = 0; i < VMS; i++) {
		if (!machine.vm[i].life)
			continue;
		command(&machine.vm[i], VM_STOP);
		settle(&machine.vm[i]);
	}
	memset(&machine, 0, sizeof(machine));
	fake_heap_reset();
	fake_stage2_reset();
	fake_log_reset();
	fake_cache_reset();
}

/* Two VMs with two channels and a disk, which run. */
static int machine_make(void **state)
{
	(void)state;
	machine_free();
	if (!block_device_count())
		block_device_add(&device);
	make_vm(a, "a");
	make_vm(b, "b");
	machine.channel[0] = (struct manifest_channel){ .name = "one", .end = { 0, 1 } };
	machine.channel[1] = (struct manifest_channel){ .name = "two", .end = { 1, 0 } };
	machine.manifest = (struct manifest){ .vm = machine.config,
					      .vm_count = VMS,
					      .channel = machine.channel,
					      .channel_count = 2,
					      .disk = &machine.disk,
					      .disk_count = 1 };
	machine.disk.name = "disk";
	timeout_init_core();
	ipc_vm_create(a, &machine.manifest);
	ipc_vm_create(b, &machine.manifest);
	ipc_connect(&machine.manifest);
	vm_start_all(false);
	turns(a);
	turns(b);
	enter(a);
	enter(b);
	return 0;
}

static void assert_runs_anew(struct vm *vm, u64 life)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->life, life);
	assert_int_equal(vm->passed, DEVICES);
	assert_false(vm->stepping);
	assert_int_equal(vm->vcpu[0]->power, VCPU_ON);
	assert_int_equal(vm->vcpu[1]->power, VCPU_OFF);
	assert_int_equal(vm->vcpu[0]->run, VCPU_READY);
	assert_int_equal(vm->vcpu[1]->run, VCPU_STOPPED);
	assert_true(vm->vcpu[0]->restart);
}

/* ---- Commands in each state and at each step -------------------------------------------------------- */

TEST(each_way_from_running_leads_where_it_says)
{
	vm_stop(a, VM_END_RESET);
	all_leave(a);
	settle(a);
	assert_runs_anew(a, 2);
	enter(a);
	vm_stop(a, VM_END_FAULT);
	all_leave(a);
	settle(a);
	assert_runs_anew(a, 3);
	enter(a);
	vm_stop(a, VM_END_OFF);
	vm_stop(a, VM_END_RESET); /* too late */
	all_leave(a);
	settle(a);
	assert_int_equal(a->state, VM_OFF);
	command(a, VM_RESTART);
	assert_int_equal(a->state, VM_BUILDING);
	settle(a);
	assert_runs_anew(a, 4);
	assert_int_equal(machine.seeds, 5);
}

TEST(on_fault_halt_is_off_and_stop_machine_stops_it)
{
	machine.config[0].on_fault = ON_FAULT_HALT;
	vm_stop(a, VM_END_FAULT);
	all_leave(a);
	settle(a);
	assert_int_equal(a->state, VM_OFF);
	assert_int_equal(a->passed, 0);
	assert_int_equal(machine.offs, 0);
	machine.config[1].on_fault = ON_FAULT_STOP_MACHINE;
	vm_stop(b, VM_END_FAULT);
	assert_int_equal(machine.offs, 1);
}

TEST(a_vm_begins_to_close_when_its_last_vcpu_has_left)
{
	assert_int_equal(vm_command(a, VM_STOP, 1), WEIR_OK);
	assert_int_equal(a->state, VM_DYING);
	assert_false(turn(a));
	leave(a->vcpu[1]);
	assert_false(turn(a));
	leave(a->vcpu[0]);
	assert_true(turn(a));
	settle(a);
	assert_int_equal(a->state, VM_OFF);
}

TEST(a_life_that_is_over_is_stale_and_a_start_of_what_runs_is_busy)
{
	assert_int_equal(vm_command(a, VM_START, 1), WEIR_BUSY);
	command(a, VM_RESTART);
	assert_int_equal(vm_command(a, VM_START, 1), WEIR_BUSY);
	turns(a);
	for (u32 what = VM_START; what <= VM_RESTART; what++) {
		assert_int_equal(vm_command(a, (enum vm_command)what, 1), WEIR_STALE);
		assert_int_equal(vm_command(a, (enum vm_command)what, 3), WEIR_STALE);
	}
	assert_runs_anew(a, 2);
}

/* `steps` after the first command comes the second; false: all was over by then. */
static bool command_again(enum vm_command first, u32 steps, enum vm_command second)
{
	u64 life;

	machine_make(0);
	command(a, first);
	for (u32 i = 0; i < steps; i++)
		if (!turn(a))
			return false;
	life = a->life;
	assert_int_equal(vm_command(a, second, life), WEIR_OK);
	all_leave(a);
	settle(a);
	if (second == VM_STOP)
		assert_int_equal(a->state, VM_OFF);
	else
		assert_runs_anew(a, life + 1);
	assert_int_equal(a->ending, 0);
	return true;
}

TEST(the_last_command_counts_at_each_step)
{
	for (u32 pair = 0; pair < 4; pair++) {
		u32 steps = 0;

		while (command_again(pair & 1 ? VM_STOP : VM_RESTART, steps,
				     pair & 2 ? VM_STOP : VM_RESTART))
			steps++;
		assert_true(steps > 5);
	}
}

TEST(a_vm_that_is_built_for_the_first_time_is_stopped_at_each_step)
{
	for (u32 steps = 0; steps < FILL_STEPS; steps++) {
		machine_make(0);
		command(a, VM_STOP);
		settle(a);
		command(a, VM_START);
		for (u32 i = 0; i < steps; i++)
			assert_true(turn(a));
		assert_int_equal(a->state, VM_BUILDING);
		command(a, VM_STOP);
		settle(a);
		assert_int_equal(a->state, VM_OFF);
		command(a, VM_START);
		settle(a);
		assert_runs_anew(a, 3);
	}
}

TEST(the_last_that_is_off_powers_off_and_none_before)
{
	command(a, VM_STOP);
	settle(a);
	command(a, VM_START);
	command(b, VM_STOP);
	settle(b);
	assert_int_equal(machine.offs, 0);
	settle(a);
	enter(a);
	command(a, VM_STOP);
	settle(a);
	assert_int_equal(machine.offs, 1);
}

/* ---- Requests in flight ---------------------------------------------------------------------------- */

/* Reads into RAM until there is no slot left; more than the device takes. */
static u32 fill_slots(struct vm *vm, u32 index)
{
	u32 accepted = 0;

	run(vm, index);
	while (weir_block_submit(0, WEIR_BLOCK_READ, accepted, 1, (void *)VM_RAM_BASE, accepted) ==
	       WEIR_OK)
		accepted++;
	return accepted;
}

TEST(a_vm_is_not_off_nor_rebuilt_before_the_device_is_done)
{
	for (u32 again = 0; again < 2; again++) {
		machine_make(0);
		assert_int_equal(fill_slots(a, 0), WEIR_COMPLETIONS);
		assert_int_equal(queued, QUEUE);
		command(a, again ? VM_RESTART : VM_STOP);
		turns(a);
		/* Those that waited are dropped, those that it has are not. */
		assert_int_equal(queued, QUEUE);
		while (queued) {
			assert_int_equal(a->state, VM_DYING);
			assert_int_equal(vm_command(a, VM_START, VM_ANY_LIFE), WEIR_BUSY);
			device_finish_one();
		}
		assert_int_equal(a->state, again ? VM_REBUILDING : VM_OFF);
		assert_int_equal(run(a, 0).out->completion_tail, 0);
	}
}

TEST(a_command_while_the_device_has_a_request_counts)
{
	fill_slots(a, 0);
	command(a, VM_STOP);
	turns(a);
	assert_int_equal(vm_command(a, VM_RESTART, VM_ANY_LIFE), WEIR_OK);
	assert_int_equal(a->state, VM_DYING);
	settle(a);
	assert_runs_anew(a, 2);
}

TEST(a_vm_is_not_rebuilt_before_all_is_closed_whenever_the_device_is_done)
{
	u32 steps = 0;

	do {
		machine_make(0);
		fill_slots(a, 0);
		command(a, VM_RESTART);
		for (u32 i = 0; i < steps; i++)
			assert_true(turn(a));
		while (queued)
			device_finish_one();
		assert_true(a->state == VM_REBUILDING || a->stepping);
		assert_true(a->state == VM_DYING || a->dying == DYING_CLOSED);
		steps++;
	} while (a->state == VM_DYING);
	assert_true(steps > 5);
	settle(a);
	assert_runs_anew(a, 2);
}

/* ---- Nothing is left of a life ----------------------------------------------------------------------- */

struct snapshot {
	u32 count;
	const u8 *memory[PIECES];
	u8 *copy[PIECES];
	u64 bytes[PIECES];
};

static void copy_piece(void *memory, u64 bytes, void *arg)
{
	struct snapshot *snapshot = arg;
	u32 i = snapshot->count++;

	assert_true(i < PIECES);
	snapshot->memory[i] = memory;
	snapshot->bytes[i] = bytes;
	snapshot->copy[i] = malloc(bytes);
	memcpy(snapshot->copy[i], memory, bytes);
}

/* A word that counts lives, calls or who had a lock: another one each time. */
static void except(struct snapshot *snapshot, const void *word, u64 bytes)
{
	for (u32 i = 0; i < snapshot->count; i++) {
		u64 offset = (u64)((const u8 *)word - snapshot->memory[i]);

		if ((const u8 *)word >= snapshot->memory[i] && offset < snapshot->bytes[i]) {
			memset(snapshot->copy[i] + offset, 0, bytes);
			return;
		}
	}
	fail_msg("not in the heap");
}

static void except_counts(struct snapshot *snapshot, const struct vm *vm)
{
	const struct vm_ipc *ipc = vm->ipc;

	for (u32 i = 0; i < ipc->event.port_count; i++)
		except(snapshot, &ipc->event.port[i].handle, sizeof(u64));
	for (u32 i = 0; i < ipc->grant.pool_pages; i++)
		except(snapshot, &ipc->grant.grant[i].generation, sizeof(u64));
	except(snapshot, &ipc->upcall.ends, sizeof(u64));
	except(snapshot, &ipc->event.lock, sizeof(struct spinlock));
	except(snapshot, &ipc->grant.lock, sizeof(struct spinlock));
	for (u32 i = 0; i < ipc->block.disk_count; i++)
		except(snapshot, &vm->virtio[i]->lock, sizeof(struct spinlock));
	for (u32 i = 0; i < VCPUS; i++) {
		const struct vcpu_ipc *vcpu = vm->vcpu[i]->ipc;

		except(snapshot, &vcpu->results, sizeof(vcpu->results));
		except(snapshot, &vcpu->upcall.life, sizeof(u64));
		except(snapshot, &vcpu->block.lock, sizeof(struct spinlock));
		except(snapshot, &vcpu->submit.lock, sizeof(struct spinlock));
	}
}

static struct snapshot take(void)
{
	struct snapshot snapshot = { 0 };

	fake_heap_each(copy_piece, &snapshot);
	except_counts(&snapshot, a);
	except_counts(&snapshot, b);
	return snapshot;
}

static void drop(struct snapshot *snapshot)
{
	for (u32 i = 0; i < snapshot->count; i++)
		free(snapshot->copy[i]);
}

static void assert_same(const struct snapshot *first, const struct snapshot *now)
{
	assert_int_equal(first->count, now->count);
	for (u32 i = 0; i < first->count; i++)
		assert_memory_equal(first->copy[i], now->copy[i], first->bytes[i]);
}

/* All of the sharer's pool but what does not fit into the window of the other, who maps it. */
static void share_and_map(struct vm *from, struct vm *to, const char *channel)
{
	struct weir_pages pages = run(from, 0);
	weir_handle ours, theirs, grant = 0, small = 0;

	assert_int_equal(weir_port_find(&pages, channel, &ours), WEIR_OK);
	assert_int_equal(weir_grant_share(ours, 0, 64, WEIR_READ_WRITE, &grant), WEIR_OK);
	assert_int_equal(weir_grant_share(ours, 64, 2, WEIR_READ, &small), WEIR_OK);
	assert_int_equal(weir_port_publish(ours, grant), WEIR_OK);
	pages = run(to, 0);
	assert_int_equal(weir_port_find(&pages, channel, &theirs), WEIR_OK);
	assert_int_equal(weir_grant_map(theirs, grant, 0, 0, 0), WEIR_OK);
	assert_int_equal(weir_grant_map(theirs, small, 64, 0, 0), WEIR_OK);
	assert_int_equal(weir_event_send(theirs), WEIR_OK);
}

/* What the guest leaves behind is another thing in each life: `mark`. */
static void use_all(struct vm *vm, u32 completed, u8 mark)
{
	struct weir_pages pages = run(vm, 0);
	weir_handle port;

	pages.in->event_head[0] = pages.out->event_tail[0]; /* or its port could not be bound */
	pages = run(vm, 1);
	assert_int_equal(weir_port_find(&pages, "two", &port), WEIR_OK);
	assert_int_equal(weir_port_bind(port, 1, 3), WEIR_OK);
	assert_int_equal(weir_upcall_register(1u << WEIR_SERVICE_PING), WEIR_OK);
	memset(pages.in, mark, sizeof(*pages.in));
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(fill_slots(vm, i), WEIR_COMPLETIONS);
	while (completed--)
		device_finish_one();
}

/* Both end, in either order and way; then both are as new. */
static void live_once(u64 turn_number)
{
	struct vm *first = turn_number & 1 ? a : b, *last = turn_number & 1 ? b : a;

	enter(a);
	enter(b);
	share_and_map(a, b, "one");
	share_and_map(b, a, "two");
	use_all(first, turn_number & 2 ? 20 : 0, (u8)(turn_number * 7 | 1));
	command(first, turn_number & 4 ? VM_STOP : VM_RESTART);
	settle(first);
	if (turn_number & 4) {
		command(first, VM_START);
		settle(first);
	}
	command(last, VM_RESTART);
	settle(last);
	/* The one that was there heard of the other's end; so once more, in one order. */
	enter(a);
	enter(b);
	command(a, VM_RESTART);
	settle(a);
	command(b, VM_RESTART);
	settle(b);
}

static void assert_nothing_is_mapped(const struct vm *vm)
{
	/* But its RAM and its own shared pages. */
	assert_int_equal(fake_stage2_pages(&vm->stage2),
			 (RAM_BYTES + ipc_shared_bytes(vm->config)) / PAGE_SIZE);
	assert_int_equal(vm->ending, 0);
	assert_false(vm->stepping);
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(vm->vcpu[i]->ipc->block.free, UINT64_MAX);
}

TEST(all_tables_are_after_each_life_as_after_the_first)
{
	u64 lives = soak_count(1000, 10000);
	struct snapshot first[KINDS], now;
	u64 allocations = fake_heap_allocations();

	command(a, VM_RESTART); /* so that each of them has been rebuilt once */
	settle(a);
	command(b, VM_RESTART);
	settle(b);
	/* A free slot keeps what its last request was; so each kind of life comes once before. */
	for (u32 kind = 0; kind < KINDS; kind++)
		live_once(kind);
	for (u32 kind = 0; kind < KINDS; kind++) {
		live_once(kind);
		first[kind] = take();
	}
	for (u64 life = 0; life < lives; life++) {
		live_once(life);
		assert_nothing_is_mapped(a);
		assert_nothing_is_mapped(b);
		now = take();
		assert_same(&first[life % KINDS], &now);
		drop(&now);
		fake_log_reset();
		fake_cache_reset();
	}
	for (u32 kind = 0; kind < KINDS; kind++)
		drop(&first[kind]);
	assert_int_equal(fake_heap_allocations(), allocations);
}

static bool was_scrubbed(const void *page)
{
	for (u32 i = 0; i < min(scrubs, ARRAY_SIZE(scrubbed)); i++)
		if (scrubbed[i] == (u64)page)
			return true;
	return false;
}

/* Zero also for a guest whose MMU is off, and who reads past the caches: "scrub" in core/memory.h. */
TEST(pages_that_the_guest_sees_begin_each_life_as_zeroes_in_memory)
{
	u32 pages;

	pages = 2 + (u32)(event_ring_bytes(a->config) / PAGE_SIZE);
	scrubs = 0;
	command(a, VM_RESTART);
	settle(a);
	assert_int_equal(scrubs, VCPUS * pages + 1);
	for (u32 i = 0; i < VCPUS; i++)
		for (u32 page = 0; page < pages; page++)
			assert_true(
				was_scrubbed((const u8 *)a->vcpu[i]->ipc->in + page * PAGE_SIZE));
	assert_true(was_scrubbed(a->ipc->grant.scratch));
}

static int machine_end(void **state)
{
	(void)state;
	machine_free();
	return 0;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_way_from_running_leads_where_it_says),
		CASE(on_fault_halt_is_off_and_stop_machine_stops_it),
		CASE(a_vm_begins_to_close_when_its_last_vcpu_has_left),
		CASE(a_life_that_is_over_is_stale_and_a_start_of_what_runs_is_busy),
		CASE(the_last_command_counts_at_each_step),
		CASE(a_vm_that_is_built_for_the_first_time_is_stopped_at_each_step),
		CASE(the_last_that_is_off_powers_off_and_none_before),
		CASE(a_vm_is_not_off_nor_rebuilt_before_the_device_is_done),
		CASE(a_command_while_the_device_has_a_request_counts),
		CASE(a_vm_is_not_rebuilt_before_all_is_closed_whenever_the_device_is_done),
		CASE(pages_that_the_guest_sees_begin_each_life_as_zeroes_in_memory),
		CASE(all_tables_are_after_each_life_as_after_the_first),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
