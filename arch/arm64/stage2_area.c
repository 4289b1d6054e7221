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

static RARE void set_in_two(const struct stage2_area *area, u64 *entry, ipa_t ipa, u32 count,
			    u64 value, u64 step)
{
	u64 page = (ipa.raw - area->base.raw) >> PAGE_SHIFT;
	u32 here = (u32)(ENTRIES - page % ENTRIES);

	stage2_entries_set(area->tables, ipa.raw, here, value, step, entry);
	stage2_entries_set(area->tables, ipa.raw + here * PAGE_SIZE, count - here,
			   value + here * step, step, area->level3[page / ENTRIES + 1]);
}

void stage2_area_set(const struct stage2_area *area, ipa_t ipa, u32 count, pa_t pa, u64 stride,
		     enum stage2_kind kind)
{
	u64 page = (ipa.raw - area->base.raw) >> PAGE_SHIFT, slot = page % ENTRIES;
	u64 *entry = &area->level3[page / ENTRIES][slot];
	u64 value = kind == STAGE2_NONE ? 0 : pa.raw | attributes_of(kind) | TABLE;

	if (slot + count <= ENTRIES)
		stage2_entries_set(area->tables, ipa.raw, count, value, stride, entry);
	else
		set_in_two(area, entry, ipa, count, value, stride);
}
