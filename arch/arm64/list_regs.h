/*
 * The GIC's list registers (virtual interface control): GICv2's GICH by MMIO, GICv3's ICH_* system
 * registers, behind one form. IHI 0048 chapter 5, IHI 0069 chapter 12.
 *
 * Owner: the core. Whoever uses them empties them before list_regs_save(), so that the vCPU's copy
 * has no list register in it: only the virtual CPU interface's own state.
 * Source: list_regs.c
 */
#pragma once

#include "core/base/types.h"

#define LIST_REGS_KEPT 4u /* used at most: what every machine has */

/* The virtual CPU interface of a vCPU that is not loaded. */
struct list_regs {
	u64 vmcr;
	u64 ap0r0, ap1r0;
};

/*
 * A list register, in the layout of ICH_LR<n>_EL2; GICv2's is converted. 0 is an empty one.
 * LIST_REG_EOI asks for a maintenance interrupt when it empties, and is not for hardware ones.
 */
#define LIST_REG_PENDING	(1ul << 62)
#define LIST_REG_ACTIVE		(1ul << 63)
#define LIST_REG_HARDWARE	(1ul << 61) /* its end deactivates the physical interrupt, too */
#define LIST_REG_GROUP1		(1ul << 60)
#define LIST_REG_EOI		(1ul << 41)
#define LIST_REG_PRIORITY(p)	((u64)(p) << 48) /* 0..255; the low three bits are not kept */
#define LIST_REG_PHYSICAL(id)	((u64)(id) << 32)
#define LIST_REG_SOURCE(vcpu)	((u64)(vcpu) << 42) /* GICv2: the vCPU that sent an SGI */
#define LIST_REG_SOURCE_OF(reg) ((u32)((reg) >> 42) & 7)

/* When to have a maintenance interrupt: bits of GICH_HCR and ICH_HCR_EL2. */
#define LIST_REGS_LOST_EOI   (1u << 2) /* the guest ended an interrupt that no list register has */
#define LIST_REGS_NO_PENDING (1u << 3)
#define LIST_REGS_GROUP0_ON  (1u << 4) /* the guest enables or disables a group */
#define LIST_REGS_GROUP0_OFF (1u << 5)
#define LIST_REGS_GROUP1_ON  (1u << 6)
#define LIST_REGS_GROUP1_OFF (1u << 7)

/* What the guest has set in its CPU interface. */
struct list_regs_interface {
	u8 mask;     /* only priorities below are signalled */
	u32 running; /* priority of the active interrupt, 256: none */
	bool group0, group1;
};

/*
 * version 2: `gich` is the mapped GICH frame; version 3: unused. Once, then on every core.
 * `loses_lines`: a level line that is still up when the guest ends a hardware one is not looked at
 * again. A hardware one is then made one that asks when it empties, and whoever takes it out has to
 * deactivate the physical interrupt.
 */
void list_regs_init(u32 version, void *gich, bool loses_lines);
bool list_regs_lose_lines(void);
/*
 * The guest's end of an interrupt is two steps (EOImode 1), and the second, the deactivation, is trapped: for it
 * may name an interrupt that no list register of its core has, in any order. GICv3's is ICC_DIR_EL1, if it can be
 * trapped by itself; GICv2's is a page of its own, which no guest has. Of the vCPU that is loaded.
 */
bool list_regs_deactivation_trapped(void);
void list_regs_init_core(void);

void list_regs_reset(struct list_regs *state);
void list_regs_save(struct list_regs *state);
void list_regs_load(const struct list_regs *state);

/* On the hardware of this core, for the loaded vCPU; index < LIST_REGS_KEPT. */
void list_reg_write(u32 index, u64 reg);
u64 list_reg_read(u32 index);
u64 list_reg_take(u32 index); /* reads and empties it */
/* Makes what it holds, or has held, pending; if that is active it stays so. */
void list_reg_pend(u32 index);
/* Bit n set: list register n holds neither a pending nor an active interrupt. */
u32 list_regs_empty(void);
/* Which maintenance interrupts to have; forgets the ends that were lost before. */
void list_regs_maintenance(u32 when);
/*
 * Ends of interrupts that no list register had, since the last list_regs_maintenance(). Means nothing where
 * deactivation is trapped: some count the first steps then.
 */
u32 list_regs_lost_ends(void);
/* Of a vCPU that is not loaded, or, with 0, of the one that is. */
struct list_regs_interface list_regs_interface(const struct list_regs *state);
