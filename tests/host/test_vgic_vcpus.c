/*
 * The virtual interrupt controller: several vCPUs, one that waits, one that is saved.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

TEST(pend_for_another_core_kicks_once_and_is_drained_there)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	vgic_pend(&vcpus[1], EDGE_PPI - 1);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(EDGE_PPI - 1);
	expect(EDGE_PPI);
}

TEST(cleared_before_it_was_drained_is_not_delivered)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	gicr_write(GICR(1, 0x280), 1u << EDGE_PPI);
	on(1);
	vgic_sync(&vcpus[1]);
	expect_nothing();
}

TEST(state_set_by_another_vcpu_counts_before_its_kick_arrives)
{
	start(3, 2);
	on(1);
	gicr_write(GICR(0, 0x200), 1u << EDGE_PPI);
	on(0);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
	vgic_sync(&vcpus[0]);
	expect_nothing();
	on(1);
	gicr_write(GICR(0, 0x300), 1u << EDGE_PPI);
	on(0);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect_nothing();
	fake_deactivate(EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
}

TEST(spi_made_active_is_active_where_it_is_routed)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	gicd_write(0x300 + 4, 1u << (SPI - 32));
	vgic_sync(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	on(1);
	vgic_sync(&vcpus[1]);
	assert_true(fake_listed(SPI));
	fake_deactivate(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(spi_no_more_active_is_nobodys)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	gicd_write(0x300 + 4, 1u << (SPI - 32));
	gicd_write(0x380 + 4, 1u << (SPI - 32));
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0x10000));
	vgic_set_line(&vm, SPI, true);
	on(1);
	vgic_sync(&vcpus[1]);
	assert_false(fake_listed(SPI));
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0));
	on(0);
	vgic_sync(&vcpus[0]);
	expect(SPI);
}

TEST(waiting_vcpu_sees_its_inbox)
{
	start(3, 2);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_save(&vcpus[0]);
	on(0);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 1);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_load(&vcpus[0]);
	on(0);
	expect(EDGE_PPI);
}

TEST(ended_ones_that_had_no_list_register_may_wake)
{
	start(3, 1);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), SPI + i);
	}
	/* One without a list register comes again. */
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	for (u32 i = 6; i-- > 0;)
		fake_end(SPI + i);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	expect(SPI);
}

TEST(what_another_vcpu_deactivated_here_may_wake)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	fake_drop();
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_sync(&vcpus[0]);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	on(1);
	gicd_write(0x380 + 4, 1u << (SPI - 32));
	on(0);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	expect(SPI);
}

TEST(masked_or_less_urgent_than_what_runs_does_not_wake)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x80);
	fake_interface_set(0x80, true, true);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_false(vgic_pending(&vcpus[0]));
	fake_interface_set(0x88, true, false);
	assert_false(vgic_pending(&vcpus[0]));
	fake_interface_set(0x88, true, true);
	assert_true(vgic_pending(&vcpus[0]));
	set_priority(SPI, 0x40);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_save(&vcpus[0]);
	on(0);
	assert_false(vgic_pending(&vcpus[0]));
}

TEST(spi_follows_its_route)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, false, 0));
	assert_int_equal(last.value, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	vgic_sync(&vcpus[0]);
	assert_false(fake_listed(SPI));
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(spi_routed_away_while_listed_moves)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_true(fake_listed(SPI));
	on(1);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 1);
	on(0);
	vgic_sync(&vcpus[0]);
	assert_false(fake_listed(SPI));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(active_spi_stays_where_it_is_when_routed_away)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_sync(&vcpus[0]);
	fake_end(SPI); /* pending and active here: it may be taken here once more */
	vgic_save(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(spi_routed_to_nobody_waits)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0x10000));
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0));
	expect(SPI);
}

TEST(another_vcpu_may_clear_and_deactivate_what_is_listed_here)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI + 1, true);
	set_priority(SPI + 1, 0);
	set_priority(SPI, 8);
	assert_int_equal(fake_acknowledge(), SPI + 1);
	on(1);
	gicd_write(0x280 + 4, 1u << (SPI - 32));
	gicd_write(0x380 + 4, 2u << (SPI - 32));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 2);
	assert_int_equal(gicd_read(0x200 + 4) & 1u << (SPI - 32), 0);
	on(0);
	vgic_sync(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(saved_vcpu_keeps_nothing_in_the_hardware_and_gets_it_back)
{
	start(3, 1);
	set_priority(SPI + 1, 0x40);
	set_priority(SPI, 0x80);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI + 1, true);
	vgic_save(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	vgic_load(&vcpus[0]);
	expect(SPI + 1);
	fake_end(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	expect_nothing();
}

TEST(start_resets_the_interface_and_leaves_the_redistributor_as_it_is)
{
	start(3, 2);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	on(0);
	gicr_write(GICR(1, 0x180), ~(1u << EDGE_PPI));
	gicr_write(GICR(1, 0x400 + EDGE_PPI), 0x20304050);
	gicr_write(GICR(1, 0x300), 1u << 3);
	vgic_pend(&vcpus[1], EDGE_PPI);
	vgic_vcpu_reset(&vcpus[1]);
	assert_int_equal(gicr_read(GICR(1, 0x100)), 1u << EDGE_PPI);
	assert_int_equal(gicr_read(GICR(1, 0x080)), ~0u);
	assert_int_equal(gicr_read(GICR(1, 0x400 + EDGE_PPI)), 0x20304050);
	assert_int_equal(gicr_read(GICR(1, 0x300)), 1u << 3);
	fake_cpu_set_index(1);
	vgic_load(&vcpus[1]);
	on(1);
	expect_nothing();
	fake_interface_set(0xff, true, true);
	expect(EDGE_PPI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(pend_for_another_core_kicks_once_and_is_drained_there),
		RUN(cleared_before_it_was_drained_is_not_delivered),
		RUN(state_set_by_another_vcpu_counts_before_its_kick_arrives),
		RUN(spi_made_active_is_active_where_it_is_routed),
		RUN(spi_no_more_active_is_nobodys),
		RUN(waiting_vcpu_sees_its_inbox),
		RUN(ended_ones_that_had_no_list_register_may_wake),
		RUN(what_another_vcpu_deactivated_here_may_wake),
		RUN(masked_or_less_urgent_than_what_runs_does_not_wake),
		RUN(spi_follows_its_route),
		RUN(spi_routed_away_while_listed_moves),
		RUN(active_spi_stays_where_it_is_when_routed_away),
		RUN(spi_routed_to_nobody_waits),
		RUN(another_vcpu_may_clear_and_deactivate_what_is_listed_here),
		RUN(saved_vcpu_keeps_nothing_in_the_hardware_and_gets_it_back),
		RUN(start_resets_the_interface_and_leaves_the_redistributor_as_it_is),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
