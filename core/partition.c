/*
 * Partition tables (partition.h). Owns: nothing. Locks: none, boot core only.
 */
#include "core/partition.h"

#include "core/base/string.h"
#include "core/disks.h"

#define PRIMARY 4u

enum { KIND_NONE = 0, KIND_EXTENDED = 0x05, KIND_EXTENDED_LBA = 0x0f, KIND_GPT = 0xee };

/* Of an MBR; little endian, as this machine. */
struct entry {
	u8 status; /* bit 7: to be booted */
	u8 first_chs[3];
	u8 kind;
	u8 last_chs[3];
	u32 first, sectors;
};

/* The MBR, and the first sector of a FAT file system. */
struct marked_sector {
	u8 code[446];
	u8 entries[PRIMARY * sizeof(struct entry)]; /* of an MBR, unaligned */
	u8 mark[2];
};

_Static_assert(sizeof(struct marked_sector) == BLOCK_SECTOR_BYTES, "it is a sector");

static bool marked(const struct marked_sector *sector)
{
	return sector->mark[0] == 0x55 && sector->mark[1] == 0xaa;
}

bool partition_missing(const struct manifest_disk *disk, const struct block_device *device,
		       const char *format, ...)
{
	char what[120];
	va_list arguments;

	va_start(arguments, format);
	format_text_v(what, sizeof(what), format, arguments);
	va_end(arguments);
	log_line("manifest: /disks/%s: partition: %u of device %u (%s): %s; its requests fail",
		 disk->name, disk->partition, disk->device, device->name, what);
	return false;
}

/* Is the table one, as far as that can be seen? Its entries. */
static bool read_table(const struct manifest_disk *disk, struct block_device *device,
		       struct entry *entry)
{
	const struct marked_sector *table = disks_read(device, 0);

	if (!table)
		return partition_missing(disk, device, "sector 0 cannot be read");
	if (!marked(table))
		return partition_missing(
			disk, device,
			"there is no partition table, for sector 0 does not end in 55 aa");
	memcpy(entry, table->entries, sizeof(table->entries));
	for (u32 i = 0; i < PRIMARY; i++) {
		if (entry[i].status & 0x7f)
			return partition_missing(
				disk, device,
				"the partition table is damaged, entry %u begins with %02x", i + 1,
				entry[i].status);
		if (entry[i].kind == KIND_GPT)
			return partition_missing(disk, device,
						 "the table is a GPT, which is not read");
	}
	return true;
}

/* Another entry of the table that has sectors of this one; 0: none. */
static u32 overlapped(const struct entry *entry, u32 number)
{
	const struct entry *mine = &entry[number - 1];

	for (u32 i = 0; i < PRIMARY; i++)
		if (&entry[i] != mine && entry[i].kind != KIND_NONE &&
		    entry[i].first < (u64)mine->first + mine->sectors &&
		    mine->first < (u64)entry[i].first + entry[i].sectors)
			return i + 1;
	return 0;
}

static bool check_place(const struct manifest_disk *disk, const struct block_device *device,
			const struct entry *entry)
{
	const struct entry *mine = &entry[disk->partition - 1];
	u32 other = overlapped(entry, disk->partition);

	if (mine->kind == KIND_NONE || !mine->sectors)
		return partition_missing(disk, device, "it is empty");
	if (mine->kind == KIND_EXTENDED || mine->kind == KIND_EXTENDED_LBA)
		return partition_missing(disk, device, "it is an extended one; name a primary one");
	if (other)
		return partition_missing(disk, device,
					 "the partition table is damaged, %u overlaps %u",
					 disk->partition, other);
	if (!mine->first || (u64)mine->first + mine->sectors > device->sectors)
		return partition_missing(disk, device,
					 "sectors %u+%u are not all among the %lu behind the table",
					 mine->first, mine->sectors, device->sectors - 1);
	return true;
}

static bool is_fat(u32 kind)
{
	static const u8 kinds[] = { 0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e };

	return memchr(kinds, (int)kind, sizeof(kinds));
}

/* A FAT without its first sector is no file system. It is told, and whose disk it is may make a new one. */
static void check_fat(const struct manifest_disk *disk, struct block_device *device)
{
	const struct marked_sector *sector = disks_read(device, disk->first_sector);

	if (sector && marked(sector))
		return;
	log_line("manifest: /disks/%s: partition: %u of device %u (%s): its FAT file system is "
		 "damaged, for its first sector %s",
		 disk->name, disk->partition, disk->device, device->name,
		 sector ? "does not end in 55 aa" : "cannot be read");
}

bool partition_find(struct manifest_disk *disk, struct block_device *device)
{
	struct entry entry[PRIMARY];
	const struct entry *mine = &entry[disk->partition - 1];

	if (!read_table(disk, device, entry))
		return false;
	if (!check_place(disk, device, entry))
		return false;
	disk->first_sector = mine->first;
	disk->sectors = mine->sectors;
	if (is_fat(mine->kind))
		check_fat(disk, device);
	return true;
}
