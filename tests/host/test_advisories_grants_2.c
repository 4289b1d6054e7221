/*
 * More of what went wrong in the grant tables of another hypervisor: see test_advisories_grants.c.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/ipc_state.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/grant_vms.c
 */
#include <stdlib.h>
#include <weir/block.h>
#include "grant_vms.h"
#include "ipc_state.h"

/* ---- XSA-316: one of the errors of map was positive, which its caller took for success. --------- */

/* The guest's x0, of a map that cannot be; nothing is as after one that could. */
static void check_refused(weir_handle port, weir_handle of, u64 place, s64 status)
{
	struct ipc_state *a = ipc_state_take(A), *b = ipc_state_take(B);

	ipc_run(B, 0);
	assert_int_equal(ipc_call(WEIR_FN(WEIR_FN_GRANT_MAP), port, of, place, 0, 0, 0), status);
	assert_true((s64)ipc_vcpu(B, 0)->arch.x[0] < -1);
	for (u32 i = 1; i <= 3; i++)
		assert_int_equal(ipc_vcpu(B, 0)->arch.x[i], 0);
	assert_state_is(a, "a map that was refused");
	assert_state_is(b, "a map that was refused");
}

TEST(xsa_316_what_fails_is_negative_and_has_mapped_nothing)
{
	weir_handle port, mapped, old;

	ipc_vm_renew(B);
	port = port_of(B, B_A);
	share(2, WEIR_READ);
	old = grant;
	assert_int_equal(revoke_on(0), WEIR_OK);
	share(4, WEIR_READ_WRITE);
	mapped = grant;
	assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
	assert_int_equal(share_on(0, HOME + 20, 4, WEIR_READ), WEIR_OK);
	check_refused(port + 100, grant, PLACE2, WEIR_INVALID);
	check_refused(port - 0x10000, grant, PLACE2, WEIR_STALE);
	check_refused(port, old, PLACE2, WEIR_STALE);
	check_refused(port, grant + (1ul << 22), PLACE2, WEIR_INVALID);
	check_refused(port, grant, FAKE_WINDOW_PAGES, WEIR_INVALID);
	check_refused(port, grant, FAKE_WINDOW_PAGES - 3, WEIR_INVALID);
	check_refused(port, mapped, PLACE2, WEIR_BUSY);
	check_refused(port, grant, PLACE - 3, WEIR_BUSY);
	check_refused(port_of(B, B_A2), grant, PLACE2, WEIR_DENIED);
	check_refused(port_of(B, B_C), grant, PLACE2, WEIR_DENIED);
	ipc_vm_end(B);
	check_refused(port, grant, PLACE2, WEIR_CLOSED);
}

/* ---- XSA-379: a page was mapped at two places, of which one was known, and taken out of that one. */

static void map_here(void)
{
	first = map_on(B, 0, B_A, PLACE);
}

static void map_there(void *context)
{
	(void)context;
	second = map_on(B, 1, B_A, PLACE2);
}

static void check_one_place(void)
{
	assert_true((first == WEIR_OK) + (second == WEIR_OK) == 1);
	assert_true(second == NOT_ASKED || first == WEIR_BUSY || second == WEIR_BUSY);
	check_pages();
	assert_int_equal(viewers(ipc_pool_pa(A, HOME)), 1);
	assert_int_equal(revoke_on(0), WEIR_OK);
	check_home_again(HOME);
}

TEST(xsa_379_a_grant_is_mapped_at_one_place_at_a_time)
{
	assert_true(fake_lock_each_gap(shared_only, map_here, map_there, check_one_place) >= 1);
}

/* ---- XSA-380: loops over all mappings that a guest has ever made, with nothing in between. ------ */

#define STEP_LOCKS   8u
#define STEP_CHANGES WEIR_GRANT_PAGES_MAX

/* Every page of b's window is mapped, every page of a's pool is given. */
static void fill(void)
{
	machine();
	for (u64 page = 0; page < FAKE_POOL_PAGES; page++) {
		assert_int_equal(share_on(0, page, 1, page & 1 ? WEIR_PASS : WEIR_READ), WEIR_OK);
		if (page < FAKE_WINDOW_PAGES)
			assert_int_equal(map_on(B, 0, B_A, page), WEIR_OK);
	}
}

static void check_steps(u32 vm, u32 at_least)
{
	struct vm_work work = { 0 };
	bool more = true;
	u32 steps = 0;

	while (more) {
		u32 changes = fake_stage2_changes();

		fake_locks_taken();
		more = ipc_vm_stop(ipc_vm(vm), &work);
		assert_true(fake_locks_taken() <= STEP_LOCKS);
		assert_true(fake_stage2_changes() - changes <= STEP_CHANGES);
		steps++;
	}
	assert_true(steps >= at_least);
}

static u32 locks_of_a_round(void)
{
	u32 changes = fake_stage2_changes();

	fake_locks_taken();
	share(1, WEIR_READ);
	assert_int_equal(map_on(B, 0, B_A, PLACE), WEIR_OK);
	assert_int_equal(revoke_on(0), WEIR_OK);
	assert_int_equal(unmap_on(B, 0, PLACE), WEIR_OK);
	return fake_locks_taken() << 16 | (fake_stage2_changes() - changes);
}

