/*
 * Stage-2 entries that change under a running VM: what is written for other cores' walkers, in which order, and
 * what is done before they may use it. DDI 0487 D8.13, D8.14. The tables are real, and made as at boot.
 *
 * Sources: arch/arm64/stage2.c arch/arm64/stage2_area.c core/base/log.c
 * Sources: tests/host/fake/record.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c
 */
#include "fake.h"
#include "arch/arm64/stage2.h"
#include "arch/arm64/sysreg.h"
#include "core/memory.h"

#define WINDOW	  0x10000000ul
#define PIECES	  3u
#define PAGES	  (PIECES * BLOCK_2M / PAGE_SIZE)
#define VMID	  7u
#define ELSEWHERE 0x3000000000000ul /* another VM is on this core */

static struct stage2 tables;
static struct stage2_area area;
static u64 *level3[PIECES];
static u64 vttbr;

/* Pages that are not to be found by a walker when maintenance begins, which begins with this register. */
static u64 broken_first, broken_count;

u64 fake_sysreg_read(const char *name)
{
	pa_t pa;

	assert_string_equal(name, "vttbr_el2");
	for (u64 i = broken_first; i < broken_first + broken_count; i++)
		assert_int_equal(stage2_lookup(&tables, IPA(WINDOW + i * PAGE_SIZE), &pa),
				 STAGE2_NONE);
	return vttbr;
}

void fake_sysreg_write(const char *name, u64 value)
{
	assert_string_equal(name, "vttbr_el2");
	vttbr = value;
	fake_note("vttbr", value);
}

static int prepare(void **state)
{
	(void)state;
	fake_heap_reset();
	stage2_init(&tables, VMID, heap_page);
	stage2_make_tables(&tables, IPA(WINDOW), PIECES * BLOCK_2M);
	assert_int_equal(stage2_area_tables(IPA(WINDOW), PIECES * BLOCK_2M), PIECES);
	stage2_area_init(&area, &tables, IPA(WINDOW), PIECES * BLOCK_2M, level3);
	vttbr = tables.vttbr;
	broken_count = 0;
	fake_record_reset();
	return 0;
}

static ipa_t at(u64 page)
{
	return IPA(WINDOW + page * PAGE_SIZE);
}

static void assert_shows(u64 page, enum stage2_kind kind, u64 expected)
{
	pa_t pa = PA(0);

	assert_int_equal(stage2_lookup(&tables, at(page), &pa), kind);
	if (kind != STAGE2_NONE)
		assert_int_equal(pa.raw, expected);
}

static u32 expect(u32 index, const char *what, u64 address)
{
	assert_int_equal(fake_record_find(index, what), index);
	assert_int_equal(fake_record_address(index), address);
	return index + 1;
}

/* From a valid entry to anything else, for one page. */
static u32 expect_broken(u32 index, u64 page)
{
	index = expect(index, "dsb ishst", 0);
	index = expect(index, "tlbi ipas2e1is", at(page).raw);
	index = expect(index, "dsb ish", 0);
	index = expect(index, "tlbi vmalle1is", 0);
	return expect(index, "dsb ish", 0);
}

