/* Memory behind a cache that devices do not see through; see dma_memory.h. */
#include <string.h>
#include "dma_memory.h"
#include "arch/arm64/cache.h"

#define LINE 64u

u8 dma_memory[DMA_MEMORY_BYTES] __attribute__((aligned(PAGE_SIZE)));
static u8 memory[DMA_MEMORY_BYTES];  /* what is in it, as devices see it */
static u8 fetched[DMA_MEMORY_BYTES]; /* what was in the cache when the line was last clean */
static u32 base;

struct dma_range dma_memory_reset(u32 bus)
{
	memset(dma_memory, 0, DMA_MEMORY_BYTES);
	memset(memory, 0, DMA_MEMORY_BYTES);
	memset(fetched, 0, DMA_MEMORY_BYTES);
	base = bus;
	return (struct dma_range){ (u64)dma_memory, bus, DMA_MEMORY_BYTES, false };
}

static bool dirty(u64 line)
{
	return memcmp(dma_memory + line, fetched + line, LINE) != 0;
}

/* Cleaned if it was dirty, and then as it is in memory. */
static void clean_invalidate(u64 line)
{
	if (dirty(line))
		memcpy(memory + line, dma_memory + line, LINE);
	memcpy(dma_memory + line, memory + line, LINE);
	memcpy(fetched + line, memory + line, LINE);
}

void dma_memory_settle(void)
{
	for (u64 line = 0; line < DMA_MEMORY_BYTES; line += LINE)
		clean_invalidate(line);
}

u64 cache_granule_bytes(void)
{
	return LINE;
}

void cache_clean_invalidate(const void *start, u64 bytes)
{
	u64 from = (u64)start - (u64)dma_memory;

	assert_true(from < DMA_MEMORY_BYTES && bytes <= DMA_MEMORY_BYTES - from);
	for (u64 line = align_down(from, LINE); line < from + bytes; line += LINE)
		clean_invalidate(line);
}

void fake_cache_reset(void)
{
}

static bool inside(u32 bus, u32 bytes)
{
	return bus - base < DMA_MEMORY_BYTES && bytes <= DMA_MEMORY_BYTES - (bus - base);
}

bool dma_memory_read(u32 bus, void *to, u32 bytes)
{
	if (inside(bus, bytes))
		memcpy(to, memory + (bus - base), bytes);
	return inside(bus, bytes);
}

bool dma_memory_write(u32 bus, const void *from, u32 bytes)
{
	u32 at = bus - base;

	if (!inside(bus, bytes))
		return false;
	for (u64 line = align_down(at, LINE); line < at + bytes; line += LINE)
		assert_false(dirty(line));
	memcpy(memory + at, from, bytes);
	return true;
}
