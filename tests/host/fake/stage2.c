/* Stage-2 tables as a list of pages that tests can look into. */
#include <stdlib.h>
#include "fake.h"

struct entry {
	const struct stage2 *tables;
	u64 ipa, pa;
	enum stage2_kind kind;
	bool block; /* part of a block: has no level-3 entry of its own */
	bool piece; /* the piece's own table is not in place, where its entry would be */
	u32 before; /* in the chain of its hash: 1 + index, 0: it is the first */
};

static struct entry *entries;
static u32 entry_count, entry_room, changes;
static u32 chain[4096]; /* by the hash of the address: 1 + index of the last entry, 0: none */

static u32 *chain_of(u64 ipa)
{
	return &chain[(ipa / PAGE_SIZE ^ ipa >> 28 << 10) % ARRAY_SIZE(chain)];
}

static struct entry *find(const struct stage2 *tables, u64 ipa)
{
	u64 page = align_down(ipa, PAGE_SIZE);

	for (u32 i = *chain_of(page); i; i = entries[i - 1].before)
		if (entries[i - 1].tables == tables && entries[i - 1].ipa == page)
			return &entries[i - 1];
	return 0;
}

static void add(struct entry entry)
{
	u32 *last = chain_of(entry.ipa);

	assert_null(find(entry.tables, entry.ipa));
	if (entry_count == entry_room) {
		entry_room = entry_room ? 2 * entry_room : 256;
		entries = realloc(entries, entry_room * sizeof(*entries));
	}
	entry.before = *last;
	entries[entry_count++] = entry;
	*last = entry_count;
}

void stage2_init_core(void)
{
}

void stage2_init(struct stage2 *tables, u32 vmid, void *(*alloc)(void))
{
	*tables = (struct stage2){ .vttbr = (u64)vmid << 48, .alloc = alloc };
}

void stage2_map(struct stage2 *tables, ipa_t ipa, pa_t pa, u64 bytes, enum stage2_kind kind,
		bool blocks)
{
	assert_true(((ipa.raw | pa.raw | bytes) & PAGE_MASK) == 0);
	assert_true(ipa.raw + bytes <= 1ull << STAGE2_IPA_BITS);
	for (u64 at = 0; at < bytes; at += PAGE_SIZE) {
		u64 block = align_down(ipa.raw + at, BLOCK_2M);
		bool whole = block >= ipa.raw && block + BLOCK_2M <= ipa.raw + bytes &&
			     ((ipa.raw ^ pa.raw) & (BLOCK_2M - 1)) == 0;

		add((struct entry){ tables, ipa.raw + at, pa.raw + at, kind, blocks && whole, false,
				    0 });
	}
}

void stage2_make_tables(struct stage2 *tables, ipa_t ipa, u64 bytes)
{
	for (u64 at = 0; at < bytes; at += PAGE_SIZE)
		if (!find(tables, ipa.raw + at))
			add((struct entry){ tables, ipa.raw + at, 0, STAGE2_NONE, false, false,
					    0 });
}

static void set_page(const struct stage2 *tables, ipa_t ipa, pa_t pa, enum stage2_kind kind)
{
	struct entry *entry = find(tables, ipa.raw);

	changes++;
	assert_true(((ipa.raw | pa.raw) & PAGE_MASK) == 0);
	if (!entry || entry->block || entry->piece)
		fail_msg("stage2_set_pages: IPA %lx has no level-3 table", (unsigned long)ipa.raw);
	entry->pa = kind == STAGE2_NONE ? 0 : pa.raw;
	entry->kind = kind;
}

void stage2_set_pages(const struct stage2 *tables, ipa_t ipa, u32 count, pa_t pa,
		      enum stage2_kind kind)
{
	for (u32 i = 0; i < count; i++)
		set_page(tables, IPA(ipa.raw + i * PAGE_SIZE), PA(pa.raw + i * PAGE_SIZE), kind);
}

