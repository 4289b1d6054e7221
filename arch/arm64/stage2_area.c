/*
 * Stage-2 entries that change while VMs run (stage2.h): break-before-make and TLB maintenance.
 * Descriptor formats: DDI 0487 D8.3; order of the steps: D8.14, D8.13.
 */
#include "arch/arm64/stage2_entry.h"

/* More pages than that are forgotten together with all that the VM has: one broadcast, not one a page. */
#define SINGLE_PAGES 8u

/*
 * No core's TLB holds a translation of these pages any more, and no access by one is under way: by
 * address at stage 2, then what was combined of both stages, for this VMID; or all of both at once.
 * VTTBR_EL2 says whose VMID is meant; in a hypercall it mostly is the VM's already.
 */
static void tlb_forget(const struct stage2 *tables, u64 ipa, u32 count)
{
	u64 mine = READ_SYSREG(vttbr_el2);

	if (mine != tables->vttbr) {
		WRITE_SYSREG(vttbr_el2, tables->vttbr);
		isb();
	}
	dsb(ishst);
	if (count <= SINGLE_PAGES) {
		for (ipa >>= PAGE_SHIFT; count; ipa++, count--)
			tlbi_page(ipas2e1is, ipa);
		dsb(ish);
		tlbi(vmalle1is);
	} else {
		tlbi(vmalls12e1is);
	}
	dsb(ish);
	if (mine != tables->vttbr) {
		WRITE_SYSREG(vttbr_el2, mine);
		isb();
	}
}

/* An entry that was not valid is in no TLB: then there is nothing to break. D8.14.1 */
void stage2_entries_set(const struct stage2 *tables, u64 ipa, u32 count, u64 value, u64 step,
			u64 *entry)
{
	u64 *at = entry, *end = entry + count, valid = 0;

	do {
		valid |= *at;
		write_once(*at, 0);
	} while (++at != end);
	if (valid & VALID)
		tlb_forget(tables, ipa, count);
	if (!value) /* and then step is 0, too */
		return;
	at = entry;
	do {
		write_once(*at, value);
		value += step;
	} while (++at != end);
	dsb(ishst);
}

/*
 * Level 2: a block in place of a table, or a table for a block or for another table. Whatever a TLB holds of the
 * piece, of any size and any level of the walk, is forgotten between the two, D8.14.1. No value here is 0, so there
 * always is something to break.
 */
static inline void set_piece(const struct stage2 *tables, u64 ipa, u64 *entry, u64 value)
{
	write_once(*entry, 0);
	if (READ_SYSREG(vttbr_el2) == tables->vttbr) {
		dsb(ishst);
		tlbi(vmalls12e1is);
		dsb(ish);
	} else {
		tlb_forget(tables, ipa, ENTRIES);
	}
	write_once(*entry, value);
	dsb(ishst);
}

void stage2_area_block(const struct stage2_area *area, ipa_t ipa, pa_t pa, enum stage2_kind kind)
{
	set_piece(area->tables, ipa.raw, &area->level2[(ipa.raw - area->base.raw) / BLOCK_2M],
		  pa.raw | attributes_of(kind) | BLOCK);
}

/* To the end of a table or beyond, or a piece: the table that is filled with one page, or its own. */
static RARE APART void set_to_end(const struct stage2_area *area, u64 ipa, u32 count, u64 value,
				  u64 step)
{
	u64 page = (ipa - area->base.raw) >> PAGE_SHIFT, slot = page % ENTRIES;
	u32 here = (u32)min(ENTRIES - slot, (u64)count);
	u64 **level3 = &area->level3[page / ENTRIES];

	if (count == ENTRIES) {
		value = value & NO_EXEC ? area->blank : mmu_heap_pa(*level3).raw | TABLE;
		set_piece(area->tables, ipa, stage2_piece(area->tables, ipa), value);
		return;
	}
	stage2_entries_set(area->tables, ipa, here, value, step, &level3[0][slot]);
	if (here < count)
		stage2_entries_set(area->tables, ipa + here * PAGE_SIZE, count - here,
				   value + here * step, step, level3[1]);
}

void stage2_area_set(const struct stage2_area *area, ipa_t ipa, u32 count, pa_t pa, u64 stride,
		     enum stage2_kind kind)
{
	u64 page = (ipa.raw - area->base.raw) >> PAGE_SHIFT, slot = page % ENTRIES;
	u64 *entry = &area->level3[page / ENTRIES][slot];
	u64 value = kind == STAGE2_NONE ? 0 : pa.raw | attributes_of(kind) | TABLE;

	if (slot + count < ENTRIES)
		stage2_entries_set(area->tables, ipa.raw, count, value, stride, entry);
	else
		set_to_end(area, ipa.raw, count, value, stride);
}
