/*
 * Stage-2 tables as they are made, and looked into (stage2.h); what changes them while VMs run is in
 * stage2_area.c. Descriptor formats: DDI 0487 D8.3, attributes: D8.5.
 */
#include "arch/arm64/stage2_entry.h"

#define VTCR_RES1 (1ul << 31)

static enum stage2_kind kind_of(u64 entry)
{
	if (!(entry & VALID))
		return STAGE2_NONE;
	if ((entry & NORMAL) != NORMAL)
		return STAGE2_DEVICE;
	if (!(entry & NO_EXEC))
		return STAGE2_RAM;
	return entry & WRITE ? STAGE2_SHARED : STAGE2_SHARED_READ;
}

void stage2_init_core(void)
{
	/* 36, 40, 42, 44, 48 bits; the IPA space may not be larger than the physical one. */
	static const u8 bits[] = { 32, 36, 40, 42, 44, 48 };
	u64 range = min(READ_SYSREG(id_aa64mmfr0_el1) & 0xf, 5ul);
	u64 ipa_bits = min((u64)bits[range], (u64)STAGE2_IPA_BITS);

	/* Start at level 1, walks write-back inner shareable, 4 KiB. DDI 0487 D19.2.160. */
	WRITE_SYSREG(vtcr_el2, VTCR_RES1 | range << 16 | 3ul << 12 | 1ul << 10 | 1ul << 8 |
				       1ul << 6 | (64 - ipa_bits));
	isb();
}

void stage2_init(struct stage2 *tables, u32 vmid, void *(*alloc)(void))
{
	tables->alloc = alloc;
	tables->root = alloc();
	tables->vttbr = mmu_heap_pa(tables->root).raw | (u64)vmid << 48;
}

static u64 *table_below(struct stage2 *tables, u64 *entry)
{
	if (!(*entry & VALID))
		*entry = mmu_heap_pa(tables->alloc()).raw | TABLE;
	return mmu_heap_va(PA(*entry & ADDRESS));
}

static u64 slot(u64 ipa, u32 level)
{
	return (ipa >> (39 - 9 * level)) & (ENTRIES - 1);
}

static u64 *entry_make(struct stage2 *tables, u64 ipa, u32 level)
{
	u64 *table = tables->root;

	for (u32 above = 1; above < level; above++)
		table = table_below(tables, &table[slot(ipa, above)]);
	return &table[slot(ipa, level)];
}

void stage2_map(struct stage2 *tables, ipa_t ipa, pa_t pa, u64 bytes, enum stage2_kind kind,
		bool blocks)
{
	u64 attributes = attributes_of(kind), page = pa.raw;
	u64 end = ipa.raw + bytes;

	for (u64 at = ipa.raw; at < end;) {
		bool block = blocks && !((at | page) & (BLOCK_2M - 1)) && end - at >= BLOCK_2M;
		u64 *entry = entry_make(tables, at, block ? 2 : 3);

		/* To the end of what one table translates. */
		do {
			*entry++ = page | attributes | (block ? BLOCK : TABLE);
			at += block ? BLOCK_2M : PAGE_SIZE;
			page += block ? BLOCK_2M : PAGE_SIZE;
		} while (!block && at < end && at & (BLOCK_2M - 1));
	}
	dsb(ishst);
}

void stage2_make_tables(struct stage2 *tables, ipa_t ipa, u64 bytes)
{
	for (u64 at = align_down(ipa.raw, BLOCK_2M); at < ipa.raw + bytes; at += BLOCK_2M)
		entry_make(tables, at, 3);
}

/* The entry that translates an address, at level 2 or 3; 0 if a table is missing. */
static u64 *entry_find(const struct stage2 *tables, u64 ipa, u32 *level)
{
	u64 *table = tables->root;

	if (ipa >> STAGE2_IPA_BITS)
		return 0;
	for (*level = 1;; (*level)++) {
		u64 *entry = &table[slot(ipa, *level)];

		if (*level == 3 || (*entry & TABLE) == BLOCK)
			return entry;
		if (!(*entry & VALID))
			return 0;
		table = mmu_heap_va(PA(*entry & ADDRESS));
	}
}

void stage2_area_init(struct stage2_area *area, const struct stage2 *tables, ipa_t ipa, u64 bytes,
		      u64 **level3)
{
	u32 level;

	area->tables = tables;
	area->base = IPA(align_down(ipa.raw, BLOCK_2M));
	area->level3 = level3;
	area->level2 = stage2_piece(tables, area->base.raw);
	for (u64 i = 0; i < stage2_area_tables(ipa, bytes); i++)
		level3[i] = entry_find(tables, area->base.raw + i * BLOCK_2M, &level);
}

void stage2_area_blank(struct stage2_area *area, u64 *table, pa_t pa, enum stage2_kind kind)
{
	for (u32 i = 0; i < ENTRIES; i++)
		table[i] = pa.raw | attributes_of(kind) | TABLE;
	area->blank = mmu_heap_pa(table).raw | TABLE;
	dsb(ishst);
}

void stage2_set_pages(const struct stage2 *tables, ipa_t ipa, u32 count, pa_t pa,
		      enum stage2_kind kind)
{
	u64 value = kind == STAGE2_NONE ? 0 : pa.raw | attributes_of(kind) | TABLE;
	u64 step = kind == STAGE2_NONE ? 0 : PAGE_SIZE;
	u32 level, here;

	for (u32 done = 0; done < count; done += here) {
		u64 at = ipa.raw + done * PAGE_SIZE;

		here = (u32)min((u64)(count - done), ENTRIES - slot(at, 3));
		stage2_entries_set(tables, at, here, value + done * step, step,
				   entry_find(tables, at, &level));
	}
}

/* DDI 0487 D8.13: stages 1 and 2 of this VMID. */
void stage2_forget(const struct stage2 *tables)
{
	u64 mine = READ_SYSREG(vttbr_el2);

	WRITE_SYSREG(vttbr_el2, tables->vttbr);
	isb();
	dsb(ishst);
	tlbi(vmalls12e1is);
	dsb(ish);
	WRITE_SYSREG(vttbr_el2, mine);
	isb();
}

enum stage2_kind stage2_lookup(const struct stage2 *tables, ipa_t ipa, pa_t *pa)
{
	u32 level;
	u64 *entry = entry_find(tables, ipa.raw, &level);
	u64 offset = ipa.raw & (level == 2 ? BLOCK_2M - 1 : PAGE_MASK);

	if (!entry || !(*entry & VALID))
		return STAGE2_NONE;
	*pa = PA((*entry & ADDRESS) + offset);
	return kind_of(*entry);
}
