/*
 * Stage-2 tables against an MMU that does what it may at the worst moment (DDI 0487 D8.13, D8.14): a walker may read
 * an entry as it was before the last DSB, or as it is now, whenever an instruction is executed, and keep what it has
 * found until a TLB instruction for it is complete. Two stages: what is kept of stage 2, and what is kept of both
 * together, which is made of the former.
 *
 * That tables are changed in this way or that is not asked, but this: no TLB can hold two translations of a page with
 * different memory behind it, nothing of another VM is lost, and when the function returns every core finds
 * what was set, and nothing of what was there before. Each instruction is seen as it is executed.
 *
 * Sources: arch/arm64/stage2.c arch/arm64/stage2_area.c tests/host/fake/heap.c tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include "arch/arm64/sysreg.h"
#include "core/memory.h"

#define OUTPUT	0x0000fffffffff000ul
#define VALID	1ul
#define PAGES	40u /* that are looked at, from FIRST on: some behind each other in two tables */
#define BORDER	0x40200000ul
#define FIRST	(BORDER - PAGES / 2 * PAGE_SIZE)
#define KEPT	8u
#define OURS	5ul
#define THEIRS	9ul
#define MEMORY	0x123400000ul
#define ROUNDS	20000u
#define LONGEST 20u

/* ---- The MMU --------------------------------------------------------------------------------- */

struct translations {
	u64 entry[KEPT]; /* each valid */
	u32 count;
};

static struct page {
	const u64 *entry;
	u64 complete; /* as of the last DSB: no walker reads anything older any more */
	struct translations stage2, both;
} pages[PAGES];
static bool watching;

static u64 vttbr;      /* as written */
static u64 vttbr_seen; /* as of the last ISB */
/* Since the last DSB: what is complete with the next one. */
static struct {
	bool by_address[PAGES], both, all;
} pending;
static u64 others_flushed; /* TLB instructions for another VMID than OURS */

static void keep(struct translations *kept, u64 entry)
{
	for (u32 i = 0; i < kept->count; i++)
		if (kept->entry[i] == entry)
			return;
	assert_true(kept->count < KEPT);
	if (entry & VALID)
		kept->entry[kept->count++] = entry;
}

static void keep_all(struct translations *kept, const struct translations *more)
{
	for (u32 i = 0; i < more->count; i++)
		keep(kept, more->entry[i]);
}

/* DDI 0487 D8.14.1: not with different memory behind it. */
static void check(const struct translations *kept)
{
	for (u32 i = 1; i < kept->count; i++)
		if ((kept->entry[i] ^ kept->entry[0]) & OUTPUT)
			fail_msg("a TLB may hold %lx and %lx for the same page", kept->entry[0],
				 kept->entry[i]);
}

static void walk(struct page *page)
{
	keep(&page->stage2, page->complete);
	keep(&page->stage2, *page->entry);
	keep_all(&page->both, &page->stage2);
	check(&page->stage2);
	check(&page->both);
}

static void walk_all(void)
{
	for (u32 i = 0; i < PAGES && watching; i++)
		walk(&pages[i]);
}

/*
 * A DSB for loads and stores. Each instruction before it may have been done before the stores beside it, so that a walker
 * still found what was there; and one for both stages before the one for stage 2 beside it, so that what it had is
 * there again.
 */
static void complete(void)
{
	for (u32 i = 0; i < PAGES; i++) {
		struct page *page = &pages[i];
		struct translations before = page->stage2;
		bool stage2 = pending.all || pending.by_address[i];

		if (stage2)
			page->stage2.count = 0;
		if (pending.both || pending.all)
			page->both.count = 0;
		if (pending.both && stage2 && !pending.all)
			page->both = before;
		walk(page);
		page->complete = *page->entry;
	}
	memset(&pending, 0, sizeof(pending));
}

static void invalidate(const char *what, u64 address)
{
	u64 index = (address - FIRST) >> PAGE_SHIFT;

	assert_int_equal(vttbr, vttbr_seen); /* else it is not known whose is forgotten */
	if (vttbr >> 48 != OURS) {
		others_flushed++;
		return;
	}
	if (!strcmp(what, "tlbi ipas2e1is")) {
		if (index < PAGES)
			pending.by_address[index] = true;
	} else if (!strcmp(what, "tlbi vmalle1is")) {
		pending.both = true;
	} else {
		assert_string_equal(what,
				    "tlbi vmalls12e1is"); /* no other core's is reached by others */
		pending.all = true;
	}
}

