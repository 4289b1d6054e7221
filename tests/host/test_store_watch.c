/*
 * Watches of the store: what they tell, whom, and when; on one core after the other, and on several at once.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <pthread.h>
#include <stdio.h>
#include "core/hypercall.h"
#include "store_calls.h"

enum { A, B, C, D, VMS };

/* b and c may talk to a, d to nobody. */
static const char *const channels[] = { "ab", "ac", 0 };

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(VMS, 2, channels);
	return 0;
}

TEST(a_change_makes_the_port_pending_and_is_told_once)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0), port = open_store(B);

	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(next_event(B), weir_port_number(port)); /* it was opened */
	assert_int_equal(next_event(B), -1);
	assert_int_equal(fired(B), 0);
	for (u32 i = 0; i < 3; i++)
		assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(next_event(B), weir_port_number(port));
	assert_int_equal(next_event(B), -1);
	assert_int_equal(fired(B), node);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(next_event(B), weir_port_number(port));
	assert_int_equal(fired(B), node);
}

TEST(a_vm_has_one_port_for_its_watches)
{
	weir_handle port = open_store(B), other;

	ipc_run(B, 1);
	assert_int_equal(weir_port_open_store(&other), WEIR_BUSY);
	assert_int_equal(weir_event_send(port), WEIR_CLOSED);
	assert_int_equal(weir_port_close(port), WEIR_OK);
	assert_int_equal(weir_port_open_store(&other), WEIR_OK);
	open_store(A);
}

TEST(what_changed_before_the_port_was_opened_is_heard_of)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0), port;

	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	port = open_store(B);
	assert_int_equal(next_event(B), weir_port_number(port));
	assert_int_equal(fired(B), node);
}

TEST(a_watch_covers_the_node_and_its_children_but_not_theirs)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0), child, below;

	assert_int_equal(watch(B, node, true), WEIR_OK);
	child = made(A, node, "child", ALL, 0, 0);
	assert_int_equal(fired(B), node);
	assert_int_equal(store_write(A, child, "x", 0), WEIR_OK);
	assert_int_equal(fired(B), node);
	assert_int_equal(allow(A, child, ALL, ALL, 0), WEIR_OK);
	assert_int_equal(fired(B), node);
	below = made(A, child, "below", ALL, 0, 0);
	assert_int_equal(store_write(A, below, "x", 0), WEIR_OK);
	assert_int_equal(store_remove(A, below, 0), WEIR_OK);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_remove(A, child, 0), WEIR_OK);
	assert_int_equal(fired(B), node);
	assert_int_equal(store_write(A, 0, "x", 0), WEIR_OK);
	assert_int_equal(fired(B), 0);
}

TEST(a_watch_ends_with_its_node_and_says_so)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0), next;

	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(store_remove(A, node, 0), WEIR_OK);
	next = made(A, 0, "n", ALL, 0, 0);
	assert_int_equal(fired(B), node | GONE);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_write(A, next, "x", 0), WEIR_OK);
	assert_int_equal(fired(B), 0);
	/* Its place is free again. */
	for (u32 i = 0; i < 100; i++) {
		assert_int_equal(watch(B, next, true), WEIR_OK);
		assert_int_equal(watch(B, next, false), WEIR_OK);
	}
}

/* Also of a node that has gone: what it had to tell is not told. */
TEST(what_is_watched_no_more_is_not_heard_of)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0);

	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(watch(B, node, false), WEIR_OK);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(fired(B), 0);
	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_remove(A, node, 0), WEIR_OK);
	assert_int_equal(watch(B, node, false), WEIR_OK);
	assert_int_equal(fired(B), 0);
}

TEST(who_ends_is_heard_of_and_hears_of_nothing)
{
	weir_handle inbox = made(A, 0, "inbox", ALL, 0, ALL), mine = made(B, inbox, "b", 0, 0, 0),
		    port;

	port = open_store(A);
	assert_int_equal(watch(A, inbox, true), WEIR_OK);
	assert_int_equal(watch(C, home(B), true), WEIR_STALE);
	assert_int_equal(watch(B, inbox, true), WEIR_OK);
	assert_int_equal(next_event(A), weir_port_number(port));
	ipc_vm_end(B);
	assert_int_equal(next_event(A), weir_port_number(port));
	assert_int_equal(fired(A), inbox);
	ipc_vm_renew(B);
	open_store(B);
	next_event(B);
	assert_int_equal(store_write(A, inbox, "x", 0), WEIR_OK);
	assert_int_equal(next_event(B), -1);
	assert_int_equal(fired(B), 0);
	assert_int_equal(store_remove(B, mine, 0), WEIR_STALE);
}

