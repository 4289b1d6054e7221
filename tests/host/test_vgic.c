/*
 * The virtual interrupt controller: one interrupt, in each state that it can have. tests/host/test_vgic_random.c
 * compares all of it with a slow model.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

TEST(pended_ppi_is_delivered_once)
{
	start(3, 1);
	vgic_pend(&vcpus[0], EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	vgic_sync(&vcpus[0]);
	expect_nothing();
}

TEST(edge_while_active_is_delivered_after_the_end)
{
	start(3, 1);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS);
	fake_end(EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
}

TEST(disabled_interrupt_waits_and_is_delivered_when_enabled)
{
	start(3, 1);
	gicr_write(GICR(0, 0x180), 1u << EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect_nothing();
	assert_int_equal(gicr_read(GICR(0, 0x200)), 1u << EDGE_PPI);
	gicr_write(GICR(0, 0x100), 1u << EDGE_PPI);
	expect(EDGE_PPI);
}

TEST(disabling_takes_a_pending_one_out_of_its_list_register)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_true(fake_listed(SPI));
	gicd_write(0x180 + 4, 1u << (SPI - 32));
	assert_false(fake_listed(SPI));
	expect_nothing();
	gicd_write(0x100 + 4, 1u << (SPI - 32));
	expect(SPI);
	expect_nothing();
}

TEST(cleared_pending_is_not_delivered)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	gicd_write(0x280 + 4, 1u << (SPI - 32));
	expect_nothing();
	assert_int_equal(gicd_read(0x200 + 4), 0);
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x280 + 4), 1u << (SPI - 32));
	expect(SPI);
}

TEST(level_comes_again_until_the_line_falls)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI, false);
	fake_end(SPI);
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	expect_nothing();
}

TEST(level_that_falls_unseen_is_taken_back)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI, false);
	expect_nothing();
}

TEST(level_pended_by_software_is_delivered_once_though_the_line_falls)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	vgic_set_line(&vm, SPI, false);
	expect(SPI);
	expect_nothing();
}

TEST(edge_line_that_stays_up_is_one_interrupt)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	expect_nothing();
}

TEST(edge_behind_another_vcpu_s_clearing_is_not_lost)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	on(1);
	gicd_write(0x280 + 4, 1u << (SPI - 32));
	on(0);
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_sync(&vcpus[0]);
	expect(SPI);
	expect_nothing();
}

TEST(active_state_is_read_set_and_cleared)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_int_equal(gicd_read(0x300 + 4), 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x200 + 4), 0);
	assert_int_equal(fake_list_regs_used(), 1); /* back in, so that its end is seen */
	gicd_write(0x380 + 4, 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x380 + 4), 0);
	fake_drop();
	gicd_write(0x300 + 4, 1u << (SPI - 32));
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS); /* pending, but active */
	fake_deactivate(SPI);
	expect(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(two_step_end_keeps_it_active_until_deactivated)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	fake_drop();
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	fake_deactivate(SPI);
	expect(SPI);
}

TEST(groups_are_forwarded_as_the_distributor_says)
{
	start(3, 1);
	gicd_write(0, 1);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	gicd_write(0, 2);
	assert_true(fake_listed(SPI));
	gicd_write(0, 1);
	assert_false(fake_listed(SPI));
	gicd_write(0x080 + 4, 0);
	assert_true(fake_listed(SPI));
	expect(SPI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(pended_ppi_is_delivered_once),
		RUN(edge_while_active_is_delivered_after_the_end),
		RUN(disabled_interrupt_waits_and_is_delivered_when_enabled),
		RUN(disabling_takes_a_pending_one_out_of_its_list_register),
		RUN(cleared_pending_is_not_delivered),
		RUN(level_comes_again_until_the_line_falls),
		RUN(level_that_falls_unseen_is_taken_back),
		RUN(level_pended_by_software_is_delivered_once_though_the_line_falls),
		RUN(edge_line_that_stays_up_is_one_interrupt),
		RUN(edge_behind_another_vcpu_s_clearing_is_not_lost),
		RUN(active_state_is_read_set_and_cleared),
		RUN(two_step_end_keeps_it_active_until_deactivated),
		RUN(groups_are_forwarded_as_the_distributor_says),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
