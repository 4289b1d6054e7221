/*
 * The disks of the manifest against those of the machine, which are known later than the rest: a VM
 * whose disk is not there is refused as one whose core is not there. What a partition is, its device says (partition.h).
 */
#include "core/base/log.h"
#include "core/manifest.h"
#include "core/partition.h"
#include "drivers/block_device.h"

static void complain_of_place(const struct manifest_disk *disk, u64 device_sectors)
{
	bool starts_inside = disk->first_sector < device_sectors;

	log_line("manifest: /disks/%s: %s: sectors %lu+%lu are not all among the %lu of device %u; "
		 "lower it",
		 disk->name, starts_inside ? "sectors" : "first-sector", disk->first_sector,
		 disk->sectors, device_sectors, disk->device);
}

/* Says once for each disk what is wrong with it. Its device; 0: it is refused. */
static struct block_device *check_disk(struct manifest_disk *disk)
{
	struct block_device *device = block_device_get(disk->device);

	if (disk->refused)
		return 0;
	if (device && disk->first_sector < device->sectors &&
	    disk->sectors <= device->sectors - disk->first_sector) {
		if (disk->partition && !disk->sectors && !disk->missing)
			disk->missing = !partition_find(disk, device);
		return device;
	}
	disk->refused = true;
	if (device)
		complain_of_place(disk, device->sectors);
	else
		log_line("manifest: /disks/%s: device: %u is not there, the machine has %u, "
			 "numbered "
			 "from 0; add a disk, or name another",
			 disk->name, disk->device, block_device_count());
	return 0;
}

/*
 * All of a VM's RAM may be a buffer for any of its disks, so it is to lie where each of their devices
 * reaches.
 */
static void check_vm(const struct manifest *manifest, struct manifest_vm *vm)
{
	for (u32 i = 0; i < vm->disk_count && !vm->refused; i++) {
		struct manifest_disk *disk = &manifest->disk[vm->disk[i]];
		const struct block_device *device = check_disk(disk);

		if (device) {
			vm->ram_limit = min(vm->ram_limit - 1, device->dma_limit - 1) + 1;
			continue;
		}
		log_line("manifest: /vms/%s: %s: the disk %s was refused; correct that", vm->name,
			 i < vm->writable_disk_count ? "disks" : "disks-read-only", disk->name);
		vm->refused = true;
	}
}

static void note_use(const struct manifest *manifest, u32 index)
{
	const struct manifest_vm *vm = &manifest->vm[index];

	for (u32 i = 0; i < vm->disk_count; i++) {
		struct manifest_disk *disk = &manifest->disk[vm->disk[i]];

		disk->used = true;
		if (i < vm->writable_disk_count)
			disk->written_by |= BIT(index);
	}
}

static u64 end_of(const struct manifest_disk *disk)
{
	return disk->sectors ? disk->first_sector + disk->sectors : UINT64_MAX;
}

/* Sectors of both, on the same device, and not only read. */
static bool disputed(const struct manifest_disk *a, const struct manifest_disk *b)
{
	return a->used && b->used && !a->missing && !b->missing && a->device == b->device &&
	       (a->written_by || b->written_by) && a->first_sector < end_of(b) &&
	       b->first_sector < end_of(a);
}

/*
 * What the table says was not known to who wrote the manifest: no two disks may then have the same sectors, and one of
 * them written. Of two partitions the first has them. Sectors that are written down may be meant so; but then they are no
 * VM's alone, whatever name it writes them by.
 */
static void check_overlap(const struct manifest *manifest, u32 index)
{
	struct manifest_disk *disk = &manifest->disk[index];
	const struct manifest_disk *rival = 0;

	disk->writers = disk->written_by;
	for (u32 i = 0; i < manifest->disk_count && !disk->missing; i++) {
		const struct manifest_disk *other = &manifest->disk[i];

		if (i == index || !disputed(disk, other))
			continue;
		if (disk->partition && (i < index || !other->partition)) {
			disk->missing = !partition_missing(
				disk, block_device_get(disk->device),
				"it overlaps /disks/%s, and one of the two is written",
				other->name);
		} else if (!disk->partition && !other->partition) {
			disk->writers |= other->written_by;
			if (other->written_by & ~disk->written_by)
				rival = other;
		}
	}
	if (rival && disk->written_by)
		log_line(
			"manifest: /disks/%s: it overlaps /disks/%s, which another VM writes; as a "
			"virtio device it is read-only",
			disk->name, rival->name);
}

void manifest_check_disks(const struct manifest *manifest)
{
	for (u32 i = 0; i < manifest->vm_count; i++)
		check_vm(manifest, &manifest->vm[i]);
	for (u32 i = 0; i < manifest->vm_count; i++)
		if (!manifest->vm[i].refused)
			note_use(manifest, i);
	for (u32 i = 0; i < manifest->disk_count; i++)
		check_overlap(manifest, i);
}
