/*
 * The life of a vCPU: from start.S to main, starting others, power off.
 *
 * Owns: struct cpu of each vCPU, the stacks of all but the first, which are there from its first start on.
 */
#include "guests/lib/runtime.h"

/* PSCI (ARM DEN 0022), by HVC as weir_call does it. */
#define PSCI_CPU_OFF	0x84000002u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_CPU_ON	0xc4000003u

static struct cpu cpus[CPUS_MAX];

static struct cpu_start starts[CPUS_MAX];

uint32_t cpu_index(void)
{
	return cpu_self()->index;
}

/* Affinity 0 counts to 15, then affinity 1. */
static uint64_t mpidr_of(uint32_t index)
{
	return (index & 15) | (uint64_t)(index >> 4) << 8;
}

void cpu_setup(struct cpu *cpu, uint32_t index)
{
	cpu->index = index;
	cpu->current = &cpu->first;
	cpu->upcall_services = 0;
	cpu->timer_at = 0;
	cpu->wake_at = 0;
	task_init(&cpu->first);
	__asm__ volatile("msr tpidr_el1, %0" ::"r"(cpu));
}

static void cpu_off(void)
{
	irq_save();
	weir_call(PSCI_CPU_OFF, 0, 0, 0, 0, 0, 0);
}

void power_off(void)
{
	weir_call(PSCI_SYSTEM_OFF, 0, 0, 0, 0, 0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

int64_t cpu_start(uint32_t index, void (*run)(void *arg), void *arg)
{
	struct cpu_start *start = &starts[index < CPUS_MAX ? index : 0];
	uint8_t *stacks;

	if (index >= CPUS_MAX)
		return -2; /* PSCI's INVALID_PARAMETERS */
	if (!start->stack_top) {
		stacks = memory_pages((IRQ_STACK_BYTES + ENTRY_STACK_BYTES) / PAGE_SIZE);
		if (!stacks)
			return -6; /* PSCI's INTERNAL_FAILURE */
		start->irq_stack_top = (uint64_t)(stacks + IRQ_STACK_BYTES);
		start->stack_top = start->irq_stack_top + ENTRY_STACK_BYTES;
	}
	start->cpu = &cpus[index];
	start->run = run;
	start->arg = arg;
	__asm__ volatile("dsb ish" ::: "memory"); /* before the other vCPU can read it */
	return weir_call(PSCI_CPU_ON, mpidr_of(index), (uint64_t)secondary_start, (uint64_t)start,
			 0, 0, 0)
		.status;
}

static void enable_all(struct cpu *cpu)
{
	gic_cpu_init();
	timer_cpu_init();
	weir_cpu_init(cpu);
	irq_restore(0);
}

void guest_main(const void *tree)
{
	cpu_setup(&cpus[0], 0);
	uart_init();
	memory_init(tree);
	gic_init();
	weir_init();
	enable_all(&cpus[0]);
	main();
	power_off();
}

void cpu_main(struct cpu_start *start)
{
	cpu_setup(start->cpu, (uint32_t)(start->cpu - cpus));
	enable_all(start->cpu);
	start->run(start->arg);
	cpu_off();
	power_off(); /* CPU_OFF does not return */
}
