/*
 * Stage-2 tables: intermediate physical to physical address for one VM. 4 KiB granule, 39-bit IPA,
 * start at level 1, inner shareable. DDI 0487 D8.
 *
 * Locks: the caller serialises changes to one struct stage2. Tables come from `alloc` (a zeroed
 * page of the heap) and only before the VM first runs; after that entries change in place. Source:
 * stage2.c
 */
#pragma once

#include "core/base/types.h"

enum stage2_kind {
	STAGE2_NONE,
	STAGE2_RAM,	    /* Normal write-back, read-write, executable */
	STAGE2_SHARED,	    /* Normal write-back, read-write, not executable */
	STAGE2_SHARED_READ, /* Normal write-back, read-only, not executable */
	STAGE2_DEVICE,	    /* Device-nGnRE, read-write */
};

#define STAGE2_IPA_BITS 39

struct stage2 {
	u64 *root;
	u64 vttbr;
	void *(*alloc)(void);
};

/* Once on each core: VTCR_EL2. */
void stage2_init_core(void);
void stage2_init(struct stage2 *tables, u32 vmid, void *(*alloc)(void));

/*
 * Boot only: maps a range, page-aligned, with 2 MiB blocks where both addresses allow and `blocks`.
 */
void stage2_map(struct stage2 *tables, ipa_t ipa, pa_t pa, u64 bytes, enum stage2_kind kind,
		bool blocks);
/* Boot only: makes the level-3 tables of a range without mapping anything. */
void stage2_make_tables(struct stage2 *tables, ipa_t ipa, u64 bytes);

/*
 * Any time: changes `count` pages whose level-3 tables exist; page i goes to pa + i * stride,
 * STAGE2_NONE unmaps. Break-before-make and TLB maintenance for all cores are complete when it
 * returns.
 */
void stage2_set_pages(struct stage2 *tables, ipa_t ipa, u32 count, pa_t pa, u64 stride,
		      enum stage2_kind kind);

/* Forgets what any core's TLB holds for these tables: the guest begins anew. */
void stage2_forget(const struct stage2 *tables);

/* What is mapped at an address; STAGE2_NONE if nothing. `pa` includes the offset. */
enum stage2_kind stage2_lookup(const struct stage2 *tables, ipa_t ipa, pa_t *pa);
