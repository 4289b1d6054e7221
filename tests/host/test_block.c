/*
 * The block service and the virtio-blk driver under it, against a model of the device.
 *
 * Two VMs, a and b, share device 0; device 1 is a's alone. The guest's side are the wrappers of
 * weir/block.h. A physical address is the host's pointer, so the model moves data by memcpy.
 *
 * Sources: tests/host/fake/gic_pend.c
 * Sources: ipc/block.c drivers/virtio_blk.c core/base/log.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/vgic_pend.c
 */
#include <string.h>
#include "virtio_mmio.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "core/memory.h"
#include "drivers/block_device.c" /* NOLINT: to empty its table between tests */
#include "drivers/virtio_blk.h"
#include "ipc/block.h"
#include "ipc/event.h"
#include "ipc/grant.h"
#include "ipc/ipc.h"

#define SECTORS	   4096u
#define RAM_BYTES  (2 * MIB - PAGE_SIZE)
#define POOL_BYTES (64 * KIB)
#define FIRST	   16u /* sector where disk "part" begins */
#define PART	   64u
#define BUFFER	   (VM_RAM_BASE + PAGE_SIZE) /* IPA */
#define POOL	   (VM_RAM_BASE + RAM_BYTES - POOL_BYTES)

/* Disk indices of VM a. b has only "whole", as 0. */
enum { A_WHOLE, A_PART, A_OTHER, A_MISSING, A_READ_ONLY, A_DISKS };

static struct fake_virtio hardware[2];
static u8 medium[2][SECTORS * WEIR_SECTOR_SIZE];

static struct vm vms[2], *const a = &vms[0], *const b = &vms[1];
static struct vcpu vcpus[2][2];
static struct vcpu *self; /* who makes the next call */

static struct manifest_disk disks[] = {
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

static u64 shared_ipa; /* one page of a is in a grant, 0: none */
static bool grant_locked;

static u32 device_done[2]; /* calls for each VM, and those of them when it was idle */
static u32 device_done_idle[2];

void vm_device_done(struct vm *vm)
{
	device_done[vm - vms]++;
	device_done_idle[vm - vms] += block_vm_idle(vm);
}

/* All steps of the end of a VM's requests. */
static void stop_all(struct vm *vm)
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

static enum weir_status submit(u32 disk, enum weir_block_operation operation, u64 sector,
			       u64 sectors, u64 ipa, u64 cookie)
{
	return weir_block_submit(disk, operation, sector, sectors, (void *)ipa, cookie);
}

static enum weir_status read_one(u64 cookie)
{
	return submit(0, WEIR_BLOCK_READ, cookie % SECTORS, 1, BUFFER, cookie);
}

static struct weir_pages pages_of(const struct vcpu *vcpu)
{
	return (struct weir_pages){ .in = (struct weir_in *)vcpu->ipc->in, .out = vcpu->ipc->out };
}

static bool next(struct weir_completion *completion)
{
	struct weir_pages pages = pages_of(self);

	return weir_block_next(&pages, completion);
}

static void expect_next(u64 cookie, enum weir_status status)
{
	struct weir_completion completion;

	assert_true(next(&completion));
	assert_int_equal(completion.cookie, cookie);
	assert_int_equal(completion.status, status);
	assert_int_equal(completion.reserved, 0);
}

static void expect_none(void)
{
	struct weir_completion completion;

	assert_false(next(&completion));
}

static u8 *ram_at(struct vm *vm, u64 ipa)
{
	return (u8 *)(vm->ram.raw + ipa - VM_RAM_BASE);
}

/* True: it is raised again. */
static bool interrupt_once(u32 device)
{
	block_device_interrupt(block_device_get(device));
	return fake_gic_take(48 + device);
}

static void interrupt(u32 device)
{
	while (interrupt_once(device))
		;
}

static void serve_all(u32 device)
{
	while (hardware[device].pending_count) {
		fake_virtio_serve_all(&hardware[device]);
		interrupt(device);
	}
}

/* Making the machine. */

static bool probe(u32 index)
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

static void make_machine(void)
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

static int set_up_hardware(void **state)
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

static int set_up(void **state)
{
	set_up_hardware(state);
	assert_true(probe(0));
	assert_true(probe(1));
	make_machine();
	hardware[0].automatic = false;
	return 0;
}

static int tear_down_hardware(void **state)
{
	(void)state;
	fake_heap_reset();
	return 0;
}

static void reset_all(struct vm *vm)
{
	u64 at = 0;

	while (block_vm_reset(vm, &at))
		;
}

/* Nothing stays in a waiting list, and every request is accounted for. */
static int tear_down(void **state)
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

/* The driver: finding a disk. */

TEST(probe_says_how_to_make_a_legacy_device_modern)
{
	hardware[0].version = 1;
	assert_false(probe(0));
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("-global virtio-mmio.force-legacy=false"));
	assert_int_equal(fake_heap_allocations(), 0);
}

TEST(probe_passes_over_what_is_no_disk_without_a_word)
{
	hardware[0].id = 0;
	assert_false(probe(0));
	hardware[0].id = 1;
	assert_false(probe(0));
	hardware[0].magic = 0;
	assert_false(probe(0));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(hardware[0].resets, 0);
}

