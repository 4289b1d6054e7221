/*
 * Grants as weir/grant.h describes them: what calls may answer, and what tables, windows and stage 2 have to
 * agree on after each of them. Source: grants.c
 */
#pragma once

#include "machine.h"

void grants_reset(void);

/* What a call may answer, as events.h says; `vm` calls. */
u32 grants_share_errors(u32 vm, weir_handle port, u64 first, u64 pages, u64 access);
u32 grants_map_errors(u32 vm, weir_handle port, weir_handle grant, u64 first);
u32 grants_unmap_errors(u32 vm, u64 first);
u32 grants_pass_errors(u32 vm, weir_handle port, u64 first);
u32 grants_revoke_errors(u32 vm, weir_handle grant);
/* The page of what a list tells next from `page` on; the number of pages, if there is none. */
u64 grants_listed(u32 vm, u64 which, u64 page);

/* How many of the VM's grants and mappings go by its port. */
u32 grants_by(u32 vm, u32 port);

/* A grant was made. Its handle has never been one before. */
void grants_made(u32 vm, weir_handle grant);
/* One of the handles that were given out lately, by any VM; 0 if none was. */
weir_handle grants_recent(u32 index);
/* Whose port an event comes to, if a VM revokes the grant that begins at a page of its pool, or takes what
 * begins at a page of its window out of it; port EVENTS_PORTS: nobody's. */
struct grants_told {
	u32 vm, port;
};
struct grants_told grants_revoke_tells(u32 vm, u64 page);
struct grants_told grants_unmap_tells(u32 vm, u64 first);

void grants_check(void);
