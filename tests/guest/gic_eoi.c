/*
 * The CPU interface and what it leaves in the distributor, by hand and with interrupts masked: ends in one step and in
 * two, nesting, masks and binary points, with many more interrupts than there are list registers.
 */
#include "tests/guest/gic.h"

#define MANY	 12u
#define ALL	 ((1u << MANY) - 1)
#define IDLE	 0xffu
#define PRIORITY 0x80 /* that irq_handle() sets */

static bool other_done;

static void nothing(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

/* Bits of the interrupts of the game. */
static uint32_t bits(uint32_t which)
{
	return read32(bit_register(which, SPI_FIRST)) & ALL;
}

static void write_bits(uint32_t which, uint32_t value)
{
	write32(bit_register(which, SPI_FIRST), value);
}

static uint64_t begin(bool two_steps)
{
	uint64_t flags = irq_save();

	for (uint32_t i = 0; i < MANY; i++) {
		irq_handle(SPI_FIRST + i, nothing, NULL);
		set_edge(SPI_FIRST + i);
	}
	gic_two_steps(two_steps);
	return flags;
}

static void finish(uint64_t flags)
{
	CHECK_IS(bits(GICD_ISACTIVER), 0);
	CHECK_IS(bits(GICD_ISPENDR), 0);
	CHECK_IS(gic_take(), GIC_NOTHING);
	CHECK_IS(gic_running(), IDLE);
	write_bits(GICD_ICACTIVER, ALL);
	write_bits(GICD_ICPENDR, ALL);
	gic_two_steps(false);
	irq_restore(flags);
}

/* All of them, each while the one before is active. */
static void take_nested(void)
{
	for (uint32_t i = 0; i < MANY; i++) {
		set_priority(SPI_FIRST + i, (uint8_t)(0xe0 - 8 * i));
		set_bit(GICD_ISPENDR, SPI_FIRST + i);
		CHECK_IS(gic_take(), SPI_FIRST + i);
		CHECK_IS(gic_running(), 0xe0 - 8 * i);
	}
	CHECK_IS(bits(GICD_ISACTIVER), ALL);
}

static void deactivate_in_disorder(void)
{
	uint32_t left = ALL;

	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t n = (5 + 7 * i) % MANY;

		gic_deactivate(SPI_FIRST + n);
		left &= ~(1u << n);
		CHECK_IS(bits(GICD_ISACTIVER), left);
	}
}

TEST(an_end_in_two_steps_is_pending_again_only_after_the_second)
{
	uint64_t flags = begin(true);

	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK_IS(gic_take(), SPI_FIRST);
	CHECK_IS(gic_running(), PRIORITY);
	gic_end(SPI_FIRST);
	CHECK_IS(gic_running(), IDLE);
	CHECK_IS(bits(GICD_ISACTIVER), 1);
	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK_IS(bits(GICD_ISPENDR), 1);
	CHECK_IS(gic_take(), GIC_NOTHING);
	gic_deactivate(SPI_FIRST);
	CHECK_IS(gic_take(), SPI_FIRST);
	gic_end(SPI_FIRST);
	gic_deactivate(SPI_FIRST);
	finish(flags);
}

TEST(many_are_deactivated_in_any_order)
{
	uint64_t flags = begin(true);

	write_bits(GICD_ISPENDR, ALL);
	for (uint32_t i = 0; i < MANY; i++) {
		uint32_t intid = gic_take();

		CHECK(intid >= SPI_FIRST && intid < SPI_FIRST + MANY);
		gic_end(intid);
	}
	CHECK_IS(bits(GICD_ISACTIVER), ALL);
	deactivate_in_disorder();
	finish(flags);
}

TEST(deep_nesting_ends_in_one_step)
{
	uint64_t flags = begin(false);

	take_nested();
	for (uint32_t i = MANY; i--;) {
		gic_end(SPI_FIRST + i);
		CHECK_IS(bits(GICD_ISACTIVER), (1u << i) - 1);
	}
	finish(flags);
}

/* Nobody looks in between: the ends are counted. */
TEST(deep_nesting_ends_at_once)
{
	uint64_t flags = begin(false);

	take_nested();
	for (uint32_t i = MANY; i--;)
		gic_end(SPI_FIRST + i);
	finish(flags);
}

TEST(deep_nesting_ends_in_two_steps)
{
	uint64_t flags = begin(true);

	take_nested();
	for (uint32_t i = MANY; i--;)
		gic_end(SPI_FIRST + i);
	CHECK_IS(gic_running(), IDLE);
	CHECK_IS(bits(GICD_ISACTIVER), ALL);
	deactivate_in_disorder();
	finish(flags);
}

