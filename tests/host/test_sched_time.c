/*
 * The scheduler and time: budgets, the virtual timers of vCPUs that are not loaded, what each has used.
 *
 * Sources: core/sched.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/sched_cores.c
 */
#include "sched_cores.h"
#include "arch/arm64/cpu.h"

/* ---- Budgets ------------------------------------------------------------------------------------- */

TEST(a_used_budget_throttles_until_the_period_ends)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	add_ready(b, 0, 1);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
	pass(2 * MS);
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), b);
	assert_int_equal(a->run, VCPU_THROTTLED);
	assert_int_equal(fake_timer_el2_deadline(), now + 8 * MS);
	sched_kick(a); /* no way around it */
	sched_wake(a);
	assert_int_equal(a->run, VCPU_THROTTLED);
	pass(8 * MS);
	assert_true(*b->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

TEST(a_throttled_vcpu_leaves_its_core_asleep)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_null(next());
	pass(8 * MS);
	assert_ptr_equal(next(), a);
}

TEST(a_budget_is_charged_only_while_it_runs_and_lasts_over_a_block)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_null(block());
	pass(3 * MS);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + MS);
	pass(MS);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
	/* One that blocked with nothing left is throttled when it wakes. */
	pass(5 * MS);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_null(block());
	sched_wake(a);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
}

TEST(a_period_that_ends_while_it_runs_gives_a_full_budget)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_null(block());
	pass(8 * MS + MS / 2);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	pass(MS / 2);
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

/* ---- What others do for a vCPU, in its budget ---- */

TEST(work_for_a_vcpu_comes_off_its_budget)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_null(block());
	on(1);
	assert_int_equal(sched_spend(a, MS / 2), 0);
	on(0);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + MS / 2);
	pass(MS / 2);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
	assert_int_equal(fake_timer_el2_deadline(), now + 8 * MS + MS / 2);
	on(1);
	assert_int_equal(sched_spend(a, 0), now + 8 * MS + MS / 2);
	on(0);
	pass(8 * MS + MS / 2);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

/* The period is open then, though it has not run; when it is over the vCPU goes on. */
TEST(work_for_a_vcpu_that_waits_uses_its_budget_up)
{
	u64 until;

	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	pass(50 * MS);
	until = now + 10 * MS;
	on(1);
	assert_int_equal(sched_spend(a, 2 * MS), until);
	on(0);
	pass(MS);
	sched_wake(a);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
	assert_int_equal(fake_timer_el2_deadline(), until);
	pass(9 * MS);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

/* Its core does not wait for the end that the budget had when it began to run. */
TEST(a_vcpu_that_runs_is_stopped_when_work_for_it_uses_the_budget_up)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	forget();
	on(1);
	assert_int_equal(sched_spend(a, MS / 2), 0);
	assert_int_equal(kicks[0], 0);
	assert_int_equal(sched_spend(a, MS / 2), now + 9 * MS);
	assert_int_equal(kicks[0], 1);
	assert_true(*a->sched_needed);
	on(0);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
}

TEST(what_was_too_much_is_of_the_next_period_but_not_of_more)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	sched_spend(a, 2 * MS + MS / 2);
	pass(10 * MS);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + MS + MS / 2);
	sched_spend(a, 50 * MS);
	assert_null(next());
	pass(10 * MS); /* all of this one */
	assert_null(next());
	pass(10 * MS);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

/* Another core is sooner than the vCPU's own: what ran until then is of the period that is over. */
TEST(work_at_the_end_of_a_period_leaves_the_next_one_whole)
{
	add(a, 0, 5, 5000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	pass(7 * MS);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	on(1);
	pass(3 * MS);
	assert_int_equal(sched_spend(a, MS), 0);
	on(0);
	pass(0);
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 4 * MS);
}

/* An interrupt's work for others is not its time, also if some of it was charged in between. */
TEST(time_that_is_lent_comes_back)
{
	add(a, 0, 5, 5000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	on(1);
	assert_int_equal(sched_spend(a, 0), 0);
	on(0);
	sched_lent(2 * MS);
	sched_again();
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 5 * MS);
}

