/*
 * Grants: pages of one VM's shareable pool that a peer may use. Home is the VM whose pool they are
 * in. It shares them (both use them) or passes them (one VM at a time does): then home sees a
 * scratch page there until they come back, and whoever has them may pass them on, along a chain.
 *
 * A VM names a peer by a port that is joined to it, of a channel or opened or connected by call; the peer
 * maps the grant, named by its own end, into its grant window. A page of the pool is in at most one grant.
 * The peer learns the handle as it likes, by WEIR_FN_PORT_PUBLISH for example.
 *
 * A port that was opened or connected by call is not closed (WEIR_BUSY) while its VM has given a grant by it that
 * has not ended, passes one on by it, or has in its window what it mapped by it, also if that was revoked. Each end
 * ends its own, with weir_grant_close_port() for example, and needs nothing of the other for it: revoking
 * takes back what the peer has not unmapped. When the other end is closed, what was given and not mapped yet
 * cannot be mapped any more, and waits to be revoked; what a VM had passed on further, that one has.
 *
 * WEIR_FN_GRANT_SHARE: let the peer map pages.
 *   in:  x1 = port handle, x2 = first page, counted from the start of the pool, x3 = pages,
 *	  1..WEIR_GRANT_PAGES_MAX or WEIR_GRANT_PAGES_2M, x4 = enum weir_access; WEIR_PASS: they are passed.
 *	  The latter begin where the page's address is a multiple of 2 MiB (so RAM of 2 MiB or more lies in the
 *	  machine, too), and are one entry of a table: mapped like one page.
 *   out: x1 = grant handle.
 *   errors: WEIR_INVALID: port (also one of a kind that has no other VM at its other end), access,
 *	     or the range does not lie in the pool (of a larger one: in its first 65536 pages).
 *	     WEIR_STALE: an old port handle. WEIR_CLOSED: the peer is off, or has closed its port, or
 *	     the port has no other end yet. WEIR_BUSY: one of the pages is in a grant already, or a block
 *	     request that is not finished names it; 65535 grants and mappings go by the port, which
 *	     was opened by call. WEIR_QUOTA: 2^42 grants have begun at this page.
 *
 * WEIR_FN_GRANT_MAP: map a grant into the window, all pages, in order.
 *   in:  x1 = port handle (joined to who shared or passed it), x2 = grant handle, x3 = first page of
 *	  the window; for 2 MiB: a multiple of WEIR_GRANT_PAGES_2M.
 *   out: x1 = pages, x2 = enum weir_access.
 *   errors: WEIR_INVALID: port, x2 never was a grant of another VM, or x3 and the pages do not lie
 *	     in the window. WEIR_STALE: the port or grant handle is old. WEIR_CLOSED: a port that was
 *	     opened by call has no other end. WEIR_DENIED: the grant was not given by the port that x1 is
 *	     joined to, or 65535 grants and mappings go by x1 already. WEIR_BUSY: it is mapped
 *	     already, or something is mapped at that place.
 *   Pages are Normal write-back memory, not executable, and writable but with WEIR_READ.
 *
 * WEIR_FN_GRANT_PASS: pass on what was passed, and is mapped: it leaves the window at once, and that
 *   place is free again when the peer has mapped the grant. Until then unmap takes it back.
 *   in:  x1 = port handle, x2 = first page of the window, as given to map.
 *   out: x1 = grant handle.
 *   errors: WEIR_INVALID: port, out of the window. WEIR_STALE: an old port handle. WEIR_NOT_FOUND: no
 *	     mapping begins there. WEIR_DENIED: it was shared and not passed, or the peer is home (unmap
 *	     returns it). WEIR_CLOSED: as for share, or the grant was revoked. WEIR_BUSY: 65535 grants and
 *	     mappings go by the port.
 *
 * WEIR_FN_GRANT_UNMAP: take a mapped grant, or what is left of a revoked one, out of the window. What
 *   was passed is returned by that: the grant ends, home sees its pages again, and its port by which
 *   it passed them gets an event.
 *   in:  x1 = first page of the window, as given to map.
 *   errors: WEIR_INVALID: out of the window. WEIR_NOT_FOUND: no mapping begins there.
 *
 * WEIR_FN_GRANT_REVOKE: end a grant; the pages are home's alone when the call returns, with what is in
 *   them then. If a VM has it mapped, its window shows a scratch page of its own from then on (reads
 *   zeroes or what the VM writes there), and its port by which it got it gets an event.
 *   in:  x1 = grant handle.
 *   errors: WEIR_INVALID: no such grant. WEIR_STALE: it was revoked or returned before.
 *
 * WEIR_FN_GRANT_LIST: what the VM has shared and passed, or what it has mapped, one by one.
 *   in:  x1 = enum weir_grants, x2 = page, of the pool or of the window, to look from.
 *   out: x1 = the page at which the next one begins, x2 = its grant handle (0: it was revoked, and what is
 *	  left of it is still in the window), x3 = pages in bits 15:0, the number of the port by which it was given
 *	  or passed on in 31:16, enum weir_access in 39:32, enum weir_grant_state in 47:40.
 *	  Pages 0: none begins before x1, from which to go on; so much was looked at in one call.
 *   errors: WEIR_INVALID: x1. WEIR_NOT_FOUND: there is none from x2 on.
 *
 * When a VM ends, its grants are revoked; what it had mapped is unmapped, so what was passed to it, and
 * what it passed on and was not taken yet, goes home, zeroed; shared grants stay, not mapped. When it starts
 * again, it may map those anew.
 *
 * Source: ipc/grant.c, ipc/grant_port.c, ipc/grant_list.c. Tests: tests/guest/grant.c, tests/guest/piece.c,
 * tests/guest/pass.c, tests/guest/port.c, tests/guest/restart_peer.c, tests/host/test_grant*.c. Since ABI 1.
 */
