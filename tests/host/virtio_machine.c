/* A VM with virtio devices (virtio_machine.h). */
#include <string.h>
#include "virtio_machine.h"
#include "core/base/log.h"
#include "core/console.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "core/memory.h"
#include "core/timeout.h"
#include "drivers/block_device.h"
#include "ipc/block.h"
#include "ipc/event.h"
#include "ipc/grant.h"

#define RAM_BYTES	(VIRTIO_RAM_PAGES * PAGE_SIZE)
#define QUEUED		64u
#define DEVICE_CAPACITY (2 * VIRTIO_SECTORS)

struct vm virtio_vm;
struct vcpu virtio_vcpu[2];

static bool timeouts; /* there are, from the first machine on */
static struct vm_ipc vm_ipc;
static struct vcpu_ipc vcpu_ipc[2];
static struct weir_in in_page;
static struct weir_out out_page;
static struct manifest_disk disks[] = {
	{ .name = "first", .sectors = VIRTIO_SECTORS, .writers = 1 },
	{ .name = "a-name-of-twenty-one-", .first_sector = VIRTIO_SECTORS, .writers = 3 }
};
static const struct manifest manifest = { .disk = disks, .disk_count = 2 };
static struct manifest_vm config = {
	.name = "vm", .disk = { 0, 1 }, .disk_count = 2, .writable_disk_count = 2
};

static struct {
	u8 *ram;
	u8 medium[DEVICE_CAPACITY * BLOCK_SECTOR_BYTES];
	struct block_request *queue[QUEUED];
	u32 queued, requests, tables, flushes;
	bool line[VM_VIRTIO_DEVICES];
	u32 edges[VM_VIRTIO_DEVICES];
	bool shared[VIRTIO_POOL_PAGES];
	bool held, again, stuck, room;
	char printed[4096];
	u32 printed_bytes;
} machine;

/* ---- The rest of the hypervisor ---- */

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	u64 offset = ipa.raw - VM_RAM_BASE;

	if (offset >= vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

void vm_device_done(struct vm *vm)
{
	(void)vm;
}

void log_line(const char *format, ...)
{
	(void)format;
}

void event_block_done(struct vcpu *vcpu)
{
	(void)vcpu;
	fail_msg("no hypercall made a request");
}

void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	assert_true(vm == &virtio_vm && intid - VM_VIRTIO_INTID < VM_VIRTIO_DEVICES);
	machine.edges[intid - VM_VIRTIO_INTID] += level && !machine.line[intid - VM_VIRTIO_INTID];
	machine.line[intid - VM_VIRTIO_INTID] = level;
}

u32 vuart_print(struct vcpu *self, const u8 *bytes, u32 count)
{
	(void)self;
	if (machine.stuck)
		return 0;
	for (u32 i = 0; i < count; i++)
		if (machine.printed_bytes < sizeof(machine.printed) - 1)
			machine.printed[machine.printed_bytes++] = (char)bytes[i];
	return count;
}

void console_service(void)
{
	assert_true(machine.stuck && !machine.held);
}

void grant_lock(struct vm *vm) NO_THREAD_SAFETY
{
	(void)vm;
	assert_false(machine.held);
	machine.held = true;
}

void grant_unlock(struct vm *vm) NO_THREAD_SAFETY
{
	(void)vm;
	assert_true(machine.held);
	machine.held = false;
}

static u64 pool(void)
{
	return virtio_vm.ram.raw + RAM_BYTES - VIRTIO_POOL_PAGES * PAGE_SIZE;
}

bool grant_in_pool(const struct vm *vm, pa_t pa, u64 bytes)
{
	(void)vm;
	return bytes && pa.raw + bytes > pool();
}

bool grant_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	(void)vm;
	assert_true(machine.held);
	assert_true(bytes <= 2 * MIB); /* it is looked at word by word */
	for (u64 i = 0; i < VIRTIO_POOL_PAGES; i++)
		if (machine.shared[i] && pa.raw < pool() + (i + 1) * PAGE_SIZE &&
		    pool() + i * PAGE_SIZE < pa.raw + bytes)
			return true;
	return false;
}

void ipc_pages_hold(struct vm *vm)
{
	grant_lock(vm);
}

bool ipc_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	return grant_pages_shared(vm, pa, bytes);
}

void ipc_pages_release(struct vm *vm)
{
	grant_unlock(vm);
}

bool virtio_share(u32 page, bool share)
{
	bool busy;

	grant_lock(&virtio_vm);
	busy = share && block_pages_busy(&virtio_vm, PA(pool() + page * PAGE_SIZE), PAGE_SIZE);
	if (!busy)
		machine.shared[page] = share;
	grant_unlock(&virtio_vm);
	return !busy;
}

/* ---- The disk ---- */

#define SEGMENT_MAX (8 * BLOCK_SECTOR_BYTES)

