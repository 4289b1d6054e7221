/*
 * The life of a VM: what a command does in each state and at each step, also while a device has its requests (life_vms.h).
 *
 * Sources: core/life.c core/timeout.c core/base/log.c drivers/block_device.c
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c ipc/block.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c tests/host/fake/stage2.c
 * Sources: tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/fake/panic.c
 * Sources: tests/host/life_vms.c tests/host/fake/cache.c tests/host/fake/gic_pend.c
 */
#include <weir/manage.h>
#include "life_vms.h"

/* ---- Commands in each state and at each step -------------------------------------------------------- */

TEST(each_way_from_running_leads_where_it_says)
{
	vm_stop(a, VM_END_RESET);
	all_leave(a);
	settle(a);
	assert_runs_anew(a, 2);
	enter(a);
	vm_stop(a, VM_END_FAULT);
	all_leave(a);
	settle(a);
	assert_runs_anew(a, 3);
	enter(a);
	vm_stop(a, VM_END_OFF);
	vm_stop(a, VM_END_RESET); /* too late */
	all_leave(a);
	settle(a);
	assert_int_equal(a->state, VM_OFF);
	command(a, VM_RESTART);
	assert_int_equal(a->state, VM_BUILDING);
	settle(a);
	assert_runs_anew(a, 4);
	assert_int_equal(machine.seeds, 5);
}

TEST(on_fault_halt_is_off_and_stop_machine_stops_it)
{
	machine.config[0].on_fault = ON_FAULT_HALT;
	vm_stop(a, VM_END_FAULT);
	all_leave(a);
	settle(a);
	assert_int_equal(a->state, VM_OFF);
	assert_int_equal(a->passed, 0);
	assert_int_equal(machine.offs, 0);
	machine.config[1].on_fault = ON_FAULT_STOP_MACHINE;
	vm_stop(b, VM_END_FAULT);
	assert_int_equal(machine.offs, 1);
}

TEST(a_vm_begins_to_close_when_its_last_vcpu_has_left)
{
	assert_int_equal(vm_command(a, VM_STOP, 1), WEIR_OK);
	assert_int_equal(a->state, VM_DYING);
	assert_false(turn(a));
	leave(a->vcpu[1]);
	assert_false(turn(a));
	leave(a->vcpu[0]);
	assert_true(turn(a));
	settle(a);
	assert_int_equal(a->state, VM_OFF);
}

TEST(a_life_that_is_over_is_stale_and_a_start_of_what_runs_is_busy)
{
	assert_int_equal(vm_command(a, VM_START, 1), WEIR_BUSY);
	command(a, VM_RESTART);
	assert_int_equal(vm_command(a, VM_START, 1), WEIR_BUSY);
	turns(a);
	for (u32 what = VM_START; what <= VM_RESTART; what++) {
		assert_int_equal(vm_command(a, (enum vm_command)what, 1), WEIR_STALE);
		assert_int_equal(vm_command(a, (enum vm_command)what, 3), WEIR_STALE);
	}
	assert_runs_anew(a, 2);
}

/* `steps` after the first command comes the second; false: all was over by then. */
static bool command_again(enum vm_command first, u32 steps, enum vm_command second)
{
	u64 life;

	machine_make(0);
	command(a, first);
	for (u32 i = 0; i < steps; i++)
		if (!turn(a))
			return false;
	life = a->life;
	assert_int_equal(vm_command(a, second, life), WEIR_OK);
	all_leave(a);
	settle(a);
	if (second == VM_STOP)
		assert_int_equal(a->state, VM_OFF);
	else
		assert_runs_anew(a, life + 1);
	assert_int_equal(a->ending, 0);
	return true;
}

TEST(the_last_command_counts_at_each_step)
{
	for (u32 pair = 0; pair < 4; pair++) {
		u32 steps = 0;

		while (command_again(pair & 1 ? VM_STOP : VM_RESTART, steps,
				     pair & 2 ? VM_STOP : VM_RESTART))
			steps++;
		assert_true(steps > 5);
	}
}

