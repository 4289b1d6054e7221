/*
 * Virtio disks on the block service (block_virtio.h): the device that a VM sees, and what the service asks of it.
 *
 * Owns:  struct virtio_disk, from the heap.
 * Locks: disk->device.lock guards its requests.
 */
#include "core/memory.h"
#include "ipc/block_virtio_disk.h"
#include "ipc/ipc.h"

/* 5.2. */
#define DEVICE_ID	  2u
#define FEATURE_SIZE_MAX  BIT(1)
#define FEATURE_SEG_MAX	  BIT(2)
#define FEATURE_READ_ONLY BIT(5)
#define FEATURE_BLK_SIZE  BIT(6)
#define SEGMENTS	  (VIRTIO_CHAIN_MAX - 2)

/* Words of the configuration, 5.2.4. */
#define CAPACITY_LOW   0u
#define CAPACITY_HIGH  4u
#define SIZE_MAX_BYTES 8u
#define SEG_MAX_COUNT  12u
#define BLK_SIZE       20u

bool block_virtio_read_only(const struct block_disk *disk)
{
	u64 writers = disk->config->writers;

	return disk->read_only || (writers & (writers - 1));
}

static u64 features(const struct virtio_device *device)
{
	const struct block_disk *disk = virtio_disk_of(device)->disk;
	u64 all = FEATURE_SIZE_MAX | FEATURE_SEG_MAX | FEATURE_BLK_SIZE;

	if (block_virtio_read_only(disk))
		all |= FEATURE_READ_ONLY;
	if (disk->device && !disk->device->write_through)
		all |= FEATURE_FLUSH;
	return all;
}

static u32 configuration(const struct virtio_device *device, u32 offset)
{
	const struct block_disk *disk = virtio_disk_of(device)->disk;

	switch (offset) {
	case CAPACITY_LOW:
		return (u32)disk->sectors;
	case CAPACITY_HIGH:
		return (u32)(disk->sectors >> 32);
	case SIZE_MAX_BYTES:
		return (u32)disk->max_sectors * BLOCK_SECTOR_BYTES;
	case SEG_MAX_COUNT:
		return SEGMENTS;
	case BLK_SIZE:
		return BLOCK_SECTOR_BYTES;
	default:
		return 0;
	}
}

static bool idle(struct virtio_device *device)
{
	return virtio_disk_of(device)->free == VIRTIO_DISK_FREE;
}

static void stopped(struct virtio_device *device)
{
	virtio_disk_of(device)->starved = false;
}

static const struct virtio_model model = {
	.id = DEVICE_ID,
	.queues = 1,
	.queue_max = 256,
	.features = features,
	.configuration = configuration,
	.notified = block_virtio_notified,
	.idle = idle,
	.stopped = stopped,
};

/* ---- For the service ------------------------------------------------------------------------- */

static bool reaches(const struct virtio_disk *disk, u64 from, u64 to) NEEDS(disk->device.lock)
{
	for (u32 used = ~disk->free & VIRTIO_DISK_FREE; used; used &= used - 1) {
		const struct block_reach *reach = &disk->request[__builtin_ctz(used)].reach;

		if (reach->from < to && from < reach->to)
			return true;
	}
	return false;
}

bool block_virtio_busy(const struct vm *vm, u64 from, u64 to)
{
	bool found = false;

	for (u32 i = 0; i < vm->ipc->block.disk_count && !found; i++) {
		struct virtio_disk *disk = vm->ipc->block.virtio[i];

		spin_lock(&disk->device.lock);
		found = reaches(disk, from, to);
		spin_unlock(&disk->device.lock);
	}
	return found;
}

bool block_virtio_idle(const struct vm *vm)
{
	bool all = true;

	for (u32 i = 0; i < vm->ipc->block.disk_count; i++) {
		struct virtio_disk *disk = vm->ipc->block.virtio[i];

		spin_lock(&disk->device.lock);
		all = all && disk->free == VIRTIO_DISK_FREE;
		spin_unlock(&disk->device.lock);
	}
	return all;
}

static struct virtio_disk *create(struct vm *vm, u32 index)
{
	struct virtio_disk *disk = heap_alloc(sizeof(*disk));

	disk->disk = &vm->ipc->block.disk[index];
	disk->free = VIRTIO_DISK_FREE;
	list_init(&disk->link);
	for (u32 i = 0; i < VIRTIO_DISK_REQUESTS; i++) {
		disk->request[i].disk = disk;
		disk->request[i].bit = 1u << i;
		disk->request[i].request.done = block_virtio_done;
		disk->request[i].request.table = mmu_heap_pa(disk->request[i].chain.piece);
		list_init(&disk->request[i].request.link);
	}
	virtio_add(vm, index, &disk->device, &model);
	return disk;
}

u64 block_virtio_heap_bytes(void)
{
	return heap_cost(sizeof(struct virtio_disk));
}

void block_virtio_create(struct vm *vm)
{
	block_virtio_look_init();
	for (u32 i = 0; i < vm->ipc->block.disk_count; i++)
		vm->ipc->block.virtio[i] = create(vm, i);
}