TEST(xsa_380_no_call_and_no_step_of_an_end_grows_with_what_was_mapped)
{
	u32 round = locks_of_a_round();

	fill();
	check_steps(B, FAKE_WINDOW_PAGES);
	fill();
	check_steps(A, FAKE_POOL_PAGES);
	fill();
	ipc_run(A, 0);
	assert_int_equal(weir_grant_revoke(1ul << 22 | A << 16 | HOME), WEIR_OK);
	assert_int_equal(unmap_on(B, 0, PLACE), WEIR_OK);
	assert_int_equal(unmap_on(B, 0, HOME), WEIR_OK);
	assert_int_equal(next_event(B), B_A);
	assert_int_equal(locks_of_a_round(), round);
}

/* ---- XSA-382: a bound was checked in another unit than the one of the array, so it was eight times too large. */

static bool inside(u64 at, u64 pages, u64 size)
{
	return at < size && pages <= size - at;
}

/* The list that a guest gets of its own: from any page on, and not beyond the tables. */
static void check_list(u32 vm, enum weir_grants which, u64 size, u64 last)
{
	ipc_run(vm, 0);
	for (u64 at = 0; at < 8 * size + 8; at++)
		assert_int_equal(weir_do(WEIR_FN_GRANT_LIST, which, at, 0, 0, 0),
				 at <= last ? WEIR_OK : WEIR_NOT_FOUND);
}

TEST(xsa_382_ranges_are_checked_in_the_unit_of_their_tables)
{
	assert_int_equal(share_on(0, FAKE_POOL_PAGES - 1, 1, WEIR_READ), WEIR_OK);
	assert_int_equal(map_on(B, 0, B_A, FAKE_WINDOW_PAGES - 1), WEIR_OK);
	check_list(A, WEIR_GRANTS_GIVEN, FAKE_POOL_PAGES, FAKE_POOL_PAGES - 1);
	check_list(B, WEIR_GRANTS_MAPPED, FAKE_WINDOW_PAGES, FAKE_WINDOW_PAGES - 1);
	assert_int_equal(revoke_on(0), WEIR_OK);
	assert_int_equal(unmap_on(B, 0, FAKE_WINDOW_PAGES - 1), WEIR_OK);

	for (u64 at = 0; at < 8 * FAKE_POOL_PAGES + 8; at++) {
		for (u32 pages = 1; pages <= WEIR_GRANT_PAGES_MAX; pages += 7) {
			bool good = inside(at, pages, FAKE_POOL_PAGES);

			assert_int_equal(share_on(0, at, pages, WEIR_READ),
					 good ? WEIR_OK : WEIR_INVALID);
			if (good)
				assert_int_equal(revoke_on(0), WEIR_OK);
		}
	}
	for (u32 pages = 1; pages <= WEIR_GRANT_PAGES_MAX; pages += 7) {
		share(pages, WEIR_READ);
		for (u64 at = 0; at < 8 * FAKE_WINDOW_PAGES + 8; at++) {
			bool good = inside(at, pages, FAKE_WINDOW_PAGES);

			assert_int_equal(map_on(B, 0, B_A, at), good ? WEIR_OK : WEIR_INVALID);
			assert_int_equal(unmap_on(B, 0, at), good ? WEIR_OK
							     : at < FAKE_WINDOW_PAGES
								     ? WEIR_NOT_FOUND
								     : WEIR_INVALID);
		}
		assert_int_equal(revoke_on(0), WEIR_OK);
	}
}

/* ---- XSA-384: a page was mapped while it was being freed, and stayed mapped. --------------------- */

static void revoke_it(void)
{
	first = revoke_on(0);
}

static void map_it(void *context)
{
	(void)context;
	second = map_on(B, 1, B_A, PLACE2);
}

static void map_on_its_way(void *context)
{
	(void)context;
	second = map_on(C, 1, C_B, PLACE2);
}

static void take_and_map(void *context)
{
	(void)context;
	unmap_on(B, 1, PLACE);
	second = map_on(B, 1, B_A, PLACE2);
}

static void offered_to_c(void)
{
	passed_and_mapped();
	assert_int_equal(pass_on(B, B_C, PLACE), WEIR_OK);
}

static void check_revoked(void)
{
	assert_int_equal(first, WEIR_OK);
	for (u64 page = HOME; page < HOME + 2; page++)
		check_home_again(page);
}

TEST(xsa_384_no_mapping_appears_while_its_grant_ends)
{
	fake_lock_each_gap(shared_only, revoke_it, map_it, check_revoked);
	fake_lock_each_gap(shared_and_mapped, revoke_it, take_and_map, check_revoked);
	fake_lock_each_gap(offered_to_c, revoke_it, map_on_its_way, check_revoked);
}

/* ---- XSA-394: unmapped in two steps, a mapping was counted down twice, and the count fell below 0. */

