/* One trapped access to an emulated register. */
#pragma once

#include "core/base/types.h"

struct mmio {
	u64 offset; /* from the region's base */
	u32 bytes;  /* 1, 2, 4, 8 */
	bool write;
	u64 value; /* in for writes, out for reads (zero-extended) */
};

/* 32-bit register models: a narrower or misplaced access reads and writes the right bytes of it. */
static inline u32 mmio_extract(const struct mmio *access, u32 word)
{
	return word >> (8 * (access->offset & 3));
}
