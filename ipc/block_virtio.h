/*
 * The disks of a VM as virtio devices (VIRTIO 1.2, 5.2), for kernels that do not know Weir: slots 0 on
 * (core/vdev/virtio.h), in the order of the manifest, beside the hypercalls, by the same block service.
 *
 * A disk that more than one VM may write, or whose sectors another VM may write as those of another disk, is read-only
 * here: file systems would not survive each other.
 * GET_ID tells the disk's name. A chain is a header of 16 bytes, up to 16 segments and the answer's byte;
 * data are whole sectors, wherever they begin, or the request fails.
 * Lock: device.lock. Sources: block_virtio*.c. Tests: tests/host/test_virtio*.c, tests/guest/virtio.c
 */
#pragma once

#include "core/base/types.h"

struct vm;
struct block_device;

/* Boot, when the disks are open. */
void block_virtio_create(struct vm *vm);
u64 block_virtio_heap_bytes(void); /* what it takes for a disk, at most */

/* Is there such a disk as block_virtio_look() looks for? Who makes one raises the interrupt then. */
bool block_virtio_waits(const struct block_device *device);
/*
 * Looks into the queue of a disk on this device that has had more in it than requests can be under way; a little. In
 * the driver's interrupt, on core 0. True: there are more such disks, and it is to be called again.
 */
bool block_virtio_look(struct block_device *device);

/* Parts of block_pages_busy() and block_vm_idle(). */
bool block_virtio_busy(const struct vm *vm, u64 from, u64 to);
bool block_virtio_idle(const struct vm *vm);
