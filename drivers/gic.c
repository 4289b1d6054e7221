/*
 * Which interrupt controller the machine has (gic.h). A branch on one word, and not a table of
 * functions: on the hot paths (acknowledge, drop, deactivate) GICv3 is then one instruction more.
 */
#include "drivers/gic.h"

#include "arch/arm64/cpu.h"
#include "arch/arm64/list_regs.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "core/base/log.h"
#include "drivers/gic_v2.h"
#include "drivers/gic_v3.h"

#define GICH_BYTES 0x200ul
#define GICH_VTR   0x004
#define GICC_IIDR  0x0fc /* version in bits 19:16; GICV's is the same. IHI 0048 4.4.14 */

static bool is_v3;

/* GICv4 is GICv3 to us. */
bool gic_frame_is(const void *frame, u32 offset, u32 shift, u32 version)
{
	u32 value, found;

	if (!cpu_probe((const char *)frame + offset, &value))
		return false;
	found = value >> shift & 0xf;
	return found == version || (version == 3 && found == 4);
}

bool gic_complain(const char *frame, pa_t base)
{
	log_line("tree: interrupt controller: reg: expected %s of GICv%u at %lx; correct the tree",
		 frame, gic_version(), base.raw);
	return false;
}

static bool init_v2(const struct gic_registers *registers)
{
	void *hypervisor = mmu_map_device(registers->hypervisor, GICH_BYTES);
	void *virtual = mmu_map_device(registers->virtual_interface, PAGE_SIZE);
	u32 type;

	if (!cpu_probe((char *)hypervisor + GICH_VTR, &type))
		return gic_complain("the hypervisor interface", registers->hypervisor);
	if (!gic_frame_is(virtual, GICC_IIDR, 16, 2))
		return gic_complain("the virtual CPU interface", registers->virtual_interface);
	if (!gic_v2_init(registers))
		return false;
	list_regs_init(2, hypervisor, gic_v2_loses_lines());
	return true;
}

bool gic_init(const struct gic_registers *registers)
{
	is_v3 = registers->version == 3;
	if (!is_v3)
		return init_v2(registers);
	list_regs_init(3, 0, false);
	return gic_v3_init(registers);
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
