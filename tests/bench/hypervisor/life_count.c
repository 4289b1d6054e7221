/*
 * All instructions of a guest's life (life_count.h). Owns: two event counters, `life`, `marks`; one core, no lock.
 */
#include "tests/bench/hypervisor/life_count.h"

#include "arch/arm64/exit.h"
#include "core/base/log.h"
#include "core/base/string.h"

/* PMEVTYPER_EL0 (DDI 0487 D19.5.11): INST_RETIRED at EL0 and EL1; at EL2 only, by P, U and NSH. */
#define EVENT_BELOW 0x00000008ul
#define EVENT_EL2   0xc8000008ul

#define HCR_TPCP  (1ul << 23) /* DDI 0487 D19.2.48: cache maintenance to the point of coherency */
#define ISS_KIND  0x3e3c00u   /* Op0, Op2 and CRn, D19.2.37 */
#define DC_BY_VA  0x121c00u   /* 1, 1 and 7; only those to the point of coherency come here */
#define MARKS_MAX 640u

bool life_alone;

/* From the last step that built the VM to the first that takes it down. */
static struct {
	bool on, over;
	u64 below;		   /* EL0 and EL1 */
	u64 el2_before, el2_after; /* EL2, at the beginning and at the end */
} life;

static struct mark {
	u64 number, below, el2;
} marks[MARKS_MAX];
static u32 mark_count;

static void start(struct vm *vm)
{
	life_alone = strcmp(vm->config->name, "linux") == 0;
	if (life_alone && vm->config->disk_count) { /* it marks; its vCPU may be loaded already */
		vm->vcpu[0]->arch.hcr |= HCR_TPCP;
		WRITE_SYSREG(hcr_el2, READ_SYSREG(hcr_el2) | HCR_TPCP);
	}
	WRITE_SYSREG(pmevtyper0_el0, EVENT_BELOW);
	WRITE_SYSREG(pmevtyper1_el0, EVENT_EL2);
	WRITE_SYSREG(pmcntenset_el0, 3ul);
	WRITE_SYSREG(pmcr_el0, 3ul); /* E, and P: from 0 */
	isb();
	life.on = true;
}

void life_before_step(struct vm *vm)
{
	if (!life.on)
		start(vm);
	life.below = life.over ? life.below : READ_SYSREG(pmevcntr0_el0);
	if (!life.below || life.over)
		return;
	life.el2_after = READ_SYSREG(pmevcntr1_el0);
	life.over = true;
}

void life_behind_step(void)
{
	if (!life.over)
		life.el2_before = READ_SYSREG(pmevcntr1_el0);
}

bool life_mark(struct arch_vcpu *arch)
{
	u64 syndrome = arch_exit_syndrome();
	struct mark *mark = &marks[mark_count % MARKS_MAX];

	if ((syndrome & ISS_KIND) != DC_BY_VA)
		return false;
	arch_guest_skip();
	if (arch_guest_pstate() & SPSR_EL)
		return true;
	*mark = (struct mark){ arch->x[0], READ_SYSREG(pmevcntr0_el0), READ_SYSREG(pmevcntr1_el0) };
	mark_count++;
	return true;
}

void life_report(void)
{
	for (u32 i = 0; i < min(mark_count, MARKS_MAX); i++)
		log_line("mark %lx %lx %lx", marks[i].number, marks[i].below, marks[i].el2);
	log_line("counted %lx %lx", life.below, life.el2_after - life.el2_before);
}
