/*
 * What only some guests use of a core (extensions.h): performance counters, keys of pointer authentication, debug.
 * DDI 0487 D11, D8.10 and D2.
 */
#include "arch/arm64/extensions.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/vcpu_pairs.h"

#define PMCR_ENABLE 1ul /* the other bits that can be written are settings, or 0 when read */

/* ---- Performance counters, DDI 0487 D11 ------------------------------------------------------ */

#define PMU_V3P1 4u
#define PMU_V3P5 6u
#define PMU_OWN	 0xfu /* one of the implementer's own */

/* The counters stand still afterwards. */
static RARE void pmu_save(struct arch_vcpu *vcpu)
{
	struct pmu_state *pmu = &vcpu->pmu;

	pmu->control = READ_SYSREG(pmcr_el0);
	WRITE_SYSREG(pmcr_el0, pmu->control & ~PMCR_ENABLE);
	isb();
	SAVE(pmu.enabled, pmcntenset_el0, pmu.overflowed, pmovsset_el0);
	SAVE(pmu.interrupts, pmintenset_el1, pmu.selected, pmselr_el0);
	SAVE(pmu.user, pmuserenr_el0, pmu.cycles, pmccntr_el0);
	pmu->cycles_filter = READ_SYSREG(pmccfiltr_el0);
	for (u32 n = 0; n < (vcpu->mdcr & MDCR_HPMN); n++) {
		WRITE_SYSREG(pmselr_el0, n);
		isb();
		pmu->count[n] = READ_SYSREG(pmxevcntr_el0);
		pmu->type[n] = READ_SYSREG(pmxevtyper_el0);
	}
}

/* All of the guest's registers, so that it sees nothing of another's; they stood still. */
static RARE void pmu_load(const struct arch_vcpu *vcpu)
{
	const struct pmu_state *pmu = &vcpu->pmu;

	WRITE_SYSREG(pmcr_el0, 0);
	WRITE_SYSREG(pmcntenclr_el0, UINT32_MAX);
	WRITE_SYSREG(pmintenclr_el1, UINT32_MAX);
	WRITE_SYSREG(pmovsclr_el0, UINT32_MAX);
	for (u32 n = 0; n < (vcpu->mdcr & MDCR_HPMN); n++) {
		WRITE_SYSREG(pmselr_el0, n);
		isb();
		WRITE_SYSREG(pmxevcntr_el0, pmu->count[n]);
		WRITE_SYSREG(pmxevtyper_el0, pmu->type[n]);
	}
	WRITE_SYSREG(pmccntr_el0, pmu->cycles);
	WRITE_SYSREG(pmccfiltr_el0, pmu->cycles_filter);
	WRITE_SYSREG(pmuserenr_el0, pmu->user);
	WRITE_SYSREG(pmselr_el0, pmu->selected);
	WRITE_SYSREG(pmovsset_el0, pmu->overflowed);
	WRITE_SYSREG(pmintenset_el1, pmu->interrupts);
	WRITE_SYSREG(pmcntenset_el0, pmu->enabled);
	isb();
	WRITE_SYSREG(pmcr_el0, pmu->control);
}

/*
 * A guest may ask in its filters (NSH) that what is executed at EL2 is counted too. Later cores refuse that to events
 * by one bit, and to cycles by another; on those before them it sees how long its own exits take, which the counter of
 * time tells it anyway, and nothing of other VMs, for no counter runs through a switch.
 */
void extensions_give_pmu(struct arch_vcpu *vcpu)
{
	u64 version = READ_SYSREG(id_aa64dfr0_el1) >> 8 & 0xf;

	if (version == 0 || version == PMU_OWN)
		return;
	vcpu->mdcr &= ~(MDCR_TPM | MDCR_TPMCR);
	if (version >= PMU_V3P1)
		vcpu->mdcr |= MDCR_HPMD;
	if (version >= PMU_V3P5)
		vcpu->mdcr |= MDCR_HCCD;
	vcpu->uses = USES_PMU;
}

/* ---- Keys of pointer authentication ---------------------------------------------------------- */

/* APIA, APIB, APDA, APDB, APGA, low and high: named by number, for assemblers that do not know them. */
#define KEYS(row)                                                                     \
	row(0, s3_0_c2_c1_0, s3_0_c2_c1_1) row(2, s3_0_c2_c1_2, s3_0_c2_c1_3)         \
		row(4, s3_0_c2_c2_0, s3_0_c2_c2_1) row(6, s3_0_c2_c2_2, s3_0_c2_c2_3) \
			row(8, s3_0_c2_c3_0, s3_0_c2_c3_1)

static void keys_save(struct arch_vcpu *vcpu)
{
#define ROW(n, low, high) SAVE(key[n], low, key[n + 1], high);
	KEYS(ROW)
#undef ROW
}

static void keys_load(const struct arch_vcpu *vcpu)
{
#define ROW(n, low, high) LOAD(low, key[n], high, key[n + 1]);
	KEYS(ROW)
#undef ROW
}

