/*
 * Barriers between cores. Publish with __atomic_store_n(.., __ATOMIC_RELEASE), read with
 * __ATOMIC_ACQUIRE; a full barrier only where a store must come before a load.
 */
#pragma once

static inline void full_barrier(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* dmb ish */
}

/*
 * The same towards a device that reads and writes memory by DMA, which is an observer of the outer
 * shareable domain: stores before it are seen by the device before stores behind it (memory or
 * device registers) ...
 */
static inline void dma_publish(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshst" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* ... and loads before it are done before any access behind it. */
static inline void dma_observe(void)
{
#if defined(__aarch64__)
	__asm__ volatile("dmb oshld" ::: "memory");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

/* In every loop that waits for another core: also what lets icount runs hand over. */
static inline void cpu_relax(void)
{
#if defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}
