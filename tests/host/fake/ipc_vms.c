/* VMs for the tests of ipc/ (ipc_vms.h). */
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include "hvc.h"
#include "ipc_vms.h"
#include "core/memory.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "ipc/block_virtio.h"

#define VMS	 10
#define CHANNELS 200

static struct {
	struct manifest manifest;
	struct manifest_vm config[VMS];
	struct manifest_channel channel[CHANNELS];
	struct vm *vm[VMS];
	u32 vm_count;
	u32 pends[VMS][MAX_VCPUS][32];
	u32 scrubs[VMS][FAKE_LARGE_POOL];
	u64 heap_end[VMS]; /* pieces of the heap when the VM had been made */
	u32 block_vm;
	u64 block_page;
} machine;

static u32 next_ports = 128;
static u64 next_pool = FAKE_POOL_PAGES, next_window = FAKE_WINDOW_PAGES;
static u64 next_upcall_ms;
static u32 next_refused = VMS;
static struct {
	bool set;
	u32 nodes, bytes, watches;
	u64 peers, rights;
} next_store[VMS];
static _Thread_local struct vcpu *running;
void (*ipc_after_call)(void);

u32 vm_count(void)
{
	return machine.vm_count;
}

struct vm *vm_get(u32 id)
{
	return id < machine.vm_count ? machine.vm[id] : 0;
}

u64 vm_pool_base(const struct vm *vm)
{
	return VM_RAM_BASE + vm->ram_bytes - vm->pool_bytes;
}

#define WEAK __attribute__((weak))

void vgic_pend(struct vcpu *target, u32 intid)
{
	__atomic_fetch_add(&machine.pends[target->vm->id][target->index][intid], 1,
			   __ATOMIC_SEQ_CST);
}

/* The tests make the steps of a call that is not done themselves. */
WEAK void sched_again(void)
{
}

/* No vCPU has a budget. */
WEAK u64 sched_spend(struct vcpu *vcpu, u64 ticks)
{
	(void)vcpu;
	(void)ticks;
	return 0;
}

WEAK void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	(void)vm;
	(void)intid;
	(void)level;
}

u32 ipc_pends(const struct vcpu *vcpu, u32 intid)
{
	return __atomic_load_n(&machine.pends[vcpu->vm->id][vcpu->index][intid], __ATOMIC_SEQ_CST);
}

/* The block service as the rest of ipc/ sees it; not where a program is linked with the true one. */

WEAK void ipc_disks(struct manifest *manifest, struct manifest_vm *config)
{
	(void)manifest;
	(void)config;
}

WEAK void block_vm_create(struct vm *vm, const struct manifest *manifest)
{
	(void)manifest;
	vm->ipc->block.disk_count = 1;
}

WEAK u64 block_vcpu_heap_bytes(void)
{
	return 0;
}

WEAK u64 block_virtio_heap_bytes(void)
{
	return 0;
}

WEAK bool block_vm_stop(struct vm *vm, u64 *at)
{
	(void)at;
	vm->ipc->block.stopped = true;
	return false;
}

WEAK bool block_vm_idle(const struct vm *vm)
{
	return vm->ipc->block.stopped;
}

WEAK bool block_vm_reset(struct vm *vm, u64 *at)
{
	(void)at;
	vm->ipc->block.stopped = false;
	return false;
}

WEAK bool block_pages_busy(struct vm *vm, pa_t pa, u64 bytes)
{
	u64 busy = ipc_pool_pa(vm->id, machine.block_page);

	return machine.block_page != UINT64_MAX && vm->id == machine.block_vm && busy >= pa.raw &&
	       busy < pa.raw + bytes;
}

WEAK enum weir_status block_info_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	(void)self;
	out->x1 = in->x1 + 1; /* and then it fails: results must not get out */
	return WEIR_NOT_FOUND;
}

WEAK enum weir_status block_submit_call(struct vcpu *self, const struct call_args *in,
					struct call_results *out)
{
	(void)self;
	out->x1 = in->x1;
	out->x2 = in->x4;
	out->x3 = in->x5;
	return WEIR_OK;
}

WEAK enum weir_status block_submit(struct vcpu *vcpu, const struct call_args *in)
{
	(void)vcpu;
	(void)in;
	return WEIR_NOT_FOUND;
}

WEAK struct block_slot *block_slot_take(struct vcpu *vcpu, u64 cookie)
{
	(void)vcpu;
	(void)cookie;
	return 0;
}

WEAK void block_slot_complete(struct block_slot *slot, enum weir_status status)
{
	fail_msg("no slot was given out: %p, %d", (void *)slot, status);
}

WEAK void block_slot_return(struct block_slot *slot)
{
	fail_msg("no slot was given out: %p", (void *)slot);
}

/* What is copied is so in memory, too; unless the program counts it. */
WEAK void cache_clean_invalidate(const void *start, u64 bytes)
{
	(void)start;
	(void)bytes;
}

struct ipc_command ipc_command;

enum weir_status vm_command(struct vm *vm, enum vm_command what, u64 life)
{
	ipc_command.vm = vm;
	ipc_command.what = what;
	ipc_command.life = life;
	return ipc_command.status;
}

