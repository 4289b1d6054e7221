/* Drivers that do anything (virtio_machine.h). */
#include <string.h>
#include "virtio_machine.h"
#include "ipc/block.h"

#define RAM_BYTES     (VIRTIO_RAM_PAGES * PAGE_SIZE)
#define READER	      1u /* the slot of the disk that cannot be written */
#define SPEAKER	      2u /* the console's slot */
#define FEATURE_FLUSH BIT(9)

/* An address that is likely to be wrong in an interesting way. */
static u64 wild_address(u32 (*next)(void))
{
	static const u64 bases[] = { VM_RAM_BASE, VM_RAM_BASE + RAM_BYTES, 0, UINT64_MAX,
				     VM_VIRTIO_BASE };
	u32 number = next();

	if (number % 8)
		return VM_RAM_BASE + (number >> 8) % VIRTIO_RAM_PAGES * PAGE_SIZE +
		       (number & 64 ? 0 : (next() % 8) * 512);
	return bases[number / 8 % ARRAY_SIZE(bases)] + next() % 64 - 32;
}

static void scribble(u32 (*next)(void))
{
	static const u32 sizes[] = { 16, 512, 4096, 1, 20, 0, 1024, 0xffffffff };
	struct virtio_memory *memory = (void *)virtio_ram(next() % 4 * PAGE_SIZE);
	u32 i = next() % VIRTIO_QUEUE;

	switch (next() % 6) {
	case 0:
		memory->descriptor[i].address = wild_address(next);
		memory->descriptor[i].bytes = sizes[next() % ARRAY_SIZE(sizes)];
		break;
	case 1:
		memory->descriptor[i].flags = next() % 16 ? next() % 4 : (u16)next();
		memory->descriptor[i].next = (u16)(next() % (VIRTIO_QUEUE + 1));
		break;
	case 2:
		memory->available.index += next() % 4;
		break;
	case 3:
		memory->available.ring[i] = (u16)(next() % (VIRTIO_QUEUE + 1));
		break;
	case 4: /* a request that is right but for what the others do */
		*(struct virtio_header *)virtio_ram(5 * PAGE_SIZE + i * 16) =
			(struct virtio_header){ next() % 10, 0, next() % (VIRTIO_SECTORS + 2) };
		for (u32 part = 0; part < 3; part++) {
			memory->descriptor[(i + part) % VIRTIO_QUEUE].address =
				VM_RAM_BASE +
				(part == 1 ? 32 + next() % 32 : 5 + part) * PAGE_SIZE +
				(part == 1 ? next() % 16 * 100 : i * 16);
			memory->descriptor[(i + part) % VIRTIO_QUEUE].bytes =
				part == 0   ? 16
				: part == 1 ? 512 * (next() % 17)
					    : 1;
			memory->descriptor[(i + part) % VIRTIO_QUEUE].flags =
				(part < 2) | (part == 2 || next() % 2 ? 2 * (part > 0) : 0);
			memory->descriptor[(i + part) % VIRTIO_QUEUE].next =
				(u16)((i + part + 1) % VIRTIO_QUEUE);
		}
		memory->available.ring[memory->available.index % VIRTIO_QUEUE] = (u16)i;
		memory->available.index++;
		break;
	default:
		memory->available.flags = (u16)next();
		memory->available.used_event = (u16)next();
	}
}

static void touch_register(u32 (*next)(void))
{
	static const u16 registers[] = { 0x10, 0x14, 0x20, 0x24, 0x30,	0x34, 0x38, 0x44,
					 0x50, 0x60, 0x64, 0x70, 0x80,	0x84, 0x90, 0x94,
					 0xa0, 0xa4, 0xb0, 0xfc, 0x100, 0x108 };
	static const u8 values[] = { 0, 1, 2, 3, 4, 8, 11, 15, 16, 32, 64, 255 };
	u32 slot = next() % 5 ? next() % 3 : next() % 32, kind = next();
	u32 offset =
		kind % 8 ? registers[next() % ARRAY_SIZE(registers)] : next() % VIRTIO_SLOT_BYTES;
	u32 bytes = kind % 64 < 56 ? 4 : 1u << next() % 4;
	u64 value =
		kind & 1 << 20 ? next() | (u64)next() << 32 : values[next() % ARRAY_SIZE(values)];

	offset &= ~(bytes - 1);
	virtio_access(next() % 2, slot, offset, bytes, next() % 4, value);
}

/* ---- A driver whose queue lies anywhere: parts cross pages wherever they may ---- */

struct rings {
	u64 part[3];
	u32 size;
};

