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
 * Invariants, under both locks:
 *   grant[n].mapped  <=>  the peer's window has WINDOW_MAPPED pages, beginning at
 *			   grant[n].window_page, that say (sharer, n);
 *   a window entry shows a page of a sharer's pool only while that grant is mapped.
 */
#include "ipc/grant.h"

#include "core/base/panic.h"
#include "core/hypercall.h"
#include "core/memory.h"
#include "ipc/block.h"
#include "ipc/event.h"

#define HANDLE_INDEX_BITS 16
#define INDEX_MAX	  (1u << HANDLE_INDEX_BITS)

void grant_lock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_lock(&vm->ipc->grant.lock);
}

void grant_unlock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_unlock(&vm->ipc->grant.lock);
}

static void lock_both(struct vm *a, struct vm *b) ACQUIRES(&a->ipc->grant.lock)
	ACQUIRES(&b->ipc->grant.lock) NO_THREAD_SAFETY
{
	spin_lock(&(a->id < b->id ? a : b)->ipc->grant.lock);
	spin_lock(&(a->id < b->id ? b : a)->ipc->grant.lock);
}

static void unlock_both(struct vm *a, struct vm *b) RELEASES(&a->ipc->grant.lock)
	RELEASES(&b->ipc->grant.lock) NO_THREAD_SAFETY
{
	spin_unlock(&b->ipc->grant.lock);
	spin_unlock(&a->ipc->grant.lock);
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

static weir_handle grant_handle(const struct grant *grant, u64 index)
{
	return grant->generation << HANDLE_INDEX_BITS | index;
}

/* The grant of `sharer` that a handle names. */
static enum weir_status grant_find(const struct vm *sharer, weir_handle handle,
				   struct grant **grant) NEEDS(&sharer->ipc->grant.lock)
{
	const struct grant_vm *table = &sharer->ipc->grant;
	u64 index = handle & (INDEX_MAX - 1);
	u64 generation = handle >> HANDLE_INDEX_BITS;

	if (index >= table->pool_pages)
		return WEIR_INVALID;
	*grant = &table->grant[index_nospec(index, table->pool_pages)];
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
	return WEIR_OK;
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
	grant->mapped = false;
	__atomic_store_n(&grant->port, (u32)(port - vm->ipc->event.port), __ATOMIC_RELAXED);
	return grant_handle(grant, first);
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
	if (pages == 0 || pages > WEIR_GRANT_PAGES_MAX || access > WEIR_READ_WRITE)
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

/* May the peer of the channel map this grant there? */
static enum weir_status map_check(const struct vm *vm, const struct port *port,
				  const struct grant *grant, u64 first) NEEDS(&vm->ipc->grant.lock)
{
	const struct grant_vm *own = &vm->ipc->grant;
	const struct event_vm *sharer = port->peer->owner;

	if (&sharer->port[grant->port] != port->peer)
		return WEIR_DENIED;
	if (own->stopped)
		return WEIR_CLOSED;
	if (!in_range(first, grant->pages, own->window_pages))
		return WEIR_INVALID;
	if (grant->mapped)
		return WEIR_BUSY;
	for (u64 i = 0; i < grant->pages; i++)
		if (own->window[first + i].state != WINDOW_FREE)
			return WEIR_BUSY;
	return WEIR_OK;
}

static void map_commit(struct vm *vm, const struct vm *sharer, struct grant *grant, u64 first)
	NEEDS(&vm->ipc->grant.lock) NEEDS(&sharer->ipc->grant.lock)
{
	struct window_page *page = &vm->ipc->grant.window[first];
	u64 index = (u64)(grant - sharer->ipc->grant.grant);
	enum stage2_kind kind =
		grant->access == WEIR_READ_WRITE ? STAGE2_SHARED : STAGE2_SHARED_READ;

	stage2_set_pages(&vm->stage2, window_ipa(first), grant->pages, pool_pa(sharer, index),
			 PAGE_SIZE, kind);
	for (u64 i = 0; i < grant->pages; i++)
		page[i] = (struct window_page){ .state = WINDOW_MAPPED };
	page->pages = (u8)grant->pages;
	page->grant = (u16)index;
	page->sharer = sharer->id;
	grant->mapped = true;
	grant->window_page = (u32)first;
}

enum weir_status grant_map_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out)
{
	struct vm *vm = self->vm, *sharer;
	u64 first = index_nospec(in->x3, vm->ipc->grant.window_pages);
	enum weir_status status;
	struct grant *grant;
	struct port *port;

	status = event_port(vm, in->x1, &port);
	if (status != WEIR_OK)
		return status;
	if (in->x3 >= vm->ipc->grant.window_pages)
		return WEIR_INVALID;

	sharer = port_peer_vm(port);
	lock_both(vm, sharer);
	status = grant_find(sharer, in->x2, &grant);
	if (status == WEIR_OK)
		status = map_check(vm, port, grant, first);
	if (status == WEIR_OK) {
		map_commit(vm, sharer, grant, first);
		out->x1 = grant->pages;
		out->x2 = grant->access;
	}
	unlock_both(vm, sharer);
	return status;
}

/* Empties the window where a mapping, of a grant or of its remains, begins. */
static void window_clear(struct vm *vm, u64 first) NEEDS(&vm->ipc->grant.lock)
{
	struct window_page *page = &vm->ipc->grant.window[first];
	u32 pages = page->pages;

	stage2_set_pages(&vm->stage2, window_ipa(first), pages, PA(0), 0, STAGE2_NONE);
	for (u32 i = 0; i < pages; i++)
		page[i] = (struct window_page){ .state = WINDOW_FREE };
}

/* A mapping begins at this page of the window: whose, and is it still so once both are locked? */
static struct vm *window_sharer(struct vm *vm, u64 first)
{
	struct window_page page;

	grant_lock(vm);
	page = vm->ipc->grant.window[first];
	grant_unlock(vm);
	return page.pages ? vm_get(page.sharer) : 0;
}

static bool window_unmap(struct vm *vm, struct vm *sharer, u64 first)
{
	struct window_page *page = &vm->ipc->grant.window[first];
	bool ours;

	lock_both(vm, sharer);
	ours = page->pages && page->sharer == sharer->id;
	if (ours) {
		if (page->state == WINDOW_MAPPED)
			sharer->ipc->grant.grant[page->grant].mapped = false;
		window_clear(vm, first);
	}
	unlock_both(vm, sharer);
	return ours;
}

enum weir_status grant_unmap_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct vm *vm = self->vm, *sharer;
	u64 first = index_nospec(in->x1, vm->ipc->grant.window_pages);

	(void)out;
	if (in->x1 >= vm->ipc->grant.window_pages)
		return WEIR_INVALID;
	sharer = window_sharer(vm, first);
	if (!sharer)
		return WEIR_NOT_FOUND;
	/* Not ours any more: another vCPU of this VM was faster. */
	return window_unmap(vm, sharer, first) ? WEIR_OK : WEIR_NOT_FOUND;
}

