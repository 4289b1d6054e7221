/*
 * The scheduler: who runs, who is told, and what is not missed by one who goes to sleep.
 *
 * Sources: core/sched.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/sched_cores.c
 */
#include <string.h>
#include "sched_cores.h"
#include "arch/arm64/cpu.h"

/* ---- Who runs ------------------------------------------------------------------------------------ */

TEST(a_core_without_ready_vcpus_sleeps_with_nobody_loaded)
{
	add(a, 0, 3, 0, 0);
	assert_null(next());
	assert_null(sched_current());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(the_highest_priority_runs_first)
{
	add_ready(a, 0, 0);
	add_ready(b, 0, 7);
	add_ready(c, 0, 3);
	assert_ptr_equal(next(), b);
	assert_ptr_equal(sched_current(), b);
	assert_ptr_equal(block(), c);
	assert_ptr_equal(block(), a);
	forget();
	sched_wake(b);
	assert_int_equal(kicks[0], 0); /* its own core is asked at the end of the exit */
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), b);
}

TEST(a_vcpu_without_ready_equals_gets_no_tick)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(equals_take_turns_by_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	add_ready(c, 0, 3);
	for (u32 turn = 0; turn < 6; turn++) {
		assert_ptr_equal(next(), &vcpus[turn % 3]);
		assert_int_equal(fake_timer_el2_deadline(), now + SLICE);
		pass(SLICE - 1);
		assert_false(*a->sched_needed);
		assert_ptr_equal(next(), &vcpus[turn % 3]);
		pass(1);
		assert_true(*a->sched_needed);
	}
}

TEST(preempted_it_keeps_its_place_and_the_rest_of_its_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	add(c, 0, 4, 0, 0);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	sched_start(c);
	assert_ptr_equal(next(), c);
	pass(SLICE); /* not a's time */
	assert_ptr_equal(block(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + SLICE - 2 * MS);
	pass(SLICE - 2 * MS);
	assert_ptr_equal(next(), b);
	assert_int_equal(fake_timer_el2_deadline(), now + SLICE);
}

TEST(a_switch_saves_the_old_before_it_loads_the_new)
{
	add_ready(a, 0, 3);
	next();
	add_ready(b, 0, 4);
	forget();
	assert_ptr_equal(next(), b);
	assert_string_equal(calls, "vgic_save a, save a, load b, vgic_load b");
}

static void wake_c(void)
{
	sched_wake(c);
}

TEST(who_becomes_ready_by_the_unloading_is_chosen_before_another_is_loaded)
{
	add_ready(c, 0, 5);
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), c);
	assert_ptr_equal(block(), a);
	meanwhile("vgic_save", wake_c);
	forget();
	assert_ptr_equal(block(), c);
	assert_null(strstr(calls, " b"));
	assert_false(*a->sched_needed);
	/* Nobody was ready at all. */
	assert_ptr_equal(block(), b);
	meanwhile("vgic_save", wake_c);
	assert_ptr_equal(block(), c);
}

static void stop_b(void)
{
	assert_false(sched_stop(b, true)); /* it is chosen, so its core has to let it go */
}

TEST(who_is_stopped_when_chosen_by_another_unloading_is_reported_all_the_same)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	meanwhile("vgic_save", stop_b);
	assert_null(block());
	assert_int_equal(left[b - vcpus], 1);
}

TEST(wfi_traps_only_if_others_share_the_core)
{
	on(ALONE);
	add_ready(a, ALONE, 3);
	wfi_trap = true;
	assert_ptr_equal(next(), a);
	assert_false(wfi_trap);
	on(CROWDED);
	add_ready(b, CROWDED, 3);
	add(c, CROWDED, 3, 0, 0);
	assert_ptr_equal(next(), b);
	assert_true(wfi_trap);
}

/* ---- Wake, kick, block --------------------------------------------------------------------------- */

TEST(waking_a_more_urgent_one_on_another_core_kicks_that_core)
{
	add_ready(a, 1, 3);
	add_ready(b, 1, 4);
	on(1);
	assert_ptr_equal(next(), b);
	assert_ptr_equal(block(), a);
	on(0);
	forget();
	sched_wake(b);
	assert_int_equal(kicks[1], 1);
	assert_int_equal(kicks[0], 0);
	assert_true(*a->sched_needed);
	sched_wake(b); /* it is ready */
	assert_int_equal(kicks[1], 1);
	on(1);
	assert_ptr_equal(next(), b);
}

