/*
 * Changes of the store by two VMs, one in each gap of the other's call in which no lock is held: everybody who
 * watches hears of a change, and who has made it does all the telling.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include "core/hypercall.h"
#include "store_calls.h"

/* The first's node is watched by all but the last, who only writes its own. */
enum { FIRST, LAST = 9, VMS };

static weir_handle watched_node, own_node;

static void machine(void)
{
	fake_lock_reset();
	ipc_vms_set_peers(FIRST, 0x3fe, 0);
	ipc_vms_make(VMS, 1, (const char *const[]){ 0 });
	watched_node = made(FIRST, 0, "n", ALL, 0, 0);
	own_node = made(LAST, 0, "n", 0, 0, 0);
	for (u32 vm = FIRST + 1; vm < LAST; vm++) {
		open_store(vm);
		next_event(vm);
		assert_int_equal(watch(vm, watched_node, true), WEIR_OK);
	}
}

static void first_writes(void)
{
	assert_int_equal(store_write(FIRST, watched_node, "x", 0), WEIR_OK);
}

static void last_writes(void *context)
{
	(void)context;
	assert_int_equal(store_write(LAST, own_node, "x", 0), WEIR_OK);
	assert_int_equal(ipc_vcpu(LAST, 0)->ipc->store_tell, 0);
}

static void check(void)
{
	assert_int_equal(ipc_vcpu(LAST, 0)->turns, TURNS_GUEST);
	while (ipc_vcpu(FIRST, 0)->turns == TURNS_CALL)
		ipc_vcpu_step(ipc_vcpu(FIRST, 0));
	for (u32 vm = FIRST + 1; vm < LAST; vm++) {
		assert_int_not_equal(next_event(vm), -1);
		assert_int_equal(fired(vm), watched_node);
	}
}

TEST(who_makes_a_change_tells_of_it_and_nobody_else_does)
{
	assert_true(fake_lock_each_gap(machine, first_writes, last_writes, check) >= 2);
	ipc_vms_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_makes_a_change_tells_of_it_and_nobody_else_does),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
