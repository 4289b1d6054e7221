/*
 * Grants by ports that were opened by call (weir/grant.h): they go as by a channel; a port is closed when nothing of
 * its own VM goes by it, whatever the peer does; and no grant becomes another pair's.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include <weir/event.h>
#include <weir/grant.h>
#include "ipc_vms.h"

enum { A, B, C, VMS };

/* A channel between each two; so port 0 of a is to b, 1 to c; of b 0 to a, 1 to c; of c 0 to a, 1 to b. */
static const char *const channels[] = { "ab", "ac", "bc", 0 };

#define CHANNEL(n) (1ul << 16 | (n))

static weir_handle ab, ba, bc, cb; /* ports that were opened: a's to b ... */

static weir_handle join(u32 from, u32 from_channel, u32 to, u32 to_channel, weir_handle *other)
{
	weir_handle port;

	ipc_run(from, 0);
	assert_int_equal(weir_port_open_peer(CHANNEL(from_channel), &port), WEIR_OK);
	ipc_run(to, 0);
	assert_int_equal(weir_port_connect(CHANNEL(to_channel), port, other), WEIR_OK);
	return port;
}

static void begin(void)
{
	fake_lock_reset();
	ipc_vms_make(VMS, 2, channels);
	ab = join(A, 0, B, 0, &ba);
	bc = join(B, 1, C, 1, &cb);
	while (ipc_next(A, 0) >= 0 || ipc_next(B, 0) >= 0 || ipc_next(C, 0) >= 0)
		;
}

static int setup(void **state)
{
	(void)state;
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ipc_vms_free();
	return 0;
}

static weir_handle give(u64 page, u32 pages, enum weir_access access)
{
	weir_handle grant = 0;

	ipc_run(A, 0);
	assert_int_equal(weir_grant_share(ab, page, pages, access, &grant), WEIR_OK);
	return grant;
}

static enum weir_status map(u32 vm, weir_handle port, weir_handle grant, u64 page)
{
	ipc_run(vm, 0);
	return weir_grant_map(port, grant, page, 0, 0);
}

static enum weir_status unmap(u32 vm, u64 page)
{
	ipc_run(vm, 0);
	return weir_grant_unmap(page);
}

static enum weir_status revoke(weir_handle grant)
{
	ipc_run(A, 0);
	return weir_grant_revoke(grant);
}

static enum weir_status close_port(u32 vm, weir_handle port)
{
	ipc_run(vm, 0);
	return weir_port_close(port);
}

static u64 seen(u32 vm, u64 page)
{
	return fake_stage2_pa(&ipc_vm(vm)->stage2, VM_WINDOW_BASE + page * PAGE_SIZE);
}

TEST(a_grant_goes_by_a_port_that_was_opened)
{
	weir_handle grant = give(3, 2, WEIR_READ);

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(seen(B, 7), ipc_pool_pa(A, 3));
	assert_int_equal(seen(B, 8), ipc_pool_pa(A, 4));
	assert_int_equal(map(B, ba, grant, 20), WEIR_BUSY);
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(seen(B, 7), ipc_scratch_pa(B));
	assert_int_equal(ipc_next(B, 0), weir_port_number(ba));
	assert_int_equal(unmap(B, 7), WEIR_OK);
	assert_int_equal(seen(B, 7), 0);
}

TEST(a_grant_is_mapped_by_the_pair_by_which_it_was_given)
{
	weir_handle grant = give(3, 1, WEIR_READ), by_channel = 0;

	assert_int_equal(map(B, CHANNEL(0), grant, 7), WEIR_DENIED);
	assert_int_equal(map(C, cb, grant, 7), WEIR_DENIED);
	ipc_run(A, 0);
	assert_int_equal(weir_grant_share(CHANNEL(0), 5, 1, WEIR_READ, &by_channel), WEIR_OK);
	assert_int_equal(map(B, ba, by_channel, 7), WEIR_DENIED);
	assert_int_equal(map(B, CHANNEL(0), by_channel, 7), WEIR_OK);
	assert_int_equal(map(B, ba, grant, 8), WEIR_OK);
}

TEST(what_was_passed_by_such_a_port_is_returned_by_it)
{
	weir_handle grant = give(3, 1, WEIR_PASS);

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(unmap(B, 7), WEIR_OK);
	assert_int_equal(ipc_next(A, 0), weir_port_number(ab));
	assert_int_equal(close_port(A, ab), WEIR_OK);
}

