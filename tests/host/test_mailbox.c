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

enum { CLOCK_EMMC2 = 12, GPIO_SD_VOLTAGE = 132 };

static struct {
	u32 full, thinking; /* looks at the status until it is over */
	u32 others;	    /* mails of others that are there before */
	bool dead, refuses;
	u32 mail; /* that was written; 0: none */
	u32 accesses;
	u32 gpio, gpio_state; /* as they were set; 0: not */
	u32 clock;	      /* that was asked for */
} hw;

static u8 registers[0x40];

static bool spend(u32 *count)
{
	return *count && (*count)--;
}

/* ---- The firmware ---------------------------------------------------------------------------- */

static void serve_tag(u32 tag, u32 *values, u32 bytes, u32 *code)
{
	assert_int_equal(bytes, 8);
	assert_int_equal(*code, 0);
	*code = ANSWERED | 8;
	if (tag == 0x00038041) {
		hw.gpio = values[0];
		hw.gpio_state = values[1];
		values[0] = 0;
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
		return hw.others || (hw.mail && !hw.dead && !spend(&hw.thinking)) ? 0 : EMPTY;
	case 0x00:
		if (spend(&hw.others))
			return 0x3b000008;
		serve();
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

TEST(lines_of_the_card_are_at_3_3_volts)
{
	hw.gpio_state = 1;
	ask();
	assert_int_equal(hw.gpio, GPIO_SD_VOLTAGE);
	assert_int_equal(hw.gpio_state, 0);
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
		RUN_AFTER(prepare, lines_of_the_card_are_at_3_3_volts),
		RUN_AFTER(prepare, firmware_may_take_its_time_and_answer_others_first),
		RUN_AFTER(prepare, firmware_that_never_answers_is_waited_for_so_long),
		RUN_AFTER(prepare, answer_that_says_no_is_no_rate),
		RUN_AFTER(prepare, addresses_are_those_of_the_range),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
