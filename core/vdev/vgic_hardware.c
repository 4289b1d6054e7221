/*
 * SPIs of the machine that a VM has been given: what arrives there goes on to its guest, and is deactivated in
 * the physical GIC when the guest has done so.
 *
 * Locks: vgic.h. Tests: tests/host/test_vgic_device.c
 */
#include "core/vdev/vgic_internal.h"

#include "drivers/gic.h"

RARE APART void vgic_hardware_release(struct vgic_spi_bank *spi)
{
	struct vgic_bank *bank = &spi->bank;
	u32 over = bank->physical & ~(bank->latched | bank->listed | bank->active);

	bank->physical &= ~over;
	for (; over; over &= over - 1)
		gic_set(GIC_DEACTIVATE, vgic_spi_intid(spi, over));
}

RARE APART void vgic_hardware_came(struct vm *vm, u32 intid)
{
	struct vgic_spi_bank *spi = vgic_spi_of(vm, intid);
	u32 bit = 1u << intid % 32, look = 0;

	spin_lock(&vm->vgic.lock);
	if (spi->bank.hardware & bit) {
		spi->bank.physical |= bit;
		spi->bank.latched |= bit;
		look = vgic_spi_changed(vm, spi, bit);
	} else { /* it was taken from the VM meanwhile */
		gic_set(GIC_DEACTIVATE, intid);
	}
	spin_unlock(&vm->vgic.lock);
	/* The next one comes where its vCPU is. */
	if (look)
		gic_route(intid, vm->vcpu[__builtin_ctz(look)]->core);
	vgic_look_anywhere(vm, look);
}

RARE APART void vgic_hardware_set(struct vm *vm, u32 intid, bool given)
{
	struct vgic_bank *bank = &vgic_spi_of(vm, intid)->bank;
	u32 bit = 1u << intid % 32;

	spin_lock(&vm->vgic.lock);
	bank->hardware = given ? bank->hardware | bit : bank->hardware & ~bit;
	bank->physical &= ~bit;
	gic_set(GIC_DISABLE, intid);
	gic_set(GIC_DEACTIVATE, intid);
	gic_set(GIC_UNPEND, intid);
	spin_unlock(&vm->vgic.lock);
}
