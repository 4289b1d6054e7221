/* Positions far from the start of a ring, where 16, 31, 32, 48 and 63 bits end, for test_event_wrap.c and test_ring_wrap.c. */
#pragma once

#include "core/base/types.h"

static const u64 starts[] = {
	0,	   (1ul << 16) - 2, (1ul << 31) - 2, (1ul << 32) - 3, (1ul << 32) - 2,
	1ul << 32, (1ul << 48) - 2, (1ul << 63) - 2,
};
