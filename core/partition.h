/*
 * Partitions: where one lies on its device, by the table that the device has. Boot core only.
 *
 * The table is an MBR with up to four primary partitions; a GPT is told apart by the kind that stands for it in an MBR.
 * What a device holds is believed after it was checked. Source: partition.c. Tests: tests/host/test_partition.c
 */
#pragma once

#include "core/base/log.h"
#include "core/manifest.h"
#include "drivers/block_device.h"

/*
 * Sets first_sector and sectors of a disk with a `partition`. False: it is not to be had, and one line says why.
 * One that by its kind has a FAT file system, and has not, is had, and a line says so.
 */
bool partition_find(struct manifest_disk *disk, struct block_device *device);

/* Says what was found where the partition should be. False, as those say who end with that. */
PRINTF(3, 4)
bool partition_missing(const struct manifest_disk *disk, const struct block_device *device,
		       const char *format, ...);
