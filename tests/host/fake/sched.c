/* The scheduler as those who wake and kick see it. */
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "core/sched.h"

#define CALLS 256

static struct vcpu *current;
static struct {
	enum fake_sched_call call;
	const struct vcpu *vcpu;
} calls[CALLS];
static u32 count;
static bool again[MAX_PCPUS];

static void record(enum fake_sched_call call, const struct vcpu *vcpu)
{
	assert_true(count < CALLS);
	calls[count].call = call;
	calls[count++].vcpu = vcpu;
}

struct vcpu *sched_current(void)
{
	return current;
}

void sched_wake(struct vcpu *vcpu)
{
	record(FAKE_WAKE, vcpu);
}

void sched_kick(struct vcpu *vcpu)
{
	record(FAKE_KICK, vcpu);
}

void sched_start(struct vcpu *vcpu)
{
	record(FAKE_START, vcpu);
}

void sched_again(void)
{
	again[cpu_index()] = true;
}

bool fake_sched_again(void)
{
	bool was = again[cpu_index()];

	again[cpu_index()] = false;
	return was;
}

bool sched_stop(struct vcpu *vcpu, bool ending __attribute__((unused)))
{
	record(FAKE_STOP, vcpu);
	return true;
}

void fake_sched_reset(void)
{
	current = 0;
	count = 0;
}

void fake_sched_set_current(struct vcpu *vcpu)
{
	current = vcpu;
}

u32 fake_sched_count(enum fake_sched_call call, const struct vcpu *vcpu)
{
	u32 found = 0;

	for (u32 i = 0; i < count; i++)
		found += calls[i].call == call && (!vcpu || calls[i].vcpu == vcpu);
	return found;
}