/* However many have none left by then, interrupts are looked at in between. */
TEST(a_look_throttles_a_few)
{
	for (u32 i = 0; i < VCPUS; i++)
		add(&vcpus[i], 0, 5, 2000, 10000);
	for (u32 i = 0; i < VCPUS; i++) {
		sched_start(&vcpus[i]);
		sched_spend(&vcpus[i], 2 * MS);
	}
	interrupts = 0;
	assert_null(next());
	assert_int_equal(interrupts, 1);
	for (u32 i = 0; i < VCPUS; i++)
		assert_int_equal(vcpus[i].run, VCPU_THROTTLED);
	pass(10 * MS);
	assert_ptr_equal(next(), a);
}

TEST(work_for_a_vcpu_without_a_budget_is_its_own_affair)
{
	add_ready(a, 0, 5);
	assert_ptr_equal(next(), a);
	assert_int_equal(sched_spend(a, 50 * MS), 0);
	assert_false(*a->sched_needed);
}

TEST(one_without_a_budget_gets_no_tick_from_who_ran_before)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	add_ready(b, 0, 1);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_ptr_equal(block(), b);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

/* ---- The virtual timer of one that is not loaded ------------------------------------------------- */

TEST(the_timer_of_a_blocked_vcpu_fires_at_its_deadline)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->arch.cntv_ctl = 1;
	a->arch.cntv_cval = now + 7 * MS;
	assert_null(block());
	assert_int_equal(fake_timer_el2_deadline(), now + 7 * MS);
	pass(7 * MS - 1);
	forget();
	pass(1);
	assert_string_equal(calls, "timer a");
}

TEST(a_timer_that_is_masked_loaded_or_of_a_stopped_vcpu_does_not_fire)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->arch.cntv_cval = now + 7 * MS;
	a->arch.cntv_ctl = 3;
	assert_null(block());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	a->arch.cntv_ctl = 1;
	assert_null(block());
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

/* ---- What it took ----------------------------------------------------------------------------- */

static u64 run_time(const struct vcpu *vcpu)
{
	return account_clock_value(vcpu->account.run, now);
}

static u64 steal_time(const struct vcpu *vcpu)
{
	return account_clock_value(vcpu->account.steal, now);
}

TEST(decided_is_when_the_core_last_chose_even_if_nobody)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_int_equal(sched_decided(), 100 * MS);
	pass(MS);
	assert_int_equal(sched_decided(), 100 * MS); /* nobody has asked */
	sched_again();
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(sched_decided(), 101 * MS);
	pass(MS);
	assert_null(block());
	assert_int_equal(sched_decided(), 102 * MS);
	pass(MS);
	sched_again();
	assert_null(next());
	assert_int_equal(sched_decided(), 103 * MS);
	on(1);
	assert_int_not_equal(sched_decided(), 103 * MS);
}

TEST(a_communication_core_works_idles_and_decides_when_it_is_asked)
{
	on(ALONE);
	sched_init_core(ALONE);
	now = 100 * MS;
	fake_timer_set(now);
	communicate(3);
	assert_int_equal(interrupts, 3);	     /* looked for in each turn */
	assert_int_equal(sched_decided(), 100 * MS); /* once by itself */
	pass(MS);
	communicate(1);
	assert_int_equal(sched_decided(), 100 * MS);
	sched_again();
	communicate(1);
	assert_int_equal(sched_decided(), 101 * MS);
	sched_alert(1);
	assert_int_equal(kicks[1], 1);
}

TEST(run_and_steal_are_the_time_on_the_core_and_the_time_ready_without_it)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 4);
	assert_ptr_equal(next(), b);
	pass(7 * MS);
	assert_int_equal(run_time(b), 7 * MS); /* also while it runs */
	assert_int_equal(steal_time(a), 7 * MS);
	assert_ptr_equal(block(), a);
	pass(2 * MS);
	assert_int_equal(run_time(b), 7 * MS);
	assert_int_equal(steal_time(b), 0);
	assert_int_equal(run_time(a), 2 * MS);
	assert_int_equal(steal_time(a), 7 * MS);
	sched_wake(b);
	assert_ptr_equal(next(), b);
	pass(1 * MS);
	assert_int_equal(run_time(a), 2 * MS);
	assert_int_equal(run_time(b), 8 * MS);
	assert_int_equal(steal_time(a), 8 * MS);
}

