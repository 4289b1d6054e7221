/*
 * Every page has one home and one holder: what the head of grant.c says of the tables and of stage 2, asserted at
 * the end of each call, over the pages that it was about. In debug builds (DEBUG=1, and the host's tests).
 *
 * Locks: those of home, and of the holder if there is one.
 */
#include "core/base/panic.h"
#include "ipc/grant_table.h"

#ifdef WEIR_DEBUG

static bool has(const u64 *set, u64 page)
{
	return set[page / 64] >> page % 64 & 1;
}

static void check_seen(const struct vm *vm, ipa_t ipa, enum stage2_kind kind, pa_t expected)
{
	pa_t pa = PA(0);

	assert(stage2_lookup(&vm->stage2, ipa, &pa) == kind);
	assert(kind == STAGE2_NONE || pa.raw == expected.raw);
}

/* What the VM sees of a mapping; `grant` is 0 for what is left of a revoked one. */
static void check_window(const struct vm *vm, u64 first, const struct vm *home, u64 index,
			 const struct grant *grant)
{
	const struct grant_vm *own = &vm->ipc->grant;
	const struct window_page *page = &own->window[first];
	enum stage2_kind kind = STAGE2_SHARED;

	if (page->state == WINDOW_OFFERED)
		kind = STAGE2_NONE;
	else if (grant && grant->access == WEIR_READ)
		kind = STAGE2_SHARED_READ;
	for (u64 i = 0; i < page->pages; i++) {
		assert(has(own->used, first + i));
		assert(i == 0 || page[i].pages == 0);
		check_seen(vm, window_ipa(first + i), kind,
			   grant ? pool_pa(&home->ipc->grant, index + i)
				 : mmu_heap_pa(own->scratch));
	}
}

void grant_check(const struct vm *home, const struct grant *grant)
{
	const struct grant_vm *table = &home->ipc->grant;
	u64 index = (u64)(grant - table->grant);
	const struct vm *holder;
	const struct window_page *page;

	assert(grant->pages && index + grant->pages <= table->pool_pages);
	for (u64 i = 0; i < grant->pages; i++) {
		bool away = grant->access == WEIR_PASS;

		assert(has(table->shared, index + i));
		assert(i == 0 || grant[i].pages == 0);
		check_seen(home, pool_ipa(table, index + i), away ? STAGE2_SHARED : STAGE2_RAM,
			   away ? mmu_heap_pa(table->scratch) : pool_pa(table, index + i));
	}
	if (!grant->mapped)
		return;
	holder = vm_get(grant->holder);
	assert(holder && holder != home);
	page = &holder->ipc->grant.window[grant->window_page];
	assert(page->state == WINDOW_MAPPED ||
	       (page->state == WINDOW_OFFERED && grant->access == WEIR_PASS));
	assert(page->pages == grant->pages && page->home == home->id && page->grant == index);
	check_window(holder, grant->window_page, home, index, grant);
}

void grant_check_home(const struct vm *home, u64 first, u64 pages)
{
	const struct grant_vm *table = &home->ipc->grant;

	assert(!table->grant[first].pages && !table->grant[first].mapped);
	for (u64 i = first; i < first + pages; i++) {
		assert(!has(table->shared, i));
		check_seen(home, pool_ipa(table, i), STAGE2_RAM, pool_pa(table, i));
	}
}

void grant_check_free(const struct vm *vm, u64 first, u64 pages)
{
	const struct grant_vm *own = &vm->ipc->grant;

	for (u64 i = first; i < first + pages; i++) {
		assert(!has(own->used, i) && !own->window[i].pages);
		check_seen(vm, window_ipa(i), STAGE2_NONE, PA(0));
	}
}

void grant_check_remains(const struct vm *vm, u64 first)
{
	assert(vm->ipc->grant.window[first].state == WINDOW_SCRATCH);
	check_window(vm, first, 0, 0, 0);
}

#endif
