/* Grants, judged from outside (grants.h). */
#include "grants.h"

#include <string.h>
#include <weir/event.h>
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

static u32 home_of(weir_handle grant)
{
	return grant >> 16 & 63;
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
	assert_int_equal(home_of(grant), vm);
	assert_true(grant >> 22 > newest[vm][index_of(grant)]);
	newest[vm][index_of(grant)] = grant >> 22;
	recent[recent_count++ % RECENT] = grant;
}

weir_handle grants_recent(u32 index)
{
	u32 count = min(recent_count, RECENT);

	return count ? recent[(recent_count - 1 - index % count) % RECENT] : 0;
}

struct grants_told grants_revoke_tells(u32 vm, u64 page)
{
	const struct grant_vm *table = table_of(vm);
	const struct grant *grant;

	if (page >= table->pool_pages || !table->grant[page].pages || !table->grant[page].mapped)
		return (struct grants_told){ vm, EVENTS_PORTS };
	grant = &table->grant[page];
	return (struct grants_told){
		grant->holder, (u32)(table_of(grant->holder)->window[grant->window_page].port)
	};
}

struct grants_told grants_unmap_tells(u32 vm, u64 first)
{
	const struct grant_vm *table = table_of(vm);
	const struct window_page *page;
	const struct grant *grant;

