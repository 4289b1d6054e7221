/* Two VMs in tests of their lives (life_vms.h). */
#include "life_vms.h"

#include <string.h>
#include <weir/block.h>
#include "hvc.h"
#include "core/fault.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/machine.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "core/vdev/virtio.h"
#include "drivers/block_device.h"

#define STEPS_MAX 1000u

struct life_vms machine;

static struct vcpu *running;

/* ---- The device: takes QUEUE requests, and is done with them when the test says so. ------------- */

static struct block_request *queue[QUEUE];
u32 queued;

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

void device_finish_one(void)
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
	assert_true(vm->vcpu[0]->turns == TURNS_VM);
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

u32 scrubs;
u64 scrubbed[VCPUS * 16];

void fake_note(const char *what, u64 address)
{
	if (!strcmp(what, "scrub"))
		scrubbed[scrubs++ % ARRAY_SIZE(scrubbed)] = address;
}

static void **place(const struct vcpu *vcpu)
{
	return (void **)&machine.loaded[vcpu->vm->id][vcpu->index];
}

void sched_again(void)
{
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
	vcpu->ending = *place(vcpu) && (vcpu->ending || ending);
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

void guest_tree_reseed(const struct guest_seed seed[GUEST_SEEDS])
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

void leave(struct vcpu *vcpu)
{
	*place(vcpu) = 0;
	if (!vcpu->ending)
		return;
	vcpu->ending = false;
	vm_vcpu_left(vcpu->vm);
}

bool turn(struct vm *vm)
{
	struct vcpu *first = vm->vcpu[0];

	if (first->turns != TURNS_VM || first->run != VCPU_READY)
		return false;
	*place(first) = first;
	vm_step(vm);
	leave(first);
	return true;
}

u32 turns(struct vm *vm)
{
	u32 count = 0;

	while (turn(vm))
		assert_true(++count < STEPS_MAX);
	return count;
}

void enter(struct vm *vm)
{
	assert_int_equal(vm->state, VM_RUNNING);
	for (u32 i = 0; i < VCPUS; i++) {
		vm->vcpu[i]->run = VCPU_RUNNING;
		*place(vm->vcpu[i]) = vm->vcpu[i];
	}
}

void all_leave(struct vm *vm)
{
	for (u32 i = 0; i < VCPUS; i++)
		if (*place(vm->vcpu[i]))
			leave(vm->vcpu[i]);
}

void command(struct vm *vm, enum vm_command what)
{
	assert_int_equal(vm_command(vm, what, VM_ANY_LIFE), WEIR_OK);
	all_leave(vm);
}

void settle(struct vm *vm)
{
	turns(vm);
	while (queued)
		device_finish_one();
	turns(vm);
}

struct weir_pages run(struct vm *vm, u32 index)
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
					.talks = BIT(1 - id),
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

int machine_make(void **state)
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

void assert_runs_anew(struct vm *vm, u64 life)
{
	assert_int_equal(vm->state, VM_RUNNING);
	assert_int_equal(vm->life, life);
	assert_int_equal(vm->passed, DEVICES);
	assert_true(vm->vcpu[0]->turns == TURNS_GUEST);
	assert_int_equal(vm->vcpu[0]->power, VCPU_ON);
	assert_int_equal(vm->vcpu[1]->power, VCPU_OFF);
	assert_int_equal(vm->vcpu[0]->run, VCPU_READY);
	assert_int_equal(vm->vcpu[1]->run, VCPU_STOPPED);
	assert_true(vm->vcpu[0]->restart);
}

u32 fill_slots(struct vm *vm, u32 index)
{
	u32 accepted = 0;

	run(vm, index);
	while (weir_block_submit(0, WEIR_BLOCK_READ, accepted, 1, (void *)VM_RAM_BASE, accepted) ==
	       WEIR_OK)
		accepted++;
	return accepted;
}

int machine_end(void **state)
{
	(void)state;
	machine_free();
	return 0;
}