TEST(a_port_is_not_closed_by_whose_grants_go_by_it)
{
	weir_handle grant = give(3, 1, WEIR_READ), passed = give(9, 2, WEIR_PASS);

	assert_int_equal(close_port(A, ab), WEIR_BUSY);
	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(close_port(B, ba), WEIR_BUSY);
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_BUSY);
	assert_int_equal(revoke(passed), WEIR_OK);
	assert_int_equal(close_port(B, ba),
			 WEIR_BUSY); /* what is left of it is still in the window */
	assert_int_equal(unmap(B, 7), WEIR_OK);
	assert_int_equal(close_port(B, ba), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_STALE);
}

TEST(a_peer_that_never_unmaps_keeps_nothing)
{
	weir_handle grant = give(3, 1, WEIR_PASS);
	u64 pool = vm_pool_base(ipc_vm(A)) + 3 * PAGE_SIZE;

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_OK);
	assert_int_equal(fake_stage2_pa(&ipc_vm(A)->stage2, pool), ipc_pool_pa(A, 3));
	assert_int_equal(seen(B, 7), ipc_scratch_pa(B));
	ipc_run(B, 0);
	assert_int_equal(weir_event_send(ba), WEIR_CLOSED);
}

TEST(what_is_not_mapped_when_the_peer_closes_waits_to_be_revoked)
{
	weir_handle grant = give(3, 1, WEIR_READ), other, theirs, none;

	assert_int_equal(close_port(B, ba), WEIR_OK);
	assert_int_equal(ipc_next(A, 0), weir_port_number(ab));
	assert_int_equal(weir_grant_share(ab, 5, 1, WEIR_READ, &none), WEIR_STALE); /* b's call */
	ipc_run(A, 0);
	assert_int_equal(weir_grant_share(ab, 5, 1, WEIR_READ, &none), WEIR_CLOSED);
	/* The number of b's end is given out again, and it is another pair. */
	theirs = join(A, 0, B, 0, &other);
	assert_int_not_equal(weir_port_number(theirs), weir_port_number(ab));
	assert_int_equal(map(B, other, grant, 7), WEIR_DENIED);
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_OK);
}

TEST(no_grant_becomes_that_of_a_pair_with_the_same_numbers)
{
	weir_handle grant = give(3, 1, WEIR_READ), ab2, ba2, again;

	/* All others are in use, so the numbers come again. */
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(close_port(A, ab), WEIR_OK);
	assert_int_equal(close_port(B, ba), WEIR_OK);
	while (ipc_next(A, 0) >= 0 || ipc_next(B, 0) >= 0)
		;
	ipc_vm(A)->ipc->event.fresh = ipc_vm(A)->ipc->event.port_count;
	ipc_vm(B)->ipc->event.fresh = ipc_vm(B)->ipc->event.port_count;
	ab2 = join(A, 0, B, 0, &ba2);
	assert_int_equal(weir_port_number(ab2), weir_port_number(ab));
	assert_int_equal(weir_port_number(ba2), weir_port_number(ba));
	assert_int_equal(map(B, ba2, grant, 7), WEIR_STALE);
	assert_int_equal(map(B, ba, grant, 7), WEIR_STALE);
	ipc_run(A, 0);
	assert_int_equal(weir_grant_share(ab, 3, 1, WEIR_READ, &again), WEIR_STALE);
	assert_int_equal(weir_grant_share(ab2, 3, 1, WEIR_READ, &again), WEIR_OK);
	assert_int_equal(map(B, ba2, grant, 7), WEIR_STALE);
	assert_int_equal(map(B, ba2, again, 7), WEIR_OK);
}

