/*
 * The firmware's mailbox, with the message in memory that the firmware does not see through the caches.
 *
 * Sources: drivers/bcm2835_mailbox.c tests/host/fake/dma_memory.c
 */
#include <string.h>
#include "dma_memory.h"
#include "drivers/bcm2835_mailbox.h"
#include "drivers/registers.h"

#define BUS	 0xc0000000u
#define OFFSET	 0x1000u /* of the message */
#define EMPTY	 BIT(30)
#define FULL	 BIT(31)
#define ANSWERED 0x80000000u
#define HZ	 100000000u

enum { CLOCK_EMMC2 = 12, VOLTAGE = 132, POWER = 134 };

static struct {
	u32 full, thinking; /* looks at the status until it is over */
	u32 others;	    /* mails of others that are there before */
	bool dead, refuses;
	u32 mail; /* that was written; 0: none */
	u32 accesses;
	u32 mails; /* that were answered; this one is not, and none behind it: */
	u32 dies_at;
	u32 voltage, power; /* the lines; 2: not set */
	u32 clock;	    /* that was asked for */
} hw;

static u8 registers[0x40];

static bool spend(u32 *count)
{
	return *count && (*count)--;
}

/* ---- The firmware ---------------------------------------------------------------------------- */

static u64 now_us, off_us, on_us;

/* Nothing but looking makes time pass. */
u64 timer_now(void)
{
	return now_us++;
}

u64 timer_from_us(u64 us)
{
	return us;
}

/* The card is powered off with its lines as they are, and its lines change when it is off. */
static void set_line(u32 line, u32 state)
{
	assert_true(line == VOLTAGE || line == POWER);
	if (line == VOLTAGE)
		assert_true(state == hw.voltage || !hw.power);
	if (line == POWER && state != hw.power)
		*(state ? &on_us : &off_us) = now_us;
	*(line == VOLTAGE ? &hw.voltage : &hw.power) = state;
}

static void serve_tag(u32 tag, u32 *values, u32 bytes, u32 *code)
{
	assert_int_equal(bytes, 8);
	assert_int_equal(*code, 0);
	*code = ANSWERED | 8;
	if (tag == 0x00038041) {
		set_line(values[0], values[1]);
		values[0] = 0;
	} else if (tag == 0x00030041) {
		assert_int_equal(values[0], VOLTAGE);
		values[0] = 0;
		values[1] = hw.voltage;
	} else {
		assert_int_equal(tag, 0x00030002);
		hw.clock = values[0];
		values[1] = HZ;
	}
}

static void serve(void)
{
	u32 words[DMA_LINE_BYTES / 4], at = 2;
	u32 address = hw.mail & ~15u;

	assert_int_equal(hw.mail & 15, 8);
	assert_true(dma_memory_read(address, words, sizeof(words)));
	assert_in_range(words[0], 12, sizeof(words));
	assert_int_equal(words[1], 0);
	while (words[at]) {
		serve_tag(words[at], &words[at + 3], words[at + 1], &words[at + 2]);
		at += 3 + words[at + 1] / 4;
		assert_true(at < words[0] / 4);
	}
	words[1] = hw.refuses ? 0x80000001u : ANSWERED;
	assert_true(dma_memory_write(address, words, sizeof(words)));
}

u32 register_read(const void *mapped, u32 offset)
{
	assert_ptr_equal(mapped, registers);
	hw.accesses++;
	switch (offset) {
	case 0x38:
		return spend(&hw.full) ? FULL : EMPTY;
	case 0x18:
		return hw.others || (hw.mail && !hw.dead && hw.mails != hw.dies_at &&
				     !spend(&hw.thinking))
			       ? 0
			       : EMPTY;
	case 0x00:
		if (spend(&hw.others))
			return 0x3b000008;
		serve();
		hw.mails++;
		return hw.mail;
	default:
		fail_msg("read of register %x", offset);
		return 0;
	}
}

void register_write(void *mapped, u32 offset, u32 value)
{
	assert_ptr_equal(mapped, registers);
	assert_int_equal(offset, 0x20);
	assert_int_equal(hw.full, 0);
	hw.mail = value;
}

static u32 ask(void)
{
	return bcm2835_mailbox_emmc2(registers, (u32 *)(dma_memory + OFFSET), BUS + OFFSET);
}

static int prepare(void **state)
{
	(void)state;
	memset(&hw, 0, sizeof(hw));
	hw.power = 1;
	hw.dies_at = UINT32_MAX;
	off_us = on_us = 0;
	dma_memory_reset(BUS);
	return 0;
}

