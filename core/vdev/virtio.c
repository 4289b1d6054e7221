/*
 * Virtio devices: registers, queues, interrupts (virtio.h); chains are in virtio_queue.c. Section numbers are those of
 * VIRTIO 1.2.
 *
 * Owns:  struct virtio_device but for what its model keeps behind it.
 * Locks: device->lock. A queue is made ready, which pins its pages, with the VM's pages held outside of it.
 */
#include "core/vdev/virtio.h"

#include "arch/arm64/exit.h"
#include "arch/arm64/mmu.h"
#include "core/base/string.h"
#include "core/hypercall.h"
#include "core/vm.h"
#include "drivers/virtio_registers.h"

#define QUEUE_PARTS	0x080u /* three addresses, low and high, 16 bytes apart */
#define QUEUE_PARTS_END 0x0a8u
#define SHARED_END	0x0c0u

#define VENDOR_VALUE 0x52494557u /* "WEIR" */

#define STATUS_ALL 0xffu /* bits of the device status, 2.1 */

_Static_assert(VM_VIRTIO_DEVICES *VIRTIO_QUEUES *VIRTIO_PARTS *VIRTIO_PART_PAGES < 512,
	       "what a VM has in one of EL2's tables, VIRTIO_TABLE_BYTES");

/* ---- Interrupts ------------------------------------------------------------------------------ */

void virtio_interrupt(struct virtio_device *device, u32 cause)
{
	u32 before = device->interrupt;

	/* What comes with an interrupt is there when it comes: another core may read it at once, without the lock. */
	write_once(device->interrupt, before | cause);
	if (!before)
		vgic_set_line(device->vm, VM_VIRTIO_INTID + device->slot, true);
}

/* Causes that are left raise an edge of their own: the driver may have taken the last one for others. */
static inline __attribute__((always_inline)) void acknowledge(struct virtio_device *device,
							      u32 causes) NEEDS(device->lock)
{
	device->interrupt &= ~causes;
	vgic_set_line(device->vm, VM_VIRTIO_INTID + device->slot, false);
	if (device->interrupt)
		vgic_set_line(device->vm, VM_VIRTIO_INTID + device->slot, true);
}

bool virtio_live(const struct virtio_device *device)
{
	u32 needed = STATUS_FEATURES_OK | STATUS_DRIVER_OK;

	return (device->status & (needed | STATUS_NEEDS_RESET)) == needed && !device->resetting;
}

void virtio_break(struct virtio_device *device)
{
	device->status |= STATUS_NEEDS_RESET;
	if (device->status & STATUS_DRIVER_OK)
		virtio_interrupt(device, INTERRUPT_CONFIGURATION);
}

void virtio_again(void)
{
	arch_guest_set_pc(arch_guest_pc() - 4); /* past which it will be set */
}

/* ---- Queues ---------------------------------------------------------------------------------- */

/* 2.7. */
static u64 part_bytes(enum virtio_part part, u64 entries)
{
	static const u8 fixed[] = { 0, 6, 6 }, each[] = { 16, 2, 8 };

	return fixed[part] + each[part] * entries;
}

static u64 part_alignment(enum virtio_part part)
{
	static const u8 alignment[] = { 16, 2, 4 };

	return alignment[part];
}

static u8 *space_of(const struct virtio_device *device, const struct virtio_queue *queue)
{
	return device->space[queue - device->queue];
}

/* The VM's pages are held. False: the parts are not where a queue may be. */
static bool make_ready(const struct virtio_device *device, struct virtio_queue *queue)
	NEEDS(device->lock)
{
	u8 *space = space_of(device, queue);
	u32 size = queue->size;

	if (!size || size > device->model->queue_max || size & (size - 1))
		return false;
	for (u32 i = 0; i < VIRTIO_PARTS; i++) {
		u64 bytes = part_bytes(i, size), address = queue->address[i];

		if (address % part_alignment(i) ||
		    !vm_ram(device->vm, IPA(address), bytes, &queue->part[i]) ||
		    ipc_pages_shared(device->vm, queue->part[i], bytes))
			return false;
	}
	for (u32 i = 0; i < VIRTIO_PARTS; i++, space += VIRTIO_PART_PAGES * PAGE_SIZE)
		queue->at[i] = mmu_pin(space, queue->part[i], part_bytes(i, size));
	queue->seen = queue->used = queue->available = 0;
	queue->ready = device->vm->virtio_used = true;
	return true;
}

