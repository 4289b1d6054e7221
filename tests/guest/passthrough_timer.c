/*
 * The system timer of the Raspberry Pi, given to this VM (BCM2711 ARM Peripherals, 10.2): its registers,
 * in two lives. Channels 0 and 2 are the GPU's. Its interrupts are not asked for: QEMU's raspi4b leads
 * them to the old interrupt controller, and not to the GIC as the board does.
 */
#include "tests/guest/tap.h"

#define SYSTEM_RESET 0x84000009u
#define TIMER	     0xfe003000ul
#define CS	     0x00u /* bit n: channel n's time has come; cleared by writing it */
#define CLO	     0x04u /* microseconds */
#define C1	     0x10u
#define C3	     0x18u
#define CHANNEL_1    (1u << 1)
#define MARK	     0x57656972u /* of the second life; more than an hour away from now */

static volatile uint32_t *reg(uint32_t offset)
{
	return (volatile uint32_t *)(TIMER + offset);
}

/*
 * Channel 1's time is `us` microseconds from now. A time that has passed before it is written (the machine
 * may stand still between reading the counter and writing it) comes when the counter has gone round, after
 * 71 minutes: then once more.
 */
static void set_channel_1(uint32_t us)
{
	uint32_t at;

	do {
		*reg(CS) = CHANNEL_1;
		at = *reg(CLO) + us;
		*reg(C1) = at;
	} while ((int32_t)(*reg(CLO) - at) >= 0 && !(*reg(CS) & CHANNEL_1));
}

static void reset(void)
{
	register uint64_t x0 __asm__("x0") = SYSTEM_RESET;

	__asm__ volatile("hvc #0" : "+r"(x0)::"memory");
}

TEST(it_is_as_the_last_life_left_it)
{
	CHECK_IS(*reg(C3), MARK);
	CHECK(*reg(CS) & CHANNEL_1);
	*reg(CS) = CHANNEL_1;
	CHECK(!(*reg(CS) & CHANNEL_1));
}

TEST(time_passes_in_microseconds)
{
	uint32_t before = *reg(CLO);
	uint64_t end = timer_now() + timer_frequency();

	while (timer_now() < end)
		;
	CHECK(*reg(CLO) - before >= 1000000);
	CHECK(*reg(CLO) - before <= 60000000);
}

TEST(a_channel_says_when_its_time_has_come)
{
	for (uint32_t i = 0; i < 3; i++) {
		bool early;

		set_channel_1(200000);
		early = *reg(CS) & CHANNEL_1;
		CHECK(!early || (int32_t)(*reg(CLO) - *reg(C1)) >= 0);
		CHECK(WAIT(*reg(CS) & CHANNEL_1));
		CHECK((int32_t)(*reg(CLO) - *reg(C1)) >= 0);
		*reg(CS) = CHANNEL_1;
	}
}

TESTS = {
	RUN(it_is_as_the_last_life_left_it),
	RUN(time_passes_in_microseconds),
	RUN(a_channel_says_when_its_time_has_come),
};

int main(void)
{
	if (*reg(C3) != MARK) {
		set_channel_1(1000);
		while (!(*reg(CS) & CHANNEL_1))
			;
		*reg(C3) = MARK;
		reset();
	}
	return tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0]));
}
