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
#include "drivers/registers.h"

#define GICH_BYTES 0x200ul
#define GICH_VTR   0x004
#define GICC_IIDR  0x0fc /* version in bits 19:16; GICV's is the same. IHI 0048 4.4.14 */

#define ISR_IRQ BIT(7)
#define SGI_LOOKS \
	100000u /* longer than an interrupt is on its way, and some milliseconds at most */

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

/*
 * Interrupts that firmware left in Group 0 are not ours: what is written to their bits is ignored, and
 * so is an SGI among them (IHI 0048 4.3.4 and 4.3.15, IHI 0069 12.9.6). That nothing ever comes
 * would be the only sign.
 */
static bool delivers(void)
{
	gic_kick(cpu_index());
	for (u32 look = 0; look < SGI_LOOKS; look++)
		if (READ_SYSREG(isr_el1) & ISR_IRQ && gic_acknowledge() == GIC_SGI_KICK) {
			gic_drop(GIC_SGI_KICK);
			gic_deactivate(GIC_SGI_KICK);
			return true;
		}
	log_line("interrupt controller: expected the interrupt that core %u sends to itself, but "
		 "none "
		 "comes: firmware left interrupts in Group 0; Raspberry Pi: enable_gic=1 in "
		 "config.txt",
		 cpu_index());
	return false;
}

bool gic_init_core(void)
{
	if (is_v3) {
		if (!gic_v3_init_core())
			return false;
	} else {
		gic_v2_init_core();
	}
	list_regs_init_core();
	return delivers();
}

u32 gic_version(void)
{
	return is_v3 ? 3 : 2;
}

/*
 * The system registers of GICv3's CPU interface need no context but the core itself. `inline`, for they are on
 * the way of every interrupt, and are called at boot, too.
 */
inline u32 gic_acknowledge(void)
{
	if (is_v3)
		return (u32)READ_SYSREG(S3_0_C12_C12_0); /* ICC_IAR1_EL1 */
	return gic_v2_acknowledge();
}

inline void gic_drop(u32 intid)
{
	if (is_v3)
		WRITE_SYSREG(S3_0_C12_C12_1, intid); /* ICC_EOIR1_EL1 */
	else
		gic_v2_drop(intid);
}

inline void gic_deactivate(u32 intid)
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

RARE u64 gic_kick_word(u32 core)
{
	return is_v3 ? gic_v3_kick_word(core) : 0;
}

void gic_set_active(u32 intid, bool active)
{
	if (is_v3)
		gic_v3_set_active(intid, active);
	else
		gic_v2_set_active(intid, active);
}

void gic_route(u32 intid, u32 core)
{
	if (is_v3)
		gic_v3_route(intid, core);
	else
		gic_v2_route(intid, core);
}

void gic_set(enum gic_set registers, u32 intid)
{
	void *distributor = is_v3 ? gic_v3_distributor() : gic_v2_distributor();
	u32 offset = registers + 4 * (intid / 32);

	register_write(distributor, offset, 1u << intid % 32);
	register_read(distributor, offset);
}

void gic_pend(u32 intid)
{
	gic_set(GIC_PEND, intid);
}
