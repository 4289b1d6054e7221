/*
 * Communication cores: which ring is served, in which order, for how long; when a ring and a core sleep, and
 * that no command is left behind.
 *
 * Each turn takes a moment of the fake clock, and so does each lock.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: ipc/comm.c core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/submit.h>
#include "ipc_vms.h"
#include "arch/arm64/cpu.h"
#include "core/sched.h"
#include "ipc/event.h"
#include "ipc/submit.h"

#define POLL	   50000u /* ticks that an empty ring is looked at */
#define TURN	   100u	  /* ticks of a turn */
#define QUANTUM	   (4096u / SUBMIT_COST_EVENT)
#define FIRST	   1u /* the communication cores of these tests */
#define SECOND	   3u
#define TURNS_MANY 100000u

static u64 now;
static u32 kicks[MAX_PCPUS];

void sched_alert(u32 core)
{
	kicks[core]++;
}

/* Of those that have one: so much may be done until then. */
static u64 budget, spent, until;

u64 sched_spend(struct vcpu *vcpu, u64 ticks)
{
	assert_true(vcpu->budget);
	if (now >= until)
		spent = 0;
	spent += ticks;
	return spent >= budget && now < until ? until : 0;
}

/* Time passes with each lock that is taken: one in each turn. */
void fake_locks(const struct spinlock *lock);

void fake_locks(const struct spinlock *lock)
{
	(void)lock;
	fake_timer_set(++now);
}

/* True: the core sleeps. */
static bool run(u32 core, u32 turns)
{
	u32 before = cpu_index();
	bool awake = true;

	fake_cpu_set_index(core);
	while (turns-- && awake) {
		awake = ipc_comm_turn(core);
		fake_timer_set(now += TURN);
	}
	fake_cpu_set_index(before);
	return !awake;
}

static void make(u32 vms, u32 vcpus, const u8 *priorities, u32 cores)
{
	static const char *const channels[] = { "ab", "bc", "ca", 0 };
	struct manifest manifest = { .communication_cores = cores };

	ipc_vms_make(vms, vcpus, vms >= 3 ? channels : channels + 3);
	for (u32 i = 0; i < vms; i++)
		for (u32 k = 0; priorities && k < vcpus; k++)
			ipc_vcpu(i, k)->priority = priorities[i];
	memset(kicks, 0, sizeof(kicks));
	for (u32 core = MAX_PCPUS; core--;) {
		fake_cpu_set_index(core);
		timeout_init_core();
	}
	fake_timer_set(now = 1000000);
	ipc_comm_create(&manifest);
}

/* What a guest does; a port that is none, which is as much work. */
static u32 put(u32 vm, u32 vcpu, u32 count)
{
	struct weir_pages pages = ipc_pages(vm, vcpu);
	struct weir_submit ring;
	u32 done = 0;

	ipc_run(vm, vcpu);
	weir_submit_init(&ring, &pages);
	while (done < count && weir_submit_put_event(&ring, 1))
		done++;
	weir_submit_kick(&ring);
	return done;
}

static u64 taken(u32 vm, u32 vcpu)
{
	return ipc_pages(vm, vcpu).out->submit_head;
}

static bool wanted(u32 vm, u32 vcpu)
{
	return ipc_pages(vm, vcpu).out->submit_wanted;
}

TEST(a_core_without_commands_sleeps)
{
	make(3, 1, 0, BIT(FIRST));
	assert_true(run(FIRST, 1));
	for (u32 i = 0; i < 3; i++)
		assert_true(wanted(i, 0));
}

TEST(it_says_for_how_many_vcpus)
{
	struct manifest manifest = { .communication_cores = BIT(FIRST) | BIT(SECOND) };

	make(3, 1, 0, 0);
	assert_false(fake_log_has("communicates"));
	ipc_comm_create(&manifest);
	assert_true(fake_log_has("core 1 communicates, for 2 vCPUs"));
	assert_true(fake_log_has("core 3 communicates, for 1 vCPUs"));
}

TEST(without_one_the_call_takes_commands)
{
	make(3, 1, 0, 0);
	put(0, 0, 3);
	assert_int_equal(taken(0, 0), 3);
	assert_true(wanted(0, 0));
	for (u32 core = 0; core < MAX_PCPUS; core++)
		assert_int_equal(kicks[core], 0);
}