/* ---------------------------------------------------------------------------------------------- */

TEST(rate_comes_past_the_caches)
{
	assert_int_equal(ask(), HZ);
	assert_int_equal(hw.clock, CLOCK_EMMC2);
	assert_int_equal(ask(), HZ); /* again, in lines that hold the answer */
}

TEST(card_with_lines_at_3_3_volts_is_left_as_it_is)
{
	assert_int_equal(ask(), HZ);
	assert_int_equal(hw.voltage, 0);
	assert_int_equal(hw.power, 1);
	assert_int_equal(off_us, 0);
	assert_int_equal(hw.mails, 2);
}

/* It would answer nobody else. */
TEST(card_that_was_switched_to_1_8_volts_loses_power_for_a_time)
{
	hw.voltage = 1;
	assert_int_equal(ask(), HZ);
	assert_int_equal(hw.voltage, 0);
	assert_int_equal(hw.power, 1);
	assert_in_range(on_us - off_us, 1000, 50000);
	assert_in_range(now_us - on_us, 1000, 50000);
	assert_int_equal(ask(), HZ);
	assert_int_equal(hw.mails, 5);
}

TEST(slot_without_power_gets_it)
{
	hw.power = 0;
	assert_int_equal(ask(), HZ);
	assert_int_equal(hw.power, 1);
}

TEST(firmware_that_stops_answering_tells_no_rate)
{
	for (u32 i = 0; i < 3; i++) {
		prepare(0);
		hw.voltage = 1;
		hw.dies_at = i;
		assert_int_equal(ask(), 0);
		assert_int_equal(hw.mails, i);
	}
}

TEST(firmware_may_take_its_time_and_answer_others_first)
{
	hw.full = hw.thinking = 1000;
	hw.others = 5;
	assert_int_equal(ask(), HZ);
}

TEST(firmware_that_never_answers_is_waited_for_so_long)
{
	hw.dead = true;
	assert_int_equal(ask(), 0);
	assert_in_range(hw.accesses, 100000, 2000000);
	prepare(0);
	hw.full = UINT32_MAX;
	assert_int_equal(ask(), 0);
	assert_int_equal(hw.mail, 0);
	assert_in_range(hw.accesses, 100000, 2000000);
	prepare(0);
	hw.others = UINT32_MAX;
	assert_int_equal(ask(), 0);
	assert_in_range(hw.accesses, 100000, 4000000);
}

TEST(answer_that_says_no_is_no_rate)
{
	hw.refuses = true;
	assert_int_equal(ask(), 0);
}

TEST(addresses_are_those_of_the_range)
{
	struct dma_range range = { 0x40000000, 0xc0000000, 0x40000000, false };

	assert_int_equal(dma_address(&range, PA(0x40000000), 0x40000000), 0xc0000000);
	assert_int_equal(dma_address(&range, PA(0x7ffffff0), 16), 0xfffffff0);
	assert_int_equal(dma_address(&range, PA(0x7ffffff0), 17), DMA_UNREACHABLE);
	assert_int_equal(dma_address(&range, PA(0x80000000), 1), DMA_UNREACHABLE);
	assert_int_equal(dma_address(&range, PA(0x3fffffff), 2), DMA_UNREACHABLE);
	/* More than the device can name. */
	range.bytes = 1ul << 40;
	assert_int_equal(dma_address(&range, PA(0x7ffffff0), 17), DMA_UNREACHABLE);
	range.bus = 1ul << 32;
	assert_int_equal(dma_address(&range, PA(0x40000000), 16), DMA_UNREACHABLE);
	range = (struct dma_range){ 0 };
	assert_int_equal(dma_address(&range, PA(0), 1), DMA_UNREACHABLE);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, rate_comes_past_the_caches),
		RUN_AFTER(prepare, card_with_lines_at_3_3_volts_is_left_as_it_is),
		RUN_AFTER(prepare, card_that_was_switched_to_1_8_volts_loses_power_for_a_time),
		RUN_AFTER(prepare, slot_without_power_gets_it),
		RUN_AFTER(prepare, firmware_that_stops_answering_tells_no_rate),
		RUN_AFTER(prepare, firmware_may_take_its_time_and_answer_others_first),
		RUN_AFTER(prepare, firmware_that_never_answers_is_waited_for_so_long),
		RUN_AFTER(prepare, answer_that_says_no_is_no_rate),
		RUN_AFTER(prepare, addresses_are_those_of_the_range),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