TEST(probe_takes_only_the_features_that_it_knows)
{
	assert_true(probe(0));
	assert_int_equal(hardware[0].driver_features, 1ul << 32 | 1ul << 9 | 1ul << 2);
	assert_int_equal(hardware[0].status, 0xf);
	assert_int_equal(hardware[0].queue_num, 256);
	assert_int_equal(block_device_get(0)->sectors, SECTORS);
	assert_false(block_device_get(0)->read_only);
	assert_int_equal(block_device_get(0)->intid, 48);
	assert_int_equal(fake_log_count(), 0);
}

TEST(probe_refuses_a_device_before_version_1)
{
	hardware[0].features &= ~(1ul << 32);
	assert_false(probe(0));
	assert_true(fake_log_has("virtio_mmio@0: the disk does not offer VIRTIO_F_VERSION_1"));
	assert_true(hardware[0].status & 128);
	assert_int_equal(block_device_count(), 0);
}

TEST(probe_refuses_a_device_that_needs_address_translation)
{
	hardware[0].features |= 1ul << 33;
	hardware[0].needs_features |= 1ul << 33;
	assert_false(probe(0));
	assert_true(fake_log_has("VIRTIO_F_ACCESS_PLATFORM"));
	assert_int_equal(fake_log_count(), 1);
}

TEST(probe_gives_up_on_a_device_that_does_not_reset)
{
	hardware[0].never_resets = true;
	assert_false(probe(0));
	assert_true(fake_log_has("does not reset"));
}

TEST(probe_refuses_a_device_without_a_queue)
{
	hardware[0].queue_max = 2;
	assert_false(probe(0));
	assert_true(fake_log_has("queue"));
}

TEST(probe_honours_the_limits_of_the_device)
{
	hardware[0].features |= 1ul << 1 | 1ul << 5;
	hardware[0].size_max = 5000;
	hardware[0].seg_max = 2;
	hardware[0].queue_max = 100;
	hardware[0].sectors = 0x1234567890ul;
	assert_true(probe(0));
	assert_int_equal(block_device_get(0)->max_segment_bytes, 4608);
	assert_int_equal(block_device_get(0)->max_segments, 2);
	assert_int_equal(block_device_get(0)->sectors, 0x1234567890ul);
	assert_true(block_device_get(0)->read_only);
	assert_int_equal(hardware[0].queue_num, 64);
}

TEST(probe_refuses_a_device_that_takes_no_whole_sector)
{
	hardware[0].features |= 1ul << 1;
	hardware[0].size_max = 511;
	assert_false(probe(0));
	assert_true(fake_log_has("less than a sector"));
}

TEST(probe_reads_the_capacity_again_if_it_changed_meanwhile)
{
	hardware[0].config_changes = 3;
	assert_true(probe(0));
	assert_int_equal(block_device_get(0)->sectors, SECTORS);
}

TEST(devices_beyond_the_table_are_left_out_and_named)
{
	struct block_device disk = { .name = "disk" };

	for (u32 i = 0; i < BLOCK_DEVICES_MAX; i++)
		assert_true(block_device_add(&disk));
	assert_false(probe(0));
	assert_int_equal(block_device_count(), BLOCK_DEVICES_MAX);
	assert_null(block_device_get(BLOCK_DEVICES_MAX));
	assert_true(fake_log_has("virtio_mmio@0: the disk is one more than Weir uses"));
	assert_false(hardware[0].status & 4);
}

/* The driver: requests of several segments, which the service does not make. */

static u32 done_count;
static enum weir_status done_status;

static void count_done(struct block_request *request, enum weir_status status)
{
	(void)request;
	done_count++;
	done_status = status;
}

TEST(segments_are_filled_in_their_order)
{
	u8 *memory = heap_pages(2);
	struct block_request request = {
		.operation = BLOCK_READ, .sector = 7, .segment_count = 4, .done = count_done
	};
	struct block_device *device;

	assert_true(probe(0));
	device = block_device_get(0);
	for (u32 i = 0; i < 4; i++)
		request.segment[i] =
			(struct block_segment){ PA((u64)memory + 1024 * (3 - i)), 512 };
	done_count = 0;
	assert_int_equal(device->ops->submit(device, &request), WEIR_OK);
	assert_int_equal(done_count, 0); /* never from inside submit */
	interrupt(0);
	assert_int_equal(done_count, 1);
	assert_int_equal(done_status, WEIR_OK);
	for (u32 i = 0; i < 4; i++)
		assert_memory_equal(memory + 1024 * (3 - i), medium[0] + (7 + i) * 512, 512);
}

TEST(full_queue_answers_again_and_changes_nothing)
{
	static struct block_request request[86];
	u8 *memory = heap_page();
	struct block_device *device;

	hardware[0].automatic = false;
	assert_true(probe(0));
	device = block_device_get(0);
	done_count = 0;
	for (u32 i = 0; i < 86; i++) {
		request[i] = (struct block_request){ .operation = BLOCK_READ,
						     .segment_count = 1,
						     .segment = { { PA((u64)memory), 512 } },
						     .done = count_done };
		assert_int_equal(device->ops->submit(device, &request[i]),
				 i < 85 ? WEIR_OK : WEIR_AGAIN);
	}
	assert_int_equal(hardware[0].notifications, 85);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_int_equal(done_count, 1);
	assert_int_equal(device->ops->submit(device, &request[85]), WEIR_OK);
	fake_virtio_serve_all(&hardware[0]);
	interrupt(0);
	assert_int_equal(done_count, 86);
}

/* The calls: what they answer. */

