/* Between the files of the virtual interrupt controller: vgic.c, vgic_registers.c, vgic_v*.c. */
#pragma once

#include "core/vm.h"

#define VGIC_TIMER 27u /* INTID of the virtual timer, the guest's and the machine's */

/* Weir's own implementer and product: ARM's JEP106 code, product 'W'. */
#define VGIC_IIDR 0x5700043bu
/* GICD_TYPER.ITLinesNumber: 32 * (n + 1) interrupts. */
#define VGIC_TYPER_LINES VGIC_SPI_BANKS
/* Five bits of priority, as the list registers have. */
#define VGIC_PRIORITY_MASK 0xf8u

/* Bits of `bank` that are pending and not listed. */
static inline u32 vgic_bank_pending(const struct vgic_bank *bank)
{
	return bank->latched | (bank->line & ~bank->edge);
}

/*
 * What `bits` of a bank mean for list registers, after they changed: mask of the vCPUs that have to
 * look. `private_of`: whose private bank it is; 0: an SPI bank.
 */
u32 vgic_changed(struct vm *vm, struct vcpu *private_of, struct vgic_bank *bank, u32 bits)
	NEEDS(vm->vgic.lock);

/* Lets the vCPUs of the mask look: `self` at once, the others by a kick. Releases the lock. */
void vgic_attend(struct vcpu *self, u32 vcpus) RELEASES(self->vm->vgic.lock);

/* Everything about the loaded `self` is in its bank afterwards; vgic_attend(), which gets the mask
 * that this returns, lists it again. */
u32 vgic_unlist_all(struct vcpu *self) NEEDS(self->vm->vgic.lock);

/* vgic_pend() by those who know: `self` executes here; the target does not. */
void vgic_raise_here(struct vcpu *self, u32 intid);
void vgic_raise_elsewhere(struct vcpu *target, u32 intid);

/* GICD_CTLR. */
void vgic_set_control(struct vcpu *self, u32 control);

/* Registers that both versions and the redistributors have, offsets 0x080 to 0xcff but ITARGETSR.
 * `of`: whose SGIs and PPIs are in bank 0; 0: none, it reads as zero. */
bool vgic_common(struct vcpu *self, struct vcpu *of, struct mmio *access, u64 offset);
/* The part of a register that an access wants; false: the size is none of this register's. */
static inline bool vgic_read_word(struct mmio *access, u64 word)
{
	if (access->bytes != 4)
		return false;
	access->value = word;
	return true;
}

bool vgic_v2_distributor(struct vcpu *self, struct mmio *access);
bool vgic_v3_distributor(struct vcpu *self, struct mmio *access);
