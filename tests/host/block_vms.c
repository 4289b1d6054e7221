/* Two VMs and their disks in tests of the block service (block_vms.h). */
#include "block_vms.h"

#include <string.h>
#include "core/hypercall.h"
#include "core/life.h"
#include "core/memory.h"
#include "drivers/block_device.c" /* NOLINT: to empty its table between tests */
#include "drivers/virtio_blk.h"
#include "ipc/event.h"
#include "ipc/grant.h"

struct fake_virtio hardware[2];
u8 medium[2][SECTORS * WEIR_SECTOR_SIZE];

struct vm vms[2];
static struct vcpu vcpus[2][2];
struct vcpu *self;

struct manifest_disk disks[] = {
	{ .name = "whole" },
	{ .name = "part", .first_sector = FIRST, .sectors = PART },
	{ .name = "other", .device = 1 },
	{ .name = "missing", .device = 7 },
};
static struct manifest_vm configs[2];
static const struct manifest manifest = { .disk = disks, .disk_count = ARRAY_SIZE(disks) };

/* The rest of the hypervisor. */

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	u64 offset = ipa.raw - VM_RAM_BASE;

	if (bytes > vm->ram_bytes || offset > vm->ram_bytes - bytes)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

u64 shared_ipa;
static bool grant_locked;

u32 device_done[2], device_done_idle[2];

void vm_device_done(struct vm *vm)
{
	device_done[vm - vms]++;
	device_done_idle[vm - vms] += block_vm_idle(vm);
}

void stop_all(struct vm *vm)
{
	u64 at = 0;

	while (block_vm_stop(vm, &at))
		;
}

void grant_lock(struct vm *vm) NO_THREAD_SAFETY
{
	(void)vm;
	assert_false(grant_locked);
	grant_locked = true;
}

void grant_unlock(struct vm *vm) NO_THREAD_SAFETY
{
	(void)vm;
	assert_true(grant_locked);
	grant_locked = false;
}

void ipc_pages_hold(struct vm *vm)
{
	grant_lock(vm);
}

void ipc_pages_release(struct vm *vm)
{
	grant_unlock(vm);
}

bool ipc_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	return grant_pages_shared(vm, pa, bytes);
}

bool grant_in_pool(const struct vm *vm, pa_t pa, u64 bytes)
{
	return pa.raw + bytes > vm->ram.raw + vm->ram_bytes - vm->pool_bytes;
}

void event_block_done(struct vcpu *vcpu)
{
	vgic_pend(vcpu, WEIR_INTID_BLOCK);
}

bool grant_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	u64 page = vm->ram.raw + shared_ipa - VM_RAM_BASE;

	assert_true(grant_locked);
	return shared_ipa && vm == a && pa.raw < page + PAGE_SIZE && page < pa.raw + bytes;
}

struct weir_result weir_call(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
			     uint64_t a5, uint64_t a6)
{
	struct call_args in = { function, a1, a2, a3, a4, a5, a6 };
	struct call_results out = { 0 };
	struct weir_result result;

	if (function == WEIR_FN(WEIR_FN_BLOCK_INFO))
		result.status = block_info_call(self, &in, &out);
	else
		result.status = block_submit_call(self, &in, &out);
	assert_false(grant_locked);
	result.value[0] = out.x1;
	result.value[1] = out.x2;
	result.value[2] = out.x3;
	return result;
}

/* What a guest does. */

enum weir_status submit(u32 disk, enum weir_block_operation operation, u64 sector, u64 sectors,
			u64 ipa, u64 cookie)
{
	return weir_block_submit(disk, operation, sector, sectors, (void *)ipa, cookie);
}

enum weir_status read_one(u64 cookie)
{
	return submit(0, WEIR_BLOCK_READ, cookie % SECTORS, 1, BUFFER, cookie);
}

static struct weir_pages pages_of(const struct vcpu *vcpu)
{
	return (struct weir_pages){ .in = (struct weir_in *)vcpu->ipc->in, .out = vcpu->ipc->out };
}

bool next(struct weir_completion *completion)
{
	struct weir_pages pages = pages_of(self);

	return weir_block_next(&pages, completion);
}

