/*
 * The machine's watchdog: when it is armed, what keeps it from running out, and what does not. The
 * cores take turns in one thread; the power block is three registers, of which writes are counted.
 *
 * Sources: core/watchdog.c core/timeout.c core/base/log.c drivers/bcm2835_pm.c
 * Sources: tests/host/fake/timer.c tests/host/fake/cpu.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "core/watchdog.h"
#include "drivers/bcm2835_pm.h"
#include "drivers/registers.h"

enum { RSTC = 0x1c, RSTS = 0x20, WDOG = 0x24 };

#define MS     1000000ul /* ticks of the fake timer */
#define TIME   1000u	 /* of the watchdog, ms */
#define ROUND  (TIME / 4 * MS)
#define CORES  3u
#define ARMED  0x20u
#define BEFORE 0x00000102u /* RSTC of a block that counts nothing */
#define KEY    0x5a000000u

static u32 registers[16];
static u32 starts;		/* writes that begin the count anew */
static u64 now, decided[CORES]; /* by core */
static bool asked[CORES];	/* sched_again() since the last decision */
static u32 stuck;		/* a core whose scheduler decides nothing */
static u32 dead;		/* a core that takes no interrupt */
#define NONE CORES

/* The block was used as it must not be. No assertion says so at once, for the lock is held. */
static bool wrong;

/* ---- The machine ----------------------------------------------------------------------------- */

u32 register_read(const void *mapped, u32 offset)
{
	wrong |= mapped != registers;
	return registers[offset / 4];
}

void register_write(void *mapped, u32 offset, u32 value)
{
	wrong |= mapped != registers || (value & 0xff000000u) != KEY;
	registers[offset / 4] = value & 0xffffff;
	/* The count is there before it runs, and never 0 while it does. */
	wrong |= registers[RSTC / 4] & ARMED && !registers[WDOG / 4];
	starts += offset == RSTC && value & ARMED;
}

void sched_again(void)
{
	asked[cpu_index()] = true;
}

u64 sched_decided(void)
{
	return decided[cpu_index()];
}

static void schedule(u32 core)
{
	if (core == stuck || !asked[core])
		return;
	asked[core] = false;
	decided[core] = now;
}

static void on(u32 core)
{
	fake_cpu_set_index(core);
}

/* A moment in which each core takes its timer's interrupt, if it has one, and then schedules. */
static void pass(u64 ticks)
{
	fake_timer_set(now += ticks);
	for (u32 core = 0; core < CORES; core++) {
		on(core);
		if (core != dead)
			timeout_interrupt();
		schedule(core);
	}
}

static u32 starts_within(u32 rounds)
{
	starts = 0;
	for (u32 i = 0; i < 10 * rounds; i++)
		pass(ROUND / 10);
	return starts;
}

static bool armed(void)
{
	return registers[RSTC / 4] & ARMED;
}

static void start(u32 ms)
{
	watchdog_init(ms, CORES);
	for (u32 core = 0; core < CORES; core++) {
		on(core);
		timeout_init_core();
		watchdog_start_core();
		schedule(core);
	}
}

static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	memset(registers, 0, sizeof(registers));
	registers[RSTC / 4] = BEFORE;
	starts = 0;
	wrong = false;
	stuck = dead = NONE;
	on(0);
	return 0;
}

static int check(void **state)
{
	(void)state;
	assert_false(wrong);
	return 0;
}

#define RUN_CHECKED(test) cmocka_unit_test_setup_teardown(test, prepare, check)

/* ---- The first two go before there is a power block ------------------------------------------ */

TEST(a_machine_without_watchdog_is_told_so_once_and_runs_without)
{
	start(TIME);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("manifest: /: watchdog-ms: "));
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	watchdog_stop();
	assert_int_equal(starts_within(8), 0);
}

TEST(off_by_default_there_is_no_deadline_and_no_word_to_the_hardware)
{
	bcm2835_pm_init(registers);
	start(0);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	assert_false(asked[0]);
	assert_int_equal(starts_within(8), 0);
	watchdog_stop();
	assert_int_equal(registers[RSTC / 4], BEFORE);
	assert_int_equal(registers[WDOG / 4], 0);
	assert_int_equal(fake_log_count(), 0);
}

/* ---- With one -------------------------------------------------------------------------------- */

/* 65,536 a second; other bits of the control are kept. */
TEST(it_is_armed_for_its_time_at_boot)
{
	start(TIME);
	assert_int_equal(starts, 1);
	assert_int_equal(registers[WDOG / 4], 65536);
	assert_int_equal(registers[RSTC / 4], BEFORE | ARMED);
	assert_int_equal(fake_log_count(), 0);
}

