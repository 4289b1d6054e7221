/*
 * The list registers of a vCPU as a cache of what is pending and active (vgic_lists.h).
 *
 * The way of an interrupt: its bit in a bank makes it wanted; place() gives it a free list register
 * and marks it listed; the guest acknowledges and ends it without leaving; vgic_lists_fold() takes
 * what the list register then says back into the bank. When there are more wanted ones than
 * registers, or something changes about a listed one, refit() takes all out and puts the best ones
 * in.
 *
 * Owns: list[], used, hardware, asking, maintenance of struct vgic_vcpu. Locks: vgic.h.
 */
#include "core/vdev/vgic_lists.h"

static inline struct vgic_bank *bank_of(struct vcpu *vcpu, u32 intid)
{
	return intid < 32 ? &vcpu->vgic.private : &vgic_spi_of(vcpu->vm, intid)->bank;
}

/* --- The most urgent first ------------------------------------------------------------------ */

/*
 * What of a vCPU's is active, or pending, and in no list register, to be taken in order: by
 * priority, then by INTID. The best of each bank is known, so to take one costs a look at each bank
 * and a search in its own, however many there are.
 */
#define BANKS (1 + VGIC_SPI_BANKS) /* bank 0 is the private one */

struct candidates {
	struct list_regs_interface guest; /* what it does not let through comes last */
	u32 banks;			  /* bit b: bits[b] is not 0 */
	u32 bits[BANKS];
	u32 best[BANKS]; /* key: what counts most in front, the INTID in bits 9:0 */
};

#define KEY_PRIORITY   10
#define KEY_SHUT       (1u << 18)
#define KEY_INTID(key) ((key)&0x3ff)

static void set_candidates(struct candidates *of, const struct vgic_bank *bank, u32 b, u32 bits)
{
	u32 open = bits & vgic_bank_let_through(bank, &of->guest);
	u32 n;

	of->bits[b] = bits;
	of->banks = bits ? of->banks | 1u << b : of->banks & ~(1u << b);
	if (!bits)
		return;
	n = vgic_most_urgent(bank, open ? open : bits);
	of->best[b] = (u32)bank->priority[n] << KEY_PRIORITY | (32 * b + n);
	if (!open)
		of->best[b] |= KEY_SHUT;
}

static void find_active(struct vcpu *vcpu, struct candidates *found)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	const struct vgic_bank *bank = &vcpu->vgic.private;

	/* Whatever the guest lets through: it has let them through before. */
	found->guest = (struct list_regs_interface){ .group0 = true, .group1 = true };
	found->banks = 0;
	set_candidates(found, bank, 0, bank->active & ~bank->listed);
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		u32 b = (u32)__builtin_ctz(banks);
		const struct vgic_spi_bank *spi = &gic->spi[b];

		set_candidates(found, &spi->bank, b + 1,
			       spi->bank.active & ~spi->bank.listed & spi->owned[vcpu->index]);
	}
}

static void find_pending(struct vcpu *vcpu, struct list_regs_interface guest,
			 struct candidates *found)
{
	const struct vgic *gic = &vcpu->vm->vgic;

	found->guest = guest;
	found->banks = 0;
	set_candidates(found, &vcpu->vgic.private, 0,
		       vgic_bank_deliverable(gic, &vcpu->vgic.private));
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		u32 b = (u32)__builtin_ctz(banks);
		const struct vgic_spi_bank *spi = &gic->spi[b];

		set_candidates(found, &spi->bank, b + 1,
			       vgic_bank_deliverable(gic, &spi->bank) & spi->routed[vcpu->index]);
	}
}

/* Takes the most urgent one out; there is one. Returns its INTID. */
static u32 take_best(struct vcpu *vcpu, struct candidates *of)
{
	u32 banks = of->banks, best = of->best[__builtin_ctz(banks)], intid;

	while (banks &= banks - 1)
		best = min(best, of->best[__builtin_ctz(banks)]);
	intid = KEY_INTID(best);
	set_candidates(of, bank_of(vcpu, intid), intid / 32,
		       of->bits[intid / 32] & ~(1u << intid % 32));
	return intid;
}

/* --- Out of the list registers -------------------------------------------------------------- */

/* An SPI left a list register. */
static COLD u32 disown(struct vcpu *vcpu, struct vgic_spi_bank *spi, u32 bit)
	NEEDS(vcpu->vm->vgic.lock)
{
	if (!(spi->bank.active & bit)) {
		spi->owned[vcpu->index] &= ~bit;
		if (!(spi->routed[vcpu->index] & bit)) /* it was routed away meanwhile */
			return vgic_spi_changed(vcpu->vm, spi, bit);
	}
	vgic_spi_summarize(&vcpu->vm->vgic, spi);
	return 0;
}

