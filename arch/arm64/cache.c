/* Cache maintenance (cache.h). DDI 0487 D7.5. */
#include "arch/arm64/cache.h"

#include "arch/arm64/sysreg.h"

static u64 line_bytes(void)
{
	return 4ul << (READ_SYSREG(ctr_el0) >> 16 & 0xf);
}

u64 cache_granule_bytes(void)
{
	u64 words = READ_SYSREG(ctr_el0) >> 24 & 0xf;

	return words ? 4ul << words : 2048;
}

void cache_clean_invalidate(const void *start, u64 bytes)
{
	u64 line = line_bytes();
	u64 end = (u64)start + bytes;

	for (u64 at = align_down((u64)start, line); at < end; at += line)
		dc(civac, at);
	dsb(sy);
}

void cache_zero(void *page)
{
	u64 dczid = READ_SYSREG(dczid_el0);
	u64 block = 4ul << (dczid & 0xf);

	if (dczid & 0x10) { /* DC ZVA is prohibited */
		for (u64 *word = page; word < (u64 *)page + PAGE_SIZE / 8; word++)
			*word = 0;
		return;
	}
	for (u64 at = (u64)page; at < (u64)page + PAGE_SIZE; at += block)
		dc(zva, at);
}

void cache_scrub(void *page)
{
	cache_zero(page);
	cache_clean_invalidate(page, PAGE_SIZE);
}

void cache_invalidate_instructions(void)
{
	dsb(ish);
	ic(ialluis);
	dsb(ish);
	isb();
}
