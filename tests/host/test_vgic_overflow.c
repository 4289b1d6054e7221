/*
 * The virtual interrupt controller: list registers as a cache, with more pending or active than there are.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

TEST(more_pending_than_list_registers_all_arrive_in_order)
{
	start(3, 1);
	for (u32 i = 0; i < 12; i++) {
		set_priority(SPI + i, (u8)(8 * (12 - i)));
		vgic_set_line(&vm, SPI + i, true);
	}
	for (u32 i = 12; i-- > 0;)
		expect(SPI + i);
	expect_nothing();
}

/* Some priority, and some vCPU, of each interrupt. */
static u8 scattered(u32 intid)
{
	return (u8)(intid * 2654435761u >> 24 & 0xf8);
}

static u32 scattered_vcpu(u32 intid)
{
	return (intid * 40503u >> 4) % VCPUS;
}

/* The vCPU takes its SPIs, all that are pending, in their order. */
static void expect_all_of(u32 vcpu)
{
	u32 last_key = 0, count = 0;

	on(vcpu);
	vgic_sync(&vcpus[vcpu]);
	for (u32 intid; (intid = fake_acknowledge()) != FAKE_SPURIOUS; count++) {
		u32 key = (u32)scattered(intid) << 10 | intid;

		assert_int_equal(scattered_vcpu(intid), vcpu);
		assert_true(key > last_key);
		last_key = key;
		fake_end(intid);
		if (fake_maintenance())
			vgic_sync(&vcpus[vcpu]);
	}
	for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++)
		count -= scattered_vcpu(intid) == vcpu;
	assert_int_equal(count, 0);
	vgic_sync(&vcpus[vcpu]); /* what is in an ended one's list register is seen here only */
}

TEST(all_pending_at_once_come_by_priority_and_number_where_they_are_routed)
{
	for (u32 version = 2; version <= 3; version++) {
		start(version, VCPUS);
		for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++) {
			u32 vcpu = scattered_vcpu(intid);

			set_priority(intid, scattered(intid));
			if (version == 3)
				assert_true(try_access(false, 0x6000 + 8 * intid, 8, true, vcpu));
			else
				assert_true(try_access(false, 0x800 + intid, 1, true, 1u << vcpu));
		}
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			gicd_write(0x200 + 4 * b, 0xffffffff);
		for (u32 i = 0; i < VCPUS; i++)
			expect_all_of(i);
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			assert_int_equal(gicd_read(0x200 + 4 * b), 0);
	}
}

TEST(all_active_at_once_can_all_be_ended)
{
	start(3, VCPUS);
	for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++) {
		set_priority(intid, scattered(intid));
		assert_true(try_access(false, 0x6000 + 8 * intid, 8, true, scattered_vcpu(intid)));
	}
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
		gicd_write(0x300 + 4 * b, 0xffffffff);
	/* Another vCPU's are left alone, and what is ended may come again. */
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
		gicd_write(0x380 + 4 * b, 0x0000ffff);
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++) {
		gicd_write(0x200 + 4 * b, 0x0000ffff);
		for (u32 n = 16; n < 32; n++) {
			u32 intid = 32 * b + n;

			on(scattered_vcpu(intid));
			gicd_write(0x380 + 4 * b, 1u << n);
			on(0);
		}
	}
	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		vgic_sync(&vcpus[i]);
		for (u32 intid; (intid = fake_acknowledge()) != FAKE_SPURIOUS;) {
			assert_int_equal(scattered_vcpu(intid), i);
			assert_true(intid % 32 < 16);
			fake_end(intid);
			if (fake_maintenance())
				vgic_sync(&vcpus[i]);
		}
		vgic_sync(&vcpus[i]);
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			assert_int_equal(vm.vgic.spi[b - 1].owned[i], 0);
	}
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++) {
		assert_int_equal(gicd_read(0x300 + 4 * b), 0);
		assert_int_equal(gicd_read(0x200 + 4 * b), 0);
	}
}

/* To choose is long: whoever makes it necessary leaves it to the scheduler, once. */
TEST(more_than_fit_are_chosen_from_when_the_vcpu_is_settled)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++)
		set_priority(SPI + i, (u8)(8 * (12 - i)));
	fake_sched_again();
	gicd_write(0x200 + 4, 0xffu << (SPI - 32));
	gicd_write(0x200 + 4, 0xffu << (SPI - 32));
	assert_true(fake_sched_again());
	vgic_settle(&vcpus[0]);
	assert_false(fake_sched_again());
	for (u32 i = 0; i < 4; i++)
		assert_true(fake_listed(SPI + 7 - i));
	/* A maintenance interrupt that finds that all fit asks for nothing. */
	for (u32 i = 8; i-- > 4;) {
		assert_int_equal(fake_acknowledge(), SPI + i);
		fake_end(SPI + i);
	}
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	assert_false(fake_sched_again());
	for (u32 i = 4; i-- > 0;)
		expect(SPI + i);
	expect_nothing();
}