TEST(along_a_chain_each_port_is_held_by_who_gives_by_it_or_has_by_it)
{
	weir_handle grant = give(3, 2, WEIR_PASS), on;

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	ipc_run(B, 0);
	assert_int_equal(weir_grant_pass_on(bc, 7, &on), WEIR_OK);
	assert_int_equal(close_port(B, bc), WEIR_BUSY);
	assert_int_equal(close_port(B, ba), WEIR_OK);
	assert_int_equal(map(C, cb, on, 1), WEIR_OK);
	assert_int_equal(seen(C, 1), ipc_pool_pa(A, 3));
	assert_int_equal(close_port(B, bc), WEIR_OK);
	assert_int_equal(close_port(C, cb), WEIR_BUSY);
	assert_int_equal(close_port(A, ab), WEIR_BUSY);
	while (ipc_next(A, 0) >= 0 || ipc_next(C, 0) >= 0)
		;
	assert_int_equal(revoke(grant), WEIR_OK);
	assert_int_equal(ipc_next(C, 0), weir_port_number(cb)); /* its other end is closed */
	assert_int_equal(close_port(A, ab), WEIR_OK);
	assert_int_equal(unmap(C, 1), WEIR_OK);
	assert_int_equal(close_port(C, cb), WEIR_OK);
}

TEST(a_port_that_is_joined_to_no_vm_gives_nothing)
{
	weir_handle ipi, timer, waits, grant;

	ipc_run(A, 0);
	assert_int_equal(weir_port_open_ipi(&ipi), WEIR_OK);
	assert_int_equal(weir_port_open_timer(&timer), WEIR_OK);
	assert_int_equal(weir_port_open_peer(CHANNEL(0), &waits), WEIR_OK);
	assert_int_equal(weir_grant_share(ipi, 0, 1, WEIR_READ, &grant), WEIR_INVALID);
	assert_int_equal(weir_grant_share(timer, 0, 1, WEIR_READ, &grant), WEIR_INVALID);
	assert_int_equal(weir_grant_share(waits, 0, 1, WEIR_READ, &grant), WEIR_CLOSED);
	assert_int_equal(weir_grant_map(ipi, CHANNEL(0), 0, 0, 0), WEIR_INVALID);
	assert_int_equal(weir_grant_map(waits, CHANNEL(0), 0, 0, 0), WEIR_CLOSED);
	assert_int_equal(weir_grant_pass_on(timer, 0, &grant), WEIR_INVALID);
	assert_int_equal(weir_grant_pass_on(waits, 0, &grant), WEIR_CLOSED);
}

/* The number of what goes by a port has its end. */
TEST(more_than_can_be_counted_go_by_no_port)
{
	struct port *port = &ipc_vm(A)->ipc->event.port[weir_port_number(ab)];
	weir_handle grant = give(3, 1, WEIR_PASS), none;

	port->grants = 0xffff;
	ipc_run(A, 0);
	assert_int_equal(weir_grant_share(ab, 5, 1, WEIR_READ, &none), WEIR_BUSY);
	port->grants = 1;
	port = &ipc_vm(B)->ipc->event.port[weir_port_number(ba)];
	port->grants = 0xffff;
	assert_int_equal(map(B, ba, grant, 7), WEIR_DENIED);
	port->grants = 0;
	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	port = &ipc_vm(B)->ipc->event.port[weir_port_number(bc)];
	port->grants = 0xffff;
	assert_int_equal(weir_grant_pass_on(bc, 7, &none), WEIR_BUSY);
	assert_int_equal(seen(B, 7), ipc_pool_pa(A, 3));
	port->grants = 0;
}

TEST(the_end_of_a_vm_ends_what_goes_by_its_ports)
{
	weir_handle grant = give(3, 1, WEIR_READ), passed = give(9, 1, WEIR_PASS);

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(map(B, ba, passed, 8), WEIR_OK);
	ipc_vm_renew(B);
	assert_int_equal(seen(B, 7), 0);
	assert_int_equal(revoke(passed), WEIR_STALE);
	assert_int_equal(map(B, ba, grant, 7), WEIR_STALE); /* its port is closed */
	assert_int_equal(close_port(A, ab), WEIR_BUSY);
	ipc_vm_renew(A);
	assert_int_equal(revoke(grant), WEIR_STALE);
	assert_int_equal(close_port(A, ab), WEIR_STALE);
}

