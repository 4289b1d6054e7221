/*
 * Whether an interrupt would be delivered to a vCPU if it ran: for WFI, and for a timer whose vCPU waits.
 * Nothing is placed or taken out. Whoever passes by the mask and the groups that the guest has set, and is
 * more urgent than what is active there, wakes it. IHI 0069 4.8, IHI 0048 3.3.
 */
#include "core/vdev/vgic_internal.h"

/* Would this one be signalled? */
static bool passes(const struct list_regs_interface *guest, u32 priority, bool group1)
{
	return (group1 ? guest->group1 : guest->group0) && priority < guest->mask &&
	       priority < guest->running;
}

/* If any of these would be, the most urgent one is. */
static APART bool some_pass(const struct vgic_bank *bank, u32 bits,
			    const struct list_regs_interface *guest)
{
	u32 n;

	bits &= vgic_bank_let_through(bank, guest);
	if (!bits)
		return false;
	n = vgic_most_urgent(bank, bits);
	return passes(guest, bank->priority[n], bank->group1 >> n & 1);
}

static APART bool some_pass_of_all(const struct vcpu *vcpu)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	struct list_regs_interface guest =
		list_regs_interface(vcpu->vgic.loaded ? 0 : &vcpu->arch.list_regs);
	u32 bits;

	for (u32 used = vcpu->vgic.used; used; used &= used - 1) {
		u64 reg = list_reg_read((u32)__builtin_ctz(used));

		/* Pending and active: not before it is ended. */
		if (reg & LIST_REG_PENDING && !(reg & LIST_REG_ACTIVE) &&
		    passes(&guest, reg >> 48 & 0xff, reg & LIST_REG_GROUP1))
			return true;
	}
	bits = vgic_bank_deliverable(gic, &vcpu->vgic.private);
	if (bits && some_pass(&vcpu->vgic.private, bits, &guest))
		return true;
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		const struct vgic_spi_bank *spi = &gic->spi[__builtin_ctz(banks)];

		bits = vgic_bank_deliverable(gic, &spi->bank) & spi->routed[vcpu->index];
		if (bits && some_pass(&spi->bank, bits, &guest))
			return true;
	}
	return false;
}

/* Usually there is nothing at all, and the interface is not asked. */
bool vgic_any_passes(const struct vcpu *vcpu)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	const struct vgic_vcpu *v = &vcpu->vgic;

	return (v->used | gic->wanted | vgic_bank_deliverable(gic, &v->private)) &&
	       some_pass_of_all(vcpu);
}