u32 vgic_lists_fold(struct vcpu *vcpu, u32 index, u64 reg)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 intid = v->list[index], n = intid % 32, bit = 1u << n;
	struct vgic_bank *bank = bank_of(vcpu, intid);

	v->used &= (u8) ~(1u << index);
	bank->listed &= ~bit;
	if (v->hardware >> index & 1 && !(reg & (LIST_REG_PENDING | LIST_REG_ACTIVE)))
		vgic_timer_ended(vcpu);
	v->hardware &= (u8) ~(1u << index);
	if (reg & LIST_REG_PENDING && bank->taken & ~bank->clear & bit) {
		bank->latched |= bit;
		if (intid < 16 && vcpu->vm->vgic.version == 2)
			v->sgi_source[intid] |= (u8)(1u << LIST_REG_SOURCE_OF(reg));
	}
	if (reg & LIST_REG_ACTIVE && !(bank->deactivate & bit)) {
		bank->active |= bit;
		if (intid < 16)
			v->sgi_active[intid] = (u8)LIST_REG_SOURCE_OF(reg);
	}
	bank->taken &= ~bit;
	bank->clear &= ~bit;
	bank->deactivate &= ~bit;
	return intid < 32 ? 0 : disown(vcpu, (struct vgic_spi_bank *)bank, bit);
}

/*
 * The guest ended interrupts that were active and had no list register: as it ends the most urgent
 * first, those with the highest priority. IHI 0069 12.4.5 (EOIcount).
 */
static COLD void end_lost(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 lost = list_regs_lost_ends();
	struct candidates active;

	if (!lost)
		return;
	list_regs_maintenance(vcpu->vgic.maintenance); /* counts from 0 again */
	find_active(vcpu, &active);
	for (; lost && active.banks; lost--) {
		u32 intid = take_best(vcpu, &active), bit = 1u << intid % 32;
		struct vgic_bank *bank = bank_of(vcpu, intid);

		bank->active &= ~bit;
		if (intid >= 32)
			disown(vcpu, (struct vgic_spi_bank *)bank, bit);
	}
}

u32 vgic_lists_fold_all(struct vcpu *vcpu)
{
	u32 look = 0;

	if (vcpu->vgic.maintenance & LIST_REGS_LOST_EOI)
		end_lost(vcpu);
	for (u32 used = vcpu->vgic.used; used; used &= used - 1) {
		u32 index = (u32)__builtin_ctz(used);

		look |= vgic_lists_fold(vcpu, index, list_reg_read(index));
		list_reg_write(index, 0);
	}
	vcpu->vgic.asking = 0;
	return look;
}

/* --- Into the list registers ---------------------------------------------------------------- */

/*
 * GICv2: an SGI is pending from each sender by itself, and a list register holds one of them; the
 * others follow when it is ended. Sets what of `reg` depends on it.
 */
static u64 take_sgi(struct vgic_vcpu *v, u32 intid, u64 reg, bool pending)
{
	u32 bit = 1u << intid, sources = v->sgi_source[intid], source;

	source = reg & LIST_REG_ACTIVE ? v->sgi_active[intid]
		 : sources	       ? (u32)__builtin_ctz(sources)
				       : 0;
	if (pending && (!sources || sources >> source & 1)) {
		v->sgi_source[intid] = (u8)(sources &= ~(1u << source));
		v->private.taken |= bit;
		reg |= LIST_REG_PENDING;
	}
	if (!sources)
		v->private.latched &= ~bit;
	else
		reg |= LIST_REG_EOI;
	return reg | LIST_REG_SOURCE(source);
}

static inline void take_latch(struct vgic_bank *bank, u32 bit)
{
	bank->taken = (bank->taken & ~bit) | (bank->latched & bit);
	bank->latched &= ~bit;
}

static inline bool is_timer_line(const struct vgic_bank *bank, u32 intid)
{
	return intid == VGIC_TIMER && bank->line & VGIC_TIMER_BIT;
}

/* A pending one that is not active, and no SGI of GICv2: the usual case. */
static inline void place_pending(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index)
{
	u32 n = intid % 32, bit = 1u << n;
	u64 reg = intid | LIST_REG_PENDING | LIST_REG_PRIORITY(bank->priority[n]);

	if (bank->group1 & bit)
		reg |= LIST_REG_GROUP1;
	if (is_timer_line(bank, intid))
		reg |= LIST_REG_HARDWARE | LIST_REG_PHYSICAL(VGIC_TIMER);
	else if (!(bank->edge & bit))
		reg |= LIST_REG_EOI; /* a level is looked at again when the guest has ended it */
	take_latch(bank, bit);
	vgic_lists_put(vcpu, bank, intid, index, reg);
}

/*
 * Gives a free list register an interrupt that is not listed, with all its state. `scarce`: there
 * may be too few registers for what is pending. Then the next of one that is active is not given
 * with it, where it would come before more urgent ones that wait, but when this one is ended.
 */
