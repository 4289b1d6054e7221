/*
 * EL2's address space after the MMU is on (mmu.h). Entries go from invalid to valid only, so no TLB
 * maintenance is needed, but for the windows, which are private to a core, and what is unpinned.
 *
 * Owns: the tables, the heap's end. Boot core only, except mmu_window() and pinning.
 */
#include "arch/arm64/mmu.h"

#include "arch/arm64/cache.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/sysreg.h"
#include "arch/arm64/tables.h"
#include "core/base/panic.h"

extern char image_start[], image_end[];

static u64 image_delta; /* virtual minus physical */
static u64 heap_delta;
static u64 heap_next; /* virtual */
static u64 mapped_next = VA_MAPPED;
static u32 early_used;
static u64 window_page[MAX_PCPUS][WINDOW_COUNT];

static u64 image_offset(void)
{
	if (!image_delta) {
		translate(s1e2r, image_start);
		image_delta = (u64)image_start - (READ_SYSREG(par_el1) & DESC_ADDRESS);
	}
	return image_delta;
}

pa_t mmu_image_pa(void)
{
	return PA((u64)image_start - image_offset());
}

u64 mmu_image_bytes(void)
{
	return (u64)(image_end - image_start);
}

/* The Image header tells the size of the whole file, as boot loaders read it. */
u64 mmu_joined_bytes(void)
{
	const u64 *header = (const u64 *)image_start;

	return header[2] - mmu_image_bytes();
}

pa_t mmu_heap_pa(const void *in_heap)
{
	return PA((u64)in_heap - ((u64)in_heap >= VA_HEAP ? heap_delta : image_offset()));
}

static u64 *table_at(u64 descriptor)
{
	u64 pa = descriptor & DESC_ADDRESS;
	bool in_image = pa - mmu_image_pa().raw < mmu_image_bytes();

	return (u64 *)(pa + (in_image ? image_offset() : heap_delta));
}

static u64 *table_new(void)
{
	if (early_used < ARRAY_SIZE(early.spare))
		return early.spare[early_used++];
	return mmu_heap_grow();
}

/* The entry for an address at a level, tables on the way made as needed. */
static u64 *entry_at(u64 va, u32 level)
{
	u64 *table = early_root;

	for (u32 above = 0;; above++) {
		u64 *entry = &table[(va >> (39 - 9 * above)) & (TABLE_ENTRIES - 1)];

		if (above == level)
			return entry;
		if (!(*entry & DESC_VALID))
			*entry = mmu_heap_pa(table_new()).raw | DESC_TABLE;
		table = table_at(*entry);
	}
}

static void map(u64 va, u64 pa, u64 bytes, u64 attributes)
{
	u64 end = va + bytes;

	while (va < end) {
		bool block = !((va | pa) & (BLOCK_2M - 1)) && end - va >= BLOCK_2M;
		u64 *entry = entry_at(va, block ? 2 : 3);

		/* To the end of what one table translates. */
		do {
			*entry++ = pa | attributes | (block ? DESC_BLOCK : DESC_TABLE);
			va += block ? BLOCK_2M : PAGE_SIZE;
			pa += block ? BLOCK_2M : PAGE_SIZE;
		} while (!block && va < end && va & (BLOCK_2M - 1));
	}
	dsb(ishst);
	isb();
}

/* The next virtual address that has the physical one's place in 2 MiB, so that blocks can be used.
 */
static u64 next_like(u64 next, u64 pa)
{
	u64 va = align_down(next, BLOCK_2M) + (pa & (BLOCK_2M - 1));

	return va < next ? va + BLOCK_2M : va;
}

/* At the next addresses; whole pages around what is asked for. */
static void *map_next(pa_t base, u64 bytes, u64 attributes)
{
	u64 offset = base.raw & PAGE_MASK;
	u64 size = align_up(offset + bytes, PAGE_SIZE);
	u64 va = size < BLOCK_2M ? mapped_next : next_like(mapped_next, base.raw - offset);

	if (va + size > VA_MAPPED_END)
		panic("no address space for %lu bytes at %lx", bytes, base.raw);
	mapped_next = va + size;
	map(va, base.raw - offset, size, attributes);
	return (void *)(va + offset);
}

