/*
 * Physical memory (memory.h).
 *
 * Owns: the list of free ranges. The heap grows from the bottom of the largest one; RAM of VMs is
 * taken from the top of whichever has room, of the heap's only above what the heap was promised for.
 */
#include "core/memory.h"

#include "arch/arm64/layout.h"
#include "arch/arm64/mmu.h"
#include "core/base/panic.h"
#include "core/base/string.h"

#define FREE_RANGES  (PLATFORM_BANKS + PLATFORM_RESERVED + 2)
#define HEAP_RESERVE (2 * MIB)	 /* for what is promised to no VM, such as disks and channels */
#define PA_END	     (1ul << 48) /* EL2's tables translate to no more */

static struct range ranges[FREE_RANGES];
static u32 range_count;
static struct range *heap_range;
static u64 heap_used; /* bytes of pages taken from heap_range */
/* What was left of pages, for small objects. */
static struct rest {
	u8 *at;
	u64 bytes; /* 0: there is none */
} rests[4];
static u8 *heap_end;  /* of the page that was taken last */
static u64 heap_goal; /* how large the heap is when all VMs that have a promise are built */
static bool sealed;

static void range_add(u64 base, u64 end)
{
	base = align_up(base, PAGE_SIZE);
	end = align_down(end, PAGE_SIZE);
	if (base >= end)
		return;
	for (u32 i = 0; i < range_count; i++)
		if (ranges[i].base + ranges[i].bytes == base) {
			ranges[i].bytes += end - base;
			return;
		}
	if (range_count == FREE_RANGES) {
		log_line("memory: %lu KiB at %lx unused: more than %d ranges", (end - base) / KIB,
			 base, FREE_RANGES);
		return;
	}
	ranges[range_count++] = (struct range){ base, end - base };
}

/* Takes [base, end), whole pages, out of every range. */
static void range_cut(u64 base, u64 end)
{
	u32 count = range_count;

	for (u32 i = 0; i < count; i++) {
		struct range old = ranges[i];
		u64 old_end = old.base + old.bytes;

		if (end <= old.base || base >= old_end)
			continue;
		/* What lies before keeps the place, so a cut needs one more at most. */
		ranges[i].bytes = max(base, old.base) - old.base;
		range_add(end, old_end);
	}
}

/* One that reaches beyond the last address ends there. */
static u64 range_end(const struct range *range)
{
	return range->base >= PA_END || range->bytes >= PA_END - range->base
		       ? PA_END
		       : range->base + range->bytes;
}

/* Banks may touch, or say the same memory twice; each page is in one range. */
static void add_bank(const struct range *bank)
{
	range_cut(align_down(bank->base, PAGE_SIZE), align_up(range_end(bank), PAGE_SIZE));
	range_add(bank->base, range_end(bank));
}

bool memory_holds(const struct platform *platform, struct range range)
{
	u64 at = range.base, end = range_end(&range);

	/* Each round finds the bank that `at` lies in, and there are no more rounds than banks. */
	for (u32 round = 0; at < end && round < platform->bank_count; round++)
		for (u32 i = 0; i < platform->bank_count; i++)
			if (platform->bank[i].base <= at)
				at = max(at, range_end(&platform->bank[i]));
	return at >= end;
}

bool memory_init(const struct platform *platform)
{
	for (u32 i = 0; i < platform->bank_count; i++)
		add_bank(&platform->bank[i]);
	for (u32 i = 0; i < platform->reserved_count; i++)
		range_cut(align_down(platform->reserved[i].base, PAGE_SIZE),
			  align_up(range_end(&platform->reserved[i]), PAGE_SIZE));
	range_cut(mmu_image_pa().raw, mmu_image_pa().raw + mmu_image_bytes());
	/* Page 0: cores of a Pi that were not started spin there. */
	range_cut(0, PAGE_SIZE);

	for (u32 i = 0; i < range_count; i++)
		if (!heap_range || ranges[i].bytes > heap_range->bytes)
			heap_range = &ranges[i];
	if (!heap_range || heap_range->bytes < HEAP_RESERVE) {
		log_line("memory: /memory: no free range of 2 MiB: give the machine more RAM");
		return false;
	}
	mmu_heap_start(PA(heap_range->base));
	return true;
}

void *heap_page(void)
{
	if (sealed || heap_used + 2 * PAGE_SIZE > heap_range->bytes)
		panic("heap: %s", sealed ? "used after boot" : "out of memory");
	void *page = mmu_heap_grow();

	heap_used = mmu_heap_pa(page).raw + PAGE_SIZE - heap_range->base;
	heap_end = (u8 *)page + PAGE_SIZE;
	return page;
}

/* `has` pages from `first` on are taken; so many that there are `count`, which may be others. */
static u8 *go_on(u8 *first, u64 has, u64 count)
{
	/* The page tables of the heap come out of it too: start again behind one that came between.
	 */
	for (u64 i = has; i < count; i++) {
		u8 *page = heap_page();

		if (page != first + i * PAGE_SIZE) {
			first = page;
			i = 0;
		}
	}
	return first;
}

