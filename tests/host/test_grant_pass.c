/*
 * Grants that are passed: pages that one VM at a time has, along a chain and home.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include "grant_calls.h"

/* a passes to b, b to c, and c returns: in between only one sees the page. */
TEST(a_passed_page_goes_along_a_chain_and_home)
{
	u64 pool = vm_pool_base(ipc_vm(0)) + 3 * PAGE_SIZE;
	weir_handle grant = share(0, 0, 3, 2, WEIR_PASS), on = 0;

	assert_int_equal(fake_stage2_pa(&ipc_vm(0)->stage2, pool), ipc_scratch_pa(0));
	assert_int_equal(fake_stage2_pa(&ipc_vm(0)->stage2, pool + PAGE_SIZE), ipc_scratch_pa(0));
	assert_int_equal(map(1, 0, grant, 5), WEIR_OK);
	assert_sees(1, 6, STAGE2_SHARED, ipc_pool_pa(0, 4));
	assert_int_equal(map(2, 1, grant, 7), WEIR_DENIED); /* not offered yet */
	ipc_run(1, 0);
	assert_int_equal(weir_grant_pass_on(PORT(0), 5, &on), WEIR_DENIED); /* home */
	assert_int_equal(weir_grant_pass_on(PORT(1), 6, &on), WEIR_NOT_FOUND);
	assert_int_equal(weir_grant_pass_on(PORT(1), FAKE_WINDOW_PAGES, &on), WEIR_INVALID);
	assert_int_equal(weir_grant_pass_on(PORT(1), 5, &on), WEIR_OK);
	assert_int_equal(on, grant);
	assert_sees(1, 6, STAGE2_NONE, 0);
	assert_int_equal(map(2, 0, grant, 7), WEIR_DENIED); /* not by this channel */
	assert_int_equal(map(2, 1, grant, 7), WEIR_OK);
	assert_sees(2, 8, STAGE2_SHARED, ipc_pool_pa(0, 4));
	assert_int_equal(map(1, 1, grant, 5), WEIR_DENIED); /* b cannot take it back */
	assert_int_equal(ipc_next(0, 0), -1);
	assert_int_equal(unmap(2, 7), WEIR_OK);
	assert_int_equal(ipc_next(0, 0), 0);
	assert_int_equal(fake_stage2_pa(&ipc_vm(0)->stage2, pool), ipc_pool_pa(0, 3));
	assert_int_equal(fake_stage2_kind(&ipc_vm(0)->stage2, pool), STAGE2_RAM);
	assert_int_equal(revoke(0, grant), WEIR_STALE);
}

TEST(what_was_passed_to_a_vm_that_ends_comes_home_zeroed)
{
	weir_handle mapped = share(0, 0, 10, 5, WEIR_PASS), offered = share(0, 0, 20, 2, WEIR_PASS),
		    on;
	weir_handle shared = share(0, 0, 30, 2, WEIR_READ_WRITE),
		    revoked = share(0, 0, 40, 2, WEIR_PASS);

	assert_int_equal(map(1, 0, mapped, 5), WEIR_OK);
	assert_int_equal(map(1, 0, offered, 12), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(PORT(1), 12, &on), WEIR_OK);
	assert_int_equal(map(1, 0, shared, 20), WEIR_OK);
	assert_int_equal(map(1, 0, revoked, 30), WEIR_OK);
	assert_int_equal(revoke(0, revoked), WEIR_OK);
	ipc_vm_end(1);
	for (u64 i = 0; i < FAKE_POOL_PAGES; i++)
		assert_int_equal(ipc_scrubs(0, i), (i >= 10 && i < 15) || i == 20 || i == 21);
	assert_int_equal(
		fake_stage2_pa(&ipc_vm(0)->stage2, vm_pool_base(ipc_vm(0)) + 14 * PAGE_SIZE),
		ipc_pool_pa(0, 14));
	assert_int_equal(revoke(0, mapped), WEIR_STALE);
	assert_int_equal(revoke(0, shared), WEIR_OK);
}