TEST(info_tells_size_rights_and_largest_request)
{
	struct weir_block_info info;

	assert_int_equal(weir_block_info(A_WHOLE, &info), WEIR_OK);
	assert_int_equal(info.sectors, SECTORS);
	assert_false(info.read_only);
	assert_int_equal(info.request_sectors_max, 2048);
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_OK);
	assert_int_equal(info.sectors, PART);
	assert_int_equal(weir_block_info(A_READ_ONLY, &info), WEIR_OK);
	assert_true(info.read_only);
}

TEST(info_refuses_disks_that_are_not_there)
{
	struct weir_block_info info;

	assert_int_equal(weir_block_info(A_DISKS, &info), WEIR_NOT_FOUND);
	assert_int_equal(weir_call(WEIR_FN(WEIR_FN_BLOCK_INFO), UINT64_MAX, 0, 0, 0, 0, 0).status,
			 WEIR_NOT_FOUND);
	assert_int_equal(weir_block_info(A_MISSING, &info), WEIR_IO);
}

TEST(submit_refuses_disks_that_are_not_there)
{
	assert_int_equal(submit(A_DISKS, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_NOT_FOUND);
	assert_int_equal(submit(255, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_NOT_FOUND);
	assert_int_equal(submit(A_MISSING, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_IO);
}

TEST(submit_refuses_operations_that_are_none)
{
	assert_int_equal(submit(0, 3, 0, 1, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, 255, 0, 1, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, 256, 0, 1, BUFFER, 0), WEIR_INVALID); /* bit 16 of x1 */
	assert_int_equal(
		weir_call(WEIR_FN(WEIR_FN_BLOCK_SUBMIT), 1ul << 63, 0, 1, BUFFER, 0, 0).status,
		WEIR_INVALID);
}

TEST(submit_refuses_sectors_beyond_the_disk)
{
	static const struct {
		u64 sector, sectors;
	} bad[] = {
		{ 0, 0 },
		{ 0, PART + 1 },
		{ PART, 1 },
		{ PART - 1, 2 },
		{ UINT64_MAX, 1 },
		{ UINT64_MAX - FIRST + 1, 1 }, /* wraps to sector 0 of the device */
		{ UINT64_MAX, 2 },
		{ 1, UINT64_MAX },
		{ 0, 1ul << 32 | 1 }, /* low half alone would do */
		{ 0, 1ul << 55 },     /* bytes wrap to 0 */
		{ 0, (1ul << 55) + 1 },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(
			submit(A_PART, WEIR_BLOCK_READ, bad[i].sector, bad[i].sectors, BUFFER, 0),
			WEIR_INVALID);
		assert_int_equal(
			submit(A_PART, WEIR_BLOCK_WRITE, bad[i].sector, bad[i].sectors, BUFFER, 0),
			WEIR_INVALID);
	}
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, PART - 1, 1, BUFFER, 0), WEIR_OK);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 0, PART, BUFFER, 0), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 2);
}

TEST(submit_refuses_more_than_the_largest_request)
{
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2049, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2048, BUFFER, 0), WEIR_OK);
	serve_all(0);
	assert_int_equal(hardware[0].largest_transfer, MIB);
	assert_memory_equal(ram_at(a, BUFFER), medium[0], MIB);
}

TEST(submit_refuses_buffers_that_are_not_aligned)
{
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 1, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 256, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, BUFFER + 512, 0), WEIR_OK);
}

TEST(submit_refuses_writes_to_a_read_only_disk)
{
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0), WEIR_DENIED);
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_OK);
	assert_int_equal(submit(A_READ_ONLY, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_OK);
}

TEST(submit_refuses_buffers_outside_of_ram)
{
	static const u64 bad[] = {
		0,
		VM_RAM_BASE - 512,
		VM_RAM_BASE + RAM_BYTES,
		VM_RAM_BASE + RAM_BYTES - 512, /* the second sector is beyond */
		VM_WINDOW_BASE,
		VM_SHARED_BASE,
		UINT64_MAX - 511, /* wraps */
		UINT64_MAX - 1023,
		1ul << 63 | VM_RAM_BASE,
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, bad[i], 0), WEIR_FAULT);
	assert_int_equal(hardware[0].notifications, 0);
	assert_true(block_vm_idle(a));
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, VM_RAM_BASE + RAM_BYTES - 1024, 0),
			 WEIR_OK);
}

TEST(submit_refuses_buffers_that_are_shared)
{
	shared_ipa = POOL + PAGE_SIZE;
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa, 0), WEIR_FAULT);
	assert_int_equal(submit(0, WEIR_BLOCK_WRITE, 0, 2, shared_ipa - 512, 0), WEIR_FAULT);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa + PAGE_SIZE - 512, 0),
			 WEIR_FAULT);
	assert_true(block_vm_idle(a));
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa - 512, 0), WEIR_OK);
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 1, shared_ipa + PAGE_SIZE, 0), WEIR_OK);
}

TEST(flush_takes_no_sectors_and_no_buffer)
{
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 1, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 1, 0, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 5), WEIR_OK);
	serve_all(0);
	expect_next(5, WEIR_OK);
}

TEST(accepted_requests_and_their_sectors_are_counted)
{
	submit(0, WEIR_BLOCK_READ, 0, 3, BUFFER, 0);
	submit(0, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0);
	submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 0);
	submit(0, WEIR_BLOCK_READ, SECTORS, 1, BUFFER, 0); /* refused */
	assert_int_equal(self->account.block_requests, 3);
	assert_int_equal(self->account.block_sectors, 4);
}

