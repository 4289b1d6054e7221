/* EL2's translation tables, shared by early.c (MMU off) and mmu.c. DDI 0487 D8.3. */
#pragma once

#include "arch/arm64/layout.h"
#include "core/base/types.h"

#define TABLE_ENTRIES 512
#define DESC_VALID    1ul
#define DESC_TABLE    3ul /* at levels 0..2; at level 3 the same bits are a page */
#define DESC_BLOCK    1ul
#define DESC_ADDRESS  0x0000fffffffff000ul

#define DESC_NORMAL    (1ul << 2) /* MAIR index 1 */
#define DESC_DEVICE    (0ul << 2) /* MAIR index 0 */
#define DESC_READ_ONLY (1ul << 7)
#define DESC_RES1      (1ul << 6) /* AP[1], RES1 in a regime without EL0 */
#define DESC_INNER     (3ul << 8)
#define DESC_ACCESSED  (1ul << 10)
#define DESC_GUARDED   (1ul << 50) /* BTI */
#define DESC_NO_EXEC   (1ul << 54)

#define MAP_TEXT      (DESC_NORMAL | DESC_INNER | DESC_READ_ONLY | DESC_RES1 | DESC_ACCESSED)
#define MAP_READ_ONLY (MAP_TEXT | DESC_NO_EXEC)
#define MAP_DATA      (DESC_NORMAL | DESC_INNER | DESC_RES1 | DESC_ACCESSED | DESC_NO_EXEC)
#define MAP_DEVICE    (DESC_DEVICE | DESC_RES1 | DESC_ACCESSED | DESC_NO_EXEC)

/* Tables that exist before there is a heap. */
struct early_tables {
	u64 level1[TABLE_ENTRIES];
	u64 level2[TABLE_ENTRIES];
	u64 level3[TABLE_ENTRIES]; /* of the first 2 MiB */
	/* The tree, and what does not fit behind it of the UART of who stops. */
	u64 spare[2][TABLE_ENTRIES];
	/* Levels 1 and 2 of the address at which the MMU is turned on; last, for they are given to the heap. */
	u64 identity[2][TABLE_ENTRIES];
};

extern u64 early_root[TABLE_ENTRIES];
extern struct early_tables early;
extern u8 boot_stack[STACK_BYTES];

u64 *early_tables(u64 load);
