/*
 * Pages for sharing: who in a VM has which pages of its shareable pool and of its grant window.
 *
 * A VM has one struct weir_space, from which channels (channel.h) and page rings (page_ring.h) take
 * what they need when they are opened first, and keep it. Pages are given out from the front on and
 * not taken back: a channel that is opened again has those that it had.
 *
 * A struct weir_space of zeroes is filled in by the first who takes something: all of pool and
 * window, mapped 1:1. A guest that has them mapped elsewhere, or keeps some pages for itself, fills
 * it in before. It is used by one task at a time; no hypercall but WEIR_FN_MEMORY (abi.h).
 *
 * Errors:
 *   WEIR_QUOTA: so many pages are not left. `shared-kib` and `window-kib` of the manifest say how
 *		 many there are.
 * Tests: tests/host/test_channel.c. Since ABI 1.
 */
#pragma once

#include <weir/hypercall.h>

struct weir_space {
	uint8_t *pool, *window;		   /* as the guest has them mapped */
	uint32_t pool_pages, window_pages; /* in all */
	uint32_t pool_used, window_used;   /* given out, or the guest's own: the first ones */
};

/* Of more than this a grant cannot name the rest. */
#define WEIR_SPACE_POOL_MAX 65536u

/* Whole pages, as many as grants can name. */
static inline uint32_t weir_space_pages(uint64_t bytes)
{
	uint64_t pages = bytes / WEIR_PAGE_SIZE;

	return pages < WEIR_SPACE_POOL_MAX ? (uint32_t)pages : WEIR_SPACE_POOL_MAX;
}

/* All of the VM's pool and window, mapped 1:1. */
static inline enum weir_status weir_space_init(struct weir_space *space)
{
	uint64_t pool = 0, pool_bytes = 0, window = 0, window_bytes = 0;
	enum weir_status status = weir_memory(WEIR_REGION_POOL, &pool, &pool_bytes);

	if (status == WEIR_OK)
		status = weir_memory(WEIR_REGION_WINDOW, &window, &window_bytes);
	if (status != WEIR_OK)
		return status;
	space->pool = (uint8_t *)(uintptr_t)pool;
	space->window = (uint8_t *)(uintptr_t)window;
	space->pool_pages = weir_space_pages(pool_bytes);
	space->window_pages = weir_space_pages(window_bytes);
	space->pool_used = 0;
	space->window_used = 0;
	return WEIR_OK;
}

/* Takes pages of both, or of neither; *pool and *window are the first ones. */
static inline enum weir_status weir_space_take(struct weir_space *space, uint32_t pool_pages,
					       uint32_t window_pages, uint32_t *pool,
					       uint32_t *window)
{
	if (!space->pool && !space->window) {
		enum weir_status status = weir_space_init(space);

		if (status != WEIR_OK)
			return status;
	}
	if (pool_pages > space->pool_pages - space->pool_used ||
	    window_pages > space->window_pages - space->window_used)
		return WEIR_QUOTA;
	*pool = space->pool_used;
	*window = space->window_used;
	space->pool_used += pool_pages;
	space->window_used += window_pages;
	return WEIR_OK;
}
