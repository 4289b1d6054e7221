/* The disks of the machine. Source: disks.c */
#pragma once

#include "core/platform.h"
#include "drivers/block_device.h"

/* Boot core, when interrupts of devices can be served: drivers for what the tree names, disks numbered by
 * kind and address. Waits, bounded, for cards to answer. */
void disks_find(const struct platform *platform);

/*
 * Boot core, after disks_find() and before the first guest: one sector, until the next call for this device. 0: it
 * cannot be read, or not within ten seconds; one that hangs is not asked again. Waits for the device's interrupt.
 */
const void *disks_read(struct block_device *device, u64 sector);
