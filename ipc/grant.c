/*
 * Grants: the tables of shares, the windows, and the stage-2 entries that follow from them.
 *
 * Owns:  struct grant, struct window_page, the stage-2 entries of every grant window.
 * Locks: vm->ipc->grant.lock guards that VM's grants (as sharer), its window (as peer) and its
 *	  stage-2 entries. What concerns both takes both, lower VM id first.
 * ABI:   guests/include/weir/grant.h
 *
 * A page of the pool is in at most one grant; so the grant that begins at page n is number n, and
 * nothing needs to be searched or allocated. Every call does bounded work: WEIR_GRANT_PAGES_MAX
 * pages. It checks everything first; from the first change on nothing can fail.
 *
 * Home is the VM whose pool a page lies in; the holder of a grant is the VM in whose window it is.
 *
 * Invariants, under the locks of home and holder:
 *   grant[n].mapped  <=>  the holder's window has WINDOW_MAPPED or WINDOW_OFFERED pages, beginning
 *			   at grant[n].window_page, that say (home, n);
 *   a window entry shows a page of a pool only while that grant is mapped, and not WINDOW_OFFERED;
 *   home sees a page of its pool unless it is in a grant that is passed: so one VM at a time does.
 */
#include "ipc/grant.h"

#include "core/base/panic.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "ipc/block.h"
#include "ipc/event.h"

#define HANDLE_INDEX_BITS 16
#define HANDLE_HOME_BITS  6
#define HANDLE_LOW_BITS	  (HANDLE_INDEX_BITS + HANDLE_HOME_BITS)
#define GENERATION_MAX	  (~0ul >> HANDLE_LOW_BITS)
#define INDEX_MAX	  (1u << HANDLE_INDEX_BITS)

void grant_lock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_lock(&vm->ipc->grant.lock);
}

void grant_unlock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_unlock(&vm->ipc->grant.lock);
}

/* The lock of each VM of a mask, in the order of their ids. */
static void lock_all(u64 vms) NO_THREAD_SAFETY
{
	for (; vms; vms &= vms - 1)
		spin_lock(&vm_get((u32)__builtin_ctzl(vms))->ipc->grant.lock);
}

static void unlock_all(u64 vms) NO_THREAD_SAFETY
{
	for (; vms; vms &= vms - 1)
		spin_unlock(&vm_get((u32)__builtin_ctzl(vms))->ipc->grant.lock);
}

static void lock_both(const struct vm *a, const struct vm *b) ACQUIRES(&a->ipc->grant.lock)
	ACQUIRES(&b->ipc->grant.lock) NO_THREAD_SAFETY
{
	lock_all(BIT(a->id) | BIT(b->id));
}

static void unlock_both(const struct vm *a, const struct vm *b) RELEASES(&a->ipc->grant.lock)
	RELEASES(&b->ipc->grant.lock) NO_THREAD_SAFETY
{
	unlock_all(BIT(a->id) | BIT(b->id));
}

static pa_t pool_pa(const struct vm *vm, u64 page)
{
	return PA(vm->ram.raw + vm->ram_bytes - vm->pool_bytes + page * PAGE_SIZE);
}

static ipa_t window_ipa(u64 page)
{
	return IPA(VM_WINDOW_BASE + page * PAGE_SIZE);
}

/* Do `count` pages from `first` on lie in `size` pages? Without overflow. */
static bool in_range(u64 first, u64 count, u64 size)
{
	return count <= size && first <= size - count;
}

_Static_assert(MAX_VMS <= 1u << HANDLE_HOME_BITS, "a grant's handle has room for its home");

static weir_handle grant_handle(const struct vm *home, const struct grant *grant)
{
	return grant->generation << HANDLE_LOW_BITS | (u64)home->id << HANDLE_INDEX_BITS |
	       (u64)(grant - home->ipc->grant.grant);
}

/* The VM whose grant a handle names; 0: there is none. */
static struct vm *handle_home(weir_handle handle)
{
	struct vm *home = vm_get(handle >> HANDLE_INDEX_BITS & (BIT(HANDLE_HOME_BITS) - 1));

	return home && (handle & (INDEX_MAX - 1)) < home->ipc->grant.pool_pages ? home : 0;
}

/* The entry of the table that a handle names, which has a home, whatever is in it now. */
static struct grant *handle_entry(const struct vm *home, weir_handle handle)
{
	const struct grant_vm *table = &home->ipc->grant;

	return &table->grant[index_nospec(handle & (INDEX_MAX - 1), table->pool_pages)];
}

