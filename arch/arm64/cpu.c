/* This core, its neighbours and its identification (cpu.h). */
#include "arch/arm64/cpu.h"

#include "arch/arm64/sysreg.h"

/* Arm DEN 0022 (PSCI) 5.1. */
#define PSCI_SYSTEM_OFF 0x84000008u

#define PSCI_NOT_SUPPORTED (-1)

static bool have_psci;

u64 cpu_mpidr(void)
{
	return READ_SYSREG(mpidr_el1) & 0xff00fffffful;
}

void cpu_wait(void)
{
	dsb(sy);
	__asm__ volatile("wfi" ::: "memory");
}

/*
 * Firmware may spoil x12..x15, too, which are a guest's (entry.S): it is called before the first guest
 * of a core, and to turn the machine off.
 */
static u64 smc(u64 function, u64 a1, u64 a2, u64 a3)
{
	register u64 x0 __asm__("x0") = function;
	register u64 x1 __asm__("x1") = a1;
	register u64 x2 __asm__("x2") = a2;
	register u64 x3 __asm__("x3") = a3;

	__asm__ volatile("smc #0"
			 : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
			 :
			 : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x16", "x17",
			   "memory");
	return x0;
}

void cpu_use_psci(bool present)
{
	have_psci = present;
}

s32 cpu_psci(u64 function, u64 a1, u64 a2, u64 a3)
{
	return have_psci ? (s32)smc(function, a1, a2, a3) : PSCI_NOT_SUPPORTED;
}

void cpu_power_off(void)
{
	cpu_psci(PSCI_SYSTEM_OFF, 0, 0, 0);
}

u64 cpu_random(void)
{
	static u64 state;
	bool rndr = READ_SYSREG(id_aa64isar0_el1) >> 60;
	u64 word = READ_SYSREG(cntpct_el0);

	if (rndr)
		word ^= READ_SYSREG(s3_3_c2_c4_0); /* RNDR; 0 on failure, then the counter stays */
	/* SplitMix64's finaliser, over everything that came before. */
	state += word ^ 0x9e3779b97f4a7c15ul;
	word = state;
	word = (word ^ word >> 30) * 0xbf58476d1ce4e5b9ul;
	word = (word ^ word >> 27) * 0x94d049bb133111ebul;
	return word ^ word >> 31;
}

#define PA_RANGE_40 2ul

#define KEEP(low, bits) (((1ul << (bits)) - 1) << (low))

/* DDI 0487 D19.2: what a guest sees is what it may use. */
static u64 processor_features0(u64 value)
{
	u64 seen = 0x11; /* EL0 and EL1 in AArch64 only; no EL2, no EL3 */

	/*
	 * FP and AdvSIMD as they are, the GIC's system registers as set up, DIT, CSV3; CSV2 without
	 * SCXTNUM_ELx, which is trapped.
	 */
	seen |= value & (KEEP(16, 4) | KEEP(20, 4) | KEEP(48, 4) | KEEP(60, 4));
	seen |= min(value >> 56 & 0xf, 1ul) << 56;
	if ((value >> 24 & 0xf) && READ_SYSREG(s3_4_c12_c9_5) & 1) /* ICC_SRE_EL2 */
		seen |= 1ul << 24;
	return seen;
}

u64 cpu_id_register(u32 crm, u32 op2)
{
	u64 value;

	switch (crm << 3 | op2) {
	case 4 << 3 | 0:
		return processor_features0(READ_SYSREG(id_aa64pfr0_el1));
	case 4 << 3 | 1: /* PFR1: BT and SSBS; no MTE, no SME */
		return READ_SYSREG(id_aa64pfr1_el1) & (KEEP(0, 4) | KEEP(4, 4));
	case 5 << 3 | 0: /* DFR0: debug version 8, breakpoints and watchpoints; no PMU, no trace */
		return (READ_SYSREG(id_aa64dfr0_el1) & (KEEP(12, 4) | KEEP(20, 4) | KEEP(28, 4))) |
		       6;
	case 6 << 3 | 0: /* ISAR0: all but TME and RNDR's neighbours that trap nothing */
		return READ_SYSREG(id_aa64isar0_el1) & ~KEEP(24, 4);
	case 6 << 3 | 1: /* ISAR1: no pointer authentication: its keys are not switched */
		return READ_SYSREG(id_aa64isar1_el1) &
		       ~(KEEP(4, 4) | KEEP(8, 4) | KEEP(24, 4) | KEEP(28, 4) | KEEP(60, 4));
	case 6 << 3 | 2: /* ISAR2: no APA3, GPA3, WFxT, MOPS */
		return READ_SYSREG(s3_0_c0_c6_2) & KEEP(4, 4);
	case 7 << 3 | 0: /* MMFR0: PARange of at most 40 bits; no 16 KiB/64 KiB stage 2 */
		value = READ_SYSREG(id_aa64mmfr0_el1);
		return (value & (KEEP(4, 8) | KEEP(16, 16))) | min(value & 0xf, PA_RANGE_40);
	case 7 << 3 | 1: /* MMFR1: access flag, PAN, XNX; no VHE, no LOR */
		return READ_SYSREG(id_aa64mmfr1_el1) & (KEEP(0, 8) | KEEP(12, 4) | KEEP(20, 4));
	case 7 << 3 | 2:
		return READ_SYSREG(id_aa64mmfr2_el1) & (KEEP(0, 8) | KEEP(32, 4));
	default: /* AArch32 does not exist, the rest is reserved */
		return 0;
	}
}