TEST(a_deactivation_is_nothing_where_the_end_is_one_step)
{
	uint64_t flags = begin(false);

	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK_IS(gic_take(), SPI_FIRST);
	gic_deactivate(SPI_FIRST);
	CHECK_IS(bits(GICD_ISACTIVER), 1);
	gic_end(SPI_FIRST);
	finish(flags);
}

static void deactivate_all(void *arg)
{
	(void)arg;
	gic_two_steps(true);
	for (uint32_t i = 0; i < MANY; i++)
		gic_deactivate(SPI_FIRST + i);
	gic_two_steps(false);
	SHARED_WRITE(other_done, true);
}

TEST(another_vcpu_deactivates)
{
	uint64_t flags = begin(true);

	take_nested();
	for (uint32_t i = MANY; i--;)
		gic_end(SPI_FIRST + i);
	gic_two_steps(false);
	irq_restore(flags);
	CHECK_IS(cpu_start(1, deactivate_all, NULL), 0);
	CHECK(WAIT(SHARED_READ(other_done)));
	CHECK(WAIT(!bits(GICD_ISACTIVER)));
	finish(irq_save());
}

TEST(what_software_makes_active_is_not_ended_by_the_ends_of_others)
{
	uint64_t flags = begin(false);

	for (uint32_t i = 0; i < 6; i++)
		set_priority(SPI_FIRST + i, 0);
	write_bits(GICD_ISPENDR, 0x38);
	write_bits(GICD_ISACTIVER, 0x3f);
	CHECK_IS(gic_take(), GIC_NOTHING);
	for (uint32_t i = 6; i < MANY; i++) {
		set_priority(SPI_FIRST + i, (uint8_t)(0xe0 - 8 * i));
		set_bit(GICD_ISPENDR, SPI_FIRST + i);
		CHECK_IS(gic_take(), SPI_FIRST + i);
	}
	for (uint32_t i = MANY; i-- > 6;)
		gic_end(SPI_FIRST + i);
	CHECK_IS(bits(GICD_ISACTIVER), 0x3f);
	CHECK_IS(gic_take(), GIC_NOTHING);
	write_bits(GICD_ICACTIVER, 0x3f);
	for (uint32_t i = 3; i < 6; i++) {
		CHECK_IS(gic_take(), SPI_FIRST + i);
		gic_end(SPI_FIRST + i);
	}
	finish(flags);
}

TEST(disabled_while_active_and_pending_waits_until_it_is_enabled)
{
	uint64_t flags = begin(false);

	take_nested();
	write_bits(GICD_ISPENDR, ALL);
	write_bits(GICD_ICENABLER, ALL);
	for (uint32_t i = MANY; i--;)
		gic_end(SPI_FIRST + i);
	CHECK_IS(gic_take(), GIC_NOTHING);
	CHECK_IS(bits(GICD_ISACTIVER), 0);
	CHECK_IS(bits(GICD_ISPENDR), ALL);
	write_bits(GICD_ISENABLER, ALL);
	for (uint32_t i = MANY; i--;) {
		CHECK_IS(gic_take(), SPI_FIRST + i);
		gic_end(SPI_FIRST + i);
	}
	finish(flags);
}

TEST(the_mask_hides_all_that_are_not_more_urgent)
{
	uint64_t flags = begin(false);

	for (uint32_t i = 0; i < MANY; i++)
		set_priority(SPI_FIRST + i, (uint8_t)(0x40 + 8 * i));
	write_bits(GICD_ISPENDR, ALL);
	gic_mask(0x40);
	CHECK_IS(gic_take(), GIC_NOTHING);
	for (uint32_t i = 0; i < MANY; i++) {
		gic_mask((uint8_t)(0x48 + 8 * i));
		CHECK_IS(gic_take(), SPI_FIRST + i);
		gic_end(SPI_FIRST + i);
		CHECK_IS(gic_take(), GIC_NOTHING);
	}
	gic_mask(0xff);
	finish(flags);
}

