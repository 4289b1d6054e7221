/*
 * EL2's own address space: one fixed virtual range in level-0 slot 511, which no physical address
 * uses. Image with W^X, heap (linear), device registers, the system image (read-only), per-core
 * stacks with guard pages, per-core windows of one page. Guest RAM is not mapped but for the pages of
 * virtqueues, while these are ready.
 *
 * All other maps but windows are made at boot by core 0. Source: mmu.c
 */
#pragma once

#include "core/base/types.h"

/* Maps device registers (Device-nGnRE, read-write); any alignment; boot only. */
void *mmu_map_device(pa_t base, u64 bytes);
/* Maps memory read-only (tree, system image); any alignment; boot only. */
const void *mmu_map_read_only(pa_t base, u64 bytes);

/*
 * The heap: `mmu_heap_start` once says where it begins; then it is grown page by page. Physical and
 * virtual addresses differ by a constant.
 */
void mmu_heap_start(pa_t base);
void *mmu_heap_grow(void);	       /* one more page, zeroed; boot only */
pa_t mmu_heap_pa(const void *in_heap); /* or in the image */
void *mmu_heap_va(pa_t in_heap);

/* Physical range of Weir's own image and bss, whole pages. */
pa_t mmu_image_pa(void);
u64 mmu_image_bytes(void);
/* What lies behind it in memory as part of the same file (tools/weir join); 0: nothing does. */
u64 mmu_joined_bytes(void);

/* The page around an address in any memory, for this core, until the next call with the same window; the
 * result is where the address itself is. */
enum window { WINDOW_SOURCE, WINDOW_TARGET, WINDOW_COUNT };
void *mmu_window(enum window window, pa_t pa);

/*
 * Address space for so many pages, with its tables; boot only. Later, by any core, one at a time for the same space:
 * memory that lies there in one piece, up to so many bytes, until it is unmapped; then no core touches it any more.
 */
void *mmu_reserve(u32 pages);
void *mmu_pin(void *space, pa_t base, u64 bytes); /* where `base` is */
void mmu_unpin(void *space, u32 pages);

/* A stack for a secondary core, below a guard page, of zeroed pages of the heap; before it starts.
 */
void mmu_map_stack(u32 core, void *(*alloc)(void));
/*
 * When all cores are up: the physical address at which the MMU was turned on is unmapped. Returns the memory of the
 * tables that are not needed any more, which is the image's: whole pages, zeroed.
 */
void *mmu_drop_identity(u64 *bytes);
