/*
 * One access to a device register of 32 bits. On the target a plain load or store of Device memory;
 * in host tests the model of the device answers.
 */
#pragma once

#include "core/base/types.h"

#if defined(__aarch64__)
static inline u32 register_read(const void *registers, u32 offset)
{
	return *(const volatile u32 *)((const char *)registers + offset);
}

static inline void register_write(void *registers, u32 offset, u32 value)
{
	*(volatile u32 *)((char *)registers + offset) = value;
}
#else
u32 register_read(const void *registers, u32 offset);
void register_write(void *registers, u32 offset, u32 value);
#endif
