/* The exit that the test describes; the PC is also where the guest would go on. */
#include "fake.h"
#include "arch/arm64/exit.h"
#include "core/sched.h"

struct fake_exit fake_exit;

/* With the block service: time of interrupts is nobody's, and no vCPU has a budget. */
__attribute__((weak)) void sched_lent(u64 ticks)
{
	(void)ticks;
}

__attribute__((weak)) u64 sched_spend(struct vcpu *vcpu, u64 ticks)
{
	(void)vcpu;
	(void)ticks;
	return 0;
}

u64 arch_exit_syndrome(void)
{
	return fake_exit.syndrome;
}

u64 arch_exit_far(void)
{
	return fake_exit.far;
}

ipa_t arch_exit_ipa(void)
{
	return fake_exit.ipa;
}

u64 arch_guest_pc(void)
{
	return fake_exit.pc;
}

void arch_guest_set_pc(u64 pc)
{
	fake_exit.pc = pc;
}

void arch_guest_skip(void)
{
	fake_exit.pc += 4;
}

u64 arch_guest_pstate(void)
{
	return fake_exit.pstate;
}
