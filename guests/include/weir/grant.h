/*
 * Grants: pages of one VM's shareable pool that a peer may map.
 *
 * The sharer names the peer by a port that is joined to it; the peer maps the grant, named by the
 * same channel, into its grant window. A page of the pool is in at most one grant. The peer learns
 * the handle as it likes, by WEIR_FN_PORT_PUBLISH for example.
 *
 * WEIR_FN_GRANT_SHARE: let the peer map pages.
 *   in:  x1 = port handle, x2 = first page, counted from the start of the pool, x3 = pages,
 *	  1..WEIR_GRANT_PAGES_MAX, x4 = enum weir_access.
 *   out: x1 = grant handle.
 *   errors: WEIR_INVALID: port, access, or the range does not lie in the pool (of a larger one: in
 *	     its first 65536 pages). WEIR_STALE: an old port handle. WEIR_CLOSED: the peer is off.
 *	     WEIR_BUSY: one of the pages is in a grant already, or a block request that is not
 *	     finished names it.
 *
 * WEIR_FN_GRANT_MAP: map a grant into the window, all pages, in order.
 *   in:  x1 = port handle (joined to the sharer), x2 = grant handle, x3 = first page of the window.
 *   out: x1 = pages, x2 = enum weir_access.
 *   errors: WEIR_INVALID: port, x2 never was a grant of the sharer, or x3 and the pages do not lie
 *	     in the window. WEIR_STALE: the port or grant handle is old. WEIR_DENIED: the grant was
 *	     not shared by the port that x1 is joined to. WEIR_BUSY: it is mapped already, or
 *	     something is mapped at that place.
 *   Pages are Normal write-back memory, not executable, and writable only with WEIR_READ_WRITE.
 *
 * WEIR_FN_GRANT_UNMAP: take a mapped grant, or what is left of a revoked one, out of the window.
 *   in:  x1 = first page of the window, as given to map.
 *   errors: WEIR_INVALID: out of the window. WEIR_NOT_FOUND: no mapping begins there.
 *
 * WEIR_FN_GRANT_REVOKE: end a grant; the pages are the sharer's alone when the call returns. If the
 *   peer has it mapped, its window shows a scratch page of its own from then on (reads zeroes or
 *   what the peer writes there), and its port gets an event.
 *   in:  x1 = grant handle.
 *   errors: WEIR_INVALID: no such grant. WEIR_STALE: it was revoked before.
 *
 * When a VM ends, its grants are revoked and what it had mapped is unmapped; the sharers' grants
 * stay, not mapped. When it starts again, it may map those anew.
 *
 * Source: ipc/grant.c. Tests: tests/guest/grant.c, tests/guest/restart_peer.c,
 * tests/host/test_grant.c. Since ABI 1.
 */
#pragma once

#include <weir/hypercall.h>

#define WEIR_GRANT_PAGES_MAX 64u

enum weir_access {
	WEIR_READ = 0,
	WEIR_READ_WRITE = 1,
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

static inline enum weir_status weir_grant_revoke(weir_handle grant)
{
	return weir_do(WEIR_FN_GRANT_REVOKE, grant, 0, 0, 0, 0);
}
