/*
 * The PL031 of QEMU's virt machine, given to this VM (ARM DDI 0224, 3.3). Its first two lives end by
 * SYSTEM_RESET, with the interrupt active, then pending; the third finds the device as it was left,
 * and reports. The device itself remembers which life it is: then its match register is far from now.
 */
#include "tests/guest/tap.h"

#define SYSTEM_RESET 0x84000009u
#define GICD	     0x08000000ul
#define ISPENDR	     0x200u
#define INTID	     34u
#define RTC	     0x09010000ul
#define DR	     0x00u /* seconds */
#define MR	     0x04u /* the line rises when DR becomes this */
#define IMSC	     0x10u
#define RIS	     0x14u
#define ICR	     0x1cu
#define FAR	     0x10000000u /* seconds from now, in the second life; twice that in the third */

static uint32_t came, clear_at; /* interrupts since the last look; which of them clears the line */
static bool first_life;

static volatile uint32_t *rtc(uint32_t offset)
{
	return (volatile uint32_t *)(RTC + offset);
}

/*
 * The next second, once. The machine may stand still between reading the time and writing the alarm, which comes
 * after 136 years if its second has passed: then once more. Nothing interrupts meanwhile, and what a time before
 * has raised is cleared.
 */
static void set_alarm(void)
{
	uint32_t at;

	*rtc(IMSC) = 0;
	do {
		at = *rtc(DR) + 1;
		*rtc(MR) = at;
		*rtc(ICR) = 1;
	} while ((int32_t)(*rtc(DR) - at) >= 0);
	*rtc(IMSC) = 1;
}

static bool line_is_up(void)
{
	return *rtc(RIS) & 1;
}

static uint32_t lives(void)
{
	uint32_t far = *rtc(MR) - *rtc(DR) + 60;

	return far % FAR < 120 && far / FAR < 3 ? far / FAR : 0;
}

static void set_lives(uint32_t count)
{
	*rtc(MR) = *rtc(DR) + count * FAR;
}

static void reset(void)
{
	register uint64_t x0 __asm__("x0") = SYSTEM_RESET;

	__asm__ volatile("hvc #0" : "+r"(x0)::"memory");
}

static void handle(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	if (first_life) {
		set_lives(1);
		reset(); /* active, and the line is up */
	}
	if (++came >= clear_at)
		*rtc(ICR) = 1;
}

static void expect_interrupts(uint32_t count)
{
	CHECK(WAIT(SHARED_READ(came) >= count));
	task_sleep(5000000);
	CHECK_IS(SHARED_READ(came), count);
	came = 0;
}

TEST(what_the_last_lives_left_up_comes_when_it_is_enabled)
{
	CHECK(line_is_up());
	clear_at = 1;
	irq_handle(INTID, handle, NULL);
	expect_interrupts(1);
	CHECK(!line_is_up());
}

TEST(time_passes)
{
	uint32_t before = *rtc(DR);
	uint64_t end = timer_now() + 2 * timer_frequency();

	while (timer_now() < end)
		;
	CHECK(*rtc(DR) - before >= 1);
	CHECK(*rtc(DR) - before <= 60);
}

TEST(an_alarm_interrupts_once)
{
	for (uint32_t i = 0; i < 3; i++) {
		set_alarm();
		expect_interrupts(1);
	}
}

TEST(a_line_that_stays_up_interrupts_again)
{
	clear_at = 4;
	set_alarm();
	expect_interrupts(4);
	clear_at = 1;
}

TEST(what_is_disabled_comes_when_it_is_enabled)
{
	irq_handle(INTID, NULL, NULL);
	set_alarm();
	CHECK(WAIT(line_is_up()));
	task_sleep(5000000);
	CHECK_IS(SHARED_READ(came), 0);
	irq_handle(INTID, handle, NULL);
	expect_interrupts(1);
}

TEST(software_can_pend_it)
{
	*(volatile uint32_t *)(GICD + ISPENDR + INTID / 32 * 4) = 1u << INTID % 32;
	expect_interrupts(1);
	set_alarm();
	expect_interrupts(1);
}

TESTS = {
	RUN(what_the_last_lives_left_up_comes_when_it_is_enabled),
	RUN(time_passes),
	RUN(an_alarm_interrupts_once),
	RUN(a_line_that_stays_up_interrupts_again),
	RUN(what_is_disabled_comes_when_it_is_enabled),
	RUN(software_can_pend_it),
};

static void sleep_for_ever(void)
{
	while (true)
		task_sleep(1000000000);
}

int main(void)
{
	clear_at = UINT32_MAX;
	first_life = lives() == 0;
	if (first_life) {
		irq_handle(INTID, handle, NULL);
		set_alarm();
		sleep_for_ever();
	} else if (lives() == 1) {
		irq_save();
		irq_handle(INTID, handle, NULL);
		set_lives(2);
		/* Long enough for it to come, and to be in a list register. */
		for (uint64_t end = timer_now() + timer_frequency() / 10; timer_now() < end;)
			;
		reset();
	}
	return tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0]));
}
