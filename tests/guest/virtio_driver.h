/*
 * A small driver of the virtio devices of a VM, core/vdev/virtio.h: one queue, without interrupt suppression. A test says
 * by `slot` whose registers are meant.
 */
#pragma once

#include "tests/guest/tap.h"

#define BASE	  0x0a000000ul
#define SLOT	  0x200u
#define SLOTS	  32u
#define INTID	  48u
#define QUEUE	  64u
#define NO_ANSWER 0xee

enum {
	MAGIC = 0x00,
	VERSION = 0x04,
	DEVICE_ID = 0x08,
	DEVICE_FEATURES = 0x10,
	DEVICE_SELECT = 0x14,
	DRIVER_FEATURES = 0x20,
	DRIVER_SELECT = 0x24,
	QUEUE_SELECT = 0x30,
	QUEUE_NUM_MAX = 0x34,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50,
	INTERRUPT_STATUS = 0x60,
	INTERRUPT_ACK = 0x64,
	STATUS = 0x70,
	DESCRIPTORS = 0x80,
	AVAILABLE = 0x90,
	USED = 0xa0,
	SHARED_LENGTH = 0xb0,
	CAPACITY = 0x100,
	SEG_MAX = 0x10c,
	BLK_SIZE = 0x114,
};

enum { DRIVER = 3, DRIVER_OK = 4, FEATURES_OK = 8, NEEDS_RESET = 64 };
enum { IN, OUT, FLUSH = 4, GET_ID = 8 };
enum { NEXT = 1, WRITE = 2, INDIRECT = 4 };

#define FEATURE_RO    (1u << 5)
#define FEATURE_FLUSH (1u << 9)

struct descriptor {
	uint64_t address;
	uint32_t bytes;
	uint16_t flags, next;
};

struct queue {
	struct descriptor descriptor[QUEUE];
	struct {
		uint16_t flags, index, ring[QUEUE], used_event;
	} available;
	struct {
		uint16_t flags, index;
		struct {
			uint32_t id, bytes;
		} ring[QUEUE];
		uint16_t available_event;
	} used;
	struct {
		uint32_t type, reserved;
		uint64_t sector;
	} header[QUEUE / 4];
	uint8_t answer[QUEUE / 4];
};

static struct queue *queue; /* a page */
static uint32_t slot;	    /* whose registers are meant */
static uint32_t interrupts;

static inline uint64_t at(uint32_t offset)
{
	return BASE + slot * SLOT + offset;
}

/* As the compiler would not be bound to: an access whose syndrome tells the register (DDI 0487 D19.2.37, ISV). */
static inline uint32_t get(uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(at(offset)) : "memory");
	return value;
}

static inline uint64_t get_long(uint32_t offset)
{
	uint64_t value;

	__asm__ volatile("ldr %0, [%1]" : "=r"(value) : "r"(at(offset)) : "memory");
	return value;
}

static inline uint32_t get_byte(uint32_t offset)
{
	uint32_t value;

	__asm__ volatile("ldrb %w0, [%1]" : "=r"(value) : "r"(at(offset)) : "memory");
	return value;
}

static inline void put(uint32_t offset, uint32_t value)
{
	__asm__ volatile("dmb ish\n\tstr %w0, [%1]" ::"r"(value), "r"(at(offset)) : "memory");
}

static inline void put_address(uint32_t offset, const void *address)
{
	put(offset, (uint32_t)(uint64_t)address);
	put(offset + 4, (uint32_t)((uint64_t)address >> 32));
}

static inline void handler(uint32_t intid, void *arg)
{
	(void)arg;
	if (intid != INTID + slot)
		return;
	put(INTERRUPT_ACK, get(INTERRUPT_STATUS));
	SHARED_WRITE(interrupts, interrupts + 1);
}

/* Until FEATURES_OK; without flush if the driver does not know how. */
static inline void negotiate(uint32_t features)
{
	put(STATUS, 0);
	put(STATUS, DRIVER);
	put(DRIVER_SELECT, 0);
	put(DRIVER_FEATURES, features);
	put(DRIVER_SELECT, 1);
	put(DRIVER_FEATURES, 1); /* VERSION_1 */
	put(STATUS, DRIVER | FEATURES_OK);
}

static inline void set_queue(struct queue *new)
{
	queue = new;
	memset(new, 0, sizeof(*new));
	put(QUEUE_SELECT, 0);
	put(QUEUE_NUM, QUEUE);
	put_address(DESCRIPTORS, new->descriptor);
	put_address(AVAILABLE, &new->available);
	put_address(USED, &new->used);
	put(QUEUE_READY, 1);
}

static inline void start(uint32_t which)
{
	static struct queue *page;

	slot = which;
	if (!page)
		page = memory_pages(1);
	put(DEVICE_SELECT, 0);
	negotiate(get(DEVICE_FEATURES) & FEATURE_FLUSH); /* a card has none: it writes through */
	set_queue(page);
	put(STATUS, DRIVER | FEATURES_OK | DRIVER_OK);
	irq_handle(INTID + which, handler, NULL);
}

/* Request i has descriptors from 4 * i on; `pieces` of the same size one behind the other, at most 2. */
static inline void fill(uint32_t i, uint32_t type, uint64_t sector, const void *data,
			uint32_t bytes, uint32_t pieces)
{
	struct descriptor *entry = &queue->descriptor[4 * i];
	uint16_t flags = type == OUT ? NEXT : NEXT | WRITE;

	queue->header[i].type = type;
	queue->header[i].sector = sector;
	queue->answer[i] = NO_ANSWER;
	*entry =
		(struct descriptor){ (uint64_t)&queue->header[i], 16, NEXT, (uint16_t)(4 * i + 1) };
	for (uint32_t piece = 0; piece < pieces; piece++) {
		entry++;
		*entry = (struct descriptor){ (uint64_t)data + piece * bytes, bytes, flags,
					      (uint16_t)(4 * i + 2 + piece) };
	}
	entry[1] = (struct descriptor){ (uint64_t)&queue->answer[i], 1, WRITE, 0 };
}

static inline void offer(uint32_t head)
{
	uint16_t index = queue->available.index;

	queue->available.ring[index % QUEUE] = (uint16_t)head;
	SHARED_WRITE(queue->available.index, (uint16_t)(index + 1));
}

static inline bool wait_used(uint16_t index)
{
	return WAIT(SHARED_READ(queue->used.index) == index);
}

/* The answer's byte. */
static inline uint32_t run(uint32_t type, uint64_t sector, void *data, uint32_t bytes)
{
	uint16_t index = queue->used.index;

	fill(0, type, sector, data, bytes, bytes ? 1 : 0);
	offer(0);
	put(QUEUE_NOTIFY, 0);
	return wait_used((uint16_t)(index + 1)) ? queue->answer[0] : 0xff;
}
