/*
 * Grants as a VM is made, ends and begins anew (grant.h): in bounded steps, while others go on.
 *
 * Owns:  nothing of its own; see grant.c.
 * Locks: vm->ipc->grant.lock of the VM and of whoever else a grant or a mapping concerns.
 */
#include "ipc/grant_table.h"

/* No grant begins and no mapping appears after this: share and map look under the same lock. */
static void forbid(struct vm *vm)
{
	grant_lock(vm);
	vm->ipc->grant.stopped = true;
	grant_unlock(vm);
}

/* What begins at a page of the pool, if it has not just come to its end. */
static void end(struct vm *vm, struct grant *grant) NO_THREAD_SAFETY
{
	grant_lock(vm);
	if (grant->pages)
		grant_end(vm, grant);
	else
		grant_unlock(vm);
}

/* A step looks at so many pages where nothing begins, or ends what begins at one. */
#define STEP_PAGES 128

bool grant_vm_revoke(struct vm *vm, u64 *at)
{
	struct grant_vm *table = &vm->ipc->grant;
	u64 stop = min(*at + STEP_PAGES, table->pool_pages);

	if (*at == 0)
		forbid(vm);
	while (*at < stop) {
		struct grant *grant = &table->grant[(*at)++];

		/* Grants only end from now on: no lock to look. */
		if (__atomic_load_n(&grant->pages, __ATOMIC_RELAXED)) {
			end(vm, grant);
			break;
		}
	}
	return *at < table->pool_pages;
}

#define STEP_SCRUBS 2 /* under the locks */

/*
 * Zeroes some pages of what was passed to the VM, from page `done` of the mapping on: what a dead VM
 * had is nobody else's. Under home's lock, for home could take them back at any time. Returns the
 * next page to be done; 0: there is nothing to do any more.
 */
static u64 window_scrub(struct vm *vm, const struct vm *home, u64 first, u64 done)
{
	const struct window_page *page = &vm->ipc->grant.window[first];
	const struct grant *grant = &home->ipc->grant.grant[page->grant];
	u64 end;

	if (page->state == WINDOW_SCRATCH || grant->access != WEIR_PASS || done >= page->pages)
		return 0;
	end = min(done + STEP_SCRUBS, (u64)page->pages);
	for (; done < end; done++)
		cache_scrub(
			mmu_window(WINDOW_TARGET, pool_pa(&home->ipc->grant, page->grant + done)));
	return end;
}

/* A step of what begins there; what is to be done of it next, 0: it is out of the window. */
static u64 window_end(struct vm *vm, u64 first, u64 scrubbed) NO_THREAD_SAFETY
{
	struct vm *home = grant_window_lock(vm, first);

	if (!home) /* it was revoked on its way just now */
		return 0;
	scrubbed = window_scrub(vm, home, first, scrubbed);
	if (scrubbed)
		grant_window_unlock(vm, home);
	else
		grant_window_unmap(vm, home, first);
	return scrubbed;
}

/* *at: a page of the window, and above PAGE_BITS how much of what begins there is scrubbed. */
#define PAGE_BITS 32

bool grant_vm_unmap(struct vm *vm, u64 *at)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 page = (u32)*at, scrubbed = *at >> PAGE_BITS;
	u64 end = min(page + STEP_PAGES, table->window_pages);

	/* Mappings only end from now on, and only this VM ends its own: no lock to look. */
	for (; page < end && !__atomic_load_n(&table->window[page].pages, __ATOMIC_RELAXED); page++)
		scrubbed = 0;
	if (page < end) {
		scrubbed = window_end(vm, page, scrubbed);
		page += !scrubbed;
	}
	*at = scrubbed << PAGE_BITS | page;
	return page < table->window_pages;
}

bool grant_vm_reset(struct vm *vm, u64 *at)
{
	(void)at;
	if (vm->ipc->grant.scratch)
		cache_scrub(vm->ipc->grant.scratch);
	grant_lock(vm);
	vm->ipc->grant.stopped = false;
	grant_unlock(vm);
	return false;
}

/* ---- Sets of pages that are in more words than one ----------------------------------------------- */

bool pages_any_of_many(const u64 *set, u64 first, u64 count)
{
	for (u64 end = first + count; first < end; first = align_down(first, 64) + 64)
		if (set[first / 64] & pages_of_word(first, min(end - first, 64ul)))
			return true;
	return false;
}

