/*
 * Memory for those who do not look into the caches: guests that start with their MMU off, cores that
 * wait in a spin table, devices. Each instruction is recorded, in the order in which it came, and memory
 * exists twice: as the core has it, and as they find it (fake/record.c).
 *
 * The functions under test are the true ones from the life of a VM and the drivers down to the cache
 * instructions.
 *
 * Sources: arch/arm64/cache.c arch/arm64/secondary.c core/life.c core/vm.c core/base/log.c
 * Sources: drivers/dma.c drivers/virtio_blk.c drivers/block_device.c
 * Sources: tests/host/fake/record.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/cpu.c tests/host/fake/panic.c
 * Sources: tests/host/fake/virtio_mmio.c tests/host/fake/gic_pend.c
 * Sources: tests/host/fake/virtio_console.c
 */
#include <string.h>
#include "virtio_mmio.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/layout.h"
#include "core/fault.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "core/machine.h"
#include "core/memory.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"
#include "core/vm_memory.h"
#include "drivers/block_device.h"
#include "drivers/dma.h"
#include "drivers/virtio_blk.h"

#define RAM_PAGES     16u
#define RAM_BYTES     (RAM_PAGES * PAGE_SIZE)
#define POOL_BYTES    (2 * PAGE_SIZE)
#define KERNEL_BYTES  5000u
#define RAMDISK_BYTES 3000u
#define LOAD_OFFSET   PAGE_SIZE
#define TREE	      "the guest's tree"
#define STEPS_MAX     1000u
#define SECTORS	      16u

static u8 kernel[KERNEL_BYTES], ramdisk[RAMDISK_BYTES];
static u8 expected[RAM_BYTES];
static struct manifest_vm config;
static const struct manifest manifest = { .vm = &config, .vm_count = 1, .stay = true };
static struct vm *vm;
static u8 *ram;

/* ---- What is beside the life of a VM ----------------------------------------------------------- */

static const struct manifest_vm *taker[4]; /* in the order in which they took memory */
static u32 takers;

bool vm_memory_take(const struct manifest_vm *of, pa_t *at)
{
	taker[takers++ % ARRAY_SIZE(taker)] = of;
	return memory_take_ram(of->memory_bytes, of->ram_limit, at);
}

u32 guest_tree_write(const struct vm *of, struct range at, void *buffer, u32 size)
{
	(void)of;
	(void)at;
	assert_true(size >= sizeof(TREE));
	memcpy(buffer, TREE, sizeof(TREE));
	return sizeof(TREE);
}

void guest_tree_find_seeds(void *tree, struct guest_seed seed[GUEST_SEEDS])
{
	(void)tree;
	memset(seed, 0, GUEST_SEEDS * sizeof(*seed));
}

void guest_tree_reseed(const struct guest_seed seed[GUEST_SEEDS])
{
	(void)seed;
}

void ipc_vm_create(struct vm *of, const struct manifest *all)
{
	(void)of;
	(void)all;
}

void ipc_connect(const struct manifest *all)
{
	(void)all;
}

bool ipc_vm_stop(struct vm *of, struct vm_work *work)
{
	(void)of;
	(void)work;
	return false;
}

void ipc_vm_changed(const struct vm *of)
{
	(void)of;
}

bool ipc_vm_idle(const struct vm *of)
{
	(void)of;
	return true;
}

bool ipc_vm_rebuild(struct vm *of, struct vm_work *work)
{
	(void)of;
	(void)work;
	return false;
}

void arch_vcpu_init(struct arch_vcpu *vcpu, u32 core, u64 vmpidr, u64 vttbr, bool pmu)
{
	(void)vcpu;
	(void)core;
	(void)vmpidr;
	(void)vttbr;
	(void)pmu;
}

void stage2_forget(const struct stage2 *tables)
{
	(void)tables;
}

void sched_add(struct vcpu *vcpu)
{
	(void)vcpu;
}

void sched_start(struct vcpu *vcpu)
{
	vcpu->run = VCPU_READY;
}

/* In a step vCPU 0 is on its core, and leaves it after that; else it is on none. */
static bool in_step;

bool sched_stop(struct vcpu *vcpu, bool ending)
{
	vcpu->run = VCPU_STOPPED;
	vcpu->ending = in_step && ending;
	return !in_step;
}

