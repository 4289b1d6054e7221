/*
 * Grants of 2 MiB (weir/grant.h): a piece by one entry of a table, which no grant of single pages shares with it.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "grant_calls.h"

#define HOME  FAKE_PIECE
#define PLACE 512u
#define WHOLE WEIR_GRANT_PAGES_2M

/* a: port 0 to b, port 1 to c; b: 0 to a, 1 to c; c: 0 to a, 1 to b. */
static int large_make(void **state)
{
	(void)state;
	ipc_vms_set_large();
	ipc_vms_make(3, 1, channels);
	return 0;
}

static enum weir_status share_status(u64 first, u32 pages, u32 access)
{
	weir_handle grant;

	ipc_run(0, 0);
	return weir_grant_share(PORT(0), first, pages, (enum weir_access)access, &grant);
}

static void assert_window(u32 vm, enum stage2_kind kind, u64 pa, u64 stride)
{
	for (u64 i = 0; i < WHOLE; i++)
		assert_sees(vm, PLACE + i, kind, pa + i * stride);
	assert_sees(vm, PLACE - 1, STAGE2_NONE, 0);
	assert_sees(vm, PLACE + WHOLE, STAGE2_NONE, 0);
}

/* What a sees of its piece. */
static void assert_home(enum stage2_kind kind, u64 pa, u64 stride)
{
	u64 ipa = vm_pool_base(ipc_vm(0)) + HOME * PAGE_SIZE;

	for (u64 i = 0; i < WHOLE; i++) {
		assert_int_equal(fake_stage2_kind(&ipc_vm(0)->stage2, ipa + i * PAGE_SIZE), kind);
		assert_int_equal(fake_stage2_pa(&ipc_vm(0)->stage2, ipa + i * PAGE_SIZE),
				 pa + i * stride);
	}
}

static void assert_own(void)
{
	assert_home(STAGE2_RAM, ipc_pool_pa(0, HOME), PAGE_SIZE);
}

TEST(a_piece_is_shared_mapped_and_revoked)
{
	weir_handle grant = share(0, 0, HOME, WHOLE, WEIR_READ);
	uint32_t pages = 0;

	ipc_run(1, 0);
	assert_int_equal(weir_grant_map(PORT(0), grant, PLACE, &pages, 0), WEIR_OK);
	assert_int_equal(pages, WHOLE);
	assert_window(1, STAGE2_SHARED_READ, ipc_pool_pa(0, HOME), PAGE_SIZE);
	assert_own();
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_window(1, STAGE2_SHARED, ipc_scratch_pa(1), 0);
	assert_int_equal(ipc_next(1, 0), 0);
	assert_int_equal(unmap(1, PLACE), WEIR_OK);
	assert_window(1, STAGE2_NONE, 0, 0);
	assert_own();
}

TEST(a_piece_is_passed_along_a_chain_and_returned)
{
	weir_handle grant = share(0, 0, HOME, WHOLE, WEIR_PASS), on = 0;

	assert_home(STAGE2_SHARED, ipc_scratch_pa(0), 0);
	assert_int_equal(map(1, 0, grant, PLACE), WEIR_OK);
	assert_window(1, STAGE2_SHARED, ipc_pool_pa(0, HOME), PAGE_SIZE);
	assert_int_equal(weir_grant_pass_on(PORT(1), PLACE, &on), WEIR_OK);
	assert_window(1, STAGE2_NONE, 0, 0);
	assert_int_equal(map(2, 1, on, PLACE), WEIR_OK);
	assert_window(2, STAGE2_SHARED, ipc_pool_pa(0, HOME), PAGE_SIZE);
	assert_int_equal(unmap(2, PLACE), WEIR_OK);
	assert_window(2, STAGE2_NONE, 0, 0);
	assert_own();
	assert_int_equal(ipc_next(0, 0), 0);
}

