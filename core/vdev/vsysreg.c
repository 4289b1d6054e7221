/*
 * Trapped system registers (vsysreg.h). Everything hot is not trapped: arch/arm64/vcpu.c says what
 * is. The syndrome's form: DDI 0487 D19.2.37, EC 0x18.
 */
#include "core/vdev/vsysreg.h"

#include "arch/arm64/cpu.h"
#include "drivers/gic.h"

#define ENCODING(op0, op1, crn, crm, op2)                                            \
	((u32)(op0) << 20 | (u32)(op2) << 17 | (u32)(op1) << 14 | (u32)(crn) << 10 | \
	 (u32)(crm) << 1)
#define ENCODING_MASK ENCODING(3, 7, 15, 15, 7)

#define ICC_DIR_EL1    ENCODING(3, 0, 12, 11, 1)
#define ICC_SGI1R_EL1  ENCODING(3, 0, 12, 11, 5)
#define ICC_ASGI1R_EL1 ENCODING(3, 0, 12, 11, 6)
#define ICC_SGI0R_EL1  ENCODING(3, 0, 12, 11, 7)
#define ICC_SRE_EL1    ENCODING(3, 0, 12, 12, 5)
#define ICC_SRE_FIXED  7ul /* system registers, no bypass */
#define ACTLR_EL1      ENCODING(3, 0, 1, 0, 1)
#define OSLSR_EL1      ENCODING(2, 0, 1, 1, 4)
#define OSLSR_OSLM     8ul /* the OS lock is there, and open */

static u32 op0_of(u32 encoding)
{
	return encoding >> 20 & 3;
}

static u32 crm_of(u32 encoding)
{
	return encoding >> 1 & 15;
}

static u32 op2_of(u32 encoding)
{
	return encoding >> 17 & 7;
}

/* op0 3, op1 0, CRn 0, CRm 1..7: the feature registers. */
static bool is_id(u32 encoding)
{
	u32 all_but = ENCODING(0, 0, 0, 15, 7);

	return (encoding & ~all_but) == ENCODING(3, 0, 0, 0, 0) && crm_of(encoding) <= 7;
}

static bool read(u32 encoding, u64 *value)
{
	*value = 0;
	if (is_id(encoding)) {
		*value = cpu_id_register(crm_of(encoding), op2_of(encoding));
		return true;
	}
	/* Trapped where ICC_SRE_EL2.Enable is 0: who could clear SRE would clear it for the next
	 * vCPU. */
	if (encoding == ICC_SRE_EL1 && gic_version() == 3) {
		*value = ICC_SRE_FIXED;
		return true;
	}
	if (encoding == OSLSR_EL1)
		*value = OSLSR_OSLM;
	/* Debug registers read as zero: a VM has no debugger of its own. */
	return op0_of(encoding) == 2 || encoding == ACTLR_EL1;
}

static bool write(struct vcpu *self, u32 encoding, u64 value)
{
	if (gic_version() == 3) {
		/* One security state: the group is the interrupt's own, and there is no other
		 * state. */
		if (encoding == ICC_SGI1R_EL1 || encoding == ICC_SGI0R_EL1) {
			vgic_sgi1r(self, value);
			return true;
		}
		if (encoding == ICC_DIR_EL1) {
			vgic_deactivate(self, value & 0xffffff);
			return true;
		}
		if (encoding == ICC_ASGI1R_EL1 || encoding == ICC_SRE_EL1)
			return true;
	}
	/*
	 * op0 1: cache maintenance by set/way. It cannot work on a machine with other cores and
	 * guests; EL2 has cleaned the guest's memory to where a guest with its MMU off reads it.
	 */
	return op0_of(encoding) == 1 || op0_of(encoding) == 2 || encoding == ACTLR_EL1;
}

bool vsysreg_access(struct vcpu *self, u64 syndrome)
{
	u32 encoding = (u32)syndrome & ENCODING_MASK;
	u32 rt = syndrome >> 5 & 31;
	bool is_read = syndrome & 1;
	u64 value = rt == 31 ? 0 : self->arch.x[rt];

	if (!is_read)
		return write(self, encoding, value);
	if (!read(encoding, &value))
		return false;
	if (rt != 31)
		self->arch.x[rt] = value;
	return true;
}
