/*
 * The virtual timer (ARM DDI 0487 D12). One comparator serves timer_set and the sleep of the idle
 * loop: it is always set to the earlier of the two.
 */
#include "guests/lib/runtime.h"

#define INTID_TIMER   27u
#define NS_PER_SECOND 1000000000ull

uint64_t timer_now(void)
{
	uint64_t now;

	/* ISB: the counter must not be read ahead of time. */
	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(now)::"memory");
	return now;
}

uint64_t timer_frequency(void)
{
	uint64_t frequency;

	__asm__("mrs %0, cntfrq_el0" : "=r"(frequency));
	return frequency;
}

/* a * b / c, without overflow in between as long as b and c are frequencies. */
static uint64_t scale(uint64_t a, uint64_t b, uint64_t c)
{
	return a / c * b + a % c * b / c;
}

uint64_t timer_ticks(uint64_t ns)
{
	return scale(ns, timer_frequency(), NS_PER_SECOND);
}

uint64_t timer_ns(uint64_t ticks)
{
	return scale(ticks, NS_PER_SECOND, timer_frequency());
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a | b;
	return a < b ? a : b;
}

static void program(const struct cpu *cpu)
{
	uint64_t when = earlier(cpu->timer_at, cpu->wake_at);

	__asm__ volatile("msr cntv_cval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(when),
			 "r"(when ? 1ul : 0ul)
			 : "memory");
}

static void timer_interrupt(uint32_t intid, void *arg)
{
	struct cpu *cpu = cpu_self();
	uint64_t now = timer_now();
	bool due = cpu->timer_at && now >= cpu->timer_at;

	(void)intid;
	(void)arg;
	if (cpu->wake_at && now >= cpu->wake_at)
		cpu->wake_at = 0;
	if (due)
		cpu->timer_at = 0;
	program(cpu);
	if (due)
		cpu->timer_fn(cpu->timer_arg);
}

void timer_set(uint64_t ticks, void (*fn)(void *arg), void *arg)
{
	uint64_t flags = irq_save();
	struct cpu *cpu = cpu_self();

	cpu->timer_at = fn ? ticks : 0;
	cpu->timer_fn = fn;
	cpu->timer_arg = arg;
	program(cpu);
	irq_restore(flags);
}

void timer_sleep(uint64_t deadline)
{
	struct cpu *cpu = cpu_self();

	if (cpu->wake_at != deadline) {
		cpu->wake_at = deadline;
		program(cpu);
	}
	__asm__ volatile("dsb sy\n\twfi" ::: "memory");
}

void timer_cpu_init(void)
{
	program(cpu_self());
	irq_handle(INTID_TIMER, timer_interrupt, NULL);
}