static void check_segment(const struct block_segment *segment)
{
	u64 offset = segment->pa.raw - virtio_vm.ram.raw;

	assert_true(segment->bytes && segment->bytes % BLOCK_SECTOR_BYTES == 0);
	assert_true(segment->bytes <= SEGMENT_MAX);
	assert_true(offset < RAM_BYTES && segment->bytes <= RAM_BYTES - offset);
	grant_lock(&virtio_vm);
	assert_false(grant_pages_shared(&virtio_vm, segment->pa, segment->bytes));
	grant_unlock(&virtio_vm);
}

/* A table is made of the segments, and of one before and one behind, which are overwritten here. */
static void check_table(struct block_request *request)
{
	u32 flags = request->operation == BLOCK_READ ? 3 : 1;

	assert_int_equal(request->table.raw, (u64)&request->segment[-1]);
	for (u32 i = 0; i < request->segment_count; i++)
		assert_int_equal(request->segment[i].link, flags | (i + 2) << 16);
	request->segment[-1] = request->segment[request->segment_count] =
		(struct block_segment){ PA(UINT64_MAX), UINT32_MAX, UINT32_MAX };
}

static enum weir_status submit(struct block_device *device, struct block_request *request)
{
	u64 sectors = 0;

	if (machine.queued == 8)
		return WEIR_AGAIN;
	assert_true(request->segment_count <= device->max_segments);
	assert_int_equal(request->segment_count == 0, request->operation == BLOCK_FLUSH);
	for (u32 i = 0; i < request->segment_count; i++) {
		check_segment(&request->segment[i]);
		sectors += request->segment[i].bytes / BLOCK_SECTOR_BYTES;
	}
	assert_true(sectors <= DEVICE_CAPACITY && request->sector <= DEVICE_CAPACITY - sectors);
	assert_true(request->operation != BLOCK_WRITE ||
		    request->sector + sectors <= VIRTIO_SECTORS);
	if (request->has_table)
		check_table(request);
	machine.tables += request->has_table;
	machine.queue[machine.queued++] = request;
	machine.requests++;
	return WEIR_OK;
}

static const struct block_device_ops ops = { .submit = submit };
static struct block_device disk = {
	.ops = &ops,
	.name = "disk",
	.sectors = DEVICE_CAPACITY,
	.max_segments = 4,
	.max_segment_bytes = SEGMENT_MAX,
};

u32 virtio_disk_tables(void)
{
	return machine.tables;
}

u32 block_device_count(void)
{
	return 1;
}

struct block_device *block_device_get(u32 index)
{
	return index ? 0 : &disk;
}

void block_device_again(const struct block_device *device)
{
	assert_true(device == &disk);
	machine.room = true;
}

static void move_data(const struct block_request *request)
{
	u8 *at = machine.medium + request->sector * BLOCK_SECTOR_BYTES;

	for (u32 i = 0; i < request->segment_count; i++) {
		void *memory = (void *)request->segment[i].pa.raw;

		check_segment(&request->segment[i]);
		if (request->operation == BLOCK_READ)
			memcpy(memory, at, request->segment[i].bytes);
		else
			memcpy(at, memory, request->segment[i].bytes);
		at += request->segment[i].bytes;
	}
}

bool virtio_disk_end(enum weir_status status)
{
	struct block_request *request = machine.queue[0];

	if (!machine.queued)
		return false;
	machine.queued--;
	memmove(machine.queue, machine.queue + 1, machine.queued * sizeof(request));
	if (status == WEIR_OK)
		move_data(request);
	machine.flushes += request->operation == BLOCK_FLUSH;
	request->done(request, status);
	machine.room = true;
	return true;
}

bool virtio_disk_interrupt(void)
{
	bool was = machine.room;

	machine.room = false;
	if (was && disk.room(&disk))
		machine.room = true;
	return was;
}

bool virtio_disk_wait(void)
{
	u64 deadline = fake_timer_el2_deadline();

	if (deadline != UINT64_MAX) {
		fake_timer_set(deadline);
		timeout_interrupt();
	}
	return deadline != UINT64_MAX;
}

bool virtio_disk_done(enum weir_status status)
{
	virtio_disk_end(status);
	do {
		for (u32 turns = 0; virtio_disk_interrupt(); turns++)
			assert_true(turns < 1000);
	} while (virtio_disk_wait());
	return machine.queued != 0;
}

u32 virtio_disk_queued(void)
{
	return machine.queued;
}

u32 virtio_disk_flushes(void)
{
	return machine.flushes;
}

u32 virtio_disk_requests(void)
{
	return machine.requests;
}

/* ---- The guest ---- */

u8 *virtio_ram(u64 offset)
{
	return machine.ram + offset;
}

u64 virtio_ipa(const void *in_ram)
{
	return VM_RAM_BASE + (u64)((const u8 *)in_ram - machine.ram);
}

