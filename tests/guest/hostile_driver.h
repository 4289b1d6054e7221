/*
 * A driver of virtio disks and a console that lies, several of them at the same device at once: handshakes, queues that
 * lie anywhere and cross pages, chains that loop and point outside of RAM, into pages that are shared, passed away and
 * revoked meanwhile, indices that jump, while another vCPU writes over all of it.
 *
 * All that the devices may be told to touch is in the arena: pages of RAM, and of the pool. What is behind it may be
 * written over, too, and is nothing else's. Nobody's text is in it, so nothing of the report's is printed by the console.
 */
#pragma once

#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define DRIVER_BASE   0x0a000000ul
#define DRIVER_SLOT   0x200u
#define DRIVER_SLOTS  3u /* a disk that is written, one that is read, the console */
#define DRIVER_READER 1u
#define DRIVER_SPEAKS 2u
#define ARENA_PAGES   16u
#define ARENA_SLACK   16u /* what begins in the arena's last page ends in these */
#define SECTORS	      4096u

enum {
	DRIVER_FEATURES = 0x20,
	DRIVER_SELECT = 0x24,
	QUEUE_SELECT = 0x30,
	QUEUE_NUM = 0x38,
	QUEUE_READY = 0x44,
	QUEUE_NOTIFY = 0x50,
	STATUS = 0x70,
	QUEUE_PARTS = 0x80,
};

enum { NEEDS_RESET = 64, LIVE = 15 };
enum { DESCRIPTORS, AVAILABLE, USED, PARTS };

struct rings {
	uint64_t part[PARTS]; /* in the arena, always: what is wild is told to the device alone */
	uint32_t size;	      /* 0: none yet */
};

/* Written and read by all vCPUs, as it comes: any mixture of two is as good. */
static struct rings driver_rings[DRIVER_SLOTS];
static uint8_t *arena_ram, *arena_pool;
static weir_handle arena_grants[ARENA_PAGES];
static uint64_t driver_done, driver_resets, driver_busy; /* seen, at least; not exact */

/* A store of a word, and a load of one: whatever comes of them. */
static void driver_put(uint32_t slot, uint32_t offset, uint64_t value);
static uint32_t driver_get(uint32_t slot, uint32_t offset);

static inline void arena_make(void)
{
	arena_ram = memory_pages(ARENA_PAGES + ARENA_SLACK);
	arena_pool = weir_region(WEIR_REGION_POOL).base; /* of as many pages at least */
}

/* Often one that is near the end of a page. */
static inline uint64_t arena_place(struct random *random, uint64_t alignment)
{
	uint64_t page = random_below(random, 2 * ARENA_PAGES), offset;
	uint8_t *base = page < ARENA_PAGES ? arena_ram : arena_pool;

	offset = random_below(random, 2) ? PAGE_SIZE - 64 + random_below(random, 64)
					 : random_below(random, PAGE_SIZE);
	return (uint64_t)base + page % ARENA_PAGES * PAGE_SIZE + offset / alignment * alignment;
}

static inline uint64_t wild_place(struct random *random)
{
	static const uint64_t bases[] = { 0,	      UNMAPPED,	  BEYOND_RAM, 0 - 8ul,	  UART_BASE,
					  0x0e000000, 0x10000000, 0x3ffffff8, DRIVER_BASE };

	return bases[random_below(random, sizeof(bases) / sizeof(bases[0]))] +
	       random_below(random, 16);
}

static inline bool rarely(struct random *random)
{
	return random_below(random, 48) == 0;
}

/* ---- What the devices read ------------------------------------------------------------------- */

static inline void set16(const struct rings *rings, uint32_t part, uint64_t offset, uint64_t value)
{
	__atomic_store_n((uint16_t *)(rings->part[part] + offset), (uint16_t)value,
			 __ATOMIC_RELEASE);
}

static inline uint16_t get16(const struct rings *rings, uint32_t part, uint64_t offset)
{
	return __atomic_load_n((uint16_t *)(rings->part[part] + offset), __ATOMIC_ACQUIRE);
}

static inline void describe(const struct rings *rings, uint64_t index, uint64_t address,
			    uint32_t bytes, uint64_t flags, uint64_t next)
{
	uint64_t *entry = (uint64_t *)(rings->part[DESCRIPTORS] + 16 * (index % rings->size));

	__atomic_store_n(&entry[0], address, __ATOMIC_RELAXED);
	__atomic_store_n(&entry[1], bytes | flags << 32 | next << 48, __ATOMIC_RELAXED);
}

