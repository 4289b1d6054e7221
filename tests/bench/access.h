/* Accesses to device registers, one instruction each. */
#pragma once

#include <stdint.h>

/*
 * The library's accessors in a loop may become stores with write-back, whose syndrome does not say
 * what is stored: no hypervisor can emulate those.
 */
static inline uint32_t peek(uint64_t address)
{
	uint32_t value;

	__asm__ volatile("ldr %w0, [%1]" : "=r"(value) : "r"(address) : "memory");
	return value;
}

static inline void poke(uint64_t address, uint32_t value)
{
	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}
