/*
 * What went wrong in the grant tables of another hypervisor, tried on ours: a test for each of its advisories,
 * named after it, with the class of the bug in a few words of our own. These are on grants, up to 287; the rest of
 * them is in test_advisories_grants_2.c, those on events and the table of all in test_advisories_events.c.
 *
 * Races are played: in each gap in which no lock is held another core does the worst, the same way in each run.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/grant_vms.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/block.h>
#include <weir/event.h>
#include <weir/grant.h>
#include "grant_vms.h"

/* ---- XSA-218: two unmaps of one mapping at once; it was let go twice, or the owner was told too early. */

static void unmap_first(void)
{
	first = unmap_on(B, 0, PLACE);
}

static u32 times_told;

static void unmap_second(void *context)
{
	(void)context;
	second = unmap_on(B, 1, PLACE);
	times_told = next_event(A) == A_B;
}

static void check_one_unmap(void)
{
	if (second == NOT_ASKED)
		assert_int_equal(first, WEIR_OK);
	else
		assert_true((first == WEIR_OK && second == WEIR_NOT_FOUND) ||
			    (first == WEIR_NOT_FOUND && second == WEIR_OK));
	check_home_again(HOME);
	check_home_again(HOME + 1);
	times_told += next_event(A) == A_B;
	assert_int_equal(times_told, 1);
	assert_int_equal(next_event(A), -1);
	times_told = 0;
	share(2, WEIR_PASS);
	assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
}

TEST(xsa_218_two_unmaps_at_once_end_a_mapping_once)
{
	assert_true(fake_lock_each_gap(passed_and_mapped, unmap_first, unmap_second,
				       check_one_unmap) >= 2);
}

/* ---- XSA-224: a mapping was counted in parts, and undone in other parts, so that one count was too low. */

TEST(xsa_224_a_mapping_is_undone_as_a_whole_or_not_at_all)
{
	u32 mapped = fake_stage2_pages(&ipc_vm(B)->stage2);

	for (u32 times = 0; times < 300; times++) {
		enum weir_access access = (enum weir_access)(times % 3);

		share(4, access);
		assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
		assert_int_equal(map_on(B, 0, B_A, PLACE2), WEIR_BUSY);
		for (u64 part = 1; part < 4; part++)
			assert_int_equal(unmap_on(B, 0, PLACE + part), WEIR_NOT_FOUND);
		for (u64 page = 0; page < 4; page++)
			assert_int_equal(viewers(ipc_pool_pa(A, HOME + page)), 1);
		assert_int_equal(unmap_on(B, 0, PLACE), WEIR_OK);
		assert_int_equal(fake_stage2_pages(&ipc_vm(B)->stage2), mapped);
		assert_int_equal(unmap_on(B, 0, PLACE), WEIR_NOT_FOUND);
		if (access != WEIR_PASS) {
			assert_int_equal(map_on(B, 0, B_A, PLACE2), WEIR_OK);
			assert_int_equal(revoke_on(0), WEIR_OK);
			for (u64 page = 0; page < 4; page++)
				assert_int_equal(seen_in_window(B, PLACE2 + page),
						 ipc_scratch_pa(B));
			assert_int_equal(unmap_on(B, 0, PLACE2), WEIR_OK);
		}
		for (u64 page = 0; page < 4; page++)
			check_home_again(HOME + page);
		assert_int_equal(fake_stage2_pages(&ipc_vm(B)->stage2), mapped);
	}
}

/* ---- XSA-226: grants of grants were followed by recursion, as deep as guests made them. */

static u32 locks_of_a_turn(u32 giver, u32 port, u32 taker, u32 back)
{
	fake_locks_taken();
	assert_int_equal(pass_on(giver, port, PLACE), WEIR_OK);
	assert_int_equal(map_on(taker, 0, back, PLACE), WEIR_OK);
	return fake_locks_taken();
}

TEST(xsa_226_a_chain_costs_the_same_at_any_length)
{
	u32 locks;

	passed_and_mapped();
	locks = locks_of_a_turn(B, B_C, C, C_B);
	for (u32 turn = 0; turn < 500; turn++) {
		assert_int_equal(locks_of_a_turn(C, C_B, B, B_C), locks);
		assert_int_equal(seen_in_window(C, PLACE), 0);
		assert_int_equal(unmap_on(C, 0, PLACE), WEIR_NOT_FOUND);
		assert_int_equal(locks_of_a_turn(B, B_C, C, C_B), locks);
		check_pages();
	}
	assert_int_equal(pass_on(C, C_A, PLACE), WEIR_DENIED); /* no circle by way of home */
	assert_int_equal(unmap_on(C, 0, PLACE), WEIR_OK);
	check_home_again(HOME);
	check_home_again(HOME + 1);
}

