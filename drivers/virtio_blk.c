/*
 * Driver for virtio-blk on virtio-mmio, version 2, with a split virtqueue. VIRTIO 1.1: 2.6 (the
 * queue), 3.1 (initialisation), 4.2 (registers), 5.2 (the disk).
 *
 * Owns:  the device and its one queue, in memory that was given at probe.
 * Locks: disk->lock guards the queue. `done` is called without it.
 *
 * A request is a chain of descriptors: header (read by the device), data, status byte (written by
 * it). Free descriptors are a list through their own `next`, so a chain that is taken from it is
 * linked already, and goes back whole. The head's number names the request everywhere. A device that
 * takes them gets a request that has a table as that alone: one descriptor.
 *
 * Barriers between this core and the device, each with its partner in VIRTIO 1.1:
 *   [D1] chain and ring entry before avail.idx; pairs with the device reading idx first (2.6.13.3).
 *   [D2] avail.idx before the notification; the device looks at idx when it is notified (2.6.13.4).
 *   [D3] used.idx before the used entry, status and data; pairs with the device's order (2.6.8).
 *   [D4] the acknowledgement has reached the device before used.idx is read: an answer that comes
 *	  later than that read raises a new interrupt.
 */
#include "drivers/virtio_blk.h"
#include <weir/order.h>
#include "arch/arm64/lock.h"
#include "core/base/log.h"
#include "core/base/panic.h"
#include "drivers/block_device.h"
#include "drivers/registers.h"
#include "drivers/virtio_registers.h"

/* Configuration of a disk, 5.2.4. */
#define CAPACITY       0x100u
#define SIZE_MAX_BYTES 0x108u
#define SEG_MAX_COUNT  0x10cu

#define ID_BLOCK 2u

/* Features, 5.2.3 and 6. */
#define FEATURE_SIZE_MAX	BIT(1)
#define FEATURE_SEG_MAX		BIT(2)
#define FEATURE_READ_ONLY	BIT(5)
#define FEATURE_FLUSH		BIT(9)
#define FEATURE_INDIRECT	BIT(28)
#define FEATURE_VERSION_1	BIT(32)
#define FEATURE_ACCESS_PLATFORM BIT(33)
#define FEATURES_KNOWN                                                            \
	(FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_READ_ONLY | FEATURE_FLUSH | \
	 FEATURE_INDIRECT | FEATURE_VERSION_1)

/* Requests, 5.2.6. */
#define TYPE_IN		  0u
#define TYPE_OUT	  1u
#define TYPE_FLUSH	  4u
#define ANSWER_OK	  0u
#define ANSWER_NONE	  0xffu /* what the driver puts there; no device answers it */
#define HEADER_BYTES	  16u
#define EXTRA_DESCRIPTORS 2u /* of a chain, beside its data: header and status */

/* 256 descriptors fill a page: 85 requests of one segment in flight. */
#define QUEUE_MAX		 256u
#define DONE_AT_ONCE		 4u /* requests that one interrupt ends */
#define RESET_POLLS		 1000000u
#define RESET_POLLS_IN_INTERRUPT 100u

struct descriptor {
	u64 address;
	u32 bytes;
	u16 flags;
	u16 next;
};

struct header {
	u32 type;
	u32 reserved;
	u64 sector;
};

/* What driver and device write apart from descriptors and headers: one page. */
struct rings {
	struct {
		u16 flags;
		u16 index;
		u16 ring[QUEUE_MAX];
		u16 used_event;
	} available;
	struct {
		u16 flags;
		u16 index;
		struct {
			u32 id;
			u32 bytes;
		} ring[QUEUE_MAX];
		u16 available_event;
	} used __attribute__((aligned(64)));
	u8 answer[QUEUE_MAX] __attribute__((aligned(64)));
};

struct virtio_blk {
	struct block_device device;
	void *registers;
	/* Shared with the device; read-only pointers. */
	struct descriptor *descriptor;
	struct header *header;
	struct rings *rings;
	u64 header_pa, answer_pa;
	bool indirect; /* it takes tables; read-only after probe */