/* No more than the slack holds, or more than there is. */
static inline uint32_t some_bytes(struct random *random)
{
	switch (random_below(random, 8)) {
	case 0:
		return 0;
	case 1:
		return 0x80000000u + (uint32_t)random_next(random) / 2;
	case 2:
		return (uint32_t)random_below(random, 8 * PAGE_SIZE);
	default:
		return (uint32_t)random_below(random, 16) * 512;
	}
}

static inline void lie_about(struct random *random, const struct rings *rings, uint64_t index)
{
	uint64_t wild = random_below(random, 2) ? wild_place(random) : arena_place(random, 1);

	describe(rings, index, wild, some_bytes(random), random_below(random, 8),
		 random_below(random, rings->size + 2));
}

/* A chain that is right, mostly, from `first` on: for the console it is two pieces of text. */
static inline void make_chain(struct random *random, const struct rings *rings, uint64_t first,
			      bool speaks)
{
	static const uint32_t types[] = { 0, 0, 0, 1, 1, 4, 8, 77 };
	uint64_t type = types[random_below(random, 8)];
	uint64_t header = arena_place(random, 16), data = arena_place(random, 512);

	if (speaks) {
		describe(rings, first, data, 64, 1, first + 1);
		describe(rings, first + 1, arena_place(random, 1), 8, 0, 0);
	} else {
		((uint64_t *)header)[0] = type;
		((uint64_t *)header)[1] =
			rarely(random) ? random_next(random) : random_below(random, SECTORS);
		describe(rings, first, header, 16, 1, first + 1);
		describe(rings, first + 1, data, 512 * (uint32_t)(1 + random_below(random, 8)),
			 type == 1 ? 1 : 3, first + 2);
		describe(rings, first + 2, arena_place(random, 1), 1, 2, 0);
	}
	if (random_below(random, 4) == 0)
		lie_about(random, rings, first + random_below(random, 3));
}

static inline void driver_offer(struct random *random)
{
	uint32_t slot = (uint32_t)random_below(random, DRIVER_SLOTS);
	struct rings rings = driver_rings[slot];
	uint64_t first, index;

	if (!rings.size)
		return;
	first = rings.size > 3 ? random_below(random, rings.size - 2) : 0;
	make_chain(random, &rings, first, slot == DRIVER_SPEAKS);
	index = get16(&rings, AVAILABLE, 2);
	set16(&rings, AVAILABLE, 4 + 2 * (index % rings.size),
	      rarely(random) ? random_next(random) : first);
	set16(&rings, AVAILABLE, 2, rarely(random) ? random_next(random) : index + 1);
	driver_put(slot, QUEUE_NOTIFY, slot == DRIVER_SPEAKS);
	driver_done += get16(&rings, USED, 2) > 1;
}

/* ---- What they are told ---------------------------------------------------------------------- */

static inline void handshake(uint32_t slot, uint32_t queue, const struct rings *rings,
			     uint32_t features)
{
	driver_put(slot, STATUS, 0);
	driver_put(slot, STATUS, 3);
	driver_put(slot, DRIVER_SELECT, 0);
	driver_put(slot, DRIVER_FEATURES, features);
	driver_put(slot, DRIVER_SELECT, 1);
	driver_put(slot, DRIVER_FEATURES, 1); /* VERSION_1 */
	driver_put(slot, STATUS, 11);
	driver_put(slot, QUEUE_SELECT, queue);
	driver_put(slot, QUEUE_NUM, rings->size);
	for (uint32_t part = 0; part < PARTS; part++) {
		driver_put(slot, QUEUE_PARTS + 16 * part, (uint32_t)rings->part[part]);
		driver_put(slot, QUEUE_PARTS + 16 * part + 4, rings->part[part] >> 32);
	}
	driver_put(slot, QUEUE_READY, 1);
	driver_put(slot, STATUS, LIVE);
}

/* As a driver does that knows how, but for a part now and then. */
static inline void driver_begin(struct random *random)
{
	static const uint64_t alignment[PARTS] = { 16, 2, 4 };
	uint32_t slot = (uint32_t)random_below(random, DRIVER_SLOTS);
	uint32_t queue = slot == DRIVER_SPEAKS && random_below(random, 8) != 0;
	struct rings rings = { .size = 1u << random_below(random, 9) }, told;

	if (slot == DRIVER_SPEAKS && rings.size > 32)
		rings.size = 32;
	for (uint32_t part = 0; part < PARTS; part++)
		rings.part[part] = arena_place(random, alignment[part]);
	told = rings;
	if (rarely(random))
		told.part[random_below(random, PARTS)] = wild_place(random);
	if (rarely(random))
		told.size = (uint32_t)random_next(random);
	set16(&rings, AVAILABLE, 0, random_below(random, 2));
	set16(&rings, AVAILABLE, 2, rarely(random) ? random_next(random) : 0);
	set16(&rings, USED, 2, 0);
	driver_rings[slot] = rings;
	handshake(slot, queue, &told, random_below(random, 2) ? 1u << 29 : 0);
	driver_resets += (driver_get(slot, STATUS) & NEEDS_RESET) != 0;
}

