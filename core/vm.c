/*
 * Building, starting, ending and rebuilding virtual machines (vm.h).
 *
 * Owns: the table of VMs. Locks: vm->lock for `state`.
 */
#include "core/vm.h"

#include "arch/arm64/cache.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/exit.h"
#include "arch/arm64/mmu.h"
#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"
#include "core/console.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "core/sched.h"

#define TREE_BYTES_MIN 4096u

static struct vm *vms[MAX_VMS];
static u32 count;
static u32 running; /* atomic: VMs that are not off */
static bool stay;
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
	u64 offset = ipa.raw - VM_RAM_BASE;

	if (offset >= vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

u64 vm_pool_base(const struct vm *vm)
{
	return VM_RAM_BASE + vm->ram_bytes - vm->pool_bytes;
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

/*
 * From the top: pool, tree, ramdisk; the kernel where it wants to be. The manifest's reader has seen
 * to it that all of it fits. False: the tree cannot be written.
 */
static bool lay_out(struct vm *vm)
{
	const struct manifest_vm *config = vm->config;
	u32 tree_room = max(TREE_BYTES_MIN, (u32)align_up(config->tree.bytes, PAGE_SIZE));
	u64 top = vm->ram_bytes - vm->pool_bytes - tree_room;
	u64 ramdisk = align_down(top - config->ramdisk.bytes, PAGE_SIZE);
	void *tree;
	u32 tree_bytes;

	tree = heap_alloc(tree_room);
	tree_bytes =
		guest_tree_write(vm, (struct range){ VM_RAM_BASE + ramdisk, config->ramdisk.bytes },
				 tree, tree_room);
	if (!tree_bytes) /* it said why */
		return false;
	vm->seed = guest_tree_seed(tree);
	vm->tree_ipa = VM_RAM_BASE + top;
	vm->entry_ipa = VM_RAM_BASE + config->load_offset;

	vm->image[0] = (struct vm_image_part){ config->load_offset, config->kernel };
	vm->image[1] = (struct vm_image_part){ ramdisk, config->ramdisk };
	vm->image[2] = (struct vm_image_part){ top, { tree, tree_bytes } };
	return true;
}

/* ---- Building -------------------------------------------------------------------------------- */

static void map_memory(struct vm *vm)
{
	u64 private = vm->ram_bytes - vm->pool_bytes;

	stage2_init(&vm->stage2, vm->id + 1, heap_page);
	stage2_map(&vm->stage2, IPA(VM_RAM_BASE), vm->ram, private, STAGE2_RAM, true);
	/* The pool in single pages, so that sharing one never splits a block. */
	stage2_map(&vm->stage2, IPA(VM_RAM_BASE + private), PA(vm->ram.raw + private),
		   vm->pool_bytes, STAGE2_RAM, false);
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
	struct vm *vm = heap_alloc(sizeof(*vm));

	vm->config = config;
	vm->id = id;
	vm->ram_bytes = config->memory_bytes;
	vm->pool_bytes = config->shared_bytes;
	vm->window_bytes = config->window_bytes;
	vm->vcpu_count = config->vcpus;
	if (!memory_take_ram(vm->ram_bytes, &vm->ram)) {
		log_line(
			"manifest: /vms/%s: memory-mib: the machine has not so much memory left in "
			"one piece; give less",
			config->name);
		return 0;
	}
	if (!lay_out(vm))
		return 0;
	for (u64 offset = 0; offset < vm->ram_bytes; offset += PAGE_SIZE)
		fill(vm, offset, PAGE_SIZE);
	map_memory(vm);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		create_vcpu(vm, i);
	vgic_init(vm);
	vuart_init(vm);
	vm->state = VM_OFF;
	return vm;
}

u32 vm_create_all(const struct manifest *manifest, const struct gic_registers *gic)
{
	if (gic->version == 2) {
		gicv = gic->virtual_interface;
		gicv_bytes = min(gic->virtual_interface_bytes, VM_GICC_BYTES);
	}
	count = manifest->vm_count;
	stay = manifest->stay;
	for (u32 id = 0; id < count; id++)
		if (!manifest->vm[id].refused)
			vms[id] = create(id, &manifest->vm[id]);
	for (u32 id = 0; id < count; id++)
		if (vms[id])
			ipc_vm_create(vms[id], manifest);
	ipc_connect(manifest);
	for (u32 id = 0; id < count; id++)
		running += vms[id] != 0;
	return running;
}

/* vCPU 0 alone is on, and will begin at the VM's entry. */
static void power_on(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vm->vcpu[i]->power = i == 0 ? VCPU_ON : VCPU_OFF;
	vm->vcpu[0]->entry = vm->entry_ipa;
	vm->vcpu[0]->context = vm->tree_ipa;
	vm->vcpu[0]->restart = true;
}

void vm_start_all(void)
{
	cache_invalidate_instructions(); /* the kernels were written as data */
	for (u32 id = 0; id < count; id++) {
		struct vm *vm = vms[id];

		if (!vm)
			continue;
		vm->state = VM_RUNNING;
		power_on(vm);
		sched_start(vm->vcpu[0]);
	}
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void machine_off(void)
{
	console_flush();
	cpu_power_off();
}

/*
 * From dying to rebuilding, when both are so: all that others can still do to it is over, and so is
 * the last request that a device had. Whichever happens later finds the other: `closed` is set
 * before ipc_vm_idle() is asked there, and asked for under the lock after the request is over here.
 */
static void try_rebuild(struct vm *vm)
{
	bool mine;

	if (!ipc_vm_idle(vm))
		return;
	spin_lock(&vm->lock);
	mine = vm->state == VM_DYING && vm->again && vm->closed;
	if (mine) {
		vm->rebuilt = 0;
		power_on(vm);
		vm->state = VM_REBUILDING;
	}
	spin_unlock(&vm->lock);
	if (!mine)
		return;
	vuart_reset(vm);
	vgic_init(vm);
	stage2_forget(&vm->stage2);
	guest_tree_reseed(vm->seed);
	sched_start(vm->vcpu[0]);
}

void vm_device_done(struct vm *vm)
{
	try_rebuild(vm);
}

/* No vCPU of it is on a core any more. */
static void ended(struct vm *vm)
{
	bool again;

	vuart_flush(vm);
	ipc_vm_stop(vm);
	spin_lock(&vm->lock);
	again = vm->again;
	if (again)
		vm->closed = true;
	else
		vm->state = VM_OFF;
	spin_unlock(&vm->lock);
	if (again) {
		try_rebuild(vm);
		return;
	}
	if (__atomic_sub_fetch(&running, 1, __ATOMIC_ACQ_REL) || stay)
		return;
	log_line("all VMs are off, powering off");
	machine_off();
}

void vm_vcpu_left(struct vm *vm)
{
	if (!__atomic_sub_fetch(&vm->ending, 1, __ATOMIC_ACQ_REL))
		ended(vm);
}

void vm_stop(struct vm *vm, enum vm_end why)
{
	enum on_fault policy = vm->config->on_fault;
	bool mine;

	spin_lock(&vm->lock);
	mine = vm->state == VM_RUNNING;
	if (mine) {
		vm->state = VM_DYING;
		vm->closed = false;
		vm->again =
			why == VM_END_RESET || (why == VM_END_FAULT && policy == ON_FAULT_RESTART);
	}
	spin_unlock(&vm->lock);
	if (!mine)
		return;
	/* One for each vCPU, and one that keeps the VM from ending while the loop is at it. */
	__atomic_store_n(&vm->ending, vm->vcpu_count + 1, __ATOMIC_RELEASE);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		if (sched_stop(vm->vcpu[i], true))
			vm_vcpu_left(vm);
	vm_vcpu_left(vm);
	if (why == VM_END_FAULT && policy == ON_FAULT_STOP_MACHINE) {
		log_line("%s faulted and its on-fault is stop-machine: powering off",
			 vm->config->name);
		machine_off();
	}
}

/* ---- Rebuilding ------------------------------------------------------------------------------ */

/*
 * Of the image; some 2,500 instructions if its blob is not as aligned as RAM, so that it is copied
 * byte by byte.
 */
#define REBUILD_BYTES 512

/* How much of RAM a step fills from here on: an empty page is quick. */
static u64 piece(const struct vm *vm, u64 at)
{
	u64 page = align_down(at, PAGE_SIZE);

	for (u32 i = 0; i < VM_IMAGE_PARTS; i++)
		if (vm->image[i].offset < page + PAGE_SIZE &&
		    page < vm->image[i].offset + vm->image[i].blob.bytes)
			return REBUILD_BYTES;
	return PAGE_SIZE;
}

void vm_rebuild_step(struct vm *vm)
{
	u64 at = vm->rebuilt;

	if (at < vm->ram_bytes) {
		u64 bytes = piece(vm, at);

		fill(vm, at, bytes);
		vm->rebuilt += bytes;
		return;
	}
	vm->rebuilt++;
	if (ipc_vm_rebuild(vm, at - vm->ram_bytes))
		return;
	cache_invalidate_instructions(); /* the kernel was written as data */
	log_line("%s starts again", vm->config->name);
	spin_lock(&vm->lock);
	vm->state = VM_RUNNING;
	spin_unlock(&vm->lock);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

static const char *exception_name(u64 syndrome)
{
	switch (syndrome >> 26 & 0x3f) {
	case 0x00:
		return "undefined instruction";
	case 0x20:
		return "instruction abort";
	case 0x24:
		return "data abort";
	case 0x2f:
		return "SError";
	default:
		return "exception";
	}
}

void vm_fault(struct vcpu *self, const char *what)
{
	u64 syndrome = arch_exit_syndrome();
	const char *name = self->vm->config->name;

	log_line("fault: VM %s vCPU %u: %s", name, self->index, what);
	log_line(
		"fault: VM %s vCPU %u: %s (ESR %08lx) PC %016lx PSTATE %08lx FAR %016lx IPA %010lx",
		name, self->index, exception_name(syndrome), syndrome, arch_guest_pc(),
		arch_guest_pstate(), arch_exit_far(), arch_exit_ipa().raw);
	vm_stop(self->vm, VM_END_FAULT);
}
