/*
 * The virtual interrupt controller: SPIs of the machine that a VM has been given.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"
#include "drivers/gic.h"

/* The VM has SPI 40, and its guest has enabled it. */
static void start_device(u32 version, u32 count)
{
	start(version, count);
	vgic_hardware_set(&vm, SPI, true);
	assert_false(fake_spi_enabled(SPI));
	gicd_write(0x184, 1u << (SPI - 32));
	gicd_write(0x104, 1u << (SPI - 32));
	assert_true(fake_spi_enabled(SPI));
}

static void device_interrupt(void)
{
	fake_spi_line(SPI, true);
	assert_true(fake_spi_arrives(SPI));
	vgic_hardware_came(&vm, SPI);
	assert_false(fake_spi_arrives(SPI));
}

TEST(device_spi_is_enabled_and_disabled_where_it_comes_from)
{
	start_device(3, 1);
	gicd_write(0x184, 1u << (SPI - 32));
	assert_false(fake_spi_enabled(SPI));
	gicd_write(0x104, ~0u);
	assert_true(fake_spi_enabled(SPI));
	assert_false(fake_spi_enabled(SPI + 1)); /* that is another VM's, or nobody's */
}

TEST(device_spi_is_ended_by_its_guest_and_comes_again)
{
	for (u32 version = 2; version <= 3; version++) {
		for (u32 edge = 0; edge < 2; edge++) {
			start_device(version, 1);
			if (!edge)
				make_level(SPI);
			for (u32 i = 0; i < 5; i++) {
				device_interrupt();
				assert_int_equal(fake_acknowledge(), SPI);
				assert_true(fake_spi_active(SPI));
				fake_end(SPI);
				assert_false(fake_maintenance());
				assert_false(fake_spi_active(SPI));
				expect_nothing();
			}
		}
	}
}

/* Pending again by the guest's own write while it handles the first: that is not lost. */
TEST(device_spi_that_its_guest_pends_while_it_is_active_comes_again)
{
	for (u32 version = 2; version <= 3; version++) {
		start_device(version, 1);
		device_interrupt();
		assert_int_equal(fake_acknowledge(), SPI);
		gicd_write(0x204, 1u << (SPI - 32));
		fake_end(SPI);
		while (fake_maintenance())
			vgic_sync(&vcpus[0]);
		expect(SPI);
		while (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_false(fake_spi_active(SPI));
		expect_nothing();
		device_interrupt();
		expect(SPI);
	}
}

TEST(device_spi_is_deactivated_for_the_guest_where_its_end_would_lose_the_line)
{
	start_device(2, 1);
	fake_list_regs_lose_lines();
	for (u32 i = 0; i < 5; i++) {
		device_interrupt();
		assert_int_equal(fake_acknowledge(), SPI);
		fake_end(SPI);
		assert_true(fake_spi_active(SPI));
		assert_true(fake_maintenance());
		vgic_sync(&vcpus[0]);
		assert_false(fake_spi_active(SPI));
		assert_false(fake_maintenance());
		expect_nothing();
	}
}

TEST(device_spi_follows_its_vcpu_from_core_to_core)
{
	for (u32 active = 0; active < 2; active++) {
		start_device(3, 2);
		device_interrupt();
		if (active)
			assert_int_equal(fake_acknowledge(), SPI);
		vgic_save(&vcpus[0]);
		assert_true(fake_spi_active(SPI));
		fake_cpu_set_index(1);
		vgic_save(&vcpus[1]);
		vgic_load(&vcpus[0]);
		fake_sched_set_current(&vcpus[0]);
		if (!active)
			assert_int_equal(fake_acknowledge(), SPI);
		assert_true(fake_spi_active(SPI));
		fake_end(SPI);
		assert_false(fake_spi_active(SPI));
		expect_nothing();
	}
}

/* On another core than its vCPU's: that one is kicked, and the next one goes there. */
TEST(device_spi_goes_to_the_core_of_the_vcpu_that_it_is_routed_to)
{
	start_device(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	device_interrupt();
	assert_int_equal(fake_spi_core(SPI), 1);
	expect_nothing();
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	expect(SPI);
	expect_nothing();
}

TEST(device_spi_that_the_guest_clears_is_deactivated)
{
	start_device(3, 1);
	gicd_write(0x000, 0); /* not forwarded */
	device_interrupt();
	gicd_write(0x284, 1u << (SPI - 32));
	assert_false(fake_spi_active(SPI));
	gicd_write(0x000, 3);
	expect_nothing();
	device_interrupt(); /* it is listed now */
	gicd_write(0x284, 1u << (SPI - 32));
	expect_nothing();
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	gicd_write(0x384, 1u << (SPI - 32));
	assert_int_equal(fake_next(), FAKE_SPURIOUS);
	assert_false(fake_spi_active(SPI));
}

/* When the guest ends it no list register is left for it. */
TEST(device_spi_whose_end_no_list_register_sees_is_deactivated)
{
	start_device(3, 1);
	set_priority(SPI, 0xf0);
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	for (u32 i = 0; i < 5; i++) {
		set_priority(SPI + 1 + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + 1 + i, true);
		assert_int_equal(fake_acknowledge(), SPI + 1 + i);
	}
	assert_true(fake_spi_active(SPI));
	for (u32 i = 5; i--;) {
		fake_end(SPI + 1 + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
	}
	fake_end(SPI);
	vgic_sync(&vcpus[0]);
	assert_false(vgic_pending(&vcpus[0]));
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	expect(SPI);
}

TEST(device_spi_that_software_pends_has_nothing_to_deactivate)
{
	start_device(2, 1);
	gicd_write(0x204, 1u << (SPI - 32));
	expect(SPI);
	expect_nothing();
	device_interrupt();
	gicd_write(0x204, 1u << (SPI - 32)); /* once more, before it is acknowledged */
	assert_int_equal(fake_acknowledge(), SPI);
	fake_end(SPI);
	vgic_sync(&vcpus[0]);
	assert_false(fake_spi_active(SPI));
}

TEST(device_spi_is_clean_when_it_is_taken_from_the_vm)
{
	start_device(3, 1);
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_save(&vcpus[0]);
	vgic_hardware_set(&vm, SPI, false);
	assert_false(fake_spi_enabled(SPI));
	assert_false(fake_spi_active(SPI));
	/* It was on the way already. */
	gic_set(GIC_ENABLE, SPI);
	assert_true(fake_spi_arrives(SPI));
	vgic_hardware_came(&vm, SPI);
	assert_false(fake_spi_active(SPI));
	/* The next life. */
	start_device(3, 1);
	expect_nothing();
	device_interrupt();
	expect(SPI);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(device_spi_is_enabled_and_disabled_where_it_comes_from),
		RUN(device_spi_is_ended_by_its_guest_and_comes_again),
		RUN(device_spi_that_its_guest_pends_while_it_is_active_comes_again),
		RUN(device_spi_is_deactivated_for_the_guest_where_its_end_would_lose_the_line),
		RUN(device_spi_follows_its_vcpu_from_core_to_core),
		RUN(device_spi_goes_to_the_core_of_the_vcpu_that_it_is_routed_to),
		RUN(device_spi_that_the_guest_clears_is_deactivated),
		RUN(device_spi_whose_end_no_list_register_sees_is_deactivated),
		RUN(device_spi_that_software_pends_has_nothing_to_deactivate),
		RUN(device_spi_is_clean_when_it_is_taken_from_the_vm),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
