/*
 * Pages for buffers: RAM between the end of the image and the device tree (native) or the shareable
 * pool (under Weir), whichever is lower, handed out from below.
 */
#include "guests/lib/runtime.h"

extern uint8_t __image_end[];

static struct guest_lock lock;
static uint64_t next, end;

void memory_init(const void *tree)
{
	next = ((uint64_t)__image_end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
	end = (uint64_t)tree;
}

void memory_limit(uint64_t limit)
{
	if (end == 0 || limit < end)
		end = limit;
}

void *memory_pages(size_t count)
{
	uint64_t flags = guest_lock(&lock);
	uint64_t pages = 0;

	if (end > next && count <= (end - next) / PAGE_SIZE) {
		pages = next;
		next += count * PAGE_SIZE;
	}
	guest_unlock(&lock, flags);
	return pages ? memset((void *)pages, 0, count * PAGE_SIZE) : NULL;
}