void ipc_block_busy(u32 vm, u64 page)
{
	machine.block_vm = vm;
	machine.block_page = page;
}

static void *no_tables(void)
{
	return 0;
}

static const char *const names[VMS] = { "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" };

static struct vm *make_vm(u32 id, u32 vcpus)
{
	struct manifest_vm *config = &machine.config[id];
	struct vm *vm = calloc(1, sizeof(*vm));

	*config = (struct manifest_vm){ .name = names[id],
					.rights = id == 0 ? RIGHT_MANAGE : 0,
					.vcpus = vcpus,
					.memory_bytes = (next_pool + 4) * PAGE_SIZE,
					.shared_bytes = next_pool * PAGE_SIZE,
					.window_bytes = next_window * PAGE_SIZE,
					.ports = next_ports,
					.upcall_ms = next_upcall_ms,
					.peers = next_store[id].peers,
					.store_nodes = MANIFEST_STORE_UNSAID,
					.store_bytes = MANIFEST_STORE_UNSAID,
					.store_watches = MANIFEST_STORE_UNSAID };

	if (next_store[id].set) {
		config->store_nodes = next_store[id].nodes;
		config->store_bytes = next_store[id].bytes;
		config->store_watches = next_store[id].watches;
	}
	config->rights |= (u32)next_store[id].rights;
	ipc_disks(&machine.manifest, config);
	vm->life = 1;
	vm->config = config;
	vm->id = id;
	vm->ram = PA((id + 1ul) << 32);
	vm->ram_bytes = config->memory_bytes;
	vm->ram_ipa = VM_RAM_BASE;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	stage2_init(&vm->stage2, id + 1, no_tables);
	stage2_make_tables(&vm->stage2, IPA(VM_WINDOW_BASE), vm->window_bytes);
	stage2_map(&vm->stage2, IPA(vm_pool_base(vm)),
		   PA(vm->ram.raw + vm->ram_bytes - vm->pool_bytes), vm->pool_bytes, STAGE2_RAM,
		   false);
	vm->vcpu_count = vcpus;
	for (u32 i = 0; i < vcpus; i++) {
		vm->vcpu[i] = aligned_alloc(16, align_up(sizeof(struct vcpu), 16));
		memset(vm->vcpu[i], 0, sizeof(struct vcpu));
		vm->vcpu[i]->vm = vm;
		vm->vcpu[i]->index = i;
	}
	return vm;
}

/* What was said before to be needed was enough: by it VMs are refused. */
static void check_cost(void)
{
	u64 promised = 0;

	for (u32 i = 0; i < machine.vm_count; i++)
		promised += ipc_heap_bytes(&machine.config[i]);
	assert_true(fake_heap_cost() <= promised);
}

void ipc_vms_make(u32 vms, u32 vcpus, const char *const *channels)
{
	ipc_vms_free();
	machine.vm_count = vms;
	machine.block_page = UINT64_MAX;
	for (u32 i = 0; i < vms; i++)
		machine.config[i].name = names[i];
	for (; *channels; channels++)
		machine.channel[machine.manifest.channel_count++] =
			(struct manifest_channel){ .name = *channels,
						   .end = { (u32)((*channels)[0] - 'a'),
							    (u32)((*channels)[1] - 'a') } };
	machine.manifest.vm = machine.config;
	machine.manifest.vm_count = vms;
	machine.manifest.channel = machine.channel;
	timeout_init_core();
	for (u32 i = 0; i < vms; i++)
		if (i != next_refused)
			machine.vm[i] = make_vm(i, vcpus);
	manifest_settle_store(&machine.manifest);
	for (u32 i = 0; i < vms; i++) {
		if (machine.vm[i])
			ipc_vm_create(machine.vm[i], &machine.manifest);
		machine.heap_end[i] = fake_heap_allocations();
	}
	ipc_connect(&machine.manifest);
	check_cost();
	next_ports = 128;
	next_pool = FAKE_POOL_PAGES;
	next_window = FAKE_WINDOW_PAGES;
	next_upcall_ms = 0;
	next_refused = VMS;
	memset(next_store, 0, sizeof(next_store));
	if (machine.vm[0])
		ipc_run(0, 0);
}

void ipc_vms_free(void)
{
	for (u32 i = 0; i < VMS; i++) {
		if (!machine.vm[i])
			continue;
		for (u32 j = 0; j < machine.vm[i]->vcpu_count; j++)
			free(machine.vm[i]->vcpu[j]);
		free(machine.vm[i]);
	}
	memset(&machine, 0, sizeof(machine));
	ipc_command = (struct ipc_command){ 0 };
	fake_heap_reset();
	fake_stage2_reset();
	fake_log_reset();
}

int ipc_vms_end(void **state)
{
	(void)state;
	ipc_vms_free();
	return 0;
}

void ipc_vms_set_ports(u32 ports)
{
	next_ports = ports;
}

void ipc_vms_set_large(void)
{
	next_pool = FAKE_LARGE_POOL;
	next_window = FAKE_LARGE_WINDOW;
}

