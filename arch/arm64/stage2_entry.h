/*
 * Descriptors of stage-2 tables (DDI 0487 D8.3, D8.5) and how a set of them is changed: what stage2.c and
 * stage2_area.c share. Source: stage2_area.c
 */
#pragma once

#include "arch/arm64/mmu.h"
#include "arch/arm64/stage2.h"
#include "arch/arm64/sysreg.h"

#define ENTRIES	     512u
#define VALID	     1ul
#define TABLE	     3ul /* at level 3: a page */
#define BLOCK	     1ul
#define ADDRESS	     0x0000fffffffff000ul
#define NORMAL	     (0xful << 2)
#define DEVICE_nGnRE (0x1ul << 2)
#define READ	     (1ul << 6)
#define WRITE	     (2ul << 6)
#define INNER	     (3ul << 8)
#define ACCESSED     (1ul << 10)
#define NO_EXEC	     (1ul << 54)

static inline u64 attributes_of(enum stage2_kind kind)
{
	static const u64 attributes[] = {
		[STAGE2_NONE] = 0,
		[STAGE2_RAM] = NORMAL | READ | WRITE | INNER | ACCESSED,
		[STAGE2_SHARED] = NORMAL | READ | WRITE | INNER | ACCESSED | NO_EXEC,
		[STAGE2_SHARED_READ] = NORMAL | READ | INNER | ACCESSED | NO_EXEC,
		[STAGE2_DEVICE] = DEVICE_nGnRE | READ | WRITE | ACCESSED | NO_EXEC,
	};

	return attributes[kind];
}

/*
 * `count` entries of a level-3 table, not 0, which translate the pages from `ipa` on: the one that is i
 * behind `entry` becomes value + i * step; value 0 unmaps them.
 */
void stage2_entries_set(const struct stage2 *tables, u64 ipa, u32 count, u64 value, u64 step,
			u64 *entry);

/* The entry at level 2 for an address, which has a table there. */
static inline u64 *stage2_piece(const struct stage2 *tables, u64 ipa)
{
	u64 *table = mmu_heap_va(PA(tables->root[ipa >> 30] & ADDRESS));

	return &table[ipa / BLOCK_2M % ENTRIES];
}