TEST(the_first_command_wakes_the_core_and_the_next_ones_are_stores)
{
	make(3, 1, 0, BIT(FIRST));
	put(1, 0, 1);
	assert_int_equal(kicks[FIRST], 1);
	assert_int_equal(taken(1, 0), 0);
	put(1, 0, 1); /* it is on its way */
	assert_int_equal(kicks[FIRST], 1);
	assert_false(run(FIRST, 1));
	assert_int_equal(taken(1, 0), 2);
	assert_false(wanted(1, 0));
	put(1, 0, 5);
	assert_int_equal(kicks[FIRST], 1);
	assert_false(run(FIRST, 1));
	assert_int_equal(taken(1, 0), 7);
	assert_true(wanted(0, 0)); /* not of the others */
}

TEST(an_event_arrives)
{
	struct weir_pages pages;
	struct weir_submit ring;
	weir_handle port;
	u32 number;

	make(3, 1, 0, BIT(FIRST));
	pages = ipc_pages(0, 0);
	ipc_run(0, 0);
	assert_int_equal(weir_port_find(&pages, "ab", &port), WEIR_OK);
	weir_submit_init(&ring, &pages);
	assert_int_equal(weir_submit_event(&ring, port), WEIR_OK);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 0);
	run(FIRST, 1);
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), 1);
	pages = ipc_pages(1, 0);
	assert_true(weir_event_next(&pages, &number));
	assert_int_equal(weir_submit_status(&ring, 0), WEIR_OK);
}

TEST(a_ring_is_looked_at_for_a_while_and_then_falls_asleep)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, 1);
	assert_false(run(FIRST, POLL / TURN));
	assert_false(wanted(0, 0));
	assert_true(run(FIRST, 3));
	assert_true(wanted(0, 0));
	put(0, 0, 1);
	assert_int_equal(kicks[FIRST], 2);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 2);
}

/* Each command begins the while anew. */
TEST(a_ring_in_use_stays_awake)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, 1);
	for (u32 i = 1; i < 20; i++) {
		assert_false(run(FIRST, POLL / TURN - 2));
		assert_false(wanted(0, 0));
		put(0, 0, 1);
	}
	assert_int_equal(kicks[FIRST], 1);
}

static void call_for_nothing(u32 vm)
{
	ipc_run(vm, 0);
	assert_int_equal(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_OK);
}

/* Time passes with each turn, and with each doze. */
TEST(calls_for_nothing_wake_it_once_in_a_while_and_are_paid)
{
	u64 since;

	make(3, 1, 0, BIT(FIRST));
	for (u32 i = 1; i < 10; i++) {
		call_for_nothing(0);
		since = now;
		do {
			assert_int_equal(kicks[FIRST], i);
			call_for_nothing(0);
		} while (!run(FIRST, 1));
		assert_true(now - since >= POLL && now - since <= POLL + 3 * TURN);
		assert_true(wanted(0, 0));
		assert_int_equal(ipc_vcpu(0, 0)->account.comm_ticks, i);
	}
	assert_int_equal(ipc_vcpu(1, 0)->account.comm_ticks, 0);
}

/* What comes in the while is taken, though nothing was there at first. */
TEST(a_ring_that_was_just_woken_is_looked_at)
{
	make(3, 1, 0, BIT(FIRST));
	call_for_nothing(0);
	assert_false(run(FIRST, POLL / TURN - 2));
	assert_true(wanted(0, 0));
	put(0, 0, 1);
	assert_int_equal(kicks[FIRST], 1);
	assert_false(run(FIRST, 1));
	assert_int_equal(taken(0, 0), 1);
}

/* It falls asleep in a turn of another one, which does not pay for that. */
TEST(who_is_served_does_not_pay_for_who_falls_asleep)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, 1);
	run(FIRST, POLL / TURN / 2);
	put(1, 0, 1);
	run(FIRST, POLL / TURN / 2);
	put(1, 0, 1);
	assert_false(wanted(0, 0));
	run(FIRST, 1);
	assert_true(wanted(0, 0));
	assert_int_equal(taken(1, 0), 2);
	assert_int_equal(ipc_vcpu(0, 0)->account.comm_ticks, 2);
	assert_int_equal(ipc_vcpu(1, 0)->account.comm_ticks, 2);
}