TEST(blocked_throttled_and_stopped_time_is_neither_run_nor_steal)
{
	add(a, 0, 4, 1000, 10000);
	sched_start(a);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	pass(1 * MS);
	assert_ptr_equal(next(), b); /* a's budget is used up */
	pass(3 * MS);
	assert_int_equal(run_time(a), 1 * MS);
	assert_int_equal(steal_time(a), 0);
	assert_null(block());
	pass(2 * MS);
	assert_int_equal(run_time(b), 3 * MS);
	assert_int_equal(steal_time(b), 1 * MS); /* when a ran */
	sched_wake(b);
	pass(1 * MS);
	sched_stop(b, false); /* ready, then not any more */
	pass(2 * MS);
	assert_int_equal(run_time(b), 3 * MS);
	assert_int_equal(steal_time(b), 2 * MS);
}

TEST(what_the_core_does_for_others_is_nobodys_time)
{
	add(a, 0, 3, 1000, 10000);
	sched_start(a);
	add_ready(b, 0, 2);
	assert_ptr_equal(next(), a);
	now += MS - 100;
	fake_timer_set(now);
	sched_lent(MS / 2);
	assert_int_equal(run_time(a), MS / 2 - 100);
	pass(100);
	assert_ptr_equal(next(), a); /* half of the budget is left */
	pass(MS / 2 - 1);
	assert_ptr_equal(next(), a);
	pass(1);
	assert_ptr_equal(next(), b);
	assert_int_equal(run_time(a), MS);
}

TEST(what_the_core_does_for_others_is_of_no_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	pass(4 * MS);
	sched_lent(2 * MS);
	pass(1 * MS);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_ptr_equal(next(), b);
}

TEST(a_core_without_a_vcpu_may_work_for_others)
{
	add(a, 0, 3, 0, 0);
	sched_lent(MS);
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(run_time(a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_ON_CORES(a_used_budget_throttles_until_the_period_ends),
		RUN_ON_CORES(a_throttled_vcpu_leaves_its_core_asleep),
		RUN_ON_CORES(a_budget_is_charged_only_while_it_runs_and_lasts_over_a_block),
		RUN_ON_CORES(a_period_that_ends_while_it_runs_gives_a_full_budget),
		RUN_ON_CORES(work_for_a_vcpu_comes_off_its_budget),
		RUN_ON_CORES(work_for_a_vcpu_that_waits_uses_its_budget_up),
		RUN_ON_CORES(a_vcpu_that_runs_is_stopped_when_work_for_it_uses_the_budget_up),
		RUN_ON_CORES(what_was_too_much_is_of_the_next_period_but_not_of_more),
		RUN_ON_CORES(work_at_the_end_of_a_period_leaves_the_next_one_whole),
		RUN_ON_CORES(time_that_is_lent_comes_back),
		RUN_ON_CORES(a_look_throttles_a_few),
		RUN_ON_CORES(work_for_a_vcpu_without_a_budget_is_its_own_affair),
		RUN_ON_CORES(one_without_a_budget_gets_no_tick_from_who_ran_before),
		RUN_ON_CORES(the_timer_of_a_blocked_vcpu_fires_at_its_deadline),
		RUN_ON_CORES(a_timer_that_is_masked_loaded_or_of_a_stopped_vcpu_does_not_fire),
		RUN_ON_CORES(decided_is_when_the_core_last_chose_even_if_nobody),
		RUN_ON_CORES(a_communication_core_works_idles_and_decides_when_it_is_asked),
		RUN_ON_CORES(run_and_steal_are_the_time_on_the_core_and_the_time_ready_without_it),
		RUN_ON_CORES(blocked_throttled_and_stopped_time_is_neither_run_nor_steal),
		RUN_ON_CORES(what_the_core_does_for_others_is_nobodys_time),
		RUN_ON_CORES(what_the_core_does_for_others_is_of_no_slice),
		RUN_ON_CORES(a_core_without_a_vcpu_may_work_for_others),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
