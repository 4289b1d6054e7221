/* Three VMs, two cores (machine.h). */
#include "machine.h"

#include <stdlib.h>
#include <string.h>
#include "arch/arm64/cache.h"
#include "arch/arm64/cpu.h"
#include "core/base/log.h"
#include "core/fault.h"
#include "core/life.h"
#include "core/machine.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "drivers/block_device.h"

#define PRIVATE_PAGES 4u
#define HELD_MAX      8u
#define DISK_NOT_HERE 5u

struct machine machine;

static const struct shape {
	const char *name;
	u32 vcpus, core, pool, window, ports;
	u64 upcall_ms;
	u32 disks, writable, disk[3];
} shapes[MACHINE_VMS] = {
	{ "a", 2, 0, 72, 70, 14, 0, 3, 1, { 0, 2, 3 } },
	{ "b", 2, 1, 66, 9, 7, 5, 2, 1, { 1, 0 } },
	{ "c", 1, 0, 3, 4, 4, 0, 1, 1, { 1 } },
	{ "refused", 1, 0, 1, 1, 8, 0, 0, 0, { 0 } },
};

static struct manifest_vm configs[MACHINE_VMS];

/* `lost` has an end that was refused. */
static struct manifest_channel channels[] = {
	{ "ab", { 0, 1 } }, { "ac", { 0, 2 } }, { "lost", { 1, 3 } },
	{ "bc", { 1, 2 } }, { "ba", { 1, 0 } },
};

static struct manifest_disk disks[] = {
	{ .name = "low", .sectors = 500 },
	{ .name = "high", .first_sector = 500 },
	{ .name = "rom", .device = 1 },
	{ .name = "missing", .device = DISK_NOT_HERE },
};

/* ---- What ipc/ calls ------------------------------------------------------------------------- */

u32 vm_count(void)
{
	return MACHINE_VMS;
}

