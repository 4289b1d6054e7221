/*
 * Stage-1 tables, 1:1. Devices, Weir's shared pages and the grant window by 2 MiB blocks, the first
 * 2 MiB of RAM by pages (code read-only, all else not executable, guard pages below the stacks),
 * RAM above by blocks. Address 0 is not mapped. The tables do not change after start.
 *
 * Owns: the tables. mmu_build runs with the MMU off; start.S turns it on.
 */
#include "guests/lib/runtime.h"

#define ENTRIES 512
#define BLOCK	(2ul << 20)
#define GIB	(1ul << 30)

/* Descriptor bits: ARM DDI 0487 D8.3. */
#define TABLE	   3ul
#define PAGE	   3ul
#define BLOCK_TYPE 1ul
#define DEVICE	   (0ul << 2)
#define NORMAL	   (1ul << 2 | 3ul << 8) /* MAIR index 1, inner shareable */
#define READ_ONLY  (2ul << 6)
#define ACCESSED   (1ul << 10)
#define NO_EXECUTE (3ul << 53)

#define DATA (NORMAL | ACCESSED | NO_EXECUTE)
#define MMIO (DEVICE | ACCESSED | NO_EXECUTE)
#define CODE (NORMAL | ACCESSED | READ_ONLY)

#define RAM_BASE     0x40000000ul
#define DEVICES_BASE 0x08000000ul
#define DEVICES_END  0x0e000000ul
#define RAM_GIBS     8

uint64_t mmu_level1[ENTRIES] __attribute__((aligned(4096)));
static uint64_t low[ENTRIES] __attribute__((aligned(4096)));
static uint64_t ram[ENTRIES] __attribute__((aligned(4096)));
static uint64_t kernel[ENTRIES] __attribute__((aligned(4096)));

extern uint8_t __image_start[], __data_start[], __irq_stack_guard[], __stack_guard[];

static uint64_t kernel_entry(uint64_t page)
{
	if (page == (uint64_t)__irq_stack_guard || page == (uint64_t)__stack_guard)
		return 0;
	if (page >= (uint64_t)__image_start && page < (uint64_t)__data_start)
		return page | CODE | PAGE;
	return page | DATA | PAGE;
}

void mmu_build(void)
{
	for (uint64_t i = DEVICES_BASE / BLOCK; i < DEVICES_END / BLOCK; i++)
		low[i] = i * BLOCK | MMIO | BLOCK_TYPE;
	for (uint64_t i = DEVICES_END / BLOCK; i < ENTRIES; i++)
		low[i] = i * BLOCK | DATA | BLOCK_TYPE;

	for (uint64_t i = 0; i < ENTRIES; i++)
		kernel[i] = kernel_entry(RAM_BASE + i * PAGE_SIZE);
	ram[0] = (uint64_t)kernel | TABLE;
	for (uint64_t i = 1; i < ENTRIES; i++)
		ram[i] = (RAM_BASE + i * BLOCK) | DATA | BLOCK_TYPE;

	mmu_level1[0] = (uint64_t)low | TABLE;
	mmu_level1[1] = (uint64_t)ram | TABLE;
	for (uint64_t i = 2; i <= RAM_GIBS; i++)
		mmu_level1[i] = i * GIB | DATA | BLOCK_TYPE;
}
