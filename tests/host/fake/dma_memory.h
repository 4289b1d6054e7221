/*
 * Memory behind a cache that devices do not see through: each side has its own copy, and a line goes from
 * one to the other only when the code under test cleans and invalidates it. A device is given a range of it
 * at a bus address. A line that is written by a device while it is dirty in the cache fails the test, for
 * then it depends on the cache what is in memory after. Defines cache.h and fake_cache_reset(), so not together with cache.c.
 * Source: dma_memory.c
 */
#pragma once

#include "fake.h"
#include "drivers/dma.h"

#define DMA_MEMORY_BYTES (64 * KIB)

extern u8 dma_memory
	[DMA_MEMORY_BYTES]; /* as cores see it; page-aligned, its address the physical one */

/* Both copies zero and equal; the device finds it at `bus`. Returns what a driver is told. */
struct dma_range dma_memory_reset(u32 bus);
/* A guest has written past the caches, or with them and then cleaned: no line is dirty. */
void dma_memory_settle(void);
/* The device's accesses; false: there is nothing at that address. */
bool dma_memory_read(u32 bus, void *to, u32 bytes);
bool dma_memory_write(u32 bus, const void *from, u32 bytes);
