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
	/* ITLinesNumber 8, IDbits 10, No1N; no LPIs, MBIs, NMIs, affinity 3 */
	assert_int_equal(gicd_read(4), 0x02480008);
	assert_int_equal(gicd_read(0xc), 0); /* TYPER2 */
	gicd_write(0x6000 + 8 * SPI, ~0u);
	gicd_write(0x6004 + 8 * SPI, ~0u);
	assert_int_equal(gicd_read(0x6000 + 8 * SPI), 0x00ffffff); /* neither IRM */
	assert_int_equal(gicd_read(0x6004 + 8 * SPI), 0);	   /* nor Aff3 */
	assert_int_equal(gicr_read(0), 0);			   /* CTLR */
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
	assert_true(try_access(false, 0x400 + SPI + 2, 2, true, 0x2840));
	assert_true(try_access(false, 0x400 + SPI + 2, 2, false, 0));
	assert_int_equal(last.value, 0x2840);
	assert_int_equal(gicd_read(0x400 + SPI), 0x284050f8);
	assert_int_equal(gicd_read(0x7fc), 0); /* beyond the last interrupt */
	gicd_write(0x7fc, 0xffffffff);
	assert_int_equal(gicd_read(0x7fc), 0);
}

static u64 read_as(bool gicr, u64 offset, u32 bytes)
{
	assert_true(try_access(gicr, offset, bytes, false, 0));
	return last.value;
}

/* Those that no kernel should make, and that virt answers. */
TEST(v3_accesses_of_other_sizes_read_as_zero_and_take_nothing)
{
	static const u16 offsets[] = { 0x000,	    0x004, 0x080, 0x104, 0x184,	 0x204, 0x304,
				       0x800 + SPI, 0xc08, 0xf10, 0xf20, 0x7000, 0xffe8 };

	start(3, 2);
	for (u32 i = 0; i < ARRAY_SIZE(offsets); i++)
		for (u32 bytes = 1; bytes <= 8; bytes *= 2) {
			if (bytes == 4 || offsets[i] & (bytes - 1))
				continue;
			assert_true(try_access(false, offsets[i], bytes, true, ~0ul));
			assert_true(try_access(false, offsets[i], bytes, true, 0));
			assert_int_equal(read_as(false, offsets[i], bytes), 0);
		}
	assert_int_equal(gicd_read(0), 0x53);
	assert_int_equal(gicd_read(0x104), ~0u); /* start() has enabled them */
	assert_int_equal(gicd_read(0x204) | gicd_read(0x304), 0);
	assert_int_equal(gicd_read(0xc08), 0xaaaaaaaa);
	assert_int_equal(
		read_as(true, 8, 2) | read_as(true, 0x70, 8) | read_as(true, GICR(0, 0x100), 8), 0);
	gicr_write(0x14, 2);
	assert_true(try_access(true, 0x14, 1, true, 0));
	assert_int_equal(gicr_read(0x14), 6);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 1, true, 1));
	assert_int_equal(read_as(false, 0x6000 + 8 * SPI, 8), 0);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 4, true, 1));
	assert_true(try_access(false, 0x6004 + 8 * SPI, 4, true, 7));
	assert_int_equal(read_as(false, 0x6000 + 8 * SPI, 8), 1);
	assert_int_equal(read_as(false, 0x6000 + 8 * SPI, 2), 0);
}

