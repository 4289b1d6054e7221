/*
 * Between the files of the virtual interrupt controller: vgic.c, vgic_ask.c, vgic_wake.c, vgic_hardware.c,
 * vgic_lists.c, vgic_registers.c, vgic_v2.c, vgic_v3.c.
 */
#pragma once

#include "core/vm.h"

#define VGIC_TIMER 27u /* INTID of the virtual timer, the guest's and the machine's */

/* Bits of a private bank. */
#define VGIC_SGIS      0xffffu
#define VGIC_TIMER_BIT (1u << VGIC_TIMER)

/* Weir's own implementer and product: ARM's JEP106 code, product 'W'. */
#define VGIC_IIDR 0x5700043bu
/* GICD_TYPER.ITLinesNumber: 32 * (n + 1) interrupts. */
#define VGIC_TYPER_LINES VGIC_SPI_BANKS
/* Five bits of priority, as the list registers have. */
#define VGIC_PRIORITY_MASK  0xf8u
#define VGIC_PRIORITY_SHIFT 3

/* The INTID in a used list register. */
static inline u32 vgic_listed(const struct vgic_vcpu *v, u32 index)
{
	return v->list[index] & ~VGIC_WAS_ACTIVE;
}

/* Bits of `bank` that are pending and not listed. */
static inline u32 vgic_bank_pending(const struct vgic_bank *bank)
{
	return bank->latched | (bank->line & ~bank->edge);
}

/* Pending, enabled and forwarded to the CPU interface. */
static inline u32 vgic_bank_forwarded(const struct vgic *gic, const struct vgic_bank *bank)
{
	u32 pending = vgic_bank_pending(bank) & bank->enabled;

	return pending & ((bank->group1 & gic->open[1]) | (~bank->group1 & gic->open[0]));
}

/* And neither active nor listed. */
static inline u32 vgic_bank_deliverable(const struct vgic *gic, const struct vgic_bank *bank)
{
	return vgic_bank_forwarded(gic, bank) & ~(bank->active | bank->listed);
}

/* What should be in a list register and is not: an active one so that the guest can end it. */
static inline u32 vgic_bank_wanted(const struct vgic *gic, const struct vgic_bank *bank)
{
	return (vgic_bank_forwarded(gic, bank) | bank->active) & ~bank->listed;
}

/* Bits of the groups that the guest has enabled in its CPU interface. */
static inline u32 vgic_bank_let_through(const struct vgic_bank *bank,
					const struct list_regs_interface *guest)
{
	return (guest->group1 ? bank->group1 : 0) | (guest->group0 ? ~bank->group1 : 0);
}

static inline struct vgic_spi_bank *vgic_spi_of(struct vm *vm, u32 intid)
{
	return &vm->vgic.spi[index_nospec(intid / 32 - 1, VGIC_SPI_BANKS)];
}

/* GICv3: where the priority and, in bit 0, the group stand that one of `changed` was acknowledged with. */
static inline u8 *vgic_acknowledged_as(struct vgic_bank *bank, u32 n)
{
	if (!bank->summary)
		return &container_of(bank, struct vgic_vcpu, private)->acknowledged[n];
	return (u8 *)&container_of(bank, struct vgic_spi_bank, bank)->route[n] + 3;
}

/* The INTID of the lowest of `bits`. */
static inline u32 vgic_spi_intid(const struct vgic_spi_bank *spi, u32 bits)
{
	return 32 + 32 * (u32)__builtin_ctz(spi->bank.summary) + (u32)__builtin_ctz(bits);
}

/* The SPIs that belong in the list registers of this vCPU, if they are wanted, or are there. */
static inline u32 vgic_spi_home(const struct vgic_spi_bank *spi, u32 vcpu)
{
	return spi->owned[vcpu] | (spi->routed[vcpu] & ~(spi->bank.active | spi->bank.listed));
}

/* `target`: a vCPU, or VGIC_NOBODY. False: it was that before. */
bool vgic_spi_route(struct vgic_spi_bank *spi, u32 n, u32 target);

/* Those of `bits` that do not have the bit of this rank, if there are any. */
static inline u32 vgic_better(u32 bits, u32 rank)
{
	return bits & ~rank ? bits & ~rank : bits;
}

/* The most urgent of `bits`, which are not none: the lowest priority, then the lowest INTID. */
static inline u32 vgic_most_urgent(const struct vgic_bank *bank, u32 bits)
{
	bits = vgic_better(bits, bank->rank[4]);
	bits = vgic_better(bits, bank->rank[3]);
	bits = vgic_better(bits, bank->rank[2]);
	bits = vgic_better(bits, bank->rank[1]);
	bits = vgic_better(bits, bank->rank[0]);
	return (u32)__builtin_ctz(bits);
}

static inline void vgic_spi_summarize(struct vgic *gic, const struct vgic_spi_bank *spi)
{
	u32 bit = spi->bank.summary;

	gic->wanted = vgic_bank_wanted(gic, &spi->bank) ? gic->wanted | bit : gic->wanted & ~bit;
}

