/*
 * The virtual interrupt controller: what its registers are, and accesses of any size.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"
#include <string.h>

TEST(v3_identification_is_a_small_gicv3)
{
	start(3, 3);
	assert_int_equal(gicd_read(0), 0x53);
	assert_int_equal(gicd_read(4) & 0x1f, VGIC_SPI_BANKS);
	assert_int_equal(gicd_read(0xc), 0); /* TYPER2 */
	assert_int_equal(gicd_read(0xffe8), 0x3b);
	assert_int_equal(gicd_read(0x100), 0); /* SGIs and PPIs are in the redistributor */
	assert_true(try_access(true, 8, 8, false, 0));
	assert_int_equal(last.value, 0);
	assert_true(try_access(true, 2 * VM_GICR_STRIDE + 8, 8, false, 0));
	assert_int_equal(last.value, 2ul << 32 | 2 << 8 | 0x10);
	assert_int_equal(gicr_read(2 * VM_GICR_STRIDE + 0xc), 2);
	assert_int_equal(gicr_read(0xffe8), 0x3b);
	assert_int_equal(gicr_read(0x14), 6);
	gicr_write(0x14, 0);
	assert_int_equal(gicr_read(0x14), 0);
	assert_false(try_access(true, 3 * VM_GICR_STRIDE, 4, false, 0));
	assert_int_equal(gicr_read(GICR(0, 0xc00)), 0xaaaaaaaa);
	assert_int_equal(gicr_read(GICR(0, 0xc04)), 0x000002a0);
	gicr_write(GICR(0, 0xc04), 0);
	assert_int_equal(gicr_read(GICR(0, 0xc04)), 0x000002a0);
}

TEST(v2_identification_is_a_small_gicv2)
{
	start(2, 3);
	assert_int_equal(gicd_read(0), 3);
	assert_int_equal(gicd_read(4), VGIC_SPI_BANKS | 2 << 5);
	assert_int_equal(gicd_read(0xfe8), 0x2b);
	assert_false(try_access(false, 0x1000, 4, false, 0));
}

TEST(priorities_have_five_bits_and_byte_access)
{
	start(3, 1);
	gicd_write(0x400 + SPI, 0x123456ff);
	assert_int_equal(gicd_read(0x400 + SPI), 0x103050f8);
	assert_true(try_access(false, 0x400 + SPI + 1, 1, false, 0));
	assert_int_equal(last.value, 0x50);
	assert_false(try_access(false, 0x400 + SPI, 2, false, 0));
	assert_int_equal(gicd_read(0x7fc), 0); /* beyond the last interrupt */
	gicd_write(0x7fc, 0xffffffff);
	assert_int_equal(gicd_read(0x7fc), 0);
}

/* Every offset, size and direction, with everything else going on: nothing in EL2 minds. */
static void hammer(u32 version, bool gicr, u64 end)
{
	start(version, 3);
	for (u64 offset = 0; offset < end; offset++) {
		for (u32 shift = 0; shift < 4; shift++) {
			fake_sched_reset();
			on(offset & 1);
			try_access(gicr, offset, 1u << shift, false, 0);
			try_access(gicr, offset, 1u << shift, true, ~0ul);
			try_access(gicr, offset, 1u << shift, true, 0);
			try_access(gicr, offset, 1u << shift, true, offset * 0x9e3779b97f4a7c15ul);
			if (offset & ((1u << shift) - 1))
				assert_false(try_access(gicr, offset, 1u << shift, false, 0));
		}
	}
}

TEST(no_access_of_any_size_harms)
{
	hammer(2, false, 0x2000);
	hammer(3, false, 0x10000);
	hammer(3, true, 4 * VM_GICR_STRIDE);
}

TEST(writing_a_set_enable_bit_changes_nothing)
{
	u64 writes;

	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	writes = fake_list_regs_writes();
	gicd_write(0x100 + 4, ~0u);
	gicd_write(0x100 + 4, 0);
	assert_int_equal(fake_list_regs_writes(), writes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(v3_identification_is_a_small_gicv3),
		RUN(v2_identification_is_a_small_gicv2),
		RUN(priorities_have_five_bits_and_byte_access),
		RUN(no_access_of_any_size_harms),
		RUN(writing_a_set_enable_bit_changes_nothing),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
