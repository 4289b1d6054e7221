/*
 * The virtual interrupt controller: EOImode 1, where the end of an interrupt and its deactivation are two steps; and
 * what software makes active, which nobody ends.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

#include "drivers/gic.h"

#define MANY	  8u /* twice as many as there are list registers */
#define BIT_OF(i) (1u << (SPI - 32 + (i)))

static void start_two_steps(u32 version, u32 count)
{
	start(version, count);
	for (u32 i = 0; i < count; i++) {
		on(i);
		fake_two_steps(true);
	}
	on(0);
}

static u32 active_spis(void)
{
	return gicd_read(0x304) >> (SPI - 32);
}

/* Taken, and its first step done; all of it happens before EL2 looks if it need not. */
static void take_and_drop(u32 intid)
{
	assert_int_equal(fake_acknowledge(), intid);
	fake_end(intid);
	maintain();
}

static void take_many(void)
{
	for (u32 i = 0; i < MANY; i++)
		vgic_set_line(&vm, SPI + i, true);
	for (u32 i = 0; i < MANY; i++)
		take_and_drop(SPI + i);
	assert_int_equal(active_spis(), (1u << MANY) - 1);
}

TEST(more_than_list_registers_are_deactivated_in_any_order)
{
	for (u32 version = 2; version <= 3; version++)
		for (u32 step = 1; step < MANY; step += 2) {
			u32 left = (1u << MANY) - 1;

			start_two_steps(version, 1);
			take_many();
			for (u32 i = 0; i < MANY; i++) {
				u32 n = (5 + i * step) % MANY;

				deactivate(SPI + n);
				left &= ~(1u << n);
				assert_int_equal(active_spis(), left);
			}
			expect_nothing();
		}
}

/* First steps that no list register has are counted by some machines; they end nothing. */
TEST(first_steps_end_nothing_where_they_are_counted)
{
	for (u32 version = 2; version <= 3; version++) {
		start_two_steps(version, 1);
		for (u32 i = 0; i < MANY; i++) {
			set_priority(SPI + i, (u8)(0x80 - 8 * i));
			vgic_set_line(&vm, SPI + i, true);
			assert_int_equal(fake_acknowledge(), SPI + i);
		}
		for (u32 i = MANY; i--;)
			fake_end(SPI + i);
		maintain();
		assert_int_equal(active_spis(), (1u << MANY) - 1);
		for (u32 i = 0; i < MANY; i++)
			deactivate(SPI + i);
		assert_int_equal(active_spis(), 0);
	}
}

TEST(pending_again_comes_after_its_deactivation_and_not_before)
{
	start_two_steps(3, 1);
	take_many();
	for (u32 i = 0; i < MANY; i++) {
		vgic_set_line(&vm, SPI + i, false);
		vgic_set_line(&vm, SPI + i, true);
	}
	expect_nothing();
	for (u32 i = MANY; i--;) {
		deactivate(SPI + i);
		take_and_drop(SPI + i);
		expect_nothing();
	}
}