/*
 * Deactivates what came from the machine and is neither pending nor active any more, though no list
 * register has ended it: the guest has cleared it, or has ended it where the GIC loses lines.
 */
void vgic_hardware_release(struct vgic_spi_bank *spi);

static inline void vgic_hardware_look(struct vgic_spi_bank *spi)
{
	if (spi->bank.physical)
		vgic_hardware_release(spi);
}

/*
 * What `bits` of a bank mean for list registers, after they changed: mask of the vCPUs that have to
 * look. `private_of`: whose private bank it is; 0: an SPI bank.
 */
u32 vgic_changed(struct vm *vm, struct vcpu *private_of, struct vgic_bank *bank, u32 bits)
	NEEDS(vm->vgic.lock);
u32 vgic_spi_changed(struct vm *vm, struct vgic_spi_bank *spi, u32 bits) NEEDS(vm->vgic.lock);

/*
 * By core: the virtual timer's interrupt is active in the physical GIC. While a vCPU is loaded that
 * is the same as line 27 of its private bank: the line is up from the interrupt until the guest has
 * ended it, and the physical interrupt cannot come a second time meanwhile.
 */
extern bool vgic_timer_active[MAX_PCPUS];

/* Does for the guest what its end of the hardware one has not done, and takes back the question. */
void vgic_timer_deactivate(u32 index);

/* The guest has ended the hardware one. */
static inline void vgic_timer_ended(struct vcpu *vcpu, u32 index)
{
	if (list_regs_lose_lines())
		vgic_timer_deactivate(index);
	vcpu->vgic.private.line &= ~VGIC_TIMER_BIT;
	vgic_timer_active[vcpu->core] = false;
}

/* Asks the timer whether its line is still up. */
void vgic_timer_compare(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock);

/* The line may have dropped since the interrupt came: then it must be able to come again. */
static inline void vgic_timer_look(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	const struct vgic_bank *bank = &vcpu->vgic.private;

	if (bank->line & VGIC_TIMER_BIT && !((bank->listed | bank->active) & VGIC_TIMER_BIT))
		vgic_timer_compare(vcpu);
}

/* Lets the vCPUs of the mask look: `self` at once, the others by a kick. Releases the lock. */
void vgic_attend(struct vcpu *self, u32 vcpus) RELEASES(self->vm->vgic.lock);

/* The vCPUs of the mask are to look; the caller may run one of them. */
void vgic_look_anywhere(struct vm *vm, u32 vcpus);

/* vgic_pending() of what is known here: what is in the banks and in the list registers. */
bool vgic_any_passes(const struct vcpu *vcpu);

/* Everything about the loaded `self` is in its bank afterwards; vgic_attend(), which gets the mask
 * that this returns, lists it again. */
u32 vgic_unlist_all(struct vcpu *self) NEEDS(self->vm->vgic.lock);

/*
 * Of a bank, as known here: what is active or pending, but for what is in list registers. `here`: the loaded vCPU of this
 * core.
 */
u32 vgic_state(const struct vcpu *here, const struct vgic_bank *bank, bool active)
	NEEDS(here->vm->vgic.lock);
/*
 * Before `self` goes on, those of `bits` that are in list registers of others are looked at there: a load gets `word`, and
 * what is found. After a store nobody has to be told to wait (GICD_CTLR.RWP).
 */
void vgic_ask(struct vcpu *self, const struct vgic_bank *bank, u32 bits, bool active, u32 word)
	NEEDS(self->vm->vgic.lock);
void vgic_answer_all(struct vcpu *here) NEEDS(here->vm->vgic.lock);
/* All of the loaded `here` is in its banks: it answers those who ask. */
static inline void vgic_answer(struct vcpu *here) NEEDS(here->vm->vgic.lock)
{
	if (here->vm->vgic.questions)
		vgic_answer_all(here);
}

/* vgic_pend() by those who know: `self` executes here; the target does not. */
void vgic_raise_here(struct vcpu *self, u32 intid);
void vgic_raise_elsewhere(struct vcpu *target, u32 intid);

/* GICD_CTLR. */
void vgic_set_control(struct vcpu *self, u32 control);

/* Registers that both versions and the redistributors have, offsets 0x080 to 0xcff but ITARGETSR.
 * `of`: whose SGIs and PPIs are in bank 0; 0: none, it reads as zero. */
bool vgic_common(struct vcpu *self, struct vcpu *of, struct mmio *access, u64 offset);
/* Of another size than a register has it reads as zero and takes nothing, as on QEMU's virt. */
static inline bool vgic_read_word(struct mmio *access, u64 word)
{
	access->value = access->bytes == 4 ? word : 0;
	return true;
}

bool vgic_v2_distributor(struct vcpu *self, struct mmio *access);
bool vgic_v3_distributor(struct vcpu *self, struct mmio *access);