static void end_queue(const struct virtio_device *device, struct virtio_queue *queue)
	NEEDS(device->lock)
{
	if (queue->ready)
		mmu_unpin(space_of(device, queue), VIRTIO_PARTS * VIRTIO_PART_PAGES);
	queue->ready = false;
}

void *virtio_shown(pa_t pa)
{
	return mmu_window(WINDOW_TARGET, pa);
}

static void copy(enum window window, pa_t there, u8 *own, u64 bytes)
{
	while (bytes) {
		u64 here = min(bytes, PAGE_SIZE - (there.raw & PAGE_MASK));
		void *shown = mmu_window(window, there);

		if (window == WINDOW_SOURCE)
			memcpy(own, shown, here);
		else
			memcpy(shown, own, here);
		there.raw += here;
		own += here;
		bytes -= here;
	}
}

void virtio_copy_in(void *to, pa_t from, u64 bytes)
{
	copy(WINDOW_SOURCE, from, to, bytes);
}

void virtio_copy_out(pa_t to, const void *from, u64 bytes)
{
	copy(WINDOW_TARGET, to, (u8 *)from, bytes);
}

static bool queue_reaches(const struct virtio_queue *queue, u64 from, u64 to)
{
	for (u32 i = 0; i < VIRTIO_PARTS && queue->ready; i++) {
		u64 start = queue->part[i].raw;

		if (start < to && from < start + part_bytes(i, queue->size))
			return true;
	}
	return false;
}

bool virtio_pinned(struct vm *vm, pa_t pa, u64 bytes)
{
	bool found = false;

	for (u32 slot = 0; slot < VM_VIRTIO_DEVICES && !found; slot++) {
		struct virtio_device *device = vm->virtio[slot];

		if (!device)
			continue;
		spin_lock(&device->lock);
		for (u32 i = 0; i < device->model->queues && !found; i++)
			found = queue_reaches(&device->queue[i], pa.raw, pa.raw + bytes);
		spin_unlock(&device->lock);
	}
	return found;
}

/* ---- Registers ------------------------------------------------------------------------------- */

static u64 offered(const struct virtio_device *device)
{
	return VIRTIO_VERSION_1 | VIRTIO_EVENT_INDEX | device->model->features(device);
}

/* 0: the guest has selected one that there is not. */
static struct virtio_queue *selected(struct virtio_device *device) NEEDS(device->lock)
{
	u64 index = device->queue_select;

	if (index >= device->model->queues)
		return 0;
	return &device->queue[index_nospec(index, VIRTIO_QUEUES)];
}

/* Of a slot with or without a device: what says that it has none is its id. */
static u32 read_identity(const struct virtio_device *device, u64 offset)
{
	switch (offset) {
	case MAGIC:
		return MAGIC_VALUE;
	case VERSION:
		return 2;
	case DEVICE_ID:
		return device ? device->model->id : 0;
	case VENDOR_ID:
		return VENDOR_VALUE;
	default:
		return 0;
	}
}

