/* This core: its index, starting the others, and what it can. Source: cpu.c,
 * secondary.c, boot.S */
#pragma once

#include "core/base/types.h"

#if defined(__aarch64__)
static inline u32 cpu_index(void)
{
	u64 index;

	/* Not volatile: it never changes on a core. */
	__asm__("mrs %0, tpidr_el2" : "=r"(index));
	return (u32)index;
}
#else
u32 cpu_index(void);
#endif
u64 cpu_mpidr(void);

/* Waits for an interrupt or event with interrupts masked (EL2 then polls the GIC). */
void cpu_wait(void);

/*
 * Starts a secondary core by PSCI; it comes up in core_main(). Else firmware's status (DEN 0022
 * 5.2.2), which is negative.
 */
s32 cpu_start_psci(u32 index, u64 mpidr);
/* Starts one that firmware has parked: `release` is its cpu-release-addr, a multiple of 8.
 * Devicetree Specification 0.4, 3.8.1. */
void cpu_start_spin_table(u32 index, pa_t release);

/* Calls firmware (DEN 0022 5): its status, or that of a call that there is not. */
s32 cpu_psci(u64 function, u64 a1, u64 a2, u64 a3);

/* The machine off, by PSCI; returns only if there is none. */
void cpu_power_off(void);
void cpu_use_psci(bool present);

/* A value nobody can guess, mixed from the counter and RNDR where there is one. */
u64 cpu_random(void);

/* Reads a word where perhaps nothing is: false if nothing answers. Boot only. entry.S */
bool cpu_probe(const void *address, u32 *value);

/*
 * Takes the SError that is pending on this core, caused by what ran here up to now; false: none is.
 * ELR, SPSR and TPIDRRO_EL0 are lost, ESR_EL2 tells of it. Anywhere else in EL2 SErrors are masked.
 * entry.S
 */
bool cpu_take_serror(void);

/*
 * ID registers as a guest may see them, which may use performance counters or not: op0 3, op1 0, CRn 0; `number` is
 * CRm << 3 | op2. 0: reserved.
 */
u64 cpu_id_register(u32 number, bool pmu);

/*
 * ID_AA64MMFR0_EL1: TGran16, where 0 says that a core has no such pages, and TGran64, where that is
 * all ones. DDI 0487 D19.2.64.
 */
#define ID_MMFR0     (7u << 3 | 0)
#define MMFR0_16K    (0xful << 20)
#define MMFR0_NO_64K (0xful << 24)

/* Called up on each core after the MMU is on; defined by core/main.c. */
__attribute__((noreturn)) void boot_main(u64 tree);
__attribute__((noreturn)) void core_main(u32 index);
