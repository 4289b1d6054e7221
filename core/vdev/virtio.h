/*
 * Virtio devices of a VM, by memory-mapped registers: VIRTIO 1.2, 4.2 (version 2, split queues). A frame of
 * registers for each of 32 slots, as on QEMU's virt machine; a slot without a device has device id 0.
 *
 * What a VM has: for each of its disks, in the manifest's order, a disk (device id 2) from slot 0 on; after
 * them, if it has any, a console (id 3). Slot n is at 0x0A00_0000 + 0x200 * n and raises SPI 16 + n, an edge.
 * The generated tree has a node "virtio_mmio@..." for each. A disk's model is ipc/block_virtio*.c, the
 * console's virtio_console.c; here are registers, queues and interrupts.
 *
 * Queues lie in the guest's RAM. While one is ready its pages are neither shared nor
 * passed to another VM (virtio_pinned()), and are in EL2's address space. Each word of them is read once.
 * A driver that lies is told DEVICE_NEEDS_RESET: its device does nothing until it is reset.
 *
 * What takes longer than an exit may is done by the guest's trapped store being executed again
 * (virtio_again()): notifications with much to do, a reset while requests are under way.
 *
 * Locks: device->lock guards a device, but for what says otherwise; inside it the vGIC's. The block
 * service's are never taken inside it. Sources: virtio.c, virtio_queue.c. Tests: tests/host/test_virtio.c
 */
#pragma once

#include "arch/arm64/lock.h"
#include "core/mmio.h"
#include "drivers/block_device.h"

struct vm;
struct vcpu;

#define VIRTIO_SLOT_BYTES 0x200u
#define VIRTIO_QUEUES	  2u
#define VIRTIO_PART_PAGES 2u  /* a part is no larger than a page, and may lie across two */
#define VIRTIO_CHAIN_MAX  18u /* descriptors of a chain: sixteen of data, and one at each end */

/* EL2's tables for the queues of a VM: so few pages, one behind the other, reach into one more at most. */
#define VIRTIO_TABLE_BYTES PAGE_SIZE

/* Features, VIRTIO 1.2, 6. */
#define VIRTIO_EVENT_INDEX BIT(29)
#define VIRTIO_VERSION_1   BIT(32)

enum virtio_part { VIRTIO_DESCRIPTORS, VIRTIO_AVAILABLE, VIRTIO_USED, VIRTIO_PARTS };

struct virtio_queue {
	u64 address[VIRTIO_PARTS]; /* as the guest wrote them */
	u32 size;
	bool ready;		 /* and then what is above is fixed until the device is reset */
	u16 seen, used;		 /* positions in the rings, ours */
	u16 available;		 /* the driver's, as last read */
	pa_t part[VIRTIO_PARTS]; /* while it is ready: where they are */
	u8 *at[VIRTIO_PARTS];	 /* and the same at EL2 */
};

/*
 * A chain: what the device reads comes first. Its pieces are checked: they are the VM's RAM. They are linked as those of
 * a request with a table (drivers/block_device.h), of which they are all.
 */
struct virtio_chain {
	u16 head;
	u32 count, readable; /* pieces */
	u32 sizes;	     /* the bytes of each but the last, or'ed */
	u64 bytes;	     /* of all */
	u64 end;	     /* of the one that lies highest, physical */
	struct block_segment piece[VIRTIO_CHAIN_MAX];
};

struct virtio_device;

/* What a kind of device does. */
struct virtio_model {
	u32 id, queues, queue_max;			     /* queues, and entries of each */
	u64 (*features)(const struct virtio_device *device); /* beside those of the transport */
	u32 (*configuration)(const struct virtio_device *device, u32 offset); /* a word */
	/* The guest has notified: without the lock. True: there is more, it is to be called again. */
	bool (*notified)(struct vcpu *self, struct virtio_device *device, u32 queue);
	/* With the lock: may the device be reset now? It takes nothing from its queues meanwhile. */
	bool (*idle)(struct virtio_device *device);
	/* With the lock: one of its queues is not ready any more, or none, for the device was reset. */
	void (*stopped)(struct virtio_device *device);
};

struct virtio_device {
	/* Read-only after boot. */
	const struct virtio_model *model;
	struct vm *vm;
	u32 slot;
	/* Where the parts of a queue can be shown at EL2, VIRTIO_PART_PAGES each; fixed. */
	u8 *space[VIRTIO_QUEUES];

	struct spinlock lock; /* guards the rest */
	u32 status, interrupt;
	u32 device_select, driver_select, queue_select;
	u64 features; /* the driver's */
	bool resetting;
	struct virtio_queue queue[VIRTIO_QUEUES];
};

/* Boot: the VM has it in that slot, one of the first VM_VIRTIO_DEVICES. */
void virtio_add(struct vm *vm, u32 slot, struct virtio_device *device,
		const struct virtio_model *model);
/* All devices of the VM as new; it does not run, and no request of it is under way. */
void virtio_reset(struct vm *vm);

void virtio_mmio(struct vcpu *self, struct mmio *access);
/* Is a part of this range in a queue that is ready? For who shares pages, who holds them still. */
bool virtio_pinned(struct vm *vm, pa_t pa, u64 bytes);

/* For models. */

/* Is the device at work: its driver is there, and has not lied? */
bool virtio_live(const struct virtio_device *device) NEEDS(device->lock);
static inline bool virtio_has(const struct virtio_device *device, u64 feature)
{
	return (device->features & feature) != 0;
}
/* Raises its interrupt, for this cause too. */
void virtio_interrupt(struct virtio_device *device, u32 cause) NEEDS(device->lock);
/* The driver has lied. */
void virtio_break(struct virtio_device *device) NEEDS(device->lock);
/*
 * The next chain that the driver has made available; false: there is none (any more, for a lie was found).
 * The device is live.
 */
bool virtio_take(struct virtio_device *device, struct virtio_queue *queue,
		 struct virtio_chain *chain) NEEDS(device->lock);
/* Would virtio_take() find one? If not the driver will notify. */
bool virtio_more(const struct virtio_device *device, struct virtio_queue *queue)
	NEEDS(device->lock);
/* The chain is used, `bytes` of it were written; interrupts the driver if it wants that. */
void virtio_put(struct virtio_device *device, struct virtio_queue *queue, u16 head, u32 bytes)
	NEEDS(device->lock);
/* The guest's memory, which is its RAM and nobody else's now, through a window of this core; a page's bytes at most. */
void virtio_copy_in(void *to, pa_t from, u64 bytes);
void virtio_copy_out(pa_t to, const void *from, u64 bytes);
/* The same as it is, to the end of its page; until the next call. */
void *virtio_shown(pa_t pa);
/* The vCPU that is in this exit executes the store again that led to it. */
void virtio_again(void);
