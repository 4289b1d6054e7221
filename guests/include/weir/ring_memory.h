/*
 * The bulk ring's memory: the words that the two sides share, what each side keeps for itself, and how
 * bytes are copied. ring.h is the ring, and says what all of it means. Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <weir/abi.h>

#define WEIR_RING_MAGIC		0x31474e4952494557ull /* "WEIRING1", little endian */
#define WEIR_RING_RECORD	0x80000000u
#define WEIR_RING_PADDING	0xc0000000u
#define WEIR_RING_KIND		0xc0000000u /* mask of the two */
#define WEIR_RING_HEADER_BYTES	8u
#define WEIR_RING_CONTROL_BYTES 256u /* of each side's first page; data begins behind */
#define WEIR_RING_BYTES_MIN	4096u
#define WEIR_RING_BYTES_MAX	(1u << 30)

/* A cache line for each word that is written often. */
struct weir_ring_shared_producer {
	uint64_t tail; /* position up to which records are there; store-release */
	uint64_t reserved0[7];
	uint64_t space_wanted; /* kick when the consumer's head gets here; 0: never */
	uint64_t reserved1[7];
	uint64_t magic; /* constant once the consumer knows the ring, as is `bytes` */
	uint64_t bytes; /* of the producer's pages, all of them */
	uint64_t reserved2[14];
};

struct weir_ring_shared_consumer {
	uint64_t head; /* position up to which records are not needed any more; store-release */
	uint64_t reserved0[7];
	uint64_t data_wanted; /* kick when the producer's tail gets here; 0: never */
	uint64_t reserved1[23];
};

WEIR_STATIC_ASSERT(sizeof(struct weir_ring_shared_producer) == WEIR_RING_CONTROL_BYTES, "control");
WEIR_STATIC_ASSERT(sizeof(struct weir_ring_shared_consumer) == WEIR_RING_CONTROL_BYTES, "control");

/*
 * Private to the producer. What is done for each record needs the first words only, and one
 * comparison: from `next` to `end` all is checked that there is to check. What does not fit there,
 * for whatever reason, takes the long way.
 */
struct weir_ring_producer {
	uint64_t reserved;  /* content bytes of the open reservation, and 1; 0: there is none */
	uint8_t *next;	    /* the place of the next record: in the data, or at its end */
	uint8_t *end;	    /* of the room that was checked: at most a quarter of the data */
	uint64_t base;	    /* position of what is committed: base + address of `next` */
	uint64_t published; /* <= that position */
	struct weir_ring_shared_producer *own;
	const struct weir_ring_shared_consumer *peer; /* 0: not known yet, nothing is consumed */
	uint64_t head;				      /* the peer's, as last seen; <= published */
	uint8_t *data;
	uint64_t size; /* of the data */
	bool broken;
};

/* Private to the consumer. */
struct weir_ring_consumer {
	const uint8_t *next; /* the place of the next record: in the data, or at its end */
	const uint8_t *end;  /* of what may be read from there on: at most a quarter of the data */
	uint64_t base;	     /* position of what was read: base + address of `next` */
	uint64_t released;   /* <= that position */
	struct weir_ring_shared_consumer *own;
	const struct weir_ring_shared_producer *peer;
	uint64_t tail; /* the peer's, as last seen; >= position */
	const uint8_t *data;
	uint64_t size;
	bool broken;
};

struct weir_ring_record {
	const uint8_t *data;
	uint32_t bytes;
	uint32_t tag;
};

/* What is short is inlined into each caller, and so that it stays short the rare cases are not. */
#define WEIR_RING_SHORT static inline __attribute__((always_inline))
#define WEIR_RING_LONG	static __attribute__((cold, noinline, unused))

/* Of anybody's data, 8-byte aligned. */
typedef uint64_t __attribute__((may_alias)) weir_ring_word_t;

/* Reads a word that the peer may be changing, exactly once. */
static inline uint64_t weir_ring_word(const weir_ring_word_t *word)
{
	return *(const volatile weir_ring_word_t *)word;
}

/* What a record with so much content takes. */
static inline uint64_t weir_ring_space(uint64_t content)
{
	return (content + WEIR_RING_HEADER_BYTES + 7) & ~(uint64_t)7;
}

/* The largest content, given the size of the data: header and content are at most a quarter of it.
 */
static inline uint64_t weir_ring_limit(uint64_t size)
{
	return (size / 4 & ~(uint64_t)7) - WEIR_RING_HEADER_BYTES;
}

/* The largest content of a record, given the bytes of all the producer's pages. */
static inline uint64_t weir_ring_max(uint64_t bytes)
{
	return weir_ring_limit(bytes - WEIR_RING_CONTROL_BYTES);
}

/* Can a producer's pages have so many bytes? */
static inline bool weir_ring_bytes_valid(uint64_t bytes)
{
	return bytes >= WEIR_RING_BYTES_MIN && bytes <= WEIR_RING_BYTES_MAX &&
	       bytes % WEIR_RING_BYTES_MIN == 0;
}

static inline uint64_t weir_ring_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Has a position that went from `before` to `now` come to `wanted`, or passed it? */
static inline bool weir_ring_came_by(uint64_t wanted, uint64_t before, uint64_t now)
{
	return now - wanted < now - before;
}

/* Little-endian, so the word that says what it is comes first. */
static inline void weir_ring_put_header(uint8_t *place, uint32_t word, uint32_t tag)
{
	*(weir_ring_word_t *)(void *)place = word | (uint64_t)tag << 32;
}

/* What a header says of the record that it begins. */
static inline void weir_ring_tell(struct weir_ring_record *record, const uint8_t *place,
				  uint64_t header)
{
	record->data = place + WEIR_RING_HEADER_BYTES;
	record->bytes = (uint32_t)header ^ WEIR_RING_RECORD;
	record->tag = (uint32_t)(header >> 32);
}

/* Bytes that a record with this header takes; more than there can be if it is none. */
static inline uint64_t weir_ring_extent(uint64_t header)
{
	return weir_ring_space((uint32_t)header ^ WEIR_RING_RECORD);
}

/* Four words, each read once: what the compiler knows of them is not where they came from. */
WEIR_RING_SHORT void weir_ring_copy_four(weir_ring_word_t *to, const weir_ring_word_t *from)
{
	weir_ring_word_t a = from[0], b = from[1], c = from[2], d = from[3];

	__asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
	to[0] = a;
	to[1] = b;
	to[2] = c;
	to[3] = d;
}

/* All that the ring itself lays out is 8-byte aligned. */
WEIR_RING_SHORT void *weir_ring_aligned(const void *place)
{
	return __builtin_assume_aligned(place, 8);
}

/*
 * Copies into the ring, or out of it: what looks at the copy later must not find the source read
 * again, which the peer may be changing. A few words, if the compiler knows how many, take no call.
 */
WEIR_RING_SHORT void weir_ring_copy(void *to, const void *from, uint64_t bytes)
{
	weir_ring_word_t *out = (weir_ring_word_t *)to;
	const weir_ring_word_t *in = (const weir_ring_word_t *)from;
	uint64_t misplaced = ((uintptr_t)to | (uintptr_t)from) & 7;

	if (__builtin_constant_p(bytes) && bytes % 32 == 0 && bytes <= 96 && !misplaced) {
		if (bytes >= 32)
			weir_ring_copy_four(out, in);
		if (bytes >= 64)
			weir_ring_copy_four(out + 4, in + 4);
		if (bytes >= 96)
			weir_ring_copy_four(out + 8, in + 8);
	} else if (bytes) {
		__builtin_memcpy(to, from, bytes);
		__asm__ volatile("" ::: "memory");
	}
}
