/*
 * The EL1 physical timer (CNTP), which each vCPU has beside the virtual one (CNTV): emulated, for the machine's is left
 * alone and its registers trap, so that guests that have no use for it pay nothing. Its line is PPI 30. DDI 0487 D12.2.
 * Source: vptimer.c
 */
#pragma once

#include "core/timeout.h"

struct vcpu;

/* Owned by the vCPU's core. */
struct vptimer {
	u64 control; /* ENABLE and IMASK */
	u64 deadline;
	struct timeout timeout; /* until the line goes up */
};

/* Boot only. */
void vptimer_init(struct vptimer *timer);
/* On the core of the vCPU, which is about to start. */
void vptimer_reset(struct vptimer *timer);

/* Registers of the loaded vCPU by op2: TVAL, CTL, CVAL. What is read. */
u64 vptimer_access(struct vcpu *self, u32 op2, bool is_read, u64 value);
