/*
 * The disks that drivers found, in the order of their addresses: the number that a manifest's
 * `device` means.
 *
 * Owns: the table. Written at boot by one core, read-only after it.
 */
#include "drivers/block_device.h"

#include "drivers/gic.h"

static struct block_device *devices[BLOCK_DEVICES_MAX];
static u32 device_count;

u32 block_device_count(void)
{
	return device_count;
}

struct block_device *block_device_get(u32 index)
{
	return index < device_count ? devices[index] : 0;
}

bool block_device_add(struct block_device *device)
{
	if (device_count == BLOCK_DEVICES_MAX)
		return false;
	device->index = device_count;
	devices[device_count++] = device;
	return true;
}

void block_device_again(const struct block_device *device)
{
	gic_pend(device->intid);
}

static bool has_room(struct block_device *device)
{
	return device->room && device->room(device);
}

void block_device_interrupt(void *context)
{
	struct block_device *device = context;
	bool more = device->ops->interrupt(device);

	if (has_room(device) || more)
		block_device_again(device);
}

void block_device_room(struct block_device *device)
{
	if (has_room(device))
		block_device_again(device);
}
