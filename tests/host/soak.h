/*
 * How long a program goes on that could go on for ever, and its seed: tests/soak.py says what each
 * means, and how the one who calls chooses.
 */
#pragma once

#include "core/base/types.h"

#include <stdlib.h>

static inline u64 soak_variable(const char *name, u64 otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, 0, 10) : otherwise;
}

static inline u64 soak_count(u64 usual, u64 in_soak_mode)
{
	return getenv("WEIR_SOAK") ? soak_variable("WEIR_SOAK_COUNT", in_soak_mode) : usual;
}

static inline u64 soak_seconds(u64 usual, u64 in_soak_mode)
{
	return getenv("WEIR_SOAK") ? soak_variable("WEIR_SOAK_SECONDS", in_soak_mode) : usual;
}

static inline u64 soak_seed(void)
{
	return soak_variable("WEIR_SEED", 1);
}
