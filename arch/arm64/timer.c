/* The generic timer (timer.h). DDI 0487 D12. CNTVOFF_EL2 is 0: virtual and physical count agree. */
#include "arch/arm64/timer.h"

#include "arch/arm64/sysreg.h"

#include "core/base/log.h"

#define GUESS_HZ 54000000ul /* the Raspberry Pi 4's */

#define CTL_ENABLE  1ul
#define CTL_IMASK   2ul
#define CTL_ISTATUS 4ul

static u64 frequency; /* written at boot */

void timer_init(u32 tree_hz)
{
	u64 register_hz = READ_SYSREG(cntfrq_el0);

	frequency = tree_hz ? tree_hz : register_hz ? register_hz : GUESS_HZ;
	if (frequency != register_hz)
		log_line("tree: timer: clock-frequency: %lu Hz is %s, for CNTFRQ_EL0 says %lu; "
			 "guests that read it count wrong",
			 frequency, tree_hz ? "taken" : "a guess", register_hz);
}

u64 timer_now(void)
{
	isb();
	return READ_SYSREG(cntpct_el0);
}

u64 timer_frequency(void)
{
	return frequency;
}

u64 timer_from_us(u64 us)
{
	return us / 1000000 * frequency + us % 1000000 * frequency / 1000000;
}

void timer_init_core(void)
{
	WRITE_SYSREG(cnthp_ctl_el2, 0);
	WRITE_SYSREG(cntv_ctl_el0, 0);
	WRITE_SYSREG(cntp_ctl_el0, 0);
	isb();
}

void timer_set_el2(u64 deadline)
{
	if (deadline == UINT64_MAX) {
		WRITE_SYSREG(cnthp_ctl_el2, 0);
		return;
	}
	WRITE_SYSREG(cnthp_cval_el2, deadline);
	WRITE_SYSREG(cnthp_ctl_el2, CTL_ENABLE);
}

struct virtual_timer timer_virtual_read(void)
{
	u64 control = READ_SYSREG(cntv_ctl_el0);

	return (struct virtual_timer){
		.enabled = (control & (CTL_ENABLE | CTL_IMASK)) == CTL_ENABLE,
		.expired = control & CTL_ISTATUS,
		.deadline = READ_SYSREG(cntv_cval_el0),
	};
}
