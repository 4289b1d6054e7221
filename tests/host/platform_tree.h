/* A machine by its device tree of tests/host/trees, for test_platform*.c. */
#pragma once

#include "fake.h"
#include "core/platform.h"

#define BOOT_MPIDR 0x80000000ul

static struct platform platform; /* as last read */

static inline bool read_tree(const void *tree)
{
	u64 bytes;

	return platform_read(tree_exact(tree, &bytes), BOOT_MPIDR, &platform);
}

static inline int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	return 0;
}

static inline int clean(void **state)
{
	(void)state;
	tree_free();
	return 0;
}