TEST(what_is_no_piece_is_invalid)
{
	weir_handle grant;

	assert_int_equal(share_status(HOME + 1, WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME - 1, WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(0, WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME, WHOLE - 1, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME, WHOLE + 1, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME, 2 * WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME, WHOLE, WEIR_PASS + 1), WEIR_INVALID);
	assert_int_equal(share_status(HOME + 2 * WHOLE, WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME + (1ul << 52), WHOLE, WEIR_READ), WEIR_INVALID);
	grant = share(0, 0, HOME, WHOLE, WEIR_READ);
	assert_int_equal(map(1, 0, grant, PLACE + 1), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, PLACE - 4), WEIR_INVALID);
	assert_int_equal(map(1, 0, grant, 2 * WHOLE), WEIR_INVALID); /* the window ends in it */
	assert_int_equal(map(1, 0, grant, 0), WEIR_OK);
}

/* RAM that is not where the pool is by 2 MiB, as that of small VMs may be. */
TEST(a_piece_of_the_vm_that_is_none_of_the_machine_is_invalid)
{
	ipc_vm(0)->ipc->grant.pool.raw += PAGE_SIZE;
	assert_int_equal(share_status(HOME, WHOLE, WEIR_READ), WEIR_INVALID);
	assert_int_equal(share_status(HOME - 1, WHOLE, WEIR_READ), WEIR_INVALID);
	ipc_vm(0)->ipc->grant.pool.raw -= PAGE_SIZE;
}

TEST(a_piece_and_single_pages_of_it_exclude_each_other)
{
	weir_handle first = share(0, 0, HOME + 511, 1, WEIR_READ), piece;

	assert_int_equal(share_status(HOME, WHOLE, WEIR_READ), WEIR_BUSY);
	assert_int_equal(revoke(0, first), WEIR_OK);
	piece = share(0, 0, HOME, WHOLE, WEIR_READ);
	for (u64 i = 0; i < WHOLE; i += 73)
		assert_int_equal(share_status(HOME + i, 1, WEIR_READ), WEIR_BUSY);
	assert_int_equal(share_status(HOME, WHOLE, WEIR_READ), WEIR_BUSY);
	assert_int_equal(share_status(HOME - 1, 2, WEIR_READ), WEIR_BUSY);
	first = share(0, 0, HOME - 2, 2, WEIR_READ);
	assert_int_equal(map(1, 0, first, PLACE + 510), WEIR_OK);
	assert_int_equal(map(1, 0, piece, PLACE), WEIR_BUSY);
	assert_int_equal(unmap(1, PLACE + 510), WEIR_OK);
	assert_int_equal(map(1, 0, piece, PLACE), WEIR_OK);
	for (u64 i = 0; i < WHOLE - 1; i += 73)
		assert_int_equal(map(1, 0, first, PLACE + i), WEIR_BUSY);
	assert_int_equal(map(1, 0, first, PLACE - 2), WEIR_OK);
	assert_int_equal(map(1, 0, piece, 0), WEIR_BUSY);
}

/* Its own table is where it was, with the pages that it had. */
TEST(single_pages_go_where_a_piece_was)
{
	weir_handle grant = share(0, 0, HOME, WHOLE, WEIR_PASS);

	assert_int_equal(map(1, 0, grant, PLACE), WEIR_OK);
	assert_int_equal(unmap(1, PLACE), WEIR_OK);
	grant = share(0, 0, HOME + 3, 2, WEIR_PASS);
	assert_int_equal(map(1, 0, grant, PLACE + 9), WEIR_OK);
	assert_sees(1, PLACE + 9, STAGE2_SHARED, ipc_pool_pa(0, HOME + 3));
	assert_sees(1, PLACE + 11, STAGE2_NONE, 0);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_own();
}

TEST(a_piece_of_who_ends_goes_home_zeroed_and_as_a_peer_s_is_scratch)
{
	weir_handle passed = share(0, 0, HOME, WHOLE, WEIR_PASS), shared;

	ipc_run(1, 0);
	assert_int_equal(weir_grant_share(PORT(1), HOME, WHOLE, WEIR_READ_WRITE, &shared), WEIR_OK);
	assert_int_equal(map(1, 0, passed, PLACE), WEIR_OK);
	assert_int_equal(map(2, 1, shared, PLACE), WEIR_OK);
	ipc_vm_renew(1);
	for (u64 i = 0; i < WHOLE; i++)
		assert_int_equal(ipc_scrubs(0, HOME + i), 1);
	assert_int_equal(ipc_scrubs(0, HOME + WHOLE), 0);
	assert_own();
	assert_window(1, STAGE2_NONE, 0, 0);
	assert_window(2, STAGE2_SHARED, ipc_scratch_pa(2), 0);
	assert_int_equal(revoke(0, passed), WEIR_STALE);
	share(0, 0, HOME, WHOLE, WEIR_READ);
}

