/*
 * mmu_window() as it is: a page at a time, at an address of each window's own, with nothing behind it. So who crosses a
 * page's end through a window, or uses one after it shows another page, is seen. For programs with guest memory of this.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "fake.h"
#include "arch/arm64/mmu.h"

#define SPACE_PAGES 64u

static struct {
	int file;
	u8 *memory;
	u64 bytes;
	u8 *window[WINDOW_COUNT];
	u64 shown[WINDOW_COUNT]; /* the physical page + 1 */
	u8 *space;		 /* for what is pinned */
	u32 reserved;		 /* pages of it, since the memory was taken anew */
} windows;

static void *map_or_die(void *at, u64 bytes, int protection, int flags, int file, u64 offset)
{
	void *where = mmap(at, bytes, protection, flags, file, (off_t)offset);

	if (where == MAP_FAILED)
		abort();
	return where;
}

static void make(u64 bytes)
{
	windows.file = memfd_create("guest", 0);
	if (windows.file < 0 || ftruncate(windows.file, (off_t)bytes))
		abort();
	windows.bytes = bytes;
	windows.space = map_or_die(0, SPACE_PAGES * PAGE_SIZE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	windows.memory = map_or_die(0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, windows.file, 0);
	for (u32 i = 0; i < WINDOW_COUNT; i++)
		windows.window[i] =
			map_or_die(0, 2 * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

u8 *fake_windows_memory(u64 bytes)
{
	if (!windows.memory)
		make(bytes);
	assert_int_equal(windows.bytes, bytes);
	memset(windows.memory, 0, bytes);
	mmu_unpin(windows.space, SPACE_PAGES);
	windows.reserved = 0;
	return windows.memory;
}

/* What was unpinned is not there any more. */
void *mmu_reserve(u32 pages)
{
	u8 *space = windows.space + windows.reserved * PAGE_SIZE;

	windows.reserved += pages;
	assert_true(windows.reserved <= SPACE_PAGES);
	return space;
}

void *mmu_pin(void *space, pa_t base, u64 bytes)
{
	u64 offset = base.raw - (u64)windows.memory, page = align_down(offset, PAGE_SIZE);

	assert_true(offset < windows.bytes && bytes <= windows.bytes - offset);
	map_or_die(space, align_up(offset + bytes, PAGE_SIZE) - page, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_FIXED, windows.file, page);
	return (u8 *)space + (offset & PAGE_MASK);
}

void mmu_unpin(void *space, u32 pages)
{
	map_or_die(space, pages * PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0);
}

void *mmu_window(enum window window, pa_t pa)
{
	u64 offset = pa.raw - (u64)windows.memory, page = align_down(offset, PAGE_SIZE);

	assert_true(offset < windows.bytes);
	if (windows.shown[window] != page + 1)
		map_or_die(windows.window[window], PAGE_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, windows.file, page);
	windows.shown[window] = page + 1;
	return windows.window[window] + (offset & PAGE_MASK);
}
