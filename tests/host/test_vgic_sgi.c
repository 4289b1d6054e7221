/*
 * The virtual interrupt controller: SGIs of both versions, and GICv2's targets.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

TEST(sgi1r_reaches_the_list_or_all_others)
{
	start(3, 3);
	vgic_sgi1r(&vcpus[0], 5ul << 24 | 0x3); /* to 0 and 1 */
	expect(5);
	assert_int_equal(fake_sched_count(FAKE_KICK, 0), 1);
	vgic_sgi1r(&vcpus[0], 6ul << 24 | 1ul << 40);
	expect_nothing();
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[2]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(5);
	expect(6);
	on(2);
	vgic_sync(&vcpus[2]);
	expect(6);
	on(0);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 16 | 0x1); /* another cluster */
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 32 | 0x1);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 48 | 0x1);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 44 | 0x1); /* another range */
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 0xfff8);	    /* not there */
	expect_nothing();
}

static void sgir(u32 n, u32 value)
{
	on(n);
	gicd_write(0xf00, value);
	on(0);
	vgic_sync(&vcpus[0]);
}

TEST(v2_sgi_arrives_once_from_each_sender)
{
	start(2, 3);
	sgir(2, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	sgir(0, 2u << 24 | 3);
	assert_int_equal(fake_list_regs_used(), 1);
	expect(3);
	expect(1u << 10 | 3);
	expect(2u << 10 | 3);
	expect_nothing();
}

TEST(v2_sgi_of_the_active_sender_comes_again)
{
	start(2, 3);
	sgir(2, 1u << 16 | 3);
	assert_int_equal(fake_acknowledge(), 2u << 10 | 3);
	sgir(2, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	fake_end(3);
	expect(2u << 10 | 3);
	expect(1u << 10 | 3);
	expect_nothing();
}

TEST(v2_sgi_to_a_vcpu_that_is_about_to_start_waits_for_it)
{
	start(2, 2);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	sgir(0, 2u << 16 | 3);
	vgic_vcpu_reset(&vcpus[1]);
	fake_cpu_set_index(1);
	vgic_load(&vcpus[1]);
	on(1);
	fake_interface_set(0xff, true, true);
	expect(3);
	expect_nothing();
}

TEST(v2_sgi_filters_name_the_targets)
{
	start(2, 3);
	sgir(0, 1u << 24 | 4);
	expect_nothing();
	on(1);
	vgic_sync(&vcpus[1]);
	expect(4);
	on(2);
	vgic_sync(&vcpus[2]);
	expect(4);
	sgir(0, 3u << 24 | 7u << 16 | 4); /* reserved */
	expect_nothing();
	sgir(0, 0xf8u << 16 | 4); /* not there */
	expect_nothing();
}

TEST(v2_pending_senders_are_read_set_and_cleared)
{
	start(2, 3);
	sgir(1, 1u << 16 | 3);
	assert_int_equal(gicd_read(0xf20), 0x02000000);
	gicd_write(0xf20, 0x05000000);
	assert_int_equal(gicd_read(0xf10), 0x07000000);
	assert_true(try_access(false, 0xf10 + 3, 1, true, 0x3));
	expect(2u << 10 | 3);
	expect_nothing();
	assert_true(try_access(false, 0xf20 + 3, 1, true, 0xff));
	assert_int_equal(gicd_read(0xf20), 0x07000000);
	assert_true(try_access(false, 0xf10 + 3, 1, true, 0xff));
	expect_nothing();
	gicd_write(0x180, 0xffff); /* cannot be disabled */
	assert_int_equal(gicd_read(0x100), 0xffffffff);
}

TEST(v2_targets_are_bytes_and_the_lowest_takes_it)
{
	start(2, 3);
	assert_int_equal(gicd_read(0x800), 0x01010101);
	assert_true(try_access(false, 0x800 + SPI, 1, true, 0xf6));
	assert_true(try_access(false, 0x800 + SPI, 1, false, 0));
	assert_int_equal(last.value, 0x06);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
	on(0);
	assert_true(try_access(false, 0x800 + SPI, 1, true, 0));
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	start(2, 1);
	assert_int_equal(gicd_read(0x800 + SPI), 0);
	gicd_write(0x800 + SPI, 0);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(sgi1r_reaches_the_list_or_all_others),
		RUN(v2_sgi_arrives_once_from_each_sender),
		RUN(v2_sgi_of_the_active_sender_comes_again),
		RUN(v2_sgi_to_a_vcpu_that_is_about_to_start_waits_for_it),
		RUN(v2_sgi_filters_name_the_targets),
		RUN(v2_pending_senders_are_read_set_and_cleared),
		RUN(v2_targets_are_bytes_and_the_lowest_takes_it),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