void expect_next(u64 cookie, enum weir_status status)
{
	struct weir_completion completion;

	assert_true(next(&completion));
	assert_int_equal(completion.cookie, cookie);
	assert_int_equal(completion.status, status);
	assert_int_equal(completion.reserved, 0);
}

void expect_none(void)
{
	struct weir_completion completion;

	assert_false(next(&completion));
}

u8 *ram_at(struct vm *vm, u64 ipa)
{
	return (u8 *)(vm->ram.raw + ipa - VM_RAM_BASE);
}

bool interrupt_once(u32 device)
{
	block_device_interrupt(block_device_get(device));
	return fake_gic_take(48 + device);
}

void interrupt(u32 device)
{
	while (interrupt_once(device))
		;
}

void serve_all(u32 device)
{
	while (hardware[device].pending_count) {
		fake_virtio_serve_all(&hardware[device]);
		interrupt(device);
	}
}

/* Making the machine. */

bool probe(u32 index)
{
	struct virtio_blk_place place = {
		.registers = &hardware[index],
		.intid = 48 + index,
		.edge = true,
		.name = index ? "virtio_mmio@1" : "virtio_mmio@0",
		.alloc_page = heap_page,
		.to_pa = mmu_heap_pa,
	};

	return virtio_blk_probe(&place);
}

static void make_vm(struct vm *vm, u32 vcpu_count)
{
	u32 id = (u32)(vm - vms);

	*vm = (struct vm){ .config = &configs[id],
			   .id = id,
			   .ram_bytes = RAM_BYTES,
			   .pool_bytes = POOL_BYTES,
			   .vcpu_count = vcpu_count };
	assert_true(memory_take_ram(RAM_BYTES, 0, &vm->ram));
	vm->ipc = heap_alloc(sizeof(*vm->ipc));
	for (u32 i = 0; i < vcpu_count; i++) {
		struct vcpu *vcpu = &vcpus[id][i];

		*vcpu = (struct vcpu){ .vm = vm, .index = i };
		vcpu->ipc = heap_alloc(sizeof(*vcpu->ipc));
		vcpu->ipc->in = heap_page();
		vcpu->ipc->out = heap_page();
		vm->vcpu[i] = vcpu;
	}
	block_vm_create(vm, &manifest);
}

void make_machine(void)
{
	configs[0] = (struct manifest_vm){ .name = "a",
					   .disk = { 0, 1, 2, 3, 0 },
					   .disk_count = A_DISKS,
					   .writable_disk_count = 4 };
	configs[1] = (struct manifest_vm){ .name = "b", .disk_count = 1, .writable_disk_count = 1 };
	make_vm(a, 2);
	make_vm(b, 1);
	self = a->vcpu[0];
}

int set_up_hardware(void **state)
{
	(void)state;
	device_count = 0;
	shared_ipa = 0;
	fake_log_reset();
	fake_pend_reset();
	for (u32 i = 0; i < 2; i++)
		fake_virtio_init(&hardware[i], medium[i], SECTORS);
	for (u32 i = 0; i < sizeof(medium[0]); i++)
		medium[0][i] = (u8)(i / WEIR_SECTOR_SIZE + i);
	return 0;
}

int set_up(void **state)
{
	set_up_hardware(state);
	assert_true(probe(0));
	assert_true(probe(1));
	make_machine();
	hardware[0].automatic = false;
	return 0;
}

int tear_down_hardware(void **state)
{
	(void)state;
	fake_heap_reset();
	return 0;
}

void reset_all(struct vm *vm)
{
	u64 at = 0;

	while (block_vm_reset(vm, &at))
		;
}

int tear_down(void **state)
{
	stop_all(a);
	stop_all(b);
	for (u32 i = 0; i < 2; i++) {
		if (!(hardware[i].status & 4))
			continue;
		serve_all(i);
		interrupt(i);
	}
	if (!hardware[0].never_resets)
		assert_true(block_vm_idle(a) && block_vm_idle(b));
	return tear_down_hardware(state);
}

void fill_device(void)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(hardware[0].pending_count, 85);
}
