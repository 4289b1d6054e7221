/*
 * Memory for a VM (vm_memory.h). All that will be allocated for it is added up before anything is:
 * a VM that asks for too much is refused and the others run, and nobody meets an empty heap later.
 */
#include "core/vm_memory.h"

#include "core/base/log.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "core/vdev/virtio.h"
#include "core/vdev/virtio_console.h"
#include "core/vm.h"

#define GIB (1ul << 30)

static u64 tables_for(u64 bytes, u64 each)
{
	return align_up(bytes, each) / each;
}

/*
 * Stage 2: the root; a table of level 2 for the devices and each GiB of RAM; of level 3 for the
 * window, the shared pages, GICv2's CPU interface, the pool, and both ends of RAM that fill no 2 MiB.
 * Two of each for a device's registers, or RAM where it is in the machine: they may lie across a border.
 */
static u64 table_count(const struct manifest_vm *config)
{
	u64 window_and_pool = tables_for(config->window_bytes, BLOCK_2M) +
			      tables_for(config->shared_bytes, BLOCK_2M);

	return 2 + tables_for(config->memory_bytes, GIB) +
	       tables_for(ipc_shared_bytes(config), BLOCK_2M) + 1 +
	       (manifest_may_share(config) ? window_and_pool : 0) + 2 +
	       4 * (config->passed_frames + config->memory_direct);
}

u64 vm_memory_heap_bytes(const struct manifest_vm *config)
{
	u64 bytes = heap_cost(sizeof(struct vm)) + heap_cost(manifest_tree_room(config)) +
		    config->vcpus * heap_cost(sizeof(struct vcpu)) +
		    table_count(config) * PAGE_SIZE + ipc_heap_bytes(config) +
		    (config->disk_count ? virtio_console_heap_bytes() + VIRTIO_TABLE_BYTES : 0);

	/* The heap's own tables. */
	return bytes + tables_for(bytes, BLOCK_2M) * PAGE_SIZE;
}

static const char *memory_property(const struct manifest_vm *config)
{
	return config->memory_in_kib ? "memory-kib" : "memory-mib";
}

/* The property without which at most half would be needed; else the VMs' RAM leaves too little. */
static const char *largest_part(const struct manifest_vm *config)
{
	struct manifest_vm less = *config;
	u64 half = vm_memory_heap_bytes(config) / 2;

	less.shared_bytes = 0;
	if (vm_memory_heap_bytes(&less) <= half)
		return "shared-kib";
	less.shared_bytes = config->shared_bytes;
	less.window_bytes = 0;
	if (vm_memory_heap_bytes(&less) <= half)
		return "window-kib";
	less.window_bytes = config->window_bytes;
	less.ports = 1;
	if (vm_memory_heap_bytes(&less) <= half)
		return "ports";
	return memory_property(config);
}

/* In a VM with direct memory: the window is the last of what all VMs have at their own addresses. */
static bool is_free(const struct manifest_vm *config, u64 ram)
{
	if (ram >= VM_WINDOW_BASE + config->window_bytes &&
	    ram + config->memory_bytes <= 1ul << STAGE2_IPA_BITS)
		return true;
	log_line(
		"manifest: /vms/%s: memory-direct: the memory that is left is at %lx, where the VM "
		"cannot have it; lower window-kib, or the memory of VMs behind it",
		config->name, ram);
	return false;
}

bool vm_memory_take(const struct manifest_vm *config, pa_t *ram)
{
	u64 heap = vm_memory_heap_bytes(config);

	if (!memory_promise_heap(heap)) {
		log_line("manifest: /vms/%s: %s: the hypervisor needs %lu KiB to build the VM, and "
			 "has %lu KiB left; give it less",
			 config->name, largest_part(config), heap / KIB, memory_heap_room() / KIB);
		return false;
	}
	if (!memory_take_ram(config->memory_bytes, config->ram_limit, ram)) {
		memory_return_heap(heap);
		log_line("manifest: /vms/%s: %s: the machine has not so much memory left in one "
			 "piece; give less",
			 config->name, memory_property(config));
		return false;
	}
	if (config->memory_direct && !is_free(config, ram->raw)) {
		memory_return_heap(heap);
		return false;
	}
	if (ram->raw + config->memory_bytes - 1 > config->ram_limit - 1)
		log_line("manifest: /vms/%s: %s: not so much memory is left in one piece below "
			 "%lx, where a device of its disks reaches; it is slow with that disk",
			 config->name, memory_property(config), config->ram_limit);
	return true;
}