void vgic_init(struct vm *of)
{
	(void)of;
}

void vuart_reset(struct vm *of)
{
	(void)of;
}

void virtio_reset(struct vm *of)
{
	(void)of;
}

void vuart_flush(struct vm *of)
{
	(void)of;
}

bool passthrough_prepare(struct vm *of)
{
	(void)of;
	return true;
}

bool passthrough_step(struct vm *of, bool give)
{
	(void)of;
	(void)give;
	return false;
}

bool fault_report(struct vm *of)
{
	(void)of;
	return false;
}

void machine_off(void)
{
}

/* ---- A VM ---------------------------------------------------------------------------------------- */

static void fill_random(u8 *bytes, u64 count)
{
	for (u64 i = 0; i < count; i++)
		bytes[i] = (u8)(cpu_random() >> 32 | 1);
}

/* A VM whose RAM has in it what was there before Weir, in memory and, other things, in the caches. */
static int make_vm(void **state)
{
	u64 top = RAM_BYTES - POOL_BYTES - PAGE_SIZE;
	struct gic_registers gic = { .version = 3 };

	(void)state;
	fake_record_reset();
	fake_heap_reset();
	fake_stage2_reset();
	fill_random(kernel, sizeof(kernel));
	fill_random(ramdisk, sizeof(ramdisk));
	config = (struct manifest_vm){ .name = "a",
				       .vcpus = 1,
				       .memory_bytes = RAM_BYTES,
				       .shared_bytes = POOL_BYTES,
				       .load_offset = LOAD_OFFSET,
				       .kernel = { kernel, sizeof(kernel) },
				       .ramdisk = { ramdisk, sizeof(ramdisk) },
				       .on_fault = ON_FAULT_RESTART };
	memset(expected, 0, sizeof(expected));
	memcpy(expected + LOAD_OFFSET, kernel, sizeof(kernel));
	memcpy(expected + align_down(top - RAMDISK_BYTES, PAGE_SIZE), ramdisk, sizeof(ramdisk));
	memcpy(expected + top, TREE, sizeof(TREE));
	assert_int_equal(vm_create_all(&manifest, &gic), 1);
	vm = vm_get(0);
	ram = (u8 *)vm->ram.raw;
	fill_random(ram, RAM_BYTES);
	fake_memory_watch(ram, RAM_BYTES);
	fill_random(ram, RAM_BYTES);
	return 0;
}

static int free_vm(void **state)
{
	(void)state;
	fake_record_reset();
	fake_heap_reset();
	fake_stage2_reset();
	return 0;
}

/* All steps, and the guest's first instruction. */
static void run_until_entered(void)
{
	for (u32 step = 0; vm->state != VM_RUNNING; step++) {
		assert_true(step < STEPS_MAX && vm->vcpu[0]->turns == TURNS_VM);
		in_step = true;
		vm_step(vm);
		in_step = false;
		if (vm->vcpu[0]->ending) {
			vm->vcpu[0]->ending = false;
			vm_vcpu_left(vm);
		}
	}
	fake_observer("eret");
}

static u64 line_count(void)
{
	return RAM_BYTES / FAKE_LINE;
}

TEST(kernel_ramdisk_and_tree_are_in_memory_when_the_guest_starts)
{
	assert_int_equal(vm_command(vm, VM_START, VM_ANY_LIFE), WEIR_OK);
	run_until_entered();
	assert_memory_equal(fake_memory_beyond(ram), expected, RAM_BYTES);
	/* And nothing is left in a cache that would hide what the guest writes past it. */
	assert_true(fake_record_times("dc civac") >= line_count());
}

/* Lines that were cleaned before the last word of them was written would be seen as they were then. */
TEST(each_page_is_zeroed_then_filled_then_cleaned)
{
	u32 at = 0;

	assert_int_equal(vm_command(vm, VM_START, VM_ANY_LIFE), WEIR_OK);
	run_until_entered();
	for (u32 page = 0; page < RAM_PAGES; page++) {
		at = fake_record_find(at, "dc zva");
		assert_ptr_equal((void *)fake_record_address(at), ram + page * PAGE_SIZE);
		for (u32 line = 0; line < PAGE_SIZE / FAKE_LINE; line++) {
			at = fake_record_find(at + 1, "dc civac");
			assert_ptr_equal((void *)fake_record_address(at),
					 ram + page * PAGE_SIZE + line * FAKE_LINE);
		}
		at = fake_record_find(at, "dsb sy");
	}
}

