/*
 * The first translation tables, built by core 0 with the MMU off: the image at its virtual address
 * with W^X, the boot core's stack, and the 2 MiB, read-only, in which boot.S turns the MMU on
 * at its physical address. mmu_drop_identity() takes those away again.
 *
 * Runs at the physical address: PC-relative addressing only, memory is Device, so no unaligned
 * access. Owns: early_root, early, boot_stack.
 */
#include "arch/arm64/tables.h"

u64 early_root[TABLE_ENTRIES] __attribute__((aligned(4096)));
struct early_tables early __attribute__((aligned(4096)));
u8 boot_stack[STACK_BYTES] __attribute__((aligned(4096)));

extern const char image_start[], rodata_start[], data_start[], image_end[];

static u64 index_at(u64 address, u32 level)
{
	return (address >> (39 - 9 * level)) & (TABLE_ENTRIES - 1);
}

static void map_image(const char *from, const char *to, u64 attributes)
{
	for (u64 pa = (u64)from; pa < (u64)to; pa += PAGE_SIZE)
		early.level3[(pa - (u64)image_start) >> PAGE_SHIFT] = pa | attributes | DESC_TABLE;
}

u64 *early_tables(u64 load)
{
	u64 stack = index_at(STACK_BASE + STACK_STRIDE - STACK_BYTES, 3);

	map_image(image_start, rodata_start, MAP_TEXT | DESC_GUARDED);
	map_image(rodata_start, data_start, MAP_READ_ONLY);
	map_image(data_start, image_end, MAP_DATA);
	for (u64 offset = 0; offset < STACK_BYTES; offset += PAGE_SIZE)
		early.level3[stack++] = ((u64)boot_stack + offset) | MAP_DATA | DESC_TABLE;

	early.level2[index_at(VA_IMAGE, 2)] = (u64)early.level3 | DESC_TABLE;
	early.level1[index_at(VA_IMAGE, 1)] = (u64)early.level2 | DESC_TABLE;
	early_root[index_at(VA_IMAGE, 0)] = (u64)early.level1 | DESC_TABLE;

	early.identity[1][index_at(load, 2)] = align_down(load, BLOCK_2M) | MAP_TEXT | DESC_BLOCK;
	early.identity[0][index_at(load, 1)] = (u64)early.identity[1] | DESC_TABLE;
	early_root[index_at(load, 0)] = (u64)early.identity[0] | DESC_TABLE;
	return early_root;
}
