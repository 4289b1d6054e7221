/* Grants, judged from outside (grants.h). */
#include "grants.h"

#include <string.h>
#include "events.h"
#include "ipc/block.h"
#include "ipc/grant.h"

#define PAGES_MAX 128u /* of a pool or window of the machine */
#define RECENT	  16u

static weir_handle recent[RECENT];
static u32 recent_count;
static u64 newest[MACHINE_VMS][PAGES_MAX]; /* generation of the last grant that began there */

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static u64 index_of(weir_handle grant)
{
	return grant & 0xffff;
}

static const struct grant_vm *table_of(u32 vm)
{
	return &machine.vm[vm]->ipc->grant;
}

void grants_reset(void)
{
	recent_count = 0;
	memset(newest, 0, sizeof(newest));
}

void grants_made(u32 vm, weir_handle grant)
{
	assert_true(index_of(grant) < PAGES_MAX);
	assert_true(grant >> 16 > newest[vm][index_of(grant)]);
	newest[vm][index_of(grant)] = grant >> 16;
	recent[recent_count++ % RECENT] = grant;
}

weir_handle grants_recent(u32 index)
{
	u32 count = min(recent_count, RECENT);

	return count ? recent[(recent_count - 1 - index % count) % RECENT] : 0;
}

u32 grants_mapped_port(u32 vm, u64 page)
{
	const struct grant_vm *table = table_of(vm);

	if (page >= table->pool_pages || !table->grant[page].pages || !table->grant[page].mapped)
		return EVENTS_PORTS;
	return table->grant[page].port;
}

/* ---- What calls may answer ------------------------------------------------------------------- */

static bool is_shared(u32 vm, u64 page)
{
	const struct grant_vm *table = table_of(vm);

	for (u64 i = 0; i <= page; i++)
		if (table->grant[i].pages > page - i)
			return true;
	return false;
}

static pa_t pool_pa(u32 vm, u64 page)
{
	const struct vm *owner = machine.vm[vm];

	return PA(owner->ram.raw + owner->ram_bytes - owner->pool_bytes + page * PAGE_SIZE);
}

u32 grants_share_errors(u32 vm, weir_handle port, u64 first, u64 pages, u64 access)
{
	u32 errors = events_send_errors(vm, port);
	u64 size = table_of(vm)->pool_pages;

	if (!pages || pages > WEIR_GRANT_PAGES_MAX || access > WEIR_READ_WRITE || first >= size ||
	    pages > size - first)
		return errors | one(WEIR_INVALID);
	for (u64 i = first; i < first + pages; i++)
		if (is_shared(vm, i) || block_pages_busy(machine.vm[vm], pool_pa(vm, i), PAGE_SIZE))
			errors |= one(WEIR_BUSY);
	return errors;
}

static u32 handle_errors(u32 sharer, weir_handle grant)
{
	const struct grant_vm *table = table_of(sharer);
	u64 index = index_of(grant), generation = grant >> 16;

	if (index >= table->pool_pages || !generation || generation > newest[sharer][index])
		return one(WEIR_INVALID);
	if (generation < newest[sharer][index] || !table->grant[index].pages)
		return one(WEIR_STALE);
	return 0;
}

u32 grants_map_errors(u32 vm, weir_handle port, weir_handle grant, u64 first)
{
	u32 errors = events_port_errors(vm, port);
	const struct grant_vm *window = table_of(vm);
	const struct port *own;
	const struct grant *found;
	u32 sharer;

	if (first >= window->window_pages)
		errors |= one(WEIR_INVALID);
	if (errors)
		return errors;
	own = &machine.vm[vm]->ipc->event.port[port & 0xffff];
	sharer = own->peer->owner->vm->id;
	errors = handle_errors(sharer, grant);
	if (errors)
		return errors;
	found = &table_of(sharer)->grant[index_of(grant)];
	if (&machine.vm[sharer]->ipc->event.port[found->port] != own->peer)
		errors |= one(WEIR_DENIED);
	if (found->mapped)
		errors |= one(WEIR_BUSY);
	if (found->pages > window->window_pages - first)
		return errors | one(WEIR_INVALID);
	for (u64 i = first; i < first + found->pages; i++)
		if (window->window[i].state != WINDOW_FREE)
			errors |= one(WEIR_BUSY);
	return errors;
}

