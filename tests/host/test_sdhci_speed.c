/*
 * High speed: who gets it, who does not, and what becomes of a card that says that it can and cannot. That the clock is
 * never faster than card and controller have agreed on is checked by the model, in each of these tests.
 *
 * Sources: tests/host/sd_slot.c drivers/sdhci.c drivers/sdhci_identification.c core/base/log.c
 * Sources: tests/host/fake/sd_host.c tests/host/fake/sd_card.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/cache.c tests/host/fake/panic.c tests/host/fake/timer.c
 * Sources: drivers/sdhci_adma.c drivers/dma.c
 */
#include "sd_slot.h"

enum { SWITCH = 6 }; /* and SET_BUS_WIDTH, once */

#define USUAL 13000000u /* 52 MHz by 4 */
#define HIGH  26000000u

#define READ_MULTIPLE 18

/* The card's width is set, and it is not asked yet. */
static void probe_until_switch(void)
{
	device = sdhci_probe(&place);
	while (!hw.commands[SWITCH])
		assert_true(step());
}

static int prepare_card(void **state)
{
	prepare(state);
	hw.switches = true;
	return 0;
}

TEST(card_that_can_has_high_speed)
{
	probe_good();
	assert_int_equal(hw.commands[SWITCH], 2);
	assert_true(hw.fast);
	assert_int_equal(hw.hz, HIGH);
	assert_int_equal(hw.power, 0xf06);
	check_card_works();
}

TEST(clock_of_high_speed_is_at_most_50_mhz)
{
	static const struct {
		u32 base, hz;
	} clocks[] = { { 200000000, 50000000 },
		       { 100000000, 50000000 },
		       { 50000000, 50000000 },
		       { 250000000, 31250000 },
		       { 48000000, 48000000 } };

	for (u32 i = 0; i < ARRAY_SIZE(clocks); i++) {
		prepare_card(0);
		place.clock_hz = hw.base_hz = clocks[i].base;
		probe_good();
		assert_int_equal(hw.hz, clocks[i].hz);
		check_card_works();
	}
}

static void check_usual(u32 switches)
{
	probe_good();
	assert_int_equal(hw.commands[SWITCH], 1 + switches);
	assert_int_equal(hw.hz, USUAL);
	assert_int_equal(hw.power, 0xf02);
	check_card_works();
}

TEST(card_that_does_not_know_the_command_is_not_asked)
{
	hw.switches = false;
	check_usual(0);
}

TEST(controller_without_high_speed_does_not_ask)
{
	hw.capabilities &= ~(u32)BIT(21);
	check_usual(0);
}

TEST(card_that_refuses_keeps_its_clock)
{
	hw.refuses_switch = true;
	check_usual(1);
}

/* Begun anew, and not asked again. */
TEST(command_that_goes_wrong_costs_high_speed_and_no_more)
{
	for (u32 i = 0; i < 4; i++) {
		prepare_card(0);
		hw.silent_blocks = i == 0;
		hw.bad_blocks = i == 1;
		probe_until_switch();
		hw.mute[SWITCH] = i == 2;
		hw.unheard[SWITCH] = i == 3;
		run();
		assert_int_equal(device->sectors, hw.sectors);
		assert_int_equal(hw.hz, USUAL);
		assert_int_equal(hw.resets, 2);
		assert_int_equal(hw.commands[SWITCH], 3); /* two of them for the width */
		assert_int_equal(fake_log_count(), 0);
		check_card_works();
	}
}

TEST(data_that_high_speed_garbles_is_read_again_without)
{
	probe_good();
	hw.bad_block = 1;
	hw.bad_blocks = 1;
	check_runs(request(0, BLOCK_READ, 5, 3), WEIR_OK);
	assert_memory_equal(memory, medium + 5 * SECTOR, 3 * SECTOR);
	assert_int_equal(hw.resets, 2);
	assert_int_equal(hw.hz, USUAL);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("mmc@1: data is garbled at high speed"));
	check_card_works();
	/* From now on a bad block is one. */
	hw.bad_blocks = 1;
	check_runs(request(1, BLOCK_READ, 5, 3), WEIR_IO);
	check_card_works();
	assert_int_equal(fake_log_count(), 1);
}

TEST(commands_that_high_speed_spoils_are_sent_without)
{
	probe_good();
	hw.unheard[READ_MULTIPLE] = 1; /* which may happen at any speed */
	check_runs(request(0, BLOCK_READ, 5, 3), WEIR_OK);
	assert_int_equal(hw.hz, HIGH);
	hw.unheard[READ_MULTIPLE] = 2;
	check_runs(request(1, BLOCK_READ, 5, 3), WEIR_OK);
	assert_memory_equal(memory, medium + 5 * SECTOR, 3 * SECTOR);
	assert_int_equal(hw.hz, USUAL);
	check_card_works();
}

TEST(block_that_is_bad_at_any_speed_fails_its_request_alone)
{
	probe_good();
	hw.bad_blocks = 2;
	check_runs(request(0, BLOCK_READ, 5, 3), WEIR_IO);
	check_card_works();
}

TEST(card_that_comes_back_has_high_speed_again)
{
	probe_good();
	fake_sd_remove(&hw);
	run();
	fake_sd_insert(&hw);
	run();
	assert_true(hw.fast);
	assert_int_equal(hw.hz, HIGH);
	check_card_works();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare_card, card_that_can_has_high_speed),
		RUN_AFTER(prepare_card, clock_of_high_speed_is_at_most_50_mhz),
		RUN_AFTER(prepare_card, card_that_does_not_know_the_command_is_not_asked),
		RUN_AFTER(prepare_card, controller_without_high_speed_does_not_ask),
		RUN_AFTER(prepare_card, card_that_refuses_keeps_its_clock),
		RUN_AFTER(prepare_card, command_that_goes_wrong_costs_high_speed_and_no_more),
		RUN_AFTER(prepare_card, data_that_high_speed_garbles_is_read_again_without),
		RUN_AFTER(prepare_card, commands_that_high_speed_spoils_are_sent_without),
		RUN_AFTER(prepare_card, block_that_is_bad_at_any_speed_fails_its_request_alone),
		RUN_AFTER(prepare_card, card_that_comes_back_has_high_speed_again),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
