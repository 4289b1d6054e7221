/*
 * Cache maintenance to the point of coherency, and for instructions. DDI 0487 D7.5. Which path needs what:
 * README.md of this folder. Source: cache.c. Tests: tests/host/test_coherency.c
 */
#pragma once

#include "core/base/types.h"

/* CTR_EL0.CWG: what is written back at once is no more than that. */
u64 cache_granule_bytes(void);
/* To memory, and forget: by lines, so what shares the first or the last of them goes too. */
void cache_clean_invalidate(const void *start, u64 bytes);
void cache_zero(void *page);		  /* DC ZVA over one page; in the caches only */
void cache_scrub(void *page);		  /* zeroes one page for all observers */
void cache_invalidate_instructions(void); /* all, inner shareable */