TEST(one_call_of_the_library_ends_all_that_goes_by_a_port)
{
	weir_handle grant = give(3, 1, WEIR_READ), second = give(9, 2, WEIR_PASS), kept = 0, given;

	assert_int_equal(map(B, ba, grant, 7), WEIR_OK);
	assert_int_equal(map(B, ba, second, 30), WEIR_OK);
	assert_int_equal(weir_grant_share(ba, 1, 1, WEIR_READ, &given), WEIR_OK);
	assert_int_equal(weir_grant_share(CHANNEL(0), 2, 1, WEIR_READ, &kept), WEIR_OK);
	assert_int_equal(weir_grant_close_port(ba), WEIR_OK);
	assert_int_equal(weir_grant_revoke(kept), WEIR_OK);
	assert_int_equal(weir_grant_revoke(given), WEIR_STALE);
	assert_int_equal(seen(B, 7), 0);
	assert_int_equal(seen(B, 30), 0);
	ipc_run(A, 0);
	assert_int_equal(weir_grant_close_port(ab), WEIR_OK);
	assert_int_equal(weir_grant_close_port(ab), WEIR_STALE);
	assert_int_equal(weir_grant_close_port(CHANNEL(0)), WEIR_DENIED);
}

/* ---- In between -------------------------------------------------------------------------------- */

static weir_handle last; /* grant of the machine at hand */
static bool was_mapped, was_passed;

static void begin_shared(void)
{
	begin();
	last = give(3, 1, WEIR_PASS);
}

static void begin_mapped(void)
{
	begin_shared();
	assert_int_equal(map(B, ba, last, 7), WEIR_OK);
}

static void begin_offered(void)
{
	weir_handle on;

	begin_mapped();
	assert_int_equal(weir_grant_pass_on(bc, 7, &on), WEIR_OK);
}

static void (*const beginnings[])(void) = { begin, begin_shared, begin_mapped, begin_offered };

/* What went by a port that the VM has: it had it then, and has it still. */
static void check_went(u32 vm, weir_handle port, enum weir_status status)
{
	if (status == WEIR_OK)
		assert_int_equal(ipc_vm(vm)->ipc->event.port[weir_port_number(port)].handle, port);
}

static void do_share(u32 vcpu)
{
	enum weir_status status;
	weir_handle grant;

	ipc_run(A, vcpu);
	status = weir_grant_share(ab, 3, 1, WEIR_PASS, &grant);
	check_went(A, ab, status);
	if (status == WEIR_OK)
		last = grant;
}

static void do_map(u32 vcpu)
{
	ipc_run(B, vcpu);
	check_went(B, ba, weir_grant_map(ba, last, 7, 0, 0));
}

static void do_map_at_c(u32 vcpu)
{
	ipc_run(C, vcpu);
	check_went(C, cb, weir_grant_map(cb, last, 7, 0, 0));
}

static void do_pass(u32 vcpu)
{
	weir_handle on;

	ipc_run(B, vcpu);
	check_went(B, bc, weir_grant_pass_on(bc, 7, &on));
}

static void do_unmap(u32 vcpu)
{
	ipc_run(B, vcpu);
	weir_grant_unmap(7);
}

static void do_revoke(u32 vcpu)
{
	ipc_run(A, vcpu);
	weir_grant_revoke(last);
}

/*
 * And another is connected, to somebody else, which has its number as soon as it can; it gives and takes what
 * stands in its way.
 */
static void close_and_join(u32 vm, u32 vcpu, weir_handle port, u32 to, u32 to_channel, u32 channel)
{
	weir_handle theirs, other;

	ipc_run(vm, vcpu);
	if (weir_port_close(port) != WEIR_OK)
		return;
	ipc_vm(vm)->ipc->event.fresh = ipc_vm(vm)->ipc->event.port_count;
	ipc_run(to, vcpu);
	if (weir_port_open_peer(CHANNEL(to_channel), &theirs) != WEIR_OK)
		return;
	ipc_run(vm, vcpu);
	weir_port_connect(CHANNEL(channel), theirs, &other);
}

static void do_close_ab(u32 vcpu)
{
	close_and_join(A, vcpu, ab, C, 0, 1);
}

static void do_close_ba(u32 vcpu)
{
	close_and_join(B, vcpu, ba, C, 1, 1);
}

static void do_close_bc(u32 vcpu)
{
	close_and_join(B, vcpu, bc, A, 0, 0);
}

static void do_close_cb(u32 vcpu)
{
	ipc_run(C, vcpu);
	weir_port_close(cb);
}

static void (*const moves[])(u32 vcpu) = { do_share,	do_map,	    do_map_at_c, do_pass,
					   do_unmap,	do_revoke,  do_close_ab, do_close_ba,
					   do_close_bc, do_close_cb };
static u32 now, meanwhile;

static void move_now(void)
{
	moves[now](0);
}

static void move_meanwhile(void *context)
{
	(void)context;
	moves[meanwhile](1);
}

