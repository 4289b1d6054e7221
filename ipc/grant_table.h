/*
 * What the files of grants share: who is where in the tables, and what is done under both locks.
 * For ipc/grant*.c alone; who is not one of them includes grant.h.
 */
#pragma once

#include "core/hypercall.h"
#include "core/memory.h"
#include "ipc/event.h"
#include "ipc/grant.h"

#define HANDLE_INDEX_BITS 16
#define HANDLE_HOME_BITS  6
#define HANDLE_LOW_BITS	  (HANDLE_INDEX_BITS + HANDLE_HOME_BITS)
#define GENERATION_MAX	  (~0ul >> HANDLE_LOW_BITS)
#define INDEX_MAX	  (1u << HANDLE_INDEX_BITS)

_Static_assert(MAX_VMS <= 1u << HANDLE_HOME_BITS, "a grant's handle has room for its home");

/* ---- Places -------------------------------------------------------------------------------------- */

static inline pa_t pool_pa(const struct grant_vm *home, u64 page)
{
	return PA(home->pool.raw + page * PAGE_SIZE);
}

static inline ipa_t pool_ipa(const struct grant_vm *home, u64 page)
{
	return IPA(home->pool_ipa.raw + page * PAGE_SIZE);
}

static inline ipa_t window_ipa(u64 page)
{
	return IPA(VM_WINDOW_BASE + page * PAGE_SIZE);
}

/* Of what began last at that page of the pool. */
static inline weir_handle grant_handle(const struct vm *home, u64 page)
{
	return home->ipc->grant.grant[page].generation << HANDLE_LOW_BITS |
	       (u64)home->id << HANDLE_INDEX_BITS | page;
}

/* ---- Sets of pages: a bit a page, 64 in a word -------------------------------------------------- */

/* Mostly a range, which is not empty, lies in one word. */
static inline bool pages_in_word(u64 first, u64 count)
{
	return first % 64 + count <= 64;
}

/* `count` pages, 1 to 64, from `first` on: those that are in the word of `first`. */
static inline u64 pages_of_word(u64 first, u64 count)
{
	return ~0ul >> (64 - count) << first % 64;
}

bool pages_any_of_many(const u64 *set, u64 first, u64 count);
void pages_change_many(u64 *set, u64 first, u64 count, bool add);

static inline bool pages_any(const u64 *set, u64 first, u64 count)
{
	if (pages_in_word(first, count))
		return set[first / 64] & pages_of_word(first, count);
	return pages_any_of_many(set, first, count);
}

/* A piece of 2 MiB, by its words; it begins where one does. */
static inline enum weir_status piece_claim(u64 *word, u64 first)
{
	if (first % WEIR_GRANT_PAGES_2M)
		return WEIR_INVALID;
	if (word[0] | word[1] | word[2] | word[3] | word[4] | word[5] | word[6] | word[7])
		return WEIR_BUSY;
	word[0] = word[1] = word[2] = word[3] = ~0ul;
	word[4] = word[5] = word[6] = word[7] = ~0ul;
	return WEIR_OK;
}

/* Adds them; WEIR_BUSY: some of them are in it already. */
static inline enum weir_status pages_claim(u64 *set, u64 first, u64 count)
{
	u64 *word = &set[first / 64], pages;

	if (count == WEIR_GRANT_PAGES_2M)
		return piece_claim(word, first);
	if (!pages_in_word(first, count)) {
		if (pages_any_of_many(set, first, count))
			return WEIR_BUSY;
		pages_change_many(set, first, count, true);
		return WEIR_OK;
	}
	pages = pages_of_word(first, count);
	if (*word & pages)
		return WEIR_BUSY;
	*word |= pages;
	return WEIR_OK;
}

/* Adds them, or takes them out. */
static inline void pages_change(u64 *set, u64 first, u64 count, bool add)
{
	u64 *word = &set[first / 64];

	if (pages_in_word(first, count))
		*word = add ? *word | pages_of_word(first, count)
			    : *word & ~pages_of_word(first, count);
	else
		pages_change_many(set, first, count, add);
}

/* ---- Ports by which grants go (grant_port.c) ----------------------------------------------------- */

/*
 * A port that was opened by call is counted on: it is not closed before what goes by it has ended, so its number
 * names the same pair of ports as long. A channel's port stays for as long as its VM, and so its grants, do.
 */
static inline u16 port_number(const struct port *port)
{
	return (u16)port->handle;
}

/* One more; WEIR_STALE: it has just been closed. WEIR_BUSY: so many that they cannot be counted. */
enum weir_status grant_port_hold(struct port *port, weir_handle handle);
void grant_port_release(struct grant_vm *own, u32 number);

/* A grant, or a mapping, of the VM goes by that port no more. */
static inline void port_let_go(struct grant_vm *own, u32 number)
{
	if (number >= container_of(own, struct vm_ipc, grant)->event.channel_count)
		grant_port_release(own, number);
}

/*
 * For a map that is not by a channel from home: locks the VM of `port`, home, and the VM of `peer`, who may be home
 * or the VM itself. True: the two ports are joined, and the grant was given by that peer, or passed on.
 */
bool grant_way_lock(const struct vm *home, const struct port *port, weir_handle handle,
		    const struct port *peer, const struct grant *grant);
/* The port is held, if the grant was mapped by it. The VM and home stay locked. */
void grant_way_unlock(const struct vm *home, struct port *port, const struct vm *giver,
		      enum weir_status status);

/* ---- What the end of a VM does too (grant.c) ----------------------------------------------------- */

/*
 * Ends a grant, whoever has it: the pages are home's alone then. With home's lock held, which it lets go.
 * False: it came to its end while the holder's lock was taken.
 */
bool grant_end(struct vm *home, struct grant *grant);

/*
 * Locks the VM, and the home of the mapping that begins at a page of its window; 0: none does, and
 * nothing is locked.
 */
struct vm *grant_window_lock(struct vm *vm, u64 first);
void grant_window_unlock(struct vm *vm, struct vm *home);
/* Takes it out and unlocks both. What was passed goes home with it, and home is told. */
void grant_window_unmap(struct vm *vm, struct vm *home, u64 first);

/* ---- Debug builds: what holds after each call (grant_check.c) ------------------------------------- */

#ifdef WEIR_DEBUG
void grant_check(const struct vm *home, const struct grant *grant); /* a grant, and who has it */
void grant_check_home(const struct vm *home, u64 first, u64 pages); /* pages of the pool in none */
void grant_check_free(const struct vm *vm, u64 first, u64 pages);   /* of a window: nothing there */
void grant_check_remains(const struct vm *vm, u64 first);	    /* of a revoked mapping */
#else
#define grant_check(home, grant)	     ((void)(home))
#define grant_check_home(home, first, pages) ((void)(pages))
#define grant_check_free(vm, first, pages)   ((void)(pages))
#define grant_check_remains(vm, first)	     ((void)(first))
#endif
