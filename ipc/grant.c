/*
 * Grants: the tables of shares, the windows, and the stage-2 entries that follow from them.
 *
 * Owns:  struct grant, struct window_page, the stage-2 entries of every pool and grant window.
 * Locks: vm->ipc->grant.lock guards that VM's grants (as sharer), its window (as peer) and its
 *	  stage-2 entries. What concerns both takes both, lower VM id first.
 * ABI:   guests/include/weir/grant.h
 *
 * A page of the pool is in at most one grant; so the grant that begins at page n is number n, and
 * nothing needs to be searched or allocated. Every call does bounded work: WEIR_GRANT_PAGES_MAX
 * entries at level 3, or one at level 2 for WEIR_GRANT_PAGES_2M pages. It checks everything first; from the first change on nothing can fail.
 *
 * Home is the VM whose pool a page lies in; the holder of a grant is the VM in whose window it is.
 *
 * Invariants, under the locks of home and holder:
 *   grant[n].mapped  <=>  the holder's window has at grant[n].window_page a mapping that is WINDOW_MAPPED
 *			   or WINDOW_OFFERED, as long as the grant, and says (home, n);
 *   home's set `shared` has the pages of its grants, and a window's set `used` those of its mappings,
 *			   and each page is in at most one of them;
 *   a window entry shows a page of a pool only while that grant is mapped, and not WINDOW_OFFERED;
 *   home sees a page of its pool unless it is in a grant that is passed: so one VM at a time does.
 * Debug builds assert them at the end of each call (grant_check.c).
 */
#include "core/base/panic.h"
#include "ipc/block.h"
#include "ipc/event.h"
#include "ipc/grant_table.h"

/* ---- Locks --------------------------------------------------------------------------------------- */

void grant_lock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_lock(&vm->ipc->grant.lock);
}

void grant_unlock(struct vm *vm) NO_THREAD_SAFETY
{
	spin_unlock(&vm->ipc->grant.lock);
}

/* Two VMs, lower id first. */
static inline void lock_both(const struct vm *a, struct grant_vm *of_a, const struct vm *b,
			     struct grant_vm *of_b) NO_THREAD_SAFETY
{
	bool in_order = a->id < b->id;

	spin_lock(&(in_order ? of_a : of_b)->lock);
	spin_lock(&(in_order ? of_b : of_a)->lock);
}

static inline void unlock_both(struct grant_vm *a, struct grant_vm *b) NO_THREAD_SAFETY
{
	spin_unlock(&a->lock);
	spin_unlock(&b->lock);
}

/* Two VMs whose ids are in the wrong order for who has one lock and wants the other. */
static RARE APART bool lock_anew(struct grant_vm *own, struct grant_vm *others) NO_THREAD_SAFETY
{
	spin_unlock(&own->lock);
	spin_lock(&others->lock);
	spin_lock(&own->lock);
	return false;
}

/* Has `vm`, and wants `more` too. False: it had to let go meanwhile, for the order of the ids. */
static inline bool lock_more(const struct vm *vm, struct grant_vm *own, const struct vm *more,
			     struct grant_vm *others) NO_THREAD_SAFETY
{
	if (vm->id > more->id)
		return lock_anew(own, others);
	spin_lock(&others->lock);
	return true;
}

struct vm *grant_window_lock(struct vm *vm, u64 first) NO_THREAD_SAFETY
{
	struct grant_vm *own = &vm->ipc->grant;
	const struct window_page *page = &own->window[first];
	struct vm *home = 0;

	spin_lock(&own->lock);
	if (page->pages)
		home = vm_get(page->home);
	if (!home) {
		spin_unlock(&own->lock);
		return 0;
	}
	if (lock_more(vm, own, home, &home->ipc->grant) || (page->pages && page->home == home->id))
		return home;
	/* Another vCPU of this VM was faster. */
	unlock_both(own, &home->ipc->grant);
	return 0;
}

void grant_window_unlock(struct vm *vm, struct vm *home) NO_THREAD_SAFETY
{
	unlock_both(&vm->ipc->grant, &home->ipc->grant);
}

/* ---- Handles and places -------------------------------------------------------------------------- */

