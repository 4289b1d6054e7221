/* A heap of malloc'ed pieces, so that ASan sees every access beyond one. */
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "arch/arm64/mmu.h"
#include "core/memory.h"

struct piece {
	struct piece *next;
	void *memory;
	u64 bytes;
};

static struct piece *pieces;
static u64 allocations, cost;

static void *take(u64 bytes, u64 alignment)
{
	struct piece *piece = calloc(1, sizeof(*piece));
	u64 whole = align_up(bytes ? bytes : 1, alignment);

	/* aligned_alloc wants whole alignments; heap_alloc's own is malloc's, and stays exact. */
	piece->memory = alignment > 16 ? aligned_alloc(alignment, whole) : malloc(bytes);
	memset(piece->memory, 0, bytes);
	piece->bytes = bytes;
	piece->next = pieces;
	pieces = piece;
	allocations++;
	cost += heap_cost(bytes);
	return piece->memory;
}

void *heap_alloc(u64 bytes)
{
	return take(bytes, 16);
}

void *heap_page(void)
{
	return take(PAGE_SIZE, PAGE_SIZE);
}

void *heap_pages(u64 count)
{
	return take(count * PAGE_SIZE, PAGE_SIZE);
}

void heap_shrink(void *object, u64 bytes, u64 needed)
{
	(void)object;
	assert_true(needed <= bytes);
}

bool memory_take_ram(u64 bytes, u64 limit, pa_t *pa)
{
	(void)limit;
	*pa = PA((u64)take(bytes, bytes < BLOCK_2M ? PAGE_SIZE : BLOCK_2M));
	return true;
}

void memory_seal(void)
{
}

u64 memory_heap_bytes(void)
{
	return 0;
}

/* Unless the program has the true one. */
__attribute__((weak)) void cache_scrub(void *page)
{
	memset(page, 0, PAGE_SIZE);
	if (fake_note)
		fake_note("scrub", (u64)page);
}

pa_t mmu_heap_pa(const void *in_heap)
{
	return PA((u64)in_heap);
}

void *mmu_heap_va(pa_t in_heap)
{
	return (void *)in_heap.raw;
}

/* Unless the program has memory of its own for guests. */
__attribute__((weak)) void *mmu_window(enum window window, pa_t page)
{
	(void)window;
	return (void *)page.raw;
}

/* The same; of what is pinned the address is the host's. */
__attribute__((weak)) void *mmu_reserve(u32 pages)
{
	(void)pages;
	return 0;
}

__attribute__((weak)) void *mmu_pin(void *space, pa_t base, u64 bytes)
{
	(void)space;
	(void)bytes;
	return (void *)base.raw;
}

__attribute__((weak)) void mmu_unpin(void *space, u32 pages)
{
	(void)space;
	(void)pages;
}

void fake_heap_reset(void)
{
	while (pieces) {
		struct piece *piece = pieces;

		pieces = piece->next;
		free(piece->memory);
		free(piece);
	}
	allocations = cost = 0;
}

u64 fake_heap_cost(void)
{
	return cost;
}

u64 fake_heap_allocations(void)
{
	return allocations;
}

void fake_heap_each(void (*fn)(void *memory, u64 bytes, void *arg), void *arg)
{
	for (const struct piece *piece = pieces; piece; piece = piece->next)
		fn(piece->memory, piece->bytes, arg);
}