TEST(waking_a_less_urgent_one_disturbs_nobody)
{
	add_ready(a, 1, 3);
	add(b, 1, 4, 0, 0);
	on(1);
	assert_ptr_equal(next(), a);
	sched_block();
	sched_start(b);
	assert_ptr_equal(next(), b);
	on(0);
	forget();
	sched_wake(a);
	assert_int_equal(a->run, VCPU_READY);
	assert_int_equal(kicks[1], 0);
	assert_false(*a->sched_needed);
}

TEST(a_sleeping_core_is_kicked_for_whoever_wakes)
{
	add_ready(a, 1, 0);
	on(1);
	assert_ptr_equal(next(), a);
	assert_null(block());
	on(0);
	forget();
	sched_wake(a);
	assert_int_equal(kicks[1], 1);
}

TEST(kick_reaches_whoever_runs_on_another_core_and_wakes_who_is_blocked)
{
	add_ready(a, 1, 3);
	add_ready(b, 1, 2);
	on(1);
	assert_ptr_equal(next(), a);
	forget();
	sched_kick(a); /* on its own core: it looks before it goes back */
	assert_int_equal(kicks[1], 0);
	on(0);
	forget();
	sched_kick(a);
	assert_int_equal(kicks[1], 1);
	sched_kick(b); /* ready: it looks when it is loaded */
	assert_int_equal(kicks[1], 1);
	on(1);
	assert_ptr_equal(block(), b);
	on(0);
	sched_kick(a);
	assert_int_equal(a->run, VCPU_READY);
	assert_int_equal(kicks[1], 2);
}

TEST(a_stopped_vcpu_is_not_woken)
{
	add(a, 0, 3, 0, 0);
	sched_wake(a);
	sched_kick(a);
	assert_int_equal(a->run, VCPU_STOPPED);
	assert_null(next());
}

TEST(block_with_a_pending_interrupt_does_not_sleep)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	pending = true;
	forget();
	assert_ptr_equal(block(), a);
	assert_string_equal(calls, "pending a, settle a"); /* and it was never switched out */
}

static void kick_a(void)
{
	sched_kick(a);
}

TEST(an_interrupt_that_comes_just_after_block_has_looked_wakes_it)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	meanwhile("pending", kick_a);
	sched_block();
	assert_int_equal(run_when_asked, VCPU_BLOCKED);
	assert_int_equal(a->run, VCPU_READY);
	assert_ptr_equal(next(), a);
}

TEST(an_interrupt_left_while_woken_but_still_loaded_is_looked_at)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	sched_block();
	on(1);
	sched_wake(a);
	forget();
	sched_kick(a); /* ready: nobody is told */
	assert_int_equal(kicks[0], 0);
	on(0);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "settle a");
	assert_int_equal(run_when_asked, VCPU_RUNNING); /* from here on it is kicked */
}

TEST(who_asks_again_is_settled_before_it_runs_on)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_false(*a->sched_needed);
	forget();
	sched_again();
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "settle a");
	assert_false(*a->sched_needed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_ON_CORES(a_core_without_ready_vcpus_sleeps_with_nobody_loaded),
		RUN_ON_CORES(the_highest_priority_runs_first),
		RUN_ON_CORES(a_vcpu_without_ready_equals_gets_no_tick),
		RUN_ON_CORES(equals_take_turns_by_slice),
		RUN_ON_CORES(preempted_it_keeps_its_place_and_the_rest_of_its_slice),
		RUN_ON_CORES(a_switch_saves_the_old_before_it_loads_the_new),
		RUN_ON_CORES(who_becomes_ready_by_the_unloading_is_chosen_before_another_is_loaded),
		RUN_ON_CORES(
			who_is_stopped_when_chosen_by_another_unloading_is_reported_all_the_same),
		RUN_ON_CORES(wfi_traps_only_if_others_share_the_core),
		RUN_ON_CORES(waking_a_more_urgent_one_on_another_core_kicks_that_core),
		RUN_ON_CORES(waking_a_less_urgent_one_disturbs_nobody),
		RUN_ON_CORES(a_sleeping_core_is_kicked_for_whoever_wakes),
		RUN_ON_CORES(kick_reaches_whoever_runs_on_another_core_and_wakes_who_is_blocked),
		RUN_ON_CORES(a_stopped_vcpu_is_not_woken),
		RUN_ON_CORES(block_with_a_pending_interrupt_does_not_sleep),
		RUN_ON_CORES(an_interrupt_that_comes_just_after_block_has_looked_wakes_it),
		RUN_ON_CORES(an_interrupt_left_while_woken_but_still_loaded_is_looked_at),
		RUN_ON_CORES(who_asks_again_is_settled_before_it_runs_on),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