/* A driver that moves the data itself. */
static enum weir_status submit_and_work(struct block_device *device, struct block_request *request)
{
	(void)device;
	assert_int_equal(request->ticks, 0);
	request->ticks = 7;
	request->done(request, WEIR_OK);
	return WEIR_OK;
}

TEST(time_that_moving_data_took_is_the_vcpus_that_asked)
{
	static const struct block_device_ops working = { .submit = submit_and_work };
	struct block_device *device = block_device_get(0);
	const struct block_device_ops *ops = device->ops;

	submit(0, WEIR_BLOCK_READ, 0, 3, BUFFER, 0);
	serve_all(0);
	assert_int_equal(self->account.block_ticks, 0);
	device->ops = &working;
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	device->ops = ops;
	assert_int_equal(self->account.block_ticks, 21);
	assert_int_equal(a->vcpu[1]->account.block_ticks, 0);
}

TEST(submit_refuses_more_than_the_completion_ring_holds)
{
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(64), WEIR_QUOTA);
	serve_all(0); /* done, and not consumed: still no room */
	assert_int_equal(read_one(64), WEIR_QUOTA);
	expect_next(0, WEIR_OK);
	assert_int_equal(read_one(64), WEIR_OK);
	assert_int_equal(read_one(65), WEIR_QUOTA);
	self = a->vcpu[1]; /* another vCPU has a ring of its own */
	assert_int_equal(read_one(0), WEIR_OK);
}

/* Disks of the manifest. */

TEST(a_part_is_its_own_sectors_of_the_device)
{
	memset(ram_at(a, BUFFER), 0x5a, 1024);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_WRITE, 3, 2, BUFFER, 1), WEIR_OK);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 5, 1, BUFFER + PAGE_SIZE, 2), WEIR_OK);
	serve_all(0);
	expect_next(1, WEIR_OK);
	expect_next(2, WEIR_OK);
	assert_memory_equal(medium[0] + (FIRST + 3) * 512, ram_at(a, BUFFER), 1024);
	assert_memory_equal(ram_at(a, BUFFER + PAGE_SIZE), medium[0] + (FIRST + 5) * 512, 512);
	assert_int_not_equal(medium[0][(FIRST + 3) * 512 - 1], 0x5a);
}

TEST(a_disk_that_does_not_fit_its_device_is_missing)
{
	struct weir_block_info info;

	disks[1].sectors = SECTORS - FIRST + 1;
	make_machine();
	disks[1].sectors = PART;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	disks[1].first_sector = UINT64_MAX;
	make_machine();
	disks[1].first_sector = FIRST;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	disks[1].missing = true;
	make_machine();
	disks[1].missing = false;
	assert_int_equal(weir_block_info(A_PART, &info), WEIR_IO);
	assert_int_equal(submit(A_PART, WEIR_BLOCK_READ, 0, 1, BUFFER, 0), WEIR_IO);
	assert_int_equal(weir_block_info(A_WHOLE, &info), WEIR_OK);
}

TEST(a_read_only_device_makes_its_disks_read_only)
{
	block_device_get(1)->read_only = true;
	make_machine();
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_WRITE, 0, 1, BUFFER, 0), WEIR_DENIED);
	assert_true(fake_log_has("/disks/other: device 1 is read-only"));
}

TEST(a_small_segment_makes_the_largest_request_small)
{
	struct weir_block_info info;

	block_device_get(1)->max_segment_bytes = 4096;
	make_machine();
	assert_int_equal(weir_block_info(A_OTHER, &info), WEIR_OK);
	assert_int_equal(info.request_sectors_max, 8);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 9, BUFFER, 0), WEIR_INVALID);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 8, BUFFER, 0), WEIR_OK);
}

/* Completions. */

TEST(completion_arrives_on_the_vcpu_that_submitted)
{
	self = a->vcpu[1];
	assert_int_equal(read_one(9), WEIR_OK);
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 0);
	expect_none();
	serve_all(0);
	assert_int_equal(fake_pend_count(a->vcpu[1], WEIR_INTID_BLOCK), 1);
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 1);
	expect_next(9, WEIR_OK);
	expect_none();
	self = a->vcpu[0];
	expect_none();
}

TEST(requests_complete_in_the_order_of_the_device)
{
	for (u64 i = 0; i < 4; i++)
		assert_int_equal(submit(0, WEIR_BLOCK_READ, i, 1, BUFFER + i * 512, i), WEIR_OK);
	fake_virtio_serve_at(&hardware[0], 2);
	fake_virtio_serve_at(&hardware[0], 2);
	interrupt(0);
	fake_virtio_serve_at(&hardware[0], 1);
	fake_virtio_serve_at(&hardware[0], 0);
	interrupt(0);
	expect_next(2, WEIR_OK);
	expect_next(3, WEIR_OK);
	expect_next(1, WEIR_OK);
	expect_next(0, WEIR_OK);
	assert_memory_equal(ram_at(a, BUFFER), medium[0], 4 * 512);
}

TEST(late_and_spurious_interrupts_do_no_harm)
{
	interrupt(0);
	assert_int_equal(read_one(1), WEIR_OK);
	interrupt(0);
	expect_none();
	fake_virtio_serve(&hardware[0]);
	expect_none(); /* not before its interrupt */
	interrupt(0);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_none();
	assert_int_equal(hardware[0].interrupt_status, 0);
}

