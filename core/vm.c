/*
 * Virtual machines as they are made at boot, and what their RAM starts with (vm.h).
 *
 * Owns: the table of VMs. Locks: none; what is here is fixed after boot.
 */
#include "core/vm.h"

#include "arch/arm64/cache.h"
#include "arch/arm64/mmu.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "core/vdev/virtio_console.h"
#include "core/vm_memory.h"

static struct vm *vms[MAX_VMS];
static u32 count;
static pa_t gicv; /* GICv2's virtual CPU interface, what guests see as GICC; 0 bytes: GICv3 */
static u64 gicv_bytes;

u32 vm_count(void)
{
	return count;
}

struct vm *vm_get(u32 id)
{
	return id < count ? vms[index_nospec(id, MAX_VMS)] : 0;
}

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	u64 offset = ipa.raw - vm->ram_ipa;

	if (offset >= vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

u64 vm_pool_base(const struct vm *vm)
{
	return vm->ram_ipa + vm->ram_bytes - vm->pool_bytes;
}

/* ---- Filling RAM ----------------------------------------------------------------------------- */

/*
 * What RAM starts with: parts of the blobs that lie in it, zeroes elsewhere. [at, at + bytes) lies
 * in one page, which is zeroed as a whole with its first piece.
 */
static void fill(const struct vm *vm, u64 at, u64 bytes)
{
	u64 page = align_down(at, PAGE_SIZE);
	u8 *to_page = mmu_window(WINDOW_TARGET, PA(vm->ram.raw + page));

	if (at == page)
		cache_zero(to_page);
	for (u32 i = 0; i < VM_IMAGE_PARTS; i++) {
		const struct vm_image_part *part = &vm->image[i];
		u64 from = max(part->offset, at);
		u64 to = min(part->offset + part->blob.bytes, at + bytes);

		if (from < to)
			memcpy(to_page + (from - page),
			       (const u8 *)part->blob.data + (from - part->offset), to - from);
	}
	/* The guest starts with its MMU off and reads memory itself. */
	cache_clean_invalidate(to_page + (at - page), bytes);
}

/* Does a part of the image lie in this page? */
static bool has_image(const struct vm *vm, u64 page)
{
	for (u32 i = 0; i < VM_IMAGE_PARTS; i++)
		if (vm->image[i].offset < page + PAGE_SIZE &&
		    page < vm->image[i].offset + vm->image[i].blob.bytes)
			return true;
	return false;
}

/*
 * Some 1,500 instructions: that much of the image, or so many empty pages. An interrupt and a
 * switch to another vCPU may follow at once.
 */
#define STEP_IMAGE_BYTES 1024
#define STEP_EMPTY_PAGES 6

bool vm_fill_step(const struct vm *vm, u64 *filled)
{
	if (*filled == vm->ram_bytes)
		return false;
	if (has_image(vm, align_down(*filled, PAGE_SIZE))) {
		fill(vm, *filled, STEP_IMAGE_BYTES);
		*filled += STEP_IMAGE_BYTES;
		return true;
	}
	for (u32 i = 0; i < STEP_EMPTY_PAGES; i++) {
		cache_scrub(mmu_window(WINDOW_TARGET, PA(vm->ram.raw + *filled)));
		*filled += PAGE_SIZE;
		if (*filled == vm->ram_bytes || has_image(vm, *filled))
			break;
	}
	return true;
}

/*
 * From the top: pool, tree, ramdisk; the kernel where it wants to be, below which the tree may be
 * instead. The manifest's reader has seen to it that all of it fits. False: the tree cannot be written.
 */
static bool lay_out(struct vm *vm)
{
	const struct manifest_vm *config = vm->config;
	u32 tree_room = (u32)manifest_tree_room(config);
	u64 top = vm->ram_bytes - vm->pool_bytes - tree_room;
	u64 ramdisk = align_down(top - config->ramdisk.bytes, PAGE_SIZE);
	/* Raw kernels that are linked to an address look for it where QEMU's virt has it for an ELF file. */
	u64 tree_at = config->raw && tree_room <= config->load_offset ? 0 : top;
	void *tree;
	u32 tree_bytes;

	tree = heap_alloc(tree_room);
	tree_bytes =
		guest_tree_write(vm, (struct range){ vm->ram_ipa + ramdisk, config->ramdisk.bytes },
				 tree, tree_room);
	if (!tree_bytes) /* it said why */
		return false;
	heap_shrink(tree, tree_room, tree_bytes);
	guest_tree_find_seeds(tree, vm->seed);
	vm->tree_ipa = vm->ram_ipa + tree_at;
	vm->entry_ipa = vm->ram_ipa + config->load_offset;

	vm->image[0] = (struct vm_image_part){ config->load_offset, config->kernel };
	vm->image[1] = (struct vm_image_part){ ramdisk, config->ramdisk };
	vm->image[2] = (struct vm_image_part){ tree_at, { tree, tree_bytes } };
	return true;
}

/* ---- Building -------------------------------------------------------------------------------- */

static void map_memory(struct vm *vm)
{
	bool shares = manifest_may_share(vm->config);
	u64 pool = shares ? vm->pool_bytes : 0, private = vm->ram_bytes - pool;

	stage2_init(&vm->stage2, vm->id + 1, heap_page);
	stage2_map(&vm->stage2, IPA(vm->ram_ipa), vm->ram, private, STAGE2_RAM, true);
	/* The pool in single pages, so that sharing one never splits a block. */
	stage2_map(&vm->stage2, IPA(vm->ram_ipa + private), PA(vm->ram.raw + private), pool,
		   STAGE2_RAM, false);
	if (shares)
		stage2_make_tables(&vm->stage2, IPA(VM_WINDOW_BASE), vm->window_bytes);
	if (gicv_bytes)
		stage2_map(&vm->stage2, IPA(VM_GICC_BASE), gicv, gicv_bytes, STAGE2_DEVICE, false);
}

static void create_vcpu(struct vm *vm, u32 index)
{
	struct vcpu *vcpu = heap_alloc(sizeof(*vcpu));

	vcpu->vm = vm;
	vcpu->index = index;
	vcpu->core = vm->config->core[index];
	vcpu->priority = (u8)vm->config->priority;
	vm->vcpu[index] = vcpu;
	/* MPIDR_EL1: bit 31 RES1, affinity level 0 is the index. */
	arch_vcpu_init(&vcpu->arch, vcpu->core, 1ul << 31 | index, vm->stage2.vttbr,
		       vm->config->pmu);
	sched_add(vcpu);
}

static struct vm *create(u32 id, const struct manifest_vm *config)
{
	struct vm *vm;
	pa_t ram;

	if (!vm_memory_take(config, &ram))
		return 0;
	vm = heap_alloc(sizeof(*vm));
	vm->config = config;
	vm->id = id;
	vm->ram = ram;
	vm->ram_ipa = config->memory_direct ? ram.raw : VM_RAM_BASE;
	vm->ram_bytes = config->memory_bytes;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	vm->vcpu_count = config->vcpus;
	if (!lay_out(vm))
		return 0;
	map_memory(vm);
	if (!passthrough_prepare(vm))
		return 0;
	for (u32 i = 0; i < vm->vcpu_count; i++)
		create_vcpu(vm, i);
	if (config->disk_count)
		virtio_console_create(vm);
	return vm;
}

u32 vm_create_all(const struct manifest *manifest, const struct gic_registers *gic)
{
	u32 made = 0;

	if (gic->version == 2) {
		gicv = gic->virtual_interface;
		gicv_bytes = min(gic->virtual_interface_bytes, VM_GICC_BYTES - VM_GICC_DIR_BYTES);
	}
	count = manifest->vm_count;
	/* First those that had best not lie anywhere. */
	for (u32 limited = 2; limited--;)
		for (u32 id = 0; id < count; id++)
			if (!manifest->vm[id].refused &&
			    (manifest->vm[id].ram_limit != 0) == limited)
				vms[id] = create(id, &manifest->vm[id]);
	for (u32 id = 0; id < count; id++)
		if (vms[id])
			ipc_vm_create(vms[id], manifest);
	ipc_connect(manifest);
	for (u32 id = 0; id < count; id++)
		made += vms[id] != 0;
	return made;
}
