/*
 * Saving, loading and looking at a virtual CPU (vcpu.h).
 *
 * Owns: which vCPU's FP/SIMD registers are in the unit of each core, and which vCPU of each VM left
 * its translations in the TLB of each core.
 */
#include "arch/arm64/vcpu.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/extensions.h"
#include "arch/arm64/layout.h"
#include "arch/arm64/vcpu_pairs.h"
#include "core/base/string.h"

#define GUEST_HCR                                                                                \
	(HCR_RW | HCR_TSW | HCR_TACR | HCR_TIDCP | HCR_TSC | HCR_TID3 | HCR_BSU_INNER | HCR_FB | \
	 HCR_AMO | HCR_IMO | HCR_FMO | HCR_VM | HCR_TLOR | HCR_TERR)
#define GUEST_CPTR (CPTR_RES1 | CPTR_TZ | CPTR_TTA | CPTR_TAM)

/* SCTLR_EL1: RES1 bits, MMU and caches off, little-endian. DDI 0487 D19.2.123. */
#define SCTLR_EL1_RESET 0x30d00980ul

static struct arch_vcpu *fp_owner[MAX_PCPUS];
/* By VMID; the lower half of a vCPU's address, for the heap is smaller than that tells apart. */
static u32 tlb_owner[MAX_PCPUS][MAX_VMS + 1];

/* fp.S */
void fp_save(struct fp_state *state);
void fp_load(const struct fp_state *state);
/* entry.S */
void entry_forget(const struct arch_vcpu *vcpu);

/* ---- Saving and loading ---------------------------------------------------------------------- */

RARE void arch_vcpu_init(struct arch_vcpu *vcpu, u32 core, u64 vmpidr, u64 vttbr, bool pmu)
{
	vcpu->core_stack =
		STACK_BASE + (core + 1) * STACK_STRIDE - 16; /* boot.S; entry.S: who is in there */
	vcpu->vmpidr = vmpidr;
	vcpu->vttbr = vttbr;
	vcpu->hcr = GUEST_HCR;
	vcpu->mdcr = MDCR_TRAPS | min(READ_SYSREG(mdcr_el2) & MDCR_HPMN, (u64)PMU_COUNTERS);
	if (pmu)
		extensions_give_pmu(vcpu);
}

RARE void arch_vcpu_reset(struct arch_vcpu *vcpu, u64 entry, u64 context)
{
	struct arch_vcpu kept = *vcpu;

	arch_vcpu_drop_fp(vcpu);
	entry_forget(vcpu);
	memset(vcpu, 0, sizeof(*vcpu));
	vcpu->core_stack = kept.core_stack;
	vcpu->vmpidr = kept.vmpidr;
	vcpu->vttbr = kept.vttbr;
	vcpu->hcr = kept.hcr & ~(HCR_APK | HCR_API);
	vcpu->mdcr = kept.mdcr;
	vcpu->uses = kept.uses & USES_PMU;
	vcpu->debug.lock = 1;
	vcpu->x[0] = context;
	vcpu->elr = entry;
	vcpu->spsr = SPSR_EL1H | SPSR_DAIF;
	vcpu->sctlr_el1 = SCTLR_EL1_RESET;
	list_regs_reset(&vcpu->list_regs);
}

bool arch_vcpu_save(struct arch_vcpu *vcpu)
{
	SAVE(elr, elr_el2, spsr, spsr_el2);
	SAVE(sp_el0, sp_el0, sp_el1, sp_el1);
	SAVE(elr_el1, elr_el1, spsr_el1, spsr_el1);
	SAVE(esr_el1, esr_el1, far_el1, far_el1);
	SAVE(afsr0_el1, afsr0_el1, afsr1_el1, afsr1_el1);
	SAVE(vbar_el1, vbar_el1, sctlr_el1, sctlr_el1);
	SAVE(cpacr_el1, cpacr_el1, tcr_el1, tcr_el1);
	SAVE(ttbr0_el1, ttbr0_el1, ttbr1_el1, ttbr1_el1);
	SAVE(mair_el1, mair_el1, amair_el1, amair_el1);
	SAVE(contextidr_el1, contextidr_el1, tpidr_el0, tpidr_el0);
	SAVE(tpidrro_el0, tpidrro_el0, tpidr_el1, tpidr_el1);
	SAVE(par_el1, par_el1, csselr_el1, csselr_el1);
	vcpu->cntkctl_el1 = READ_SYSREG(cntkctl_el1);
	SAVE(cntv_ctl, cntv_ctl_el0, cntv_cval, cntv_cval_el0);
	WRITE_SYSREG(cntv_ctl_el0, 0);
	if (vcpu->uses)
		extensions_save(vcpu);
	if (!cpu_take_serror())
		return false;
	/* As if the guest had just been left for it. */
	WRITE_SYSREG(elr_el2, vcpu->elr);
	WRITE_SYSREG(spsr_el2, vcpu->spsr);
	return true;
}

/*
 * vCPUs of one VM have the VMID in common, but each is a PE with translations of its own: the same
 * ASID may mean other tables. So one does not follow another on a core with what that left in the
 * TLB.
 */
