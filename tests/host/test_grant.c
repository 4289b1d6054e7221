/*
 * Grants: pages of one VM's pool in another's window, and that nothing of them stays behind.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include "grant_calls.h"

static enum weir_status share_status(u32 vm, u64 port, u64 first, u64 pages, u64 access)
{
	ipc_run(vm, 0);
	return weir_do(WEIR_FN_GRANT_SHARE, port, first, pages, access, 0);
}

TEST(a_shared_range_is_mapped_in_order)
{
	weir_handle grant = share(0, 0, 5, 3, WEIR_READ_WRITE);
	enum weir_access access = WEIR_READ;
	u32 pages = 0;

	ipc_run(1, 0);
	assert_int_equal(weir_grant_map(PORT(0), grant, 7, &pages, &access), WEIR_OK);
	assert_int_equal(pages, 3);
	assert_int_equal(access, WEIR_READ_WRITE);
	assert_sees(1, 6, STAGE2_NONE, 0);
	for (u64 i = 0; i < 3; i++)
		assert_sees(1, 7 + i, STAGE2_SHARED, ipc_pool_pa(0, 5 + i));
	assert_sees(1, 10, STAGE2_NONE, 0);
}

TEST(read_access_maps_read_only)
{
	weir_handle grant = share(0, 0, 0, 2, WEIR_READ);

	assert_int_equal(map(1, 0, grant, 0), WEIR_OK);
	assert_sees(1, 0, STAGE2_SHARED_READ, ipc_pool_pa(0, 0));
	assert_sees(1, 1, STAGE2_SHARED_READ, ipc_pool_pa(0, 1));
}

TEST(sharing_changes_no_mapping)
{
	u32 changes = fake_stage2_changes();

	share(0, 0, 0, 64, WEIR_READ);
	assert_int_equal(fake_stage2_changes(), changes);
}

TEST(share_rejects_ports_ranges_and_access)
{
	assert_int_equal(share_status(0, PORT(3), 0, 1, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, 0, 0, 1, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), 0, 0, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), 0, 65, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), 0, 1ul << 32 | 1, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), FAKE_POOL_PAGES, 1, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), FAKE_POOL_PAGES - 1, 2, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), UINT64_MAX, 1, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), UINT64_MAX, 2, 0), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), 0, 1, 3), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), 0, 1, 1ul << 32), WEIR_INVALID);
	assert_int_equal(share_status(0, PORT(0), FAKE_POOL_PAGES - 1, 1, 0), WEIR_OK);
}

TEST(share_and_map_reject_an_old_port)
{
	weir_handle grant = share(0, 0, 0, 1, WEIR_READ);

	ipc_vm(0)->ipc->event.port[0].handle += 1ul << 16;
	ipc_vm(1)->ipc->event.port[0].handle += 1ul << 16;
	assert_int_equal(share_status(0, PORT(0), 1, 1, 0), WEIR_STALE);
	assert_int_equal(map(1, 0, grant, 0), WEIR_STALE);
}

TEST(share_with_a_vm_that_stopped_is_closed)
{
	ipc_vm_end(1);
	assert_int_equal(share_status(0, PORT(0), 0, 1, 0), WEIR_CLOSED);
	assert_int_equal(share_status(0, PORT(1), 0, 1, 0), WEIR_OK);
}

TEST(a_page_is_in_at_most_one_grant)
{
	weir_handle grant = share(0, 0, 10, 10, WEIR_READ);

	assert_int_equal(share_status(0, PORT(0), 10, 10, 0), WEIR_BUSY);
	assert_int_equal(share_status(0, PORT(1), 19, 1, 0), WEIR_BUSY);
	assert_int_equal(share_status(0, PORT(1), 1, 10, 0), WEIR_BUSY);
	assert_int_equal(share_status(0, PORT(1), 0, 40, 0), WEIR_BUSY);
	assert_int_equal(share_status(0, PORT(1), 9, 1, 0), WEIR_OK);
	assert_int_equal(share_status(0, PORT(1), 20, 1, 0), WEIR_OK);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(share_status(0, PORT(1), 10, 10, 0), WEIR_OK);
}

TEST(share_waits_for_the_disk)
{
	ipc_block_busy(0, 12);
	assert_int_equal(share_status(0, PORT(0), 10, 4, 0), WEIR_BUSY);
	assert_int_equal(share_status(0, PORT(0), 10, 2, 0), WEIR_OK);
	ipc_block_busy(0, UINT64_MAX);
	assert_int_equal(share_status(0, PORT(0), 12, 2, 0), WEIR_OK);
}

TEST(map_rejects_ports_and_places)
{
	weir_handle grant = share(0, 0, 0, 4, WEIR_READ);

	assert_int_equal(map(1, 9, grant, 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, FAKE_WINDOW_PAGES), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, FAKE_WINDOW_PAGES - 3), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, UINT64_MAX), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, 1ul << 32), WEIR_INVALID);
	assert_int_equal(fake_stage2_changes(), 0);
	assert_int_equal(map(1, 0, grant, FAKE_WINDOW_PAGES - 4), WEIR_OK);
}

TEST(map_rejects_handles_of_no_grant)
{
	weir_handle grant = share(0, 0, 3, 1, WEIR_READ);

	assert_int_equal(map(1, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, 3, 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant + (1ul << 22), 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant + 1, 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, UINT64_MAX, 0), WEIR_INVALID);
	assert_int_equal(map(1, 0, 1ul << 22 | FAKE_POOL_PAGES, 0), WEIR_INVALID);
}

TEST(map_rejects_a_revoked_grant)
{
	weir_handle grant = share(0, 0, 3, 1, WEIR_READ);

	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(map(1, 0, grant, 0), WEIR_STALE);
	share(0, 0, 3, 1, WEIR_READ);
	assert_int_equal(map(1, 0, grant, 0), WEIR_STALE);
}

TEST(map_is_denied_to_all_but_the_channel_s_end)
{
	weir_handle grant = share(0, 0, 3, 1, WEIR_READ);

	assert_int_equal(map(2, 0, grant, 0), WEIR_DENIED); /* another VM */
	assert_int_equal(map(1, 2, grant, 0), WEIR_DENIED); /* another channel */
	assert_int_equal(map(1, 1, grant, 0), WEIR_DENIED); /* another giver */
	assert_int_equal(map(1, 0, grant, 0), WEIR_OK);
}