/*
 * Swaps what the peer sees to its scratch page. stage2_set_pages() returns when no core can use the
 * old entries any more: after it the pages are the sharer's alone.
 */
static void window_scratch(struct vm *peer, u64 first) NEEDS(&peer->ipc->grant.lock)
{
	struct window_page *page = &peer->ipc->grant.window[first];
	pa_t scratch = mmu_heap_pa(peer->ipc->grant.scratch);

	stage2_set_pages(&peer->stage2, window_ipa(first), page->pages, scratch, 0, STAGE2_SHARED);
	for (u32 i = 0; i < page->pages; i++)
		page[i].state = WINDOW_SCRATCH;
}

/*
 * For a guest that faulted in its window: while a page is swapped there is none, for a moment
 * (break before make, DDI 0487 D8.14). Who has the lock after that sees the new one.
 */
bool ipc_window_shows(struct vm *vm, ipa_t ipa)
{
	u64 page = (ipa.raw - VM_WINDOW_BASE) / PAGE_SIZE;
	bool shows;

	if (ipa.raw < VM_WINDOW_BASE || page >= vm->ipc->grant.window_pages)
		return false;
	page = index_nospec(page, vm->ipc->grant.window_pages);
	grant_lock(vm);
	shows = vm->ipc->grant.window[page].state != WINDOW_FREE;
	grant_unlock(vm);
	return shows;
}