static enum weir_status grant_find(const struct vm *home, weir_handle handle, struct grant **grant)
	NEEDS(&home->ipc->grant.lock)
{
	u64 generation = handle >> HANDLE_LOW_BITS;

	*grant = handle_entry(home, handle);
	/* Generations count up: 0 and those to come were never given out. */
	if (generation == 0 || generation > (*grant)->generation)
		return WEIR_INVALID;
	if (generation != (*grant)->generation || (*grant)->pages == 0)
		return WEIR_STALE;
	return WEIR_OK;
}

static struct vm *port_peer_vm(const struct port *port)
{
	return port->peer->owner->vm;
}

bool grant_in_pool(const struct vm *vm, pa_t pa, u64 bytes)
{
	/* RAM is contiguous and ends with the pool. */
	return bytes != 0 && pa.raw + bytes > pool_pa(vm, 0).raw;
}

bool grant_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 pool = pool_pa(vm, 0).raw, first, last;

	if (!grant_in_pool(vm, pa, bytes))
		return false;
	first = pa.raw > pool ? (pa.raw - pool) / PAGE_SIZE : 0;
	last = (pa.raw + bytes - 1 - pool) / PAGE_SIZE;
	for (u64 page = first; page <= last && page < table->pool_pages; page++)
		if (table->shared[page])
			return true;
	return false;
}

/* Nothing in the way of sharing these pages, which lie in the pool? */
static enum weir_status share_check(struct vm *vm, struct port *port, u64 first, u64 pages)
	NEEDS(&vm->ipc->grant.lock)
{
	pa_t pa = pool_pa(vm, first);

	if (vm->ipc->grant.stopped || !event_peer_open(port))
		return WEIR_CLOSED;
	if (grant_pages_shared(vm, pa, pages * PAGE_SIZE))
		return WEIR_BUSY;
	if (block_pages_busy(vm, pa, pages * PAGE_SIZE))
		return WEIR_BUSY;
	if (vm->ipc->grant.grant[first].generation == GENERATION_MAX)
		return WEIR_QUOTA;
	return WEIR_OK;
}

/* What home sees where its pages are: themselves, or while they are passed its scratch page. */
static void pool_show(struct vm *home, const struct grant *grant, bool pages)
	NEEDS(&home->ipc->grant.lock)
{
	u64 first = (u64)(grant - home->ipc->grant.grant);
	ipa_t ipa = IPA(vm_pool_base(home) + first * PAGE_SIZE);

	if (grant->access != WEIR_PASS)
		return;
	if (pages)
		stage2_set_pages(&home->stage2, ipa, grant->pages, pool_pa(home, first), PAGE_SIZE,
				 STAGE2_RAM);
	else
		stage2_set_pages(&home->stage2, ipa, grant->pages,
				 mmu_heap_pa(home->ipc->grant.scratch), 0, STAGE2_SHARED);
}

static weir_handle share_commit(struct vm *vm, const struct port *port, u64 first, u64 pages,
				u64 access) NEEDS(&vm->ipc->grant.lock)
{
	struct grant_vm *table = &vm->ipc->grant;
	struct grant *grant = &table->grant[first];

	for (u64 i = 0; i < pages; i++)
		table->shared[first + i] = true;
	grant->generation++;
	grant->pages = (u16)pages;
	grant->access = (u8)access;
	grant->mapped = grant->ending = false;
	grant->port = (u16)(port - vm->ipc->event.port);
	pool_show(vm, grant, false);
	return grant_handle(vm, grant);
}

enum weir_status grant_share_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct vm *vm = self->vm;
	u64 first = in->x2, pages = in->x3, access = in->x4;
	enum weir_status status;
	struct port *port;

	status = event_port(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (pages == 0 || pages > WEIR_GRANT_PAGES_MAX || access > WEIR_PASS)
		return WEIR_INVALID;
	if (!in_range(first, pages, vm->ipc->grant.pool_pages))
		return WEIR_INVALID;
	first = index_nospec(first, vm->ipc->grant.pool_pages);

	grant_lock(vm);
	status = share_check(vm, port, first, pages);
	if (status == WEIR_OK)
		out->x1 = share_commit(vm, port, first, pages, access);
	grant_unlock(vm);
	return status;
}

/* Has the VM at the other end of this port offered it the grant? */
static bool offered(const struct port *port, const struct vm *home, const struct grant *grant)
	NEEDS(&home->ipc->grant.lock)
{
	const struct event_vm *giver = port->peer->owner;
	const struct window_page *page;

	if (giver->vm == home)
		return &giver->port[grant->port] == port->peer;
	if (!grant->mapped || grant->holder != giver->vm->id || giver->vm->ipc->grant.stopped)
		return false;
	page = &giver->vm->ipc->grant.window[grant->window_page];
	return page->state == WINDOW_OFFERED && &giver->port[page->port] == port->peer;
}