/* DDI 0487 B2.4.4: clean, DSB, invalidate for all cores, DSB, ISB. The entry is an ISB for the others. */
TEST(instruction_caches_forget_after_the_last_page_and_before_the_guest)
{
	u32 at, times = RAM_PAGES;

	assert_int_equal(vm_command(vm, VM_START, VM_ANY_LIFE), WEIR_OK);
	run_until_entered();
	at = fake_record_find(0, "dc zva");
	while (times--)
		at = fake_record_find(at + 1, "dsb sy");
	at = fake_record_find(at, "dsb ish");
	at = fake_record_find(at + 1, "ic ialluis");
	assert_int_equal(fake_record_find(at, "dsb ish"), at + 1);
	assert_int_equal(fake_record_find(at, "isb"), at + 2);
	assert_int_equal(fake_record_find(at, "eret"), at + 3);
	assert_int_equal(fake_record_times("ic ialluis"), 1);
}

/* The first life wrote through the caches and past them. */
TEST(restart_scrubs_and_fills_for_who_reads_past_the_caches)
{
	u8 past[RAM_BYTES];
	u32 first;

	assert_int_equal(vm_command(vm, VM_START, VM_ANY_LIFE), WEIR_OK);
	run_until_entered();
	fill_random(ram, RAM_BYTES);
	fill_random(past, RAM_BYTES);
	fake_memory_device_writes(ram, past, RAM_BYTES);
	first = fake_record_count();
	vm_stop(vm, VM_END_RESET);
	run_until_entered();
	assert_memory_equal(fake_memory_beyond(ram), expected, RAM_BYTES);
	assert_memory_equal(ram, expected, RAM_BYTES);
	assert_true(fake_record_find(first, "ic ialluis") < fake_record_find(first, "eret"));
}

/* Who can lie anywhere leaves what others need. */
TEST(memory_is_given_first_to_those_whose_disks_do_not_reach_all_of_it)
{
	struct manifest_vm three[] = { config, config, config };
	const struct manifest all = { .vm = three, .vm_count = 3 };
	struct gic_registers gic = { .version = 3 };

	three[1].ram_limit = 1ul << 30;
	takers = 0;
	assert_int_equal(vm_create_all(&all, &gic), 3);
	assert_int_equal(takers, 3);
	assert_ptr_equal(taker[0], &three[1]);
	assert_ptr_equal(taker[1], &three[0]);
	assert_ptr_equal(taker[2], &three[2]);
	assert_int_equal(vm_get(1)->id, 1);
}

/* ---- Secondary cores --------------------------------------------------------------------------- */

const char image_start[4 * PAGE_SIZE];
const char secondary_entry[64], spin_entries[64];
static u64 psci[4];

pa_t mmu_image_pa(void)
{
	return PA(0x200000);
}

s32 cpu_psci(u64 function, u64 a1, u64 a2, u64 a3)
{
	psci[0] = function;
	psci[1] = a1;
	psci[2] = a2;
	psci[3] = a3;
	fake_observer("smc");
	return 0;
}

TEST(spin_table_word_is_in_memory_before_the_core_is_woken)
{
	static u64 table[32] __attribute__((aligned(4096)));
	u64 *word = &table[5];
	u32 at;

	fake_record_reset();
	fake_memory_watch(table, sizeof(table));
	cpu_start_spin_table(3, PA((u64)word));
	assert_int_equal(*(const u64 *)fake_memory_beyond(word),
			 0x200000 + (u64)(spin_entries - image_start) + 3 * SPIN_ENTRY_BYTES);
	at = fake_record_find(0, "dc civac");
	assert_int_equal(fake_record_address(at), align_down((u64)word, FAKE_LINE));
	at = fake_record_find(at, "dsb sy");
	assert_int_equal(fake_record_find(at, "sev"), at + 1);
	assert_int_equal(fake_record_times("sev"), 1);
}