/* The VM's end of a channel behind a handle, for those come first; 0: event_port() says what it is. */
static inline struct port *port_find(struct vm *vm, weir_handle handle)
{
	const struct event_vm *event = &vm->ipc->event;
	u64 index = handle & (INDEX_MAX - 1);
	struct port *port;

	if (index >= event->channel_count)
		return 0;
	port = &event->port[index_nospec(index, event->channel_count)];
	return port->handle == handle ? port : 0;
}

/* Do `count` pages from `first` on lie in `size` pages? Without overflow. */
static bool in_range(u64 first, u64 count, u64 size)
{
	return count <= size && first <= size - count;
}

static inline u64 handle_vm(weir_handle handle)
{
	return handle >> HANDLE_INDEX_BITS & (BIT(HANDLE_HOME_BITS) - 1);
}

/* The entry of home's table that a handle names, whatever is in it now; the bound was checked. */
static inline u64 handle_index(const struct grant_vm *home, weir_handle handle)
{
	return index_nospec(handle & (INDEX_MAX - 1), home->pool_pages);
}

static inline bool handle_fits(const struct grant_vm *home, weir_handle handle)
{
	return (handle & (INDEX_MAX - 1)) < home->pool_pages;
}

/* Is what stands in the entry of a handle what the handle names? Under home's lock. */
static inline enum weir_status handle_status(const struct grant *grant, weir_handle handle)
{
	u64 generation = handle >> HANDLE_LOW_BITS;

	if (generation == grant->generation && grant->pages != 0)
		return WEIR_OK;
	/* Generations count up: 0 and those to come were never given out. */
	return generation == 0 || generation > grant->generation ? WEIR_INVALID : WEIR_STALE;
}

bool grant_in_pool(const struct vm *vm, pa_t pa, u64 bytes)
{
	/* RAM is contiguous and ends with the pool. */
	return bytes != 0 && pa.raw + bytes > vm->ipc->grant.pool.raw;
}

bool grant_pages_shared(const struct vm *vm, pa_t pa, u64 bytes)
{
	const struct grant_vm *table = &vm->ipc->grant;
	u64 pool = table->pool.raw, first, end;

	if (!grant_in_pool(vm, pa, bytes))
		return false;
	first = pa.raw > pool ? (pa.raw - pool) / PAGE_SIZE : 0;
	end = min((pa.raw + bytes - 1 - pool) / PAGE_SIZE + 1, (u64)table->pool_pages);
	return first < end && pages_any(table->shared, first, end - first);
}

/* Nothing in the way of sharing these pages, which lie in the pool? Then the port is held. */
static enum weir_status share_check(struct vm *vm, struct port *port, weir_handle handle, u64 first,
				    u64 pages) NEEDS(&vm->ipc->grant.lock)
{
	if (vm->ipc->grant.stopped || !event_peer_open(port))
		return WEIR_CLOSED;
	if (pages_any(vm->ipc->grant.shared, first, pages))
		return WEIR_BUSY;
	if (block_pages_busy(vm, pool_pa(&vm->ipc->grant, first), pages * PAGE_SIZE))
		return WEIR_BUSY;
	if (vm->ipc->grant.grant[first].generation == GENERATION_MAX)
		return WEIR_QUOTA;
	return port->kind == PORT_CHANNEL ? WEIR_OK : grant_port_hold(port, handle);
}

/* What home sees where its pages are: themselves, or while they are passed its scratch page. */
static void pool_show(const struct grant_vm *home, u64 first, bool pages)
{
	const struct grant *grant = &home->grant[first];
	ipa_t ipa = pool_ipa(home, first);

	if (grant->access != WEIR_PASS)
		return;
	if (pages)
		stage2_area_set(&home->pool_area, ipa, grant->pages, pool_pa(home, first),
				PAGE_SIZE, STAGE2_RAM);
	else
		stage2_area_set(&home->pool_area, ipa, grant->pages, mmu_heap_pa(home->scratch), 0,
				STAGE2_SHARED);
}

static weir_handle share_commit(struct vm *vm, const struct port *port, u64 first, u64 pages,
				u64 access) NEEDS(&vm->ipc->grant.lock)
{
	struct grant_vm *table = &vm->ipc->grant;
	struct grant *grant = &table->grant[first];

	pages_change(table->shared, first, pages, true);
	grant->generation++;
	grant->pages = (u16)pages;
	grant->access = (u8)access;
	grant->mapped = grant->ending = false;
	grant->port = port_number(port);
	pool_show(table, first, false);
	grant_check(vm, grant);
	return grant_handle(vm, first);
}