TEST(a_piece_is_not_for_a_device_meanwhile)
{
	struct vm *vm = ipc_vm(0);

	ipc_block_busy(0, HOME + 300);
	assert_int_equal(share_status(HOME, WHOLE, WEIR_READ), WEIR_BUSY);
	ipc_block_busy(0, UINT64_MAX);
	share(0, 0, HOME, WHOLE, WEIR_READ);
	grant_lock(vm);
	assert_true(grant_pages_shared(vm, PA(ipc_pool_pa(0, HOME + 511)), PAGE_SIZE));
	assert_false(grant_pages_shared(vm, PA(ipc_pool_pa(0, HOME + 512)), PAGE_SIZE));
	assert_false(grant_pages_shared(vm, PA(ipc_pool_pa(0, 0)), HOME * PAGE_SIZE));
	grant_unlock(vm);
}

/* One entry each, whatever is done with it. */
TEST(a_piece_is_one_change_of_a_table)
{
	u32 changes = fake_stage2_changes();
	weir_handle grant = share(0, 0, HOME, WHOLE, WEIR_PASS);

	assert_int_equal(fake_stage2_changes() - changes, 1);
	assert_int_equal(map(1, 0, grant, PLACE), WEIR_OK);
	assert_int_equal(fake_stage2_changes() - changes, 2);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	assert_int_equal(fake_stage2_changes() - changes, 4);
	assert_int_equal(unmap(1, PLACE), WEIR_OK);
	assert_int_equal(fake_stage2_changes() - changes, 5);
}

TEST(a_list_has_a_piece_as_one)
{
	weir_handle grant = share(0, 0, HOME, WHOLE, WEIR_READ),
		    last = share(0, 0, HOME + 700, 1, WEIR_READ);
	struct weir_grant_info info;
	uint64_t page = 0;

	assert_int_equal(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_OK);
	assert_int_equal(info.page, HOME);
	assert_int_equal(info.pages, WHOLE);
	assert_int_equal(info.grant, grant);
	assert_int_equal(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_OK);
	assert_int_equal(info.grant, last);
	page = HOME + 1; /* from inside of it */
	assert_int_equal(weir_grant_next(WEIR_GRANTS_GIVEN, &page, &info), WEIR_OK);
	assert_int_equal(info.grant, last);
}

/* Only those that can have pieces pay for the table that shows one page all over. */
TEST(a_vm_without_pieces_has_no_table_for_them)
{
	struct manifest_vm small = *ipc_vm(0)->config, large = small;

	small.shared_bytes = small.window_bytes = BLOCK_2M - PAGE_SIZE;
	large.shared_bytes = BLOCK_2M - PAGE_SIZE;
	large.window_bytes = BLOCK_2M;
	assert_true(grant_heap_bytes(&large) >= grant_heap_bytes(&small) + PAGE_SIZE);
	assert_true(ipc_vm(0)->ipc->grant.pool_area.blank);
	machine_make(0);
	assert_int_equal(ipc_vm(0)->ipc->grant.pool_area.blank, 0);
	assert_int_equal(share_status(0, WHOLE, WEIR_READ), WEIR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HERE(test) cmocka_unit_test_setup_teardown(test, large_make, ipc_vms_end)
		HERE(a_piece_is_shared_mapped_and_revoked),
		HERE(a_piece_is_passed_along_a_chain_and_returned),
		HERE(what_is_no_piece_is_invalid),
		HERE(a_piece_of_the_vm_that_is_none_of_the_machine_is_invalid),
		HERE(a_piece_and_single_pages_of_it_exclude_each_other),
		HERE(single_pages_go_where_a_piece_was),
		HERE(a_piece_of_who_ends_goes_home_zeroed_and_as_a_peer_s_is_scratch),
		HERE(a_piece_is_not_for_a_device_meanwhile),
		HERE(a_piece_is_one_change_of_a_table),
		HERE(a_list_has_a_piece_as_one),
		HERE(a_vm_without_pieces_has_no_table_for_them),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