TEST(map_is_busy_where_something_is)
{
	weir_handle one = share(0, 0, 0, 4, WEIR_READ), other = share(0, 0, 4, 4, WEIR_READ);

	assert_int_equal(map(1, 0, one, 10), WEIR_OK);
	assert_int_equal(map(1, 0, one, 20), WEIR_BUSY);
	assert_int_equal(map(1, 0, other, 13), WEIR_BUSY);
	assert_int_equal(map(1, 0, other, 7), WEIR_BUSY);
	assert_sees(1, 7, STAGE2_NONE, 0);
	assert_int_equal(map(1, 0, other, 14), WEIR_OK);
	assert_int_equal(revoke(0, one), WEIR_OK);
	one = share(0, 0, 0, 1, WEIR_READ);
	assert_int_equal(map(1, 0, one, 10), WEIR_BUSY); /* the remains are in the way */
	assert_int_equal(unmap(1, 10), WEIR_OK);
	assert_int_equal(map(1, 0, one, 10), WEIR_OK);
}

TEST(unmap_takes_all_pages_out_and_the_grant_can_be_mapped_again)
{
	weir_handle grant = share(0, 0, 0, 64, WEIR_READ);

	assert_int_equal(map(1, 0, grant, 16), WEIR_OK);
	assert_int_equal(unmap(1, 16), WEIR_OK);
	for (u64 i = 0; i < FAKE_WINDOW_PAGES; i++)
		assert_sees(1, i, STAGE2_NONE, 0);
	assert_int_equal(map(1, 0, grant, 0), WEIR_OK);
}