u64 virtio_access(u32 vcpu, u32 slot, u32 offset, u32 bytes, bool write, u64 value)
{
	struct mmio access = { .offset = slot * VIRTIO_SLOT_BYTES + offset,
			       .bytes = bytes,
			       .write = write,
			       .value = value };

	fake_exit.pc = 0x1000;
	virtio_mmio(&virtio_vcpu[vcpu], &access);
	machine.again = fake_exit.pc != 0x1000;
	assert_false(machine.held);
	return access.value;
}

u64 virtio_load(u32 slot, u32 offset, u32 bytes)
{
	return virtio_access(0, slot, offset, bytes, false, 0);
}

bool virtio_store(u32 slot, u32 offset, u32 bytes, u64 value)
{
	virtio_access(0, slot, offset, bytes, true, value);
	return machine.again;
}

u32 virtio_get(u32 slot, u32 offset)
{
	return (u32)virtio_load(slot, offset, 4);
}

void virtio_set(u32 slot, u32 offset, u32 value)
{
	for (u32 times = 0; virtio_store(slot, offset, 4, value); times++) {
		assert_true(times < 1000);
		virtio_disk_done(WEIR_OK);
	}
}

bool virtio_line(u32 slot)
{
	return machine.line[slot];
}

u32 virtio_edges(u32 slot)
{
	u32 edges = machine.edges[slot];

	machine.edges[slot] = 0;
	return edges;
}

const char *virtio_printed(void)
{
	return machine.printed;
}

void virtio_console_stuck(bool stuck)
{
	machine.stuck = stuck;
}

void virtio_drive_at(u32 slot, u64 features, u32 queue, u32 size, const u64 *parts)
{
	virtio_set(slot, 0x70, 0);
	virtio_set(slot, 0x70, 3);
	virtio_set(slot, 0x24, 0);
	virtio_set(slot, 0x20, (u32)features);
	virtio_set(slot, 0x24, 1);
	virtio_set(slot, 0x20, 1);
	virtio_set(slot, 0x70, 11);
	virtio_set(slot, 0x30, queue);
	virtio_set(slot, 0x38, size);
	for (u32 i = 0; i < 3; i++) {
		virtio_set(slot, 0x80 + 16 * i, (u32)parts[i]);
		virtio_set(slot, 0x84 + 16 * i, (u32)(parts[i] >> 32));
	}
	virtio_set(slot, 0x44, 1);
	virtio_set(slot, 0x70, 15);
}

struct virtio_memory *virtio_drive(u32 slot, u64 features, u32 queue, u32 page)
{
	struct virtio_memory *memory = (void *)virtio_ram(page * PAGE_SIZE);
	u64 parts[] = { virtio_ipa(memory->descriptor), virtio_ipa(&memory->available),
			virtio_ipa(&memory->used) };

	memset(memory, 0, sizeof(*memory));
	virtio_drive_at(slot, features, queue, VIRTIO_QUEUE, parts);
	return memory;
}

/* ---- Its life ---- */

void virtio_machine_free(void)
{
	for (u32 i = 0; i < 1000 && (virtio_disk_interrupt() || virtio_disk_wait()); i++)
		;
	fake_heap_reset();
}

void virtio_machine_make(bool write_through)
{
	memset(&virtio_vm, 0, sizeof(virtio_vm));
	memset(&vm_ipc, 0, sizeof(vm_ipc));
	memset(&machine, 0, sizeof(machine));
	memset(&in_page, 0, sizeof(in_page));
	for (u64 i = 0; i < DEVICE_CAPACITY; i++)
		memcpy(machine.medium + i * BLOCK_SECTOR_BYTES, &i, sizeof(i));
	machine.ram = fake_windows_memory(RAM_BYTES);
	disk.write_through = write_through;
	config.vcpus = 2;
	virtio_vm.config = &config;
	virtio_vm.ram = PA((u64)machine.ram);
	virtio_vm.ram_ipa = VM_RAM_BASE;
	virtio_vm.ram_bytes = RAM_BYTES;
	virtio_vm.vcpu_count = 2;
	virtio_vm.ipc = &vm_ipc;
	vm_ipc.grant.pool = PA(pool());
	for (u32 i = 0; i < 2; i++) {
		virtio_vcpu[i] = (struct vcpu){ .vm = &virtio_vm, .index = i, .ipc = &vcpu_ipc[i] };
		vcpu_ipc[i] = (struct vcpu_ipc){ .in = &in_page, .out = &out_page };
		virtio_vm.vcpu[i] = &virtio_vcpu[i];
	}
	if (!timeouts)
		timeout_init_core();
	timeouts = true;
	virtio_console_create(&virtio_vm);
	block_vm_create(&virtio_vm, &manifest);
	virtio_reset(&virtio_vm);
}

void virtio_stop(void)
{
	u64 at = 0;

	while (block_vm_stop(&virtio_vm, &at))
		;
	for (; !block_vm_idle(&virtio_vm); virtio_disk_done(WEIR_OK))
		assert_true(machine.queued);
	virtio_reset(&virtio_vm);
	memset(machine.ram, 0, RAM_BYTES);
	at = 0;
	while (block_vm_reset(&virtio_vm, &at))
		;
}
