/*
 * Physical memory: which of it is handed out, and that nothing is handed out twice; a VM that asks
 * for more than there is is refused by name, before anything is taken for it.
 *
 * Sources: core/vm_memory.c core/base/log.c tests/host/fake/log.c tests/host/fake/panic.c
 * Sources: tests/host/fake/virtio_console.c
 */
#include "fake.h"
#include "core/hypercall.h"
#include "core/vm_memory.h"

#include "core/memory.c" /* its lists are looked at, and begun anew */

#define WEIR_BASE  0x40200000ul
#define WEIR_BYTES 0x40000ul
#define RAM_BASE   0x40000000ul

static u8 arena[16 * MIB] __attribute__((aligned(4096)));
static u64 arena_base, arena_used;

pa_t mmu_image_pa(void)
{
	return PA(WEIR_BASE);
}

u64 mmu_image_bytes(void)
{
	return WEIR_BYTES;
}

void mmu_heap_start(pa_t base)
{
	arena_base = base.raw;
	arena_used = 0;
}

void *mmu_heap_grow(void)
{
	arena_used += PAGE_SIZE;
	return arena + arena_used - PAGE_SIZE;
}

pa_t mmu_heap_pa(const void *in_heap)
{
	return PA(arena_base + (u64)((const u8 *)in_heap - arena));
}

/* As ipc/ does it, roughly: each property costs something. */
u64 ipc_shared_bytes(const struct manifest_vm *config)
{
	return config->vcpus * 3 * PAGE_SIZE;
}

u64 ipc_heap_bytes(const struct manifest_vm *config)
{
	return config->shared_bytes / 128 + config->window_bytes / 512 + config->ports * 80;
}

static struct platform machine;

static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	machine = (struct platform){ .bank = { { RAM_BASE, 64 * MIB } }, .bank_count = 1 };
	range_count = 0;
	heap_range = 0;
	heap_used = heap_goal = 0;
	heap_end = 0;
	memset(rests, 0, sizeof(rests));
	sealed = false;
	return 0;
}

static void reserve(u64 base, u64 bytes)
{
	machine.reserved[machine.reserved_count++] = (struct range){ base, bytes };
}

static void add_memory(u64 base, u64 bytes)
{
	machine.bank[machine.bank_count++] = (struct range){ base, bytes };
}

/* Is any page of [base, end) free? */
static bool offers(u64 base, u64 end)
{
	for (u32 i = 0; i < range_count; i++)
		if (ranges[i].base < end && base < ranges[i].base + ranges[i].bytes)
			return true;
	return false;
}

static u64 free_bytes(void)
{
	u64 bytes = 0;

	for (u32 i = 0; i < range_count; i++)
		bytes += ranges[i].bytes;
	return bytes;
}

TEST(weir_and_what_is_reserved_are_not_handed_out)
{
	reserve(RAM_BASE + 32 * MIB + 100, 5000); /* parts of pages count whole */
	assert_true(memory_init(&machine));
	assert_false(offers(WEIR_BASE, WEIR_BASE + WEIR_BYTES));
	assert_false(offers(RAM_BASE + 32 * MIB, RAM_BASE + 32 * MIB + 2 * PAGE_SIZE));
	assert_int_equal(free_bytes(), 64 * MIB - WEIR_BYTES - 2 * PAGE_SIZE);
}

TEST(page_0_is_left_to_parked_cores)
{
	add_memory(0, MIB);
	assert_true(memory_init(&machine));
	assert_false(offers(0, PAGE_SIZE));
	assert_true(offers(PAGE_SIZE, 2 * PAGE_SIZE));
}

TEST(reserved_range_that_wraps_reserves_the_rest)
{
	reserve(RAM_BASE + 32 * MIB, UINT64_MAX - PAGE_SIZE);
	assert_true(memory_init(&machine));
	assert_false(offers(RAM_BASE + 32 * MIB, PA_END));
	assert_int_equal(free_bytes(), 32 * MIB - WEIR_BYTES);
}

TEST(reserved_range_beyond_all_addresses_reserves_nothing)
{
	reserve(UINT64_MAX - PAGE_SIZE, PAGE_SIZE);
	assert_true(memory_init(&machine));
	assert_int_equal(free_bytes(), 64 * MIB - WEIR_BYTES);
}

TEST(memory_that_two_banks_name_is_one)
{
	add_memory(RAM_BASE + 32 * MIB, 64 * MIB);
	add_memory(RAM_BASE, MIB);
	assert_true(memory_init(&machine));
	assert_int_equal(free_bytes(), 96 * MIB - WEIR_BYTES);
}

