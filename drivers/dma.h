/*
 * What a device that moves data itself sees of memory: so much of it, at bus addresses (`dma-ranges` of
 * the bus that it is on), and past the caches unless the tree says `dma-coherent`. Devicetree
 * Specification 0.4, 2.3.9 and 2.3.10. Bus addresses have 32 bits here.
 *
 * A transfer of a driver:
 *
 *	dma_for_device(range, pa, bytes);	each piece of memory that the device will read or write
 *	register_write(...);			with dma_address(range, pa, bytes): it goes
 *	dma_for_cpu(range, pa, bytes);		when it is over: each piece that the device has written
 *
 * Between the two nobody at EL2 touches that memory. A guest may, and harms its own data alone: a piece is
 * whole cache lines where it is sectors at multiples of their size (dma_usable() says that a line is no
 * longer); one that begins elsewhere, as a driver of virtio's may want, has parts of lines whose rest is in
 * the same page, and so that guest's. So no buffer needs to be copied. Source: dma.c. Tests: tests/host/test_coherency.c
 */
#pragma once

#include "arch/arm64/barrier.h"
#include "core/base/types.h"

#define DMA_SPACE (1ul << 32)

struct dma_range {
	u64 pa, bus, bytes; /* 0 bytes: it reaches nothing */
	bool coherent;	    /* it sees the caches */
};

/*
 * Memory of the hypervisor that a device reads or writes past the caches has these to itself: no core of
 * the boards that have such devices has longer lines.
 */
#define DMA_LINE_BYTES	 128
#define DMA_LINE_ALIGNED __attribute__((aligned(DMA_LINE_BYTES)))

#define DMA_UNREACHABLE UINT32_MAX /* the last byte: nothing that is aligned begins there */

/* What the device calls the memory, all of it. */
static inline u32 dma_address(const struct dma_range *range, pa_t pa, u64 bytes)
{
	u64 offset = pa.raw - range->pa;
	u64 address = range->bus + offset;

	if (offset >= range->bytes || bytes > range->bytes - offset || address > DMA_SPACE - bytes)
		return DMA_UNREACHABLE;
	return (u32)address;
}

/* It sees the caches, or a line of them is no longer than a sector. */
bool dma_usable(const struct dma_range *range);

/*
 * Some 4 instructions for each line: who calls it bounds the bytes (sdhci_adma.c: 32 KiB a request).
 *
 * What was written before is in memory, and no cache will write over what the device writes. Orders that,
 * and all writes before, before the register write that follows.
 */
void dma_for_device(const struct dma_range *range, pa_t pa, u64 bytes);
/* The device is known to be done: what it has written is what is read from now on. */
void dma_for_cpu(const struct dma_range *range, pa_t pa, u64 bytes);