/* 2 MiB of the pool, which the machine and the VM have at such an address. */
static RARE APART bool whole_piece(const struct grant_vm *table, u64 first, u64 pages, u64 access)
{
	if (pages != WEIR_GRANT_PAGES_2M || access > WEIR_PASS)
		return false;
	return (pool_pa(table, first).raw | pool_ipa(table, first).raw) % BLOCK_2M == 0;
}

enum weir_status grant_share_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct vm *vm = self->vm;
	u64 first = in->x2, pages = in->x3, access = in->x4;
	struct port *port = port_find(vm, in->x1);
	enum weir_status status;

	if (!port) {
		struct port_found found = event_port(vm, in->x1);

		if (found.status != WEIR_OK)
			return found.status;
		port = &vm->ipc->event.port[found.index];
	}
	if ((pages == 0 || pages > WEIR_GRANT_PAGES_MAX || access > WEIR_PASS) &&
	    !whole_piece(&vm->ipc->grant, first, pages, access))
		return WEIR_INVALID;
	if (!in_range(first, pages, vm->ipc->grant.pool_pages))
		return WEIR_INVALID;
	first = index_nospec(first, vm->ipc->grant.pool_pages);

	grant_lock(vm);
	status = share_check(vm, port, in->x1, first, pages);
	if (status == WEIR_OK)
		out->x1 = share_commit(vm, port, first, pages, access);
	grant_unlock(vm);
	return status;
}

/* What a VM sees at a mapping, of a grant or of its remains, from now on. Under its lock. */
static inline void window_show(struct grant_vm *own, u64 first, enum window_state state, pa_t pa,
			       u64 stride, enum stage2_kind kind)
{
	stage2_area_set(&own->window_area, window_ipa(first), own->window[first].pages, pa, stride,
			kind);
	own->window[first].state = (u8)state;
}

/* Empties the window where a mapping begins. Under its VM's lock. */
static void window_clear(struct grant_vm *own, u64 first)
{
	window_show(own, first, WINDOW_FREE, PA(0), 0, STAGE2_NONE);
	pages_change(own->used, first, own->window[first].pages, false);
	own->window[first].pages = 0;
	port_let_go(own, own->window[first].port);
}

/* Under the locks of home and of the VM whose window it is. */
static inline void map_commit(struct grant_vm *own, u32 vm, u16 port, u64 first,
			      struct grant *grant, const struct grant_vm *home, u32 home_id,
			      u64 index)
{
	enum stage2_kind kind = grant->access == WEIR_READ ? STAGE2_SHARED_READ : STAGE2_SHARED;

	own->window[first] = (struct window_page){
		.state = WINDOW_MAPPED,
		.home = (u8)home_id,
		.pages = grant->pages,
		.grant = (u16)index,
		.port = port,
	};
	grant->mapped = true;
	grant->holder = (u8)vm;
	grant->window_page = (u32)first;
	if (grant->pages == WEIR_GRANT_PAGES_2M)
		stage2_area_block(&own->window_area, window_ipa(first), pool_pa(home, index), kind);
	else
		stage2_area_set(&own->window_area, window_ipa(first), grant->pages,
				pool_pa(home, index), PAGE_SIZE, kind);
}

/* May it be mapped there? Then those pages of the window are taken. */
static inline enum weir_status map_check(struct grant_vm *own, const struct grant *grant,
					 bool given, const struct port *peer, u64 first)
{
	if (grant->ending)
		return WEIR_STALE;
	if (!given)
		return WEIR_DENIED;
	if (own->stopped)
		return WEIR_CLOSED;
	if (!in_range(first, grant->pages, own->window_pages))
		return WEIR_INVALID;
	/* Not by who has it, but by home. (Read once: not before it is known to be mapped, which is rare.) */
	if (grant->mapped && read_once(peer->owner)->vm->id != grant->holder)
		return WEIR_BUSY;
	return pages_claim(own->used, first, grant->pages);
}

enum weir_status grant_map_call(struct vcpu *self, const struct call_args *in,
				struct call_results *out) NO_THREAD_SAFETY
{
	struct vm *vm = self->vm, *home, *giver;
	struct grant_vm *own = &vm->ipc->grant, *theirs;
	u64 first = index_nospec(in->x3, own->window_pages), index;
	struct port *port = port_find(vm, in->x1), *peer;
	enum weir_status status;
	struct grant *grant;
	bool given;

