/*
 * What every disk driver offers: requests on physical memory, completed by a callback from the
 * device's interrupt.
 *
 * The caller owns a request and its segments until `done`; the driver queues it by `link`. Drivers
 * find devices at boot and register them; devices are numbered in the order of their addresses.
 * An interrupt is short: what it leaves is done in the next one, which it raises itself.
 * Locks: one per device, taken inside; `done` is called without it.
 * Sources: block_device.c, virtio_blk.c, sdhci.c
 */
#pragma once

#include "core/base/list.h"
#include "core/base/types.h"

enum block_operation { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

struct block_segment {
	pa_t pa; /* any */
	u32 bytes;
	u32 link; /* only where there is a table */
};

#define BLOCK_SEGMENTS_MAX 16
#define BLOCK_SECTOR_BYTES 512u

struct block_request {
	enum block_operation operation;
	u64 sector;
	u32 segment_count;	       /* 0 for a flush, else 1..max_segments of the device */
	struct block_segment *segment; /* whole sectors, <= max_segment_bytes */
	union {
		struct block_segment own; /* for who needs a single one; without a link */
		/*
		 * Or, if there is a table, where segment[-1] is: a driver of virtio may take the segments as
		 * descriptors. One before them and one behind are its own then; of the others `link` is flags, that
		 * there is a next one, and whether it is written by the device, and in the upper half the next one's
		 * index, which of the first is 2.
		 */
		struct {
			pa_t table;
			u32 reserved, has_table;
		};
	};
	void (*done)(struct block_request *request, enum weir_status status);
	struct list link;	 /* the driver's from submit (WEIR_OK) to done, else the caller's */
	u32 driver_word;	 /* the driver's */
	enum weir_status status; /* the driver's, until `done` has it */
	u64 ticks; /* that moving its data took of a core; 0 if the device does that. The caller zeroes it */
};

struct block_device;

struct block_device_ops {
	/*
	 * WEIR_OK: `done` will be called, never from inside submit, with WEIR_OK or WEIR_IO;
	 * WEIR_AGAIN: the queue is full and nothing was changed; WEIR_IO: broken for good. A queue
	 * with nothing in flight is not full; AGAIN is decided under the lock under which the
	 * interrupt makes room, so whoever got it and leaves word before asking once more is
	 * either served or found by a `done` that comes later.
	 */
	enum weir_status (*submit)(struct block_device *device, struct block_request *request);
	/*
	 * The device's interrupt: takes a few of the requests that are done, so that it is short
	 * however many there are. True: there are more, and it is to be called again.
	 */
	bool (*interrupt)(struct block_device *device);
};

struct block_device {
	const struct block_device_ops *ops;
	const char *name; /* for messages: the tree's node */
	u64 sectors;
	bool read_only;
	bool write_through;    /* a write is on the medium when it is done: no flush is submitted */
	u32 max_segments;      /* of a request, 1..BLOCK_SEGMENTS_MAX */
	u32 max_segment_bytes; /* of a segment, whole sectors */
	u64 dma_limit;	       /* best served is memory below; 0: any */
	u32 intid;
	bool edge;
	u32 index; /* in the table */
	/*
	 * Whoever waits for room in the queue: called at the end of an interrupt. True: it was not
	 * all done, and is to be called again. 0: nobody does.
	 */
	bool (*room)(struct block_device *device);
};

#define BLOCK_DEVICES_MAX 8

u32 block_device_count(void);
struct block_device *block_device_get(u32 index); /* 0 if there is none */
/* The handler of a device's interrupt. */
void block_device_interrupt(void *device);
/* For a driver's timer, which may have ended requests. */
void block_device_room(struct block_device *device);
/* Raises the device's interrupt, for something was left undone. Any core. */
void block_device_again(const struct block_device *device);
/* Boot: `device` lives for ever. False: there are BLOCK_DEVICES_MAX already. */
bool block_device_add(struct block_device *device);