TEST(io_error_reaches_the_guest_that_asked_and_no_other)
{
	assert_int_equal(read_one(1), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(2), WEIR_OK);
	self = a->vcpu[0];
	assert_int_equal(read_one(3), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	hardware[0].next_answer = 1; /* IOERR */
	fake_virtio_serve(&hardware[0]);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_next(3, WEIR_OK);
	self = b->vcpu[0];
	expect_next(2, WEIR_IO);
	assert_int_equal(read_one(4), WEIR_OK);
	hardware[0].next_answer = 2; /* UNSUPP */
	serve_all(0);
	expect_next(4, WEIR_IO);
}

TEST(an_answer_without_a_status_is_an_error)
{
	assert_int_equal(read_one(1), WEIR_OK);
	serve_all(0);
	expect_next(1, WEIR_OK);
	assert_int_equal(read_one(2), WEIR_OK); /* the same slot, where an OK still was */
	hardware[0].silent_status = true;
	serve_all(0);
	expect_next(2, WEIR_IO);
}

TEST(flush_of_a_device_that_writes_through_completes_at_once)
{
	block_device_get(0)->write_through = true;
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 7), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 0);
	expect_next(7, WEIR_OK);
	assert_int_equal(fake_pend_count(self, WEIR_INTID_BLOCK), 1);
	assert_true(block_vm_idle(a));
}

TEST(device_without_flush_is_taken_as_writing_through)
{
	hardware[0].features &= ~(1ul << 9);
	assert_true(probe(0));
	assert_true(block_device_get(0)->write_through);
}

TEST(ring_positions_wrap_at_65536)
{
	u64 count = 70000;

	for (u64 i = 0; i < count; i += 2) { /* two at a time, the second first */
		fake_pend_reset();
		assert_int_equal(submit(0, WEIR_BLOCK_READ, i % SECTORS, 1, BUFFER, i), WEIR_OK);
		assert_int_equal(submit(0, WEIR_BLOCK_READ, 5, 1, BUFFER + 512, i + 1), WEIR_OK);
		fake_virtio_serve_at(&hardware[0], 1);
		interrupt(0);
		expect_next(i + 1, WEIR_OK);
		fake_virtio_serve(&hardware[0]);
		interrupt(0);
		expect_next(i, WEIR_OK);
	}
	assert_int_equal(hardware[0].served, count);
	assert_int_equal(hardware[0].used_index, (u16)count);
	assert_memory_equal(ram_at(a, BUFFER), medium[0] + (count - 2) % SECTORS * 512, 512);
	assert_int_equal(a->vcpu[0]->ipc->out->completion_tail, count);
}

TEST(head_that_lies_forward_is_clamped_to_the_tail)
{
	struct weir_in *in = (struct weir_in *)self->ipc->in;

	in->completion_head = UINT64_MAX;
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(64), WEIR_QUOTA); /* in flight: no lie gives their slots */
	in->completion_head = 1000;
	assert_int_equal(read_one(64), WEIR_QUOTA);
	serve_all(0);
	assert_int_equal(read_one(64), WEIR_OK); /* it gave up its completions itself */
	assert_int_equal(self->ipc->out->completion_tail, 64);
}

TEST(head_that_lies_backward_takes_nothing_back)
{
	struct weir_in *in = (struct weir_in *)self->ipc->in;

	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	serve_all(0);
	in->completion_head = 60;
	for (u64 i = 0; i < 50; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	in->completion_head = 0;
	for (u64 i = 50; i < 60; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	assert_int_equal(read_one(0), WEIR_QUOTA);
	serve_all(0);
	assert_int_equal(self->ipc->out->completion_tail, 124);
	in->completion_head = 124;
	assert_int_equal(read_one(0), WEIR_OK);
}

/* A device that is full, and who waits for it. */

/* 64 of a's first vCPU and 21 of its second are what a queue of 256 descriptors holds. */
static void fill_device(void)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(hardware[0].pending_count, 85);
}

TEST(requests_beyond_the_device_wait_and_are_submitted_by_completions)
{
	fill_device();
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	assert_int_equal(hardware[0].notifications, 85);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_int_equal(hardware[0].notifications, 86);
	assert_int_equal(hardware[0].pending_count, 85);
	serve_all(0);
	assert_int_equal(hardware[0].served, 95);
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_OK);
	for (u64 i = 0; i < 10; i++)
		expect_next(200 + i, WEIR_OK);
	expect_none();
}