/* May the VM of this port map the grant there? */
static enum weir_status map_check(const struct port *port, const struct vm *home,
				  const struct grant *grant, u64 first)
	NEEDS(&home->ipc->grant.lock) NEEDS(&port->owner->vm->ipc->grant.lock)
{
	const struct grant_vm *own = &port->owner->vm->ipc->grant;

	if (grant->ending)
		return WEIR_STALE;
	if (!offered(port, home, grant))
		return WEIR_DENIED;
	if (own->stopped)
		return WEIR_CLOSED;
	if (!in_range(first, grant->pages, own->window_pages))
		return WEIR_INVALID;
	if (grant->mapped && port_peer_vm(port) == home)
		return WEIR_BUSY;
	for (u64 i = 0; i < grant->pages; i++)
		if (own->window[first + i].state != WINDOW_FREE)
			return WEIR_BUSY;
	return WEIR_OK;
}

/* All entries of a mapping, and what the VM sees there. */
static void window_set(struct vm *vm, u64 first, u32 pages, enum window_state state, pa_t pa,
		       u64 stride, enum stage2_kind kind) NEEDS(&vm->ipc->grant.lock)
{
	struct window_page *page = &vm->ipc->grant.window[first];

	stage2_set_pages(&vm->stage2, window_ipa(first), pages, pa, stride, kind);
	for (u32 i = 0; i < pages; i++)
		page[i].state = (u8)state;
}

/* Empties the window where a mapping, of a grant or of its remains, begins. */
static void window_clear(struct vm *vm, u64 first) NEEDS(&vm->ipc->grant.lock)
{
	struct window_page *page = &vm->ipc->grant.window[first];

	window_set(vm, first, page->pages, WINDOW_FREE, PA(0), 0, STAGE2_NONE);
	page->pages = 0;
}

/* Under the locks of home, of the port's VM and of whoever holds it now. */
static void map_commit(const struct port *port, const struct vm *home, struct grant *grant,
		       u64 first) NO_THREAD_SAFETY
{
	struct vm *vm = port->owner->vm;
	struct window_page *page = &vm->ipc->grant.window[first];
	u64 index = (u64)(grant - home->ipc->grant.grant);

	if (grant->mapped)
		window_clear(vm_get(grant->holder), grant->window_page);
	window_set(vm, first, grant->pages, WINDOW_MAPPED, pool_pa(home, index), PAGE_SIZE,
		   grant->access == WEIR_READ ? STAGE2_SHARED_READ : STAGE2_SHARED);
	page->pages = (u8)grant->pages;
	page->grant = (u16)index;
	page->home = (u8)home->id;
	page->port = (u16)(port - port->owner->port);
	grant->mapped = true;
	grant->holder = (u8)vm->id;
	grant->window_page = (u32)first;
}

enum weir_status grant_map_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out) NO_THREAD_SAFETY
{
	struct vm *vm = self->vm, *home = handle_home(in->x2);
	u64 first = index_nospec(in->x3, vm->ipc->grant.window_pages), vms;
	enum weir_status status;
	struct grant *grant;
	struct port *port;

	status = event_port(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (in->x3 >= vm->ipc->grant.window_pages || !home || home == vm)
		return WEIR_INVALID;

	vms = BIT(vm->id) | BIT(home->id) | BIT(port_peer_vm(port)->id);
	lock_all(vms);
	status = grant_find(home, in->x2, &grant);
	if (status == WEIR_OK)
		status = map_check(port, home, grant, first);
	if (status == WEIR_OK) {
		map_commit(port, home, grant, first);
		out->x1 = grant->pages;
		out->x2 = grant->access;
	}
	unlock_all(vms);
	return status;
}

/* A mapping begins at this page of the window: of whose pages? 0: none does. */
static struct vm *window_home(struct vm *vm, u64 first)
{
	struct window_page page;