static void own_tlb(const struct arch_vcpu *vcpu)
{
	u32 *owner = &tlb_owner[cpu_index()][vcpu->vttbr >> 48], mine = (u32)(u64)vcpu;

	if (*owner && *owner != mine) {
		tlbi(vmalle1);
		ic(iallu);
		dsb(nsh);
		isb();
	}
	*owner = mine;
}

void arch_vcpu_load(struct arch_vcpu *vcpu)
{
	bool owns_fp = fp_owner[cpu_index()] == vcpu;

	LOAD(elr_el2, elr, spsr_el2, spsr);
	LOAD(sp_el0, sp_el0, sp_el1, sp_el1);
	LOAD(elr_el1, elr_el1, spsr_el1, spsr_el1);
	LOAD(esr_el1, esr_el1, far_el1, far_el1);
	LOAD(afsr0_el1, afsr0_el1, afsr1_el1, afsr1_el1);
	LOAD(vbar_el1, vbar_el1, sctlr_el1, sctlr_el1);
	LOAD(cpacr_el1, cpacr_el1, tcr_el1, tcr_el1);
	LOAD(ttbr0_el1, ttbr0_el1, ttbr1_el1, ttbr1_el1);
	LOAD(mair_el1, mair_el1, amair_el1, amair_el1);
	LOAD(contextidr_el1, contextidr_el1, tpidr_el0, tpidr_el0);
	LOAD(tpidrro_el0, tpidrro_el0, tpidr_el1, tpidr_el1);
	LOAD(par_el1, par_el1, csselr_el1, csselr_el1);
	WRITE_SYSREG(cntkctl_el1, vcpu->cntkctl_el1);
	LOAD(cntv_cval_el0, cntv_cval, cntv_ctl_el0, cntv_ctl);
	LOAD(vmpidr_el2, vmpidr, hcr_el2, hcr);
	LOAD(mdcr_el2, mdcr, vttbr_el2, vttbr);
	WRITE_SYSREG(cptr_el2, GUEST_CPTR | (owns_fp ? 0 : CPTR_TFP));
	isb();
	if (vcpu->uses)
		extensions_load(vcpu);
	own_tlb(vcpu);
}

void arch_vcpu_take_fp(struct arch_vcpu *vcpu)
{
	struct arch_vcpu **owner = &fp_owner[cpu_index()];

	WRITE_SYSREG(cptr_el2, GUEST_CPTR);
	isb();
	if (*owner == vcpu)
		return;
	if (*owner)
		fp_save(&(*owner)->fp);
	fp_load(&vcpu->fp);
	*owner = vcpu;
}

void arch_vcpu_drop_fp(struct arch_vcpu *vcpu)
{
	struct arch_vcpu **owner = &fp_owner[cpu_index()];

	if (*owner == vcpu)
		*owner = 0;
}

void arch_set_wfi_trap(struct arch_vcpu *vcpu, bool trap)
{
	vcpu->hcr = trap ? vcpu->hcr | HCR_TWI : vcpu->hcr & ~HCR_TWI;
}

/* PSTATE at EL1 after an exception: UAO, SS, IL and BTYPE become 0. DDI 0487 D1.3.3. */
static u64 pstate_at_el1(u64 pstate)
{
	u64 control = READ_SYSREG(sctlr_el1);
	u64 taken = (pstate & (SPSR_NZCV | SPSR_DIT | SPSR_PAN)) | SPSR_EL1H | SPSR_DAIF;

	if (!(control & SCTLR_SPAN))
		taken |= SPSR_PAN;
	if (control & SCTLR_DSSBS)
		taken |= SPSR_SSBS;
	return taken;
}

/* DDI 0487 D1.3.4: taking a synchronous exception to EL1. */
static RARE APART void inject(u64 esr)
{
	u64 pstate = READ_SYSREG(spsr_el2);
	u64 vector = READ_SYSREG(vbar_el1);

	if (pstate & SPSR_AARCH32)
		vector += 0x600; /* from EL0, for EL1 is AArch64 */
	else if ((pstate & SPSR_EL) == 0)
		vector += 0x400; /* from EL0 */
	else if (pstate & 1)
		vector += 0x200; /* from EL1h */
	WRITE_SYSREG(esr_el1, esr);
	WRITE_SYSREG(elr_el1, READ_SYSREG(elr_el2));
	WRITE_SYSREG(spsr_el1, pstate);
	WRITE_SYSREG(elr_el2, vector);
	WRITE_SYSREG(spsr_el2, pstate_at_el1(pstate));
}

RARE APART void arch_inject_undefined(void)
{
	/* EC 0: unknown reason, with the IL bit. */
	inject(1ul << 25);
}

RARE APART void arch_inject_abort(bool instruction, u64 far)
{
	bool from_el0 = (READ_SYSREG(spsr_el2) & SPSR_EL) == 0;
	u64 class = (instruction ? 0x20 : 0x24) + (from_el0 ? 0 : 1);
	u64 write = instruction ? 0 : READ_SYSREG(esr_el2) & 1ul << 6; /* WnR of the exit */

	WRITE_SYSREG(far_el1, far);
	inject(class << 26 | 1ul << 25 | write | 0x10); /* synchronous external abort */
}

bool arch_guest_untranslated(void)
{
	return !(READ_SYSREG(sctlr_el1) & 1);
}