void *mmu_map_device(pa_t base, u64 bytes)
{
	return map_next(base, bytes, MAP_DEVICE);
}

const void *mmu_map_read_only(pa_t base, u64 bytes)
{
	return map_next(base, bytes, MAP_READ_ONLY);
}

void *mmu_pin(void *space, pa_t base, u64 bytes)
{
	u64 offset = base.raw & PAGE_MASK;

	map((u64)space, base.raw - offset, align_up(offset + bytes, PAGE_SIZE), MAP_DATA);
	return (u8 *)space + offset;
}

void mmu_unpin(void *space, u32 pages)
{
	u64 *entry = 0;

	for (u64 va = (u64)space; pages; pages--, va += PAGE_SIZE) {
		if (!entry || !(va & (BLOCK_2M - 1)))
			entry = entry_at(va, 3);
		*entry++ = 0;
		dsb(ishst);
		tlbi_page(vae2is, va >> PAGE_SHIFT);
	}
	dsb(ish);
	isb();
}

/* Mapped once, as what nobody reads of his own accord, so that its tables are there. */
void *mmu_reserve(u32 pages)
{
	void *space = map_next(PA(0), pages * PAGE_SIZE, MAP_DEVICE);

	mmu_unpin(space, pages);
	return space;
}

void mmu_heap_start(pa_t base)
{
	heap_delta = VA_HEAP - base.raw;
	heap_next = VA_HEAP;
}

static void *heap_take(void)
{
	u64 va = heap_next;

	if (va >= VA_HEAP_END)
		panic("the heap outgrew its address space");
	heap_next += PAGE_SIZE;
	map(va, va - heap_delta, PAGE_SIZE, MAP_DATA);
	cache_scrub((void *)va); /* some of these are shown to guests and to devices */
	return (void *)va;
}

/*
 * The last page of each 2 MiB is the level-3 table of the next, so that growing never needs a table
 * that is not there, whoever else takes tables from the heap.
 */
void *mmu_heap_grow(void)
{
	void *page = heap_take();

	if (heap_next & (BLOCK_2M - 1) || heap_next == VA_HEAP_END)
		return page;
	*entry_at(heap_next, 2) = mmu_heap_pa(page).raw | DESC_TABLE;
	return heap_take();
}

void *mmu_heap_va(pa_t in_heap)
{
	return (void *)(in_heap.raw + heap_delta);
}

void mmu_map_stack(u32 core, void *(*alloc)(void))
{
	u64 va = STACK_BASE + (core + 1) * STACK_STRIDE - STACK_BYTES;

	for (u64 offset = 0; offset < STACK_BYTES; offset += PAGE_SIZE)
		map(va + offset, mmu_heap_pa(alloc()).raw, PAGE_SIZE, MAP_DATA);
}

void *mmu_window(enum window window, pa_t pa)
{
	u64 page = align_down(pa.raw, PAGE_SIZE), offset = pa.raw & PAGE_MASK;
	u32 core = cpu_index();
	u64 va = VA_WINDOWS + (core * WINDOW_COUNT + window) * PAGE_SIZE;
	u64 *entry = &early.level3[(va >> PAGE_SHIFT) & (TABLE_ENTRIES - 1)];

	if (window_page[core][window] == page + 1)
		return (void *)(va + offset);
	/* Break before make; only this core uses the address. */
	*entry = 0;
	dsb(nshst);
	tlbi_page(vae2, va >> PAGE_SHIFT);
	dsb(nsh);
	*entry = page | MAP_DATA | DESC_TABLE;
	dsb(nshst);
	isb();
	window_page[core][window] = page + 1;
	return (void *)(va + offset);
}

void *mmu_drop_identity(u64 *bytes)
{
	u64 slot = (mmu_image_pa().raw >> 39) & (TABLE_ENTRIES - 1);
	u64 spare = (ARRAY_SIZE(early.spare) - early_used) * PAGE_SIZE;
	u8 *tables = (u8 *)early.identity - spare;

	early_root[slot] = 0;
	dsb(ishst);
	tlbi(alle2is);
	dsb(ish);
	isb();
	early_used = ARRAY_SIZE(early.spare);
	*bytes = spare + sizeof(early.identity);
	for (u64 at = 0; at < *bytes; at += PAGE_SIZE)
		cache_scrub(tables + at);
	return tables;
}
