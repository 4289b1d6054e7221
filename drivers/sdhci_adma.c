/*
 * Requests of the driver for SD host controllers by DMA: ADMA2 with descriptors of 32 bits, HC 1.13.
 *
 * Owns:  the table of descriptors, which lies in the hypervisor's memory, in lines of its own.
 * Locks: none; the interrupt's core alone.
 *
 * It has met the model (tests/host/fake/sd_host.c), not hardware.
 */
#include "arch/arm64/cache.h"
#include "core/base/log.h"
#include "drivers/sdhci_private.h"

/* A descriptor: address, bytes, attributes; HC 1.13.3. */
#define DESCRIPTOR_ADDRESS(address) ((u64)(address) << 32)
#define DESCRIPTOR_BYTES(bytes)	    ((u64)(bytes) << 16)
#define DESCRIPTOR_TRANSFER	    (2u << 4)
#define DESCRIPTOR_END		    BIT(1)
#define DESCRIPTOR_VALID	    BIT(0)

_Static_assert(SDHCI_ADMA_BYTES < 1 << 16, "the bytes of a segment are one descriptor's");
_Static_assert(BLOCK_SEGMENTS_MAX * sizeof(u64) <= DMA_LINE_BYTES, "the table has room");

void sdhci_adma_init(struct sdhci *sd)
{
	if (!(sdhci_read(sd, CAPABILITIES) & CAPABLE_ADMA2) || !dma_usable(&sd->place.dma) ||
	    sd->place.table_address == DMA_UNREACHABLE)
		return;
	sd->adma = SELECT_ADMA2;
	sd->device.max_segment_bytes = SDHCI_ADMA_BYTES;
	sd->device.dma_limit = sd->place.dma.pa + sd->place.dma.bytes;
}

/* An address that cannot be reached is no multiple of a sector either. */
bool sdhci_adma_start(struct sdhci *sd, const struct block_request *request)
{
	const struct dma_range *range = &sd->place.dma;
	const struct block_segment *segment = request->segment;
	u64 *descriptor = sd->place.table;

	if (sd->blocks > SDHCI_ADMA_BYTES / BLOCK_SECTOR_BYTES)
		return false;
	for (u32 i = 0; i < request->segment_count; i++, segment++) {
		u32 address = dma_address(range, segment->pa, segment->bytes);

		if (address % BLOCK_SECTOR_BYTES)
			return false;
		descriptor[i] = DESCRIPTOR_ADDRESS(address) | DESCRIPTOR_BYTES(segment->bytes) |
				DESCRIPTOR_TRANSFER | DESCRIPTOR_VALID;
	}
	descriptor[request->segment_count - 1] |= DESCRIPTOR_END;
	cache_clean_invalidate(descriptor, DMA_LINE_BYTES);
	while (segment-- != request->segment)
		dma_for_device(range, segment->pa, segment->bytes);
	sdhci_write(sd, ADMA_ADDRESS, sd->place.table_address);
	return true;
}

void sdhci_adma_end(const struct sdhci *sd)
{
	const struct block_request *request = sd->request;

	for (u32 i = 0; i < request->segment_count && request->operation == BLOCK_READ; i++)
		dma_for_cpu(&sd->place.dma, request->segment[i].pa, request->segment[i].bytes);
}

void sdhci_adma_failed(struct sdhci *sd)
{
	log_line("%s: DMA fails; from now on the processor moves the data", sd->device.name);
	sd->adma = 0;
}