struct vm *vm_get(u32 id)
{
	return id < MACHINE_VMS ? machine.vm[id] : 0;
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

void vgic_pend(struct vcpu *target, u32 intid)
{
	assert_true(intid < 32);
	machine.raised[target->vm->id][target->index][intid] = true;
}

/* ---- What core/life.c calls ------------------------------------------------------------------ */

void vgic_init(struct vm *vm)
{
	memset(machine.raised[vm->id], 0, sizeof(machine.raised[vm->id]));
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

bool passthrough_step(struct vm *vm, bool give)
{
	(void)vm;
	(void)give;
	return false;
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

void guest_tree_reseed(const struct guest_seed seed[GUEST_SEEDS])
{
	(void)seed;
}

void cache_invalidate_instructions(void)
{
}

void stage2_forget(const struct stage2 *tables)
{
	(void)tables;
}

void machine_off(void)
{
	fail_msg("the machine was to stay on");
}

bool vm_fill_step(const struct vm *vm, u64 *filled)
{
	const struct block_request *request;

	for (u32 device = 0; device < MACHINE_DEVICES; device++)
		for (u32 i = 0; (request = disk_request(device, i)); i++)
			if (request->segment_count)
				assert_true(machine_owner(request->segment[0].pa.raw) != vm->id);
	(*filled)++;
	return *filled < 3;
}

void sched_again(void)
{
}

void sched_start(struct vcpu *vcpu)
{
	assert_int_equal(vcpu->run, VCPU_STOPPED);
	vcpu->run = VCPU_READY;
}

bool sched_stop(struct vcpu *vcpu, bool ending)
{
	if (vcpu->run == VCPU_RUNNING) {
		vcpu->ending |= ending;
		return false;
	}
	vcpu->run = VCPU_STOPPED;
	return true;
}

void machine_enter(struct vcpu *vcpu)
{
	assert_int_equal(vcpu->run, VCPU_READY);
	vcpu->run = VCPU_RUNNING;
}

void machine_leave(struct vcpu *vcpu)
{
	bool ending = vcpu->ending;

	vcpu->ending = false;
	vcpu->run = ending ? VCPU_STOPPED : VCPU_READY;
	if (ending)
		vm_vcpu_left(vcpu->vm);
}

/* When the VM runs, its first vCPU turns the others on. */
bool machine_vm_step(u32 id)
{
	struct vm *vm = machine.vm[id];
	struct vcpu *first = vm->vcpu[0];

	if (first->turns != TURNS_VM || first->run != VCPU_READY)
		return false;
	machine_enter(first);
	vm_step(vm);
	machine_leave(first);
	for (u32 i = 1; i < vm->vcpu_count && machine_runs(id); i++)
		vm->vcpu[i]->run = VCPU_READY;
	return true;
}

bool machine_runs(u32 id)
{
	return machine.vm[id]->state == VM_RUNNING;
}

bool machine_closed(u32 id)
{
	const struct vm *vm = machine.vm[id];

	return vm->state != VM_RUNNING && (vm->state != VM_DYING || vm->dying == DYING_CLOSED);
}

/* ---- Cores and locks ------------------------------------------------------------------------- */

static const struct spinlock *held[HELD_MAX];
static u32 held_count;

void machine_locks(const struct spinlock *lock)
{
	if (!held_count && machine.between)
		machine.between();
	for (u32 i = 0; i < held_count; i++)
		if (held[i] == lock)
			fail_msg("a lock is taken twice");
	assert_true(held_count < HELD_MAX);
	held[held_count++] = lock;
}

void machine_unlocks(const struct spinlock *lock)
{
	u32 i = held_count;

	while (i && held[i - 1] != lock)
		i--;
	if (!i)
		fail_msg("a lock is given back that was not taken");
	held[i - 1] = held[--held_count];
}

u32 machine_locks_held(void)
{
	return held_count;
}

void machine_on(u32 core)
{
	machine.core = core;
	fake_cpu_set_index(core);
}

void machine_wait(u64 ticks)
{
	machine.now += ticks;
	fake_timer_set(machine.now);
	do /* what is too much for one interrupt comes at once again */
		timeout_interrupt();
	while (fake_timer_el2_deadline() <= machine.now);
}

/* ---- Making and ending ----------------------------------------------------------------------- */

static void *no_tables(void)
{
	return 0;
}

static void configure(u32 id)
{
	const struct shape *shape = &shapes[id];
	struct manifest_vm *config = &configs[id];

	*config = (struct manifest_vm){
		.name = shape->name,
		.refused = id == MACHINE_VMS - 1,
		.vcpus = shape->vcpus,
		.memory_bytes = (shape->pool + PRIVATE_PAGES) * PAGE_SIZE,
		.shared_bytes = shape->pool * PAGE_SIZE,
		.window_bytes = shape->window * PAGE_SIZE,
		.ports = shape->ports,
		.upcall_ms = shape->upcall_ms,
		.rights = id == 0 ? RIGHT_MANAGE : 0,
		.store_nodes = 10,
		.store_bytes = 300,
		.store_watches = 3,
		.disk_count = shape->disks,
		.writable_disk_count = shape->writable,
	};
	memcpy(config->disk, shape->disk, sizeof(shape->disk));
}

static struct vm *make_vm(u32 id)
{
	const struct manifest_vm *config = &configs[id];
	struct vm *vm = calloc(1, sizeof(*vm));

	vm->config = config;
	vm->id = id;
	vm->ram = PA((id + 1ul) << 32);
	vm->ram_bytes = config->memory_bytes;
	assert_true(vm->ram_bytes <= MACHINE_RAM_BYTES);
	vm->ram_ipa = VM_RAM_BASE;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	stage2_init(&vm->stage2, id + 1, no_tables);
	stage2_map(&vm->stage2, IPA(VM_RAM_BASE), vm->ram, vm->ram_bytes, STAGE2_RAM, false);
	stage2_make_tables(&vm->stage2, IPA(VM_WINDOW_BASE), vm->window_bytes);
	vm->vcpu_count = config->vcpus;
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = aligned_alloc(16, align_up(sizeof(struct vcpu), 16));

		memset(vcpu, 0, sizeof(*vcpu));
		vcpu->vm = vm;
		vcpu->index = i;
		vcpu->core = (shapes[id].core + i) % MACHINE_CORES;
		vm->vcpu[i] = vcpu;
	}
	return vm;
}

u32 machine_owner(u64 pa)
{
	for (u32 id = 0; id < MACHINE_VMS; id++)
		if (machine.vm[id] && pa >= machine.vm[id]->ram.raw &&
		    pa - machine.vm[id]->ram.raw < machine.vm[id]->ram_bytes)
			return id;
	return MACHINE_VMS;
}

/* RAM is no memory of the host. */
void cache_scrub(void *page)
{
	if (machine_owner((u64)page) == MACHINE_VMS)
		memset(page, 0, PAGE_SIZE);
}

static void drop_line(const char *line, size_t length)
{
	assert_int_equal(strlen(line), length);
}

void machine_make(void)
{
	memset(&machine, 0, sizeof(machine));
	held_count = 0;
	fake_timer_set(0);
	log_set_sink(drop_line);
	for (u32 core = MACHINE_CORES; core-- > 0;) {
		machine_on(core);
		timeout_init_core();
	}
	machine.manifest = (struct manifest){
		.vm = configs,
		.vm_count = MACHINE_VMS,
		.channel = channels,
		.channel_count = ARRAY_SIZE(channels),
		.disk = disks,
		.disk_count = ARRAY_SIZE(disks),
	};
	disks_make();
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		configure(id);
		if (!configs[id].refused)
			machine.vm[id] = make_vm(id);
	}
	manifest_settle_store(&machine.manifest);
	for (u32 id = 0; id < MACHINE_VMS; id++)
		if (machine.vm[id])
			ipc_vm_create(machine.vm[id], &machine.manifest);
	ipc_connect(&machine.manifest);
	vm_start_all(true);
	for (u32 id = 0; id < MACHINE_VMS; id++)
		while (machine.vm[id] && !machine_runs(id)) {
			machine_on(machine.vm[id]->vcpu[0]->core);
			assert_true(machine_vm_step(id));
		}
}

void machine_free(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		if (!machine.vm[id])
			continue;
		for (u32 i = 0; i < machine.vm[id]->vcpu_count; i++)
			free(machine.vm[id]->vcpu[i]);
		free(machine.vm[id]);
		machine.vm[id] = 0;
	}
	fake_heap_reset();
	fake_stage2_reset();
}