TEST(banks_that_touch_hold_one_vm)
{
	pa_t pa;

	machine.bank[0].bytes = 32 * MIB;
	add_memory(RAM_BASE + 32 * MIB, 32 * MIB);
	assert_true(memory_init(&machine));
	assert_true(memory_take_ram(48 * MIB, 0, &pa));
}

/*
 * The Raspberry Pi 4 with 8 GiB: what the firmware and the GPU have of it, between the banks or by the
 * reserve map, is kept, and every bank is used; the heap is in the largest.
 */
TEST(three_banks_of_a_raspberry_pi_are_all_handed_out)
{
	u64 taken = 0;
	pa_t pa;

	machine.bank[0] = (struct range){ 0, 0x3b400000 };
	add_memory(0x40000000, 0xbc000000);
	add_memory(0x100000000, 0x80000000);
	add_memory(0x180000000, 0x80000000);
	reserve(0, 0x80000);
	reserve(0x3b300000, 0x1000);
	assert_true(memory_init(&machine));
	assert_false(offers(0, 0x80000));
	assert_true(offers(0x80000, 0x81000));
	assert_false(offers(0x3b400000, 0x40000000));
	assert_false(offers(0xfc000000, 0x100000000));
	assert_int_equal(heap_range->base, 0x100000000);
	assert_int_equal(heap_range->bytes, 0x100000000);
	assert_true(memory_promise_heap(8 * MIB));
	for (; memory_take_ram(64 * MIB, 0, &pa); taken += 64 * MIB) {
		assert_true(memory_holds(&machine, (struct range){ pa.raw, 64 * MIB }));
		assert_true(pa.raw + 64 * MIB <= 0x3b400000 || pa.raw >= 0x40000000);
	}
	/* All but less than a piece of each range: what lies below Weir counts as one of them. */
	assert_true(taken >= 0x3b400000 + 0xbc000000 + 0x100000000 - 5 * 64 * MIB);
}

TEST(bank_beyond_what_tables_translate_is_cut)
{
	add_memory(PA_END - MIB, 4 * MIB);
	assert_true(memory_init(&machine));
	assert_false(offers(PA_END, UINT64_MAX));
	assert_int_equal(free_bytes(), 65 * MIB - WEIR_BYTES);
}

TEST(machine_without_2_mib_in_one_piece_is_refused)
{
	machine.bank[0].bytes = 2 * MIB + WEIR_BYTES;
	reserve(RAM_BASE, PAGE_SIZE);
	assert_false(memory_init(&machine));
	assert_true(fake_log_has("memory: /memory: no free range of 2 MiB"));
}

TEST(only_what_banks_hold_is_memory)
{
	add_memory(RAM_BASE + 96 * MIB, MIB);
	add_memory(RAM_BASE + 64 * MIB, 32 * MIB);
	assert_true(memory_holds(&machine, (struct range){ RAM_BASE, 97 * MIB }));
	assert_true(memory_holds(&machine, (struct range){ RAM_BASE + 65 * MIB, 32 * MIB }));
	assert_false(memory_holds(&machine, (struct range){ RAM_BASE, 97 * MIB + 1 }));
	assert_false(memory_holds(&machine, (struct range){ RAM_BASE - 1, 2 }));
	assert_false(memory_holds(&machine, (struct range){ RAM_BASE, UINT64_MAX }));
	machine.bank_count = 1;
	assert_false(memory_holds(&machine, (struct range){ RAM_BASE + 64 * MIB, 1 }));
}

TEST(ram_of_vms_leaves_what_was_promised_of_the_heap)
{
	u64 largest;
	pa_t pa;

	assert_true(memory_init(&machine));
	largest = align_down(heap_range->bytes - HEAP_RESERVE - 8 * MIB, BLOCK_2M);
	assert_true(memory_promise_heap(8 * MIB));
	assert_false(memory_take_ram(largest + BLOCK_2M, 0, &pa));
	assert_true(memory_take_ram(largest, 0, &pa));
	/* 2 MiB may be lost to alignment. */
	assert_true(memory_heap_room() < BLOCK_2M);
	assert_false(memory_promise_heap(BLOCK_2M));
	for (u64 taken = 0; taken < 8 * MIB; taken += PAGE_SIZE)
		heap_page();
	memory_seal();
}

