/*
 * List registers, GICv2's and GICv3's (list_regs.h).
 *
 * The form of GICv3 is the common one, so that nothing is converted there: on GICv2 every register
 * costs an access to the device anyway.
 */
#include "arch/arm64/list_regs.h"

#include "arch/arm64/sysreg.h"

/* GICH, IHI 0048 5.3. */
#define GICH_HCR   0x000
#define GICH_VMCR  0x008
#define GICH_EISR  0x020
#define GICH_ELRSR 0x030
#define GICH_APR   0x0f0
#define GICH_LR	   0x100

#define HCR_EN		   1u
#define HCR_TRAP_DIR	   (1u << 14)  /* ICH_HCR_EL2.TDIR */
#define VTR_CAN_TRAP_DIR   (1ul << 19) /* ICH_VTR_EL2.TDS */
#define HCR_EOI_COUNT(hcr) ((u32)(hcr) >> 27 & 0x1f)

/* VMCR; the two forms differ in the width of the priority mask. */
#define VMCR_GROUP0	   1u
#define VMCR_GROUP1	   2u
#define VMCR_EOI_1	   (1u << 9)
#define VMCR_MASK_V3(vmcr) ((u8)((vmcr) >> 24))
#define VMCR_MASK_V2(vmcr) ((u8)((vmcr) >> 27 << 3))

/* GICH_LR, IHI 0048 5.3.7: everything in 32 bits. */
#define LR_V2_STATE_SHIFT    28
#define LR_V2_PENDING	     (1u << LR_V2_STATE_SHIFT)
#define LR_V2_PRIORITY_SHIFT 23
#define LR_V2_PHYSICAL_SHIFT 10
#define LR_V2_HARDWARE	     (1u << 31)
#define LR_V2_GROUP1	     (1u << 30)
#define LR_V2_EOI	     (1u << 19)

#define ICC_SRE_EL1_VALUE 7ul /* the guest's CPU interface is the system registers */

static bool is_v3, lines_lost;
static char *gich;

void list_regs_init(u32 version, void *frame, bool loses_lines)
{
	is_v3 = version == 3;
	gich = frame;
	lines_lost = loses_lines;
}

bool list_regs_lose_lines(void)
{
	return lines_lost;
}

static u32 gich_read(u32 offset)
{
	return *(volatile u32 *)(gich + offset);
}

static void gich_write(u32 offset, u32 value)
{
	*(volatile u32 *)(gich + offset) = value;
}

/* On GICv2 the sender of an SGI stands where else the physical number does. */
static u32 to_v2(u64 reg)
{
	u32 value = (u32)(reg & 0x3ff) | (u32)(reg >> 62) << LR_V2_STATE_SHIFT |
		    (u32)(reg >> 51 & 0x1f) << LR_V2_PRIORITY_SHIFT;

	if (reg & LIST_REG_GROUP1)
		value |= LR_V2_GROUP1;
	if (reg & LIST_REG_HARDWARE)
		return value | (lines_lost ? LR_V2_EOI
					   : LR_V2_HARDWARE | (u32)(reg >> 32 & 0x3ff)
								      << LR_V2_PHYSICAL_SHIFT);
	if (reg & LIST_REG_EOI)
		value |= LR_V2_EOI;
	return value | LIST_REG_SOURCE_OF(reg) << LR_V2_PHYSICAL_SHIFT;
}

static u64 from_v2(u32 value)
{
	u64 reg = (value & 0x3ff) | (u64)(value >> LR_V2_STATE_SHIFT & 3) << 62 |
		  LIST_REG_PRIORITY(value >> LR_V2_PRIORITY_SHIFT << 3 & 0xff);

	if (value & LR_V2_GROUP1)
		reg |= LIST_REG_GROUP1;
	if (value & LR_V2_HARDWARE)
		return reg | LIST_REG_HARDWARE |
		       LIST_REG_PHYSICAL(value >> LR_V2_PHYSICAL_SHIFT & 0x3ff);
	if (value & LR_V2_EOI)
		reg |= LIST_REG_EOI;
	return reg | LIST_REG_SOURCE(value >> LR_V2_PHYSICAL_SHIFT & 7);
}

/* A branch tree, for the number of a system register is part of the instruction. */
void list_reg_write(u32 index, u64 reg)
{
	if (!is_v3)
		gich_write(GICH_LR + 4 * index, to_v2(reg));
	else if (index == 0)
		WRITE_SYSREG(S3_4_C12_C12_0, reg);
	else if (index == 1)
		WRITE_SYSREG(S3_4_C12_C12_1, reg);
	else if (index == 2)
		WRITE_SYSREG(S3_4_C12_C12_2, reg);
	else
		WRITE_SYSREG(S3_4_C12_C12_3, reg);
}

u64 list_reg_read(u32 index)
{
	if (!is_v3)
		return from_v2(gich_read(GICH_LR + 4 * index));
	if (index == 0)
		return READ_SYSREG(S3_4_C12_C12_0);
	if (index == 1)
		return READ_SYSREG(S3_4_C12_C12_1);
	if (index == 2)
		return READ_SYSREG(S3_4_C12_C12_2);
	return READ_SYSREG(S3_4_C12_C12_3);
}

/* What the register holds, and nothing is in it any more. */
#define TAKE(name)                           \
	({                                   \
		u64 reg = READ_SYSREG(name); \
		WRITE_SYSREG(name, 0);       \
		reg;                         \
	})

