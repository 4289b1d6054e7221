/* One trapped access to an emulated register. */
#pragma once

#include "core/base/types.h"

struct mmio {
	u64 offset; /* from the region's base */
	u32 bytes;  /* 1, 2, 4, 8 */
	bool write;
	u64 value; /* in for writes, out for reads (zero-extended) */
};

/* ISS of a data abort, DDI 0487 D19.2.37. */
#define ABORT_ISV    (1u << 24)
#define ABORT_SIGNED (1u << 21)
#define ABORT_WIDE   (1u << 15)
#define ABORT_S1PTW  (1u << 7)
#define ABORT_WRITE  (1u << 6)

#define ABORT_REGISTER(syndrome) ((syndrome) >> 16 & 31)
#define ABORT_BYTES(syndrome)	 (1u << ((syndrome) >> 22 & 3))

/* What a load puts into its register. */
static inline u64 mmio_loaded(u32 syndrome, u32 bytes, u64 value)
{
	u32 unused = 64 - 8 * bytes;

	if (!(syndrome & ABORT_SIGNED))
		return value;
	value = (u64)((s64)(value << unused) >> unused);
	return syndrome & ABORT_WIDE ? value : (u32)value;
}

/* 32-bit register models: a narrower or misplaced access reads and writes the right bytes of it. */
static inline u32 mmio_extract(const struct mmio *access, u32 word)
{
	return word >> (8 * (access->offset & 3));
}
