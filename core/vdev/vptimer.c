/* The EL1 physical timer of a vCPU (vptimer.h). Owns: struct vptimer. */
#include "core/vdev/vptimer.h"

#include "arch/arm64/timer.h"
#include "core/vm.h"

#define CTL_ENABLE  1ul
#define CTL_IMASK   2ul
#define CTL_ISTATUS 4ul

enum { TVAL, CTL, CVAL };

/* The line follows the condition, now and when that is met by time alone. */
static void update(struct vcpu *vcpu)
{
	struct vptimer *timer = &vcpu->ptimer;
	bool on = timer->control == CTL_ENABLE, met = timer->deadline <= timer_now();

	if (on && !met)
		timeout_set(&timer->timeout, timer->deadline);
	else
		timeout_cancel(&timer->timeout);
	vgic_set_private(vcpu, TIMER_PHYSICAL_INTID, on && met);
}

static void expired(struct timeout *timeout)
{
	update(container_of(timeout, struct vcpu, ptimer.timeout));
}

void vptimer_init(struct vptimer *timer)
{
	timeout_init(&timer->timeout, expired);
}

/* The line falls, too: it may have gone up while the vCPU was off, or its VM began anew. */
void vptimer_reset(struct vptimer *timer)
{
	timer->control = timer->deadline = 0;
	update(container_of(timer, struct vcpu, ptimer));
}

u64 vptimer_access(struct vcpu *self, u32 op2, bool is_read, u64 value)
{
	struct vptimer *timer = &self->ptimer;
	u64 now = timer_now();

	if (!is_read) {
		if (op2 == CTL)
			timer->control = value & (CTL_ENABLE | CTL_IMASK);
		else
			timer->deadline = op2 == CVAL ? value : now + (u64)(s64)(s32)value;
		update(self);
		return 0;
	}
	if (op2 == CVAL)
		return timer->deadline;
	if (op2 == TVAL)
		return (u32)(timer->deadline - now);
	if (timer->control & CTL_ENABLE && timer->deadline <= now)
		return timer->control | CTL_ISTATUS;
	return timer->control;
}
