/*
 * The reader of system images under images that are damaged or wrong, and the rest of boot that believes
 * what it has read: the guests' trees and what each VM has for communication.
 *
 * Sources: tests/fuzz/no_locks.c core/manifest.c core/manifest_kernel.c core/manifest_reader.c core/manifest_vm.c core/guest_tree.c core/base/log.c core/timeout.c
 * Sources: ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/ipc.c
 * Sources: drivers/block_device.c tests/fuzz/tree_input.c
 * Sources: tests/host/fake/gic_pend.c
 * Sources: tests/host/fake/heap.c tests/host/fake/stage2.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "tree_input.h"
#include "core/base/log.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "arch/arm64/cache.h"
#include "arch/arm64/cpu.h"
#include "core/manifest.h"
#include "core/sched.h"
#include "core/vm.h"
#include "ipc/ipc.h"

#define CORES	   4u
#define HEAP_BYTES (8 * MIB) /* of the machine: VMs that need more are not built */

const char *const tree_words[] = {
	"compatible",
	"weir,system",
	"communication-cores",
	"stay",
	"kernel",
	"ramdisk",
	"tree",
	"bootargs",
	"memory-mib",
	"memory-kib",
	"load-offset",
	"vcpus",
	"cores",
	"priority",
	"budget-us",
	"period-us",
	"shared-kib",
	"window-kib",
	"ports",
	"peers",
	"store-nodes",
	"store-watches",
	"rights",
	"disks",
	"disks-read-only",
	"on-fault",
	"watchdog-ms",
	"upcall-ms",
	"pmu",
	"ends",
	"device",
	"first-sector",
	"sectors",
	"partition",
	"vms",
	"channels",
	"full",
	"bare",
	"third.vm_1",
	"system",
	"data",
	"console",
	"manage",
	"introspect",
	"store",
	"halt",
	"restart",
	"stop-machine",
	"first",
	"second",
	"a",
	"",
	"Upper",
	"chosen",
	"rng-seed",
	"kaslr-seed",
	"reg",
	"memory@40000000",
	"a-name-that-is-far-too-long-for-any-vm-of-this-house",
	0,
};

static struct manifest manifest;
static struct vm *vms[MAX_VMS];

/* ---- What the code under test calls ---------------------------------------------------------- */

u32 vm_count(void)
{
	return manifest.vm_count;
}

struct vm *vm_get(u32 id)
{
	return id < manifest.vm_count ? vms[id] : 0;
}

u64 vm_pool_base(const struct vm *vm)
{
	return VM_RAM_BASE + vm->ram_bytes - vm->pool_bytes;
}

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	(void)vm, (void)ipa, (void)bytes, (void)pa;
	return false;
}

void vgic_pend(struct vcpu *target, u32 intid)
{
	(void)target, (void)intid;
}

void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	(void)vm;
	(void)intid;
	(void)level;
}

void sched_again(void)
{
}

void vm_device_done(struct vm *vm)
{
	(void)vm;
}

void cache_clean_invalidate(const void *start, u64 bytes)
{
	(void)start, (void)bytes;
}

u64 cpu_id_register(u32 number, bool pmu)
{
	(void)number, (void)pmu;
	return 0;
}

u32 gic_version(void)
{
	return 3;
}

/* ---- What was read is what the format allows ------------------------------------------------- */

static const u8 *image, *image_end;

static void check_text(const char *text)
{
	assert_true((const u8 *)text >= image && (const u8 *)text + strlen(text) < image_end);
}

static void check_blob(const struct blob *blob)
{
	const u8 *data = blob->data;

	if (blob->bytes)
		assert_true(data >= image && blob->bytes <= (u64)(image_end - data));
}

static u32 tree_room(const struct manifest_vm *vm)
{
	return (u32)manifest_tree_room(vm);
}

/* As core/vm.c lays RAM out: kernel, ramdisk, tree and pool do not meet. */
static u64 check_memory(const struct manifest_vm *vm)
{
	u64 behind = vm->shared_bytes + tree_room(vm) + align_up(vm->ramdisk.bytes, PAGE_SIZE);

	assert_true(vm->memory_bytes && (vm->memory_bytes & PAGE_MASK) == 0);
	assert_true(((vm->shared_bytes | vm->window_bytes) & PAGE_MASK) == 0);
	assert_true(vm->kernel.bytes && behind < vm->memory_bytes);
	assert_true(vm->load_offset < vm->memory_bytes - behind &&
		    vm->kernel.bytes <= vm->memory_bytes - behind - vm->load_offset);
	return vm->memory_bytes - vm->shared_bytes - tree_room(vm);
}