	if (port) {
		peer = port->peer;
		home = giver = peer->owner->vm; /* another VM: a channel has two */
	} else {
		struct port_found found = event_port(vm, in->x1);

		if (found.status != WEIR_OK)
			return found.status;
		if (handle_vm(in->x2) == vm->id)
			return WEIR_INVALID;
		port = &vm->ipc->event.port[found.index];
		peer = found.peer;
		home = giver = vm; /* not home: the way has to be looked at under the locks */
	}
	if (handle_vm(in->x2) != giver->id) {
		home = vm_get((u32)handle_vm(in->x2));
		if (!home || home == vm)
			return WEIR_INVALID;
	}
	if (in->x3 >= own->window_pages)
		return WEIR_INVALID;
	theirs = &home->ipc->grant;
	if (!handle_fits(theirs, in->x2))
		return WEIR_INVALID;
	index = handle_index(theirs, in->x2);
	grant = &theirs->grant[index];

	if (giver == home) {
		lock_both(vm, own, home, theirs);
		given = grant->port == port_number(peer);
	} else {
		given = grant_way_lock(home, port, in->x1, peer, grant);
	}
	status = handle_status(grant, in->x2);
	if (status == WEIR_OK)
		status = map_check(own, grant, given, peer, first);
	if (status == WEIR_OK) {
		if (grant->mapped) /* who gives it has it no more */
			window_clear(&vm_get(grant->holder)->ipc->grant, grant->window_page);
		out->x1 = grant->pages;
		out->x2 = grant->access;
		map_commit(own, vm->id, port_number(port), first, grant, theirs, home->id, index);
		grant_check(home, grant);
	}
	if (giver != home)
		grant_way_unlock(home, port, peer->owner->vm, status);
	unlock_both(own, theirs);
	return status;
}

/* Nobody else sees its pages any more: home does. Under home's lock. */
static void grant_close(const struct vm *vm, struct grant *grant)
{
	struct grant_vm *home = &vm->ipc->grant;
	u64 first = (u64)(grant - home->grant);
	u32 pages = grant->pages;

	pool_show(home, first, true);
	pages_change(home->shared, first, pages, false);
	port_let_go(home, grant->port);
	grant->mapped = false;
	grant->pages = 0;
	grant_check_home(vm, first, pages);
}

void grant_window_unmap(struct vm *vm, struct vm *home, u64 first) NO_THREAD_SAFETY
{
	struct grant_vm *own = &vm->ipc->grant, *theirs = &home->ipc->grant;
	struct grant *grant = &theirs->grant[own->window[first].grant];
	bool mapped = own->window[first].state != WINDOW_SCRATCH, returned = false;
	u32 pages = own->window[first].pages;
	u16 port = 0;

	window_clear(own, first);
	grant_check_free(vm, first, pages);
	if (mapped) {
		grant->mapped = false;
		returned = grant->access == WEIR_PASS;
		port = grant->port;
		if (returned)
			grant_close(home, grant);
		else
			grant_check(home, grant);
	}
	unlock_both(own, theirs);
	if (returned)
		event_raise(home, port);
}

enum weir_status grant_unmap_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	struct vm *vm = self->vm, *home;
	u64 first = index_nospec(in->x1, vm->ipc->grant.window_pages);

	(void)out;
	/* Who has nobody to share with has the window's addresses, and no table of it. */
	if (in->x1 >= vm->ipc->grant.window_pages)
		return in->x1 < vm->window_bytes / PAGE_SIZE ? WEIR_NOT_FOUND : WEIR_INVALID;
	home = grant_window_lock(vm, first);
	if (!home)
		return WEIR_NOT_FOUND;
	grant_window_unmap(vm, home, first);
	return WEIR_OK;
}