/* However many there are: what comes behind them on the core does not wait for all. */
TEST(an_interrupt_ends_and_submits_a_few_and_is_raised_for_the_others)
{
	u32 rounds = 0;

	fill_device();
	for (u64 i = 0; i < 40; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	for (u32 i = 0; i < 85; i++)
		fake_virtio_serve(&hardware[0]);
	for (bool again = true; again; rounds++) {
		u32 submitted = hardware[0].notifications;
		u64 done = a->vcpu[0]->ipc->block.tail + a->vcpu[1]->ipc->block.tail;

		again = interrupt_once(0);
		assert_in_range(hardware[0].notifications - submitted, 0, 4);
		done = a->vcpu[0]->ipc->block.tail + a->vcpu[1]->ipc->block.tail - done;
		assert_in_range(done, 0, 4);
	}
	assert_in_range(rounds, 85 / 4, 85 / 4 + 2);
	assert_int_equal(hardware[0].pending_count, 40);
	serve_all(0);
	assert_int_equal(hardware[0].served, 125);
}

TEST(a_broken_device_fails_all_that_waits_a_few_at_a_time)
{
	struct weir_completion completion;

	fill_device();
	/* More than are in flight: they go on when those have ended. */
	for (u64 i = 0; i < 43; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	self = b->vcpu[0];
	for (u64 i = 0; i < 64; i++)
		assert_int_equal(read_one(300 + i), WEIR_OK);
	fake_virtio_need_reset(&hardware[0]);
	for (bool again = true; again;) {
		u64 done = b->vcpu[0]->ipc->block.tail;

		again = interrupt_once(0);
		assert_in_range(b->vcpu[0]->ipc->block.tail - done, 0, 4);
	}
	for (u64 i = 0; i < 64; i++)
		expect_next(300 + i, WEIR_IO);
	self = a->vcpu[1]; /* those in flight and those that wait come together */
	for (u64 i = 0; i < 64; i++) {
		assert_true(next(&completion));
		assert_int_equal(completion.status, WEIR_IO);
	}
	expect_none();
}

TEST(a_vm_with_nothing_in_flight_gets_a_full_device_in_its_turn)
{
	fill_device();
	for (u64 i = 0; i < 20; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK); /* a waits with 20 */
	self = b->vcpu[0];
	assert_int_equal(read_one(1), WEIR_OK);
	assert_int_equal(read_one(2), WEIR_OK);
	for (u32 i = 0; i < 4; i++) { /* room for four: a, b, a, b */
		fake_virtio_serve(&hardware[0]);
		interrupt(0);
	}
	for (u32 i = 0; i < 81; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_none();
	for (u32 i = 0; i < 4; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	expect_next(1, WEIR_OK);
	expect_next(2, WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_OK);
	expect_next(200, WEIR_OK);
	expect_next(201, WEIR_OK);
	expect_none();
}

TEST(what_comes_new_waits_behind_what_waits)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 63; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = a->vcpu[1];
	for (u64 i = 0; i < 21; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 121), WEIR_OK);
	assert_int_equal(read_one(200), WEIR_OK); /* needs three descriptors, two are free */
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 201), WEIR_OK); /* needs two */
	assert_int_equal(hardware[0].notifications, 85);
	serve_all(0);
	for (u64 i = 0; i < 22; i++)
		expect_next(100 + i, WEIR_OK);
	expect_next(200, WEIR_OK);
	expect_next(201, WEIR_OK);
}

TEST(each_device_has_waiters_of_its_own)
{
	hardware[1].automatic = false;
	for (u64 i = 0; i < 90; i++) {
		self = a->vcpu[i / 45];
		assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, i, 1, BUFFER, i), WEIR_OK);
	}
	assert_int_equal(hardware[1].pending_count, 85);
	fake_virtio_serve(&hardware[1]);
	interrupt(1);
	assert_int_equal(hardware[1].pending_count, 85);
	serve_all(1);
	assert_int_equal(hardware[1].served, 90);
	assert_int_equal(hardware[0].notifications, 0);
}

TEST(one_full_device_does_not_hold_up_another)
{
	fill_device();
	assert_int_equal(read_one(200), WEIR_OK);
	assert_int_equal(submit(A_OTHER, WEIR_BLOCK_READ, 0, 1, BUFFER, 300), WEIR_OK);
	interrupt(1);
	expect_next(300, WEIR_OK);
	expect_none();
}

/* A device that fails. */

TEST(device_that_needs_a_reset_fails_every_request_once)
{
	fill_device();
	assert_int_equal(read_one(200), WEIR_OK); /* waits */
	fake_virtio_serve(&hardware[0]);	  /* cookie 0 was done in time */
	fake_virtio_need_reset(&hardware[0]);
	interrupt(0);
	self = a->vcpu[0];
	expect_next(0, WEIR_OK);
	for (u64 i = 1; i < 64; i++)
		expect_next(i, WEIR_IO);
	expect_none();
	assert_int_equal(read_one(1), WEIR_IO);
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 0), WEIR_IO);
	self = a->vcpu[1];
	expect_next(200, WEIR_IO);
	for (u64 i = 0; i < 21; i++)
		expect_next(100 + i, WEIR_IO);
	expect_none();
	interrupt(0);
	assert_int_equal(hardware[0].status, 0);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("virtio_mmio@0: the disk needs a reset"));
	assert_true(block_vm_idle(a));
	for (u32 i = 0; i < 200; i++) /* refusing takes no slot */
		assert_int_equal(read_one(1), WEIR_IO);
}

TEST(device_that_does_not_confirm_its_reset_keeps_the_memory)
{
	assert_int_equal(read_one(1), WEIR_OK);
	hardware[0].never_resets = true;
	fake_virtio_need_reset(&hardware[0]);
	interrupt(0);
	expect_none();
	assert_false(block_vm_idle(a));
	assert_int_equal(read_one(2), WEIR_IO);
	hardware[0].never_resets = false;
	interrupt(0);
	expect_next(1, WEIR_IO);
	assert_true(block_vm_idle(a));
}

TEST(change_of_configuration_is_not_taken_for_a_failure)
{
	assert_int_equal(read_one(1), WEIR_OK);
	hardware[0].interrupt_status |= 2;
	interrupt(0);
	serve_all(0);
	expect_next(1, WEIR_OK);
}