TEST(a_vm_that_is_built_for_the_first_time_is_stopped_at_each_step)
{
	for (u32 steps = 0; steps < FILL_STEPS; steps++) {
		machine_make(0);
		command(a, VM_STOP);
		settle(a);
		command(a, VM_START);
		for (u32 i = 0; i < steps; i++)
			assert_true(turn(a));
		assert_int_equal(a->state, VM_BUILDING);
		command(a, VM_STOP);
		settle(a);
		assert_int_equal(a->state, VM_OFF);
		command(a, VM_START);
		settle(a);
		assert_runs_anew(a, 3);
	}
}

TEST(the_last_that_is_off_powers_off_and_none_before)
{
	command(a, VM_STOP);
	settle(a);
	command(a, VM_START);
	command(b, VM_STOP);
	settle(b);
	assert_int_equal(machine.offs, 0);
	settle(a);
	enter(a);
	command(a, VM_STOP);
	settle(a);
	assert_int_equal(machine.offs, 1);
}

/* ---- Requests in flight ---------------------------------------------------------------------------- */

TEST(a_vm_is_not_off_nor_rebuilt_before_the_device_is_done)
{
	for (u32 again = 0; again < 2; again++) {
		machine_make(0);
		assert_int_equal(fill_slots(a, 0), WEIR_COMPLETIONS);
		assert_int_equal(queued, QUEUE);
		command(a, again ? VM_RESTART : VM_STOP);
		turns(a);
		/* Those that waited are dropped, those that it has are not. */
		assert_int_equal(queued, QUEUE);
		while (queued) {
			assert_int_equal(a->state, VM_DYING);
			assert_int_equal(vm_command(a, VM_START, VM_ANY_LIFE), WEIR_BUSY);
			device_finish_one();
		}
		assert_int_equal(a->state, again ? VM_REBUILDING : VM_OFF);
		assert_int_equal(run(a, 0).out->completion_tail, 0);
	}
}

TEST(a_command_while_the_device_has_a_request_counts)
{
	fill_slots(a, 0);
	command(a, VM_STOP);
	turns(a);
	assert_int_equal(vm_command(a, VM_RESTART, VM_ANY_LIFE), WEIR_OK);
	assert_int_equal(a->state, VM_DYING);
	settle(a);
	assert_runs_anew(a, 2);
}

TEST(a_vm_is_not_rebuilt_before_all_is_closed_whenever_the_device_is_done)
{
	u32 steps = 0;

	do {
		machine_make(0);
		fill_slots(a, 0);
		command(a, VM_RESTART);
		for (u32 i = 0; i < steps; i++)
			assert_true(turn(a));
		while (queued)
			device_finish_one();
		assert_true(a->state == VM_REBUILDING || a->vcpu[0]->turns == TURNS_VM);
		assert_true(a->state == VM_DYING || a->dying == DYING_CLOSED);
		steps++;
	} while (a->state == VM_DYING);
	assert_true(steps > 5);
	settle(a);
	assert_runs_anew(a, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_way_from_running_leads_where_it_says),
		CASE(on_fault_halt_is_off_and_stop_machine_stops_it),
		CASE(a_vm_begins_to_close_when_its_last_vcpu_has_left),
		CASE(a_life_that_is_over_is_stale_and_a_start_of_what_runs_is_busy),
		CASE(the_last_command_counts_at_each_step),
		CASE(a_vm_that_is_built_for_the_first_time_is_stopped_at_each_step),
		CASE(the_last_that_is_off_powers_off_and_none_before),
		CASE(a_vm_is_not_off_nor_rebuilt_before_the_device_is_done),
		CASE(a_command_while_the_device_has_a_request_counts),
		CASE(a_vm_is_not_rebuilt_before_all_is_closed_whenever_the_device_is_done),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