TEST(unmap_rejects_what_is_not_the_first_page_of_a_mapping)
{
	weir_handle grant = share(0, 0, 0, 4, WEIR_READ);

	assert_int_equal(unmap(1, FAKE_WINDOW_PAGES), WEIR_INVALID);
	assert_int_equal(unmap(1, UINT64_MAX), WEIR_INVALID);
	assert_int_equal(unmap(1, 5), WEIR_NOT_FOUND);
	assert_int_equal(map(1, 0, grant, 5), WEIR_OK);
	assert_int_equal(unmap(1, 6), WEIR_NOT_FOUND);
	assert_int_equal(unmap(1, 4), WEIR_NOT_FOUND);
	assert_int_equal(unmap(1, 5), WEIR_OK);
	assert_int_equal(unmap(1, 5), WEIR_NOT_FOUND);
}

TEST(grant_revoked_in_use_shows_scratch_and_raises_an_event)
{
	weir_handle grant = share(0, 0, 2, 3, WEIR_READ);

	assert_int_equal(map(1, 0, grant, 1), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	for (u64 i = 1; i < 4; i++)
		assert_sees(1, i, STAGE2_SHARED, ipc_scratch_pa(1));
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(unmap(1, 1), WEIR_OK);
	assert_sees(1, 1, STAGE2_NONE, 0);
}

/* What decides whether a guest that faulted in its window tries again, or gets an abort. */
TEST(the_window_shows_what_is_mapped_and_what_is_left_of_it)
{
	weir_handle grant = share(0, 0, 2, 3, WEIR_READ);
	struct vm *peer = vm_get(1);
	u64 end = VM_WINDOW_BASE + peer->window_bytes;

	assert_false(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + PAGE_SIZE)));
	assert_int_equal(map(1, 0, grant, 1), WEIR_OK);
	for (u32 round = 0; round < 2; round++) {
		assert_false(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + PAGE_SIZE - 1)));
		assert_true(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + PAGE_SIZE)));
		assert_true(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + 4 * PAGE_SIZE - 1)));
		assert_false(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + 4 * PAGE_SIZE)));
		if (round == 0)
			assert_int_equal(revoke(0, grant), WEIR_OK);
	}
	assert_int_equal(unmap(1, 1), WEIR_OK);
	assert_false(ipc_window_shows(peer, IPA(VM_WINDOW_BASE + PAGE_SIZE)));
	assert_false(ipc_window_shows(peer, IPA(end)));
	assert_false(ipc_window_shows(peer, IPA(VM_WINDOW_BASE - 1)));
	assert_false(ipc_window_shows(peer, IPA(0)));
}

TEST(the_remains_of_a_grant_have_nothing_to_do_with_its_successor)
{
	weir_handle grant = share(0, 0, 2, 3, WEIR_READ);

	assert_int_equal(map(1, 0, grant, 1), WEIR_OK);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), 0);
	grant = share(0, 0, 2, 3, WEIR_READ);
	assert_int_equal(map(1, 0, grant, 10), WEIR_OK);
	assert_int_equal(unmap(1, 1), WEIR_OK);
	assert_int_equal(map(1, 0, grant, 20), WEIR_BUSY);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_sees(1, 10, STAGE2_SHARED, ipc_scratch_pa(1));
	assert_int_equal(ipc_next(1, 0), 0);
}

TEST(a_scratch_page_belongs_to_one_vm_and_is_zero)
{
	static const u8 zero[PAGE_SIZE];

	assert_int_not_equal(ipc_scratch_pa(0), ipc_scratch_pa(1));
	assert_memory_equal((const void *)ipc_scratch_pa(1), zero, PAGE_SIZE);
}

TEST(grant_revoked_out_of_use_raises_nothing)
{
	weir_handle grant = share(0, 0, 2, 3, WEIR_READ);

	assert_int_equal(map(1, 0, grant, 1), WEIR_OK);
	assert_int_equal(unmap(1, 1), WEIR_OK);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(ipc_next(1, 0), -1);
	assert_sees(1, 1, STAGE2_NONE, 0);
}

TEST(revoke_rejects_handles_of_no_grant_and_old_ones)
{
	weir_handle grant = share(0, 0, 2, 3, WEIR_READ);

	assert_int_equal(revoke(0, 0), WEIR_INVALID);
	assert_int_equal(revoke(0, 2), WEIR_INVALID);
	assert_int_equal(revoke(0, grant + (1ul << 16)), WEIR_INVALID);
	assert_int_equal(revoke(0, grant + 1), WEIR_INVALID);
	assert_int_equal(revoke(0, 1ul << 16 | FAKE_POOL_PAGES), WEIR_INVALID);
	assert_int_equal(revoke(1, grant), WEIR_INVALID); /* not the sharer's */
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(revoke(0, grant), WEIR_STALE);
	share(0, 1, 2, 1, WEIR_READ);
	assert_int_equal(revoke(0, grant), WEIR_STALE);
}

