/*
 * The EL1 physical timer beside the virtual one: never early, never lost, also while another vCPU has the core; and the
 * counter that both go by, which no vCPU sees run backwards, wherever it is.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/sysreg.h"
#include "tests/guest/tap.h"

#define INTID_PHYSICAL 30u
#define ROUNDS	       60u
#define AN_HOUR	       (3600 * timer_frequency()) /* does not pass here */

#define ENABLE	1ul
#define IMASK	2ul
#define ISTATUS 4ul

static uint32_t fired[2], again;
static uint64_t fired_at[2];
static bool virtual_fired;

/* A level: it is up until the timer is off, or its deadline lies ahead. */
static void on_physical(uint32_t intid, void *arg)
{
	uint32_t cpu = cpu_index();

	(void)intid;
	(void)arg;
	fired_at[cpu] = timer_now();
	if (!again) {
		WRITE(cntp_ctl_el0, 0);
	} else {
		again--;
	}
	__atomic_fetch_add(&fired[cpu], 1, __ATOMIC_RELEASE);
}

static void on_virtual(void *arg)
{
	(void)arg;
	SHARED_WRITE(virtual_fired, true);
}

static void set(uint64_t deadline)
{
	WRITE(cntp_cval_el0, deadline);
	WRITE(cntp_ctl_el0, ENABLE);
}

static bool wait_fired(uint32_t count, bool asleep)
{
	uint32_t cpu = cpu_index();
	uint64_t limit = timer_now() + timer_ticks(WAIT_NS);

	while (SHARED_READ(fired[cpu]) != count && timer_now() < limit) {
		uint64_t flags = irq_save();

		/* Masked, so that it cannot come between the look and the WFI, which it ends all the same. */
		if (asleep && SHARED_READ(fired[cpu]) != count)
			__asm__ volatile("wfi");
		irq_restore(flags);
	}
	return SHARED_READ(fired[cpu]) == count;
}

TEST(it_is_off_at_the_start_and_its_registers_read_back)
{
	CHECK_IS(READ_IN_ORDER(cntp_ctl_el0), 0);
	WRITE(cntp_ctl_el0, ENABLE | IMASK);
	WRITE(cntp_cval_el0, 0x123456789abcul);
	CHECK_IS(READ_IN_ORDER(cntp_cval_el0), 0x123456789abcul);
	CHECK_IS(READ_IN_ORDER(cntp_ctl_el0), ENABLE | IMASK);
	WRITE(cntp_cval_el0, 1);
	CHECK_IS(READ_IN_ORDER(cntp_ctl_el0), ENABLE | IMASK | ISTATUS);
	CHECK((int32_t)READ_IN_ORDER(cntp_tval_el0) < 0 || timer_now() > 1ul << 31);
	WRITE(cntp_tval_el0, -5l);
	CHECK(READ_IN_ORDER(cntp_cval_el0) < READ_IN_ORDER(cntpct_el0));
	CHECK_IS(READ_IN_ORDER(isr_el1), 0); /* masked */
	WRITE(cntp_ctl_el0, ~0ul);
	CHECK_IS(READ_IN_ORDER(cntp_ctl_el0) & ~ISTATUS, ENABLE | IMASK);
	WRITE(cntp_ctl_el0, 0);
}

/* What time it was by both registers lies between two looks at the counter, however long the machine stood still. */
TEST(its_value_counts_down_to_its_deadline)
{
	uint64_t before = READ_IN_ORDER(cntpct_el0), deadline, after, looked, read;

	WRITE(cntp_tval_el0, 0x7fffffff);
	after = READ_IN_ORDER(cntpct_el0);
	deadline = READ_IN_ORDER(cntp_cval_el0);
	CHECK(deadline - 0x7fffffff >= before && deadline - 0x7fffffff <= after);
	looked = READ_IN_ORDER(cntpct_el0);
	read = (uint32_t)deadline - (uint32_t)READ_IN_ORDER(cntp_tval_el0);
	after = READ_IN_ORDER(cntpct_el0);
	CHECK((uint32_t)(read - looked) <= after - looked);
}

TEST(it_fires_at_its_deadline)
{
	irq_handle(INTID_PHYSICAL, on_physical, NULL);
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		uint64_t deadline = timer_now() + timer_ticks(1000ul << round % 12);

		set(deadline);
		CHECK(wait_fired(round, round % 2));
		CHECK(fired_at[0] >= deadline);
	}
	set(1);
	CHECK(wait_fired(ROUNDS + 1, false));
}