void *heap_pages(u64 count)
{
	return go_on(heap_page(), 1, count);
}

/* The smallest one into which it fits; 0: none. */
static struct rest *rest_for(u64 bytes)
{
	struct rest *best = 0;

	for (u32 i = 0; i < ARRAY_SIZE(rests); i++)
		if (rests[i].bytes >= bytes && (!best || rests[i].bytes < best->bytes))
			best = &rests[i];
	return best;
}

/* The one that ends where the heap does; 0: none. */
static struct rest *rest_at_end(void)
{
	for (u32 i = 0; i < ARRAY_SIZE(rests); i++)
		if (rests[i].bytes && rests[i].at + rests[i].bytes == heap_end)
			return &rests[i];
	return 0;
}

/* Of one more than there is room for the smallest is lost. */
void heap_give(void *memory, u64 bytes)
{
	struct rest *least = &rests[0];

	for (u32 i = 0; i < ARRAY_SIZE(rests); i++) {
		if (rests[i].bytes && rests[i].at == (u8 *)memory + bytes) {
			rests[i].at = memory;
			rests[i].bytes += bytes;
			return;
		}
		if (rests[i].bytes < least->bytes)
			least = &rests[i];
	}
	if (bytes > least->bytes)
		*least = (struct rest){ memory, bytes };
}

/*
 * So many pages behind the rest of the last one, if that goes on in them; else, or if there is no such rest, pages for
 * all of it. `bytes` fit into no rest.
 */
static u8 *more_pages(u64 bytes, u64 *room)
{
	struct rest *rest = rest_at_end();
	u64 before = rest ? rest->bytes : 0;
	u64 count = align_up(bytes - before, PAGE_SIZE) / PAGE_SIZE, all;
	u8 *pages = heap_pages(count);

	if (rest && pages == rest->at + before) {
		*room = before + count * PAGE_SIZE;
		rest->bytes = 0;
		return rest->at;
	}
	/* A table of the heap came between; the rest may have been of several pages. */
	all = align_up(bytes, PAGE_SIZE) / PAGE_SIZE;
	*room = all * PAGE_SIZE;
	return go_on(pages, count, all);
}

void *heap_alloc(u64 bytes)
{
	struct rest *rest;
	u8 *object;
	u64 room;

	bytes = align_up(bytes, 16);
	rest = rest_for(bytes);
	if (rest) {
		object = rest->at;
		rest->at += bytes;
		rest->bytes -= bytes;
		return object;
	}
	object = more_pages(bytes, &room);
	heap_give(object + bytes, room - bytes);
	return object;
}

void heap_shrink(void *object, u64 bytes, u64 needed)
{
	u8 *end = (u8 *)object + align_up(bytes, 16), *rest = (u8 *)object + align_up(needed, 16);

	memset(rest, 0, (u64)(end - rest));
	heap_give(rest, (u64)(end - rest));
}

/* The heap's range, as far as there are addresses for it; what RAM was taken of it is gone. */
static u64 heap_limit(void)
{
	return min(heap_range->bytes, VA_HEAP_END - VA_HEAP);
}

/* Before the first promise nothing is known but what was allocated so far. */
static u64 goal(void)
{
	return heap_goal ? heap_goal : heap_used + HEAP_RESERVE;
}

u64 memory_heap_room(void)
{
	return heap_limit() > goal() ? heap_limit() - goal() : 0;
}

bool memory_promise_heap(u64 bytes)
{
	if (bytes > memory_heap_room())
		return false;
	heap_goal = goal() + bytes;
	return true;
}

void memory_return_heap(u64 bytes)
{
	heap_goal -= bytes;
}

/* From the top of a range, or of what of it lies below `limit`, down to its first `floor` bytes. */
static bool take_from(struct range *range, u64 floor, u64 bytes, u64 limit, pa_t *pa)
{
	u64 align = bytes < BLOCK_2M ? PAGE_SIZE : BLOCK_2M;
	u64 end = range->base + range->bytes;
	u64 top = min(end - 1, limit - 1) + 1;
	u64 base = align_down(top - bytes, align);

	if (top < bytes || base < range->base + floor)
		return false;
	range->bytes = base - range->base;
	*pa = PA(base);
	range_add(top, end);
	return true;
}

/* The heap's range last: nothing else can take its place. */
static bool take(u64 bytes, u64 limit, pa_t *pa)
{
	for (u32 i = 0; i <= range_count; i++) {
		bool last = i == range_count;
		struct range *range = last ? heap_range : &ranges[i];

		if (last == (range == heap_range) &&
		    take_from(range, last ? goal() : 0, bytes, limit, pa))
			return true;
	}
	return false;
}

bool memory_take_ram(u64 bytes, u64 limit, pa_t *pa)
{
	return take(bytes, limit, pa) || (limit && take(bytes, 0, pa));
}

void memory_seal(void)
{
	assert(heap_used <= goal());
	sealed = true;
}

u64 memory_heap_bytes(void)
{
	return heap_used;
}
