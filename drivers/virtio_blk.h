/*
 * Disks behind virtio-mmio, version 2 (VIRTIO 1.1, 4.2 and 5.2).
 *
 * No cache maintenance is done: a device that needs it for DMA offers VIRTIO_F_ACCESS_PLATFORM and
 * insists on it (VIRTIO 1.1, 6 and 6.1), and one that insists is refused with a line that says why.
 * Source: virtio_blk.c. Tests: tests/host/test_virtio_blk.c
 */
#pragma once

#include "core/base/types.h"

/* Where a transport is, and where its queue gets memory from. */
struct virtio_blk_place {
	void *registers; /* mapped, 0x200 bytes */
	u32 intid;
	bool edge;
	const char *name;	     /* the tree's node, for messages; lives for ever */
	void *(*alloc_page)(void);   /* a zeroed page of the heap; never fails */
	pa_t (*to_pa)(const void *); /* of such a page */
};

/*
 * Boot: looks at one transport. A disk is initialised and registered with block_device_add(), and
 * its interrupt may come from then on. False: no disk is there (without a word), or it cannot be
 * used (one line that says why). Takes four pages for a disk. Waits for the device's reset,
 * bounded.
 */
bool virtio_blk_probe(const struct virtio_blk_place *place);
