/*
 * The disks of the machine (machine.h): a few requests at a time, done in any order. Each request is
 * checked as the device would execute it: whose memory, which part of the disk.
 */
#include "machine.h"

#include <string.h>
#include "drivers/block_device.h"
#include "drivers/gic.h"

#define DEPTH 3u

static struct disk {
	struct block_device device; /* first */
	struct block_request *request[DEPTH];
	u32 depth, count;
	bool broken;
} disks[MACHINE_DEVICES];

static bool holds(const struct vm *vm, u32 device, const struct block_request *request, u64 sectors)
{
	const struct block_vm *block = &vm->ipc->block;

	for (u32 i = 0; i < vm->config->disk_count; i++) {
		const struct manifest_disk *disk = &machine.manifest.disk[vm->config->disk[i]];
		u64 whole = disk->device < MACHINE_DEVICES ? disks[disk->device].device.sectors : 0;
		u64 end = disk->sectors ? disk->first_sector + disk->sectors : whole;

		assert_int_equal(block->disk_count, vm->config->disk_count);
		if (disk->device == device && request->sector >= disk->first_sector &&
		    request->sector + sectors <= end &&
		    (request->operation == BLOCK_READ || i < vm->config->writable_disk_count))
			return true;
	}
	return false;
}

static void check_request(const struct disk *disk, const struct block_request *request)
{
	const struct block_segment *segment = &request->segment[0];
	u32 owner;

	if (request->operation == BLOCK_FLUSH) {
		assert_int_equal(request->segment_count, 0);
		assert_false(disk->device.write_through);
		return;
	}
	assert_true(request->operation == BLOCK_READ || !disk->device.read_only);
	assert_int_equal(request->segment_count, 1);
	assert_true(segment->bytes && segment->bytes <= disk->device.max_segment_bytes);
	assert_int_equal(segment->bytes % BLOCK_SECTOR_BYTES, 0);
	owner = machine_owner(segment->pa.raw);
	assert_true(owner < MACHINE_VMS);
	assert_int_equal(machine_owner(segment->pa.raw + segment->bytes - 1), owner);
	assert_true(holds(machine.vm[owner], (u32)(disk - disks), request,
			  segment->bytes / BLOCK_SECTOR_BYTES));
}

static enum weir_status submit(struct block_device *device, struct block_request *request)
{
	struct disk *disk = (struct disk *)device;

	if (disk->broken)
		return WEIR_IO;
	if (disk->count == disk->depth)
		return WEIR_AGAIN;
	check_request(disk, request);
	for (u32 i = 0; i < disk->count; i++)
		assert_true(disk->request[i] != request);
	disk->request[disk->count++] = request;
	return WEIR_OK;
}

/* What a device's interrupt is for beside its answers; as often as it is raised. */
static void room(struct block_device *device)
{
	while (device->room(device))
		;
}

/* Whoever raises it holds no lock: it comes at once. */
void gic_pend(u32 intid)
{
	room(&disks[intid % MACHINE_DEVICES].device);
}

static const struct block_device_ops ops = { .submit = submit };

const struct block_request *disk_request(u32 device, u32 index)
{
	return index < disks[device].count ? disks[device].request[index] : 0;
}

void disk_complete(u32 device, u32 index, bool error)
{
	struct disk *disk = &disks[device];
	struct block_request *request = disk->request[index];

	disk->request[index] = disk->request[--disk->count];
	request->done(request, error ? WEIR_IO : WEIR_OK);
	room(&disk->device);
}

void disk_break(u32 device)
{
	disks[device].broken = true;
}

/* block_device.c has no way to take a disk out: they are the same ones for every input. */
void disks_make(void)
{
	static const struct block_device kinds[MACHINE_DEVICES] = {
		{ .ops = &ops, .name = "disk", .sectors = 1000, .max_segment_bytes = 32 * KIB },
		{ .ops = &ops,
		  .name = "rom",
		  .sectors = 64,
		  .max_segment_bytes = 8 * MIB,
		  .read_only = true,
		  .write_through = true },
	};

	for (u32 i = 0; i < MACHINE_DEVICES; i++) {
		disks[i] = (struct disk){ .device = kinds[i], .depth = DEPTH - 2 * i };
		disks[i].device.max_segments = BLOCK_SEGMENTS_MAX;
		disks[i].device.index = disks[i].device.intid = i;
	}
	if (!block_device_count())
		for (u32 i = 0; i < MACHINE_DEVICES; i++)
			assert_true(block_device_add(&disks[i].device));
}
