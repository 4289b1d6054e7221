/*
 * Virtio disks: queues that had more in them than requests can be under way. What is left there is found when a request
 * is done, by interrupts of the device, for the driver may never notify again.
 *
 * Owns:  `looks`, and each disk's `link` and `later`.
 * Locks: a device's guards its lists; inside it none is taken.
 *
 * A driver refills its queue without an exit, if it likes with requests that are answered at once, and an interrupt is
 * nobody's time. So one follows the other at once only if it has sent something to the device, which are as many as the
 * device can do. Else some time passes, in which VMs run: of all disks on a device one is looked at then, in turn. All
 * disks interrupt core 0, so the timeout is that core's. What a look takes is put down to the VM, and
 * taken from the budget of its vCPU 0; while that has none left there are no looks.
 */
#include "core/sched.h"
#include "core/timeout.h"
#include "core/vm.h"
#include "ipc/block_virtio_disk.h"

#define LATER_US 1000u

/* Disks whose queue is to be looked at, by device. */
static struct looks {
	struct spinlock lock;
	struct list disks;
	bool ready; /* what the interrupt that found them had to do is done: look in this one */
	struct list later;
	struct timeout timeout;
} looks[BLOCK_DEVICES_MAX];

void block_virtio_look_later(struct virtio_disk *disk)
{
	struct looks *of = &looks[disk->disk->device_index];

	spin_lock(&of->lock);
	if (disk->later || list_empty(&disk->link)) {
		list_remove(&disk->link);
		list_append(&of->disks, &disk->link);
		disk->later = false;
	}
	spin_unlock(&of->lock);
	block_device_again(disk->disk->device);
}

/* When VMs have had time. */
static void rest(struct looks *of, struct virtio_disk *disk)
{
	spin_lock(&of->lock);
	if (list_empty(&disk->link)) {
		list_append(&of->later, &disk->link);
		disk->later = true;
	}
	spin_unlock(&of->lock);
	if (!timeout_pending(&of->timeout))
		timeout_set(&of->timeout, timer_now() + timer_from_us(LATER_US));
}

static void rested(struct timeout *timeout)
{
	struct looks *of = container_of(timeout, struct looks, timeout);
	struct virtio_disk *disk = 0;
	bool more;

	spin_lock(&of->lock);
	if (!list_empty(&of->later))
		disk = container_of(of->later.next, struct virtio_disk, link);
	more = disk && of->later.next != of->later.prev;
	spin_unlock(&of->lock);
	if (more)
		timeout_set(timeout, timer_now() + timer_from_us(LATER_US));
	if (disk)
		block_virtio_look_later(disk);
}

/* Apart, or its frame would be that of each interrupt that finds nothing here. */
static APART void look_into(struct looks *of, struct virtio_disk *disk)
{
	struct vcpu *payer = disk->device.vm->vcpu[0];
	u64 begun = timer_now(), ticks;
	bool sent = false, more = true;

	if (!sched_spend(payer, 0)) {
		more = block_virtio_serve(disk, 0, &sent);
		ticks = timer_now() - begun;
		block_charge(payer, ticks);
		sched_lent(ticks);
	}
	if (more && sent)
		block_virtio_look_later(disk);
	else if (more)
		rest(of, disk);
}

bool block_virtio_waits(const struct block_device *device)
{
	return !list_empty(&looks[device->index].disks);
}

bool block_virtio_look(struct block_device *device)
{
	struct looks *of = &looks[device->index];
	struct virtio_disk *disk = 0;
	bool more;

	if (!block_virtio_waits(device))
		return false;
	spin_lock(&of->lock);
	of->ready = !of->ready;
	if (!of->ready && !list_empty(&of->disks)) {
		disk = container_of(of->disks.next, struct virtio_disk, link);
		list_remove(&disk->link);
	}
	more = !list_empty(&of->disks);
	spin_unlock(&of->lock);
	if (disk)
		look_into(of, disk);
	return more;
}

void block_virtio_look_init(void)
{
	for (u32 i = 0; i < BLOCK_DEVICES_MAX; i++) {
		if (looks[i].disks.next)
			continue;
		list_init(&looks[i].disks);
		list_init(&looks[i].later);
		timeout_init(&looks[i].timeout, rested);
	}
}
