/* The device side of virtio-mmio; see virtio_mmio.h. Every breach of the protocol fails the test.
 */
#include <string.h>
#include "virtio_mmio.h"
#include "drivers/registers.h"

#define SECTOR 512u

struct wire_descriptor {
	u64 address;
	u32 bytes;
	u16 flags, next;
};

struct wire_header {
	u32 type, reserved;
	u64 sector;
};

struct wire_used {
	u32 id, bytes;
};

void fake_virtio_init(struct fake_virtio *device, u8 *medium, u64 sectors)
{
	*device = (struct fake_virtio){
		.magic = 0x74726976,
		.version = 2,
		.id = 2,
		.features = 1ul << 32 | 1ul << 9 | 1ul << 2 | 1ul << 29 | 1ul << 28,
		.needs_features = 1ul << 32,
		.seg_max = 254,
		.queue_max = FAKE_VIRTIO_QUEUE,
		.medium = medium,
		.sectors = sectors,
		.automatic = true,
		.status = 0xf, /* as firmware left it */
		.queue_ready = 1,
		.interrupt_status = 3,
	};
}

/* Registers. */

static u32 read_capacity_word(struct fake_virtio *device, u32 offset)
{
	u64 capacity = device->sectors;

	if (device->config_changes && offset == 0x104) {
		device->config_changes--;
		return 0xbad;
	}
	return (u32)(offset == 0x100 ? capacity : capacity >> 32);
}

u32 register_read(const void *registers, u32 offset)
{
	struct fake_virtio *device = (struct fake_virtio *)(u64)registers;

	switch (offset) {
	case 0x000:
		return device->magic;
	case 0x004:
		return device->version;
	case 0x008:
		return device->id;
	case 0x010:
		assert_true(device->status & 2);
		return (u32)(device->features >> (32 * device->device_select));
	case 0x034:
		return device->queue_max;
	case 0x044:
		return device->queue_ready;
	case 0x060:
		return device->interrupt_status;
	case 0x070:
		return device->status;
	case 0x0fc:
		return device->config_changes;
	case 0x100:
	case 0x104:
		return read_capacity_word(device, offset);
	case 0x108:
		assert_true(device->features & 2);
		return device->size_max;
	case 0x10c:
		assert_true(device->features & 4);
		return device->seg_max;
	default:
		fail_msg("read of register %x", offset);
		return 0;
	}
}

static void write_status(struct fake_virtio *device, u32 value)
{
	if (value == 0) {
		device->resets++;
		if (device->never_resets)
			return;
		device->status = device->queue_ready = device->interrupt_status = 0;
		device->pending_count = device->seen_available = device->used_index = 0;
		return;
	}
	assert_int_equal(value & device->status, device->status); /* bits are only added, 2.1.1 */
	if (value & 8 &&
	    (device->driver_features & device->needs_features) != device->needs_features)
		value &= ~8u;
	if (value & ~device->status & 4)
		assert_true(device->queue_ready && value & 8);
	device->status = value;
}

static void write_features(struct fake_virtio *device, u32 value)
{
	u32 shift = 32 * device->driver_select;

	assert_false(device->status & 8);
	device->driver_features &= ~(0xfffffffful << shift);
	device->driver_features |= (u64)value << shift;
	assert_int_equal(device->driver_features & ~device->features, 0);
}

static void write_half(struct fake_virtio *device, u64 *address, bool high, u32 value)
{
	assert_false(device->queue_ready);
	if (high)
		*address = (*address & 0xffffffff) | (u64)value << 32;
	else
		*address = (*address & ~0xfffffffful) | value;
}

/* Takes over what was made available since the last look. */
static void look(struct fake_virtio *device)
{
	const u16 *available = (const u16 *)device->available;
	u16 index = __atomic_load_n(&available[1], __ATOMIC_ACQUIRE);

	while (device->seen_available != index) {
		assert_true(device->pending_count < device->queue_num);
		device->pending[device->pending_count++] =
			available[2 + device->seen_available++ % device->queue_num];
	}
}

static void notify(struct fake_virtio *device, u32 queue)
{
	assert_int_equal(queue, 0);
	if (fake_note)
		fake_note("mmio", (u64)device);
	device->notifications++;
	if (!(device->status & 4) || device->status & 64)
		return;
	look(device);
	if (device->automatic)
		fake_virtio_serve_all(device);
}

