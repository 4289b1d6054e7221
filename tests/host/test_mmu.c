/*
 * EL2's address space: what is written for others, in which order, and what is done before they may look.
 * The tables are real, and in an image as the linker script lays it out; EL2's addresses are not, so
 * nobody follows them.
 *
 * Sources: arch/arm64/mmu.c arch/arm64/cache.c arch/arm64/secondary.c core/base/log.c
 * Sources: tests/host/fake/record.c tests/host/fake/log.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/tables.h"

/* 4096 bytes, early_root, struct early_tables (7 tables), 4096 bytes. */
__asm__(".bss\n.balign 4096\n"
	".globl image_start, early_root, early, image_end, secondary_entry, spin_entries\n"
	"image_start: secondary_entry: spin_entries: .skip 4096\n"
	"early_root: .skip 4096\n"
	"early: .skip 7 * 4096\n"
	"image_end: .skip 16\n"
	".text\n");

_Static_assert(sizeof(struct early_tables) == 7 * PAGE_SIZE, "as the image above has it");

#define HEAP_PA	 0x40000000ul
#define LINES	 (u32)(PAGE_SIZE / FAKE_LINE)
#define STACK_OF (STACK_BASE + 2 * STACK_STRIDE - STACK_BYTES) /* of core 1 */

s32 cpu_psci(u64 function, u64 a1, u64 a2, u64 a3)
{
	(void)function;
	(void)a1;
	(void)a2;
	(void)a3;
	fake_observer("smc");
	return 0;
}

static u64 *table_of(u64 descriptor)
{
	extern char image_start[];

	return (u64 *)(image_start + (descriptor & DESC_ADDRESS) - FAKE_IMAGE_PA);
}

/* As the walker finds it; 0: nothing is mapped. */
static u64 entry_of(u64 va)
{
	u64 *table = early_root;

	for (u32 level = 0;; level++) {
		u64 entry = table[(va >> (39 - 9 * level)) & (TABLE_ENTRIES - 1)];

		if (level == 3 || !(entry & DESC_VALID))
			return entry;
		table = table_of(entry);
	}
}

static u32 expect(u32 at, const char *what, u64 address)
{
	assert_int_equal(fake_record_find(at, what), at);
	assert_int_equal(fake_record_address(at), address);
	return at + 1;
}

/* Zeroed in the caches and in memory. */
static u32 expect_scrub(u32 at, u64 va)
{
	for (u32 i = 0; i < LINES; i++) {
		at = expect(at, "dc zva", va + i * FAKE_LINE);
		at = expect(at, "dc civac", va + i * FAKE_LINE);
	}
	return expect(at, "dsb sy", 0);
}

/* The page is mapped first. */
static u32 expect_heap_page(u32 at, u64 va)
{
	at = expect(at, "dsb ishst", 0);
	at = expect(at, "isb", 0);
	return expect_scrub(at, va);
}

static u64 entry_for(const u64 *table)
{
	extern char image_start[];

	return (FAKE_IMAGE_PA + ((u64)table - (u64)image_start)) | DESC_TABLE;
}

/* The tables as early.c leaves them. */
static void start(void)
{
	early_root[VA_IMAGE >> 39 & (TABLE_ENTRIES - 1)] = entry_for(early.level1);
	early.level1[0] = entry_for(early.level2);
	early.level2[0] = entry_for(early.level3);
	mmu_heap_start(PA(HEAP_PA));
}

static int prepare(void **state)
{
	static bool started;

	(void)state;
	if (!started)
		start();
	started = true;
	mmu_image_pa();
	fake_record_reset();
	return 0;
}

TEST(page_of_the_heap_is_zero_in_memory_before_anyone_has_it)
{
	u64 page = (u64)mmu_heap_grow();

	assert_int_equal(entry_of(page), mmu_heap_pa((void *)page).raw | MAP_DATA | DESC_TABLE);
	assert_int_equal(expect_heap_page(0, page), fake_record_count());
}