RARE APART void arch_vcpu_take_keys(struct arch_vcpu *vcpu)
{
	vcpu->uses |= USES_KEYS;
	vcpu->hcr |= HCR_APK | HCR_API;
	WRITE_SYSREG(hcr_el2, vcpu->hcr);
	keys_load(vcpu); /* or what another VM has left there would be its key */
}

/* ---- Debug ----------------------------------------------------------------------------------- */

/* MDSCR_EL1: what a guest may set, and what of it makes exceptions. */
#define MDSCR_SS   1ul
#define MDSCR_TDCC (1ul << 12)
#define MDSCR_KDE  (1ul << 13)
#define MDSCR_MDE  (1ul << 15)
#define MDSCR_ON   (MDSCR_SS | MDSCR_KDE | MDSCR_MDE)

#define OSLSR_OSLM 8ul /* there is an OS lock; bit 1: it is closed */

/* CRn, CRm and op2 of registers with op0 2 and op1 0. */
#define NUMBER(crn, crm, op2) ((crn) << 7 | (crm) << 3 | (op2))
#define MDSCR_EL1	      NUMBER(0, 2, 2)
#define OSLAR_EL1	      NUMBER(1, 0, 4)
#define OSLSR_EL1	      NUMBER(1, 1, 4)

/*
 * Exceptions that these make go to EL1, and are not taken from EL2 (MDCR_EL2.TDE is 0). Of a core that has fewer than
 * six breakpoints or four watchpoints the others are undefined; of one that has more a guest sees these.
 */
static void debug_load(const struct arch_vcpu *vcpu)
{
	const struct debug_state *debug = &vcpu->debug;
	u64 features = READ_SYSREG(id_aa64dfr0_el1);
	/* BRPs and WRPs are one less. */
	u32 points[2] = { (features >> 12 & 0xf) + 1, (features >> 20 & 0xf) + 1 };

#define POINT(kind, n, value, control) \
	if (points[kind] > (n))        \
	LOAD_OF(debug, value, at[kind][n][0], control, at[kind][n][1])
	POINT(0, 0, dbgbvr0_el1, dbgbcr0_el1);
	POINT(0, 1, dbgbvr1_el1, dbgbcr1_el1);
	POINT(0, 2, dbgbvr2_el1, dbgbcr2_el1);
	POINT(0, 3, dbgbvr3_el1, dbgbcr3_el1);
	POINT(0, 4, dbgbvr4_el1, dbgbcr4_el1);
	POINT(0, 5, dbgbvr5_el1, dbgbcr5_el1);
	POINT(1, 0, dbgwvr0_el1, dbgwcr0_el1);
	POINT(1, 1, dbgwvr1_el1, dbgwcr1_el1);
	POINT(1, 2, dbgwvr2_el1, dbgwcr2_el1);
	POINT(1, 3, dbgwvr3_el1, dbgwcr3_el1);
	WRITE_SYSREG(mdscr_el1, debug->lock ? 0 : debug->control & MDSCR_ON);
}

/* Where the value of a register is kept; 0: it reads as zero and ignores what is written. */
static u64 *debug_register(struct debug_state *debug, u32 number)
{
	if (number == MDSCR_EL1)
		return &debug->control;
	if (number == OSLAR_EL1)
		return &debug->lock;
	if (number & 4 && number < NUMBER(0, DEBUG_POINTS, 0))
		return &debug->at[number >> 1 & 1][number >> 3 & (DEBUG_POINTS - 1)][number & 1];
	return 0;
}

RARE APART u64 arch_vcpu_debug(struct arch_vcpu *vcpu, u32 number, bool is_read, u64 value)
{
	struct debug_state *debug = &vcpu->debug;
	u64 *kept = debug_register(debug, number);

	if (number == OSLSR_EL1)
		return OSLSR_OSLM | debug->lock << 1;
	if (!kept)
		return 0;
	if (is_read)
		return *kept;
	*kept = value;
	debug->control &= MDSCR_ON | MDSCR_TDCC;
	debug->lock &= 1;
	vcpu->uses &= ~USES_DEBUG;
	if (debug->control & MDSCR_ON)
		vcpu->uses |= USES_DEBUG;
	debug_load(vcpu);
	return 0;
}

/* ---- All of them ----------------------------------------------------------------------------- */

RARE APART void extensions_save(struct arch_vcpu *vcpu)
{
	if (vcpu->uses & USES_PMU)
		pmu_save(vcpu);
	if (vcpu->uses & USES_KEYS)
		keys_save(vcpu);
	if (vcpu->uses & USES_DEBUG)
		WRITE_SYSREG(mdscr_el1, 0);
}

RARE APART void extensions_load(const struct arch_vcpu *vcpu)
{
	if (vcpu->uses & USES_PMU)
		pmu_load(vcpu);
	if (vcpu->uses & USES_KEYS)
		keys_load(vcpu);
	if (vcpu->uses & USES_DEBUG)
		debug_load(vcpu);
}
