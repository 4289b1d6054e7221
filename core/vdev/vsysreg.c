/*
 * Trapped system registers (vsysreg.h). Everything hot is not trapped: arch/arm64/vcpu.c says what
 * is. The syndrome's form: DDI 0487 D19.2.37, EC 0x18.
 */
#include "core/vdev/vsysreg.h"

#include "arch/arm64/cpu.h"
#include "core/vdev/vptimer.h"
#include "drivers/gic.h"

/* The instruction's own number for a register. */
#define REGISTER(op0, op1, crn, crm, op2) \
	((u32)(op0) << 14 | (u32)(op1) << 11 | (u32)(crn) << 7 | (u32)(crm) << 3 | (u32)(op2))

enum action { NOTHING, TIMER, FEATURE, DEBUG, DEACTIVATE, FIXED, KEY, CORES, PERIPHERALS };

/* May be read, may be written; of GICv3 only. */
enum { R = 1, W = 2, V3 = 4 };

static const struct {
	u16 mask, number;
	u8 action, may;
} registers[] = {
	{ 0xffc0, REGISTER(3, 0, 0, 0, 0), FEATURE, R },
	/* AP*KEY*_EL1 trap only where there are some, and only until they are used. */
	{ 0xfff8, REGISTER(3, 0, 2, 1, 0), KEY, R | W },
	{ 0xfff0, REGISTER(3, 0, 2, 2, 0), KEY, R | W },
	{ 0xfffc, REGISTER(3, 3, 14, 2, 0), TIMER, R | W }, /* CNTP_TVAL_EL0, _CTL_, _CVAL_ */
	{ 0xf800, REGISTER(2, 0, 0, 0, 0), DEBUG, R | W },
	/* Of debug all else reads as zero. */
	{ 0xc000, REGISTER(2, 0, 0, 0, 0), NOTHING, R | W },
	{ 0xffff, REGISTER(3, 0, 12, 11, 1), DEACTIVATE, W | V3 }, /* ICC_DIR_EL1 */
	/* ICC_ASGI1R_EL1: one security state, so there is no other to send to. */
	{ 0xffff, REGISTER(3, 0, 12, 11, 6), NOTHING, W | V3 },
	/* ICC_SRE_EL1 traps where ICC_SRE_EL2.Enable is 0: who could clear SRE would clear it for the next vCPU. */
	{ 0xffff, REGISTER(3, 0, 12, 12, 5), FIXED, R | W | V3 },
	{ 0xffff, REGISTER(3, 0, 1, 0, 1), NOTHING, R | W }, /* ACTLR_EL1 */
	/*
	 * The implementation's: op1 0 to 3, CRn 11 and 15. Kernels touch them before they ask which core it is, and EL2 is
	 * not told which of them its core has: so where QEMU's virt has one it answers as there, and no other is undefined.
	 */
	{ 0xffff, REGISTER(3, 1, 11, 0, 2), CORES, R | W },   /* L2CTLR_EL1 */
	{ 0xffff, REGISTER(3, 1, 15, 3, 0), PERIPHERALS, R }, /* CBAR_EL1 */
	{ REGISTER(3, 4, 11, 0, 0), REGISTER(3, 0, 11, 0, 0), NOTHING, R | W },
	/*
	 * Cache maintenance by set/way. It cannot work on a machine with other cores and guests; EL2 has cleaned the
	 * guest's memory to where a guest with its MMU off reads it.
	 */
	{ 0xc000, REGISTER(1, 0, 0, 0, 0), NOTHING, W },
	{ 0, 0, NOTHING, 0 },
};

#define ICC_SRE_FIXED 7ul /* system registers, no bypass */

/* What is read. */
static u64 serve(struct vcpu *self, enum action action, u32 number, bool is_read, u64 value)
{
	switch (action) {
	case TIMER:
		return vptimer_access(self, number & 3, is_read, value);
	case FEATURE:
		return cpu_id_register(number & 0x3f, self->arch.uses & USES_PMU);
	case DEBUG:
		return arch_vcpu_debug(&self->arch, number & 0x7ff, is_read, value);
	case DEACTIVATE:
		vgic_deactivate(self, value & 0xffffff);
		return 0;
	case KEY:
		arch_vcpu_take_keys(&self->arch);
		return 0;
	case CORES: /* less one; of a cluster, which has four at most */
		return (u64)(min(self->vm->vcpu_count, 4u) - 1) << 24;
	case PERIPHERALS:
		return VM_GICD_BASE;
	default:
		return action == FIXED ? ICC_SRE_FIXED : 0;
	}
}

/* All that is not hot. */
static RARE APART enum vsysreg other(struct vcpu *self, u32 iss)
{
	u32 number = REGISTER(iss >> 20 & 3, iss >> 14 & 7, iss >> 10 & 15, iss >> 1 & 15,
			      iss >> 17 & 7);
	u32 rt = iss >> 5 & 31, row = 0;
	bool is_read = iss & 1;
	u64 value;

	while ((number & registers[row].mask) != registers[row].number)
		row++;
	if (!(registers[row].may & (is_read ? R : W)) ||
	    (registers[row].may & V3 && gic_version() != 3))
		return VSYSREG_NONE;
	value = serve(self, registers[row].action, number, is_read,
		      rt == 31 ? 0 : self->arch.x[rt]);
	if (registers[row].action == KEY)
		return VSYSREG_AGAIN;
	if (is_read && rt != 31)
		self->arch.x[rt] = value;
	return VSYSREG_DONE;
}

/* The syndrome of a write to ICC_SGI1R_EL1 (op2 5) or ICC_SGI0R_EL1 (op2 7), but for what `SGI_ANY` covers. */
#define SGI_WRITTEN (3u << 20 | 5u << 17 | 12u << 10 | 11u << 1)
#define SGI_ANY	    (0xfc000000u | 1u << 25 | 2u << 17 | 31u << 5)

enum vsysreg vsysreg_access(struct vcpu *self, u64 syndrome)
{
	u32 iss = (u32)syndrome, rt = iss >> 5 & 31;

	/* One security state: the group is the interrupt's own. */
	if ((iss & ~SGI_ANY) == SGI_WRITTEN && gic_version() == 3) {
		vgic_sgi1r(self, rt == 31 ? 0 : self->arch.x[rt]);
		return VSYSREG_DONE;
	}
	return other(self, iss);
}