TEST(level_that_is_still_up_comes_after_its_deactivation)
{
	start_two_steps(2, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	take_and_drop(SPI);
	expect_nothing();
	deactivate(SPI);
	take_and_drop(SPI);
	vgic_set_line(&vm, SPI, false);
	deactivate(SPI);
	expect_nothing();
}

TEST(spi_may_be_deactivated_by_another_vcpu)
{
	for (u32 version = 2; version <= 3; version++) {
		start_two_steps(version, 2);
		take_many();
		expect_nothing(); /* the guest goes on, so some are in list registers */
		on(1);
		for (u32 i = 0; i < MANY; i++)
			deactivate(SPI + i);
		assert_true(fake_sched_count(FAKE_KICK, &vcpus[0]));
		on(0);
		vgic_sync(&vcpus[0]);
		assert_int_equal(active_spis(), 0);
	}
}

TEST(sgi_and_ppi_are_deactivated_where_they_are_active)
{
	for (u32 version = 2; version <= 3; version++) {
		start_two_steps(version, 2);
		own_write(0x300, 1u << 3 | 1u << EDGE_PPI);
		on(1);
		deactivate(3);
		deactivate(EDGE_PPI);
		on(0);
		assert_int_equal(own_read(0x300), 1u << 3 | 1u << EDGE_PPI);
		deactivate(3);
		assert_int_equal(own_read(0x300), 1u << EDGE_PPI);
		deactivate(EDGE_PPI);
		assert_int_equal(own_read(0x300), 0);
	}
}

TEST(deactivation_is_nothing_in_eoi_mode_0)
{
	for (u32 version = 2; version <= 3; version++) {
		start(version, 1);
		vgic_set_line(&vm, SPI, true);
		assert_int_equal(fake_acknowledge(), SPI);
		deactivate(SPI);
		assert_int_equal(active_spis(), 1);
		fake_end(SPI);
		assert_int_equal(active_spis(), 0);
	}
}

TEST(deactivation_of_what_is_not_there_is_nothing)
{
	start_two_steps(3, 1);
	take_many();
	for (u32 intid = 32 + 32 * VGIC_SPI_BANKS; intid < 0x1000000;
	     intid += intid < 1100 ? 1 : 4099)
		deactivate(intid);
	deactivate(0xffffff);
	assert_int_equal(active_spis(), (1u << MANY) - 1);
}

TEST(deactivation_of_the_timer_is_the_physical_ones_too)
{
	for (u32 version = 2; version <= 3; version++) {
		start_two_steps(version, 1);
		fake_timer_activate();
		vgic_timer_fired(&vcpus[0]);
		take_and_drop(TIMER);
		assert_true(fake_timer_active());
		fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
		deactivate(TIMER);
		assert_false(fake_timer_active());
		expect_nothing();
	}
}

TEST(deactivation_of_a_device_spi_is_the_physical_ones_too)
{
	start_two_steps(3, 1);
	vgic_hardware_set(&vm, SPI, true);
	gicd_write(0x184, BIT_OF(0));
	gicd_write(0x104, BIT_OF(0));
	fake_spi_line(SPI, true);
	assert_true(fake_spi_arrives(SPI));
	vgic_hardware_came(&vm, SPI);
	take_and_drop(SPI);
	assert_true(fake_spi_active(SPI));
	deactivate(SPI);
	assert_false(fake_spi_active(SPI));
}

/* EOImode 0: an end that no list register has is of what the guest took, however urgent what it made active is. */
TEST(ends_are_of_what_was_taken_and_not_of_what_software_made_active)
{
	for (u32 version = 2; version <= 3; version++) {
		start(version, 1);
		set_priority(SPI + 10, 0xf0);
		vgic_set_line(&vm, SPI + 10, true);
		assert_int_equal(fake_acknowledge(), SPI + 10);
		for (u32 i = 0; i < 6;
		     i++) { /* all but one while they are pending in a list register */
			set_priority(SPI + i, 0);
			if (i) {
				gicd_write(0x204, BIT_OF(i));
				assert_true(fake_listed(SPI + i));
			}
			gicd_write(0x304, BIT_OF(i));
		}
		for (u32 i = 11; i < 16; i++) {
			set_priority(SPI + i, (u8)(0x80 - 8 * i));
			vgic_set_line(&vm, SPI + i, true);
			assert_int_equal(fake_acknowledge(), SPI + i);
		}
		for (u32 i = 16; i-- > 10;)
			fake_end(SPI + i);
		maintain();
		assert_int_equal(active_spis(), 0x3f);
		gicd_write(0x384, 0x3fu << (SPI - 32));
		assert_int_equal(active_spis(), 0);
	}
}

static void flip_group(u32 intid)
{
	gicd_write(0x80 + intid / 32 * 4, gicd_read(0x80 + intid / 32 * 4) ^ 1u << intid % 32);
}

/* Which the guest changes while they are active; also in another turn of the vCPU. */
TEST(ends_are_of_what_was_taken_with_another_priority_or_group)
{
	for (u32 version = 2; version <= 3; version++)
		for (u32 way = 0; way < 6; way++) {
			start(version, 1);
			set_priority(SPI, 0x80);
			vgic_set_line(&vm, SPI, true);
			assert_int_equal(fake_acknowledge(), SPI);
			if (way % 3 == 0)
				flip_group(SPI);
			else
				set_priority(SPI, way % 3 == 1 ? 0x40 : 0xc0);
			if (way >= 3) {
				vgic_save(&vcpus[0]);
				vgic_load(&vcpus[0]);
			}
			fake_end(SPI);
			assert_int_equal(active_spis(), 0);
			vgic_set_line(&vm, SPI, false);
			vgic_set_line(&vm, SPI, true);
			take_and_drop(SPI);
			assert_int_equal(active_spis(), 0);
		}
}

/* The outer one gets the inner one's priority, and is pending again with that: it comes when it is ended. */
TEST(ends_are_of_what_was_taken_when_priorities_are_exchanged)
{
	start(3, 1);
	set_priority(SPI, 0x80);
	set_priority(SPI + 1, 0x40);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI + 1, true);
	assert_int_equal(fake_acknowledge(), SPI + 1);
	set_priority(SPI, 0x40);
	set_priority(SPI + 1, 0x80);
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	fake_end(SPI + 1);
	expect_nothing();
	assert_int_equal(active_spis(), 1);
	fake_end(SPI);
	maintain();
	take_and_drop(SPI);
	assert_int_equal(active_spis(), 0);
}

