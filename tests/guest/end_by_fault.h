/* How a test guest ends its VM by a fault. */
#pragma once

#include <stdint.h>

#define NO_MEMORY 0x20000000ul

/* An exception whose vectors are where nothing can be fetched. */
static inline void end_by_fault_at(uint64_t vectors)
{
	uint64_t sctlr;

	__asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
	__asm__ volatile("msr vbar_el1, %0\n\t"
			 "msr sctlr_el1, %1\n\t"
			 "isb\n\t"
			 "svc #0" ::"r"(vectors),
			 "r"(sctlr & ~1ul));
}

static inline void end_by_fault(void)
{
	end_by_fault_at(NO_MEMORY);
}
