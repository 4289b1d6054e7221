/*
 * Pages that are shared, passed, mapped, passed on, returned, revoked and read into by a disk, while another core does
 * the same, or a VM ends: each of the moves with each of the others in each gap in which no lock is held, from
 * six beginnings. Whatever came of it, a page has one home and one who sees it besides, none is DMA's and
 * given at a time, and all of them come home.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/grant_vms.c
 */
#include <weir/block.h>
#include "grant_vms.h"

#define PAGES 2u /* of a, from HOME on */

static bool reading; /* a disk, into page HOME */

/* ---- Beginnings -------------------------------------------------------------------------------- */

static void offered_to_c(void)
{
	passed_and_mapped();
	assert_int_equal(pass_on(B, B_C, PLACE), WEIR_OK);
}

static void mapped_by_c(void)
{
	offered_to_c();
	assert_int_equal(map_on(C, 0, C_B, PLACE), WEIR_OK);
}

static void (*const beginnings[])(void) = { machine,	       shared_only,  shared_and_mapped,
					    passed_and_mapped, offered_to_c, mapped_by_c };
static u32 beginning;

static void begin(void)
{
	beginnings[beginning]();
	reading = false;
}

/* ---- Moves ------------------------------------------------------------------------------------- */

static void share_it(u32 vcpu)
{
	weir_handle before = grant;

	if (share_on(vcpu, HOME, PAGES, WEIR_READ_WRITE) != WEIR_OK)
		grant = before;
}

static void pass_it(u32 vcpu)
{
	weir_handle before = grant;

	if (share_on(vcpu, HOME, PAGES, WEIR_PASS) != WEIR_OK)
		grant = before;
}

static void map_b(u32 vcpu)
{
	map_on(B, vcpu, B_A, PLACE);
}

static void map_b_elsewhere(u32 vcpu)
{
	map_on(B, vcpu, B_A, PLACE2);
}

static void take_back_b(u32 vcpu)
{
	map_on(B, vcpu, B_C, PLACE);
}

static void unmap_b(u32 vcpu)
{
	unmap_on(B, vcpu, PLACE);
	unmap_on(B, vcpu, PLACE2);
}

static void pass_on_b(u32 vcpu)
{
	(void)vcpu;
	pass_on(B, B_C, PLACE);
}

static void map_c(u32 vcpu)
{
	map_on(C, vcpu, C_B, PLACE);
}

static void unmap_c(u32 vcpu)
{
	unmap_on(C, vcpu, PLACE);
}

static void pass_on_c(u32 vcpu)
{
	(void)vcpu;
	pass_on(C, C_B, PLACE);
}

static void revoke_it(u32 vcpu)
{
	revoke_on(vcpu);
}

static void revoke_and_share(u32 vcpu)
{
	revoke_on(vcpu);
	share_it(vcpu);
}

static void read_into(u32 vcpu)
{
	u64 at = vm_pool_base(ipc_vm(A)) + HOME * PAGE_SIZE;

	ipc_run(A, vcpu);
	if (weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)at, 0) == WEIR_OK)
		reading = true;
}

static void end_a(u32 vcpu)
{
	(void)vcpu;
	ipc_vm_end(A);
}

static void end_b(u32 vcpu)
{
	(void)vcpu;
	ipc_vm_renew(B);
}

static void end_c(u32 vcpu)
{
	(void)vcpu;
	ipc_vm_renew(C);
}

static const struct {
	void (*move)(u32 vcpu);
	u32 vm;
	bool ends;
} moves[] = {
	{ share_it, A, false },	   { pass_it, A, false },
	{ map_b, B, false },	   { map_b_elsewhere, B, false },
	{ take_back_b, B, false }, { unmap_b, B, false },
	{ pass_on_b, B, false },   { map_c, C, false },
	{ unmap_c, C, false },	   { pass_on_c, C, false },
	{ revoke_it, A, false },   { revoke_and_share, A, false },
	{ read_into, A, false },   { end_a, A, true },
	{ end_b, B, true },	   { end_c, C, true },
};

static u32 now, meanwhile;

static void move_now(void)
{
	moves[now].move(0);
}

static void move_meanwhile(void *context)
{
	(void)context;
	check_pages(); /* also in the midst of it */
	moves[meanwhile].move(1);
	check_pages();
}

static void check(void)
{
	check_pages();
	assert_false(reading && is_given(A, HOME));
	while (ipc_disk_done(WEIR_OK))
		;
	ipc_vm_renew(A);
	unmap_b(0);
	unmap_c(0);
	for (u64 page = HOME; page < HOME + 3; page++)
		check_home_again(page);
	for (u64 page = 0; page < FAKE_WINDOW_PAGES; page++) {
		assert_int_equal(seen_in_window(B, page), 0);
		assert_int_equal(seen_in_window(C, page), 0);
	}
	assert_int_equal(share_on(0, HOME, PAGES, WEIR_PASS), WEIR_OK);
}

/* A VM ends when no vCPU of it is in a call any more. */
static bool at_once(void)
{
	return moves[now].vm != moves[meanwhile].vm || !(moves[now].ends || moves[meanwhile].ends);
}

TEST(each_page_has_one_home_and_one_holder_whatever_two_cores_do)
{
	u32 gaps = 0;

	for (beginning = 0; beginning < ARRAY_SIZE(beginnings); beginning++)
		for (now = 0; now < ARRAY_SIZE(moves); now++)
			for (meanwhile = 0; meanwhile < ARRAY_SIZE(moves); meanwhile++)
				if (at_once())
					gaps += fake_lock_each_gap(begin, move_now, move_meanwhile,
								   check);
	assert_true(gaps > 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(
			each_page_has_one_home_and_one_holder_whatever_two_cores_do, machine_free),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