TEST(the_urgent_go_first)
{
	static const u8 priorities[] = { 1, 7, 3 };

	make(3, 1, priorities, BIT(FIRST));
	for (u32 vm = 0; vm < 3; vm++)
		assert_int_equal(put(vm, 0, WEIR_COMMANDS), WEIR_COMMANDS);
	run(FIRST, WEIR_COMMANDS / QUANTUM);
	assert_int_equal(taken(1, 0), WEIR_COMMANDS);
	assert_int_equal(taken(2, 0), 0);
	run(FIRST, 1);
	assert_int_equal(taken(2, 0), QUANTUM);
	put(1, 0, 1); /* goes before what is left of the others */
	run(FIRST, 1);
	assert_int_equal(taken(1, 0), WEIR_COMMANDS + 1);
	assert_int_equal(taken(2, 0), QUANTUM);
	run(FIRST, TURNS_MANY);
	for (u32 vm = 0; vm < 3; vm++)
		assert_true(taken(vm, 0) >= WEIR_COMMANDS);
}

/* It is the turn of an equal that has nothing: that is no turn of the less urgent. */
TEST(the_urgent_go_first_out_of_turn_too)
{
	static const u8 priorities[] = { 7, 7, 3 };

	make(3, 1, priorities, BIT(FIRST));
	put(0, 0, 1);
	put(1, 0, 1);
	put(2, 0, WEIR_COMMANDS);
	run(FIRST, 3);
	put(0, 0, WEIR_COMMANDS);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1 + QUANTUM);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1 + 2 * QUANTUM);
	assert_int_equal(taken(2, 0), QUANTUM);
}

TEST(equals_are_served_in_turn_a_quantum_each)
{
	make(3, 2, 0, BIT(FIRST));
	for (u32 i = 0; i < 6; i++)
		put(i / 2, i % 2, WEIR_COMMANDS);
	for (u32 round = 1; round <= WEIR_COMMANDS / QUANTUM; round++) {
		for (u32 i = 0; i < 6; i++) {
			assert_int_equal(taken(i / 2, i % 2), (round - 1) * QUANTUM);
			run(FIRST, 1);
			assert_int_equal(taken(i / 2, i % 2), round * QUANTUM);
		}
	}
}

/* What was not needed is not saved, and what was taken too much is less in the next turn. */
TEST(a_turn_is_a_quantum_over_time)
{
	struct weir_pages pages;

	make(3, 1, 0, BIT(FIRST));
	put(0, 0, 1);
	run(FIRST, 1);
	put(0, 0, WEIR_COMMANDS);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1 + QUANTUM);
	pages = ipc_pages(0, 0);
	pages.in->command[2 * QUANTUM].what =
		WEIR_COMMAND_COPY; /* the last of this turn: four times as much */
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1 + 2 * QUANTUM);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1 + 3 * QUANTUM - 3);
}

/* Whatever it does: the other's command has to wait for one quantum of it. */
TEST(who_floods_slows_itself)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, WEIR_COMMANDS);
	put(1, 0, 1);
	for (u32 i = 0; i < 100; i++) {
		u64 flood = taken(0, 0), honest = taken(1, 0);

		put(0, 0, WEIR_COMMANDS);
		put(1, 0, 1);
		while (taken(1, 0) == honest)
			run(FIRST, 1);
		assert_true(taken(0, 0) - flood <= QUANTUM);
	}
}

/* A tail that lies is no work, at whatever priority. */
TEST(a_tail_that_lies_keeps_nobody_waiting)
{
	static const u8 priorities[] = { 7, 3, 3 };

	make(3, 1, priorities, BIT(FIRST));
	ipc_pages(0, 0).in->submit_tail = WEIR_COMMANDS + 1;
	ipc_run(0, 0);
	weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0);
	put(1, 0, 1);
	run(FIRST, 1);
	assert_int_equal(taken(1, 0), 1);
	assert_true(run(FIRST, TURNS_MANY));
}