/* ---- XSA-230: the owner was shown "not in use" while the peer still had the page. */

static void revoke_first(void)
{
	first = revoke_on(0);
}

static void end_of_b(void)
{
	ipc_vm_end(B);
}

static bool told(u32 vm)
{
	return ipc_pages(vm, 0).out->event_tail[0] != 0;
}

/* Given pages only are seen by others; and the event, which says that they are back, comes after that. */
static void look_at_home(void *context)
{
	(void)context;
	check_pages();
	if (told(A))
		check_home_again(HOME);
	/* What home could do with pages that are not in use: it may not, or they are its own. */
	if (share_on(1, HOME, 1, WEIR_READ) == WEIR_OK)
		assert_int_equal(viewers(ipc_pool_pa(A, HOME)), 0);
}

TEST(xsa_230_home_has_its_pages_when_nobody_else_sees_them)
{
	fake_lock_each_gap(shared_and_mapped, revoke_first, look_at_home, check_pages);
	fake_lock_each_gap(passed_and_mapped, revoke_first, look_at_home, check_pages);
	fake_lock_each_gap(passed_and_mapped, unmap_first, look_at_home, check_pages);
	fake_lock_each_gap(passed_and_mapped, end_of_b, look_at_home, check_pages);
}

/* ---- XSA-236: a page of a dying VM was used by way of its grant, which held it no more. */

static void map_first(void)
{
	first = map_on(B, 0, B_A, PLACE);
}

static void end_of_a(void)
{
	ipc_vm_end(A);
}

static void end_of_a_meanwhile(void *context)
{
	(void)context;
	end_of_a();
	second = WEIR_OK;
}

static void map_meanwhile(void *context)
{
	(void)context;
	map_first();
	/* Another vCPU of a, which has not left its core yet, gives something new. */
	share_on(1, HOME + 4, 1, WEIR_READ);
	map_on(B, 1, B_A, PLACE2);
}

static void check_a_is_gone(void)
{
	if (second == NOT_ASKED)
		return;
	for (u64 page = 0; page < FAKE_POOL_PAGES; page++)
		check_home_again(page);
}

static void check_a_has_ended(void)
{
	second = WEIR_OK;
	check_a_is_gone();
}

TEST(xsa_236_no_page_of_a_vm_that_has_ended_is_in_a_window)
{
	fake_lock_each_gap(shared_only, map_first, end_of_a_meanwhile, check_a_is_gone);
	assert_true(fake_lock_each_gap(shared_only, end_of_a, map_meanwhile, check_a_has_ended) >
		    10);
}

/* ---- XSA-255: pages of the tables, which the guest has mapped too, were freed while they were mapped. */

static u64 shared_pa(u32 vm, u64 page)
{
	return fake_stage2_pa(&ipc_vm(vm)->stage2, VM_SHARED_BASE + page * PAGE_SIZE);
}

TEST(xsa_255_pages_shared_with_weir_are_the_same_for_ever)
{
	u64 allocations = fake_heap_allocations(), scratch = ipc_scratch_pa(B), pa[6];

	for (u64 page = 0; page < 6; page++)
		pa[page] = shared_pa(B, page);
	for (u32 life = 0; life < 5; life++) {
		share(2, WEIR_READ);
		assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
		ipc_vm_renew(life & 1 ? A : B);
		if (life & 1)
			assert_int_equal(seen_in_window(B, PLACE), scratch);
		unmap_on(B, 0, PLACE);
		revoke_on(0);
		assert_int_equal(fake_heap_allocations(), allocations);
		assert_int_equal(ipc_scratch_pa(B), scratch);
		for (u64 page = 0; page < 6; page++) {
			assert_int_equal(shared_pa(B, page), pa[page]);
			assert_int_equal(viewers(pa[page]), 0);
		}
	}
}

/* ---- XSA-268: a version of the interface that was never finished could be asked for, and ended in a panic. */

