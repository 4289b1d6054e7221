/*
 * Physical memory: the heap (EL2's own, grows upward, never shrinks) and the RAM of the VMs (taken
 * from the top). All of it is handed out while the VMs are built; then the allocator is sealed.
 * Boot core only. Source: memory.c
 */
#pragma once

#include "arch/arm64/cache.h" /* cache_scrub(): a page of the heap as new */
#include "arch/arm64/mmu.h"   /* mmu_heap_pa(): where the heap is in physical memory */
#include "core/platform.h"

/* After the tree was read. False: no bank is usable, and it said why. */
bool memory_init(const struct platform *platform);

/* Is all of it memory of the machine? */
bool memory_holds(const struct platform *platform, struct range range);

/* Zeroed, 16-byte aligned; panics when the bank is exhausted or memory is sealed. */
void *heap_alloc(u64 bytes);
/* One zeroed page, page-aligned. */
void *heap_page(void);
/* `count` zeroed pages, contiguous virtually and physically: a table of the heap's lies in each 2 MiB. */
#define HEAP_PAGES_MAX 511u
void *heap_pages(u64 count);

/* Zeroed memory that Weir has already, 16-byte aligned, for heap_alloc(): what fits into it takes no page. */
void heap_give(void *memory, u64 bytes);

/* An object that was allocated with so many bytes needs fewer: the others are for the next ones. */
void heap_shrink(void *object, u64 bytes, u64 needed);

/*
 * What one allocation of so many bytes takes from the heap at most: the rest of a page that it does
 * not fit into, or pages that are not contiguous because a table of the heap lies between them.
 */
static inline u64 heap_cost(u64 bytes)
{
	return bytes < PAGE_SIZE ? 2 * bytes : 2 * align_up(bytes, PAGE_SIZE) + PAGE_SIZE;
}

/*
 * Keeps heap for a VM that is to be built from the RAM of VMs and from other promises. False: so
 * much is not left. What is promised and then not needed can be returned.
 */
bool memory_promise_heap(u64 bytes);
void memory_return_heap(u64 bytes);
u64 memory_heap_room(void); /* not promised yet */

/*
 * Contiguous RAM for a VM, aligned to 2 MiB (4 KiB if it is smaller), that ends below `limit` if there is
 * so much there (0: anywhere). False: there is not.
 */
bool memory_take_ram(u64 bytes, u64 limit, pa_t *pa);

void memory_seal(void);
u64 memory_heap_bytes(void);