TEST(it_fires_beside_the_virtual_timer)
{
	for (uint32_t round = 0; round < ROUNDS; round++) {
		uint64_t now = timer_now(), one = now + timer_ticks(300000),
			 two = now + timer_ticks(500000);

		fired[0] = 0;
		SHARED_WRITE(virtual_fired, false);
		timer_set(round % 2 ? one : two, on_virtual, NULL);
		set(round % 2 ? two : one);
		CHECK(wait_fired(1, false));
		CHECK(fired_at[0] >= (round % 2 ? two : one));
		CHECK(WAIT(SHARED_READ(virtual_fired)));
		CHECK_IS(fired[0], 1);
	}
}

TEST(a_line_that_is_up_when_its_interrupt_ends_interrupts_again)
{
	fired[0] = 0;
	again = 20;
	set(timer_now());
	CHECK(wait_fired(21, false));
}

/* Pending, and lowered before it is taken: by its mask, by its deadline, by being off. */
TEST(a_line_that_falls_takes_its_interrupt_with_it)
{
	uint64_t flags = irq_save();

	fired[0] = 0;
	for (uint32_t how = 0; how < 3; how++) {
		set(1);
		CHECK(READ_IN_ORDER(isr_el1) != 0);
		if (how == 0)
			WRITE(cntp_ctl_el0, ENABLE | IMASK);
		else if (how == 1)
			WRITE(cntp_cval_el0, timer_now() + AN_HOUR);
		else
			WRITE(cntp_ctl_el0, 0);
		CHECK_IS(READ_IN_ORDER(isr_el1), 0);
	}
	irq_restore(flags);
	CHECK_IS(fired[0], 0);
}

static uint64_t handed_over; /* a time, or 0: taken */
static uint64_t times;	     /* how often; seldom, where both have one core */
static bool ready, backwards;
static uint64_t off_control, off_deadline;
static uint32_t off_fired;

/* Its timer is its own: it fires for it, and not for the other. Then it takes what it is given. */
static void other(void *arg)
{
	(void)arg;
	off_control = READ_IN_ORDER(cntp_ctl_el0);
	irq_handle(INTID_PHYSICAL, on_physical, NULL);
	off_fired = fired[1]; /* its interrupt is enabled, since its former life if it had one */
	fired[1] = 0;
	for (uint32_t round = 1; round <= ROUNDS; round++) {
		set(timer_now() + timer_ticks(200000));
		wait_fired(round, true);
	}
	SHARED_WRITE(ready, true);
	for (uint64_t i = 0; i < times; i++) {
		uint64_t then;

		while (!(then = SHARED_READ(handed_over)))
			__asm__ volatile("yield");
		backwards |= timer_now() < then;
		backwards |= READ_IN_ORDER(cntpct_el0) < then;
		SHARED_WRITE(handed_over, 0);
	}
	irq_save();
	off_deadline = timer_now() + timer_ticks(500000);
	set(off_deadline); /* and is turned off with it */
}

/* It may have another core than the first: the counter is one. */
static void hand_over(void)
{
	uint32_t before = SHARED_READ(fired[1]);

	times = bootargs_number("times", 10);
	CHECK_IS(cpu_start(1, other, NULL), 0);
	fired[0] = 0;
	set(timer_now() + AN_HOUR);
	CHECK(WAIT(SHARED_READ(ready)));
	CHECK_IS(SHARED_READ(fired[1]), ROUNDS);
	CHECK_IS(fired[0], 0);
	WRITE(cntp_ctl_el0, 0);
	for (uint64_t i = 0; i < times; i++) {
		while (SHARED_READ(handed_over))
			__asm__ volatile("yield");
		SHARED_WRITE(handed_over, timer_now());
	}
	CHECK(WAIT(!SHARED_READ(handed_over)));
	CHECK(!backwards);
	CHECK_IS(off_control, 0);
	CHECK_IS(off_fired, before);
	CHECK(WAIT(weir_call(0xc4000004, 1, 0, 0, 0, 0, 0).status == 1)); /* AFFINITY_INFO: off */
	SHARED_WRITE(ready, false);
}

TEST(timers_are_a_vcpus_own_and_the_counter_is_one)
{
	hand_over();
}

/* Its deadline has passed meanwhile. */
TEST(a_vcpu_that_starts_again_finds_its_timer_off)
{
	CHECK(WAIT(timer_now() > off_deadline + timer_ticks(1000000)));
	hand_over();
}

TESTS = {
	RUN(it_is_off_at_the_start_and_its_registers_read_back),
	RUN(its_value_counts_down_to_its_deadline),
	RUN(it_fires_at_its_deadline),
	RUN(it_fires_beside_the_virtual_timer),
	RUN(a_line_that_is_up_when_its_interrupt_ends_interrupts_again),
	RUN(a_line_that_falls_takes_its_interrupt_with_it),
	RUN(timers_are_a_vcpus_own_and_the_counter_is_one),
	RUN(a_vcpu_that_starts_again_finds_its_timer_off),
};
TESTS_MAIN