	struct spinlock lock; /* guards the rest, and the queue */
	bool broken;
	bool resetting; /* broken, and the device has not yet confirmed its reset */
	u16 queue_size; /* a power of two; read-only after probe */
	u16 free; /* head of the list of free descriptors; only valid if free_count is not 0 */
	u16 free_count;
	u16 in_flight;
	u16 failed_to; /* broken: no request at a head before this one */
	u16 available; /* our copy of available.index; wraps at 65536, as used_seen */
	u16 used_seen;
	u16 tail[QUEUE_MAX];			  /* last descriptor of the chain at this head */
	struct block_request *request[QUEUE_MAX]; /* by the chain's head; 0: none */
};

_Static_assert(sizeof(struct descriptor) * QUEUE_MAX == PAGE_SIZE, "descriptors are one page");
_Static_assert(sizeof(struct header) * QUEUE_MAX == PAGE_SIZE, "headers are one page");
_Static_assert(sizeof(struct rings) <= PAGE_SIZE, "rings are in one page");
_Static_assert(sizeof(struct block_segment) == sizeof(struct descriptor) &&
		       offsetof(struct block_segment, link) == offsetof(struct descriptor, flags),
	       "segments are descriptors");
_Static_assert(sizeof(struct virtio_blk) <= PAGE_SIZE, "a disk is in one page");

static struct virtio_blk *disk_of(struct block_device *device)
{
	return container_of(device, struct virtio_blk, device);
}

/* Submitting. */

static u32 request_type(const struct block_request *request)
{
	static const u32 type[] = {
		[BLOCK_READ] = TYPE_IN, [BLOCK_WRITE] = TYPE_OUT, [BLOCK_FLUSH] = TYPE_FLUSH
	};

	return type[request->operation];
}

/* Writes the chain into free descriptors, from this one on, which are linked already; returns the last. */
static u16 fill_chain(struct virtio_blk *disk, const struct block_request *request, u16 head)
	NEEDS(disk->lock)
{
	u16 data_flags = DESCRIPTOR_NEXT;
	struct descriptor *entry = &disk->descriptor[head];
	u16 index;

	if (request->operation == BLOCK_READ)
		data_flags |= DESCRIPTOR_WRITE;
	entry->address = disk->header_pa + head * HEADER_BYTES;
	entry->bytes = HEADER_BYTES;
	entry->flags = DESCRIPTOR_NEXT;
	for (u32 i = 0; i < request->segment_count; i++) {
		entry = &disk->descriptor[entry->next];
		entry->address = request->segment[i].pa.raw;
		entry->bytes = request->segment[i].bytes;
		entry->flags = data_flags;
	}
	index = entry->next;
	entry = &disk->descriptor[index];
	entry->address = disk->answer_pa + head;
	entry->bytes = 1;
	entry->flags = DESCRIPTOR_WRITE;
	return index;
}

/* The same as a table, in which the data are already; of the ring it takes one (2.7.5.3). */
static u16 fill_table(struct virtio_blk *disk, const struct block_request *request, u16 head)
	NEEDS(disk->lock)
{
	struct block_segment *segment = request->segment;
	struct descriptor *entry = &disk->descriptor[head];
	u32 count = request->segment_count;

	segment[-1] = (struct block_segment){ PA(disk->header_pa + head * HEADER_BYTES),
					      HEADER_BYTES, DESCRIPTOR_NEXT | 1u << 16 };
	segment[count] = (struct block_segment){ PA(disk->answer_pa + head), 1, DESCRIPTOR_WRITE };
	entry->address = request->table.raw;
	entry->bytes = (count + EXTRA_DESCRIPTORS) * sizeof(*entry);
	entry->flags = DESCRIPTOR_INDIRECT;
	return head;
}

static void make_available(struct virtio_blk *disk, u16 head) NEEDS(disk->lock)
{
	disk->rings->available.ring[disk->available & (disk->queue_size - 1)] = head;
	disk->available++;
	WEIR_ORDERED(D1, dmb oshst, dma_publish());
	write_once(disk->rings->available.index, disk->available);
	WEIR_ORDERED(D2, dmb oshst, dma_publish());
	register_write(disk->registers, QUEUE_NOTIFY, 0);
}