static void grant_end(struct vm *vm, struct vm *peer, struct grant *grant)
	NEEDS(&vm->ipc->grant.lock) NEEDS(&peer->ipc->grant.lock)
{
	struct grant_vm *table = &vm->ipc->grant;
	bool *shared = &table->shared[grant - table->grant];

	if (grant->mapped)
		window_scratch(peer, grant->window_page);
	for (u32 i = 0; i < grant->pages; i++)
		shared[i] = false;
	grant->mapped = false;
	grant->pages = 0;
}

/* Tells the peer of a port of `vm`, if a mapped grant ended. */
static void tell(const struct port *port, bool was_mapped)
{
	const struct event_vm *peer = port->peer->owner;

	if (was_mapped)
		event_raise(peer->vm, (u32)(port->peer - peer->port));
}

enum weir_status grant_revoke_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	struct vm *vm = self->vm, *peer;
	const struct grant_vm *table = &vm->ipc->grant;
	u64 index = in->x1 & (INDEX_MAX - 1);
	enum weir_status status;
	struct grant *grant;
	struct port *port;
	bool was_mapped = false;

	(void)out;
	if (index >= table->pool_pages || vm->ipc->event.port_count == 0)
		return WEIR_INVALID;
	grant = &table->grant[index_nospec(index, table->pool_pages)];
	/*
	 * Which locks to take depends on the peer, which is read before they are held. If the page
	 * is in a grant to somebody else by then, the handle named none when we were called.
	 */
	port = &vm->ipc->event.port[__atomic_load_n(&grant->port, __ATOMIC_RELAXED)];
	peer = port_peer_vm(port);

	lock_both(vm, peer);
	status = grant_find(vm, in->x1, &grant);
	if (status == WEIR_OK && &vm->ipc->event.port[grant->port] != port)
		status = WEIR_STALE;
	if (status == WEIR_OK) {
		was_mapped = grant->mapped;
		grant_end(vm, peer, grant);
	}
	unlock_both(vm, peer);
	tell(port, was_mapped);
	return status;
}

/* No grant begins and no mapping appears after this: share and map look under the same lock. */
static void forbid(struct vm *vm)
{
	grant_lock(vm);
	vm->ipc->grant.stopped = true;
	grant_unlock(vm);
}

static void revoke(struct vm *vm, struct grant *grant)
{
	struct port *port = &vm->ipc->event.port[grant->port];
	struct vm *peer = port_peer_vm(port);
	bool was_mapped;

	lock_both(vm, peer);
	was_mapped = grant->mapped;
	grant_end(vm, peer, grant);
	unlock_both(vm, peer);
	tell(port, was_mapped);
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

		/* Grants only end from now on, and `port` stays: no lock to look. */
		if (__atomic_load_n(&grant->pages, __ATOMIC_RELAXED)) {
			revoke(vm, grant);
			break;
		}
	}
	return *at < table->pool_pages;
}

bool grant_vm_unmap(struct vm *vm, u64 *at)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 end = min(*at + STEP_PAGES, table->window_pages);

	while (*at < end) {
		u64 page = (*at)++;
		struct vm *sharer;

		/* Mappings only end from now on, and only this VM ends its own: no lock to look. */
		if (!__atomic_load_n(&table->window[page].pages, __ATOMIC_RELAXED))
			continue;
		sharer = window_sharer(vm, page);
		if (sharer)
			window_unmap(vm, sharer, page);
		break;
	}
	return *at < table->window_pages;
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
		table->scratch = heap_page();
	}
}