/* Between two steps of its end. */
TEST(what_home_takes_back_from_a_vm_that_ends_is_not_zeroed_any_more)
{
	weir_handle grant = share(0, 0, 10, 8, WEIR_PASS);
	u64 at = 0;

	assert_int_equal(map(1, 0, grant, 5), WEIR_OK);
	assert_true(grant_vm_unmap(ipc_vm(1), &at));
	assert_int_equal(revoke(0, grant), WEIR_OK);
	while (grant_vm_unmap(ipc_vm(1), &at))
		;
	assert_int_equal(ipc_scrubs(0, 10), 1);
	assert_int_equal(ipc_scrubs(0, 17), 0);
	assert_sees(1, 5, STAGE2_NONE, 0);
}

TEST(what_vanishes_between_two_steps_leaves_the_next_mapping_whole_to_be_zeroed)
{
	weir_handle one = share(0, 0, 10, 8, WEIR_PASS), two = share(0, 0, 20, 8, WEIR_PASS), on;
	u64 at = 0;

	assert_int_equal(map(1, 0, one, 5), WEIR_OK);
	assert_int_equal(map(1, 0, two, 20), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(PORT(1), 5, &on), WEIR_OK);
	ipc_vm(1)->ipc->grant.stopped = true; /* as the step before does */
	assert_true(grant_vm_unmap(ipc_vm(1), &at));
	assert_int_equal(ipc_scrubs(0, 10), 1);
	assert_int_equal(map(2, 1, one, 0), WEIR_DENIED); /* who gave it is dying */
	assert_int_equal(revoke(0, one), WEIR_OK);
	while (grant_vm_unmap(ipc_vm(1), &at))
		;
	for (u64 i = 20; i < 28; i++)
		assert_int_equal(ipc_scrubs(0, i), 1);
}

TEST(what_was_shared_cannot_be_passed_on)
{
	weir_handle grant = share(0, 0, 3, 2, WEIR_READ_WRITE), on = 0;

	assert_int_equal(map(1, 0, grant, 5), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(PORT(1), 5, &on), WEIR_DENIED);
	assert_int_equal(revoke(0, grant), WEIR_OK);
	ipc_run(1, 0);
	assert_int_equal(weir_grant_pass_on(PORT(1), 5, &on), WEIR_CLOSED);
}

/* In debug builds, of which this is one, each call looks at the pages that it was about. */
TEST(a_page_that_home_sees_while_another_vm_has_it_is_a_failed_assertion)
{
	weir_handle grant = share(0, 0, 3, 2, WEIR_PASS);
	const struct grant_vm *home = &ipc_vm(0)->ipc->grant;

	stage2_area_set(&home->pool_area, IPA(home->pool_ipa.raw + 4 * PAGE_SIZE), 1,
			PA(ipc_pool_pa(0, 4)), PAGE_SIZE, STAGE2_RAM);
	expect_assert_failure(map(1, 0, grant, 5));
}

TEST(a_page_that_stays_in_a_window_is_a_failed_assertion)
{
	weir_handle grant = share(0, 0, 3, 2, WEIR_READ);
	const struct grant_vm *peer = &ipc_vm(1)->ipc->grant;

	assert_int_equal(map(1, 0, grant, 5), WEIR_OK);
	peer->used[0] &= ~BIT(6); /* its second page */
	expect_assert_failure(revoke(0, grant));
}

TEST(a_page_in_two_grants_is_a_failed_assertion)
{
	weir_handle grant = share(0, 0, 3, 2, WEIR_READ);

	share(0, 0, 5, 1, WEIR_READ);
	ipc_vm(0)->ipc->grant.grant[3].pages = 3;
	expect_assert_failure(map(1, 0, grant, 5));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_page_that_home_sees_while_another_vm_has_it_is_a_failed_assertion),
		CASE(a_page_that_stays_in_a_window_is_a_failed_assertion),
		CASE(a_page_in_two_grants_is_a_failed_assertion),
		CASE(a_passed_page_goes_along_a_chain_and_home),
		CASE(what_was_passed_to_a_vm_that_ends_comes_home_zeroed),
		CASE(what_home_takes_back_from_a_vm_that_ends_is_not_zeroed_any_more),
		CASE(what_vanishes_between_two_steps_leaves_the_next_mapping_whole_to_be_zeroed),
		CASE(what_was_shared_cannot_be_passed_on),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