#pragma once

#include <weir/hypercall.h>

#define WEIR_GRANT_PAGES_MAX 64u
#define WEIR_GRANT_PAGES_2M  512u /* or as many: a whole piece of 2 MiB */

enum weir_access {
	WEIR_READ = 0,
	WEIR_READ_WRITE = 1,
	WEIR_PASS = 2, /* read and write, for one VM at a time */
};

enum weir_grants {
	WEIR_GRANTS_GIVEN = 0,	/* the VM's own pages, by page of the pool */
	WEIR_GRANTS_MAPPED = 1, /* those of others, by page of the window */
};

enum weir_grant_state {
	WEIR_GRANT_WAITING = 0, /* given or passed on, and not taken yet */
	WEIR_GRANT_MAPPED = 1,
	WEIR_GRANT_REVOKED = 2, /* what is left of it in a window */
};

static inline enum weir_status weir_grant_share(weir_handle port, uint64_t first_page,
						uint32_t pages, enum weir_access access,
						weir_handle *grant)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_GRANT_SHARE), port, first_page, pages,
					      (uint64_t)access, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*grant = result.value[0];
	return (enum weir_status)result.status;
}

/* `pages` and `access` may be 0. */
static inline enum weir_status weir_grant_map(weir_handle port, weir_handle grant,
					      uint64_t window_page, uint32_t *pages,
					      enum weir_access *access)
{
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_GRANT_MAP), port, grant, window_page, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK && pages)
		*pages = (uint32_t)result.value[0];
	if ((enum weir_status)result.status == WEIR_OK && access)
		*access = (enum weir_access)result.value[1];
	return (enum weir_status)result.status;
}

static inline enum weir_status weir_grant_unmap(uint64_t window_page)
{
	return weir_do(WEIR_FN_GRANT_UNMAP, window_page, 0, 0, 0, 0);
}