/* Whatever lies around what was taken is free for others. */
TEST(ram_below_a_limit_is_taken_out_of_what_reaches_beyond)
{
	u64 before;
	pa_t pa;

	assert_true(memory_init(&machine));
	before = free_bytes();
	assert_true(memory_take_ram(8 * MIB, RAM_BASE + 48 * MIB, &pa));
	assert_int_equal(pa.raw, RAM_BASE + 40 * MIB);
	assert_int_equal(before - free_bytes(), 8 * MIB);
	assert_true(offers(RAM_BASE + 48 * MIB, RAM_BASE + 64 * MIB));
	assert_false(offers(RAM_BASE + 40 * MIB, RAM_BASE + 48 * MIB));
	assert_true(memory_take_ram(16 * MIB, 0, &pa));
	assert_int_equal(pa.raw, RAM_BASE + 48 * MIB);
}

TEST(limit_at_and_beyond_the_end_of_memory_is_none)
{
	pa_t pa;

	assert_true(memory_init(&machine));
	assert_true(memory_take_ram(4 * MIB, RAM_BASE + 64 * MIB, &pa));
	assert_int_equal(pa.raw, RAM_BASE + 60 * MIB);
	assert_true(memory_take_ram(4 * MIB, UINT64_MAX, &pa));
	assert_int_equal(pa.raw, RAM_BASE + 56 * MIB);
	assert_int_equal(range_count, 2); /* one before Weir, one behind it */
}

/* As on the Raspberry Pi 4: what is below is a bank of its own, and the heap is in the larger one. */
TEST(ram_that_does_not_fit_below_its_limit_is_taken_from_anywhere)
{
	pa_t pa;

	add_memory(RAM_BASE + 1024 * MIB, 128 * MIB);
	assert_true(memory_init(&machine));
	assert_true(heap_range->base > RAM_BASE + 64 * MIB);
	assert_true(memory_take_ram(32 * MIB, RAM_BASE + 64 * MIB, &pa));
	assert_true(pa.raw < RAM_BASE + 64 * MIB);
	assert_true(memory_take_ram(32 * MIB, RAM_BASE + 64 * MIB, &pa));
	assert_true(pa.raw > RAM_BASE + 64 * MIB);
	assert_false(memory_take_ram(128 * MIB, RAM_BASE + 64 * MIB, &pa));
	assert_false(memory_take_ram(1ul << 40, 0, &pa)); /* more than addresses below it */
}

TEST(objects_go_into_memory_that_was_given_before_they_take_pages)
{
	static u8 given[2 * PAGE_SIZE];

	assert_true(memory_init(&machine));
	heap_give(given, sizeof(given));
	assert_ptr_equal(heap_alloc(PAGE_SIZE + 1), given);
	assert_int_equal(heap_used, 0);
	/* What does not fit leaves the rest to others, and no object is in both. */
	assert_int_equal(mmu_heap_pa(heap_alloc(PAGE_SIZE)).raw, heap_range->base);
	assert_int_equal(heap_used, PAGE_SIZE);
	assert_ptr_equal(heap_alloc(PAGE_SIZE - 16), given + PAGE_SIZE + 16);
	assert_int_equal(heap_used, PAGE_SIZE);
	heap_alloc(16);
	assert_int_equal(heap_used, 2 * PAGE_SIZE);
	/* Of two that it fits into the smaller one. */
	heap_give(given, 32);
	assert_ptr_equal(heap_alloc(32), given);
	heap_alloc(32);
	assert_int_equal(heap_used, 2 * PAGE_SIZE);
}

TEST(what_an_object_did_not_need_is_for_the_next_and_zero_again)
{
	u8 *object, *next;

	assert_true(memory_init(&machine));
	object = heap_alloc(PAGE_SIZE);
	memset(object, 0xff, PAGE_SIZE);
	heap_shrink(object, PAGE_SIZE, 1001);
	assert_int_equal(object[1000], 0xff);
	next = heap_alloc(2048);
	assert_ptr_equal(next, object + 1008);
	assert_true(!next[0] && !memcmp(next, next + 1, 2047));
	/* In front of what was a rest before, and is the smaller one. */
	object = heap_alloc(PAGE_SIZE);
	assert_int_equal(heap_used, 2 * PAGE_SIZE);
	heap_shrink(object, PAGE_SIZE, 16);
	assert_ptr_equal(heap_alloc(PAGE_SIZE - 16), object + 16);
	assert_int_equal(heap_used, 2 * PAGE_SIZE);
}