TEST(a_vm_without_channels_has_no_grants)
{
	static const char *const none[] = { 0 };

	struct weir_grant_info info;
	u64 cost, page = 0;

	ipc_vms_make(1, 1, none);
	assert_int_equal(revoke(0, 1ul << 16), WEIR_INVALID);
	assert_int_equal(unmap(0, 0), WEIR_NOT_FOUND);
	assert_int_equal(unmap(0, FAKE_WINDOW_PAGES - 1), WEIR_NOT_FOUND);
	assert_int_equal(unmap(0, FAKE_WINDOW_PAGES), WEIR_INVALID);
	assert_int_equal(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_NOT_FOUND);
	assert_int_equal(weir_grant_next(WEIR_GRANTS_MAPPED, &page, &info), WEIR_NOT_FOUND);
	ipc_vm_renew(0);
	assert_int_equal(unmap(0, 0), WEIR_NOT_FOUND);
	/* Nor does it pay for what others need for theirs. */
	cost = fake_heap_cost();
	ipc_vms_set_large();
	ipc_vms_make(1, 1, none);
	assert_int_equal(fake_heap_cost(), cost);
	ipc_vm_end(0);
}

TEST(the_end_of_the_sharer_leaves_scratch)
{
	weir_handle one = share(0, 0, 0, 4, WEIR_READ_WRITE), other = share(0, 1, 8, 1, WEIR_READ);

	assert_int_equal(map(1, 0, one, 3), WEIR_OK);
	assert_int_equal(map(2, 0, other, 9), WEIR_OK);
	ipc_vm_end(0);
	for (u64 i = 3; i < 7; i++)
		assert_sees(1, i, STAGE2_SHARED, ipc_scratch_pa(1));
	assert_sees(2, 9, STAGE2_SHARED, ipc_scratch_pa(2));
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(ipc_next(2, 0), 0);
	assert_int_equal(map(1, 0, one, 20), WEIR_STALE);
	assert_int_equal(unmap(1, 3), WEIR_OK);
}

TEST(the_end_of_the_peer_frees_the_grant)
{
	weir_handle grant = share(0, 0, 0, 4, WEIR_READ_WRITE);

	assert_int_equal(map(1, 0, grant, 3), WEIR_OK);
	ipc_vm_end(1);
	assert_sees(1, 3, STAGE2_NONE, 0);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_sees(1, 3, STAGE2_NONE, 0);
}

TEST(a_vm_that_stopped_neither_shares_nor_maps)
{
	weir_handle grant = share(0, 0, 0, 4, WEIR_READ_WRITE);

	/* Another of its vCPUs is still on its way out. */
	ipc_vm_end(1);
	assert_int_equal(map(1, 0, grant, 0), WEIR_CLOSED);
	assert_int_equal(share_status(1, PORT(1), 0, 1, 0), WEIR_CLOSED);
}