	if (first >= table->window_pages || !table->window[first].pages ||
	    table->window[first].state == WINDOW_SCRATCH)
		return (struct grants_told){ vm, EVENTS_PORTS };
	page = &table->window[first];
	grant = &table_of(page->home)->grant[page->grant];
	return (struct grants_told){ page->home,
				     grant->access == WEIR_PASS ? (u32)grant->port : EVENTS_PORTS };
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

static bool is_used(u32 vm, u64 page)
{
	const struct grant_vm *table = table_of(vm);

	for (u64 i = 0; i <= page; i++)
		if (table->window[i].pages > page - i)
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
	u32 errors = events_grant_errors(vm, port);
	u64 size = table_of(vm)->pool_pages;

	if (errors)
		return errors;
	errors = events_send_errors(vm, port);

	if (!pages || pages > WEIR_GRANT_PAGES_MAX || access > WEIR_PASS || first >= size ||
	    pages > size - first)
		return errors | one(WEIR_INVALID);
	for (u64 i = first; i < first + pages; i++)
		if (is_shared(vm, i) || block_pages_busy(machine.vm[vm], pool_pa(vm, i), PAGE_SIZE))
			errors |= one(WEIR_BUSY);
	return errors;
}

static bool has_home(weir_handle grant)
{
	u32 home = home_of(grant);

	return home < MACHINE_VMS && machine.vm[home] &&
	       index_of(grant) < table_of(home)->pool_pages;
}

static u32 handle_errors(weir_handle grant)
{
	u64 index = index_of(grant), generation = grant >> 22, last;

	if (!has_home(grant))
		return one(WEIR_INVALID);
	last = newest[home_of(grant)][index];
	if (!generation || generation > last)
		return one(WEIR_INVALID);
	if (generation < last || !table_of(home_of(grant))->grant[index].pages)
		return one(WEIR_STALE);
	return 0;
}

/* Did the VM at the other end give it, by this channel? */
static bool given(const struct port *own, u32 home, const struct grant *grant)
{
	const struct event_vm *giver = own->peer->owner;
	const struct window_page *page;

	if (giver->vm->id == home)
		return grant->port == weir_port_number(own->peer->handle);
	if (!grant->mapped || grant->holder != giver->vm->id || giver->vm->ipc->grant.stopped)
		return false;
	page = &giver->vm->ipc->grant.window[grant->window_page];
	return page->state == WINDOW_OFFERED && page->port == weir_port_number(own->peer->handle);
}

u32 grants_map_errors(u32 vm, weir_handle port, weir_handle grant, u64 first)
{
	u32 errors = events_grant_errors(vm, port);
	const struct grant_vm *window = table_of(vm);
	const struct port *own;
	const struct grant *found;
	u32 home = home_of(grant);

	if (first >= window->window_pages || !has_home(grant) || home == vm)
		errors |= one(WEIR_INVALID);
	if (errors)
		return errors;
	own = &machine.vm[vm]->ipc->event.port[port & 0xffff];
	errors = handle_errors(grant);
	if (errors)
		return errors;
	found = &table_of(home)->grant[index_of(grant)];
	if (found->ending) /* in the midst of a revocation */
		return one(WEIR_STALE);
	if (!given(own, home, found))
		errors |= one(WEIR_DENIED);
	if (found->mapped && own->peer->owner->vm->id == home)
		errors |= one(WEIR_BUSY);
	if (found->pages > window->window_pages - first)
		return errors | one(WEIR_INVALID);
	for (u64 i = first; i < first + found->pages; i++)
		if (is_used(vm, i))
			errors |= one(WEIR_BUSY);
	return errors;
}

u32 grants_pass_errors(u32 vm, weir_handle port, u64 first)
{
	u32 errors = events_grant_errors(vm, port);
	const struct window_page *page;

	if (first >= table_of(vm)->window_pages)
		return errors | one(WEIR_INVALID);
	if (errors)
		return errors;
	page = &table_of(vm)->window[first];
	if (!page->pages)
		return one(WEIR_NOT_FOUND);
	errors = events_send_errors(vm, port);
	if (page->state == WINDOW_SCRATCH)
		return errors | one(WEIR_CLOSED);
	if (table_of(page->home)->grant[page->grant].access != WEIR_PASS ||
	    machine.vm[vm]->ipc->event.port[port & 0xffff].peer->owner->vm->id == page->home)
		errors |= one(WEIR_DENIED);
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
	return has_home(grant) && home_of(grant) == vm ? handle_errors(grant) : one(WEIR_INVALID);
}

u64 grants_listed(u32 vm, u64 which, u64 page)
{
	const struct grant_vm *table = table_of(vm);
	u64 size = which == WEIR_GRANTS_GIVEN ? table->pool_pages : table->window_pages;

	while (page < size &&
	       !(which == WEIR_GRANTS_GIVEN ? table->grant[page].pages : table->window[page].pages))
		page++;
	return min(page, size);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

/* The holder has what is mapped. */
static void check_holder(u32 vm, u64 index, const struct grant *grant)
{
	const struct window_page *page = &table_of(grant->holder)->window[grant->window_page];

	assert_true(page->state == WINDOW_MAPPED ||
		    (page->state == WINDOW_OFFERED && grant->access == WEIR_PASS));
	assert_int_equal(page->pages, grant->pages);
	assert_int_equal(page->home, vm);
	assert_int_equal(page->grant, index);
}

/* What home sees at a page of its pool. */
static void check_pool(u32 vm, u64 page, bool passed)
{
	u64 ipa = vm_pool_base(machine.vm[vm]) + page * PAGE_SIZE;

	assert_int_equal(fake_stage2_pa(&machine.vm[vm]->stage2, ipa),
			 passed ? (u64)table_of(vm)->scratch : pool_pa(vm, page).raw);
}

static u32 port_kind(u32 vm, u32 port)
{
	return machine.vm[vm]->ipc->event.port[port].kind;
}

/* What a VM gives: no page twice, none that a device writes to. */
static void check_shares(u32 vm)
{
	const struct grant_vm *table = table_of(vm);
	bool passed = false;
	u64 end = 0;

	for (u64 i = 0; i < table->pool_pages; i++) {
		const struct grant *grant = &table->grant[i];

		assert_true(!grant->pages || i >= end);
		assert_true(grant->pages || !grant->mapped);
		if (grant->pages)
			passed = grant->access == WEIR_PASS;
		end = grant->pages ? i + grant->pages : end;
		assert_true(end <= table->pool_pages);
		assert_int_equal(table->shared[i / 64] >> i % 64 & 1, i < end);
		check_pool(vm, i, passed && i < end);
		if (i < end)
			assert_false(block_pages_busy(machine.vm[vm], pool_pa(vm, i), PAGE_SIZE));
		if (!grant->pages)
			continue;
		assert_false(machine_closed(vm));
		assert_int_equal(grant->generation, newest[vm][i]);
		assert_true(port_kind(vm, grant->port) == PORT_CHANNEL ||
			    port_kind(vm, grant->port) == PORT_PEER);
		assert_true(grant->access <= WEIR_PASS);
		if (grant->mapped)
			check_holder(vm, i, grant);
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
	if (page->state != WINDOW_SCRATCH) {
		grant = &table_of(page->home)->grant[page->grant];
		assert_true(grant->mapped && grant->holder == vm && grant->window_page == first);
		assert_int_equal(grant->pages, page->pages);
		kind = grant->access == WEIR_READ ? STAGE2_SHARED_READ : STAGE2_SHARED;
	}
	if (page->state == WINDOW_OFFERED)
		kind = STAGE2_NONE;
	for (u64 i = 0; i < page->pages; i++) {
		u64 ipa = VM_WINDOW_BASE + (first + i) * PAGE_SIZE;

		assert_true(table->used[(first + i) / 64] >> (first + i) % 64 & 1);
		assert_true(i == 0 || page[i].pages == 0);
		assert_int_equal(fake_stage2_kind(&machine.vm[vm]->stage2, ipa), kind);
		assert_int_equal(fake_stage2_pa(&machine.vm[vm]->stage2, ipa),
				 kind == STAGE2_NONE ? 0
				 : grant	     ? pool_pa(page->home, page->grant + i).raw
						     : scratch);
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
		assert_false(table->used[i / 64] >> i % 64 & 1);
		assert_int_equal(fake_stage2_kind(&machine.vm[vm]->stage2, ipa), STAGE2_NONE);
		i++;
	}
}

u32 grants_by(u32 vm, u32 port)
{
	const struct grant_vm *table = table_of(vm);
	u32 count = 0;

	for (u64 i = 0; i < table->pool_pages; i++)
		count += table->grant[i].pages && table->grant[i].port == port;
	for (u64 i = 0; i < table->window_pages; i++)
		count += table->window[i].pages && table->window[i].port == port;
	return count;
}

/* What was opened by call knows what goes by it. */
static void check_ports(u32 vm)
{
	for (u32 i = events_ports(vm); i < events_all_ports(vm); i++) {
		const struct port *port = &machine.vm[vm]->ipc->event.port[i];

		assert_int_equal(grants_by(vm, i), port->kind == PORT_PEER ? port->grants : 0);
	}
}

void grants_check(void)
{
	for (u32 vm = 0; vm < MACHINE_VMS; vm++) {
		if (!machine.vm[vm])
			continue;
		check_shares(vm);
		check_window(vm);
		check_ports(vm);
	}
}
