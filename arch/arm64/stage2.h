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
 * Any time: changes `count` pages whose level-3 tables exist; page i goes to pa + i * PAGE_SIZE,
 * STAGE2_NONE unmaps. Break-before-make and TLB maintenance for all cores are complete when it
 * returns.
 */
void stage2_set_pages(const struct stage2 *tables, ipa_t ipa, u32 count, pa_t pa,
		      enum stage2_kind kind);

/*
 * A range of addresses whose entries change often. Its level-3 tables exist, and it knows where they
 * are. The memory for their addresses is given to it: stage2_area_tables() pointers.
 */
struct stage2_area {
	const struct stage2 *tables;
	ipa_t base;   /* where the piece of 2 MiB begins in which the range begins */
	u64 **level3; /* the table of each piece */
	u64 *level2;  /* the first piece's entry at level 2 */
	u64 blank;    /* what stands there while a piece shows one page all over; 0: none may */
};

static inline u64 stage2_area_tables(ipa_t ipa, u64 bytes)
{
	return (align_up(ipa.raw + bytes, BLOCK_2M) - align_down(ipa.raw, BLOCK_2M)) / BLOCK_2M;
}

/* Boot only. */
void stage2_area_init(struct stage2_area *area, const struct stage2 *tables, ipa_t ipa, u64 bytes,
		      u64 **level3);
/*
 * Boot only: fills a page of the heap: the table of a piece while all of that shows one page, of a kind that is not
 * executable.
 */
void stage2_area_blank(struct stage2_area *area, u64 *table, pa_t pa, enum stage2_kind kind);
/*
 * As stage2_set_pages(), for up to 64 pages of the range; page i goes to pa + i * stride. (To unmap: pa and
 * stride are 0.) Or for the STAGE2_PIECE_PAGES of a piece, by its entry at level 2: with a kind that is not
 * executable they show one page, that of stage2_area_blank(); with STAGE2_NONE or STAGE2_RAM they are what the
 * piece's own table says, which has not been changed by any of this.
 */
#define STAGE2_PIECE_PAGES 512u
void stage2_area_set(const struct stage2_area *area, ipa_t ipa, u32 count, pa_t pa, u64 stride,
		     enum stage2_kind kind);
/* Makes a piece one block. The range lies in one GiB. */
void stage2_area_block(const struct stage2_area *area, ipa_t ipa, pa_t pa, enum stage2_kind kind);

/* Forgets what any core's TLB holds for these tables: the guest begins anew. */
void stage2_forget(const struct stage2 *tables);

/* What is mapped at an address; STAGE2_NONE if nothing. `pa` includes the offset. */
enum stage2_kind stage2_lookup(const struct stage2 *tables, ipa_t ipa, pa_t *pa);
