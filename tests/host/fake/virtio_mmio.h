/*
 * A virtio-mmio transport with a disk behind it (VIRTIO 1.1, 4.2 and 5.2), for the driver:
 * `registers` of the driver is the address of the struct. It executes the ring honestly from
 * memory, checks what the driver does, and does what a test tells it. Source: virtio_mmio.c
 */
#pragma once

#include "fake.h"

#define FAKE_VIRTIO_QUEUE 256

struct fake_virtio {
	/* What the device is; set by fake_virtio_init(), changed by a test before the driver's
	 * probe. */
	u32 magic, version, id;
	u64 features;	    /* offered */
	u64 needs_features; /* FEATURES_OK only with these */
	u32 size_max, seg_max, queue_max;
	u8 *medium;
	u64 sectors;
	bool never_resets;  /* from now on */
	u32 config_changes; /* so many reads of the capacity are torn */

	/* What it does with requests. */
	bool automatic;	    /* serves on each notification, else when told */
	u8 next_answer;	    /* of the next request that is served, then 0 again */
	bool silent_status; /* does not write the status byte */

	/* The driver's side, as it left it. */
	u32 status, device_select, driver_select, queue_num, queue_ready;
	u64 driver_features, descriptor, available, used;
	u32 interrupt_status;
	u32 notifications, interrupts_acknowledged, resets;

	/* Requests that were made available and not served, oldest first. */
	u16 pending[FAKE_VIRTIO_QUEUE];
	u32 pending_count;
	u16 seen_available, used_index;
	u64 served;
	u32 largest_transfer;
	u32 largest_table; /* bytes, of indirect descriptors */
};

void fake_virtio_init(struct fake_virtio *device, u8 *medium, u64 sectors);

/* Serves one request: the oldest, or another. The driver sees it when its interrupt is called. */
void fake_virtio_serve(struct fake_virtio *device);
void fake_virtio_serve_at(struct fake_virtio *device, u32 position);
void fake_virtio_serve_all(struct fake_virtio *device);

/* Lies: an entry of the used ring for any id; an index that runs ahead by so many. */
void fake_virtio_answer_id(struct fake_virtio *device, u32 id);
void fake_virtio_run_ahead(struct fake_virtio *device, u32 count);
/* The device has failed and says so (2.1.2). */
void fake_virtio_need_reset(struct fake_virtio *device);
