/*
 * Physical memory: the heap (EL2's own, grows upward, never shrinks) and the RAM of the VMs (taken
 * from the top). All of it is handed out while the VMs are built; then the allocator is sealed.
 * Boot core only. Source: memory.c
 */
#pragma once

#include "arch/arm64/mmu.h" /* mmu_heap_pa(): where the heap is in physical memory */
#include "core/platform.h"

/* After the tree was read. False: no bank is usable, and it said why. */
bool memory_init(const struct platform *platform);

/* Zeroed, 16-byte aligned; panics when the bank is exhausted or memory is sealed. */
void *heap_alloc(u64 bytes);
/* One zeroed page, page-aligned. */
void *heap_page(void);
/* `count` zeroed pages, contiguous virtually and physically. */
void *heap_pages(u64 count);

/* Contiguous RAM for a VM, aligned to 2 MiB (4 KiB if it is smaller). False: there is not so much.
 */
bool memory_take_ram(u64 bytes, pa_t *pa);

void memory_seal(void);
u64 memory_heap_bytes(void);
