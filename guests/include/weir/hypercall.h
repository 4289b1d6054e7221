/*
 * The `hvc #0` instruction itself: what every wrapper in these headers is made of; and the wrappers
 * of the calls that abi.h describes.
 *
 * Runs at EL1 of a Weir VM only. Clobbers x0..x3 and memory; Weir preserves all other registers.
 * On another architecture weir_call() is only declared: a host test defines it.
 * Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <weir/abi.h>

struct weir_result {
	int64_t status; /* enum weir_status, or SMCCC's -1 */
	uint64_t value[3];
};

#if defined(__aarch64__)
static inline struct weir_result weir_call(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3,
					   uint64_t a4, uint64_t a5, uint64_t a6)
{
	register uint64_t x0 __asm__("x0") = function;
	register uint64_t x1 __asm__("x1") = a1;
	register uint64_t x2 __asm__("x2") = a2;
	register uint64_t x3 __asm__("x3") = a3;
	register uint64_t x4 __asm__("x4") = a4;
	register uint64_t x5 __asm__("x5") = a5;
	register uint64_t x6 __asm__("x6") = a6;
	struct weir_result result;

	__asm__ volatile("hvc #0"
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 : "r"(x4), "r"(x5), "r"(x6)
			 : "memory");
	result.status = (int64_t)x0;
	result.value[0] = x1;
	result.value[1] = x2;
	result.value[2] = x3;
	return result;
}
#else
#ifdef __cplusplus
extern "C"
#endif
	struct weir_result
	weir_call(uint32_t function, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
		  uint64_t a5, uint64_t a6);
#endif

/* A call whose only result is its status. */
static inline enum weir_status weir_do(uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3,
				       uint64_t a4, uint64_t a5)
{
	return (enum weir_status)weir_call(WEIR_FN(number), a1, a2, a3, a4, a5, 0).status;
}

/* Whether Weir is what answers `hvc #0`. On a machine without any EL2 the instruction traps. */
static inline bool weir_find(void)
{
	struct weir_result uid = weir_call(WEIR_SMCCC_UID, 0, 0, 0, 0, 0, 0);

	return (uint32_t)uid.status == WEIR_UID_0 && (uint32_t)uid.value[0] == WEIR_UID_1 &&
	       (uint32_t)uid.value[1] == WEIR_UID_2 && (uint32_t)uid.value[2] == WEIR_UID_3;
}

/* WEIR_ABI_VERSION of the hypervisor; WEIR_FN_VERSION has no errors. */
static inline uint64_t weir_version(void)
{
	return weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0).value[0];
}

/*
 * The pages of one vCPU, as the guest has them mapped, 1:1 here. `in` is to be written by that vCPU
 * only; the receive functions of event.h, block.h and upcall.h are to be called by it only, and not
 * by a task and an interrupt handler at the same time.
 */
struct weir_pages {
	struct weir_in *in;
	const struct weir_out *out;
	const uint32_t *event_rings;
	uint64_t event_slots;
};

/*
 * The pages of the vCPU that calls, by WEIR_FN_PAGES; with the MMU on, for the size of its event rings is read
 * there.
 */
static inline enum weir_status weir_pages_get(struct weir_pages *pages)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_PAGES), 0, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status != WEIR_OK)
		return (enum weir_status)result.status;
	pages->in = (struct weir_in *)(uintptr_t)result.value[0];
	pages->out = (const struct weir_out *)(uintptr_t)result.value[1];
	pages->event_rings = (const uint32_t *)(uintptr_t)result.value[2];
	pages->event_slots = pages->out->event_slots;
	return WEIR_OK;
}

/* The IPA of a region of the VM and its size in bytes, by WEIR_FN_MEMORY. WEIR_INVALID: there is no such region. */
static inline enum weir_status weir_memory(enum weir_region region, uint64_t *base, uint64_t *bytes)
{
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_MEMORY), (uint64_t)region, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK) {
		*base = result.value[0];
		*bytes = result.value[1];
	}
	return (enum weir_status)result.status;
}
