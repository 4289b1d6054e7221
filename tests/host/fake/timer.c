/* A clock that stands still until the test moves it. */
#include "fake.h"

static u64 now, el2_deadline = UINT64_MAX;
static struct virtual_timer virtual_timer;

u64 timer_now(void)
{
	return now;
}

u64 timer_frequency(void)
{
	return 1000000000;
}

u64 timer_from_us(u64 us)
{
	return us * 1000;
}

void timer_init_core(void)
{
	el2_deadline = UINT64_MAX;
}

void timer_set_el2(u64 deadline)
{
	el2_deadline = deadline;
}

struct virtual_timer timer_virtual_read(void)
{
	return virtual_timer;
}

void fake_timer_set(u64 ticks)
{
	now = ticks;
}

u64 fake_timer_el2_deadline(void)
{
	return el2_deadline;
}

void fake_timer_set_virtual(struct virtual_timer timer)
{
	virtual_timer = timer;
}