enum weir_status grant_pass_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	struct vm *vm = self->vm, *home;
	u64 first = index_nospec(in->x2, vm->ipc->grant.window_pages);
	struct port_found found = event_port(vm, in->x1);
	struct port *port = &vm->ipc->event.port[found.index];
	enum weir_status status = found.status;
	struct window_page *page;
	const struct grant *grant;

	if (status != WEIR_OK)
		return status;
	if (in->x2 >= vm->ipc->grant.window_pages)
		return WEIR_INVALID;
	home = grant_window_lock(vm, first);
	if (!home)
		return WEIR_NOT_FOUND;
	page = &vm->ipc->grant.window[first];
	grant = &home->ipc->grant.grant[page->grant];
	if (page->state == WINDOW_SCRATCH || vm->ipc->grant.stopped || !event_peer_open(port))
		status = WEIR_CLOSED;
	else if (grant->access != WEIR_PASS || found.peer->owner->vm == home)
		status = WEIR_DENIED;
	else if (port->kind != PORT_CHANNEL)
		status = grant_port_hold(port, in->x1);
	if (status == WEIR_OK) {
		window_show(&vm->ipc->grant, first, WINDOW_OFFERED, PA(0), 0, STAGE2_NONE);
		port_let_go(&vm->ipc->grant, page->port);
		page->port = port_number(port);
		grant_check(home, grant);
		out->x1 = grant_handle(home, page->grant);
	}
	grant_window_unlock(vm, home);
	return status;
}

/*
 * For a guest that faulted in its window or its pool: while a page is swapped there is none, for a
 * moment (break before make, DDI 0487 D8.14). Who has the lock after that sees the new one.
 * Not a part of the path of every exit, which would have a stack guard for its sake.
 */
APART bool ipc_window_shows(struct vm *vm, ipa_t ipa)
{
	bool shows, pool = ipa.raw - vm_pool_base(vm) < vm->pool_bytes;
	pa_t pa;

	if (!pool && ipa.raw - VM_WINDOW_BASE >= vm->window_bytes)
		return false;
	grant_lock(vm);
	shows = stage2_lookup(&vm->stage2, ipa, &pa) != STAGE2_NONE;
	grant_unlock(vm);
	return shows;
}

/*
 * The VM that has the grant mapped, locked beside home, which is locked; 0: none has, or the grant
 * came to its end while home was let go. `ending` keeps it from another holder meanwhile.
 */
static inline struct vm *holder_lock(const struct vm *vm, struct grant_vm *home,
				     struct grant *grant) NO_THREAD_SAFETY
{
	u64 generation = grant->generation;
	struct vm *holder;

	if (!grant->mapped)
		return 0;
	holder = vm_get(grant->holder);
	grant->ending = true;
	if (lock_more(vm, home, holder, &holder->ipc->grant) ||
	    (grant->generation == generation && grant->pages && grant->mapped))
		return holder;
	spin_unlock(&holder->ipc->grant.lock);
	return 0;
}

bool grant_end(struct vm *vm, struct grant *grant) NO_THREAD_SAFETY
{
	struct grant_vm *home = &vm->ipc->grant, *theirs;
	u64 generation = grant->generation, first;
	struct vm *holder = holder_lock(vm, home, grant);
	bool ours = grant->pages && grant->generation == generation;
	u16 port;

	if (!holder) {
		if (ours)
			grant_close(vm, grant);
		spin_unlock(&home->lock);
		return ours;
	}
	theirs = &holder->ipc->grant;
	first = grant->window_page;
	port = theirs->window[first].port;
	/* When stage 2 has been changed no core can use the old entries any more. */
	if (theirs->window[first].state == WINDOW_OFFERED) {
		window_clear(theirs, first);
		grant_check_free(holder, first, grant->pages);
	} else {
		window_show(theirs, first, WINDOW_SCRATCH, mmu_heap_pa(theirs->scratch), 0,
			    STAGE2_SHARED);
		grant_check_remains(holder, first);
	}
	grant_close(vm, grant);
	unlock_both(home, theirs);
	event_raise(holder, port);
	return true;
}

enum weir_status grant_revoke_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out) NO_THREAD_SAFETY
{
	struct vm *vm = self->vm;
	struct grant_vm *own = &vm->ipc->grant;
	enum weir_status status;
	struct grant *grant;

	(void)out;
	if (handle_vm(in->x1) != vm->id || !handle_fits(own, in->x1))
		return WEIR_INVALID;
	grant = &own->grant[handle_index(own, in->x1)];
	spin_lock(&own->lock);
	status = handle_status(grant, in->x1);
	if (status != WEIR_OK) {
		spin_unlock(&own->lock);
		return status;
	}
	/* Not: it came back by itself at this moment. */
	return grant_end(vm, grant) ? WEIR_OK : WEIR_STALE;
}