void fake_note(const char *what, u64 address)
{
	if (!watching)
		return;
	walk_all();
	if (!strncmp(what, "tlbi ", 5))
		invalidate(what, address);
	else if (!strcmp(what, "dsb ish"))
		complete();
	else if (!strcmp(what, "dsb ishst"))
		for (u32 i = 0; i < PAGES; i++)
			pages[i].complete = *pages[i].entry;
	else if (!strcmp(what, "isb"))
		vttbr_seen = vttbr;
	else
		fail_msg("%s: not thought of here", what);
	walk_all();
}

u64 fake_sysreg_read(const char *name)
{
	if (!strcmp(name, "id_aa64mmfr0_el1"))
		return 2;
	assert_string_equal(name, "vttbr_el2");
	return vttbr;
}

static u64 vtcr;

void fake_sysreg_write(const char *name, u64 value)
{
	if (!strcmp(name, "vtcr_el2")) {
		vtcr = value;
		return;
	}
	assert_string_equal(name, "vttbr_el2");
	/* Instructions before are for who was there when they were executed. */
	vttbr = value;
}

/* ---- Tables ---------------------------------------------------------------------------------- */

static struct stage2 tables;
static struct stage2_area area;
static u64 *level3[2];

static const u64 *entry_of(u64 ipa)
{
	const u64 *table = tables.root;

	for (u32 level = 1;; level++) {
		const u64 *entry = &table[ipa >> (39 - 9 * level) & 511];

		if (level == 3)
			return entry;
		assert_int_equal(*entry & 3, 3);
		table = (const u64 *)(*entry & OUTPUT);
	}
}

static void watch(void)
{
	memset(pages, 0, sizeof(pages));
	memset(&pending, 0, sizeof(pending));
	for (u32 i = 0; i < PAGES; i++) {
		pages[i].entry = entry_of(FIRST + i * PAGE_SIZE);
		pages[i].complete = *pages[i].entry;
		walk(&pages[i]);
	}
	watching = true;
	others_flushed = 0;
}

static int prepare(void **state)
{
	(void)state;
	watching = false;
	fake_heap_reset();
	stage2_init(&tables, OURS, heap_page);
	stage2_make_tables(&tables, IPA(FIRST), PAGES * PAGE_SIZE);
	assert_int_equal(stage2_area_tables(IPA(FIRST), PAGES * PAGE_SIZE), ARRAY_SIZE(level3));
	stage2_area_init(&area, &tables, IPA(FIRST), PAGES * PAGE_SIZE, level3);
	vttbr = vttbr_seen = THEIRS << 48;
	watch();
	return 0;
}

static int clean(void **state)
{
	(void)state;
	watching = false;
	fake_heap_reset();
	return 0;
}

/* Every core finds what is there now, and nothing else; whose turn it was has it again. */
static void check_done(u64 mine)
{
	for (u32 i = 0; i < PAGES; i++) {
		u64 entry = *pages[i].entry;

		assert_int_equal(pages[i].complete, entry);
		assert_int_equal(pages[i].both.count, (entry & VALID) != 0);
		assert_int_equal(pages[i].stage2.count, (entry & VALID) != 0);
		if (entry & VALID)
			assert_int_equal(pages[i].both.entry[0], entry);
	}
	assert_false(pending.both || pending.all);
	assert_int_equal(vttbr, mine);
	assert_int_equal(vttbr_seen, mine);
	assert_int_equal(others_flushed, 0);
}

static void set(u32 first, u32 count, u64 pa, u64 stride, enum stage2_kind kind)
{
	bool unmaps = kind == STAGE2_NONE;

	if (stride == PAGE_SIZE && random() % 2)
		stage2_set_pages(&tables, IPA(FIRST + first * PAGE_SIZE), count, PA(pa), kind);
	else
		stage2_area_set(&area, IPA(FIRST + first * PAGE_SIZE), count, PA(unmaps ? 0 : pa),
				unmaps ? 0 : stride, kind);
}