static void check_vm(const struct manifest_vm *vm)
{
	check_text(vm->name);
	if (vm->bootargs)
		check_text(vm->bootargs);
	check_blob(&vm->kernel);
	check_blob(&vm->ramdisk);
	check_blob(&vm->tree);
	check_memory(vm);
	assert_true(vm->vcpus && vm->vcpus <= MAX_VCPUS);
	for (u32 i = 0; i < vm->vcpus; i++)
		assert_true(vm->core[i] < CORES &&
			    !(manifest.communication_cores >> vm->core[i] & 1));
	assert_true(vm->priority < 8 && vm->ports);
	assert_true(!vm->budget_us || vm->budget_us <= vm->period_us);
	assert_true(vm->disk_count <= MANIFEST_VM_DISKS &&
		    vm->writable_disk_count <= vm->disk_count);
	for (u32 i = 0; i < vm->disk_count; i++)
		assert_true(vm->disk[i] < manifest.disk_count);
	assert_true(manifest.vm_count == 64 || !((vm->peers | vm->talks) >> manifest.vm_count));
	assert_true(vm->store_watches <= 256 &&
		    (vm->refused || vm->store_nodes <= MANIFEST_STORE_NODES));
	assert_true(vm->on_fault <= ON_FAULT_STOP_MACHINE);
}

static void check_manifest(void)
{
	assert_true(manifest.vm_count <= MAX_VMS);
	assert_true(manifest.communication_cores < BIT(CORES) - 1);
	for (u32 i = 0; i < manifest.vm_count; i++)
		if (!manifest.vm[i].refused)
			check_vm(&manifest.vm[i]);
	for (u32 i = 0; i < manifest.disk_count; i++)
		check_text(manifest.disk[i].name);
	for (u32 i = 0; i < manifest.channel_count; i++) {
		const struct manifest_channel *channel = &manifest.channel[i];

		check_text(channel->name);
		assert_true(channel->end[0] < manifest.vm_count &&
			    channel->end[1] < manifest.vm_count);
		assert_true(channel->end[0] != channel->end[1]);
	}
}

/* ---- The rest of boot ------------------------------------------------------------------------ */

static void write_tree(const struct vm *vm)
{
	const struct manifest_vm *config = vm->config;
	u32 room = tree_room(config), bytes;
	u64 top = vm->ram_bytes - vm->pool_bytes - room;
	u64 ramdisk = align_down(top - config->ramdisk.bytes, PAGE_SIZE);
	u8 *tree = malloc(room);
	struct guest_seed seed[GUEST_SEEDS];

	bytes = guest_tree_write(vm, (struct range){ VM_RAM_BASE + ramdisk, config->ramdisk.bytes },
				 tree, room);
	assert_true(bytes <= room);
	if (bytes) {
		assert_int_equal(fdt_check_full(tree, room), 0);
		guest_tree_find_seeds(tree, seed);
		for (u32 i = 0; i < GUEST_SEEDS; i++)
			assert_true(!seed[i].bytes ||
				    (seed[i].data > tree &&
				     seed[i].data + seed[i].bytes <= tree + bytes));
		guest_tree_reseed(seed);
		assert_int_equal(fdt_check_full(tree, room), 0);
	}
	free(tree);
}

static struct vm *make(u32 id, u64 *heap_left)
{
	const struct manifest_vm *config = &manifest.vm[id];
	struct vm *vm;

	if (ipc_heap_bytes(config) > *heap_left)
		return 0;
	*heap_left -= ipc_heap_bytes(config);
	vm = calloc(1, sizeof(*vm));
	vm->config = config;
	vm->id = id;
	vm->ram = PA((id + 1ul) << 40);
	vm->ram_bytes = config->memory_bytes;
	vm->ram_ipa = VM_RAM_BASE;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	vm->vcpu_count = config->vcpus;
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		vm->vcpu[i] = aligned_alloc(16, align_up(sizeof(struct vcpu), 16));
		memset(vm->vcpu[i], 0, sizeof(struct vcpu));
		vm->vcpu[i]->vm = vm;
		vm->vcpu[i]->index = i;
		vm->vcpu[i]->core = config->core[i];
	}
	stage2_init(&vm->stage2, id + 1, 0);
	write_tree(vm);
	return vm;
}

static void boot(void)
{
	u64 heap_left = HEAP_BYTES, before = fake_heap_cost(), promised = 0;

	for (u32 i = 0; i < manifest.vm_count; i++)
		vms[i] = manifest.vm[i].refused ? 0 : make(i, &heap_left);
	for (u32 i = 0; i < manifest.vm_count; i++)
		if (vms[i]) {
			promised += ipc_heap_bytes(vms[i]->config);
			ipc_vm_create(vms[i], &manifest);
		}
	ipc_connect(&manifest);
	/* Or the real heap would be at its end, in the middle of boot. */
	assert_true(fake_heap_cost() - before <= promised);
	for (u32 i = 0; i < manifest.vm_count; i++) {
		if (!vms[i])
			continue;
		for (u32 p = 0; p < vms[i]->ipc->event.channel_count; p++) {
			const struct port *port = &vms[i]->ipc->event.port[p];

			assert_true(port->peer->peer == port && port->owner->vm == vms[i]);
		}
		for (u32 v = 0; v < vms[i]->vcpu_count; v++)
			free(vms[i]->vcpu[v]);
		free(vms[i]);
	}
}

static void drop_line(const char *line, size_t length)
{
	assert_int_equal(strlen(line), length);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	image = data;
	image_end = data + bytes;
	log_set_sink(drop_line);
	if (manifest_read(image, bytes, CORES, &manifest)) {
		check_manifest();
		boot();
	}
	fake_heap_reset();
	fake_stage2_reset();
	return 0;
}