TEST(a_page_that_was_not_mapped_needs_a_barrier_and_no_tlb_maintenance)
{
	stage2_area_set(&area, at(5), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	assert_int_equal(expect(0, "dsb ishst", 0), fake_record_count());
	assert_shows(5, STAGE2_SHARED, 0x7000000);
	assert_shows(4, STAGE2_NONE, 0);
	assert_shows(6, STAGE2_NONE, 0);
}

TEST(a_page_that_is_mapped_is_broken_before_it_is_made_anew)
{
	stage2_area_set(&area, at(5), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	fake_record_reset();
	broken_first = 5;
	broken_count = 1;
	stage2_area_set(&area, at(5), 1, PA(0x9000000), 0, STAGE2_SHARED);
	assert_int_equal(expect(expect_broken(0, 5), "dsb ishst", 0), fake_record_count());
	assert_shows(5, STAGE2_SHARED, 0x9000000);
}

TEST(nothing_is_left_of_an_unmapped_page_when_it_is_said_to_be_gone)
{
	stage2_area_set(&area, at(5), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED_READ);
	assert_shows(5, STAGE2_SHARED_READ, 0x7000000);
	fake_record_reset();
	stage2_area_set(&area, at(5), 1, PA(0), 0, STAGE2_NONE);
	assert_int_equal(expect_broken(0, 5), fake_record_count());
	assert_shows(5, STAGE2_NONE, 0);
}

TEST(another_vm_s_tlb_is_maintained_under_its_vmid_and_ours_is_back_after)
{
	u32 index = 0;

	stage2_area_set(&area, at(5), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	fake_record_reset();
	vttbr = ELSEWHERE;
	stage2_area_set(&area, at(5), 1, PA(0), 0, STAGE2_NONE);
	index = expect(index, "vttbr", tables.vttbr);
	index = expect(index, "isb", 0);
	index = expect_broken(index, 5);
	index = expect(index, "vttbr", ELSEWHERE);
	index = expect(index, "isb", 0);
	assert_int_equal(index, fake_record_count());
	assert_int_equal(vttbr, ELSEWHERE);
}

/* All of them are broken before the first is forgotten, and forgotten before the first is made. */
TEST(a_range_is_broken_and_forgotten_as_one)
{
	u32 index = 0;

	stage2_area_set(&area, at(20), 8, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	assert_int_equal(expect(0, "dsb ishst", 0), fake_record_count());
	fake_record_reset();
	broken_first = 20;
	broken_count = 8;
	stage2_area_set(&area, at(20), 8, PA(0x9000000), 0, STAGE2_SHARED);
	index = expect(index, "dsb ishst", 0);
	for (u64 i = 0; i < 8; i++)
		index = expect(index, "tlbi ipas2e1is", at(20 + i).raw);
	index = expect(index, "dsb ish", 0);
	index = expect(index, "tlbi vmalle1is", 0);
	index = expect(index, "dsb ish", 0);
	assert_int_equal(expect(index, "dsb ishst", 0), fake_record_count());
	for (u64 i = 0; i < 8; i++)
		assert_shows(20 + i, STAGE2_SHARED, 0x9000000);
	assert_shows(19, STAGE2_NONE, 0);
	assert_shows(28, STAGE2_NONE, 0);
}

/* One broadcast for both stages, in place of one a page. */
TEST(a_larger_range_is_forgotten_with_all_that_the_vm_has)
{
	u32 index = 0;

	stage2_area_set(&area, at(20), 16, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	fake_record_reset();
	broken_first = 20;
	broken_count = 16;
	stage2_area_set(&area, at(20), 16, PA(0), 0, STAGE2_NONE);
	index = expect(index, "dsb ishst", 0);
	index = expect(index, "tlbi vmalls12e1is", 0);
	assert_int_equal(expect(index, "dsb ish", 0), fake_record_count());
}

TEST(a_range_may_lie_in_two_tables)
{
	stage2_area_set(&area, at(500), 64, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	assert_shows(499, STAGE2_NONE, 0);
	for (u64 i = 0; i < 64; i++)
		assert_shows(500 + i, STAGE2_SHARED, 0x7000000 + i * PAGE_SIZE);
	assert_shows(564, STAGE2_NONE, 0);
	fake_record_reset();
	stage2_area_set(&area, at(500), 64, PA(0), 0, STAGE2_NONE);
	assert_int_equal(fake_record_times("tlbi vmalls12e1is"), 2);
	for (u64 i = 499; i < 565; i++)
		assert_shows(i, STAGE2_NONE, 0);
	stage2_area_set(&area, at(PAGES - 1), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	assert_shows(PAGES - 1, STAGE2_SHARED, 0x7000000);
}

/* What is passed through has no area of its own. */
TEST(pages_of_any_range_are_changed_like_those_of_an_area)
{
	stage2_set_pages(&tables, at(510), 4, PA(0x8000000), STAGE2_DEVICE);
	for (u64 i = 0; i < 4; i++)
		assert_shows(510 + i, STAGE2_DEVICE, 0x8000000 + i * PAGE_SIZE);
	assert_shows(514, STAGE2_NONE, 0);
	fake_record_reset();
	stage2_set_pages(&tables, at(510), 4, PA(0x8000000), STAGE2_NONE);
	assert_int_equal(fake_record_times("tlbi ipas2e1is"), 4);
	for (u64 i = 0; i < 4; i++)
		assert_shows(510 + i, STAGE2_NONE, 0);
}

/* ---- A piece of 2 MiB, by its entry at level 2 -------------------------------------------------- */

#define PIECE 512u /* page at which the second one begins */
#define BLANK 0x6000000ul

static void with_blank(void)
{
	stage2_area_blank(&area, heap_page(), PA(BLANK), STAGE2_SHARED);
	fake_record_reset();
	broken_first = PIECE;
	broken_count = 512;
}

/* All of it is broken, and then whatever a TLB has of the VM is forgotten, before there is a new entry. */
static void expect_swapped(void)
{
	u32 index = expect(0, "dsb ishst", 0);

	index = expect(index, "tlbi vmalls12e1is", 0);
	index = expect(index, "dsb ish", 0);
	assert_int_equal(expect(index, "dsb ishst", 0), fake_record_count());
	fake_record_reset();
}

static void assert_piece_shows(enum stage2_kind kind, u64 first, u64 stride)
{
	for (u64 i = 0; i < 512; i++)
		assert_shows(PIECE + i, kind, first + i * stride);
	assert_shows(PIECE - 1, STAGE2_NONE, 0);
	assert_shows(PIECE + 512, STAGE2_NONE, 0);
}

TEST(a_piece_becomes_a_block_and_is_its_own_table_again)
{
	with_blank();
	stage2_area_block(&area, at(PIECE), PA(0x40000000), STAGE2_SHARED_READ);
	expect_swapped();
	assert_piece_shows(STAGE2_SHARED_READ, 0x40000000, PAGE_SIZE);
	stage2_area_set(&area, at(PIECE), 512, PA(0), 0, STAGE2_NONE);
	expect_swapped();
	assert_piece_shows(STAGE2_NONE, 0, 0);
	broken_count = 0;
	stage2_area_set(&area, at(PIECE + 3), 1, PA(0x7000000), PAGE_SIZE, STAGE2_SHARED);
	assert_shows(PIECE + 3, STAGE2_SHARED, 0x7000000);
}

TEST(a_block_that_is_taken_away_shows_one_page_all_over)
{
	with_blank();
	stage2_area_block(&area, at(PIECE), PA(0x40000000), STAGE2_SHARED);
	fake_record_reset();
	stage2_area_set(&area, at(PIECE), 512, PA(BLANK), 0, STAGE2_SHARED);
	expect_swapped();
	assert_piece_shows(STAGE2_SHARED, BLANK, 0);
	stage2_area_set(&area, at(PIECE), 512, PA(0), 0, STAGE2_NONE);
	expect_swapped();
	assert_piece_shows(STAGE2_NONE, 0, 0);
}

/* As home's of what it has passed. */
TEST(the_own_table_of_a_piece_keeps_its_pages)
{
	with_blank();
	broken_count = 0;
	for (u64 i = 0; i < 512; i += 64)
		stage2_area_set(&area, at(PIECE + i), 64, PA(0x40000000 + i * PAGE_SIZE), PAGE_SIZE,
				STAGE2_RAM);
	fake_record_reset();
	broken_count = 512;
	stage2_area_set(&area, at(PIECE), 512, PA(BLANK), 0, STAGE2_SHARED);
	expect_swapped();
	assert_piece_shows(STAGE2_SHARED, BLANK, 0);
	stage2_area_set(&area, at(PIECE), 512, PA(0x40000000), PAGE_SIZE, STAGE2_RAM);
	expect_swapped();
	assert_piece_shows(STAGE2_RAM, 0x40000000, PAGE_SIZE);
}

TEST(a_block_of_another_vm_is_made_under_its_vmid)
{
	u32 index = 0;

	with_blank();
	vttbr = ELSEWHERE;
	stage2_area_block(&area, at(PIECE), PA(0x40000000), STAGE2_SHARED);
	index = expect(index, "vttbr", tables.vttbr);
	index = expect(index, "isb", 0);
	index = expect(index, "dsb ishst", 0);
	index = expect(index, "tlbi vmalls12e1is", 0);
	index = expect(index, "dsb ish", 0);
	index = expect(index, "vttbr", ELSEWHERE);
	index = expect(index, "isb", 0);
	assert_int_equal(expect(index, "dsb ishst", 0), fake_record_count());
	assert_int_equal(vttbr, ELSEWHERE);
	assert_piece_shows(STAGE2_SHARED, 0x40000000, PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare,
			  a_page_that_was_not_mapped_needs_a_barrier_and_no_tlb_maintenance),
		RUN_AFTER(prepare, a_page_that_is_mapped_is_broken_before_it_is_made_anew),
		RUN_AFTER(prepare, nothing_is_left_of_an_unmapped_page_when_it_is_said_to_be_gone),
		RUN_AFTER(prepare,
			  another_vm_s_tlb_is_maintained_under_its_vmid_and_ours_is_back_after),
		RUN_AFTER(prepare, a_range_is_broken_and_forgotten_as_one),
		RUN_AFTER(prepare, a_larger_range_is_forgotten_with_all_that_the_vm_has),
		RUN_AFTER(prepare, a_range_may_lie_in_two_tables),
		RUN_AFTER(prepare, pages_of_any_range_are_changed_like_those_of_an_area),
		RUN_AFTER(prepare, a_piece_becomes_a_block_and_is_its_own_table_again),
		RUN_AFTER(prepare, a_block_that_is_taken_away_shows_one_page_all_over),
		RUN_AFTER(prepare, the_own_table_of_a_piece_keeps_its_pages),
		RUN_AFTER(prepare, a_block_of_another_vm_is_made_under_its_vmid),
	};
	int failed = cmocka_run_group_tests(tests, 0, 0);

	fake_heap_reset();
	return failed;
}
