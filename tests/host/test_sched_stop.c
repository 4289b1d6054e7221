/*
 * The scheduler: what a stop, a restart and an SError leave behind.
 *
 * Sources: core/sched.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/sched_cores.c
 */
#include "sched_cores.h"
#include "arch/arm64/cpu.h"

/* ---- Stop, start, restart ------------------------------------------------------------------------ */

TEST(stop_of_a_ready_vcpu_is_done_at_once)
{
	add_ready(a, 0, 3);
	on(1);
	forget();
	assert_true(sched_stop(a, true));
	assert_int_equal(kicks[0], 0);
	on(0);
	assert_null(next());
	assert_int_equal(left[0], 0); /* the caller knows it from the answer */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 0); /* nor does its next life say so */
}

TEST(stop_of_a_blocked_vcpu_is_done_at_once)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_true(sched_stop(a, true));
	sched_wake(a);
	assert_null(next());
	assert_int_equal(left[0], 0);
}

TEST(stop_of_a_loaded_vcpu_is_done_by_its_core_which_says_so_once)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	forget();
	assert_false(sched_stop(a, true));
	assert_int_equal(kicks[0], 1);
	assert_int_equal(left[0], 0);
	on(0);
	assert_true(*a->sched_needed);
	assert_null(next());
	assert_int_equal(left[0], 1);
	/* `ending` is spent: a later life that is switched out says nothing. */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(stop_of_a_blocked_vcpu_that_is_still_loaded_is_done_by_its_core)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	sched_block();
	assert_false(sched_stop(a, true));
	assert_null(next());
	assert_int_equal(left[0], 1);
}

static bool stopped;

static void stop_a(void)
{
	stopped = sched_stop(a, true);
}

TEST(stop_of_a_chosen_vcpu_is_done_by_its_core_which_says_so_once)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	forget();
	stopped = true;
	meanwhile("load", stop_a);
	assert_ptr_equal(next(), b); /* a never ran */
	assert_false(stopped);
	assert_int_equal(kicks[0], 1);
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 0);
}

TEST(a_stop_alone_is_not_the_end_of_the_vm)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(left[0], 0);
}

/* By PSCI, when another core has stopped the VM and its interrupt has not come yet. */
TEST(who_stops_itself_behind_its_vm_still_says_that_it_leaves)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	assert_false(sched_stop(a, true));
	on(0);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(left[0], 1);
	/* And only of this life. */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(left[0], 1);
}

TEST(block_does_not_undo_a_stop)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	sched_stop(a, false);
	on(0);
	pending = true;
	assert_null(block());
	assert_int_equal(a->run, VCPU_STOPPED);
}

TEST(a_restarted_vcpu_is_reset_before_it_is_loaded)
{
	add(a, 0, 3, 0, 0);
	a->restart = true;
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "reset a, vgic_reset a, load a, vgic_load a");
	forget();
	assert_null(block());
	sched_wake(a);
	forget();
	assert_ptr_equal(next(), a); /* once */
	assert_string_equal(calls, "load a, vgic_load a");
}

TEST(restarted_while_still_loaded_it_is_switched_out_and_reset)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	assert_false(sched_stop(a, false));
	a->restart = true;
	sched_start(a);
	on(0);
	forget();
	assert_ptr_equal(next(), a);
	assert_string_equal(calls,
			    "vgic_save a, save a, reset a, vgic_reset a, load a, vgic_load a");
}

TEST(a_vm_steps_in_the_turn_of_its_vcpu_before_that_runs)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	a->turns = TURNS_VM;
	steps = 3;
	assert_ptr_equal(next(), a);
	assert_int_equal(steps, 0);
}

/* By another core, or by what the step has told. */
static void wake_b(void)
{
	sched_wake(b);
}

TEST(a_call_that_goes_on_in_steps_gives_way_to_who_is_more_urgent)
{
	add_ready(b, 0, 5);
	assert_ptr_equal(next(), b);
	add_ready(a, 0, 3);
	assert_ptr_equal(block(), a);
	a->turns = TURNS_CALL;
	sched_again();
	steps = 4;
	step_ticks = 1000;
	forget();
	meanwhile("step", wake_b);
	assert_ptr_equal(next(), b); /* behind the step that is under way */
	assert_int_equal(steps, 3);
	assert_string_equal(calls, "settle a, step a, vgic_save a, save a, load b, vgic_load b");
	assert_ptr_equal(block(), a); /* when all is done */
	assert_int_equal(steps, 0);
	assert_int_equal(a->turns, TURNS_GUEST);
}

