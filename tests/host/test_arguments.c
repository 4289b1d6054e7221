/*
 * Every call of the table with everything that an argument must not be: out of range, at its edge, stale, still
 * to come, of another VM; repeated; and what each quota says. The answer is one that the call's header names (which
 * test_checks.py compares with the rows here), results come with WEIR_OK only, a call that failed has changed
 * nothing at all, and one that did not has changed nothing of a VM that is not concerned.
 *
 * A new call needs a row in call_rows.c; test_calls.c makes calls in any order.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/ipc_state.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c tests/host/call_rows.c
 */
#include <stdio.h>
#include <string.h>
#include <weir/event.h>
#include <weir/grant.h>
#include <weir/store.h>
#include <weir/upcall.h>
#include "call_rows.h"
#include "ipc_state.h"
#include "ipc/upcall.h"

enum { A, B, C, D, VMS };

#define PORTS 16u

/* ---- The machine ------------------------------------------------------------------------------- */

static weir_handle share(u32 vm, weir_handle port, u64 page, u32 pages, enum weir_access access)
{
	weir_handle grant = 0;

	ipc_run(vm, 0);
	assert_int_equal(weir_grant_share(port, page, pages, access, &grant), WEIR_OK);
	return grant;
}

static void answered(void *context, enum weir_status status, const u64 reply[6])
{
	(void)context;
	(void)status;
	(void)reply;
}

static enum weir_status ask(struct vcpu *vcpu)
{
	static const u64 none[4];

	return upcall_request(vcpu, WEIR_SERVICE_PING, none, 1000000, answered, 0);
}

/* A node of a's; a child of the name that calls are given where one has to be there. */
static void prepare_store(u32 number)
{
	struct weir_pages pages = ipc_pages(A, 0);
	weir_handle child;

	assert_int_equal(weir_store_make(&pages, 0, "n", 0, 0, 0, &call_have.node), WEIR_OK);
	if (number == WEIR_FN_STORE_FIND || number == WEIR_FN_STORE_LIST)
		assert_int_equal(weir_store_make(&pages, call_have.node, "ab", 0, 0, 0, &child),
				 WEIR_OK);
	if (number != WEIR_FN_STORE_WATCH_NEXT)
		return;
	assert_int_equal(weir_store_watch(call_have.node, true), WEIR_OK);
	assert_int_equal(weir_store_write(&pages, call_have.node, "1", 1, 0, 0), WEIR_OK);
}

/* a has channels to b and c, d one to c: d is not concerned. All are in their third life. */
static void prepare(u32 number)
{
	static const char *const channels[] = { "ab", "ac", "cd", 0 };
	const weir_handle first = 3ul << 16;
	weir_handle grant;

	fake_lock_reset();
	ipc_vms_set_ports(PORTS);
	ipc_vms_make(VMS, 2, channels);
	for (u32 vm = 0; vm < VMS; vm++) {
		ipc_vm_renew(vm);
		ipc_vm_renew(vm);
	}
	call_have.to_b = first;
	call_have.to_c = first | 1;
	call_have.managed = 7ul << 16 | D;
	grant = share(B, first, 0, 2, WEIR_READ);
	share(D, first, 3, 2, WEIR_READ_WRITE);
	call_have.offered = share(B, first, 8, 4, WEIR_READ_WRITE);
	call_have.mine = share(A, call_have.to_b, HAVE_OWN, 1, WEIR_READ);
	assert_int_equal(weir_grant_map(call_have.to_b, grant, HAVE_MAPPED, 0, 0), WEIR_OK);
	grant = share(B, first, 20, 1, WEIR_PASS);
	ipc_run(B, 0);
	assert_int_equal(weir_port_open_peer(first, &call_have.opened), WEIR_OK);
	ipc_run(A, 0);
	assert_int_equal(weir_grant_map(call_have.to_b, grant, HAVE_PASSED, 0, 0), WEIR_OK);
	assert_int_equal(weir_port_open_ipi(&call_have.ipi), WEIR_OK);
	assert_int_equal(weir_port_open_timer(&call_have.timer), WEIR_OK);
	prepare_store(number);
	memcpy(ipc_pages(A, 0).in->buffer, "ab", 2);
	if (number == WEIR_FN_UPCALL_RETURN) {
		assert_int_equal(weir_upcall_register(1), WEIR_OK);
		assert_int_equal(ask(ipc_vcpu(A, 0)), WEIR_OK);
		call_have.sequence = ipc_vcpu(A, 0)->ipc->upcall.sequence;
	}
	fake_locks_taken();
}