#define MOVES 8u

static void move(u32 which)
{
	switch (which) {
	case 0:
		unmap_on(B, 0, PLACE);
		break;
	case 1:
		unmap_on(C, 0, PLACE);
		break;
	case 2:
		revoke_on(0);
		break;
	case 3: /* beside what is left of another */
		if (map_on(B, 0, B_A, PLACE) == WEIR_BUSY)
			map_on(B, 0, B_A, PLACE2);
		break;
	case 4:
		map_on(C, 0, C_B, PLACE);
		break;
	case 5:
		pass_on(B, B_C, PLACE);
		break;
	case 6:
		share_on(0, HOME, 3, WEIR_PASS);
		break;
	default:
		ipc_vm_renew(B);
		break;
	}
}

static void revoke_too(void *context)
{
	(void)context;
	second = revoke_on(1);
}

static void check_one_end(void)
{
	assert_true((first == WEIR_OK) + (second == WEIR_OK) == 1);
	assert_true(first == WEIR_OK || first == WEIR_STALE);
	check_home_again(HOME);
}

/* Four moves, in every order; then what is left is taken back, and taken back once more. */
TEST(xsa_394_what_is_undone_is_undone_once)
{
	fake_lock_each_gap(passed_and_mapped, revoke_it, revoke_too, check_one_end);
	for (u32 order = 0; order < MOVES * MOVES * MOVES * MOVES; order++) {
		passed_and_mapped();
		for (u32 rest = order, i = 0; i < 4; i++, rest /= MOVES) {
			move(rest % MOVES);
			check_pages();
		}
		for (u32 times = 0; times < 2; times++) {
			unmap_on(B, 0, PLACE);
			unmap_on(B, 0, PLACE2);
			unmap_on(C, 0, PLACE);
			revoke_on(0);
		}
		check_home_again(HOME);
		assert_int_equal(unmap_on(B, 0, PLACE), WEIR_NOT_FOUND);
		assert_int_equal(unmap_on(C, 0, PLACE), WEIR_NOT_FOUND);
	}
}

/* ---- XSA-411: two grants of grants took the locks of the same two tables in opposite order. ------ */

static void give(u32 from, u32 out, u32 to, u32 in, enum weir_access access)
{
	ipc_run(from, 0);
	assert_int_equal(weir_grant_share(port_of(from, out), HOME, 1, access, &grant), WEIR_OK);
	assert_int_equal(map_on(to, 0, in, PLACE), WEIR_OK);
}

static void take_back(u32 from, u32 to)
{
	ipc_run(from, 0);
	weir_grant_revoke(grant);
	unmap_on(to, 0, PLACE);
}

/* fake/lock.c fails the test where two cores could wait for each other. */
TEST(xsa_411_locks_are_taken_in_one_order)
{
	static const struct {
		u32 from, out, to, in, on, next, last;
	} ways[] = {
		{ A, A_B, B, B_A, B_C, C, C_B }, { B, B_A, A, A_B, A_C, C, C_A },
		{ C, C_B, B, B_C, B_A, A, A_B }, { C, C_A, A, A_C, A_B, B, B_A },
		{ B, B_D, D, D_B, D_C, C, C_D }, { D, D_B, B, B_D, B_A, A, A_B },
		{ D, D_C, C, C_D, C_A, A, A_C }, { A, A_C, C, C_A, C_D, D, D_C },
	};

	for (u32 i = 0; i < ARRAY_SIZE(ways); i++) {
		give(ways[i].from, ways[i].out, ways[i].to, ways[i].in, WEIR_READ_WRITE);
		take_back(ways[i].from, ways[i].to);
		give(ways[i].from, ways[i].out, ways[i].to, ways[i].in, WEIR_PASS);
		assert_int_equal(unmap_on(ways[i].to, 0, PLACE), WEIR_OK);
		give(ways[i].from, ways[i].out, ways[i].to, ways[i].in, WEIR_PASS);
		assert_int_equal(pass_on(ways[i].to, ways[i].on, PLACE), WEIR_OK);
		assert_int_equal(map_on(ways[i].next, 0, ways[i].last, PLACE), WEIR_OK);
		take_back(ways[i].from, ways[i].next);
		ipc_run(ways[i].from, 0);
		assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8,
						   (void *)vm_pool_base(ipc_vm(ways[i].from)), 0),
				 WEIR_OK);
	}
	while (ipc_disk_done(WEIR_OK))
		;
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vm_renew(vm);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, machine_free)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(xsa_316_what_fails_is_negative_and_has_mapped_nothing),
		CASE(xsa_379_a_grant_is_mapped_at_one_place_at_a_time),
		CASE(xsa_380_no_call_and_no_step_of_an_end_grows_with_what_was_mapped),
		CASE(xsa_382_ranges_are_checked_in_the_unit_of_their_tables),
		CASE(xsa_384_no_mapping_appears_while_its_grant_ends),
		CASE(xsa_394_what_is_undone_is_undone_once),
		CASE(xsa_411_locks_are_taken_in_one_order),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