static u32 go_by(u32 vm, u32 port)
{
	const struct grant_vm *table = &ipc_vm(vm)->ipc->grant;
	u32 count = 0;

	for (u32 i = 0; i < table->pool_pages; i++)
		count += table->grant[i].pages && table->grant[i].port == port;
	for (u32 i = 0; i < table->window_pages; i++)
		count += table->window[i].pages && table->window[i].port == port;
	return count;
}

/* What goes by a port is counted, and it is the port by which it was given; all of it comes to an end. */
static void check(void)
{
	for (u32 vm = 0; vm < VMS; vm++) {
		const struct event_vm *event = &ipc_vm(vm)->ipc->event;

		for (u32 i = event->channel_count; i < event->port_count; i++) {
			const struct port *port = &event->port[i];

			assert_int_equal(go_by(vm, i), port->kind == PORT_PEER ? port->grants : 0);
			if (port->kind == PORT_PEER && port->waiting)
				assert_int_equal(port->grants, 0);
		}
	}
	was_mapped |= seen(B, 7) == ipc_pool_pa(A, 3);
	was_passed |= seen(C, 7) == ipc_pool_pa(A, 3);
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vm_end(vm);
}

TEST(no_grant_goes_by_a_port_that_is_closed_whatever_two_cores_do)
{
	u32 gaps = 0;

	for (u32 b = 0; b < ARRAY_SIZE(beginnings); b++)
		for (now = 0; now < ARRAY_SIZE(moves); now++)
			for (meanwhile = 0; meanwhile < ARRAY_SIZE(moves); meanwhile++)
				gaps += fake_lock_each_gap(beginnings[b], move_now, move_meanwhile,
							   check);
	assert_true(gaps > 900);
	assert_true(was_mapped && was_passed);
}

/* b has guessed the handle of what a gives to another, by a port with the number of the one that is joined to b's. */
static void map_guessed(void)
{
	ipc_run(B, 0);
	weir_grant_map(ba, 1ul << 22 | A << 16 | 3, 7, 0, 0);
}

static void give_to_another(void *context)
{
	weir_handle theirs, port, grant;

	(void)context;
	ipc_vm(A)->ipc->event.fresh = ipc_vm(A)->ipc->event.port_count;
	ipc_run(A, 1);
	weir_port_close(ab);
	ipc_run(C, 1);
	weir_port_open_peer(CHANNEL(0), &theirs);
	ipc_run(A, 1);
	assert_int_equal(weir_port_connect(CHANNEL(1), theirs, &port), WEIR_OK);
	assert_int_equal(weir_port_number(port), weir_port_number(ab));
	assert_int_equal(weir_grant_share(port, 3, 1, WEIR_READ, &grant), WEIR_OK);
}

static void check_not_mapped(void)
{
	assert_int_equal(seen(B, 7), 0);
}

TEST(a_port_that_was_joined_a_moment_ago_is_no_way_to_what_another_is_given)
{
	assert_true(fake_lock_each_gap(begin, map_guessed, give_to_another, check_not_mapped) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define HERE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
		HERE(a_grant_goes_by_a_port_that_was_opened),
		HERE(a_grant_is_mapped_by_the_pair_by_which_it_was_given),
		HERE(what_was_passed_by_such_a_port_is_returned_by_it),
		HERE(a_port_is_not_closed_by_whose_grants_go_by_it),
		HERE(a_peer_that_never_unmaps_keeps_nothing),
		HERE(what_is_not_mapped_when_the_peer_closes_waits_to_be_revoked),
		HERE(no_grant_becomes_that_of_a_pair_with_the_same_numbers),
		HERE(along_a_chain_each_port_is_held_by_who_gives_by_it_or_has_by_it),
		HERE(a_port_that_is_joined_to_no_vm_gives_nothing),
		HERE(more_than_can_be_counted_go_by_no_port),
		HERE(the_end_of_a_vm_ends_what_goes_by_its_ports),
		HERE(one_call_of_the_library_ends_all_that_goes_by_a_port),
		cmocka_unit_test_teardown(
			no_grant_goes_by_a_port_that_is_closed_whatever_two_cores_do, teardown),
		cmocka_unit_test_teardown(
			a_port_that_was_joined_a_moment_ago_is_no_way_to_what_another_is_given,
			teardown),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
