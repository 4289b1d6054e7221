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

/*
 * What a guest sees is what it may use: this much at most in each field of the feature registers, of CRm 4 to 7 and op2 0
 * to 2. 0 hides a feature; f keeps the field as it is, also where f says that there is none. DDI 0487 D19.2.
 */
static const u64 most[][3] = {
	{
		/* EL0 and EL1 in AArch64 only; FP, GIC, DIT, CSV2 without SCXTNUM_ELx, CSV3. No RAS, SVE, AMU. */
		0xf10f000001ff0011, /* PFR0 */
		0x00000000000000ff, /* PFR1: BT, SSBS. No MTE, SME */
	},
	{
		0x0000000050305806, /* DFR0: debug version 8, points as in vcpu.h, PMU. No trace, no SPE */
	},
	{
		0xfffffffff0ffffff, /* ISAR0: no TME */
		0x0fffffffffffffff, /* ISAR1: no LS64 */
		0x000000000f00fff0, /* ISAR2: RPRES, pointer authentication. No WFxT, MOPS */
	},
	{
		0x00000000ffff0ff2, /* MMFR0: PARange of at most 40 bits. No ECV, FGT */
		0x0000000000f0f0ff, /* MMFR1: access flag, PAN. No VHE, LOR */
		0x0000000f000000ff, /* MMFR2 */
	},
};

#define PFR0_GIC    (0xful << 24)
#define DFR0_PMUVER (0xful << 8)

u64 cpu_id_register(u32 number, bool pmu)
{
	u64 value, limit, seen = 0;

	switch (number) {
	case 4 << 3 | 0:
		value = READ_SYSREG(id_aa64pfr0_el1);
		if (value & PFR0_GIC && !(READ_SYSREG(s3_4_c12_c9_5) & 1)) /* ICC_SRE_EL2 */
			value &= ~PFR0_GIC;
		break;
	case 4 << 3 | 1:
		value = READ_SYSREG(id_aa64pfr1_el1);
		break;
	case 5 << 3 | 0:
		value = READ_SYSREG(id_aa64dfr0_el1) & ~(pmu ? 0 : DFR0_PMUVER);
		break;
	case 6 << 3 | 0:
		value = READ_SYSREG(id_aa64isar0_el1);
		break;
	case 6 << 3 | 1:
		value = READ_SYSREG(id_aa64isar1_el1);
		break;
	case 6 << 3 | 2:
		value = READ_SYSREG(s3_0_c0_c6_2);
		break;
	case 7 << 3 | 0:
		value = READ_SYSREG(id_aa64mmfr0_el1);
		break;
	case 7 << 3 | 1:
		value = READ_SYSREG(id_aa64mmfr1_el1);
		break;
	case 7 << 3 | 2:
		value = READ_SYSREG(id_aa64mmfr2_el1);
		break;
	default: /* AArch32 does not exist, the rest is reserved */
		return 0;
	}
	limit = most[(number >> 3) - 4][number & 7];
	for (u32 field = 0; field < 64; field += 4)
		seen |= min(value >> field & 0xf, limit >> field & 0xf) << field;
	return seen;
}
