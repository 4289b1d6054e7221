/*
 * Which interrupt controller the machine has (gic.h). A branch on one word, and not a table of
 * functions: on the hot paths (acknowledge, drop, deactivate) GICv3 is then one instruction more.
 */
#include "drivers/gic.h"

#include "arch/arm64/list_regs.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "core/base/log.h"
#include "drivers/gic_v2.h"
#include "drivers/gic_v3.h"

#define GICH_BYTES 0x200ul

static bool is_v3;

bool gic_init(const struct gic_registers *registers)
{
	is_v3 = registers->version == 3;
	if (is_v3) {
		list_regs_init(3, 0);
		return gic_v3_init(registers);
	}
	list_regs_init(2, mmu_map_device(registers->hypervisor, GICH_BYTES));
	return gic_v2_init(registers);
}

void gic_init_core(void)
{
	if (is_v3)
		gic_v3_init_core();
	else
		gic_v2_init_core();
	list_regs_init_core();
}

u32 gic_version(void)
{
	return is_v3 ? 3 : 2;
}

/* The system registers of GICv3's CPU interface need no context but the core itself. */
u32 gic_acknowledge(void)
{
	if (is_v3)
		return (u32)READ_SYSREG(S3_0_C12_C12_0); /* ICC_IAR1_EL1 */
	return gic_v2_acknowledge();
}

void gic_drop(u32 intid)
{
	if (is_v3)
		WRITE_SYSREG(S3_0_C12_C12_1, intid); /* ICC_EOIR1_EL1 */
	else
		gic_v2_drop(intid);
}

void gic_deactivate(u32 intid)
{
	if (is_v3)
		WRITE_SYSREG(S3_0_C12_C11_1, intid); /* ICC_DIR_EL1 */
	else
		gic_v2_deactivate(intid);
}

void gic_enable(u32 intid, u32 core, bool edge)
{
	if (is_v3)
		gic_v3_enable(intid, core, edge);
	else
		gic_v2_enable(intid, core, edge);
}

void gic_kick(u32 core)
{
	if (is_v3)
		gic_v3_kick(core);
	else
		gic_v2_kick(core);
}

void gic_set_active(u32 intid, bool active)
{
	if (is_v3)
		gic_v3_set_active(intid, active);
	else
		gic_v2_set_active(intid, active);
}

void gic_pend(u32 intid)
{
	if (is_v3)
		gic_v3_pend(intid);
	else
		gic_v2_pend(intid);
}