TEST(xsa_268_what_is_not_there_is_refused)
{
	static const u32 known[] = { WEIR_FN_GRANT_SHARE, WEIR_FN_GRANT_MAP, WEIR_FN_GRANT_UNMAP,
				     WEIR_FN_GRANT_REVOKE, WEIR_FN_GRANT_PASS };
	u32 changes = fake_stage2_changes();

	assert_int_equal(known[0], 16);
	assert_int_equal(known[ARRAY_SIZE(known) - 1], 20);
	for (u64 number = 22; number < 24; number++)
		for (u64 version = 0; version < 4; version++)
			assert_int_equal(ipc_call(WEIR_FN(number), version, version, 0, 0, 0, 0),
					 -1);
	for (u64 access = WEIR_PASS + 1; access < 300; access++)
		assert_int_equal(share_on(0, HOME, 1, (enum weir_access)access), WEIR_INVALID);
	assert_int_equal(fake_stage2_changes(), changes);
	assert_false(is_given(A, HOME));
}

/* ---- XSA-284: what stood in for a page on its way was on nobody's list, and lost when its VM ended. */

TEST(xsa_284_a_page_on_its_way_comes_home_whoever_ends)
{
	for (u32 way = 0; way < 8; way++) {
		passed_and_mapped();
		if (way >= 2)
			assert_int_equal(pass_on(B, B_C, PLACE), WEIR_OK);
		if (way >= 4)
			assert_int_equal(map_on(C, 0, C_B, PLACE), WEIR_OK);
		if (way >= 6)
			assert_int_equal(pass_on(C, C_D, PLACE), WEIR_OK);
		ipc_vm_renew(way & 1 ? C : B);
		ipc_vm_renew(way & 1 ? B : C);
		for (u64 page = HOME; page < HOME + 2; page++)
			check_home_again(page);
		assert_int_equal(ipc_scrubs(A, HOME), 1);
		share(2, WEIR_PASS);
	}
}

/* ---- XSA-287: a page changed its owner while somebody had a way to write it. */

static u64 buffer(void)
{
	return vm_pool_base(ipc_vm(A)) + HOME * PAGE_SIZE;
}

static enum weir_status read_into(u32 vcpu)
{
	ipc_run(A, vcpu);
	return weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)buffer(), 0);
}

static void pass_first(void)
{
	first = share_on(0, HOME, 1, WEIR_PASS);
}

static void dma_second(void *context)
{
	(void)context;
	second = read_into(1);
}

static void dma_first(void)
{
	first = read_into(0);
}

static void pass_second(void *context)
{
	(void)context;
	second = share_on(1, HOME, 1, WEIR_PASS);
}

static void check_not_both(void)
{
	assert_true(first == WEIR_OK || second == WEIR_OK);
	assert_false(first == WEIR_OK && second == WEIR_OK);
	if (is_given(A, HOME))
		assert_int_equal(seen_at_home(A, HOME), ipc_scratch_pa(A));
}

TEST(xsa_287_a_page_changes_hands_only_while_nobody_uses_it)
{
	assert_true(fake_lock_each_gap(machine, pass_first, dma_second, check_not_both) >= 1);
	assert_true(fake_lock_each_gap(machine, dma_first, pass_second, check_not_both) >= 1);
	machine();
	assert_int_equal(read_into(0), WEIR_OK);
	assert_int_equal(share_on(0, HOME, 1, WEIR_PASS), WEIR_BUSY);
	assert_true(ipc_disk_done(WEIR_OK));
	share(1, WEIR_PASS);
	assert_int_equal(read_into(0), WEIR_FAULT);
	assert_int_equal(share_on(0, HOME, 1, WEIR_READ), WEIR_BUSY);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(xsa_218_two_unmaps_at_once_end_a_mapping_once),
		CASE(xsa_224_a_mapping_is_undone_as_a_whole_or_not_at_all),
		CASE(xsa_226_a_chain_costs_the_same_at_any_length),
		CASE(xsa_230_home_has_its_pages_when_nobody_else_sees_them),
		CASE(xsa_236_no_page_of_a_vm_that_has_ended_is_in_a_window),
		CASE(xsa_255_pages_shared_with_weir_are_the_same_for_ever),
		CASE(xsa_268_what_is_not_there_is_refused),
		CASE(xsa_284_a_page_on_its_way_comes_home_whoever_ends),
		CASE(xsa_287_a_page_changes_hands_only_while_nobody_uses_it),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