TEST(v2_registers_have_bytes_and_halfwords)
{
	start(2, 2);
	gicd_write(0x184, ~0u);
	assert_true(try_access(false, 0x104 + 1, 1, true, 0x81));
	assert_true(try_access(false, 0x104 + 2, 2, true, 0x4002));
	assert_int_equal(gicd_read(0x104), 0x40028100);
	assert_int_equal(read_as(false, 0x104 + 3, 1), 0x40);
	assert_int_equal(read_as(false, 0x104, 2), 0x8100);
	assert_true(try_access(false, 0x184 + 2, 2, true, 0x4000));
	assert_int_equal(gicd_read(0x104), 0x00028100);
	assert_true(try_access(false, 0x204, 1, true, 1));
	assert_int_equal(gicd_read(0x204), 1);
	assert_int_equal(read_as(false, 0x4, 1), VGIC_SPI_BANKS | 1 << 5);
	assert_int_equal(read_as(false, 0xfe8, 2), 0x2b);
	assert_true(try_access(false, 0, 1, true, 1));
	assert_int_equal(gicd_read(0), 1);
	assert_true(try_access(false, 0x800 + SPI, 2, true, 0x0203));
	assert_int_equal(gicd_read(0x800 + SPI), 0x01010203);
	assert_true(try_access(false, 0xf20 + 2, 2, true, 0x0103));
	assert_int_equal(gicd_read(0xf20), 0x01030000);
	/* Not these: nothing may be lost by half a write, or sent. */
	assert_true(try_access(false, 0x84, 1, true, 0xff));
	assert_true(try_access(false, 0xc08, 2, true, 0));
	assert_true(try_access(false, 0xf00, 2, true, 0xffff));
	assert_true(try_access(false, 0x180, 8, true, ~0ul));
	assert_int_equal(gicd_read(0x84), 0);
	assert_int_equal(gicd_read(0xc08), 0xaaaaaaaa);
	assert_int_equal(gicd_read(0x104), 0x00028100);
	assert_int_equal(read_as(false, 0x108, 8), 0);
}

/* Where the distributor has the next 32 interrupts it has none: there are no extended PPIs. */
TEST(redistributor_shows_sgis_and_ppis_only)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	for (u32 offset = 0x80; offset < 0xd00; offset += 4) {
		bool own = offset < 0x400   ? !(offset & 0x7c)
			   : offset < 0x800 ? offset < 0x420
					    : offset == 0xc00 || offset == 0xc04;

		if (own)
			continue;
		gicr_write(GICR(0, offset), ~0u);
		gicr_write(GICR(1, offset), ~0u);
		assert_int_equal(gicr_read(GICR(0, offset)), 0);
	}
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
		assert_int_equal(gicd_read(0x100 + 4 * b), ~0u);
	expect(SPI);
}

/* All ones to every word: what is not there reads as zero. Interrupts are not forwarded meanwhile. */
TEST(reserved_words_read_as_zero_whatever_is_written)
{
	for (u32 version = 2; version <= 3; version++) {
		start(version, 2);
		for (u32 offset = 0x0c; offset < (version == 2 ? 0xfd0u : 0xffd0u); offset += 4) {
			u32 register_of = offset < 0x400 ? offset & 0x7c : offset & 0x3fc;
			bool beyond = offset < 0x400 ? register_of >= 4 * (VGIC_SPI_BANKS + 1)
				      : offset < 0xc00
					      ? register_of >= 32 * (VGIC_SPI_BANKS + 1)
					      : (offset & 0xfc) >= 8 * (VGIC_SPI_BANKS + 1);
			bool reserved = offset < 0x80 || (offset < 0xd00 && beyond) ||
					(offset >= 0xd00 && offset < 0xf00) ||
					(offset >= 0xf30 && offset < 0x6000) || offset >= 0x8000;

			if (!reserved)
				continue;
			gicd_write(offset, ~0u);
			assert_int_equal(gicd_read(offset), 0);
		}
		assert_int_equal(gicd_read(0) & 3, 3);
		vgic_set_line(&vm, SPI, true);
		expect(SPI);
	}
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
		RUN(v3_accesses_of_other_sizes_read_as_zero_and_take_nothing),
		RUN(v2_registers_have_bytes_and_halfwords),
		RUN(redistributor_shows_sgis_and_ppis_only),
		RUN(reserved_words_read_as_zero_whatever_is_written),
		RUN(no_access_of_any_size_harms),
		RUN(writing_a_set_enable_bit_changes_nothing),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
