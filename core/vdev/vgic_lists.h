/*
 * The list registers of a vCPU as a cache of what is pending and active: interrupts are put in,
 * folded back into their banks when the guest has ended them, and chosen anew when there are too
 * many. Of the loaded vCPU, on its core.
 *
 * To choose is long. So it is done at most once in an exit, when it is known which vCPU runs next,
 * and not by whoever raises an interrupt or changes a register.
 *
 * A returned mask is of the other vCPUs that have to look: an SPI that was folded is theirs now.
 * Source: vgic_lists.c. Inline here is what the hot path of vgic.c takes.
 */
#pragma once

#include "core/vdev/vgic_internal.h"

#define ALL_LIST_REGS ((1u << LIST_REGS_KEPT) - 1)

/* Takes the state `reg` of a list register into its bank; the register itself is left as it is. */
u32 vgic_lists_fold(struct vcpu *vcpu, u32 index, u64 reg) NEEDS(vcpu->vm->vgic.lock);
/* Takes all out: everything about the vCPU is in the banks afterwards. */
u32 vgic_lists_fold_all(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock);
/* Nothing wants a list register, and what is in them is right. */
static inline bool vgic_lists_idle(const struct vcpu *vcpu)
{
	const struct vgic_vcpu *v = &vcpu->vgic;

	return !(v->recheck | v->maintenance | vcpu->vm->vgic.wanted) &&
	       !vgic_bank_wanted(&vcpu->vm->vgic, &v->private);
}

/*
 * Gives list registers to all that want one, after those that are empty were folded. If there are
 * not enough, `recheck` is set afterwards: then vgic_lists_choose() is needed before the guest runs.
 */
u32 vgic_lists_place_all(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock);
/* The best ones go in, and the interrupts that will tell when that is no more right are asked for. */
u32 vgic_lists_choose(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock);
/* Which maintenance interrupts to have: LIST_REGS_*. */
static inline void vgic_lists_maintenance(struct vcpu *vcpu, u32 when)
{
	if (vcpu->vgic.maintenance == when)
		return;
	vcpu->vgic.maintenance = (u8)when;
	list_regs_maintenance(when);
}

/*
 * Takes the list registers that the guest has emptied; `clear` and `deactivate` have no bits of
 * theirs, for whoever sets one asks for a recheck. A register that asked for a maintenance
 * interrupt keeps it up until it is written.
 */
static inline u32 vgic_lists_fold_empty(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look = 0;

	for (u32 empty = list_regs_empty() & v->used; empty; empty &= empty - 1) {
		u32 index = (u32)__builtin_ctz(empty), intid = vgic_listed(v, index);

		if (v->asking >> index & 1) {
			v->asking &= (u8) ~(1u << index);
			list_reg_write(index, 0);
			if (intid < 32) /* of an SPI the fold does it */
				v->private.changed &= ~(1u << intid);
		}
		if (intid >= 32) {
			look |= vgic_lists_fold(vcpu, index, 0);
			continue;
		}
		v->used &= (u8) ~(1u << index);
		v->private.listed &= ~(1u << intid);
		if (v->hardware >> index & 1) {
			v->hardware &= (u8) ~(1u << index);
			vgic_timer_ended(vcpu, index);
		}
	}
	return look;
}

/* A list register gets what it was made up for; the latch has gone into it if it is pending. */
static inline void vgic_lists_put(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index,
				  u64 reg)
{
	struct vgic_vcpu *v = &vcpu->vgic;

	bank->listed |= 1u << intid % 32;
	v->list[index] = (u16)(intid | (reg & LIST_REG_ACTIVE ? VGIC_WAS_ACTIVE : 0));
	v->used |= (u8)(1u << index);
	if (reg & LIST_REG_EOI)
		v->asking |= (u8)(1u << index);
	if (reg & LIST_REG_HARDWARE)
		v->hardware |= (u8)(1u << index);
	list_reg_write(index, reg);
}