/* `driver_word`: how many descriptors it has. */
static enum weir_status submit_locked(struct virtio_blk *disk, struct block_request *request)
	NEEDS(disk->lock)
{
	bool as_table = disk->indirect && request->has_table;
	u32 needed = as_table ? 1 : request->segment_count + EXTRA_DESCRIPTORS;
	u16 head = disk->free, tail;

	if (disk->broken)
		return WEIR_IO;
	if (disk->free_count < needed)
		return WEIR_AGAIN;
	disk->header[head].type = request_type(request);
	disk->header[head].sector = request->sector;
	disk->rings->answer[head] = ANSWER_NONE;
	tail = as_table ? fill_table(disk, request, head) : fill_chain(disk, request, head);
	disk->tail[head] = tail;
	disk->free = disk->descriptor[tail].next;
	disk->free_count -= (u16)needed;
	disk->in_flight++;
	disk->request[head] = request;
	request->driver_word = needed;
	make_available(disk, head);
	return WEIR_OK;
}

static enum weir_status submit(struct block_device *device, struct block_request *request)
{
	struct virtio_blk *disk = disk_of(device);
	enum weir_status status;

	assert(request->segment_count <= device->max_segments);
	spin_lock(&disk->lock);
	status = submit_locked(disk, request);
	spin_unlock(&disk->lock);
	return status;
}

/* Completing. */

/* Gives the chain back and puts its request on the list of those that are done. */
static void finish(struct virtio_blk *disk, u16 head, enum weir_status status, struct list *done)
	NEEDS(disk->lock)
{
	struct block_request *request = disk->request[head];
	u16 tail = disk->tail[head];

	disk->request[head] = 0;
	disk->descriptor[tail].next = disk->free;
	disk->free = head;
	disk->free_count += (u16)request->driver_word;
	disk->in_flight--;
	request->status = status;
	list_append(done, &request->link);
}

/*
 * Takes what the device has answered, a few at a time; `more`: there are others. False: it answered
 * what it was not asked. The device is trusted with memory, but its numbers are not used as indices
 * before they were checked.
 */
static bool collect(struct virtio_blk *disk, struct list *done, bool *more) NEEDS(disk->lock)
{
	u16 index = read_once(disk->rings->used.index);

	WEIR_ORDERED(D3, dmb oshld, dma_observe());
	if ((u16)(index - disk->used_seen) > disk->in_flight)
		return false;
	for (u32 i = 0; i < DONE_AT_ONCE && disk->used_seen != index; i++) {
		u32 slot = disk->used_seen & (disk->queue_size - 1u);
		u32 head = read_once(disk->rings->used.ring[slot].id);

		if (head >= disk->queue_size || !disk->request[head])
			return false;
		finish(disk, (u16)head, disk->rings->answer[head] == ANSWER_OK ? WEIR_OK : WEIR_IO,
		       done);
		disk->used_seen++;
	}
	*more = disk->used_seen != index;
	return true;
}

/* 4.2.2.1 and 2.1.2: over when the status reads 0. */
static bool reset(void *registers, u32 polls)
{
	register_write(registers, STATUS, 0);
	while (register_read(registers, STATUS)) {
		if (!--polls)
			return false;
		cpu_relax();
	}
	return true;
}

static void give_up(struct virtio_blk *disk, const char *why) NEEDS(disk->lock)
{
	disk->broken = true;
	disk->resetting = true;
	log_line("%s: the disk %s; its requests fail from now on", disk->device.name, why);
}

/*
 * Ends every request, a few at a time, but not before the device has confirmed its reset: until then
 * it may write to their memory. One that never confirms keeps them for ever. True: there are more.
 */
static bool fail_some(struct virtio_blk *disk, struct list *done) NEEDS(disk->lock)
{
	if (disk->resetting && !reset(disk->registers, RESET_POLLS_IN_INTERRUPT))
		return false;
	disk->resetting = false;
	for (u32 i = 0; i < DONE_AT_ONCE && disk->in_flight; disk->failed_to++) {
		if (!disk->request[disk->failed_to])
			continue;
		finish(disk, disk->failed_to, WEIR_IO, done);
		i++;
	}
	return disk->in_flight;
}

