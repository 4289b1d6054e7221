/* The compiler's stack protector: its guard value, and what happens when it was overwritten. */
#pragma once

#include "core/base/types.h"

/* First thing at boot, from a function that does not return. */
void stack_guard_set(u64 value);