void ipc_vms_set_upcall_ms(u64 ms)
{
	next_upcall_ms = ms;
}

void ipc_vms_refuse(u32 vm)
{
	next_refused = vm;
}

void ipc_vms_set_store(u32 vm, u32 nodes, u32 bytes, u32 watches)
{
	next_store[vm].set = true;
	next_store[vm].nodes = nodes;
	next_store[vm].bytes = bytes;
	next_store[vm].watches = watches;
}

void ipc_vms_set_peers(u32 vm, u64 peers, u64 rights)
{
	next_store[vm].peers = peers;
	next_store[vm].rights = rights;
}

void ipc_vm_end(u32 id)
{
	struct vm_work work = { 0 };

	for (u32 steps = 0; ipc_vm_stop(ipc_vm(id), &work);)
		assert_true(++steps < 20000);
}

void ipc_vm_renew(u32 id)
{
	struct vm *vm = ipc_vm(id);
	struct vm_work work = { 0 };

	ipc_vm_end(id);
	assert_true(ipc_vm_idle(vm));
	vm->life++;
	for (u32 steps = 0; ipc_vm_rebuild(vm, &work);)
		assert_true(++steps < 20000);
}

struct vm *ipc_vm(u32 id)
{
	assert_non_null(machine.vm[id]);
	return machine.vm[id];
}

struct vcpu *ipc_vcpu(u32 vm, u32 index)
{
	assert_true(index < ipc_vm(vm)->vcpu_count);
	return ipc_vm(vm)->vcpu[index];
}

void ipc_run(u32 vm, u32 index)
{
	running = ipc_vcpu(vm, index);
}

struct weir_pages ipc_pages(u32 vm, u32 index)
{
	struct vcpu_ipc *ipc = ipc_vcpu(vm, index)->ipc;
	struct weir_pages pages;

	/* The guest's view: `in` is its to write. */
	pages.in = (struct weir_in *)(uintptr_t)ipc->in;
	pages.out = ipc->out;
	pages.event_rings = (const u32 *)(ipc->out + 1);
	pages.event_slots = ipc->out->event_slots;
	return pages;
}

s32 ipc_next(u32 vm, u32 index)
{
	struct weir_pages pages = ipc_pages(vm, index);
	u32 number;

	return weir_event_next(&pages, &number) ? (s32)number : -1;
}

s64 ipc_call(u64 x0, u64 x1, u64 x2, u64 x3, u64 x4, u64 x5, u64 x6)
{
	const u64 registers[] = { x0, x1, x2, x3, x4, x5, x6 };
	struct vcpu *self = running;
	u64 *x = self->arch.x;

	for (u32 i = 0; i < ARRAY_SIZE(self->arch.x); i++)
		x[i] = i < ARRAY_SIZE(registers) ? registers[i] : 0xdead0000 + i;
	fake_hvc(self);
	for (u32 i = 4; i < ARRAY_SIZE(self->arch.x); i++)
		assert_true(x[i] == (i < ARRAY_SIZE(registers) ? registers[i] : 0xdead0000 + i));
	running = self; /* another may have come in meanwhile (fake/lock.c) */
	return (s64)x[0];
}

/* What the wrappers of weir/ are made of (weir/hypercall.h). */
struct weir_result weir_call(u32 function, u64 a1, u64 a2, u64 a3, u64 a4, u64 a5, u64 a6)
{
	struct weir_result result = { .status = ipc_call(function, a1, a2, a3, a4, a5, a6) };

	for (u32 i = 0; i < 3; i++)
		result.value[i] = running->arch.x[i + 1];
	if (ipc_after_call)
		ipc_after_call();
	return result;
}

u32 ipc_heap_owner(u64 piece, const void *memory)
{
	u32 vm = 0;

	while (vm < machine.vm_count && piece >= machine.heap_end[vm])
		vm++;
	if (vm < machine.vm_count)
		return vm;
	for (vm = 0; vm < machine.vm_count; vm++)
		for (u32 i = 0; i < machine.vm[vm]->vcpu_count; i++)
			if (machine.vm[vm]->vcpu[i]->ipc->block.slot == memory)
				return vm;
	return vm;
}

u64 ipc_pool_pa(u32 vm, u64 page)
{
	return ipc_vm(vm)->ram.raw + 4 * PAGE_SIZE + page * PAGE_SIZE;
}

u32 ipc_scrubs(u32 vm, u64 page)
{
	return machine.scrubs[vm][page];
}

/* Pool pages are no memory of the host. */
void cache_scrub(void *at)
{
	u64 pa = (u64)at;
	u32 vm = (u32)(pa >> 32) - 1;

	if (vm < machine.vm_count && pa - ipc_pool_pa(vm, 0) < ipc_vm(vm)->pool_bytes)
		machine.scrubs[vm][(pa - ipc_pool_pa(vm, 0)) / PAGE_SIZE]++;
	else
		memset(at, 0, PAGE_SIZE);
}

u64 ipc_scratch_pa(u32 vm)
{
	return (u64)ipc_vm(vm)->ipc->grant.scratch;
}
