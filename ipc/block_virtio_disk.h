/*
 * What the files of virtio disks share (block_virtio.h): the disk, block_virtio_device.c, with its requests,
 * block_virtio.c, and the looks into its queue that interrupts take, block_virtio_look.c.
 */
#pragma once

#include "core/vdev/virtio.h"
#include "ipc/block.h"
#include "ipc/block_virtio.h"

#define FEATURE_FLUSH	     BIT(9)				      /* VIRTIO 1.2, 5.2.3 */
#define VIRTIO_DISK_REQUESTS 16u				      /* of a disk under way */
#define VIRTIO_DISK_FREE     ((u32)(1ul << VIRTIO_DISK_REQUESTS) - 1) /* all of them */

struct virtio_request {
	struct block_request request;
	struct virtio_disk *disk;
	struct block_reach reach; /* of the pool; `to` is 0: none of it */
	pa_t answer;		  /* a byte */
	u32 written;		  /* bytes, if all goes well */
	u32 bit;		  /* of the disk's `free`; fixed */
	/*
	 * What is not done yet of its data, which are whole sectors: `left` pieces of the chain from this one on, and
	 * of the first, which is larger than the device takes at once, bytes that come later.
	 */
	struct block_segment *data;
	u32 left, later;
	struct virtio_chain chain;
};

struct virtio_disk {
	struct virtio_device device; /* first */
	const struct block_disk *disk;
	u32 free;     /* bit n: request n is not in use */
	bool starved; /* there was more in the queue than free requests */
	u64 owed_requests,
		owed_sectors; /* accepted in interrupts; the next vCPU that notifies pays */
	struct list link;     /* of those that are to be looked at, now or later */
	bool later;
	struct virtio_request request[VIRTIO_DISK_REQUESTS];
};

static inline struct virtio_disk *virtio_disk_of(const struct virtio_device *device)
{
	return container_of(device, struct virtio_disk, device);
}

/* For virtio, where it can have one writer only. */
bool block_virtio_read_only(const struct block_disk *disk);

/* Of the model, and of its requests. */
bool block_virtio_notified(struct vcpu *self, struct virtio_device *device, u32 queue);
void block_virtio_done(struct block_request *request, enum weir_status status);

/*
 * As much of the queue as an exit may; true: there may be more. `self`: 0 in an interrupt. `sent`, unless it is 0, becomes
 * true if the service has got a request.
 */
bool block_virtio_serve(struct virtio_disk *disk, struct vcpu *self, bool *sent);

/* The queue is looked at in an interrupt of the device, which comes at once. */
void block_virtio_look_later(struct virtio_disk *disk);

void block_virtio_look_init(void); /* boot */
