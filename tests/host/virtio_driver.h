/*
 * A driver that makes requests of three descriptors each, for test_virtio*.c, on the machine of virtio_machine.h.
 */
#pragma once

#include "virtio_machine.h"

#define EVENT_INDEX (1u << 29)
#define POOL_PAGE   (VIRTIO_RAM_PAGES - VIRTIO_POOL_PAGES)

enum {
	MAGIC = 0,
	DEVICE_ID = 8,
	NUM_MAX = 0x34,
	READY = 0x44,
	NOTIFY = 0x50,
	CAUSE = 0x60,
	ACK = 0x64,
	STATUS = 0x70
};
enum { IN, OUT, FLUSH = 4, GET_ID = 8 };
enum { NEEDS_RESET = 64, LIVE = 15 };

static struct virtio_memory *memory;

static inline int make(void **state)
{
	(void)state;
	fake_lock_reset();
	virtio_machine_make(false);
	return 0;
}

static inline int unmake(void **state)
{
	(void)state;
	virtio_machine_free();
	return 0;
}

static inline u8 *answer(u32 i)
{
	return virtio_ram(PAGE_SIZE + 2048 + i);
}

static inline void descriptor(u32 i, const void *at, u32 bytes, u16 flags)
{
	memory->descriptor[i].address = virtio_ipa(at);
	memory->descriptor[i].bytes = bytes;
	memory->descriptor[i].flags = flags;
	memory->descriptor[i].next = (u16)(i + 1);
}

/* Request i of three descriptors from 3 * i on; it is made available. */
static inline void offer(u32 i, u32 type, u64 sector, void *data, u32 bytes)
{
	struct virtio_header *header = (void *)virtio_ram(PAGE_SIZE + 16 * i);

	*header = (struct virtio_header){ type, 0, sector };
	*answer(i) = 0xee;
	descriptor(3 * i, header, 16, 1);
	descriptor(3 * i + 1, data, bytes, type == OUT ? 1 : 3);
	descriptor(3 * i + 2, answer(i), 1, 2);
	if (!bytes)
		memory->descriptor[3 * i].next = (u16)(3 * i + 2);
	memory->available.ring[memory->available.index % VIRTIO_QUEUE] = (u16)(3 * i);
	memory->available.index++;
}

static inline u32 run(u32 slot, u32 type, u64 sector, void *data, u32 bytes)
{
	offer(0, type, sector, data, bytes);
	virtio_set(slot, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	return *answer(0);
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, make, unmake)