static void make_good(u32 row, u64 x[ARGUMENTS])
{
	for (u32 i = 0; i < ARGUMENTS; i++)
		x[i] = call_good(call_rows[row].number, call_rows[row].argument[i]);
}

static s64 call(u32 row, const u64 x[ARGUMENTS])
{
	char what[160];

	snprintf(what, sizeof(what), "call %u (%#lx, %#lx, %#lx, %#lx, %#lx)",
		 call_rows[row].number, x[0], x[1], x[2], x[3], x[4]);
	return call_row(&call_rows[row], x, what);
}

/* ---- One argument after the other --------------------------------------------------------------- */

static void check_one(u32 row, const u64 x[ARGUMENTS], bool must_fail)
{
	struct ipc_state *before[VMS];
	s64 status;

	for (u32 vm = 0; vm < VMS; vm++)
		before[vm] = ipc_state_take(vm);
	status = call(row, x);
	if (status == WEIR_OK && must_fail)
		fail_msg("call %u (%#lx, %#lx, %#lx, %#lx, %#lx): it is accepted",
			 call_rows[row].number, x[0], x[1], x[2], x[3], x[4]);
	for (u32 vm = 0; vm < VMS; vm++) {
		if (status != WEIR_OK || vm == D)
			assert_state_is(before[vm], "a call with one argument that is another");
		else
			ipc_state_free(before[vm]);
	}
	if (status == WEIR_OK)
		prepare(call_rows[row].number);
}

TEST(each_call_has_a_row_here)
{
	prepare(0);
	for (u32 number = 0; number < 0x10000; number++) {
		u32 rows = 0;

		for (u32 row = 0; row < call_row_count; row++)
			rows += call_rows[row].number == number;
		ipc_run(A, 0);
		if ((ipc_call(WEIR_FN(number), ~0ul, ~0ul, ~0ul, ~0ul, ~0ul, ~0ul) != -1) !=
		    (rows == 1))
			fail_msg("call %u has %u rows", number, rows);
	}
}

TEST(arguments_that_fit_are_accepted)
{
	for (u32 row = 0; row < call_row_count; row++) {
		u64 x[ARGUMENTS];

		prepare(call_rows[row].number);
		make_good(row, x);
		for (u32 i = 0; i < ARGUMENTS; i++)
			assert_true(call_fits(call_rows[row].argument[i], x[i]));
		if (call(row, x) != WEIR_OK)
			fail_msg("call %u: %ld", call_rows[row].number,
				 (long)ipc_vcpu(A, 0)->arch.x[0]);
	}
}

TEST(each_argument_alone_is_checked)
{
	u32 count;

	for (u32 row = 0; row < call_row_count; row++) {
		prepare(call_rows[row].number);
		count = call_values();
		for (u32 at = 0; at < ARGUMENTS; at++) {
			enum kind kind = call_rows[row].argument[at];

			for (u32 i = 0; i < count; i++) {
				u64 x[ARGUMENTS];

				make_good(row, x);
				x[at] = call_value(i);
				check_one(row, x, !call_fits(kind, x[at]));
			}
			if (kind == NOTHING) /* so are those behind it */
				break;
		}
	}
}

/* What succeeded is asked for again, and again after that. */
TEST(calls_may_be_repeated)
{
	for (u32 row = 0; row < call_row_count; row++) {
		u64 x[ARGUMENTS];

		prepare(call_rows[row].number);
		make_good(row, x);
		for (u32 times = 0; times < 200; times++) {
			struct ipc_state *d = ipc_state_take(D);

			call(row, x);
			assert_state_is(d, "repeated");
		}
	}
}

