/*
 * What the tests of single grants have in common: three VMs on the machine of ipc_vms.h, and calls by vCPU 0
 * of one of them.
 */
#pragma once

#include <weir/event.h>
#include <weir/grant.h>
#include "ipc_vms.h"
#include "ipc/grant.h"

/* a: port 0 to b, port 1 to c; b: 0 to a, 1 to c, 2 to a; c: 0 to a, 1 to b. */
static const char *const channels[] = { "ab", "ac", "bc", "ab2", 0 };

#define PORT(n) (1ul << 16 | (n))

static inline int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(3, 1, channels);
	return 0;
}

static inline weir_handle share(u32 vm, u32 port, u64 first, u32 pages, enum weir_access access)
{
	weir_handle grant = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_grant_share(PORT(port), first, pages, access, &grant), WEIR_OK);
	assert_int_not_equal(grant, 0);
	return grant;
}

static inline enum weir_status map(u32 vm, u32 port, weir_handle grant, u64 window)
{
	ipc_run(vm, 0);
	return weir_grant_map(PORT(port), grant, window, 0, 0);
}

static inline enum weir_status unmap(u32 vm, u64 window)
{
	ipc_run(vm, 0);
	return weir_grant_unmap(window);
}

static inline enum weir_status revoke(u32 vm, weir_handle grant)
{
	ipc_run(vm, 0);
	return weir_grant_revoke(grant);
}

/* What a VM sees at a page of its window. */
static inline void assert_sees(u32 vm, u64 page, enum stage2_kind kind, u64 pa)
{
	const struct stage2 *tables = &ipc_vm(vm)->stage2;
	u64 ipa = VM_WINDOW_BASE + page * PAGE_SIZE;

	assert_int_equal(fake_stage2_kind(tables, ipa), kind);
	assert_int_equal(fake_stage2_pa(tables, ipa), pa);
}