	grant_lock(vm);
	page = vm->ipc->grant.window[first];
	grant_unlock(vm);
	return page.pages ? vm_get(page.home) : 0;
}

/*
 * Swaps what the holder sees to its scratch page. stage2_set_pages() returns when no core can use
 * the old entries any more: after it the pages are home's alone.
 */
static void window_scratch(struct vm *holder, u64 first) NEEDS(&holder->ipc->grant.lock)
{
	window_set(holder, first, holder->ipc->grant.window[first].pages, WINDOW_SCRATCH,
		   mmu_heap_pa(holder->ipc->grant.scratch), 0, STAGE2_SHARED);
}

/* Nobody else sees its pages any more: home does. */
static void grant_close(struct vm *home, struct grant *grant) NEEDS(&home->ipc->grant.lock)
{
	u64 first = (u64)(grant - home->ipc->grant.grant);

	pool_show(home, grant, true);
	for (u32 i = 0; i < grant->pages; i++)
		home->ipc->grant.shared[first + i] = false;
	grant->mapped = false;
	grant->pages = 0;
}

/* What was passed goes home with it, and home is told; what was shared stays so. */
static bool window_unmap(struct vm *vm, struct vm *home, u64 first)
{
	struct window_page *page = &vm->ipc->grant.window[first];
	struct grant *grant = 0;
	bool ours, told = false;
	u32 port = 0;

	lock_both(vm, home);
	ours = page->pages && page->home == home->id;
	if (ours && page->state != WINDOW_SCRATCH)
		grant = &home->ipc->grant.grant[page->grant];
	if (ours)
		window_clear(vm, first);
	if (grant) {
		grant->mapped = false;
		told = grant->access == WEIR_PASS;
		port = grant->port;
		if (told)
			grant_close(home, grant);
	}
	unlock_both(vm, home);
	if (told)
		event_raise(home, port);
	return ours;
}

enum weir_status grant_unmap_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct vm *vm = self->vm, *home;
	u64 first = index_nospec(in->x1, vm->ipc->grant.window_pages);

	(void)out;
	if (in->x1 >= vm->ipc->grant.window_pages)
		return WEIR_INVALID;
	home = window_home(vm, first);
	if (!home)
		return WEIR_NOT_FOUND;
	/* Not ours any more: another vCPU of this VM was faster. */
	return window_unmap(vm, home, first) ? WEIR_OK : WEIR_NOT_FOUND;
}

enum weir_status grant_pass_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	struct vm *vm = self->vm, *home;
	u64 first = index_nospec(in->x2, vm->ipc->grant.window_pages);
	enum weir_status status;
	struct window_page *page;
	const struct grant *grant;
	struct port *port;

	status = event_port(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (in->x2 >= vm->ipc->grant.window_pages)
		return WEIR_INVALID;
	home = window_home(vm, first);
	if (!home)
		return WEIR_NOT_FOUND;
	page = &vm->ipc->grant.window[first];
	lock_both(vm, home);
	grant = &home->ipc->grant.grant[page->grant];
	if (!page->pages || page->home != home->id)
		status = WEIR_NOT_FOUND;
	else if (page->state == WINDOW_SCRATCH || vm->ipc->grant.stopped || !event_peer_open(port))
		status = WEIR_CLOSED;
	else if (grant->access != WEIR_PASS || port_peer_vm(port) == home)
		status = WEIR_DENIED;
	if (status == WEIR_OK) {
		window_set(vm, first, grant->pages, WINDOW_OFFERED, PA(0), 0, STAGE2_NONE);
		page->port = (u16)(port - vm->ipc->event.port);
		out->x1 = grant_handle(home, grant);
	}
	unlock_both(vm, home);
	return status;
}

/*
 * For a guest that faulted in its window or its pool: while a page is swapped there is none, for a
 * moment (break before make, DDI 0487 D8.14). Who has the lock after that sees the new one.
 */
bool ipc_window_shows(struct vm *vm, ipa_t ipa)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 page = (ipa.raw - VM_WINDOW_BASE) / PAGE_SIZE;
	bool shows = ipa.raw - vm_pool_base(vm) < vm->pool_bytes;
	u8 state;

	if (!shows && (ipa.raw < VM_WINDOW_BASE || page >= table->window_pages))
		return false;
	page = shows ? 0 : index_nospec(page, table->window_pages);
	grant_lock(vm);
	state = shows ? WINDOW_MAPPED : table->window[page].state;
	grant_unlock(vm);
	return state == WINDOW_MAPPED || state == WINDOW_SCRATCH;
}

/*
 * Ends `grant`, if there is one, or if that is 0 the one that `handle` names. Whom to lock besides home
 * stands in the grant: `ending` keeps the holder from changing until both are locked.
 */
