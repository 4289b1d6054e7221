/*
 * The CPU side of a virtual CPU: what entry.S and the switch save and load.
 *
 * Owner: the core that the vCPU is pinned to. While the guest runs, SP_EL2 points at its struct
 * arch_vcpu, so entry.S stores general registers without a scratch register. ELR and SPSR stay in
 * the hardware from entry to exit (EL2 is not re-entered) and are saved only at a switch.
 */
#pragma once

#include "arch/arm64/list_regs.h"
#include "core/base/types.h"

struct fp_state {
	u64 q[64]; /* q0..q31 */
	u64 fpsr, fpcr;
} __attribute__((aligned(16)));

#define PMU_COUNTERS 8u /* event counters that a guest has at most */

struct pmu_state {
	u64 control, enabled, overflowed, interrupts, selected, user;
	u64 cycles, cycles_filter;
	u64 count[PMU_COUNTERS], type[PMU_COUNTERS];
};

#define DEBUG_POINTS 8u /* breakpoints, or watchpoints, that are kept: more than a guest has */

/* As the guest wrote them; BVR and BCR, or WVR and WCR, are side by side. */
struct debug_state {
	u64 control, lock; /* MDSCR_EL1; bit 0: the OS lock is closed */
	u64 at[2][DEBUG_POINTS][2];
};

/* extensions.h */
#define USES_PMU   1ul
#define USES_KEYS  2ul
#define USES_DEBUG 4ul

struct arch_vcpu {
	u64 x[31]; /* x12..x15, x18..x29 are stale from entry to a switch, but in trap_sync() */
	u64 core_stack; /* where the core's EL2 stack begins; the word there is entry.S's */
	/* From here on: valid while another vCPU is loaded on the core. */
	u64 elr, spsr;
	u64 sp_el0, sp_el1, elr_el1, spsr_el1, esr_el1, far_el1, afsr0_el1, afsr1_el1;
	u64 vbar_el1, sctlr_el1, cpacr_el1, tcr_el1, ttbr0_el1, ttbr1_el1, mair_el1, amair_el1;
	u64 contextidr_el1, tpidr_el0, tpidrro_el0, tpidr_el1, par_el1, csselr_el1;
	u64 cntkctl_el1, cntv_ctl, cntv_cval;
	/* Set by core: loaded with the vCPU. */
	u64 vmpidr, hcr, mdcr, vttbr;
	u64 uses; /* extensions that are switched for it, USES_ */
	struct list_regs list_regs;
	struct pmu_state pmu; /* only if the VM may use it */
	u64 key[10]; /* of pointer authentication: APIA, APIB, APDA, APDB, APGA, low and high */
	struct debug_state debug;
	struct fp_state fp;
} __attribute__((aligned(16)));

/* Once: what stays through every reset. `core` is where the vCPU will run; boot only. */
void arch_vcpu_init(struct arch_vcpu *vcpu, u32 core, u64 vmpidr, u64 vttbr, bool pmu);

/* On its core. Zeroes the registers; the vCPU will start at `entry` at EL1h, MMU off, with x0 = `context`. */
void arch_vcpu_reset(struct arch_vcpu *vcpu, u64 entry, u64 context);

/*
 * Saves what is not in x[] of the vCPU that ran on this core; loads another's. True: it has left an
 * SError behind, which is what arch_exit_syndrome() now tells of.
 */
bool arch_vcpu_save(struct arch_vcpu *vcpu);
void arch_vcpu_load(struct arch_vcpu *vcpu);

/* FP/SIMD is switched on first use: called from the FP trap, makes `vcpu` the owner of the unit. */
void arch_vcpu_take_fp(struct arch_vcpu *vcpu);
/* Forgets `vcpu` if it owns the FP unit of this core (it was reset or died). */
void arch_vcpu_drop_fp(struct arch_vcpu *vcpu);

/* Pointer authentication is used for the first time: its keys are the vCPU's from now on. */
void arch_vcpu_take_keys(struct arch_vcpu *vcpu);
/* Debug registers of the loaded vCPU, op0 2 and op1 0: `number` is CRn << 7 | CRm << 3 | op2. What is read. */
u64 arch_vcpu_debug(struct arch_vcpu *vcpu, u32 number, bool is_read, u64 value);

/* Gives the loaded guest the exception that hardware would raise. */
void arch_inject_undefined(void);
void arch_inject_abort(bool instruction, u64 far);

/* The loaded guest's MMU is off: its addresses are IPAs. */
bool arch_guest_untranslated(void);

/* WFI of the loaded vCPU traps only if others share its core. */
void arch_set_wfi_trap(struct arch_vcpu *vcpu, bool trap);

/* Enters a guest for the first time on this core; does not return. */
__attribute__((noreturn)) void arch_enter(struct arch_vcpu *vcpu);

/*
 * Calls up, defined in core/trap.c: entry.S calls one for each exit of `vcpu` and then enters the
 * vCPU that is returned, or `vcpu` again if that is 0.
 */
struct arch_vcpu *trap_hvc(struct arch_vcpu *vcpu, u64 number); /* hvc #0; x0 - WEIR_FN(0) */
struct arch_vcpu *trap_sync(struct arch_vcpu *vcpu);		/* all other synchronous exits */
struct arch_vcpu *trap_irq(struct arch_vcpu *vcpu);
struct arch_vcpu *trap_serror(struct arch_vcpu *vcpu);
/*
 * hvc #0 that sends an event, if its reserved arguments are 0: before anything is saved that it does not
 * use. `handle` is x1. ipc/event_send.c. If it is not done then trap_sent() is called, with x0 to x6 as the
 * guest had them.
 */
enum trap_send { SEND_DONE, SEND_POSTED, SEND_CALL };
u64 trap_send(struct arch_vcpu *vcpu,
	      u64 handle); /* enum trap_send, in all of x0: 0 is what the guest gets */
struct arch_vcpu *trap_sent(struct arch_vcpu *vcpu, enum trap_send how);
__attribute__((noreturn)) void trap_el2(u64 vector, u64 esr, u64 elr, u64 far);