TEST(an_access_that_waits_for_an_answer_gives_way_too)
{
	add_ready(b, 0, 5);
	assert_ptr_equal(next(), b);
	add_ready(a, 0, 3);
	assert_ptr_equal(block(), a);
	a->turns = TURNS_ANSWER;
	sched_again();
	steps = 3;
	forget();
	meanwhile("ask", wake_b);
	assert_ptr_equal(next(), b);
	assert_int_equal(steps, 2);
	assert_string_equal(calls, "settle a, ask a, vgic_save a, save a, load b, vgic_load b");
	assert_ptr_equal(block(), a);
	assert_int_equal(a->turns, TURNS_GUEST);
}

TEST(steps_of_a_call_are_taken_from_the_budget)
{
	add(a, 0, 3, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	a->turns = TURNS_CALL;
	sched_again();
	steps = 5;
	step_ticks = MS / 2;
	assert_null(next());
	assert_int_equal(steps, 1);
	assert_int_equal(a->run, VCPU_THROTTLED);
	pass(8 * MS);
	assert_ptr_equal(next(), a);
	assert_int_equal(steps, 0);
}

/* ---- An SError that one has left behind ------------------------------------------------------------ */

TEST(an_serror_left_behind_ends_who_left_it_before_the_next_is_loaded)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	add_ready(b, 0, 5);
	serror = a;
	forget();
	assert_ptr_equal(next(), b);
	assert_string_equal(calls, "vgic_save a, save a, fault a, load b, vgic_load b");
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 0);
	/* It was ready again when it left, and is not any more. */
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(an_serror_left_behind_by_one_that_waits_ends_it)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	serror = a;
	assert_null(block());
	assert_int_equal(left[0], 1);
	sched_wake(a);
	assert_null(next());
	/* Its next life is not blamed. */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(an_serror_left_behind_ends_the_vcpu_of_its_vm_that_is_next)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	add_ready(b, 0, 5);
	serror = a;
	sibling = b;
	assert_null(next());
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 1);
}

/* It was to be reset, and had nobody to leave to. */
TEST(an_serror_left_behind_by_one_that_is_restarted_ends_it_unloaded)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->restart = true;
	serror = a;
	forget();
	assert_null(next());
	assert_string_equal(calls, "vgic_save a, save a, fault a");
	assert_int_equal(left[0], 1);
	assert_null(sched_current());
	/* It begins to close, on this core. */
	sched_start(a);
	forget();
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "reset a, vgic_reset a, load a, vgic_load a");
	assert_int_equal(left[0], 1);
}

/* What the watchdog goes by. */

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_ON_CORES(stop_of_a_ready_vcpu_is_done_at_once),
		RUN_ON_CORES(stop_of_a_blocked_vcpu_is_done_at_once),
		RUN_ON_CORES(stop_of_a_loaded_vcpu_is_done_by_its_core_which_says_so_once),
		RUN_ON_CORES(stop_of_a_blocked_vcpu_that_is_still_loaded_is_done_by_its_core),
		RUN_ON_CORES(stop_of_a_chosen_vcpu_is_done_by_its_core_which_says_so_once),
		RUN_ON_CORES(a_stop_alone_is_not_the_end_of_the_vm),
		RUN_ON_CORES(who_stops_itself_behind_its_vm_still_says_that_it_leaves),
		RUN_ON_CORES(block_does_not_undo_a_stop),
		RUN_ON_CORES(a_restarted_vcpu_is_reset_before_it_is_loaded),
		RUN_ON_CORES(restarted_while_still_loaded_it_is_switched_out_and_reset),
		RUN_ON_CORES(a_vm_steps_in_the_turn_of_its_vcpu_before_that_runs),
		RUN_ON_CORES(a_call_that_goes_on_in_steps_gives_way_to_who_is_more_urgent),
		RUN_ON_CORES(an_access_that_waits_for_an_answer_gives_way_too),
		RUN_ON_CORES(steps_of_a_call_are_taken_from_the_budget),
		RUN_ON_CORES(an_serror_left_behind_ends_who_left_it_before_the_next_is_loaded),
		RUN_ON_CORES(an_serror_left_behind_by_one_that_waits_ends_it),
		RUN_ON_CORES(an_serror_left_behind_ends_the_vcpu_of_its_vm_that_is_next),
		RUN_ON_CORES(an_serror_left_behind_by_one_that_is_restarted_ends_it_unloaded),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