/* The heap's end is a rest of several pages, and then a table is: the object is behind that, as a whole. */
TEST(an_object_behind_a_table_of_the_heap_has_all_its_pages)
{
	u8 *object, *next;

	assert_true(memory_init(&machine));
	object = heap_alloc(3 * PAGE_SIZE);
	heap_shrink(object, 3 * PAGE_SIZE, 16);
	arena_used += PAGE_SIZE;
	next = heap_alloc(5 * PAGE_SIZE);
	assert_ptr_equal(next, object + 4 * PAGE_SIZE);
	assert_int_equal(arena_used, 9 * PAGE_SIZE);
	assert_ptr_equal(heap_alloc(2 * PAGE_SIZE), object + 16); /* what was a rest still is */
	assert_int_equal(arena_used, 9 * PAGE_SIZE);
}

/* Whatever is allocated, shrunk and given in which order, and with tables in between: each byte is one object's. */
TEST(no_byte_is_in_two_objects)
{
	static u8 owner[sizeof(arena) / 16];
	u64 seed = 1;

	assert_true(memory_init(&machine));
	memset(owner, 0, sizeof(owner));
	while (arena_used < sizeof(arena) / 2) {
		u64 bytes, needed;
		u8 *object;

		seed = seed * 6364136223846793005ul + 1442695040888963407ul;
		bytes = 16 + (seed >> 33) % (seed >> 60 ? 3000 : 9 * PAGE_SIZE);
		needed = seed >> 40 & 1 ? bytes : 16 + (seed >> 44) % (bytes - 15);
		arena_used += seed >> 41 & 7 ? 0 : PAGE_SIZE;
		object = heap_alloc(bytes);
		assert_true(object >= arena && object + bytes <= arena + arena_used);
		for (u64 at = 0; at < bytes; at += 16)
			assert_int_equal(owner[((u64)(object - arena) + at) / 16], 0);
		if (needed < bytes)
			heap_shrink(object, bytes, needed);
		memset(&owner[(object - arena) / 16], 1, align_up(needed, 16) / 16);
	}
}

TEST(promise_that_is_returned_can_be_given_again)
{
	u64 room;

	assert_true(memory_init(&machine));
	room = memory_heap_room();
	assert_true(memory_promise_heap(room));
	assert_int_equal(memory_heap_room(), 0);
	assert_false(memory_promise_heap(1));
	memory_return_heap(room);
	assert_int_equal(memory_heap_room(), room);
}

TEST(allocations_stay_within_their_cost)
{
	static const u64 sizes[] = { 1, 16, 700, 2040, 2100, 4095, 4096, 4097, 20000, 100 };
	u64 cost = 0;

	assert_true(memory_init(&machine));
	for (u32 i = 0; i < 400; i++) {
		u64 bytes = align_up(sizes[i * 7 % ARRAY_SIZE(sizes)], 16);

		cost += heap_cost(bytes);
		heap_alloc(bytes);
		assert_true(heap_used <= cost + PAGE_SIZE);
	}
}

/* ---- VMs ---- */

static struct manifest_vm ordinary(void)
{
	return (struct manifest_vm){ .name = "x",
				     .memory_bytes = MIB,
				     .vcpus = 1,
				     .shared_bytes = 256 * KIB,
				     .window_bytes = MIB,
				     .talks = BIT(1),
				     .ports = 128 };
}

static void check_refused(const struct manifest_vm *config, const char *line)
{
	u64 room = memory_heap_room(), before = free_bytes();
	pa_t ram;

	fake_log_reset();
	assert_false(vm_memory_take(config, &ram));
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has(line));
	assert_int_equal(memory_heap_room(), room);
	assert_int_equal(free_bytes(), before);
}

/* But for a page that somebody else has taken in between: then there are two rests. */
TEST(an_object_begins_in_the_rest_of_the_last_page)
{
	u8 *first, *second, *page, *third;

	assert_true(memory_init(&machine));
	first = heap_alloc(PAGE_SIZE / 4);
	second = heap_alloc(2 * PAGE_SIZE);
	assert_ptr_equal(second, first + PAGE_SIZE / 4);
	assert_int_equal(heap_used, 3 * PAGE_SIZE);
	page = heap_page();
	third = heap_alloc(PAGE_SIZE);
	assert_ptr_equal(third, page + PAGE_SIZE);
	assert_int_equal(heap_used, 5 * PAGE_SIZE);
	assert_ptr_equal(heap_alloc(PAGE_SIZE / 2), second + 2 * PAGE_SIZE);
	assert_int_equal(heap_used, 5 * PAGE_SIZE);
}

