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

/* --- Out of the list registers -------------------------------------------------------------- */

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
	if (intid < 32)
		return 0;
	return vgic_spi_changed(vcpu->vm, (struct vgic_spi_bank *)bank, bit) & ~(1u << vcpu->index);
}

/*
 * The guest ended interrupts that were active and had no list register: as it ends the most urgent
 * first, those with the highest priority. IHI 0069 12.4.5 (EOIcount).
 */
static COLD void end_lost(struct vcpu *vcpu)
{
	u32 lost = list_regs_lost_ends();

	if (lost)
		list_regs_maintenance(vcpu->vgic.maintenance); /* counts from 0 again */
	for (; lost; lost--) {
		struct vgic_bank *best_bank = 0;
		u32 best = 256, best_bit = 0;

		for (u32 b = 0; b <= VGIC_SPI_BANKS; b++) {
			struct vgic_spi_bank *spi = b ? &vcpu->vm->vgic.spi[b - 1] : 0;
			struct vgic_bank *bank = spi ? &spi->bank : &vcpu->vgic.private;

			for (u32 bits = bank->active & ~bank->listed; bits; bits &= bits - 1) {
				u32 n = (u32)__builtin_ctz(bits);

				if (bank->priority[n] >= best ||
				    (spi && spi->owner[n] != vcpu->index))
					continue;
				best = bank->priority[n];
				best_bank = bank;
				best_bit = 1u << n;
			}
		}
		if (!best_bank)
			return;
		best_bank->active &= ~best_bit;
		if (best_bank != &vcpu->vgic.private)
			vgic_spi_summarize(&vcpu->vm->vgic, (struct vgic_spi_bank *)best_bank);
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

/* Gives a free list register an interrupt that is not listed, with all its state. */
static COLD void place(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 n = intid % 32, bit = 1u << n;
	bool active = bank->active & bit;
	bool pending = !active || vgic_bank_forwarded(&vcpu->vm->vgic, bank) & bit;
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
	} else if (!(bank->edge & bit)) {
		reg |= LIST_REG_EOI;
	} else if (pending) {
		reg |= LIST_REG_PENDING;
		take_latch(bank, bit);
	}
	bank->active &= ~bit;
	vgic_lists_put(vcpu, bank, intid, index, reg);
}

/* Four best ones, in order. */
struct best {
	u32 count; /* of all that were offered */
	u32 key[LIST_REGS_KEPT];
};

/* Key: what counts most in front, the INTID in bits 9:0. */
static void offer(struct best *best, u32 key)
{
	u32 at = min(best->count, LIST_REGS_KEPT);

	best->count++;
	if (at == LIST_REGS_KEPT && key >= best->key[--at])
		return;
	for (; at && best->key[at - 1] > key; at--)
		best->key[at] = best->key[at - 1];
	best->key[at] = key;
}

/* Offers what is wanted of a bank: active ones and pending ones; pending and active counts as
 * active. One that the guest's CPU interface does not let through comes after those that it does.
 */
static void offer_bank(struct vcpu *vcpu, const struct vgic_bank *bank, u32 base, u32 bits,
		       const u32 shut[2], struct best *active, struct best *pending)
{
	const struct vgic_spi_bank *spi = (const struct vgic_spi_bank *)bank;

	for (; bits; bits &= bits - 1) {
		u32 n = (u32)__builtin_ctz(bits);
		u32 key = (u32)bank->priority[n] << 10 | (base + n);

		if (base && vgic_spi_home(spi, n) != vcpu->index)
			continue;
		if (bank->active >> n & 1)
			offer(active, key);
		else
			offer(pending, key | shut[bank->group1 >> n & 1]);
	}
}

/* With every list register free: the best ones go in, and the interrupts that will tell when that
 * is no more right are asked for. */
static COLD void choose(struct vcpu *vcpu)
{
	struct vgic *gic = &vcpu->vm->vgic;
	struct list_regs_interface guest = list_regs_interface(0);
	u32 shut[2] = { guest.group0 ? 0 : 1u << 18, guest.group1 ? 0 : 1u << 18 };
	struct best active = { 0 }, pending = { 0 };
	u32 actives, pendings, index = 0, when = 0;

	offer_bank(vcpu, &vcpu->vgic.private, 0, vgic_bank_wanted(gic, &vcpu->vgic.private), shut,
		   &active, &pending);
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		struct vgic_spi_bank *spi = &gic->spi[__builtin_ctz(banks)];

		offer_bank(vcpu, &spi->bank, 32 + 32 * (u32)(spi - gic->spi),
			   vgic_bank_wanted(gic, &spi->bank), shut, &active, &pending);
	}
	/* Active ones first, so that the guest can end them; but what is most urgent can preempt.
	 */
	actives = min(active.count, LIST_REGS_KEPT - (pending.count ? 1 : 0));
	pendings = min(pending.count, LIST_REGS_KEPT - actives);
	for (u32 i = 0; i < actives + pendings; i++) {
		u32 intid = (i < actives ? active.key[i] : pending.key[i - actives]) & 0x3ff;
		struct vgic_bank *bank = bank_of(vcpu, intid);

		place(vcpu, bank, intid, index++);
		if (intid < 32)
			continue;
		vgic_spi_of(vcpu->vm, intid)->owner[intid % 32] = (u8)vcpu->index;
		vgic_spi_summarize(gic, vgic_spi_of(vcpu->vm, intid));
	}
	if (pending.count > pendings) {
		when |= LIST_REGS_NO_PENDING;
		when |= guest.group0 ? LIST_REGS_GROUP0_OFF : LIST_REGS_GROUP0_ON;
		when |= guest.group1 ? LIST_REGS_GROUP1_OFF : LIST_REGS_GROUP1_ON;
	}
	if (active.count > actives)
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
			place(vcpu, bank, intid, (u32)__builtin_ctz(unused));
		else
			place_pending(vcpu, bank, intid, (u32)__builtin_ctz(unused));
	}
	return true;
}

static COLD bool place_spis(struct vcpu *vcpu)
{
	struct vgic *gic = &vcpu->vm->vgic;

	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		struct vgic_spi_bank *spi = &gic->spi[__builtin_ctz(banks)];
		u32 bits = vgic_bank_wanted(gic, &spi->bank);

		for (; bits; bits &= bits - 1) {
			u32 n = (u32)__builtin_ctz(bits), unused = ALL_LIST_REGS & ~vcpu->vgic.used;

			if (vgic_spi_home(spi, n) != vcpu->index)
				continue;
			if (!unused)
				return false;
			place(vcpu, &spi->bank, 32 + 32 * (u32)(spi - gic->spi) + n,
			      (u32)__builtin_ctz(unused));
			spi->owner[n] = (u8)vcpu->index;
		}
		vgic_spi_summarize(gic, spi);
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