static void *in_part(const struct rings *rings, u32 part, u64 offset)
{
	return virtio_ram(rings->part[part] - VM_RAM_BASE + offset);
}

/* In six pages from 8, 14 or 20 on, by the slot, which nothing else of a game is in; or in the pool. */
static struct rings some_rings(u32 slot, bool pool, u32 (*next)(void))
{
	u32 first = pool ? VIRTIO_RAM_PAGES - VIRTIO_POOL_PAGES : 8 + 6 * slot;
	u32 align[] = { 16, 2, 4 };
	struct rings rings = { .size = (slot == SPEAKER ? 2u : 4u) << next() % 7 };

	if (slot == SPEAKER)
		rings.size = min(rings.size, 32u);
	for (u32 part = 0; part < 3; part++)
		rings.part[part] = VM_RAM_BASE + (first + 2 * part) * PAGE_SIZE +
				   next() % PAGE_SIZE / align[part] * align[part];
	memset(virtio_ram(first * PAGE_SIZE), 0, 6 * PAGE_SIZE);
	return rings;
}

static void describe(const struct rings *rings, u32 i, const void *at, u32 bytes, u16 flags)
{
	u64 address = virtio_ipa(at), rest = bytes | (u64)flags << 32 | (u64)(i + 1) << 48;

	i %= rings->size;
	memcpy(in_part(rings, 0, 16 * i), &address, 8);
	memcpy(in_part(rings, 0, 16 * i + 8), &rest, 8);
}

/* Makes the chain that begins there available. */
static void publish(const struct rings *rings, u16 first)
{
	u16 index;

	memcpy(&index, in_part(rings, 1, 2), 2);
	memcpy(in_part(rings, 1, 4 + 2 * (index % rings->size)), &first, 2);
	index++;
	memcpy(in_part(rings, 1, 2), &index, 2);
}

/* Reads a sector, so many times, by descriptors from `first` on. */
static void read_sectors(const struct rings *rings, u16 first, u16 times)
{
	struct virtio_header *header = (void *)virtio_ram(26 * PAGE_SIZE);
	u8 *answer = virtio_ram(27 * PAGE_SIZE);

	*header = (struct virtio_header){ 0, 0, 7 };
	*answer = 0xee;
	describe(rings, first, header, 16, 1);
	describe(rings, first + 1u, virtio_ram(28 * PAGE_SIZE), 512, 3);
	describe(rings, first + 2u, answer, 1, 2);
	for (u16 i = 0; i < times; i++) {
		publish(rings, first);
		virtio_set(READER, 0x50, 0);
	}
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(*answer, 0);
	assert_int_equal(*virtio_ram(28 * PAGE_SIZE), 7);
}

/* A device that was reset works, and says so in each entry of its used ring. */
static void expect_reads(u32 (*next)(void))
{
	struct rings rings = some_rings(READER, false, next);
	u32 features = next() & VIRTIO_EVENT_INDEX;
	u16 first = (u16)(next() % (rings.size - 2)), index;

	virtio_drive_at(READER, features, 0, rings.size, rings.part);
	read_sectors(&rings, first, (u16)(rings.size + 1));
	memcpy(&index, in_part(&rings, 2, 2), 2);
	assert_int_equal(index, rings.size + 1);
	for (u32 i = 0; i < rings.size; i++) {
		u32 entry[2];

		memcpy(entry, in_part(&rings, 2, 4 + 8 * i), 8);
		assert_int_equal(entry[0], first);
		assert_int_equal(entry[1], 513);
	}
	assert_true(features || virtio_line(READER));
}

/* ---- Drivers that are right, but for what is wrong ---- */

static struct rings game[3]; /* of each slot; size 0: none yet */

static void begin_queue(u32 (*next)(void))
{
	u32 slot = next() % 3, features = next() & (VIRTIO_EVENT_INDEX | FEATURE_FLUSH);
	struct rings rings = some_rings(slot, next() % 4 == 0, next);

	virtio_drive_at(slot, features, slot == SPEAKER && next() % 4, rings.size, rings.part);
	game[slot] = rings;
}

static const void *somewhere(u32 (*next)(void), u64 align)
{
	u32 number = next(), page = number % 8 ? 32 + (number >> 8) % 16 : 48 + (number >> 8) % 16;

	return virtio_ram(page * PAGE_SIZE + next() % PAGE_SIZE / align * align);
}