/* Home passes pages of its pool: WEIR_FN_GRANT_SHARE with WEIR_PASS. */
static inline enum weir_status weir_grant_pass(weir_handle port, uint64_t first_page,
					       uint32_t pages, weir_handle *grant)
{
	return weir_grant_share(port, first_page, pages, WEIR_PASS, grant);
}

/* Who has them in its window passes them on: WEIR_FN_GRANT_PASS. */
static inline enum weir_status weir_grant_pass_on(weir_handle port, uint64_t window_page,
						  weir_handle *grant)
{
	struct weir_result result =
		weir_call(WEIR_FN(WEIR_FN_GRANT_PASS), port, window_page, 0, 0, 0, 0);

	if ((enum weir_status)result.status == WEIR_OK)
		*grant = result.value[0];
	return (enum weir_status)result.status;
}

/* Or sends them home: WEIR_FN_GRANT_UNMAP. */
static inline enum weir_status weir_grant_return(uint64_t window_page)
{
	return weir_grant_unmap(window_page);
}

static inline enum weir_status weir_grant_revoke(weir_handle grant)
{
	return weir_do(WEIR_FN_GRANT_REVOKE, grant, 0, 0, 0, 0);
}

struct weir_grant_info {
	uint64_t page; /* where it begins, in the pool or the window */
	weir_handle grant;
	uint32_t pages;
	uint32_t port; /* bits 15:0 of its handle */
	enum weir_access access;
	enum weir_grant_state state;
};

/* The next one at or behind *page, which then is the page behind it: 0 at first, until WEIR_NOT_FOUND. */
static inline enum weir_status weir_grant_next(enum weir_grants which, uint64_t *page,
					       struct weir_grant_info *info)
{
	struct weir_result result;

	do {
		result = weir_call(WEIR_FN(WEIR_FN_GRANT_LIST), (uint64_t)which, *page, 0, 0, 0, 0);
		if ((enum weir_status)result.status != WEIR_OK)
			return (enum weir_status)result.status;
		info->page = result.value[0];
		info->grant = result.value[1];
		info->pages = (uint32_t)(result.value[2] & 0xffff);
		info->port = (uint32_t)(result.value[2] >> 16 & 0xffff);
		info->access = (enum weir_access)(result.value[2] >> 32 & 0xff);
		info->state = (enum weir_grant_state)(result.value[2] >> 40 & 0xff);
		*page = info->page + info->pages;
	} while (!info->pages);
	return WEIR_OK;
}

/* All of these that go by the port. */
static inline enum weir_status weir_grant_end_by(enum weir_grants which, weir_handle port)
{
	struct weir_grant_info info;
	enum weir_status status;
	uint64_t page = 0;

	while ((status = weir_grant_next(which, &page, &info)) == WEIR_OK) {
		if (info.port != (port & 0xffff))
			continue;
		if (which == WEIR_GRANTS_GIVEN)
			weir_grant_revoke(info.grant); /* else it came back just now */
		else
			weir_grant_unmap(info.page);
	}
	return status == WEIR_NOT_FOUND ? WEIR_OK : status;
}

/*
 * Closes a port that was opened or connected by call, and first ends what goes by it: revokes what was given,
 * and unmaps, returns or takes back the rest. Looks through all that the VM has given and mapped. WEIR_STALE,
 * WEIR_DENIED as WEIR_FN_PORT_CLOSE; WEIR_BUSY: another vCPU has given or mapped something meanwhile.
 */
static inline enum weir_status weir_grant_close_port(weir_handle port)
{
	enum weir_status status = weir_do(WEIR_FN_PORT_CLOSE, port, 0, 0, 0, 0);

	if (status !=
	    WEIR_BUSY) /* mostly nothing does; and this tells whether the handle is good */
		return status;
	status = weir_grant_end_by(WEIR_GRANTS_GIVEN, port);
	if (status == WEIR_OK)
		status = weir_grant_end_by(WEIR_GRANTS_MAPPED, port);
	return status == WEIR_OK ? weir_do(WEIR_FN_PORT_CLOSE, port, 0, 0, 0, 0) : status;
}
