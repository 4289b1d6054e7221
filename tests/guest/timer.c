/* The virtual timer: never early, never lost, also while another vCPU has the core. */
#include "tests/guest/tap.h"

#define ROUNDS 100

static bool fired;
static uint64_t fired_at;
static bool spinning, stop;
static uint32_t other_rounds;

static void set_fired(void *arg)
{
	(void)arg;
	fired_at = timer_now();
	SHARED_WRITE(fired, true);
}

/* Waits for the interrupt without the library's own use of the timer. */
static bool fires_at(uint64_t deadline)
{
	uint64_t limit = timer_now() + timer_ticks(WAIT_NS);

	SHARED_WRITE(fired, false);
	timer_set(deadline, set_fired, NULL);
	while (!SHARED_READ(fired) && timer_now() < limit)
		;
	return fired && fired_at >= deadline;
}

TEST(the_counter_moves_forward)
{
	uint64_t before = timer_now();

	for (int i = 0; i < 10000; i++) {
		uint64_t now = timer_now();

		CHECK(now >= before);
		before = now;
	}
	CHECK(timer_frequency() >= 1000000);
}

TEST(it_fires_while_the_vcpu_spins)
{
	for (int i = 0; i < ROUNDS; i++)
		CHECK(fires_at(timer_now() + timer_ticks(50000 + (uint64_t)i * 1000)));
}

TEST(a_deadline_in_the_past_fires_at_once)
{
	CHECK(fires_at(timer_now()));
	CHECK(fires_at(1));
}

static void set_again(void *arg)
{
	if (++other_rounds < ROUNDS)
		timer_set(1, set_again, arg);
	else
		set_fired(arg);
}

/* Inside its interrupt: the line is up again when that is ended. QEMU's GICv2 would not look. */
TEST(a_line_that_is_up_when_its_interrupt_ends_interrupts_again)
{
	uint64_t limit = timer_now() + timer_ticks(WAIT_NS);

	SHARED_WRITE(fired, false);
	timer_set(1, set_again, NULL);
	while (!SHARED_READ(fired) && timer_now() < limit)
		;
	CHECK_IS(other_rounds, ROUNDS);
	other_rounds = 0;
}

/* The deadline may pass before WFI, in it, or while EL2 has the core. */
TEST(it_ends_wfi)
{
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t before = timer_now(), ns = 1000ull << i % 12;

		task_sleep(ns);
		CHECK(timer_now() - before >= timer_ticks(ns));
	}
}

static uint64_t control(void)
{
	uint64_t value;

	__asm__ volatile("isb\n\tmrs %0, cntv_ctl_el0" : "=r"(value));
	return value;
}

static void set(uint64_t deadline, uint64_t enable)
{
	__asm__ volatile("msr cntv_cval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(deadline),
			 "r"(enable));
}

/* ENABLE is bit 0, IMASK bit 1, ISTATUS bit 2: DDI 0487 D19.12.18. */
TEST(a_masked_timer_has_status_and_no_interrupt)
{
	uint64_t flags = irq_save(), pending;

	set(1, 3);
	CHECK_IS(control(), 7);
	for (int i = 0; i < 1000; i++)
		__asm__ volatile("mrs %0, isr_el1" : "=r"(pending));
	CHECK_IS(pending, 0);
	set(1, 0);
	irq_restore(flags);
}

TEST(registers_read_back)
{
	uint64_t flags = irq_save(), deadline;

	set(0x123456789abcull, 3);
	__asm__ volatile("mrs %0, cntv_cval_el0" : "=r"(deadline));
	CHECK_IS(deadline, 0x123456789abcull);
	CHECK_IS(control(), 3);
	set(1, 0);
	irq_restore(flags);
}

static void spin(void *arg)
{
	(void)arg;
	SHARED_WRITE(spinning, true);
	while (!SHARED_READ(stop))
		;
}

/* The other vCPU is on the same core and never gives it up. */
TEST(it_fires_while_another_vcpu_has_the_core)
{
	CHECK_IS(cpu_start(1, spin, NULL), 0);
	CHECK(WAIT(SHARED_READ(spinning)));
	for (int i = 0; i < 20; i++) {
		uint64_t before = timer_now();

		task_sleep(3000000);
		CHECK(timer_now() - before >= timer_ticks(3000000));
	}
	SHARED_WRITE(stop, true);
}

static void sleep_often(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		task_sleep(700000);
		__atomic_fetch_add(&other_rounds, 1, __ATOMIC_RELEASE);
	}
}

/* Each vCPU has its own deadline; both are found again at every switch. */
TEST(two_vcpus_of_one_core_have_a_timer_each)
{
	int64_t status = -4; /* ALREADY_ON, until the last test's vCPU has turned itself off */

	for (int i = 0; i < 10000 && status == -4; i++) {
		status = cpu_start(1, sleep_often, NULL);
		task_sleep(100000);
	}
	CHECK_IS(status, 0);
	for (int i = 0; i < ROUNDS; i++)
		task_sleep(500000);
	CHECK(WAIT(SHARED_READ(other_rounds) == ROUNDS));
}

TESTS = {
	RUN(the_counter_moves_forward),
	RUN(it_fires_while_the_vcpu_spins),
	RUN(a_deadline_in_the_past_fires_at_once),
	RUN(a_line_that_is_up_when_its_interrupt_ends_interrupts_again),
	RUN(it_ends_wfi),
	RUN(a_masked_timer_has_status_and_no_interrupt),
	RUN(registers_read_back),
	RUN(it_fires_while_another_vcpu_has_the_core),
	RUN(two_vcpus_of_one_core_have_a_timer_each),
};
TESTS_MAIN