/* True: there is more to be seen. */
static bool look(struct virtio_blk *disk, u32 cause, struct list *done) NEEDS(disk->lock)
{
	bool more = false;

	if (!disk->broken && !collect(disk, done, &more))
		give_up(disk, "answered what it was not asked");
	if (!disk->broken && (cause & INTERRUPT_CONFIGURATION) &&
	    (register_read(disk->registers, STATUS) & STATUS_NEEDS_RESET))
		give_up(disk, "needs a reset");
	return disk->broken ? fail_some(disk, done) : more;
}

static bool interrupt(struct block_device *device)
{
	struct virtio_blk *disk = disk_of(device);
	u32 cause = register_read(disk->registers, INTERRUPT_STATUS);
	struct list done = LIST_INIT(done);
	bool more;

	register_write(disk->registers, INTERRUPT_ACK, cause);
	/* [D4] Reading back makes the write arrive: Device-nGnRE allows it to be acknowledged
	 * early, and both accesses are to the same peripheral (DDI 0487 B2.7.2). */
	register_read(disk->registers, INTERRUPT_STATUS);
	dma_observe();

	spin_lock(&disk->lock);
	more = look(disk, cause, &done);
	spin_unlock(&disk->lock);
	while (!list_empty(&done)) {
		struct block_request *request = container_of(done.next, struct block_request, link);

		list_remove(&request->link);
		request->done(request, request->status);
	}
	return more;
}

static const struct block_device_ops ops = {
	.submit = submit,
	.interrupt = interrupt,
};

/* Finding one, at boot. */

static u64 read_features(void *registers)
{
	u64 low, high;

	register_write(registers, DEVICE_SELECT, 0);
	low = register_read(registers, DEVICE_FEATURES);
	register_write(registers, DEVICE_SELECT, 1);
	high = register_read(registers, DEVICE_FEATURES);
	return low | high << 32;
}

static void write_features(void *registers, u64 features)
{
	register_write(registers, DRIVER_SELECT, 0);
	register_write(registers, DRIVER_FEATURES, (u32)features);
	register_write(registers, DRIVER_SELECT, 1);
	register_write(registers, DRIVER_FEATURES, (u32)(features >> 32));
}

static void add_status(void *registers, u32 bits)
{
	register_write(registers, STATUS, register_read(registers, STATUS) | bits);
}

/* 64 bits of configuration: read again if they changed in between (2.4.1); bounded. */
static u64 read_capacity(void *registers)
{
	u64 capacity = 0;

	for (u32 tries = 0; tries < 16; tries++) {
		u32 generation = register_read(registers, GENERATION);

		capacity = register_read(registers, CAPACITY);
		capacity |= (u64)register_read(registers, CAPACITY + 4) << 32;
		if (register_read(registers, GENERATION) == generation)
			break;
	}
	return capacity;
}

/* Steps 3 to 6 of 3.1.1. Returns why not, or 0. */
static const char *negotiate(void *registers, u64 *features)
{
	u64 offered = read_features(registers);

	if (!(offered & FEATURE_VERSION_1))
		return "does not offer VIRTIO_F_VERSION_1";
	*features = offered & FEATURES_KNOWN;
	write_features(registers, *features);
	add_status(registers, STATUS_FEATURES_OK);
	if (register_read(registers, STATUS) & STATUS_FEATURES_OK)
		return 0;
	if (offered & FEATURE_ACCESS_PLATFORM)
		return "wants VIRTIO_F_ACCESS_PLATFORM, so use it without an IOMMU "
		       "(iommu_platform=off)";
	return "refuses the features that it offered";
}

static const char *read_limits(struct virtio_blk *disk, u64 features)
{
	struct block_device *device = &disk->device;
	u32 segment_bytes = UINT32_MAX, segments = BLOCK_SEGMENTS_MAX;

	if (features & FEATURE_SIZE_MAX)
		segment_bytes = register_read(disk->registers, SIZE_MAX_BYTES);
	if (features & FEATURE_SEG_MAX)
		segments = max(1u, register_read(disk->registers, SEG_MAX_COUNT));
	if (segment_bytes < BLOCK_SECTOR_BYTES)
		return "takes less than a sector at a time";
	device->max_segment_bytes = segment_bytes & ~(BLOCK_SECTOR_BYTES - 1);
	device->max_segments = min(segments, BLOCK_SEGMENTS_MAX);
	device->max_segments = min(device->max_segments, disk->queue_size - EXTRA_DESCRIPTORS);
	device->sectors = read_capacity(disk->registers);
	device->read_only = features & FEATURE_READ_ONLY;
	device->write_through = !(features & FEATURE_FLUSH); /* 5.2.6.2 */
	return 0;
}