TEST(the_end_of_a_vm_is_an_event_of_its_home)
{
	open_store(B);
	assert_int_equal(watch(B, home(A), true), WEIR_OK);
	next_event(B);
	ipc_vm_end(A);
	assert_int_not_equal(next_event(B), -1);
	assert_int_equal(fired(B), home(A));
	ipc_vm_renew(A);
	made(A, 0, "again", ALL, 0, 0);
	assert_int_equal(fired(B), home(A));
}

/* ---- Many ---- */

/* More than a call looks at: it says so by telling none, and the wrapper goes on. */
TEST(watches_beyond_those_that_a_call_looks_at_are_found)
{
	weir_handle node[200];
	char name[4];

	ipc_vms_set_store(A, 300, 30000, 256);
	ipc_vms_make(1, 1, (const char *const[]){ 0 });
	for (u32 i = 0; i < ARRAY_SIZE(node); i++) {
		snprintf(name, sizeof(name), "%u", i);
		node[i] = made(A, 0, name, 0, 0, 0);
		assert_int_equal(watch(A, node[i], true), WEIR_OK);
	}
	for (u32 i = 0; i < ARRAY_SIZE(node); i += 37) {
		assert_int_equal(store_write(A, node[i], "x", 0), WEIR_OK);
		assert_int_equal(fired(A), node[i]);
		assert_int_equal(fired(A), 0);
	}
	/* Somebody has looked at some and given up; a change of those is found all the same. */
	ipc_call(WEIR_FN(WEIR_FN_STORE_WATCH_NEXT), 0, 0, 0, 0, 0, 0);
	assert_int_equal(ipc_vcpu(A, 0)->arch.x[0], WEIR_OK);
	assert_int_equal(ipc_vcpu(A, 0)->arch.x[1], 0);
	for (u32 i = 0; i < ARRAY_SIZE(node); i++) {
		ipc_call(WEIR_FN(WEIR_FN_STORE_WATCH_NEXT), 0, 0, 0, 0, 0, 0);
		assert_int_equal(store_write(A, node[i], "x", 0), WEIR_OK);
		assert_int_equal(fired(A), node[i]);
		assert_int_equal(fired(A), 0);
	}
}

/* ---- More VMs than a call tells: the others hear of it in steps of the vCPU ---- */

#define MANY 10u

/* A node of a, whom all others watch. */
static weir_handle much_watched(void)
{
	weir_handle node;

	ipc_vms_set_peers(A, BIT(MANY) - 2, 0);
	ipc_vms_make(MANY, 2, (const char *const[]){ 0 });
	node = made(A, 0, "n", ALL, 0, 0);
	for (u32 vm = 1; vm < MANY; vm++) {
		open_store(vm);
		next_event(vm);
		assert_int_equal(watch(vm, node, true), WEIR_OK);
	}
	return node;
}

static u32 told_now(void)
{
	u32 told = 0;

	for (u32 vm = 1; vm < MANY; vm++)
		told += next_event(vm) != -1;
	return told;
}

TEST(all_hear_of_a_change_however_many_watch)
{
	weir_handle node = much_watched();
	struct vcpu *vcpu = ipc_vcpu(A, 0);
	u32 told, now;

	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	told = told_now();
	assert_int_equal(told, 2);
	while (vcpu->turns == TURNS_CALL) {
		ipc_vcpu_step(vcpu);
		now = told_now();
		assert_in_range(now, 1, 2);
		told += now;
	}
	assert_int_equal(told, MANY - 1);
	assert_int_equal(vcpu->turns, TURNS_GUEST);
	for (u32 vm = 1; vm < MANY; vm++)
		assert_int_equal(fired(vm), node);
}

TEST(a_call_that_tells_all_has_no_steps)
{
	weir_handle node = made(A, 0, "n", ALL, 0, 0);

	open_store(B);
	open_store(C);
	assert_int_equal(watch(B, node, true), WEIR_OK);
	assert_int_equal(watch(C, node, true), WEIR_OK);
	assert_int_equal(store_write(A, node, "x", 0), WEIR_OK);
	assert_int_equal(ipc_vcpu(A, 0)->turns, TURNS_GUEST);
}