static u32 read_word(struct virtio_device *device, u64 offset) NEEDS(device->lock)
{
	const struct virtio_queue *queue = selected(device);

	if (offset >= CONFIGURATION)
		return device->model->configuration(device, (u32)offset - CONFIGURATION);
	if (offset >= SHARED_MEMORY && offset < SHARED_END)
		return ~0u;
	switch (offset) {
	case DEVICE_FEATURES:
		return device->device_select < 2
			       ? (u32)(offered(device) >> 32 * device->device_select)
			       : 0;
	case QUEUE_NUM_MAX:
		return queue ? device->model->queue_max : 0;
	case QUEUE_READY:
		return queue && queue->ready;
	case STATUS:
		return device->status;
	case INTERRUPT_STATUS:
		return device->interrupt;
	default:
		return read_identity(device, offset);
	}
}

static void reset(struct virtio_device *device) NEEDS(device->lock)
{
	acknowledge(device, ~0u);
	device->status = 0;
	device->device_select = device->driver_select = device->queue_select = 0;
	device->features = 0;
	device->resetting = false;
	for (u32 i = 0; i < VIRTIO_QUEUES; i++) {
		end_queue(device, &device->queue[i]);
		device->queue[i] = (struct virtio_queue){ .ready = false };
	}
	device->model->stopped(device);
}

void virtio_reset(struct vm *vm)
{
	for (u32 slot = 0; slot < VM_VIRTIO_DEVICES; slot++) {
		struct virtio_device *device = vm->virtio[slot];

		if (!device)
			continue;
		spin_lock(&device->lock);
		reset(device);
		spin_unlock(&device->lock);
	}
	vm->virtio_used = false;
}

/* 2.1: only a reset clears bits. Features are taken as a whole, or FEATURES_OK stays 0 (3.1.1). */
static void write_status(struct virtio_device *device, u32 value) NEEDS(device->lock)
{
	if (!value) {
		device->resetting = true;
		if (device->model->idle(device))
			reset(device);
		else
			virtio_again();
		return;
	}
	if (device->features & ~offered(device) || !virtio_has(device, VIRTIO_VERSION_1))
		value &= ~STATUS_FEATURES_OK;
	device->status |= value & STATUS_ALL & ~STATUS_NEEDS_RESET;
}

static void write_features(struct virtio_device *device, u32 value) NEEDS(device->lock)
{
	u32 shift = 32 * device->driver_select;

	if (device->driver_select > 1 || device->status & STATUS_FEATURES_OK)
		return;
	device->features &= ~((u64)~0u << shift);
	device->features |= (u64)value << shift;
}

/* A queue that is ready is not changed, but for its end. */
static void write_queue(struct virtio_device *device, u64 offset, u32 value) NEEDS(device->lock)
{
	struct virtio_queue *queue = selected(device);
	u32 part = (u32)(offset - QUEUE_PARTS) / 16 % VIRTIO_PARTS;
	u64 *address;

	if (!queue)
		return;
	if (offset == QUEUE_READY && !value && queue->ready) {
		if (device->model->idle(device)) {
			end_queue(device, queue);
			device->model->stopped(device);
		} else {
			virtio_again();
		}
		return;
	}
	if (queue->ready)
		return;
	address = &queue->address[part];
	if (offset == QUEUE_NUM)
		queue->size = value;
	else if (offset == QUEUE_READY && value & 1 && !make_ready(device, queue))
		virtio_break(device);
	else if (offset >= QUEUE_PARTS && offset % 16 == 0)
		*address = (*address & ~(u64)~0u) | value;
	else if (offset >= QUEUE_PARTS && offset % 16 == 4)
		*address = (u32)*address | (u64)value << 32;
}

static void write_word(struct virtio_device *device, u64 offset, u32 value) NEEDS(device->lock)
{
	switch (offset) {
	case DEVICE_SELECT:
		device->device_select = value;
		break;
	case DRIVER_FEATURES:
		write_features(device, value);
		break;
	case DRIVER_SELECT:
		device->driver_select = value;
		break;
	case QUEUE_SELECT:
		device->queue_select = value;
		break;
	case STATUS:
		write_status(device, value);
		break;
	default:
		if (offset == QUEUE_NUM || offset == QUEUE_READY ||
		    (offset >= QUEUE_PARTS && offset < QUEUE_PARTS_END))
			write_queue(device, offset, value);
		break; /* all else is read-only, or not there; no configuration can be written */
	}
}