TEST(stack_is_zeroed_mapped_and_complete_before_its_core_is_started)
{
	u64 first;
	u32 at = 0;

	mmu_map_stack(1, mmu_heap_grow);
	first = VA_HEAP + (entry_of(STACK_OF) & DESC_ADDRESS) - HEAP_PA;
	for (u32 i = 0; i < STACK_BYTES / PAGE_SIZE; i++) {
		u64 pa = HEAP_PA + (first - VA_HEAP) + i * PAGE_SIZE;

		assert_int_equal(entry_of(STACK_OF + i * PAGE_SIZE), pa | MAP_DATA | DESC_TABLE);
		at = expect_heap_page(at, first + i * PAGE_SIZE);
		/* The entry, for its walker. */
		at = expect(at, "dsb ishst", 0);
		at = expect(at, "isb", 0);
	}
	assert_int_equal(entry_of(STACK_OF - PAGE_SIZE), 0);
	cpu_start_psci(1, 1);
	at = expect(at, "dsb sy", 0);
	assert_int_equal(expect(at, "smc", 0), fake_record_count());
}

/* DDI 0487 D8.14: break before make; on this core alone. */
TEST(window_breaks_before_it_makes_and_stays_as_it_is_for_the_same_page)
{
	u64 slot = (VA_WINDOWS >> PAGE_SHIFT & (TABLE_ENTRIES - 1)) + WINDOW_TARGET;
	u64 va = VA_WINDOWS + WINDOW_TARGET * PAGE_SIZE;
	u32 at = 0;

	assert_int_equal((u64)mmu_window(WINDOW_TARGET, PA(0x7000123)), va + 0x123);
	assert_int_equal(early.level3[slot], 0x7000000 | MAP_DATA | DESC_TABLE);
	at = expect(at, "dsb nshst", 0);
	at = expect(at, "tlbi vae2", va);
	at = expect(at, "dsb nsh", 0);
	at = expect(at, "dsb nshst", 0);
	at = expect(at, "isb", 0);
	assert_int_equal((u64)mmu_window(WINDOW_TARGET, PA(0x7000ff8)), va + 0xff8);
	assert_int_equal(fake_record_count(), at);
	mmu_window(WINDOW_TARGET, PA(0x8000000));
	assert_int_equal(early.level3[slot], 0x8000000 | MAP_DATA | DESC_TABLE);
	assert_int_equal(fake_record_count(), 2 * at);
}

/* DDI 0487 D8.13: no walker reads the tables when they are overwritten. What the tree's mapping took stays. */
TEST(tables_of_the_identity_are_given_away_zeroed_when_nobody_walks_them)
{
	u64 bytes, slot = FAKE_IMAGE_PA >> 39 & (TABLE_ENTRIES - 1);
	u8 *tables;
	u32 at = 0;

	mmu_map_read_only(PA(0x48000000), PAGE_SIZE);
	early_root[slot] = entry_for(early.identity[0]);
	memset(early.identity, 0xff, sizeof(early.identity));
	fake_record_reset();
	tables = mmu_drop_identity(&bytes);
	assert_ptr_equal(tables, early.spare[1]);
	assert_ptr_equal(tables + bytes, &early + 1);
	assert_int_equal(early_root[slot], 0);
	at = expect(at, "dsb ishst", 0);
	at = expect(at, "tlbi alle2is", 0);
	at = expect(at, "dsb ish", 0);
	at = expect(at, "isb", 0);
	for (u64 page = (u64)tables; page < (u64)tables + bytes; page += PAGE_SIZE)
		at = expect_scrub(at, page);
	assert_int_equal(at, fake_record_count());
	/* None of it becomes a table again. */
	mmu_drop_identity(&bytes);
	assert_int_equal(bytes, sizeof(early.identity));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, page_of_the_heap_is_zero_in_memory_before_anyone_has_it),
		RUN_AFTER(prepare, stack_is_zeroed_mapped_and_complete_before_its_core_is_started),
		RUN_AFTER(prepare,
			  window_breaks_before_it_makes_and_stays_as_it_is_for_the_same_page),
		RUN_AFTER(prepare,
			  tables_of_the_identity_are_given_away_zeroed_when_nobody_walks_them),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