/* Ports of the new life have another handle: generation 2. */
TEST(a_vm_that_started_again_shares_and_maps_again)
{
	weir_handle old = share(1, 0, 0, 4, WEIR_READ_WRITE), theirs = share(0, 0, 0, 2, WEIR_READ);
	weir_handle port = 2ul << 16, new = 0;

	assert_int_equal(map(1, 0, theirs, 5), WEIR_OK);
	memset((void *)ipc_scratch_pa(1), 0xee, PAGE_SIZE);
	ipc_vm_renew(1);
	for (u64 i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(((u8 *)ipc_scratch_pa(1))[i], 0);
	ipc_run(1, 0);
	assert_int_equal(weir_grant_share(PORT(0), 0, 1, WEIR_READ, &new), WEIR_STALE);
	assert_int_equal(weir_grant_share(port, 0, 1, WEIR_READ, &new), WEIR_OK);
	assert_int_equal(new, 2ul << 22 | 1ul << 16);
	assert_int_equal(revoke(1, old), WEIR_STALE);
	assert_int_equal(map(0, 0, old, 0), WEIR_STALE);
	assert_int_equal(map(0, 0, new, 0), WEIR_OK);
	/* The peer's grant is still there, and not mapped. */
	ipc_run(1, 0);
	assert_int_equal(weir_grant_map(port, theirs, 5, 0, 0), WEIR_OK);
	assert_sees(1, 5, STAGE2_SHARED_READ, ipc_pool_pa(0, 0));
}

TEST(block_learns_which_pages_are_shared)
{
	struct vm *vm = ipc_vm(0);

	share(0, 0, 3, 2, WEIR_READ);
	grant_lock(vm);
	assert_false(grant_pages_shared(vm, PA(ipc_pool_pa(0, 0)), 3 * PAGE_SIZE));
	assert_true(grant_pages_shared(vm, PA(ipc_pool_pa(0, 0)), 3 * PAGE_SIZE + 1));
	assert_true(grant_pages_shared(vm, PA(ipc_pool_pa(0, 4) + 4095), 1));
	assert_false(grant_pages_shared(vm, PA(ipc_pool_pa(0, 5)), 512));
	assert_true(grant_pages_shared(vm, vm->ram, vm->ram_bytes));
	assert_false(grant_pages_shared(vm, vm->ram, vm->ram_bytes - vm->pool_bytes));
	assert_false(grant_pages_shared(vm, PA(ipc_pool_pa(0, FAKE_POOL_PAGES - 1)), PAGE_SIZE));
	grant_unlock(vm);
	assert_false(grant_in_pool(vm, vm->ram, vm->ram_bytes - vm->pool_bytes));
	assert_true(grant_in_pool(vm, vm->ram, vm->ram_bytes - vm->pool_bytes + 1));
	assert_false(grant_in_pool(vm, PA(ipc_pool_pa(0, 0)), 0));
}

TEST(a_page_out_of_generations_is_not_given_again)
{
	weir_handle grant;

	ipc_vm(0)->ipc->grant.grant[3].generation = (1ul << 42) - 2;
	grant = share(0, 0, 3, 1, WEIR_READ);
	assert_int_equal(grant >> 22, (1ul << 42) - 1);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(share_status(0, PORT(0), 3, 1, 0), WEIR_QUOTA);
	assert_int_equal(share_status(0, PORT(0), 4, 1, 0), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_shared_range_is_mapped_in_order),
		CASE(read_access_maps_read_only),
		CASE(sharing_changes_no_mapping),
		CASE(share_rejects_ports_ranges_and_access),
		CASE(share_and_map_reject_an_old_port),
		CASE(share_with_a_vm_that_stopped_is_closed),
		CASE(a_page_is_in_at_most_one_grant),
		CASE(a_page_out_of_generations_is_not_given_again),
		CASE(share_waits_for_the_disk),
		CASE(map_rejects_ports_and_places),
		CASE(map_rejects_handles_of_no_grant),
		CASE(map_rejects_a_revoked_grant),
		CASE(map_is_denied_to_all_but_the_channel_s_end),
		CASE(map_is_busy_where_something_is),
		CASE(unmap_takes_all_pages_out_and_the_grant_can_be_mapped_again),
		CASE(unmap_rejects_what_is_not_the_first_page_of_a_mapping),
		CASE(grant_revoked_in_use_shows_scratch_and_raises_an_event),
		CASE(the_window_shows_what_is_mapped_and_what_is_left_of_it),
		CASE(the_remains_of_a_grant_have_nothing_to_do_with_its_successor),
		CASE(a_scratch_page_belongs_to_one_vm_and_is_zero),
		CASE(grant_revoked_out_of_use_raises_nothing),
		CASE(revoke_rejects_handles_of_no_grant_and_old_ones),
		CASE(a_vm_without_channels_has_no_grants),
		CASE(the_end_of_the_sharer_leaves_scratch),
		CASE(the_end_of_the_peer_frees_the_grant),
		CASE(a_vm_that_stopped_neither_shares_nor_maps),
		CASE(a_vm_that_started_again_shares_and_maps_again),
		CASE(block_learns_which_pages_are_shared),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