void register_write(void *registers, u32 offset, u32 value)
{
	struct fake_virtio *device = registers;

	switch (offset) {
	case 0x014:
		device->device_select = value;
		return;
	case 0x020:
		write_features(device, value);
		return;
	case 0x024:
		device->driver_select = value;
		return;
	case 0x030:
		assert_int_equal(value, 0);
		return;
	case 0x038:
		assert_true(value && value <= device->queue_max && !(value & (value - 1)));
		device->queue_num = value;
		return;
	case 0x044:
		device->queue_ready = value;
		return;
	case 0x050:
		notify(device, value);
		return;
	case 0x064:
		device->interrupt_status &= ~value;
		device->interrupts_acknowledged++;
		return;
	case 0x070:
		write_status(device, value);
		return;
	case 0x080:
	case 0x084:
		write_half(device, &device->descriptor, offset & 4, value);
		return;
	case 0x090:
	case 0x094:
		write_half(device, &device->available, offset & 4, value);
		return;
	case 0x0a0:
	case 0x0a4:
		write_half(device, &device->used, offset & 4, value);
		return;
	default:
		fail_msg("write of register %x", offset);
	}
}

/* Requests. */

static u8 move_data(struct fake_virtio *device, const struct wire_header *header, u64 *position,
		    const struct wire_descriptor *data)
{
	bool to_memory = data->flags & 2;

	assert_true(data->bytes && data->bytes % SECTOR == 0);
	assert_int_equal(to_memory, header->type == 0);
	device->largest_transfer = max(device->largest_transfer, data->bytes);
	if (device->driver_features & 2)
		assert_true(data->bytes <= device->size_max);
	if (*position + data->bytes > device->sectors * SECTOR)
		return 1;
	if (to_memory)
		memcpy((void *)data->address, device->medium + *position, data->bytes);
	else
		memcpy(device->medium + *position, (const void *)data->address, data->bytes);
	*position += data->bytes;
	return 0;
}

static void put_used(struct fake_virtio *device, u32 id)
{
	u16 *used = (u16 *)device->used;
	struct wire_used *ring = (struct wire_used *)(device->used + 4);

	ring[device->used_index % device->queue_num] = (struct wire_used){ id, 1 };
	__atomic_store_n(&used[1], ++device->used_index, __ATOMIC_RELEASE);
	device->interrupt_status |= 1;
}

static void execute(struct fake_virtio *device, u16 head)
{
	const struct wire_descriptor *table = (const struct wire_descriptor *)device->descriptor;
	const struct wire_descriptor *entry = &table[head];
	const struct wire_header *header;
	u8 answer = device->next_answer;
	u32 segments = 0;
	u64 position;

	assert_true(head < device->queue_num);
	if (entry->flags & 4) {
		assert_true(device->driver_features & 1ul << 28);
		assert_int_equal(entry->flags, 4);
		table = (const struct wire_descriptor *)entry->address;
		device->largest_table = max(device->largest_table, entry->bytes);
		entry = table;
	}
	header = (const struct wire_header *)entry->address;
	position = header->sector * SECTOR;
	assert_int_equal(entry->bytes, 16);
	assert_int_equal(entry->flags, 1);
	assert_int_equal(header->reserved, 0);
	for (entry = &table[entry->next]; entry->flags & 1; entry = &table[entry->next]) {
		assert_true(++segments <= device->seg_max);
		if (answer == 0)
			answer = move_data(device, header, &position, entry);
	}
	if (header->type == 4)
		assert_true(device->driver_features & 1ul << 9 && segments == 0 &&
			    header->sector == 0);
	else
		assert_true(header->type <= 1 && segments >= 1);
	assert_int_equal(entry->flags, 2);
	assert_int_equal(entry->bytes, 1);
	if (!device->silent_status)
		*(u8 *)entry->address = answer;
	device->next_answer = 0;
	device->served++;
	put_used(device, head);
}

void fake_virtio_serve_at(struct fake_virtio *device, u32 position)
{
	u16 head;

	assert_true(position < device->pending_count);
	head = device->pending[position];
	device->pending_count--;
	memmove(&device->pending[position], &device->pending[position + 1],
		(device->pending_count - position) * sizeof(device->pending[0]));
	execute(device, head);
}

void fake_virtio_serve(struct fake_virtio *device)
{
	fake_virtio_serve_at(device, 0);
}

void fake_virtio_serve_all(struct fake_virtio *device)
{
	while (device->pending_count)
		fake_virtio_serve(device);
}

void fake_virtio_answer_id(struct fake_virtio *device, u32 id)
{
	put_used(device, id);
}

void fake_virtio_run_ahead(struct fake_virtio *device, u32 count)
{
	u16 *used = (u16 *)device->used;

	device->used_index = (u16)(device->used_index + count);
	used[1] = device->used_index;
	device->interrupt_status |= 1;
}

void fake_virtio_need_reset(struct fake_virtio *device)
{
	device->status |= 64;
	device->interrupt_status |= 2;
}
