/*
 * The console as a virtio device (VIRTIO 1.2, 5.3), one port: what Linux calls hvc0. What a guest writes there becomes
 * lines of its UART's (vuart.h), so a line that is written through both is one line of both.
 *
 * Owns:  struct virtio_console.
 * Locks: device->lock; outside of it the VM's pages are held while the guest's are touched, inside it is uart.lock.
 *
 * A chain is printed in pieces, one an exit: its pages may be shared in between, so each is asked for again.
 */
#include "core/vdev/virtio_console.h"

#include "core/console.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "core/vdev/virtio.h"
#include "core/vm.h"

#define DEVICE_ID 3u
#define RECEIVE	  0u /* queues */
#define TRANSMIT  1u
#define QUEUE_MAX 32u /* Linux fills the queue for what is typed with pages */
#define AT_ONCE	  64u /* bytes of an exit */

struct virtio_console {
	struct virtio_device device; /* first */
	bool printing;		     /* `chain` is one that is not all printed, from here on: */
	u32 piece, offset;
	struct virtio_chain chain;
};

static struct virtio_console *console_of(const struct virtio_device *device)
{
	return container_of(device, struct virtio_console, device);
}

static struct virtio_device *device_of(const struct vm *vm)
{
	return vm->config->disk_count ? vm->virtio[vm->config->disk_count] : 0;
}

/* A chain that is to be printed is there. */
static bool find_chain(struct virtio_device *device) NEEDS(device->lock)
{
	struct virtio_console *console = console_of(device);

	if (!virtio_live(device) || !device->queue[TRANSMIT].ready)
		return false;
	if (!console->printing) {
		console->printing = virtio_take(device, &device->queue[TRANSMIT], &console->chain);
		console->piece = console->offset = 0;
	}
	return console->printing;
}

/* Some of its bytes. False: they are not the guest's to name. */
static bool copy_bytes(const struct virtio_console *console, u8 *to, u32 *count)
{
	const struct block_segment *piece = &console->chain.piece[console->piece];
	pa_t from = PA(piece->pa.raw + console->offset);
	u64 bytes = min(piece->bytes - console->offset, AT_ONCE);

	if (console->piece >= console->chain.readable ||
	    ipc_pages_shared(console->device.vm, from, bytes))
		return false;
	virtio_copy_in(to, from, bytes);
	*count = (u32)bytes;
	return true;
}

/* So much of the chain is printed. */
static void advance(struct virtio_device *device, u32 bytes) NEEDS(device->lock)
{
	struct virtio_console *console = console_of(device);

	console->offset += bytes;
	if (console->offset < console->chain.piece[console->piece].bytes)
		return;
	console->offset = 0;
	if (++console->piece < console->chain.count)
		return;
	console->printing = false;
	virtio_put(device, &device->queue[TRANSMIT], console->chain.head, 0);
}

/* False: nothing is left to be printed. */
static bool print_some(struct vcpu *self, struct virtio_device *device, u32 *printed)
	NEEDS(device->lock)
{
	u8 bytes[AT_ONCE];
	u32 count;

	if (!find_chain(device))
		return false;
	if (!copy_bytes(console_of(device), bytes, &count)) {
		virtio_break(device);
		return false;
	}
	*printed = vuart_print(self, bytes, count);
	advance(device, *printed);
	return true;
}

/* While the console has no room the guest tries again, and drives it on. */
static bool notified(struct vcpu *self, struct virtio_device *device, u32 queue)
{
	u32 printed = 0;
	bool more;

	if (queue != TRANSMIT)
		return false;
	ipc_pages_hold(self->vm);
	spin_lock(&device->lock);
	more = print_some(self, device, &printed);
	spin_unlock(&device->lock);
	ipc_pages_release(self->vm);
	if (more && !printed)
		console_service();
	return more;
}

static bool receive(struct virtio_device *device, u8 byte) NEEDS(device->lock)
{
	struct virtio_queue *queue = &device->queue[RECEIVE];
	struct virtio_chain chain;

	if (!virtio_live(device) || !queue->ready || !virtio_take(device, queue, &chain))
		return false;
	if (chain.readable || ipc_pages_shared(device->vm, chain.piece[0].pa, 1)) {
		virtio_break(device);
		return false;
	}
	virtio_copy_out(chain.piece[0].pa, &byte, 1);
	virtio_put(device, queue, chain.head, 1);
	return true;
}

bool virtio_console_receive(struct vm *vm, u8 byte)
{
	struct virtio_device *device = device_of(vm);
	bool received;

	if (!device)
		return false;
	ipc_pages_hold(vm);
	spin_lock(&device->lock);
	received = receive(device, byte);
	spin_unlock(&device->lock);
	ipc_pages_release(vm);
	return received;
}

/* ---- The device ------------------------------------------------------------------------------ */

static u64 features(const struct virtio_device *device)
{
	(void)device;
	return 0;
}

static u32 configuration(const struct virtio_device *device, u32 offset)
{
	(void)device;
	(void)offset;
	return 0;
}

static bool idle(struct virtio_device *device)
{
	(void)device;
	return true;
}

static void stopped(struct virtio_device *device)
{
	if (!device->queue[TRANSMIT].ready)
		console_of(device)->printing = false;
}

static const struct virtio_model model = {
	.id = DEVICE_ID,
	.queues = 2,
	.queue_max = QUEUE_MAX,
	.features = features,
	.configuration = configuration,
	.notified = notified,
	.idle = idle,
	.stopped = stopped,
};

void virtio_console_create(struct vm *vm)
{
	struct virtio_console *console = heap_alloc(sizeof(*console));

	virtio_add(vm, vm->config->disk_count, &console->device, &model);
}

u64 virtio_console_heap_bytes(void)
{
	return heap_cost(sizeof(struct virtio_console));
}
