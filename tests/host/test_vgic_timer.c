/*
 * The virtual interrupt controller: the virtual timer's interrupt, which the guest's end deactivates.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

static void timer_interrupt(void)
{
	fake_timer_activate();
	vgic_timer_fired(sched_current());
}

TEST(timer_is_deactivated_physically_by_the_guests_end)
{
	u32 changes;

	start(3, 1);
	changes = fake_timer_changes();
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	assert_true(fake_timer_active());
	fake_end(TIMER);
	assert_false(fake_timer_active());
	vgic_sync(&vcpus[0]);
	expect_nothing(); /* it comes again physically, or not at all */
	timer_interrupt();
	expect(TIMER);
	assert_int_equal(fake_timer_changes(), changes);
}

/* As it is with QEMU's GICv2: the end is told, and what is still up comes again. */
TEST(timer_is_deactivated_for_the_guest_where_its_end_would_lose_the_line)
{
	start(2, 1);
	fake_list_regs_lose_lines();
	for (u32 i = 0; i < 3; i++) {
		timer_interrupt();
		assert_int_equal(fake_acknowledge(), TIMER);
		fake_end(TIMER);
		assert_true(fake_timer_active());
		assert_true(fake_maintenance());
		vgic_sync(&vcpus[0]);
		assert_false(fake_timer_active());
		assert_false(fake_maintenance());
		expect_nothing();
	}
}

TEST(timer_state_is_switched_with_the_vcpu)
{
	start(3, 2);
	vcpus[1].core = 0;
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	vgic_save(&vcpus[0]);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	fake_cpu_set_index(0);
	vgic_load(&vcpus[1]);
	assert_false(fake_timer_active()); /* the other one's timer can come */
	vgic_save(&vcpus[1]);
	vgic_load(&vcpus[0]);
	assert_true(fake_timer_active());
	on(0);
	fake_end(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_of_a_waiting_vcpu_wakes_it_and_is_there_at_load)
{
	start(3, 1);
	vgic_save(&vcpus[0]);
	on(0);
	vgic_timer_fired(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_WAKE, &vcpus[0]), 1);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_load(&vcpus[0]);
	on(0);
	assert_true(fake_timer_active());
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_that_the_guest_does_not_want_wakes_nobody)
{
	start(3, 1);
	gicr_write(GICR(0, 0x180), 1u << TIMER);
	vgic_save(&vcpus[0]);
	on(0);
	vgic_timer_fired(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_WAKE, 0), 0);
	assert_false(vgic_pending(&vcpus[0]));
}

TEST(timer_line_that_fell_while_waiting_is_forgotten)
{
	start(3, 1);
	timer_interrupt();
	vgic_save(&vcpus[0]);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	vgic_load(&vcpus[0]);
	assert_false(fake_timer_active());
	expect_nothing();
}

TEST(disabled_timer_leaves_its_list_register_and_can_come_again)
{
	start(3, 1);
	timer_interrupt();
	gicr_write(GICR(0, 0x180), 1u << TIMER);
	expect_nothing();
	assert_int_equal(gicr_read(GICR(0, 0x200)), 1u << TIMER);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	assert_int_equal(gicr_read(GICR(0, 0x200)), 0);
	assert_false(fake_timer_active());
	gicr_write(GICR(0, 0x100), 1u << TIMER);
	expect_nothing();
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = true });
	timer_interrupt();
	expect(TIMER);
}

TEST(timer_pended_by_software_is_no_hardware_one)
{
	start(3, 1);
	gicr_write(GICR(0, 0x200), 1u << TIMER);
	assert_int_equal(fake_acknowledge(), TIMER);
	timer_interrupt();
	fake_end(TIMER);
	assert_true(fake_timer_active());
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_line_is_looked_at_after_a_software_pended_one_though_another_came_first)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x40);
	set_priority(TIMER, 0x80);
	gicr_write(GICR(0, 0x200), 1u << TIMER);
	assert_int_equal(fake_acknowledge(), TIMER);
	timer_interrupt();
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	fake_end(EDGE_PPI);
	fake_end(TIMER);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_made_inactive_by_the_guest_still_comes)
{
	start(3, 1);
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	gicr_write(GICR(0, 0x380), 1u << TIMER);
	fake_drop();
	expect(TIMER);
	assert_false(fake_timer_active());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(timer_is_deactivated_physically_by_the_guests_end),
		RUN(timer_is_deactivated_for_the_guest_where_its_end_would_lose_the_line),
		RUN(timer_state_is_switched_with_the_vcpu),
		RUN(timer_of_a_waiting_vcpu_wakes_it_and_is_there_at_load),
		RUN(timer_that_the_guest_does_not_want_wakes_nobody),
		RUN(timer_line_that_fell_while_waiting_is_forgotten),
		RUN(disabled_timer_leaves_its_list_register_and_can_come_again),
		RUN(timer_pended_by_software_is_no_hardware_one),
		RUN(timer_line_is_looked_at_after_a_software_pended_one_though_another_came_first),
		RUN(timer_made_inactive_by_the_guest_still_comes),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