static void check_pages(u32 first, u32 count, u64 pa, u64 stride, enum stage2_kind kind)
{
	pa_t found;

	for (u32 i = 0; i < count; i++) {
		assert_int_equal(
			stage2_lookup(&tables, IPA(FIRST + (first + i) * PAGE_SIZE + 7), &found),
			kind);
		if (kind != STAGE2_NONE)
			assert_int_equal(found.raw, pa + i * stride + 7);
	}
}

/* ---- What they promise ----------------------------------------------------------------------- */

TEST(pages_get_other_memory_and_no_tlb_holds_both)
{
	static const enum stage2_kind kinds[] = { STAGE2_SHARED, STAGE2_SHARED_READ, STAGE2_NONE,
						  STAGE2_RAM, STAGE2_DEVICE };

	srandom(1);
	for (u32 round = 0; round < ROUNDS; round++) {
		u32 count = 1 + (u32)random() % LONGEST, first = (u32)random() % (PAGES - count);
		enum stage2_kind kind = kinds[(u32)random() % ARRAY_SIZE(kinds)];
		u64 pa = MEMORY + (u64)(random() % 4) * PAGE_SIZE;
		u64 stride = random() % 3 ? PAGE_SIZE : 0;
		u64 mine = (random() % 2 ? OURS << 48 | tables.vttbr : THEIRS << 48);

		vttbr = vttbr_seen = mine;
		set(first, count, pa, stride, kind);
		check_done(mine);
		check_pages(first, count, pa, stride, kind);
	}
}

/* Where nothing was there is nothing to forget. */
TEST(first_use_of_a_page_is_one_barrier)
{
	set(3, 4, MEMORY, PAGE_SIZE, STAGE2_SHARED);
	check_done(THEIRS << 48);
	check_pages(3, 4, MEMORY, PAGE_SIZE, STAGE2_SHARED);
	for (u32 i = 0; i < PAGES; i++)
		assert_false(pending.by_address[i]);
}

/* At boot the VM does not run yet, and nothing is in a TLB. */
TEST(what_is_mapped_at_boot_is_seen_by_walkers)
{
	watching = false;
	stage2_map(&tables, IPA(FIRST), PA(MEMORY), PAGES * PAGE_SIZE, STAGE2_RAM, false);
	stage2_set_pages(&tables, IPA(FIRST), PAGES, PA(0), STAGE2_NONE);
	watch();
	stage2_map(&tables, IPA(FIRST), PA(MEMORY), PAGES * PAGE_SIZE, STAGE2_RAM, false);
	check_done(THEIRS << 48);
	check_pages(0, PAGES, MEMORY, PAGE_SIZE, STAGE2_RAM);
}

/* Of a former life anything may be there, made of stage-1 tables that are gone. */
TEST(former_life_is_forgotten_whole)
{
	for (u32 i = 0; i < 2; i++) {
		u64 mine = i ? tables.vttbr : THEIRS << 48;

		set(0, PAGES, MEMORY, PAGE_SIZE, STAGE2_RAM);
		vttbr = vttbr_seen = mine;
		for (u32 page = 0; page < PAGES; page++) {
			pages[page].stage2.entry[0] ^= BIT(52);
			pages[page].both.entry[0] ^= BIT(52);
		}
		*(u64 *)pages[1].entry = 0; /* as somebody may have done just before */
		stage2_forget(&tables);
		check_done(mine);
	}
}

/* DDI 0487 D19.2.160: what walkers are told before the first guest runs. */
TEST(walkers_are_told_how_tables_are_written)
{
	vttbr_seen = 0;
	stage2_init_core();
	assert_int_equal(vttbr_seen, vttbr); /* an ISB */
	assert_int_equal(vtcr & 0x3f, 64 - STAGE2_IPA_BITS);
	assert_int_equal(vtcr >> 6 & 3, 1);	  /* from level 1 */
	assert_int_equal(vtcr >> 8 & 0xff, 0x35); /* write-back, inner shareable, 4 KiB */
	assert_int_equal(vtcr >> 16 & 7, 2);	  /* as the machine has it */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, pages_get_other_memory_and_no_tlb_holds_both),
		RUN_AFTER(prepare, first_use_of_a_page_is_one_barrier),
		RUN_AFTER(prepare, what_is_mapped_at_boot_is_seen_by_walkers),
		RUN_AFTER(prepare, former_life_is_forgotten_whole),
		RUN_AFTER(prepare, walkers_are_told_how_tables_are_written),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
