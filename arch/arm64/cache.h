/* Cache maintenance to the point of coherency, and for instructions. DDI 0487 D7.5. cache.c */
#pragma once

#include "core/base/types.h"

void cache_clean_invalidate(const void *start, u64 bytes); /* to memory, and forget */
void cache_zero(void *page);				   /* DC ZVA over one page */
void cache_invalidate_instructions(void);		   /* all, inner shareable */
