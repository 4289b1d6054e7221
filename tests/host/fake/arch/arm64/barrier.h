/* Stands in for arch/arm64/barrier.h: the same, recorded where a program is linked with fake/record.c. */
#pragma once

#include "core/base/types.h"

void fake_note(const char *what, u64 address) __attribute__((weak));

static inline void fake_barrier(const char *what)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (fake_note)
		fake_note(what, 0);
}

static inline void full_barrier(void)
{
	fake_barrier("dmb ish");
}

static inline void dma_publish(void)
{
	fake_barrier("dmb oshst");
}

static inline void dma_observe(void)
{
	fake_barrier("dmb oshld");
}

static inline void cpu_relax(void)
{
}