/* What a driver writes while it finds its device. */
static APART void write_other(struct vcpu *self, struct virtio_device *device, u64 offset,
			      u32 value)
{
	bool holds = offset == QUEUE_READY;

	if (holds)
		ipc_pages_hold(self->vm);
	spin_lock(&device->lock);
	write_word(device, offset, value);
	spin_unlock(&device->lock);
	if (holds)
		ipc_pages_release(self->vm);
}

static APART void notify(struct vcpu *self, struct virtio_device *device, u64 queue)
{
	if (queue < device->model->queues &&
	    device->model->notified(self, device, (u32)index_nospec(queue, VIRTIO_QUEUES)))
		virtio_again();
}

static APART void take_acknowledgement(struct virtio_device *device, u32 causes)
{
	spin_lock(&device->lock);
	acknowledge(device, causes);
	spin_unlock(&device->lock);
}

static void write(struct vcpu *self, struct virtio_device *device, u64 offset, u32 value)
{
	if (offset == QUEUE_NOTIFY)
		notify(self, device, value);
	else if (offset == INTERRUPT_ACK)
		take_acknowledgement(device, value);
	else
		write_other(self, device, offset, value);
}

static APART u32 read(struct virtio_device *device, u64 offset)
{
	u32 word;

	if (!device)
		return read_identity(device, offset);
	spin_lock(&device->lock);
	word = read_word(device, offset);
	spin_unlock(&device->lock);
	return word;
}

/*
 * An access of 8 bytes is two; registers answer words, the configuration also less (4.2.2.2). Written are whole words
 * only: what else would be, or where there is no device, is ignored.
 */
static APART void access_any(struct vcpu *self, struct virtio_device *device, struct mmio *access)
{
	u64 offset = access->offset % VIRTIO_SLOT_BYTES;

	if (access->write) {
		if (device && access->bytes >= 4)
			write(self, device, offset, (u32)access->value);
		if (device && access->bytes == 8)
			write(self, device, offset + 4, (u32)(access->value >> 32));
		return;
	}
	access->value = 0;
	if (access->bytes < 4 && offset < CONFIGURATION)
		return;
	access->value = mmio_extract(access, read(device, offset & ~3ul));
	if (access->bytes == 8)
		access->value |= (u64)read(device, offset + 4) << 32;
	else if (access->bytes < 4)
		access->value &= (1u << 8 * access->bytes) - 1;
}

/* What a driver does for each request comes first, and has no frame. Apart, or accesses to all devices had one for it. */
APART void virtio_mmio(struct vcpu *self, struct mmio *access)
{
	u64 slot = access->offset / VIRTIO_SLOT_BYTES;
	u64 offset = access->offset % VIRTIO_SLOT_BYTES;
	struct virtio_device *device = 0;

	if (slot < VM_VIRTIO_DEVICES)
		device = self->vm->virtio[index_nospec(slot, VM_VIRTIO_DEVICES)];
	if (!device || access->bytes != 4)
		access_any(self, device, access);
	else if (!access->write && offset == INTERRUPT_STATUS)
		access->value = read_once(device->interrupt); /* as it was at some moment */
	else if (access->write && offset == QUEUE_NOTIFY)
		notify(self, device, access->value);
	else if (access->write && offset == INTERRUPT_ACK)
		take_acknowledgement(device, (u32)access->value);
	else
		access_any(self, device, access);
}

void virtio_add(struct vm *vm, u32 slot, struct virtio_device *device,
		const struct virtio_model *model)
{
	device->model = model;
	device->vm = vm;
	device->slot = slot;
	for (u32 i = 0; i < model->queues; i++)
		device->space[i] = mmu_reserve(VIRTIO_PARTS * VIRTIO_PART_PAGES);
	vm->virtio[slot] = device;
}