/* Into a queue that another vCPU may be at, and the device. */
static inline void driver_scribble(struct random *random)
{
	struct rings rings = driver_rings[random_below(random, DRIVER_SLOTS)];

	if (!rings.size)
		return;
	if (random_below(random, 2))
		lie_about(random, &rings, random_below(random, rings.size));
	else
		set16(&rings, AVAILABLE, 2 * random_below(random, 3 + rings.size),
		      random_below(random, 2) ? random_below(random, rings.size)
					      : random_next(random));
}

/* Some pages are shared, passed away, or come back. */
static inline void driver_pages(struct random *random)
{
	uint64_t page = random_below(random, ARENA_PAGES);
	weir_handle *grant = &arena_grants[page], given;
	enum weir_status status;

	if (random_below(random, 2)) {
		weir_grant_revoke(SHARED_READ(*grant));
		return;
	}
	status = weir_grant_share(hostile_victim[random_below(random, HOSTILE_VICTIMS)], page,
				  1 + (uint32_t)random_below(random, 3),
				  (enum weir_access)random_below(random, 3), &given);
	if (status == WEIR_OK)
		SHARED_WRITE(*grant, given);
	driver_busy += status == WEIR_BUSY;
}

static inline void driver_step(struct random *random)
{
	switch (random_below(random, 16)) {
	case 0:
		driver_begin(random);
		break;
	case 1:
	case 2:
		driver_pages(random);
		break;
	case 3:
	case 4:
		driver_scribble(random);
		break;
	default:
		driver_offer(random);
		break;
	}
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static inline bool driver_wait(const struct rings *rings)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	while (get16(rings, USED, 2) == 0)
		if (timer_now() > end)
			return false;
	return true;
}

static inline struct rings honest_rings(void)
{
	uint64_t base = (uint64_t)arena_ram;

	memset(arena_ram, 0, 4 * PAGE_SIZE);
	return (struct rings){ { base, base + PAGE_SIZE, base + 2 * PAGE_SIZE }, 4 };
}

/* The disk that is only read: sector n of it says 4096 + n. */
static inline void driver_reads_as_new(void)
{
	struct rings rings = honest_rings();
	uint64_t *header = (uint64_t *)(arena_ram + 3 * PAGE_SIZE);
	uint8_t *answer = (uint8_t *)(header + 2);
	uint64_t *data = (uint64_t *)(arena_ram + 4 * PAGE_SIZE);

	header[0] = 0;
	header[1] = 9;
	*answer = 0xee;
	describe(&rings, 0, (uint64_t)header, 16, 1, 1);
	describe(&rings, 1, (uint64_t)data, 512, 3, 2);
	describe(&rings, 2, (uint64_t)answer, 1, 2, 0);
	handshake(DRIVER_READER, 0, &rings, 0);
	set16(&rings, AVAILABLE, 2, 1);
	driver_put(DRIVER_READER, QUEUE_NOTIFY, 0);
	CHECK(driver_wait(&rings));
	CHECK_IS(SHARED_READ(*answer), 0);
	CHECK_IS(data[0], SECTORS + 9);
	CHECK_IS(driver_get(DRIVER_READER, STATUS), LIVE);
}

static inline void driver_speaks_as_new(void)
{
	static const char text[] = "# by virtio\n";
	struct rings rings = honest_rings();

	memcpy(arena_ram + 3 * PAGE_SIZE, text, sizeof(text) - 1);
	describe(&rings, 0, (uint64_t)(arena_ram + 3 * PAGE_SIZE), sizeof(text) - 1, 0, 0);
	handshake(DRIVER_SPEAKS, 1, &rings, 0);
	set16(&rings, AVAILABLE, 2, 1);
	driver_put(DRIVER_SPEAKS, QUEUE_NOTIFY, 1);
	CHECK(driver_wait(&rings));
	CHECK_IS(driver_get(DRIVER_SPEAKS, STATUS), LIVE);
}