/* With either, both or none of the groups open: the guest goes on. */
TEST(no_maintenance_interrupt_comes_again_when_all_is_done)
{
	for (u32 open = 0; open < 4; open++) {
		start(3, 1);
		gicd_write(0x80 + 4, 0x55u << (SPI - 32)); /* every other in group 1 */
		fake_interface_set(0xff, open & 1, open & 2);
		gicd_write(0x200 + 4, 0xffu << (SPI - 32));
		vgic_settle(&vcpus[0]);
		assert_false(fake_maintenance());
		fake_interface_set(0xff, true, true);
		assert_int_equal(fake_maintenance(), open != 3);
		vgic_sync(&vcpus[0]);
		vgic_settle(&vcpus[0]);
		assert_false(fake_maintenance());
		fake_interface_set(0xff, false, true);
		assert_true(fake_maintenance());
	}
}

TEST(more_urgent_one_evicts_a_pending_one)
{
	start(3, 1);
	for (u32 i = 0; i < 4; i++) {
		set_priority(SPI + i, 0x80);
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(EDGE_PPI, 0x40);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	for (u32 i = 0; i < 4; i++)
		expect(SPI + i);
	expect_nothing();
}

TEST(raising_a_priority_reorders_what_is_listed)
{
	start(3, 1);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, (u8)(0x80 + 8 * i));
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(SPI + 5, 0x10);
	expect(SPI + 5);
	expect(SPI);
}

TEST(nesting_deeper_than_list_registers_ends_right)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++) {
		set_priority(SPI + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		vgic_set_line(&vm, SPI + i, false);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_int_equal(fake_acknowledge(), SPI + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
	}
	for (u32 i = 8; i-- > 0;) {
		fake_end(SPI + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_int_equal(gicd_read(0x300 + 4), ((1u << i) - 1) << (SPI - 32));
	}
	/* Each of them can come again. */
	for (u32 i = 0; i < 8; i++)
		vgic_set_line(&vm, SPI + i, true);
	for (u32 i = 8; i-- > 0;)
		expect(SPI + i);
}

TEST(ends_of_active_ones_without_list_register_are_counted)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++) {
		set_priority(i < 2 ? EDGE_PPI - i : SPI + i, (u8)(0x80 - 8 * i));
		if (i < 2)
			vgic_pend(&vcpus[0], EDGE_PPI - i);
		else
			vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), i < 2 ? EDGE_PPI - i : SPI + i);
	}
	for (u32 i = 8; i-- > 0;)
		fake_end(i < 2 ? EDGE_PPI - i : SPI + i); /* all before the interrupt is taken */
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	assert_int_equal(gicr_read(GICR(0, 0x300)), 0);
	assert_int_equal(fake_list_regs_used(), 0);
	assert_false(fake_maintenance());
}

TEST(only_as_many_as_were_ended_become_inactive_most_urgent_first)
{
	start(3, 1);
	for (u32 i = 7; i-- > 0;) {
		set_priority(SPI + i, (u8)(0x40 + 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), SPI + i);
	}
	/* Those of the least priority have no list register. */
	for (u32 i = 0; i < 5; i++)
		fake_end(SPI + i);
	assert_true(fake_maintenance());
	assert_int_equal(gicd_read(0x300 + 4), 0x60u << (SPI - 32));
	assert_int_equal(gicd_read(0x300 + 4), 0x60u << (SPI - 32));
	fake_end(SPI + 5);
	fake_end(SPI + 6);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	expect_nothing();
}

TEST(closed_group_does_not_block_the_open_one)
{
	start(3, 1);
	gicd_write(0x080 + 4, ~(0x3fu << (SPI - 32)));
	fake_interface_set(0xff, false, true);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, 0x10);
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(SPI + 6, 0x80);
	vgic_set_line(&vm, SPI + 6, true);
	expect(SPI + 6);
	fake_interface_set(0xff, true, true);
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	for (u32 i = 0; i < 6; i++)
		expect(SPI + i);
	expect_nothing();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(more_pending_than_list_registers_all_arrive_in_order),
		RUN(all_pending_at_once_come_by_priority_and_number_where_they_are_routed),
		RUN(all_active_at_once_can_all_be_ended),
		RUN(more_than_fit_are_chosen_from_when_the_vcpu_is_settled),
		RUN(no_maintenance_interrupt_comes_again_when_all_is_done),
		RUN(more_urgent_one_evicts_a_pending_one),
		RUN(raising_a_priority_reorders_what_is_listed),
		RUN(nesting_deeper_than_list_registers_ends_right),
		RUN(ends_of_active_ones_without_list_register_are_counted),
		RUN(only_as_many_as_were_ended_become_inactive_most_urgent_first),
		RUN(closed_group_does_not_block_the_open_one),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
