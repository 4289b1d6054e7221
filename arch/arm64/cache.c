/* Cache maintenance (cache.h). DDI 0487 D7.5. */
#include "arch/arm64/cache.h"

#include "arch/arm64/sysreg.h"

/* Of the shortest line; DCZID_EL0 tells it of what DC ZVA zeroes, and by bit 4 that it must not be used. */
static u64 log2_line_words(void)
{
	return READ_SYSREG(ctr_el0) >> 16 & 0xf;
}

static u64 line_bytes(void)
{
	return 4ul << log2_line_words();
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

/* Line by line where DC ZVA zeroes just one: each operation is behind the one before it on the same line. D7.5.9.5 */
static void scrub_lines(u64 at, u64 line)
{
	u64 end = at + PAGE_SIZE;

	while (at < end) {
		dc(zva, at);
		dc(civac, at);
		at += line;
		dc(zva, at);
		dc(civac, at);
		at += line;
	}
	dsb(sy);
}

void cache_scrub(void *page)
{
	if (READ_SYSREG(dczid_el0) == log2_line_words()) {
		scrub_lines((u64)page, line_bytes());
		return;
	}
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