TEST(only_the_bits_above_the_binary_point_preempt)
{
	uint64_t flags = begin(false);

	gic_group_bits(1);
	for (uint32_t i = 0; i < 6; i++)
		set_priority(SPI_FIRST + i, (uint8_t)(0x60 - 8 * i));
	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK_IS(gic_take(), SPI_FIRST);
	write_bits(GICD_ISPENDR, 0x3e);
	CHECK_IS(gic_take(), GIC_NOTHING);
	gic_end(SPI_FIRST);
	for (uint32_t i = 6; i-- > 1;) { /* the others, most urgent first */
		CHECK_IS(gic_take(), SPI_FIRST + i);
		gic_end(SPI_FIRST + i);
	}
	gic_group_bits(5);
	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK_IS(gic_take(), SPI_FIRST);
	set_bit(GICD_ISPENDR, SPI_FIRST + 1);
	CHECK_IS(gic_take(), SPI_FIRST + 1);
	gic_end(SPI_FIRST + 1);
	gic_end(SPI_FIRST);
	finish(flags);
}

/*
 * By the handlers, one in the other, and pending again: each end is of what was taken, the next of it comes as it is
 * then. Of GICv2 the group stays, for the ends of the other group are others.
 */
TEST(what_changes_while_active_is_ended_all_the_same)
{
	uint64_t flags = begin(false), groups = bit_register(GICD_IGROUPR, SPI_FIRST);
	uint32_t before = read32(groups);

	for (uint32_t i = 0; i < 3; i++) {
		set_priority(SPI_FIRST + i, (uint8_t)(0xa0 - 0x10 * i));
		set_bit(GICD_ISPENDR, SPI_FIRST + i);
		CHECK_IS(gic_take(), SPI_FIRST + i);
		set_priority(SPI_FIRST + i, (uint8_t)(0xb0 + 0x10 * i));
	}
	if (gic_version() == 3)
		write32(groups, before ^ 2);
	write_bits(GICD_ISPENDR, 7);
	for (uint32_t i = 3; i-- > 0;) {
		gic_end(SPI_FIRST + i);
		CHECK_IS(bits(GICD_ISACTIVER), (1u << i) - 1);
		CHECK_IS(bits(GICD_ISPENDR), 7);
	}
	write32(groups, before);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK_IS(gic_take(), SPI_FIRST + i);
		CHECK_IS(gic_running(), 0xb0 + 0x10 * i);
		gic_end(SPI_FIRST + i);
	}
	finish(flags);
}

/* The UART's line goes down again while its interrupt waits, with a list register and without one. */
TEST(a_level_that_is_lowered_while_pending_is_gone)
{
	uint64_t flags;

	printf("# the last byte raises the transmit interrupt\n");
	flags = begin(false);
	irq_handle(UART_INTID, nothing, NULL);
	for (uint32_t crowded = 0; crowded < 2; crowded++) {
		if (crowded)
			write_bits(GICD_ISPENDR, ALL);
		set_priority(UART_INTID, crowded ? 0xf0 : PRIORITY);
		write32(UART_IMSC, UART_TX);
		CHECK(get_bit(GICD_ISPENDR, UART_INTID));
		set_bit(GICD_ICPENDR, UART_INTID); /* it is up all the same */
		CHECK(get_bit(GICD_ISPENDR, UART_INTID));
		write32(UART_IMSC, 0);
		CHECK(!get_bit(GICD_ISPENDR, UART_INTID));
		for (uint32_t i = 0; crowded && i < MANY; i++)
			gic_end(gic_take());
		CHECK_IS(gic_take(), GIC_NOTHING);
		/* Pending by software stays, whatever the line does. */
		set_bit(GICD_ISPENDR, UART_INTID);
		write32(UART_IMSC, UART_TX);
		write32(UART_IMSC, 0);
		CHECK_IS(gic_take(), UART_INTID);
		gic_end(UART_INTID);
	}
	irq_handle(UART_INTID, NULL, NULL);
	finish(flags);
}

TESTS = {
	RUN(an_end_in_two_steps_is_pending_again_only_after_the_second),
	RUN(many_are_deactivated_in_any_order),
	RUN(deep_nesting_ends_in_one_step),
	RUN(deep_nesting_ends_at_once),
	RUN(deep_nesting_ends_in_two_steps),
	RUN(a_deactivation_is_nothing_where_the_end_is_one_step),
	RUN(another_vcpu_deactivates),
	RUN(what_software_makes_active_is_not_ended_by_the_ends_of_others),
	RUN(disabled_while_active_and_pending_waits_until_it_is_enabled),
	RUN(the_mask_hides_all_that_are_not_more_urgent),
	RUN(only_the_bits_above_the_binary_point_preempt),
	RUN(what_changes_while_active_is_ended_all_the_same),
	RUN(a_level_that_is_lowered_while_pending_is_gone),
};
TESTS_MAIN