void stage2_area_init(struct stage2_area *area, const struct stage2 *tables, ipa_t ipa, u64 bytes,
		      u64 **level3)
{
	area->tables = tables;
	area->base = IPA(align_down(ipa.raw, BLOCK_2M));
	area->level3 = level3;
	/* There is room for as many. */
	for (u64 i = 0; i < stage2_area_tables(ipa, bytes); i++)
		level3[i] = 0;
}

void stage2_area_blank(struct stage2_area *area, u64 *table, pa_t pa, enum stage2_kind kind)
{
	assert_int_equal(kind, STAGE2_SHARED);
	table[0] = pa.raw;
	area->blank = (u64)table;
}

/* What a walker finds by an entry at level 2, which is one change. */
static void set_piece(const struct stage2 *tables, u64 ipa, u64 pa, u64 stride,
		      enum stage2_kind kind, bool away)
{
	assert_int_equal(ipa % BLOCK_2M, 0);
	changes++;
	for (u64 i = 0; i < STAGE2_PIECE_PAGES; i++) {
		struct entry *entry = find(tables, ipa + i * PAGE_SIZE);

		assert_true(entry && !entry->block);
		entry->kind = kind;
		entry->pa = pa + i * stride;
		entry->piece = away;
	}
}

void stage2_area_block(const struct stage2_area *area, ipa_t ipa, pa_t pa, enum stage2_kind kind)
{
	assert_int_equal(pa.raw % BLOCK_2M, 0);
	assert_int_equal(ipa.raw >> 30, area->base.raw >> 30);
	set_piece(area->tables, ipa.raw, pa.raw, PAGE_SIZE, kind, true);
}

/* The piece's own table has none, or the pages of RAM. */
static void set_own_or_blank(const struct stage2_area *area, u64 ipa, pa_t pa, u64 stride,
			     enum stage2_kind kind)
{
	if (kind == STAGE2_SHARED) {
		assert_true(area->blank && *(u64 *)area->blank == pa.raw && stride == 0);
		set_piece(area->tables, ipa, pa.raw, 0, kind, true);
		return;
	}
	assert_true(kind == STAGE2_RAM || kind == STAGE2_NONE);
	set_piece(area->tables, ipa, pa.raw, stride, kind, false);
}

void stage2_area_set(const struct stage2_area *area, ipa_t ipa, u32 count, pa_t pa, u64 stride,
		     enum stage2_kind kind)
{
	assert_true(ipa.raw >= area->base.raw);
	if (count == STAGE2_PIECE_PAGES) {
		set_own_or_blank(area, ipa.raw, pa, stride, kind);
		return;
	}
	assert_true(count < STAGE2_PIECE_PAGES);
	for (u32 i = 0; i < count; i++)
		set_page(area->tables, IPA(ipa.raw + i * PAGE_SIZE), PA(pa.raw + i * stride), kind);
}

enum stage2_kind stage2_lookup(const struct stage2 *tables, ipa_t ipa, pa_t *pa)
{
	const struct entry *entry = find(tables, ipa.raw);

	if (!entry || entry->kind == STAGE2_NONE)
		return STAGE2_NONE;
	if (pa)
		*pa = PA(entry->pa + (ipa.raw & PAGE_MASK));
	return entry->kind;
}

void fake_stage2_reset(void)
{
	free(entries);
	entries = 0;
	entry_count = entry_room = changes = 0;
	for (u32 i = 0; i < ARRAY_SIZE(chain); i++)
		chain[i] = 0;
}

enum stage2_kind fake_stage2_kind(const struct stage2 *tables, u64 ipa)
{
	return stage2_lookup(tables, IPA(ipa), 0);
}

u64 fake_stage2_pa(const struct stage2 *tables, u64 ipa)
{
	pa_t pa = PA(0);

	stage2_lookup(tables, IPA(ipa), &pa);
	return pa.raw;
}

u32 fake_stage2_pages(const struct stage2 *tables)
{
	u32 mapped = 0;

	for (u32 i = 0; i < entry_count; i++)
		mapped += entries[i].tables == tables && entries[i].kind != STAGE2_NONE;
	return mapped;
}

u32 fake_stage2_changes(void)
{
	return changes;
}