static void expect_liar(void)
{
	interrupt(0);
	assert_true(fake_log_has("virtio_mmio@0: the disk answered what it was not asked"));
	expect_next(1, WEIR_IO);
	expect_none();
	assert_int_equal(read_one(2), WEIR_IO);
}

TEST(answer_beyond_the_queue_is_not_used_as_an_index)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_answer_id(&hardware[0], 0x10000);
	expect_liar();
}

TEST(answer_to_what_was_not_asked_is_refused)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_answer_id(&hardware[0], 200);
	expect_liar();
}

TEST(the_same_answer_twice_is_refused)
{
	assert_int_equal(read_one(0), WEIR_OK);
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	fake_virtio_answer_id(&hardware[0], 0);
	interrupt(0);
	expect_next(0, WEIR_OK);
	expect_next(1, WEIR_IO);
	expect_none();
}

TEST(used_index_that_runs_ahead_is_refused)
{
	assert_int_equal(read_one(1), WEIR_OK);
	fake_virtio_run_ahead(&hardware[0], 5000);
	hardware[0].never_resets = true;
	interrupt(0);
	expect_none(); /* nothing of what it claims is believed */
	hardware[0].never_resets = false;
	expect_liar();
}

/* A VM that ends. */

TEST(vm_that_stopped_hears_no_more_and_is_idle_when_dma_is_over)
{
	fill_device();
	self = a->vcpu[0];
	stop_all(a);
	assert_false(block_vm_idle(a));
	assert_true(block_pages_busy(a, a->ram, RAM_BYTES));
	fake_pend_reset();
	for (u32 i = 0; i < 84; i++)
		fake_virtio_serve(&hardware[0]);
	interrupt(0);
	assert_false(block_vm_idle(a));
	serve_all(0);
	assert_true(block_vm_idle(a));
	assert_false(block_pages_busy(a, a->ram, RAM_BYTES));
	expect_none();
	assert_int_equal(fake_pend_count(0, WEIR_INTID_BLOCK), 0);
}

TEST(vm_that_stopped_drops_what_waits_and_leaves_the_others_waiting)
{
	fill_device();
	for (u64 i = 0; i < 10; i++)
		assert_int_equal(read_one(200 + i), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(1), WEIR_OK);
	stop_all(a);
	serve_all(0);
	assert_int_equal(hardware[0].served, 86);
	expect_next(1, WEIR_OK);
	assert_true(block_vm_idle(a));
}

TEST(each_request_that_ends_after_its_vm_is_told_and_the_last_finds_it_idle)
{
	memset(device_done, 0, sizeof(device_done));
	memset(device_done_idle, 0, sizeof(device_done_idle));
	self = a->vcpu[0];
	for (u64 i = 0; i < 3; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	self = b->vcpu[0];
	assert_int_equal(read_one(9), WEIR_OK);
	fake_virtio_serve(&hardware[0]);
	interrupt(0);
	stop_all(a);
	assert_int_equal(device_done[0], 0);
	serve_all(0);
	assert_int_equal(device_done[0], 2);
	assert_int_equal(device_done_idle[0], 1);
	assert_int_equal(device_done[1], 0);
}

/* Completions unread, positions far on: the guest begins at 0 and may have all slots in flight. */
TEST(vm_that_started_again_has_its_slots_and_completions_as_new)
{
	self = a->vcpu[0];
	for (u64 i = 0; i < 5; i++)
		assert_int_equal(read_one(i), WEIR_OK);
	serve_all(0);
	expect_next(0, WEIR_OK);
	assert_int_equal(read_one(6), WEIR_OK);
	stop_all(a);
	serve_all(0);
	assert_true(block_vm_idle(a));
	memset((void *)self->ipc->in, 0, PAGE_SIZE);
	memset(self->ipc->out, 0, PAGE_SIZE);
	reset_all(a);
	expect_none();
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(read_one(100 + i), WEIR_OK);
	assert_int_equal(read_one(0), WEIR_QUOTA);
	serve_all(0);
	for (u64 i = 0; i < WEIR_COMPLETIONS; i++)
		expect_next(100 + i, WEIR_OK);
	expect_none();
}

/* For the grant module. */

TEST(pages_are_busy_from_submit_to_completion)
{
	pa_t page;

	assert_true(vm_ram(a, IPA(POOL + PAGE_SIZE), PAGE_SIZE, &page));
	assert_false(block_pages_busy(a, page, PAGE_SIZE));
	self = a->vcpu[1];
	assert_int_equal(submit(0, WEIR_BLOCK_READ, 0, 2, POOL + PAGE_SIZE - 512, 1), WEIR_OK);
	assert_true(block_pages_busy(a, page, PAGE_SIZE));
	assert_true(block_pages_busy(a, PA(page.raw - PAGE_SIZE), PAGE_SIZE));
	assert_false(block_pages_busy(a, PA(page.raw + PAGE_SIZE), PAGE_SIZE));
	assert_false(block_pages_busy(a, PA(page.raw + 512), 512));
	assert_false(block_pages_busy(a, PA(page.raw - PAGE_SIZE), PAGE_SIZE - 512));
	assert_false(block_pages_busy(b, b->ram, RAM_BYTES));
	serve_all(0);
	assert_false(block_pages_busy(a, page, PAGE_SIZE));
}

TEST(flush_makes_no_page_busy)
{
	assert_int_equal(submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, 1), WEIR_OK);
	assert_false(block_pages_busy(a, PA(0), UINT64_MAX));
	assert_false(block_vm_idle(a));
}