static void write_address(void *registers, u32 offset, u64 pa)
{
	register_write(registers, offset, (u32)pa);
	register_write(registers, offset + 4, (u32)(pa >> 32));
}

/* 4.2.3.2. Returns the size, 0 if queue 0 cannot be used. */
static u16 queue_size(void *registers)
{
	u32 limit, size = QUEUE_MAX;

	register_write(registers, QUEUE_SELECT, 0);
	if (register_read(registers, QUEUE_READY))
		return 0;
	limit = register_read(registers, QUEUE_NUM_MAX);
	while (size > limit)
		size /= 2;
	return size > EXTRA_DESCRIPTORS ? (u16)size : 0;
}

static void make_queue(struct virtio_blk *disk, const struct virtio_blk_place *place)
{
	u64 rings_pa;

	disk->descriptor = place->alloc_page();
	disk->header = place->alloc_page();
	disk->rings = place->alloc_page();
	disk->header_pa = place->to_pa(disk->header).raw;
	rings_pa = place->to_pa(disk->rings).raw;
	disk->answer_pa = rings_pa + offsetof(struct rings, answer);
	for (u16 i = 0; i < disk->queue_size; i++)
		disk->descriptor[i].next = (u16)(i + 1);
	disk->free_count = disk->queue_size;

	register_write(disk->registers, QUEUE_NUM, disk->queue_size);
	write_address(disk->registers, QUEUE_DESCRIPTOR, place->to_pa(disk->descriptor).raw);
	write_address(disk->registers, QUEUE_AVAILABLE, rings_pa);
	write_address(disk->registers, QUEUE_USED, rings_pa + offsetof(struct rings, used));
	dma_publish(); /* The queue is empty in memory before the device may look. */
	register_write(disk->registers, QUEUE_READY, 1);
}

/* 3.1.1. Returns why the disk cannot be used, or 0. */
static const char *start(const struct virtio_blk_place *place)
{
	void *registers = place->registers;
	struct virtio_blk *disk;
	const char *why;
	u64 features;
	u16 size;

	if (!reset(registers, RESET_POLLS))
		return "does not reset";
	add_status(registers, STATUS_ACKNOWLEDGE);
	add_status(registers, STATUS_DRIVER);
	why = negotiate(registers, &features);
	if (why)
		return why;
	size = queue_size(registers);
	if (!size)
		return "has no queue of three descriptors or more";

	disk = place->alloc_page();
	disk->registers = registers;
	disk->queue_size = size;
	disk->indirect = features & FEATURE_INDIRECT;
	disk->device = (struct block_device){
		.ops = &ops, .name = place->name, .intid = place->intid, .edge = place->edge
	};
	why = read_limits(disk, features);
	if (why)
		return why;
	make_queue(disk, place);
	if (!block_device_add(&disk->device))
		return "is one more than Weir uses";
	add_status(registers, STATUS_DRIVER_OK);
	return 0;
}

bool virtio_blk_probe(const struct virtio_blk_place *place)
{
	void *registers = place->registers;
	const char *why;

	if (register_read(registers, MAGIC) != MAGIC_VALUE ||
	    register_read(registers, DEVICE_ID) != ID_BLOCK)
		return false;
	if (register_read(registers, VERSION) != 2) {
		log_line("%s: the disk speaks virtio-mmio version %u, expected 2 (QEMU: -global "
			 "virtio-mmio.force-legacy=false)",
			 place->name, register_read(registers, VERSION));
		return false;
	}
	why = start(place);
	if (!why)
		return true;
	log_line("%s: the disk %s; not used", place->name, why);
	add_status(registers, STATUS_FAILED);
	return false;
}
