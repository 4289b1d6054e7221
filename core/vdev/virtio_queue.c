/*
 * Chains of virtio devices' queues (virtio.h): taken from a driver, and given back. Apart from virtio.c, for this is
 * executed for each request, and made fast. Section numbers are those of VIRTIO 1.2.
 *
 * Locks: device->lock.
 *
 * Barriers, all between this core and the guest's:
 *   [M1] the available index before the ring's entry and the descriptors; pairs with the driver's write
 *	  barrier before it moves the index (2.7.13.3).
 *   [M2] the used entry before the used index; pairs with the driver reading the index first (2.7.14).
 *   [M3] avail_event before the available index is read again; pairs with the driver that moves the index
 *	  and then reads avail_event (2.7.13.4.1): one of the two sees the other.
 *   [M4] the used index before used_event or the flags are read; pairs with the driver that asks for
 *	  interrupts and then looks at the index once more (2.7.14).
 */
#include <weir/order.h>
#include "arch/arm64/barrier.h"
#include "core/vdev/virtio.h"
#include "core/vm.h"
#include "drivers/virtio_registers.h"

#define NO_INTERRUPT 1u /* flag of the available ring */

/* Offsets in both rings: flags, index, entries. The event field is behind the entries. */
#define RING_INDEX 2u
#define RING_ENTRY 4u

/* The second word of a descriptor: its bytes, flags, and the next one's index. */
#define FLAG(flag) ((u64)(flag) << 32)
#define NEXT_SHIFT 48

/* No RAM is so large; and twice that and a chain's bytes are no overflow. */
#define OFFSET_BITS 48

struct used_entry {
	u32 id, bytes;
};

static void *look(const struct virtio_queue *queue, enum virtio_part part, u64 offset)
{
	return queue->at[part] + offset;
}

/*
 * Of the pieces of the chain from its head on. False: it is none. What is wrong with a descriptor, but that it has no
 * bytes, is found when all are read: until then nothing is done by them, and the next one's index is masked.
 */
static bool read_chain(const struct vm *vm, const struct virtio_queue *queue,
		       struct virtio_chain *chain)
{
	const u64(*table)[2] = look(queue, VIRTIO_DESCRIPTORS, 0);
	u64 mask = queue->size - 1, base = vm->ram_ipa, ram = vm->ram.raw;
	u64 word = (u64)chain->head << NEXT_SHIFT;
	/* Of all descriptors, but `before`: that is of the head and of all but the last. */
	u64 before = 0, offsets = 0, end = 0, bytes = 0, writes = 0;
	struct block_segment *piece = chain->piece;
	u32 next = 0;
	u64 writable;

	do {
		const u64 *entry = table[word >> NEXT_SHIFT & mask];
		u64 offset;

		__asm__("" : "+r"(entry)); /* hidden, or each word's address is made anew */
		before |= word;
		offset = read_once(entry[0]) - base;
		word = read_once(entry[1]);
		if (!(u32)word || piece == &chain->piece[VIRTIO_CHAIN_MAX])
			return false;
		offsets |= offset;
		end = max(end, offset + (u32)word);
		bytes += (u32)word;
		writes = writes << 1 | (word & FLAG(DESCRIPTOR_WRITE));
		next += 1u << 16;
		*piece++ = (struct block_segment){ PA(ram + offset), (u32)word,
						   (u32)(word >> 32 & 3) | next };
	} while (word & FLAG(DESCRIPTOR_NEXT));
	/* What is to be written comes last: as many bits, and none behind them. The size is a power of two. */
	writes >>= 33;
	if (before >> NEXT_SHIFT > mask || (before | word) & FLAG(DESCRIPTOR_INDIRECT) ||
	    offsets >> OFFSET_BITS || end > vm->ram_bytes || writes & (writes + 1))
		return false;
	writable = 63 - (u64)__builtin_clzl(2 * writes + 1);
	chain->count = (u32)(piece - chain->piece);
	chain->readable = chain->count - (u32)writable;
	chain->sizes = (u32)before;
	chain->bytes = bytes;
	chain->end = ram + end;
	return true;
}

static u16 available_index(const struct virtio_queue *queue)
{
	const u16 *index = look(queue, VIRTIO_AVAILABLE, RING_INDEX);
	u16 value;

	WEIR_ORDERED(M1, ldar, value = __atomic_load_n(index, __ATOMIC_ACQUIRE));
	return value;
}

/* The driver is to notify when it makes the next one available; it may have done so already. */
static u16 ask_notification(const struct virtio_queue *queue)
{
	u16 *event = look(queue, VIRTIO_USED, RING_ENTRY + sizeof(struct used_entry) * queue->size);

	write_once(*event, queue->seen);
	WEIR_ORDERED(M3, dmb ish, full_barrier());
	return available_index(queue);
}

bool virtio_more(const struct virtio_device *device, struct virtio_queue *queue)
{
	u16 seen = queue->seen, available = queue->available;

	if (available != seen)
		return true;
	available = available_index(queue);
	if (available == seen && virtio_has(device, VIRTIO_EVENT_INDEX))
		available = ask_notification(queue);
	queue->available = available;
	return available != seen;
}

bool virtio_take(struct virtio_device *device, struct virtio_queue *queue,
		 struct virtio_chain *chain)
{
	const u16 *entry;

	if (!virtio_more(device, queue))
		return false;
	entry = look(queue, VIRTIO_AVAILABLE, RING_ENTRY + 2 * (queue->seen & (queue->size - 1)));
	chain->head = read_once(*entry);
	if ((u16)(queue->available - queue->seen) > queue->size ||
	    !read_chain(device->vm, queue, chain)) {
		virtio_break(device);
		return false;
	}
	queue->seen++;
	return true;
}

static bool wants_interrupt(const struct virtio_device *device, const struct virtio_queue *queue)
{
	const u16 *word;

	WEIR_ORDERED(M4, dmb ish, full_barrier());
	if (virtio_has(device, VIRTIO_EVENT_INDEX)) {
		word = look(queue, VIRTIO_AVAILABLE, RING_ENTRY + 2 * queue->size);
		return read_once(*word) == (u16)(queue->used - 1);
	}
	word = look(queue, VIRTIO_AVAILABLE, 0);
	return !(read_once(*word) & NO_INTERRUPT);
}

void virtio_put(struct virtio_device *device, struct virtio_queue *queue, u16 head, u32 bytes)
{
	u64 slot = queue->used & (queue->size - 1);
	struct used_entry *entry = look(queue, VIRTIO_USED, RING_ENTRY + sizeof(*entry) * slot);
	u16 *index;

	entry->id = head;
	entry->bytes = bytes;
	queue->used++;
	index = look(queue, VIRTIO_USED, RING_INDEX);
	WEIR_ORDERED(M2, stlr, __atomic_store_n(index, queue->used, __ATOMIC_RELEASE));
	if (wants_interrupt(device, queue))
		virtio_interrupt(device, INTERRUPT_USED);
}