static COLD void place(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index, bool scarce)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 n = intid % 32, bit = 1u << n;
	bool active = bank->active & bit;
	bool waiting = active && vgic_bank_forwarded(&vcpu->vm->vgic, bank) & bit;
	bool pending = !active || (waiting && !scarce);
	u64 reg = intid | LIST_REG_PRIORITY(bank->priority[n]);

	if (bank->group1 & bit)
		reg |= LIST_REG_GROUP1;
	if (active)
		reg |= LIST_REG_ACTIVE;
	bank->taken &= ~bit;
	if (intid < 16 && vcpu->vm->vgic.version == 2) {
		reg = take_sgi(v, intid, reg, pending);
	} else if (!active) {
		place_pending(vcpu, bank, intid, index);
		return;
	} else if (is_timer_line(bank, intid)) {
		/* A hardware one cannot be pending and active: its next comes physically. */
		reg |= LIST_REG_HARDWARE | LIST_REG_PHYSICAL(VGIC_TIMER);
	} else if (!(bank->edge & bit) || (waiting && !pending)) {
		reg |= LIST_REG_EOI;
	} else if (pending) {
		reg |= LIST_REG_PENDING;
		take_latch(bank, bit);
	}
	bank->active &= ~bit;
	vgic_lists_put(vcpu, bank, intid, index, reg);
}

static void place_any(struct vcpu *vcpu, u32 intid, u32 index, bool scarce)
{
	struct vgic_spi_bank *spi;

	if (intid < 32) {
		place(vcpu, &vcpu->vgic.private, intid, index, scarce);
		return;
	}
	spi = vgic_spi_of(vcpu->vm, intid);
	place(vcpu, &spi->bank, intid, index, scarce);
	spi->owned[vcpu->index] |= 1u << intid % 32;
	vgic_spi_summarize(&vcpu->vm->vgic, spi);
}

/* With every list register free: the best ones go in, and the interrupts that will tell when that
 * is no more right are asked for. */
static COLD void choose(struct vcpu *vcpu)
{
	struct list_regs_interface guest = list_regs_interface(0);
	struct candidates active, pending;
	u32 index = 0, actives, when = 0;

	find_active(vcpu, &active);
	find_pending(vcpu, guest, &pending);
	/* Active ones first, so that the guest can end them; but what is most urgent can preempt.
	 */
	actives = LIST_REGS_KEPT - (pending.banks ? 1 : 0);
	for (; index < actives && active.banks; index++)
		place_any(vcpu, take_best(vcpu, &active), index, pending.banks != 0);
	for (; index < LIST_REGS_KEPT && pending.banks; index++)
		place_any(vcpu, take_best(vcpu, &pending), index, false);
	if (pending.banks) {
		when |= LIST_REGS_NO_PENDING;
		when |= guest.group0 ? LIST_REGS_GROUP0_OFF : LIST_REGS_GROUP0_ON;
		when |= guest.group1 ? LIST_REGS_GROUP1_OFF : LIST_REGS_GROUP1_ON;
	}
	if (active.banks)
		when |= LIST_REGS_LOST_EOI;
	vgic_lists_maintenance(vcpu, when);
}

static COLD u32 refit(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = vgic_lists_fold_all(vcpu);

	vcpu->vgic.recheck = false;
	vgic_timer_look(vcpu);
	choose(vcpu);
	return look;
}

/* Puts what is wanted into free list registers; false: there are not enough of them. */
static inline bool place_private(struct vcpu *vcpu, u32 bits)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u32 special = bank->active | (vcpu->vm->vgic.version == 2 ? VGIC_SGIS : 0);

	for (; bits; bits &= bits - 1) {
		u32 unused = ALL_LIST_REGS & ~vcpu->vgic.used, intid = (u32)__builtin_ctz(bits);

		if (!unused)
			return false;
		if (special >> intid & 1)
			place(vcpu, bank, intid, (u32)__builtin_ctz(unused), false);
		else
			place_pending(vcpu, bank, intid, (u32)__builtin_ctz(unused));
	}
	return true;
}

static COLD bool place_spis(struct vcpu *vcpu)
{
	struct vgic *gic = &vcpu->vm->vgic;

	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		u32 b = (u32)__builtin_ctz(banks);
		struct vgic_spi_bank *spi = &gic->spi[b];
		u32 bits = vgic_bank_wanted(gic, &spi->bank) & vgic_spi_home(spi, vcpu->index);

		for (; bits; bits &= bits - 1) {
			u32 unused = ALL_LIST_REGS & ~vcpu->vgic.used;

			if (!unused)
				return false;
			place_any(vcpu, 32 + 32 * b + (u32)__builtin_ctz(bits),
				  (u32)__builtin_ctz(unused), false);
		}
	}
	return true;
}

u32 vgic_lists_place_all(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 want;

	if (v->recheck || v->maintenance)
		return refit(vcpu);
	want = vgic_bank_wanted(&vcpu->vm->vgic, &v->private);
	if (want && !place_private(vcpu, want))
		return refit(vcpu);
	if (vcpu->vm->vgic.wanted && !place_spis(vcpu))
		return refit(vcpu);
	return 0;
}
