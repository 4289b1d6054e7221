/* Between the files of the runtime; a guest does not see it. */
#pragma once

#include "guests/lib/guest.h"

#define ENTRY_STACK_BYTES 8192u /* of a secondary vCPU: its first task */
#define IRQ_STACK_BYTES	  4096u

#define GICD_BASE 0x08000000ul
#define GICC_BASE 0x08010000ul
#define GICR_BASE 0x080a0000ul
#define UART_BASE 0x09000000ul

/* Of one vCPU; TPIDR_EL1 points here. */
struct cpu {
	uint32_t index;
	struct task *current;
	struct task first; /* main, or what cpu_start was given */
	struct weir_pages pages;
	uint64_t upcall_services;
	uint64_t timer_at, wake_at; /* in ticks; 0: not set. wake_at is the idle loop's */
	void (*timer_fn)(void *arg);
	void *timer_arg;
};

static inline struct cpu *cpu_self(void)
{
	struct cpu *cpu;

	__asm__("mrs %0, tpidr_el1" : "=r"(cpu));
	return cpu;
}

/*
 * What starts a vCPU: read with the MMU on, by start.S too (SP_EL1, SP_EL0, then cpu_main). It is
 * written by another vCPU, in memory that both have cached.
 */
struct cpu_start {
	uint64_t irq_stack_top, stack_top;
	struct cpu *cpu;
	void (*run)(void *arg);
	void *arg;
};

void guest_main(const void *tree) __attribute__((noreturn));
void cpu_main(struct cpu_start *start) __attribute__((noreturn));
void cpu_setup(struct cpu *cpu, uint32_t index);
void secondary_start(void); /* start.S */

/* Runs with the MMU off: touches nothing but the tables. */
void mmu_build(void);
void memory_init(const void *tree);
void memory_limit(uint64_t end);

void uart_init(void);
void console_unlock(void); /* whoever holds it: the guest is about to end */
void gic_init(void);	   /* once */
void gic_cpu_init(void);   /* on each vCPU */
void irq_dispatch(void);
void exception_report(struct exception *exception, uint64_t vector);

/* WFI until an interrupt or the deadline; interrupts are masked. */
void timer_cpu_init(void);
void timer_sleep(uint64_t deadline);

void task_init(struct task *task);
void task_switch(uint64_t *save_sp, uint64_t sp); /* switch.S */
void task_entry(void);				  /* switch.S */

void weir_init(void);
void weir_cpu_init(struct cpu *cpu);

/*
 * Spin locks of the runtime: interrupts are masked while one is held. A guest's lock contention is
 * between its own vCPUs only, so a test-and-set lock is enough.
 */
struct guest_lock {
	bool taken;
};

static inline uint64_t guest_lock(struct guest_lock *lock)
{
	uint64_t flags = irq_save();

	while (__atomic_test_and_set(&lock->taken, __ATOMIC_ACQUIRE))
		__asm__ volatile("yield");
	return flags;
}

static inline void guest_unlock(struct guest_lock *lock, uint64_t flags)
{
	__atomic_clear(&lock->taken, __ATOMIC_RELEASE);
	irq_restore(flags);
}

static inline uint8_t mmio_read8(uint64_t address)
{
	return *(volatile uint8_t *)address;
}

static inline uint32_t mmio_read32(uint64_t address)
{
	return *(volatile uint32_t *)address;
}

static inline uint64_t mmio_read64(uint64_t address)
{
	return *(volatile uint64_t *)address;
}

static inline void mmio_write8(uint64_t address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

static inline void mmio_write32(uint64_t address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

static inline void mmio_write64(uint64_t address, uint64_t value)
{
	*(volatile uint64_t *)address = value;
}