static enum weir_status grant_end(struct vm *home, struct grant *grant,
				  weir_handle handle) NO_THREAD_SAFETY
{
	bool named = !grant;
	enum weir_status status = WEIR_OK;
	struct vm *holder = home, *told = 0;
	u32 port = 0;
	u64 vms;

	grant_lock(home);
	if (named)
		status = grant_find(home, handle, &grant);
	if (status == WEIR_OK && grant->mapped)
		holder = vm_get(grant->holder);
	if (status == WEIR_OK)
		grant->ending = true;
	grant_unlock(home);
	if (status != WEIR_OK)
		return status;

	vms = BIT(home->id) | BIT(holder->id);
	lock_all(vms);
	if (named)
		status = grant_find(home, handle, &grant);
	if (status == WEIR_OK && grant->pages) {
		if (grant->mapped) {
			const struct window_page *page =
				&holder->ipc->grant.window[grant->window_page];

			told = holder;
			port = page->port;
			if (page->state == WINDOW_OFFERED)
				window_clear(holder, grant->window_page);
			else
				window_scratch(holder, grant->window_page);
		}
		grant_close(home, grant);
	}
	unlock_all(vms);
	if (told)
		event_raise(told, port);
	return status;
}

enum weir_status grant_revoke_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	(void)out;
	if (handle_home(in->x1) != self->vm)
		return WEIR_INVALID;
	return grant_end(self->vm, 0, in->x1);
}

/* No grant begins and no mapping appears after this: share and map look under the same lock. */
static void forbid(struct vm *vm)
{
	grant_lock(vm);
	vm->ipc->grant.stopped = true;
	grant_unlock(vm);
}

/* A step looks at so many pages where nothing begins, or ends what begins at one. */
#define STEP_PAGES 128

bool grant_vm_revoke(struct vm *vm, u64 *at)
{
	struct grant_vm *table = &vm->ipc->grant;
	u64 end = min(*at + STEP_PAGES, table->pool_pages);

	if (*at == 0)
		forbid(vm);
	while (*at < end) {
		struct grant *grant = &table->grant[(*at)++];

		/* Grants only end from now on: no lock to look. */
		if (__atomic_load_n(&grant->pages, __ATOMIC_RELAXED)) {
			grant_end(vm, grant, 0);
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
static u64 window_scrub(struct vm *vm, struct vm *home, u64 first, u64 done)
{
	const struct window_page *page = &vm->ipc->grant.window[first];
	const struct grant *grant = &home->ipc->grant.grant[page->grant];
	u64 end = 0;

	lock_both(vm, home);
	if (page->state != WINDOW_SCRATCH && grant->access == WEIR_PASS && done < page->pages) {
		end = min(done + STEP_SCRUBS, (u64)page->pages);
		for (; done < end; done++)
			cache_scrub(mmu_window(WINDOW_TARGET, pool_pa(home, page->grant + done)));
	}
	unlock_both(vm, home);
	return end;
}

/* *at: a page of the window, and above PAGE_BITS how much of what begins there is scrubbed. */
#define PAGE_BITS 32

bool grant_vm_unmap(struct vm *vm, u64 *at)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 page = (u32)*at, scrubbed = *at >> PAGE_BITS;
	u64 end = min(page + STEP_PAGES, table->window_pages);
	struct vm *home;

	/* Mappings only end from now on, and only this VM ends its own: no lock to look. */
	for (; page < end && !__atomic_load_n(&table->window[page].pages, __ATOMIC_RELAXED); page++)
		scrubbed = 0;
	if (page < end) {
		home = window_home(vm, page); /* 0: it was revoked on its way just now */
		scrubbed = home ? window_scrub(vm, home, page, scrubbed) : 0;
		if (home && !scrubbed)
			window_unmap(vm, home, page);
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

/* A handle has 16 bits for the page: what lies behind them cannot be shared. */
static u64 pool_pages(u64 pool_bytes)
{
	return min(pool_bytes / PAGE_SIZE, INDEX_MAX);
}

u64 grant_heap_bytes(const struct manifest_vm *config)
{
	u64 pool = pool_pages(config->shared_bytes), window = config->window_bytes / PAGE_SIZE;

	return heap_cost(pool * sizeof(struct grant)) + heap_cost(pool * sizeof(bool)) +
	       heap_cost(window * sizeof(struct window_page)) + heap_cost(PAGE_SIZE);
}

void grant_vm_create(struct vm *vm)
{
	struct grant_vm *table = &vm->ipc->grant;

	table->pool_pages = (u32)pool_pages(vm->pool_bytes);
	table->window_pages = (u32)(vm->window_bytes / PAGE_SIZE);
	if (table->pool_pages) {
		table->grant = heap_alloc(table->pool_pages * sizeof(*table->grant));
		table->shared = heap_alloc(table->pool_pages * sizeof(*table->shared));
	}
	if (table->window_pages) {
		table->window = heap_alloc(table->window_pages * sizeof(*table->window));
	}
	table->scratch = heap_page();
}
