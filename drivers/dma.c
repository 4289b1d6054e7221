/*
 * Cache maintenance around DMA (dma.h). DDI 0487 D7.5 and B2.8.
 *
 * Clean and invalidate serves both ways. Before: what is dirty goes to memory, and no line is left that
 * could be written back over what the device writes. After: what was fetched meanwhile, as a core may,
 * is forgotten; it is not dirty, so nothing is written back.
 */
#include "drivers/dma.h"

#include "arch/arm64/cache.h"
#include "arch/arm64/mmu.h"
#include "drivers/block_device.h"

bool dma_usable(const struct dma_range *range)
{
	return range->bytes && (range->coherent || cache_granule_bytes() <= BLOCK_SECTOR_BYTES);
}

/* Guest RAM is not mapped: page by page through the window. */
static void sync(const struct dma_range *range, u64 at, u64 bytes)
{
	u64 end = at + bytes, next;

	for (; at < end && !range->coherent; at = next) {
		next = min(align_down(at, PAGE_SIZE) + PAGE_SIZE, end);
		cache_clean_invalidate(mmu_window(WINDOW_TARGET, PA(at)), next - at);
	}
}

void dma_for_device(const struct dma_range *range, pa_t pa, u64 bytes)
{
	sync(range, pa.raw, bytes);
	dma_publish();
}

void dma_for_cpu(const struct dma_range *range, pa_t pa, u64 bytes)
{
	dma_observe();
	sync(range, pa.raw, bytes);
}