u64 list_reg_take(u32 index)
{
	u32 value;

	if (is_v3)
		return index == 0   ? TAKE(S3_4_C12_C12_0)
		       : index == 1 ? TAKE(S3_4_C12_C12_1)
		       : index == 2 ? TAKE(S3_4_C12_C12_2)
				    : TAKE(S3_4_C12_C12_3);
	value = gich_read(GICH_LR + 4 * index);
	gich_write(GICH_LR + 4 * index, 0);
	return from_v2(value);
}

void list_reg_pend(u32 index)
{
	if (!is_v3)
		gich_write(GICH_LR + 4 * index, gich_read(GICH_LR + 4 * index) | LR_V2_PENDING);
	else if (index == 0)
		WRITE_SYSREG(S3_4_C12_C12_0, READ_SYSREG(S3_4_C12_C12_0) | LIST_REG_PENDING);
	else if (index == 1)
		WRITE_SYSREG(S3_4_C12_C12_1, READ_SYSREG(S3_4_C12_C12_1) | LIST_REG_PENDING);
	else if (index == 2)
		WRITE_SYSREG(S3_4_C12_C12_2, READ_SYSREG(S3_4_C12_C12_2) | LIST_REG_PENDING);
	else
		WRITE_SYSREG(S3_4_C12_C12_3, READ_SYSREG(S3_4_C12_C12_3) | LIST_REG_PENDING);
}

/*
 * ELRSR does not count one whose end has raised the maintenance interrupt, until it is written:
 * those are in EISR. IHI 0069 12.4.8 and 12.4.9, IHI 0048 5.3.5.
 */
u32 list_regs_empty(void)
{
	if (is_v3) /* ICH_ELRSR_EL2, ICH_EISR_EL2 */
		return (u32)(READ_SYSREG(S3_4_C12_C11_5) | READ_SYSREG(S3_4_C12_C11_3));
	return gich_read(GICH_ELRSR) | gich_read(GICH_EISR);
}

void list_regs_maintenance(u32 when)
{
	if (is_v3)
		WRITE_SYSREG(S3_4_C12_C11_0, when | HCR_EN | HCR_TRAP_DIR); /* ICH_HCR_EL2 */
	else
		gich_write(GICH_HCR, when | HCR_EN);
}

RARE bool list_regs_deactivation_trapped(void)
{
	if (!is_v3)
		return gich_read(GICH_VMCR) & VMCR_EOI_1;
	/* ICH_VMCR_EL2, ICH_VTR_EL2 */
	return READ_SYSREG(S3_4_C12_C11_7) & VMCR_EOI_1 &&
	       READ_SYSREG(S3_4_C12_C11_1) & VTR_CAN_TRAP_DIR;
}

u32 list_regs_lost_ends(void)
{
	if (is_v3)
		return HCR_EOI_COUNT(READ_SYSREG(S3_4_C12_C11_0));
	return HCR_EOI_COUNT(gich_read(GICH_HCR));
}

void list_regs_init_core(void)
{
	static const struct list_regs none;

	if (is_v3) {
		WRITE_SYSREG(S3_0_C12_C12_5, ICC_SRE_EL1_VALUE); /* ICC_SRE_EL1 */
		isb();
	}
	for (u32 n = 0; n < LIST_REGS_KEPT; n++)
		list_reg_write(n, 0);
	list_regs_maintenance(0);
	list_regs_load(&none);
}

void list_regs_reset(struct list_regs *state)
{
	*state = (struct list_regs){ 0 };
}

void list_regs_save(struct list_regs *state)
{
	if (!is_v3) {
		state->vmcr = gich_read(GICH_VMCR);
		state->ap0r0 = gich_read(GICH_APR);
		return;
	}
	state->vmcr = READ_SYSREG(S3_4_C12_C11_7); /* ICH_VMCR_EL2 */
	state->ap0r0 = READ_SYSREG(S3_4_C12_C8_0); /* ICH_AP0R0_EL2 */
	state->ap1r0 = READ_SYSREG(S3_4_C12_C9_0); /* ICH_AP1R0_EL2 */
}

void list_regs_load(const struct list_regs *state)
{
	if (!is_v3) {
		gich_write(GICH_VMCR, (u32)state->vmcr);
		gich_write(GICH_APR, (u32)state->ap0r0);
		return;
	}
	WRITE_SYSREG(S3_4_C12_C11_7, state->vmcr);
	WRITE_SYSREG(S3_4_C12_C8_0, state->ap0r0);
	WRITE_SYSREG(S3_4_C12_C9_0, state->ap1r0);
}

/* Virtual priorities have five bits, so one word of active priorities is all there is. */
struct list_regs_interface list_regs_interface(const struct list_regs *state)
{
	struct list_regs now;
	u32 active;

	if (!state) {
		list_regs_save(&now);
		state = &now;
	}
	active = (u32)(is_v3 ? state->ap0r0 | state->ap1r0 : state->ap0r0);
	return (struct list_regs_interface){
		.mask = is_v3 ? VMCR_MASK_V3(state->vmcr) : VMCR_MASK_V2(state->vmcr),
		.running = active ? (u32)__builtin_ctz(active) << 3 : 256,
		.group0 = state->vmcr & VMCR_GROUP0,
		.group1 = state->vmcr & VMCR_GROUP1,
	};
}