void pages_change_many(u64 *set, u64 first, u64 count, bool add)
{
	for (u64 end = first + count; first < end; first = align_down(first, 64) + 64) {
		u64 pages = pages_of_word(first, min(end - first, 64ul));

		set[first / 64] = add ? set[first / 64] | pages : set[first / 64] & ~pages;
	}
}

/* ---- Boot ---------------------------------------------------------------------------------------- */

/* A handle has 16 bits for the page: what lies behind them cannot be shared. */
static u64 pool_pages(u64 pool_bytes)
{
	return min(pool_bytes / PAGE_SIZE, INDEX_MAX);
}

#define FITS(pages, entry) ((pages) * sizeof(entry) <= HEAP_PAGES_MAX * PAGE_SIZE)
_Static_assert(FITS(INDEX_MAX, struct grant), "the heap gives the largest pool's table");
_Static_assert(VM_WINDOW_BASE >> 30 == (VM_RAM_BASE - 1) >> 30,
	       "a window's pieces are in one table");
_Static_assert(FITS((VM_RAM_BASE - VM_WINDOW_BASE) / PAGE_SIZE, struct window_page),
	       "the heap gives the largest window's table");

static u64 set_bytes(u64 pages)
{
	return align_up(pages, 64) / 8;
}

/* Two tables more than there are whole ones: at both ends. */
static u64 area_bytes(u64 bytes)
{
	return (bytes / BLOCK_2M + 2) * sizeof(u64 *);
}

/* A VM that may have whole pieces of 2 MiB has a table that shows its scratch page all over one. */
static bool has_pieces(u64 pool_bytes, u64 window_bytes)
{
	return pool_bytes >= BLOCK_2M || window_bytes >= BLOCK_2M;
}

u64 grant_heap_bytes(const struct manifest_vm *config)
{
	u64 pool = pool_pages(config->shared_bytes), window = config->window_bytes / PAGE_SIZE;
	u64 single = has_pieces(config->shared_bytes, config->window_bytes) ? 2 : 1;

	if (!manifest_may_share(config))
		return 0;
	return heap_cost(pool * sizeof(struct grant)) + heap_cost(set_bytes(pool)) +
	       heap_cost(area_bytes(config->shared_bytes)) +
	       heap_cost(window * sizeof(struct window_page)) + heap_cost(set_bytes(window)) +
	       heap_cost(area_bytes(config->window_bytes)) + single * heap_cost(PAGE_SIZE);
}

/* For both areas: what a VM sees of a piece is revoked, or passed, alike. */
static void make_blank(struct vm *vm)
{
	struct grant_vm *table = &vm->ipc->grant;

	if (!has_pieces(vm->pool_bytes, vm->window_bytes))
		return;
	stage2_area_blank(&table->pool_area, heap_page(), mmu_heap_pa(table->scratch),
			  STAGE2_SHARED);
	table->window_area.blank = table->pool_area.blank;
}

static void make_area(struct stage2_area *area, const struct vm *vm, ipa_t ipa, u64 bytes)
{
	stage2_area_init(area, &vm->stage2, ipa, bytes,
			 heap_alloc(stage2_area_tables(ipa, bytes) * sizeof(u64 *)));
}

void grant_vm_create(struct vm *vm)
{
	struct grant_vm *table = &vm->ipc->grant;

	table->pool_ipa = IPA(vm_pool_base(vm));
	table->pool = PA(vm->ram.raw + vm->ram_bytes - vm->pool_bytes);
	if (!manifest_may_share(vm->config)) /* none of its pages is ever in a grant */
		return;
	table->pool_pages = (u32)pool_pages(vm->pool_bytes);
	table->window_pages = (u32)(vm->window_bytes / PAGE_SIZE);
	/* The largest first: what it leaves of its last page is for the others. */
	if (table->window_pages) {
		table->window = heap_alloc(table->window_pages * sizeof(*table->window));
		table->used = heap_alloc(set_bytes(table->window_pages));
		make_area(&table->window_area, vm, window_ipa(0), vm->window_bytes);
	}
	if (table->pool_pages) {
		table->grant = heap_alloc(table->pool_pages * sizeof(*table->grant));
		table->shared = heap_alloc(set_bytes(table->pool_pages));
		make_area(&table->pool_area, vm, table->pool_ipa, table->pool_pages * PAGE_SIZE);
	}
	table->scratch = heap_page();
	make_blank(vm);
}