/* A disk's: header, some data, answer. */
static void describe_request(const struct rings *rings, u32 first, u32 (*next)(void))
{
	static const u8 types[] = { 0, 0, 0, 1, 1, 1, 4, 8 };
	struct virtio_header header = { types[next() % 8], 0, next() % VIRTIO_SECTORS };
	u32 pieces = header.type == 4 ? 0 : 1 + next() % 2 * (next() % 16), i = 1;
	const u8 *data = somewhere(next, 512);
	u8 *at = virtio_ram(26 * PAGE_SIZE + next() % 255 * 16);

	if (next() % 16 == 0)
		at = virtio_ram((48 + next() % 16) * PAGE_SIZE);
	memcpy(at, &header, sizeof(header));
	describe(rings, first, at, 16, 1);
	for (; i <= pieces; i++) {
		u32 bytes = header.type == 8 ? 20 : 512 * (1 + next() % 4);

		describe(rings, first + i, data, bytes, header.type == 1 ? 1 : 3);
		data = next() % 2 && data + 2 * bytes < virtio_ram(VIRTIO_RAM_PAGES * PAGE_SIZE)
			       ? data + bytes
			       : somewhere(next, 512);
	}
	describe(rings, first + i,
		 next() % 16 ? virtio_ram(27 * PAGE_SIZE + next() % PAGE_SIZE) : somewhere(next, 1),
		 1, 2);
}

/* Any descriptor of it is another one. */
static void lie(const struct rings *rings, u32 (*next)(void))
{
	u64 entry[] = { wild_address(next), (u64)next() << 32 | next() % 8192 };

	entry[1] &= ~(0xfff8ull << 32) & ~(0xfe00ull << 48);
	memcpy(in_part(rings, 0, 16 * (next() % rings->size)), entry, 16);
}

static void offer(u32 (*next)(void))
{
	u32 slot = next() % 3, first;
	const struct rings *rings = &game[slot];

	if (!rings->size)
		return;
	first = next() % rings->size;
	if (slot == SPEAKER) {
		describe(rings, first, somewhere(next, 1), 1 + next() % 100, next() % 2);
		describe(rings, first + 1, somewhere(next, 1), 1 + next() % 100,
			 next() % 8 ? 0 : 2);
	} else {
		describe_request(rings, first, next);
	}
	if (next() % 16 == 0)
		lie(rings, next);
	/* Now and then more than can be under way. */
	for (u32 times = next() % 8 ? 1 : next() % 24; times; times--)
		publish(rings, (u16)first);
	if (next() % 4)
		virtio_access(next() % 2, slot, 0x50, 4, true, slot == SPEAKER);
}

/* Some of it, and not all at once as virtio_disk_done() has it. */
static void disk_works(u32 (*next)(void))
{
	u32 how = next();

	for (u32 i = 0; i < how % 4; i++)
		virtio_disk_end(how & 0x70 ? WEIR_OK : WEIR_IO);
	for (u32 i = 0; i < (how >> 8) % 4; i++)
		virtio_disk_interrupt();
	if (how >> 12 & 1)
		virtio_disk_wait();
}

/* ---- The game ---- */

static void step(u32 (*next)(void))
{
	u32 what = next() % 64;

	if (what < 8)
		touch_register(next);
	else if (what < 16)
		scribble(next);
	else if (what < 38)
		offer(next);
	else if (what < 40)
		begin_queue(next);
	else if (what < 46)
		virtio_access(next() % 2, next() % 3, 0x50, 4, true, next() % 2);
	else if (what < 54)
		disk_works(next);
	else if (what < 56)
		virtio_disk_done(next() % 8 ? WEIR_OK : WEIR_IO);
	else if (what < 58)
		virtio_share(next() % VIRTIO_POOL_PAGES, next() % 2);
	else if (what < 59)
		virtio_console_receive(&virtio_vm, (u8)next());
	else if (what < 60)
		virtio_console_stuck(next() % 2);
	else if (what < 61)
		virtio_access(next() % 2, next() % 3, next() % 2 ? 0x70 : 0x44, 4, true, 0);
	else if (what < 62)
		virtio_drive(next() % 3, next() % 2 ? VIRTIO_EVENT_INDEX : 0, next() % 2,
			     next() % 4);
	else if (next() % 8 == 0)
		virtio_stop();
}

void virtio_play(u32 (*next)(void), u32 steps)
{
	for (u32 i = 0; i < steps; i++)
		step(next);
	memset(game, 0, sizeof(game));
	while (virtio_disk_done(WEIR_OK))
		;
	assert_true(block_vm_idle(&virtio_vm));
	for (u32 i = 0; i < VIRTIO_POOL_PAGES; i++)
		virtio_share(i, false);
	virtio_console_stuck(false);
	expect_reads(next);
}