/* What it reads of tables, stack and number it reads through the caches: a DSB is all it takes. */
TEST(what_was_written_for_a_core_is_complete_before_firmware_starts_it)
{
	u32 at;

	fake_record_reset();
	cpu_start_psci(2, 0x102);
	at = fake_record_find(0, "dsb sy");
	assert_int_equal(fake_record_find(at, "smc"), at + 1);
	assert_int_equal(psci[1], 0x102);
	assert_int_equal(psci[2], 0x200000 + (u64)(secondary_entry - image_start));
	assert_int_equal(psci[3], 2);
}

/* ---- Devices ----------------------------------------------------------------------------------- */

#define DMA_BYTES (3 * PAGE_SIZE)

static u8 memory[DMA_BYTES] __attribute__((aligned(4096)));
/* As for the emmc2 node of the Raspberry Pi 4. */
static const struct dma_range past_caches = { .bytes = 1ul << 30, .bus = 0xc0000000 };
static const struct dma_range through_caches = { .bytes = 1ul << 48, .coherent = true };

static int make_memory(void **state)
{
	(void)state;
	fake_record_reset();
	fill_random(memory, sizeof(memory));
	fake_memory_watch(memory, sizeof(memory));
	return 0;
}

TEST(disk_write_reads_from_memory_what_the_guest_wrote_through_caches)
{
	u8 *from = memory + PAGE_SIZE - 512;
	u64 bytes = PAGE_SIZE + 1024;

	fill_random(memory, sizeof(memory));
	dma_for_device(&past_caches, PA((u64)from), bytes);
	fake_observer("mmio");
	assert_memory_equal(fake_memory_beyond(from), from, bytes);
	assert_int_equal(fake_record_times("dc civac"), bytes / FAKE_LINE);
	/* Complete, and before the register that starts the device. */
	assert_int_equal(fake_record_find(0, "dmb oshst"), fake_record_find(0, "mmio") - 1);
	/* What lies beside it is not touched. */
	assert_memory_not_equal(fake_memory_beyond(from - FAKE_LINE), from - FAKE_LINE, FAKE_LINE);
	assert_memory_not_equal(fake_memory_beyond(from + bytes), from + bytes, FAKE_LINE);
}

TEST(disk_read_is_seen_through_caches_and_no_dirty_line_goes_over_it)
{
	u8 *to = memory + 512, data[PAGE_SIZE];
	u32 over;

	fill_random(to, sizeof(data)); /* dirty: it would be written back some time */
	fill_random(data, sizeof(data));
	dma_for_device(&past_caches, PA((u64)to), sizeof(data));
	fake_observer("mmio");
	fake_memory_device_writes(to, data, sizeof(data));
	assert_memory_not_equal(to, data, sizeof(data)); /* read ahead meanwhile, say */
	over = fake_record_count();
	dma_for_cpu(&past_caches, PA((u64)to), sizeof(data));
	assert_memory_equal(to, data, sizeof(data));
	assert_memory_equal(fake_memory_beyond(to), data, sizeof(data));
	/* That it is over was read before. */
	assert_int_equal(fake_record_find(over, "dmb oshld"), over);
	assert_int_equal(fake_record_find(over, "dsb sy"), fake_record_find(over, "dc civac") + 56);
}

TEST(device_that_sees_the_caches_costs_barriers_only)
{
	dma_for_device(&through_caches, PA((u64)memory), DMA_BYTES);
	dma_for_cpu(&through_caches, PA((u64)memory), DMA_BYTES);
	assert_int_equal(fake_record_count(), 2);
	assert_int_equal(fake_record_find(0, "dmb oshst"), 0);
	assert_int_equal(fake_record_find(0, "dmb oshld"), 1);
}

TEST(device_reaches_what_dma_ranges_say_and_by_its_own_addresses)
{
	const struct dma_range *range = &past_caches;

	assert_true(dma_usable(range));
	assert_false(dma_usable(&(struct dma_range){ 0 }));
	assert_int_equal(dma_address(range, PA(0), 0x40000000), 0xc0000000);
	assert_int_equal(dma_address(range, PA(0x3ffffe00), 512), 0xfffffe00);
	assert_int_equal(dma_address(range, PA(0x3ffffe00), 513), DMA_UNREACHABLE);
	assert_int_equal(dma_address(range, PA(0x40000000), 1), DMA_UNREACHABLE);
	assert_int_equal(dma_address(range, PA(512), UINT64_MAX), DMA_UNREACHABLE);
}