TEST(vm_that_asks_for_too_much_is_told_which_property)
{
	struct manifest_vm config = ordinary();
	pa_t ram;

	assert_true(memory_init(&machine));
	config.shared_bytes = 16384 * MIB;
	check_refused(&config, "manifest: /vms/x: shared-kib: the hypervisor needs ");
	config = ordinary();
	config.window_bytes = 32768 * MIB;
	check_refused(&config, "manifest: /vms/x: window-kib: the hypervisor needs ");
	config = ordinary();
	config.ports = 1000000;
	check_refused(&config, "manifest: /vms/x: ports: the hypervisor needs ");
	config = ordinary();
	config.memory_bytes = 65 * MIB;
	check_refused(&config, "manifest: /vms/x: memory-mib: the machine has not so much memory");
	config = ordinary();
	assert_true(vm_memory_take(&config, &ram));
}

TEST(vm_is_told_that_its_disk_will_be_slow)
{
	struct manifest_vm config = ordinary();
	pa_t ram;

	assert_true(memory_init(&machine));
	config.ram_limit = RAM_BASE + 32 * MIB;
	assert_true(vm_memory_take(&config, &ram));
	assert_true(ram.raw + MIB <= RAM_BASE + 32 * MIB);
	assert_int_equal(fake_log_count(), 0);
	config.memory_bytes = 32 * MIB;
	assert_true(vm_memory_take(&config, &ram));
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("manifest: /vms/x: memory-mib: not so much memory is left in one "
				 "piece below 42000000, where a device of its disks reaches"));
}

TEST(direct_memory_lies_behind_what_all_vms_have)
{
	struct manifest_vm config = ordinary();
	u64 room;
	pa_t ram;

	assert_true(memory_init(&machine));
	config.memory_direct = true;
	room = memory_heap_room();
	config.window_bytes = 1024 * MIB; /* to 0x50000000: in the VM there is no room for RAM */
	assert_false(vm_memory_take(&config, &ram));
	assert_true(
		fake_log_has("manifest: /vms/x: memory-direct: the memory that is left is at "));
	assert_true(memory_heap_room() >= room - MIB); /* but for the RAM itself */
	config.window_bytes = MIB;
	assert_true(vm_memory_take(&config, &ram));
	assert_true(ram.raw >= RAM_BASE);
}

TEST(one_vm_too_many_is_told_what_is_left)
{
	struct manifest_vm config = ordinary();

	assert_true(memory_init(&machine));
	assert_true(memory_promise_heap(memory_heap_room() - 5 * KIB));
	check_refused(&config, "memory-mib: the hypervisor needs ");
	assert_true(fake_log_has("has 5 KiB left; give it less"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, weir_and_what_is_reserved_are_not_handed_out),
		RUN_AFTER(prepare, page_0_is_left_to_parked_cores),
		RUN_AFTER(prepare, reserved_range_that_wraps_reserves_the_rest),
		RUN_AFTER(prepare, reserved_range_beyond_all_addresses_reserves_nothing),
		RUN_AFTER(prepare, memory_that_two_banks_name_is_one),
		RUN_AFTER(prepare, banks_that_touch_hold_one_vm),
		RUN_AFTER(prepare, three_banks_of_a_raspberry_pi_are_all_handed_out),
		RUN_AFTER(prepare, bank_beyond_what_tables_translate_is_cut),
		RUN_AFTER(prepare, machine_without_2_mib_in_one_piece_is_refused),
		RUN_AFTER(prepare, only_what_banks_hold_is_memory),
		RUN_AFTER(prepare, ram_of_vms_leaves_what_was_promised_of_the_heap),
		RUN_AFTER(prepare, ram_below_a_limit_is_taken_out_of_what_reaches_beyond),
		RUN_AFTER(prepare, limit_at_and_beyond_the_end_of_memory_is_none),
		RUN_AFTER(prepare, ram_that_does_not_fit_below_its_limit_is_taken_from_anywhere),
		RUN_AFTER(prepare, objects_go_into_memory_that_was_given_before_they_take_pages),
		RUN_AFTER(prepare, what_an_object_did_not_need_is_for_the_next_and_zero_again),
		RUN_AFTER(prepare, an_object_behind_a_table_of_the_heap_has_all_its_pages),
		RUN_AFTER(prepare, no_byte_is_in_two_objects),
		RUN_AFTER(prepare, promise_that_is_returned_can_be_given_again),
		RUN_AFTER(prepare, allocations_stay_within_their_cost),
		RUN_AFTER(prepare, an_object_begins_in_the_rest_of_the_last_page),
		RUN_AFTER(prepare, vm_that_asks_for_too_much_is_told_which_property),
		RUN_AFTER(prepare, vm_is_told_that_its_disk_will_be_slow),
		RUN_AFTER(prepare, direct_memory_lies_behind_what_all_vms_have),
		RUN_AFTER(prepare, one_vm_too_many_is_told_what_is_left),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