TEST(each_vcpu_has_its_core)
{
	make(3, 3, 0, BIT(FIRST) | BIT(SECOND));
	for (u32 i = 0; i < 9; i++)
		put(i / 3, i % 3, 1);
	assert_int_equal(kicks[FIRST], 5);
	assert_int_equal(kicks[SECOND], 4);
	assert_true(run(SECOND, TURNS_MANY));
	for (u32 i = 0; i < 9; i++)
		assert_int_equal(taken(i / 3, i % 3), i % 2);
	assert_true(run(FIRST, TURNS_MANY));
	for (u32 i = 0; i < 9; i++)
		assert_int_equal(taken(i / 3, i % 3), 1);
}

/* A VM that was refused has no vCPUs, and takes no place. */
TEST(refused_vms_are_left_out)
{
	struct manifest manifest = { .communication_cores = BIT(FIRST) | BIT(SECOND) };

	ipc_vms_refuse(1);
	make(3, 1, 0, 0);
	ipc_comm_create(&manifest);
	put(0, 0, 1);
	put(2, 0, 1);
	assert_int_equal(kicks[FIRST], 1);
	assert_int_equal(kicks[SECOND], 1);
}

/* 72, of two priorities: a core serves 64, the most urgent ones. Of the others the call takes commands. */
TEST(what_is_too_much_for_a_core_makes_calls)
{
	static const u8 priorities[] = { 3, 3, 3, 3, 3, 3, 3, 3, 5 };

	make(9, 8, priorities, BIT(FIRST));
	assert_true(fake_log_has("core 1: so many are served at most: 8 more make calls instead"));
	for (u32 i = 0; i < 72; i++)
		put(i / 8, i % 8, 2 * QUANTUM);
	for (u32 i = 0; i < 72; i++)
		assert_int_equal(taken(i / 8, i % 8), i / 8 == 7 ? 2 * QUANTUM : 0);
	run(FIRST, 16);
	for (u32 i = 64; i < 72; i++)
		assert_int_equal(taken(i / 8, i % 8), 2 * QUANTUM);
	assert_int_equal(taken(0, 0), 0);
	for (u32 round = 1; round <= 2; round++) {
		run(FIRST, 56);
		for (u32 i = 0; i < 56; i++)
			assert_int_equal(taken(i / 8, i % 8), round * QUANTUM);
	}
	assert_int_equal(kicks[FIRST], 64);
	assert_true(run(FIRST, TURNS_MANY));
	for (u32 i = 0; i < 72; i++)
		assert_true(wanted(i / 8, i % 8));
}

/* ---- Budgets ------------------------------------------------------------------------------------ */

/* The first, which is urgent, has one: two turns of it. */
static void make_with_budget(void)
{
	static const u8 priorities[] = { 7, 3, 3 };

	make(3, 1, priorities, BIT(FIRST));
	ipc_vcpu(0, 0)->budget = 1;
	budget = 2;
	spent = 0;
	until = now + 100 * TURN;
}

TEST(who_has_used_up_its_budget_waits_and_others_do_not)
{
	make_with_budget();
	put(0, 0, WEIR_COMMANDS);
	put(1, 0, 1);
	assert_false(run(FIRST, 3));
	assert_int_equal(taken(0, 0), 2 * QUANTUM);
	assert_int_equal(taken(1, 0), 1);
	assert_int_equal(spent, ipc_vcpu(0, 0)->account.comm_ticks);
	run(FIRST, 50);
	put(1, 0, 1);
	run(FIRST, 1);
	assert_int_equal(taken(1, 0), 2);
	assert_int_equal(taken(0, 0), 2 * QUANTUM);
}

TEST(a_core_whose_rings_all_wait_for_a_budget_sleeps_until_there_is_one)
{
	make_with_budget();
	until += POLL;
	put(0, 0, WEIR_COMMANDS);
	assert_true(run(FIRST, TURNS_MANY));
	assert_true(now < until - POLL / 2);
	assert_int_equal(taken(0, 0), 2 * QUANTUM);
	assert_int_equal(fake_timer_el2_deadline(), until);
	fake_timer_set(now = until);
	fake_cpu_set_index(FIRST);
	timeout_interrupt();
	until += POLL; /* the next period */
	spent = 0;
	assert_true(run(FIRST, TURNS_MANY));
	assert_int_equal(taken(0, 0), 4 * QUANTUM);
	assert_int_equal(fake_timer_el2_deadline(), until);
}