/* The second life's handles, in the third. */
TEST(what_is_of_an_earlier_life_is_stale)
{
	for (u32 row = 0; row < call_row_count; row++) {
		for (u32 at = 0; at < ARGUMENTS; at++) {
			enum kind kind = call_rows[row].argument[at];
			u64 x[ARGUMENTS];

			bool own = kind == MINE || kind == OWN_PORT || kind == TIMER;

			if (kind != PORT && kind != OFFERED && kind != OPENED && !own)
				continue;
			prepare(call_rows[row].number);
			if (kind != PORT) {
				ipc_vm_renew(own ? A : B);
				call_have.to_b += own ? 0x10000 : 0;
			}
			make_good(row, x);
			x[at] -= kind == PORT ? 0x10000 : 0;
			ipc_run(A, 0);
			assert_int_equal(call(row, x), WEIR_STALE);
		}
	}
}

/* A VM without the right manages nothing, whatever it says. */
TEST(who_may_not_manage_is_denied_everything)
{
	u32 count;

	prepare(0);
	count = call_values();
	ipc_run(B, 0);
	for (u32 row = 0; row < call_row_count; row++)
		if (call_rows[row].number >= WEIR_FN_VM_INFO &&
		    call_rows[row].number <= WEIR_FN_VM_RESTART)
			for (u32 i = 0; i < count; i++)
				assert_int_equal(call(row, (u64[ARGUMENTS]){ call_value(i) }),
						 WEIR_DENIED);
	assert_null(ipc_command.vm);
}

/* ---- Quotas ------------------------------------------------------------------------------------ */

/* Each has a call of its own that says so, and is there again when something was given back. */
TEST(quota_of_requests_in_flight)
{
	struct weir_completion completion;
	struct weir_pages pages;
	u64 x[] = { 0, 0, 8, VM_RAM_BASE, 0 };

	prepare(0);
	pages = ipc_pages(A, 0);
	for (u32 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)x[3], i), 0);
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)x[3], 0), WEIR_QUOTA);
	ipc_run(A, 1); /* another vCPU has its own */
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)x[3], 0), WEIR_OK);
	ipc_run(A, 0);
	assert_true(ipc_disk_done(WEIR_OK)); /* not consumed yet */
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)x[3], 0), WEIR_QUOTA);
	assert_true(weir_block_next(&pages, &completion));
	assert_int_equal(weir_block_submit(0, WEIR_BLOCK_READ, 0, 8, (void *)x[3], 0), WEIR_OK);
}

TEST(quota_of_ports)
{
	weir_handle last = 0, port;
	u32 count = 0;

	prepare(0);
	while (weir_port_open_ipi(&port) == WEIR_OK) {
		last = port;
		count++;
	}
	assert_int_equal(count, PORTS - 4); /* two channels, the ports that it has by prepare() */
	assert_int_equal(weir_port_open_ipi(&port), WEIR_QUOTA);
	assert_int_equal(weir_port_connect(call_have.to_b, call_have.opened, &port), WEIR_QUOTA);
	assert_int_equal(weir_port_close(last), WEIR_OK);
	assert_int_equal(weir_port_connect(call_have.to_b, call_have.opened, &port), WEIR_OK);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	assert_int_equal(weir_port_open_ipi(&port), WEIR_OK);
}

TEST(quota_of_grants_that_begin_at_a_page)
{
	weir_handle grant;

	prepare(0);
	ipc_vm(A)->ipc->grant.grant[40].generation = (1ul << 42) - 1;
	assert_int_equal(weir_grant_share(call_have.to_b, 40, 1, WEIR_READ, &grant), WEIR_QUOTA);
	assert_int_equal(weir_grant_share(call_have.to_b, 39, 3, WEIR_READ, &grant), WEIR_OK);
}

#define CASE(name) cmocka_unit_test_teardown(name, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_call_has_a_row_here),
		CASE(arguments_that_fit_are_accepted),
		CASE(each_argument_alone_is_checked),
		CASE(calls_may_be_repeated),
		CASE(what_is_of_an_earlier_life_is_stale),
		CASE(who_may_not_manage_is_denied_everything),
		CASE(quota_of_requests_in_flight),
		CASE(quota_of_ports),
		CASE(quota_of_grants_that_begin_at_a_page),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
