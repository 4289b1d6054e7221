/* One core, and its random numbers that are not random: a test must be repeatable. */
#include "fake.h"
#include "arch/arm64/cpu.h"

static u32 index_of_core, power_offs;
static u64 random_state = 1;

u32 cpu_index(void)
{
	return index_of_core;
}

u64 cpu_mpidr(void)
{
	return index_of_core;
}

u64 cpu_random(void)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return random_state;
}

void cpu_power_off(void)
{
	power_offs++;
}

void fake_cpu_set_index(u32 index)
{
	index_of_core = index;
}

u32 fake_cpu_power_offs(void)
{
	return power_offs;
}