/* The next of one that is ended comes with the priority of now, behind one that is more urgent by then. */
TEST(next_of_what_was_ended_waits_by_its_new_priority)
{
	start(3, 1);
	set_priority(SPI, 0x40);
	set_priority(SPI + 1, 0x80);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI + 1, true);
	set_priority(SPI, 0xc0);
	fake_end(SPI);
	maintain();
	take_and_drop(SPI + 1);
	take_and_drop(SPI);
	assert_int_equal(active_spis(), 0);
}

#define IROUTER (0x6000 + 8 * SPI)

TEST(ends_are_of_what_was_taken_and_routed_elsewhere_meanwhile)
{
	start(3, 2);
	set_priority(SPI, 0x80);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	set_priority(SPI, 0x40);
	gicd_write(IROUTER, 1);
	assert_int_equal(gicd_read(IROUTER), 1);
	vgic_save(&vcpus[0]);
	vgic_load(&vcpus[0]);
	fake_end(SPI);
	assert_int_equal(active_spis(), 0);
}

/* Taken with another priority than before, and taken out of its list register and put back while it is active. */
static void ends_as_it_was_taken_last(u32 intid)
{
	assert_int_equal(fake_acknowledge(), intid);
	vgic_save(&vcpus[0]);
	vgic_load(&vcpus[0]);
	fake_end(intid);
	maintain();
	assert_int_equal(own_read(0x300), 0);
	assert_int_equal(active_spis(), 0);
}

TEST(what_software_made_inactive_is_taken_and_ended_as_new)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x80);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	set_priority(EDGE_PPI, 0xc0);
	own_write(0x380, 1u << EDGE_PPI);
	fake_drop();
	vgic_pend(&vcpus[0], EDGE_PPI);
	ends_as_it_was_taken_last(EDGE_PPI);
}

/* Of more than list registers hold, one that none has when it is ended. */
TEST(what_was_ended_without_a_list_register_is_taken_and_ended_as_new)
{
	for (u32 way = 0; way < 2; way++) {
		u32 odd = way ? EDGE_PPI : SPI + 7;

		start(3, 1);
		for (u32 i = 0; i < 5; i++) {
			u32 intid = i ? SPI + i : odd;

			set_priority(intid, (u8)(0xa0 - 0x10 * i));
			if (intid < 32)
				vgic_pend(&vcpus[0], intid);
			else
				vgic_set_line(&vm, intid, true);
			maintain();
			assert_int_equal(fake_acknowledge(), intid);
			maintain();
		}
		set_priority(odd, 0xc0);
		for (u32 i = 5; i-- > 0;)
			fake_end(i ? SPI + i : odd);
		maintain();
		assert_int_equal(active_spis(), 0);
		if (odd < 32) {
			vgic_pend(&vcpus[0], odd);
		} else {
			vgic_set_line(&vm, odd, false);
			vgic_set_line(&vm, odd, true);
		}
		ends_as_it_was_taken_last(odd);
	}
}

/* Where an SGI is in and out of its list register, a PPI's former priority stays as it is. */
TEST(ends_are_of_what_was_taken_beside_an_sgi)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x80);
	set_priority(4, 0x40);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	set_priority(EDGE_PPI, 0xc0);
	vgic_pend(&vcpus[0], 4);
	assert_int_equal(fake_acknowledge(), 4);
	vgic_save(&vcpus[0]);
	vgic_load(&vcpus[0]);
	fake_end(4);
	fake_end(EDGE_PPI);
	assert_int_equal(own_read(0x300), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(more_than_list_registers_are_deactivated_in_any_order),
		RUN(first_steps_end_nothing_where_they_are_counted),
		RUN(pending_again_comes_after_its_deactivation_and_not_before),
		RUN(level_that_is_still_up_comes_after_its_deactivation),
		RUN(spi_may_be_deactivated_by_another_vcpu),
		RUN(sgi_and_ppi_are_deactivated_where_they_are_active),
		RUN(deactivation_is_nothing_in_eoi_mode_0),
		RUN(deactivation_of_what_is_not_there_is_nothing),
		RUN(deactivation_of_the_timer_is_the_physical_ones_too),
		RUN(deactivation_of_a_device_spi_is_the_physical_ones_too),
		RUN(ends_are_of_what_was_taken_and_not_of_what_software_made_active),
		RUN(ends_are_of_what_was_taken_with_another_priority_or_group),
		RUN(ends_are_of_what_was_taken_when_priorities_are_exchanged),
		RUN(next_of_what_was_ended_waits_by_its_new_priority),
		RUN(ends_are_of_what_was_taken_and_routed_elsewhere_meanwhile),
		RUN(what_software_made_inactive_is_taken_and_ended_as_new),
		RUN(what_was_ended_without_a_list_register_is_taken_and_ended_as_new),
		RUN(ends_are_of_what_was_taken_beside_an_sgi),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