TEST(a_time_beyond_the_counter_is_its_longest)
{
	bcm2835_pm_watchdog(BCM2835_PM_WATCHDOG_MAX_MS);
	assert_int_equal(registers[WDOG / 4], 983040);
	bcm2835_pm_watchdog(UINT32_MAX);
	assert_int_equal(registers[WDOG / 4], 983040);
	assert_true(983040 < 1 << 20);
}

TEST(a_count_of_0_disarms_and_is_never_written)
{
	bcm2835_pm_watchdog(TIME);
	bcm2835_pm_watchdog(0);
	assert_int_equal(registers[RSTC / 4], BEFORE);
	assert_int_equal(registers[WDOG / 4], 65536);
}

TEST(it_is_kicked_once_a_round_while_all_cores_schedule)
{
	start(TIME);
	assert_int_equal(starts_within(8), 8);
}

/* Every core comes at its own moment. */
TEST(cores_that_began_at_different_times_kick_once_a_round)
{
	watchdog_init(TIME, CORES);
	for (u32 core = 0; core < CORES; core++) {
		on(core);
		timeout_init_core();
		watchdog_start_core();
		schedule(core);
		fake_timer_set(now += ROUND / 3);
	}
	starts_within(1);
	assert_int_equal(starts_within(8), 8);
}

TEST(it_is_not_kicked_when_a_core_takes_no_interrupt)
{
	for (dead = 0; dead < CORES; dead++) {
		start(TIME);
		assert_int_equal(starts_within(8), 0);
	}
}

TEST(it_is_not_kicked_when_a_core_takes_interrupts_and_does_not_schedule)
{
	for (u32 core = 0; core < CORES; core++) {
		stuck = NONE;
		start(TIME);
		assert_int_equal(starts_within(4), 4);
		stuck = core;
		starts_within(2);
		assert_int_equal(starts_within(8), 0);
	}
}

/* The last kick was no longer ago than a round, so there are three left. */
TEST(a_core_that_stops_is_seen_within_one_and_a_half_of_the_time)
{
	start(TIME);
	assert_int_equal(starts_within(4), 4);
	dead = 1;
	assert_true(starts_within(2) <= 1);
	assert_int_equal(starts_within(8), 0);
}

TEST(a_core_that_was_late_and_goes_on_keeps_the_machine)
{
	start(TIME);
	dead = 2;
	assert_int_equal(starts_within(3), 0);
	dead = NONE;
	assert_int_equal(starts_within(4), 4);
}

TEST(stopped_it_is_disarmed_and_no_core_arms_it_again)
{
	start(TIME);
	starts_within(2);
	assert_true(armed());
	on(1);
	watchdog_stop();
	assert_false(armed());
	assert_int_equal(starts_within(8), 0);
	assert_false(armed());
}

/* The power block is the watchdog's: what turns the machine off is not overwritten. */
TEST(power_off_after_it_was_stopped_stays_as_it_was_ordered)
{
	start(TIME);
	watchdog_stop();
	bcm2835_pm_power_off();
	assert_int_equal(starts_within(8), 0);
	assert_int_equal(registers[WDOG / 4], 10);
	assert_int_equal(registers[RSTS / 4], 0x555);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_CHECKED(a_machine_without_watchdog_is_told_so_once_and_runs_without),
		RUN_CHECKED(off_by_default_there_is_no_deadline_and_no_word_to_the_hardware),
		RUN_CHECKED(it_is_armed_for_its_time_at_boot),
		RUN_CHECKED(a_time_beyond_the_counter_is_its_longest),
		RUN_CHECKED(a_count_of_0_disarms_and_is_never_written),
		RUN_CHECKED(it_is_kicked_once_a_round_while_all_cores_schedule),
		RUN_CHECKED(cores_that_began_at_different_times_kick_once_a_round),
		RUN_CHECKED(it_is_not_kicked_when_a_core_takes_no_interrupt),
		RUN_CHECKED(it_is_not_kicked_when_a_core_takes_interrupts_and_does_not_schedule),
		RUN_CHECKED(a_core_that_stops_is_seen_within_one_and_a_half_of_the_time),
		RUN_CHECKED(a_core_that_was_late_and_goes_on_keeps_the_machine),
		RUN_CHECKED(stopped_it_is_disarmed_and_no_core_arms_it_again),
		RUN_CHECKED(power_off_after_it_was_stopped_stays_as_it_was_ordered),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