TEST(a_ring_whose_vcpu_has_run_too_long_waits_before_its_first_command)
{
	make_with_budget();
	spent = budget;
	put(0, 0, 1);
	assert_true(run(FIRST, TURNS_MANY));
	assert_int_equal(taken(0, 0), 0);
	assert_int_equal(ipc_vcpu(0, 0)->account.comm_ticks, 0);
}

/* ---- The VM's end ------------------------------------------------------------------------------- */

TEST(a_vm_that_ends_is_forgotten_and_begins_anew)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, WEIR_COMMANDS);
	run(FIRST, 1);
	ipc_vm_end(0);
	run(FIRST, 3);
	assert_int_equal(taken(0, 0), QUANTUM);
	assert_true(run(FIRST, TURNS_MANY));
	ipc_vm_renew(0);
	assert_true(run(FIRST, 1));
	assert_int_equal(taken(0, 0), 0);
	assert_true(wanted(0, 0));
	kicks[FIRST] = 0;
	put(0, 0, 1);
	assert_int_equal(kicks[FIRST], 1);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 1);
}

/* It is awake still when the new life begins. */
TEST(a_vm_that_begins_anew_at_once_is_served)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, WEIR_COMMANDS);
	run(FIRST, 1);
	ipc_vm_renew(0);
	put(0, 0, 2);
	run(FIRST, 1);
	assert_int_equal(taken(0, 0), 2);
	assert_false(wanted(0, 0));
}

/* ---- Accounts ----------------------------------------------------------------------------------- */

TEST(the_work_is_charged_to_the_vm)
{
	make(3, 1, 0, BIT(FIRST));
	put(0, 0, WEIR_COMMANDS);
	put(1, 0, 3);
	run(FIRST, TURNS_MANY);
	/* A tick for each turn, and one to fall asleep. */
	assert_int_equal(ipc_vcpu(0, 0)->account.comm_ticks, WEIR_COMMANDS / QUANTUM + 1);
	assert_int_equal(ipc_vcpu(1, 0)->account.comm_ticks, 2);
	assert_int_equal(ipc_vcpu(2, 0)->account.comm_ticks, 0);
	assert_int_equal(ipc_vcpu(0, 0)->account.ring.events, WEIR_COMMANDS);
}

#define CASE(name) cmocka_unit_test_teardown(name, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_core_without_commands_sleeps),
		CASE(it_says_for_how_many_vcpus),
		CASE(without_one_the_call_takes_commands),
		CASE(the_first_command_wakes_the_core_and_the_next_ones_are_stores),
		CASE(an_event_arrives),
		CASE(a_ring_is_looked_at_for_a_while_and_then_falls_asleep),
		CASE(a_ring_in_use_stays_awake),
		CASE(calls_for_nothing_wake_it_once_in_a_while_and_are_paid),
		CASE(a_ring_that_was_just_woken_is_looked_at),
		CASE(who_is_served_does_not_pay_for_who_falls_asleep),
		CASE(the_urgent_go_first),
		CASE(the_urgent_go_first_out_of_turn_too),
		CASE(equals_are_served_in_turn_a_quantum_each),
		CASE(a_turn_is_a_quantum_over_time),
		CASE(who_floods_slows_itself),
		CASE(a_tail_that_lies_keeps_nobody_waiting),
		CASE(each_vcpu_has_its_core),
		CASE(refused_vms_are_left_out),
		CASE(what_is_too_much_for_a_core_makes_calls),
		CASE(who_has_used_up_its_budget_waits_and_others_do_not),
		CASE(a_core_whose_rings_all_wait_for_a_budget_sleeps_until_there_is_one),
		CASE(a_ring_whose_vcpu_has_run_too_long_waits_before_its_first_command),
		CASE(a_vm_that_ends_is_forgotten_and_begins_anew),
		CASE(a_vm_that_begins_anew_at_once_is_served),
		CASE(the_work_is_charged_to_the_vm),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