/* The steps of the VM's end, which are those of vCPU 0. */
static void end_vm(struct vm *vm)
{
	struct vm_work work = { 0 };

	vm->vcpu[0]->turns = TURNS_VM;
	while (ipc_vm_stop(vm, &work))
		;
}

TEST(all_hear_of_a_change_by_who_ends_meanwhile)
{
	for (u32 writer = 0; writer < 2; writer++) {
		weir_handle node = much_watched();
		struct weir_pages pages = ipc_pages(A, writer);

		ipc_run(A, writer);
		assert_int_equal(weir_store_write(&pages, node, "x", 1, 0, 0), WEIR_OK);
		assert_int_equal(told_now(), 2);
		for (u32 vm = 1; vm < MANY; vm++)
			watch(vm, node, false); /* so that nothing else tells them */
		assert_int_equal(ipc_vcpu(A, writer)->turns, TURNS_CALL);
		end_vm(ipc_vm(A));
		assert_int_equal(told_now(), MANY - 3);
		assert_int_equal(ipc_vcpu(A, 0)->turns, TURNS_VM);
		assert_int_equal(ipc_vcpu(A, 1)->turns, TURNS_GUEST);
		assert_int_equal(ipc_vcpu(A, writer)->ipc->store_tell, 0);
	}
}

/* ---- At the same time ---- */

#define ROUNDS	20000u
#define WATCHED 6u

static weir_handle shared_node[WATCHED];
static bool over;

/* a writes, on another core. */
static void *writer(void *argument)
{
	struct weir_pages pages = ipc_pages(A, 1);
	u64 count = 0;

	(void)argument;
	ipc_run(A, 1);
	for (count = 1; count <= ROUNDS; count++)
		assert_int_equal(weir_store_write(&pages, shared_node[count * 7 % WATCHED], &count,
						  sizeof(count), 0, 0),
				 WEIR_OK);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	return 0;
}

/* A round of the reader: the last state of what the watches tell. */
static void look(const struct weir_pages *pages, u64 seen[WATCHED])
{
	struct weir_store_value value;
	weir_handle node;
	bool gone;

	while (weir_store_watch_next(&node, &gone) == WEIR_OK) {
		for (u32 i = 0; i < WATCHED; i++) {
			if (shared_node[i] != node)
				continue;
			assert_int_equal(weir_store_read(pages, node, &value), WEIR_OK);
			assert_true(value.generation >= seen[i]);
			seen[i] = value.generation;
		}
	}
}

/* It looks when there is an event, and never else: in the end it has seen the last state of each. */
TEST(no_change_is_missed_by_who_looks_only_at_events)
{
	struct weir_pages pages = ipc_pages(B, 0);
	u64 seen[WATCHED] = { 0 };
	struct weir_store_value value;
	pthread_t thread;
	bool last;
	u32 number;

	for (u32 i = 0; i < WATCHED; i++) {
		char name[2] = { (char)('0' + i), 0 };

		shared_node[i] = made(A, 0, name, ALL, 0, 0);
		assert_int_equal(watch(B, shared_node[i], true), WEIR_OK);
	}
	open_store(B);
	over = false;
	assert_int_equal(pthread_create(&thread, 0, writer, 0), 0);
	ipc_run(B, 0);
	do {
		last = __atomic_load_n(&over, __ATOMIC_ACQUIRE);
		while (weir_event_next(&pages, &number))
			look(&pages, seen);
	} while (!last);
	assert_int_equal(pthread_join(thread, 0), 0);
	for (u32 i = 0; i < WATCHED; i++) {
		assert_int_equal(store_read(B, shared_node[i], &value), WEIR_OK);
		assert_int_equal(seen[i], value.generation);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_change_makes_the_port_pending_and_is_told_once),
		CASE(a_vm_has_one_port_for_its_watches),
		CASE(what_changed_before_the_port_was_opened_is_heard_of),
		CASE(a_watch_covers_the_node_and_its_children_but_not_theirs),
		CASE(a_watch_ends_with_its_node_and_says_so),
		CASE(what_is_watched_no_more_is_not_heard_of),
		CASE(who_ends_is_heard_of_and_hears_of_nothing),
		CASE(the_end_of_a_vm_is_an_event_of_its_home),
		CASE(watches_beyond_those_that_a_call_looks_at_are_found),
		CASE(all_hear_of_a_change_however_many_watch),
		CASE(a_call_that_tells_all_has_no_steps),
		CASE(all_hear_of_a_change_by_who_ends_meanwhile),
		CASE(no_change_is_missed_by_who_looks_only_at_events),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