/* Not one sector in another's line: DDI 0487 allows lines of 2 KiB, and so would be said here. */
TEST(sectors_share_no_cache_line)
{
	assert_true(cache_granule_bytes() <= BLOCK_SECTOR_BYTES);
}

/* ---- virtio-blk: sees the caches, so barriers are all it needs ----------------------------------- */

static struct fake_virtio hardware;
static u8 medium[SECTORS * BLOCK_SECTOR_BYTES];
static u32 ended;

static void request_done(struct block_request *request, enum weir_status status)
{
	(void)request;
	assert_int_equal(status, WEIR_OK);
	ended = fake_record_count();
}

static int make_disk(void **state)
{
	struct virtio_blk_place place = { .registers = &hardware,
					  .intid = 48,
					  .name = "virtio_mmio@0",
					  .alloc_page = heap_page,
					  .to_pa = mmu_heap_pa };

	make_memory(state);
	if (!block_device_count()) {
		fake_virtio_init(&hardware, medium, SECTORS);
		hardware.automatic = false;
		assert_true(virtio_blk_probe(&place));
	}
	return 0;
}

static u32 count_between(u32 from, u32 to, const char *what)
{
	u32 times = 0;

	for (; from < to; from++)
		times += fake_record_find(from, what) == from;
	return times;
}

static void transfer(enum block_operation operation)
{
	struct block_device *disk = block_device_get(0);
	struct block_request request = { .operation = operation,
					 .segment_count = 1,
					 .segment = &request.own,
					 .own = { PA((u64)memory), 512, 0 },
					 .done = request_done };

	fake_record_reset();
	fake_memory_watch(memory, sizeof(memory));
	ended = 0;
	assert_int_equal(disk->ops->submit(disk, &request), WEIR_OK);
	/* Chain and entry; index; notification. */
	assert_int_equal(fake_record_find(0, "dmb oshst"), 0);
	assert_int_equal(fake_record_find(1, "dmb oshst"), 1);
	assert_int_equal(fake_record_find(0, "mmio"), 2);
	assert_int_equal(fake_record_count(), 3);
	fake_virtio_serve_all(&hardware);
	block_device_interrupt(disk);
	/* The acknowledgement before the index, the index before what it stands for. */
	assert_int_equal(ended, 5);
	assert_int_equal(count_between(3, ended, "dmb oshld"), 2);
}

TEST(virtio_request_is_published_before_the_doorbell_and_observed_before_its_end)
{
	transfer(BLOCK_WRITE);
	assert_memory_equal(medium, memory, 512);
	memory[0] ^= 1;
	transfer(BLOCK_READ);
	assert_memory_equal(medium, memory, 512);
}

#define LIFE(name) cmocka_unit_test_setup_teardown(name, make_vm, free_vm)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIFE(kernel_ramdisk_and_tree_are_in_memory_when_the_guest_starts),
		LIFE(each_page_is_zeroed_then_filled_then_cleaned),
		LIFE(instruction_caches_forget_after_the_last_page_and_before_the_guest),
		LIFE(restart_scrubs_and_fills_for_who_reads_past_the_caches),
		LIFE(memory_is_given_first_to_those_whose_disks_do_not_reach_all_of_it),
		RUN(spin_table_word_is_in_memory_before_the_core_is_woken),
		RUN(what_was_written_for_a_core_is_complete_before_firmware_starts_it),
		RUN_AFTER(make_memory,
			  disk_write_reads_from_memory_what_the_guest_wrote_through_caches),
		RUN_AFTER(make_memory,
			  disk_read_is_seen_through_caches_and_no_dirty_line_goes_over_it),
		RUN_AFTER(make_memory, device_that_sees_the_caches_costs_barriers_only),
		RUN(device_reaches_what_dma_ranges_say_and_by_its_own_addresses),
		RUN(sectors_share_no_cache_line),
		cmocka_unit_test_setup_teardown(
			virtio_request_is_published_before_the_doorbell_and_observed_before_its_end,
			make_disk, free_vm),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
