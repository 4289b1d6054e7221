/*
 * Why the loaded guest left, and where it was: EL2's exception registers, valid until the next
 * guest entry. Inline, for they are read on every exit. DDI 0487 D19.2.
 */
#pragma once

#include "arch/arm64/sysreg.h"

/* ESR_EL2. */
static inline u64 arch_exit_syndrome(void)
{
	return READ_SYSREG(esr_el2);
}

static inline u64 arch_exit_far(void)
{
	return READ_SYSREG(far_el2);
}

/* Of an abort of stage 2: HPFAR_EL2 bits 43:4 are IPA bits 51:12, the offset is FAR's. */
static inline ipa_t arch_exit_ipa(void)
{
	u64 page = READ_SYSREG(hpfar_el2) >> 4;
	u64 ipa = arch_exit_far() & PAGE_MASK;

	/* The compiler takes an instruction more. */
	__asm__("bfi %0, %1, #12, #40" : "+r"(ipa) : "r"(page));
	return IPA(ipa);
}

static inline u64 arch_guest_pc(void)
{
	return READ_SYSREG(elr_el2);
}

static inline void arch_guest_set_pc(u64 pc)
{
	WRITE_SYSREG(elr_el2, pc);
}

/* Past the trapped instruction, after which PSTATE.BTYPE is 0 as after any other; and if it was a step it is done. */
static inline void arch_guest_skip(void)
{
	u64 pstate = READ_SYSREG(spsr_el2) & ~SPSR_BTYPE;

	arch_guest_set_pc(arch_guest_pc() + 4);
	__asm__("" : "+r"(pstate)); /* or both masks become one that no instruction has in it */
	WRITE_SYSREG(spsr_el2, pstate & ~SPSR_SS);
}

static inline u64 arch_guest_pstate(void)
{
	return READ_SYSREG(spsr_el2);
}