u32 grants_unmap_errors(u32 vm, u64 first)
{
	const struct grant_vm *window = table_of(vm);

	if (first >= window->window_pages)
		return one(WEIR_INVALID);
	return window->window[first].pages ? 0 : one(WEIR_NOT_FOUND);
}

u32 grants_revoke_errors(u32 vm, weir_handle grant)
{
	return handle_errors(vm, grant);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

/* What a VM shares: no page twice, none that a device writes to; and the peer has what is mapped. */
static void check_shares(u32 vm)
{
	const struct grant_vm *table = table_of(vm);
	u64 end = 0;

	for (u64 i = 0; i < table->pool_pages; i++) {
		const struct grant *grant = &table->grant[i];
		const struct window_page *page;
		const struct grant_vm *peer;

		assert_true(!grant->pages || i >= end);
		assert_true(grant->pages || !grant->mapped);
		end = grant->pages ? i + grant->pages : end;
		assert_true(end <= table->pool_pages);
		assert_int_equal(table->shared[i], i < end);
		if (i < end)
			assert_false(block_pages_busy(machine.vm[vm], pool_pa(vm, i), PAGE_SIZE));
		if (!grant->pages)
			continue;
		assert_false(machine_closed(vm));
		assert_int_equal(grant->generation, newest[vm][i]);
		assert_true(grant->port < events_ports(vm) && grant->access <= WEIR_READ_WRITE);
		if (!grant->mapped)
			continue;
		peer = &machine.vm[vm]->ipc->event.port[grant->port].peer->owner->vm->ipc->grant;
		page = &peer->window[grant->window_page];
		assert_int_equal(page->state, WINDOW_MAPPED);
		assert_int_equal(page->pages, grant->pages);
		assert_int_equal(page->sharer, vm);
		assert_int_equal(page->grant, i);
	}
}

/* The page of a window that a mapping begins at, and what the guest sees there. */
static void check_mapping(u32 vm, u64 first)
{
	const struct grant_vm *table = table_of(vm);
	const struct window_page *page = &table->window[first];
	const struct grant *grant = 0;
	enum stage2_kind kind = STAGE2_SHARED;
	u64 scratch = (u64)table->scratch;

	assert_true(page->pages <= table->window_pages - first);
	assert_false(machine_closed(vm));
	if (page->state == WINDOW_MAPPED) {
		grant = &table_of(page->sharer)->grant[page->grant];
		assert_true(grant->mapped && grant->window_page == first);
		assert_int_equal(grant->pages, page->pages);
		kind = grant->access == WEIR_READ_WRITE ? STAGE2_SHARED : STAGE2_SHARED_READ;
	}
	for (u64 i = 0; i < page->pages; i++) {
		u64 ipa = VM_WINDOW_BASE + (first + i) * PAGE_SIZE;

		assert_int_equal(page[i].state, page->state);
		assert_true(i == 0 || page[i].pages == 0);
		assert_int_equal(fake_stage2_kind(&machine.vm[vm]->stage2, ipa), kind);
		assert_int_equal(fake_stage2_pa(&machine.vm[vm]->stage2, ipa),
				 grant ? pool_pa(page->sharer, page->grant + i).raw : scratch);
	}
}

static void check_window(u32 vm)
{
	const struct grant_vm *table = table_of(vm);

	for (u64 i = 0; i < table->window_pages;) {
		u64 ipa = VM_WINDOW_BASE + i * PAGE_SIZE;

		if (table->window[i].pages) {
			check_mapping(vm, i);
			i += table->window[i].pages;
			continue;
		}
		assert_int_equal(table->window[i].state, WINDOW_FREE);
		assert_int_equal(fake_stage2_kind(&machine.vm[vm]->stage2, ipa), STAGE2_NONE);
		i++;
	}
}

void grants_check(void)
{
	for (u32 vm = 0; vm < MACHINE_VMS; vm++) {
		if (!machine.vm[vm])
			continue;
		check_shares(vm);
		check_window(vm);
	}
}