#define RUN_DRIVER(name)  cmocka_unit_test_setup_teardown(name, set_up_hardware, tear_down_hardware)
#define RUN_SERVICE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_DRIVER(probe_says_how_to_make_a_legacy_device_modern),
		RUN_DRIVER(probe_passes_over_what_is_no_disk_without_a_word),
		RUN_DRIVER(probe_takes_only_the_features_that_it_knows),
		RUN_DRIVER(probe_refuses_a_device_before_version_1),
		RUN_DRIVER(probe_refuses_a_device_that_needs_address_translation),
		RUN_DRIVER(probe_gives_up_on_a_device_that_does_not_reset),
		RUN_DRIVER(probe_refuses_a_device_without_a_queue),
		RUN_DRIVER(probe_honours_the_limits_of_the_device),
		RUN_DRIVER(probe_refuses_a_device_that_takes_no_whole_sector),
		RUN_DRIVER(probe_reads_the_capacity_again_if_it_changed_meanwhile),
		RUN_DRIVER(devices_beyond_the_table_are_left_out_and_named),
		RUN_DRIVER(segments_are_filled_in_their_order),
		RUN_DRIVER(full_queue_answers_again_and_changes_nothing),
		RUN_SERVICE(info_tells_size_rights_and_largest_request),
		RUN_SERVICE(info_refuses_disks_that_are_not_there),
		RUN_SERVICE(submit_refuses_disks_that_are_not_there),
		RUN_SERVICE(submit_refuses_operations_that_are_none),
		RUN_SERVICE(submit_refuses_sectors_beyond_the_disk),
		RUN_SERVICE(submit_refuses_more_than_the_largest_request),
		RUN_SERVICE(submit_refuses_buffers_that_are_not_aligned),
		RUN_SERVICE(submit_refuses_writes_to_a_read_only_disk),
		RUN_SERVICE(submit_refuses_buffers_outside_of_ram),
		RUN_SERVICE(submit_refuses_buffers_that_are_shared),
		RUN_SERVICE(flush_takes_no_sectors_and_no_buffer),
		RUN_SERVICE(accepted_requests_and_their_sectors_are_counted),
		RUN_SERVICE(time_that_moving_data_took_is_the_vcpus_that_asked),
		RUN_SERVICE(submit_refuses_more_than_the_completion_ring_holds),
		RUN_SERVICE(a_part_is_its_own_sectors_of_the_device),
		RUN_SERVICE(a_disk_that_does_not_fit_its_device_is_missing),
		RUN_SERVICE(a_read_only_device_makes_its_disks_read_only),
		RUN_SERVICE(a_small_segment_makes_the_largest_request_small),
		RUN_SERVICE(completion_arrives_on_the_vcpu_that_submitted),
		RUN_SERVICE(requests_complete_in_the_order_of_the_device),
		RUN_SERVICE(late_and_spurious_interrupts_do_no_harm),
		RUN_SERVICE(io_error_reaches_the_guest_that_asked_and_no_other),
		RUN_SERVICE(an_answer_without_a_status_is_an_error),
		RUN_SERVICE(flush_of_a_device_that_writes_through_completes_at_once),
		RUN_DRIVER(device_without_flush_is_taken_as_writing_through),
		RUN_SERVICE(ring_positions_wrap_at_65536),
		RUN_SERVICE(head_that_lies_forward_is_clamped_to_the_tail),
		RUN_SERVICE(head_that_lies_backward_takes_nothing_back),
		RUN_SERVICE(requests_beyond_the_device_wait_and_are_submitted_by_completions),
		RUN_SERVICE(an_interrupt_ends_and_submits_a_few_and_is_raised_for_the_others),
		RUN_SERVICE(a_broken_device_fails_all_that_waits_a_few_at_a_time),
		RUN_SERVICE(a_vm_with_nothing_in_flight_gets_a_full_device_in_its_turn),
		RUN_SERVICE(what_comes_new_waits_behind_what_waits),
		RUN_SERVICE(each_device_has_waiters_of_its_own),
		RUN_SERVICE(one_full_device_does_not_hold_up_another),
		RUN_SERVICE(device_that_needs_a_reset_fails_every_request_once),
		RUN_SERVICE(device_that_does_not_confirm_its_reset_keeps_the_memory),
		RUN_SERVICE(change_of_configuration_is_not_taken_for_a_failure),
		RUN_SERVICE(answer_beyond_the_queue_is_not_used_as_an_index),
		RUN_SERVICE(answer_to_what_was_not_asked_is_refused),
		RUN_SERVICE(the_same_answer_twice_is_refused),
		RUN_SERVICE(used_index_that_runs_ahead_is_refused),
		RUN_SERVICE(vm_that_stopped_hears_no_more_and_is_idle_when_dma_is_over),
		RUN_SERVICE(vm_that_stopped_drops_what_waits_and_leaves_the_others_waiting),
		RUN_SERVICE(each_request_that_ends_after_its_vm_is_told_and_the_last_finds_it_idle),
		RUN_SERVICE(vm_that_started_again_has_its_slots_and_completions_as_new),
		RUN_SERVICE(pages_are_busy_from_submit_to_completion),
		RUN_SERVICE(flush_makes_no_page_busy),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
