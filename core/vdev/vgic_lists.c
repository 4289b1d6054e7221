/*
 * The list registers of a vCPU as a cache of what is pending and active (vgic_lists.h).
 *
 * The way of an interrupt: its bit in a bank makes it wanted; place() gives it a free list register
 * and marks it listed; the guest acknowledges and ends it without leaving; vgic_lists_fold() takes
 * what the list register then says back into the bank. When something changes about a listed one,
 * all are taken out first; and when there are more wanted ones than registers, vgic_lists_choose()
 * puts the best ones in.
 *
 * Owns: list[], used, hardware, asking, maintenance of struct vgic_vcpu. Locks: vgic.h.
 */
#include "core/vdev/vgic_lists.h"

#include "core/base/panic.h"

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
	u32 open[2]; /* by group: bits of what the guest lets through; the others come last */
	u32 forced;  /* bits of those that come last if software has made them active */
	u32 banks;   /* bit b: bits[b] is not 0 */
	u32 bits[BANKS];
	u32 best[BANKS]; /* key: what counts most in front, the INTID in bits 9:0 */
};

#define KEY_PRIORITY   10
#define KEY_SHUT       (1u << 18)
#define KEY_INTID(key) ((key)&0x3ff)

static inline void no_candidates(struct candidates *of, bool group0, bool group1)
{
	of->open[0] = group0 ? ~0u : 0;
	of->open[1] = group1 ? ~0u : 0;
	of->forced = 0;
	of->banks = 0;
}

/* `bits` are not none. */
static APART void set_candidates(struct candidates *of, const struct vgic_bank *bank, u32 b,
				 u32 bits)
{
	u32 open = bits & ((bank->group1 & of->open[1]) | (~bank->group1 & of->open[0])) &
		   ~(bank->forced & of->forced);
	u32 n = vgic_most_urgent(bank, open ? open : bits);

	of->banks |= 1u << b;
	of->bits[b] = bits;
	of->best[b] =
		((u32)bank->priority[n] << KEY_PRIORITY | (32 * b + n)) + (open ? 0 : KEY_SHUT);
}

/* In any bank there are few of one kind or many of the other, so both are looked for at once. */
static inline void add_candidates(const struct vgic *gic, const struct vgic_bank *bank, u32 b,
				  u32 owned, u32 routed, struct candidates *active,
				  struct candidates *pending)
{
	u32 actives = bank->active & ~bank->listed & owned;
	u32 pendings = vgic_bank_deliverable(gic, bank) & routed;

	if (actives)
		set_candidates(active, bank, b, actives);
	if (pendings)
		set_candidates(pending, bank, b, pendings);
}

static APART void find_candidates(struct vcpu *vcpu, struct candidates *active,
				  struct candidates *pending)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	struct list_regs_interface guest = list_regs_interface(0);

	/* The guest has let active ones through before. */
	no_candidates(active, true, true);
	active->forced = ~0u;
	no_candidates(pending, guest.group0, guest.group1);
	add_candidates(gic, &vcpu->vgic.private, 0, ~0u, ~0u, active, pending);
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		u32 b = (u32)__builtin_ctz(banks);
		const struct vgic_spi_bank *spi = &gic->spi[b];

		__asm__("" : "+r"(spi)); /* hidden, or the address is made three times */
		add_candidates(gic, &spi->bank, b + 1, spi->owned[vcpu->index],
			       spi->routed[vcpu->index], active, pending);
	}
}

/* Takes the most urgent one out; there is one. Returns its INTID. */
static APART u32 take_best(struct vcpu *vcpu, struct candidates *of)
{
	u32 banks = of->banks, best = of->best[__builtin_ctz(banks)], intid, b, left;

	while (banks &= banks - 1)
		best = min(best, of->best[__builtin_ctz(banks)]);
	intid = KEY_INTID(best);
	b = intid / 32;
	left = of->bits[b] & ~(1u << intid % 32);
	if (left)
		set_candidates(of, bank_of(vcpu, intid), b, left);
	else
		of->banks &= ~(1u << b);
	return intid;
}

/* --- Out of the list registers -------------------------------------------------------------- */

/* An SPI is in no list register any more. */
static RARE APART u32 disown(struct vcpu *vcpu, struct vgic_spi_bank *spi, u32 bit)
	NEEDS(vcpu->vm->vgic.lock)
{
	vgic_hardware_look(spi);
	if (!(spi->bank.active & bit)) {
		spi->owned[vcpu->index] &= ~bit;
		if (!(spi->routed[vcpu->index] & bit)) /* it was routed away meanwhile */
			return vgic_spi_changed(vcpu->vm, spi, bit);
	}
	vgic_spi_summarize(&vcpu->vm->vgic, spi);
	return 0;
}

/*
 * An SPI of the machine left list register `index`. If the guest has ended it, so is the physical
 * one, unless it was that one's next that has latched it. Where lines are lost it is still active,
 * and the question is taken back.
 */
static APART void leave_device(struct vcpu *vcpu, u32 index, u64 reg, struct vgic_bank *bank,
			       u32 bit)
{
	vcpu->vgic.device &= (u8) ~(1u << index);
	if (reg & (LIST_REG_PENDING | LIST_REG_ACTIVE))
		return;
	if (list_regs_lose_lines())
		list_reg_write(index, 0);
	else
		bank->physical &= ~bit | bank->latched;
}

u32 vgic_lists_fold(struct vcpu *vcpu, u32 index, u64 reg)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 intid = vgic_listed(v, index), n = intid % 32, bit = 1u << n;
	struct vgic_bank *bank = bank_of(vcpu, intid);

	v->used &= (u8) ~(1u << index);
	bank->listed &= ~bit;
	if (v->hardware >> index & 1) {
		v->hardware &= (u8) ~(1u << index);
		if (!(reg & (LIST_REG_PENDING | LIST_REG_ACTIVE)))
			vgic_timer_ended(vcpu, index);
	}
	if (reg & LIST_REG_PENDING && bank->taken & ~bank->clear & bit) {
		bank->latched |= bit;
		if (intid < 16 && vcpu->vm->vgic.version == 2)
			v->sgi_source[intid] |= (u8)(1u << LIST_REG_SOURCE_OF(reg));
	}
	if (reg & LIST_REG_ACTIVE && !(bank->deactivate & bit)) {
		bank->active |= bit;
		if (!(v->list[index] & VGIC_WAS_ACTIVE))
			bank->forced &= ~bit;
		if (intid < 16 && vcpu->vm->vgic.version == 2)
			v->sgi_active[intid] = (u8)LIST_REG_SOURCE_OF(reg);
	} else {
		bank->changed &= ~bit;
	}
	bank->taken &= ~bit;
	bank->clear &= ~bit;
	bank->deactivate &= ~bit;
	if (intid < 32)
		return 0;
	if (v->device >> index & 1)
		leave_device(vcpu, index, reg, bank, bit);
	return disown(vcpu, (struct vgic_spi_bank *)bank, bit);
}

/*
 * The guest ended interrupts that were active and had no list register: as it ends the most urgent
 * first, those with the highest priority that it has acknowledged. IHI 0069 12.4.5 (EOIcount).
 */
static RARE APART void end_lost(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 lost = list_regs_lost_ends();
	struct candidates active, pending;

	if (!lost)
		return;
	list_regs_maintenance(vcpu->vgic.maintenance); /* counts from 0 again */
	if (list_regs_deactivation_trapped())
		return;
	find_candidates(vcpu, &active, &pending);
	for (; lost && active.banks; lost--) {
		u32 intid = take_best(vcpu, &active), bit = 1u << intid % 32;
		struct vgic_bank *bank = bank_of(vcpu, intid);

		bank->active &= ~bit;
		bank->changed &= ~bit;
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

		look |= vgic_lists_fold(vcpu, index, list_reg_take(index));
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

/* What a list register says of an interrupt whatever its state is. */
static inline u64 made_up(const struct vgic_bank *bank, u32 intid)
{
	u32 n = intid % 32;
	u64 reg = intid | LIST_REG_PRIORITY(bank->priority[n]);

	return bank->group1 & 1u << n ? reg | LIST_REG_GROUP1 : reg;
}

/*
 * And of an active one whose priority or group has changed since it was acknowledged. EOIR deactivates it only if its list
 * register has the group and the group priority of what is dropped: IHI 0069, ICV_EOIR1_EL1. GICv2 does not compare.
 */
static inline u64 made_up_as_acknowledged(struct vgic_bank *bank, u32 intid)
{
	u8 as = *vgic_acknowledged_as(bank, intid % 32);
	u64 reg = intid | LIST_REG_PRIORITY(as & VGIC_PRIORITY_MASK);

	return as & 1 ? reg | LIST_REG_GROUP1 : reg;
}

/*
 * A pending one that is not active, and no SGI of GICv2: the usual case. Sets what of `reg` depends on it. `physical`: an
 * SPI came.
 */
static inline u64 take_pending(struct vgic_bank *bank, u32 intid, u64 reg, bool physical)
{
	u32 bit = 1u << intid % 32;

	reg |= LIST_REG_PENDING;
	if (physical || is_timer_line(bank, intid))
		reg |= LIST_REG_HARDWARE | LIST_REG_PHYSICAL(intid);
	else if (!(bank->edge & bit))
		reg |= LIST_REG_EOI; /* a level is looked at again when the guest has ended it */
	take_latch(bank, bit);
	return reg;
}

/*
 * Gives a free list register an interrupt that is not listed, with all its state. `scarce`: there
 * may be too few registers for what is pending. Then the next of one that is active is not given
 * with it, where it would come before more urgent ones that wait, but when this one is ended. So is the
 * next of one of `changed`, and until then nothing goes the quick way that would make the next one up in the same register.
 */
static RARE APART void place(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index,
			     bool scarce)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 bit = 1u << intid % 32;
	bool active = bank->active & bit;
	bool waiting = active && vgic_bank_forwarded(&vcpu->vm->vgic, bank) & bit;
	bool pending = !active || (waiting && !scarce);
	u64 reg = made_up(bank, intid);

	assert(!(bank->changed & ~(bank->active | bank->listed)));
	if (bank->changed & bit) {
		pending = false;
		reg = made_up_as_acknowledged(bank, intid);
		v->asking |= (u8)(1u << index);
	}
	if (active)
		reg |= LIST_REG_ACTIVE;
	bank->taken &= ~bit;
	if (intid < 16 && vcpu->vm->vgic.version == 2) {
		reg = take_sgi(v, intid, reg, pending);
	} else if (!active) {
		reg = take_pending(bank, intid, reg, bank->physical & bit);
	} else if (bank->physical & bit && waiting) {
		reg |= LIST_REG_EOI; /* the guest itself has made it pending */
	} else if (bank->physical & bit || is_timer_line(bank, intid)) {
		/* A hardware one cannot be pending and active: its next comes physically. */
		reg |= LIST_REG_HARDWARE | LIST_REG_PHYSICAL(intid);
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
	vcpu->vgic.device |= vcpu->vgic.hardware & (u8)(1u << index);
	vcpu->vgic.hardware &= (u8) ~(1u << index);
	spi->owned[vcpu->index] |= 1u << intid % 32;
	vgic_spi_summarize(&vcpu->vm->vgic, spi);
}

/*
 * The guest opens a group, or shuts one while it has the other: what comes first is another then. To shut the only one
 * lets nothing through. That is not asked for also because QEMU (10.0) looks at group 1 where it should at group 0
 * (ICH_MISR_EL2.VGrp0D), and would interrupt a guest that has group 0 alone for ever.
 */
static APART u32 when_groups_change(const struct candidates *pending)
{
	if (pending->open[0] && pending->open[1])
		return LIST_REGS_GROUP0_OFF | LIST_REGS_GROUP1_OFF;
	return (pending->open[0] ? 0 : LIST_REGS_GROUP0_ON) |
	       (pending->open[1] ? 0 : LIST_REGS_GROUP1_ON);
}

u32 vgic_lists_choose(struct vcpu *vcpu)
{
	u32 look = vgic_lists_fold_all(vcpu);
	struct candidates active, pending;
	u32 index = 0, actives, when = 0;

	vcpu->vgic.recheck = false;
	vgic_answer(vcpu);
	find_candidates(vcpu, &active, &pending);
	/* Active ones first, so that the guest can end them; but what is most urgent can preempt.
	 */
	actives = LIST_REGS_KEPT - (pending.banks ? 1 : 0);
	for (; index < actives && active.banks; index++)
		place_any(vcpu, take_best(vcpu, &active), index, pending.banks != 0);
	for (; index < LIST_REGS_KEPT && pending.banks; index++)
		place_any(vcpu, take_best(vcpu, &pending), index, false);
	if (pending.banks)
		when |= LIST_REGS_NO_PENDING | when_groups_change(&pending);
	if (active.banks)
		when |= LIST_REGS_LOST_EOI;
	vgic_lists_maintenance(vcpu, when);
	return look;
}

/* There is a free list register for each that wants one; `private` are those of the private bank.
 */
static inline bool all_fit(const struct vcpu *vcpu, u32 private)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	u32 unused = ALL_LIST_REGS & ~vcpu->vgic.used;

	for (; private; private &= private - 1, unused &= unused - 1)
		if (!unused)
			return false;
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		const struct vgic_spi_bank *spi = &gic->spi[__builtin_ctz(banks)];
		u32 bits = vgic_bank_wanted(gic, &spi->bank) & vgic_spi_home(spi, vcpu->index);

		for (; bits; bits &= bits - 1, unused &= unused - 1)
			if (!unused)
				return false;
	}
	return true;
}

static inline u32 a_free_one(const struct vcpu *vcpu)
{
	return (u32)__builtin_ctz(~(u32)vcpu->vgic.used);
}

/* The usual case: a single private one that is pending. False: it is another. */
static inline bool place_one(struct vcpu *vcpu, u32 bit)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u32 special = bank->active | (vcpu->vm->vgic.version == 2 ? VGIC_SGIS : 0);
	u32 intid = (u32)__builtin_ctz(bit);

	if (bit & (bit - 1) || special & bit || vcpu->vgic.used == ALL_LIST_REGS)
		return false;
	vgic_lists_put(vcpu, bank, intid, a_free_one(vcpu),
		       take_pending(bank, intid, made_up(bank, intid), false));
	return true;
}

static RARE APART void place_spis(struct vcpu *vcpu)
{
	struct vgic *gic = &vcpu->vm->vgic;

	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		u32 b = (u32)__builtin_ctz(banks);
		struct vgic_spi_bank *spi = &gic->spi[b];
		u32 bits = vgic_bank_wanted(gic, &spi->bank) & vgic_spi_home(spi, vcpu->index);

		for (; bits; bits &= bits - 1)
			place_any(vcpu, 32 + 32 * b + (u32)__builtin_ctz(bits), a_free_one(vcpu),
				  false);
	}
}

static APART u32 unlist(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = vgic_lists_fold_all(vcpu);

	vcpu->vgic.recheck = false;
	vgic_timer_look(vcpu);
	vgic_answer(vcpu);
	return look;
}

static RARE APART void place_wanted(struct vcpu *vcpu, u32 private)
{
	if (!all_fit(vcpu, private)) {
		vcpu->vgic.recheck = true;
		return;
	}
	for (; private; private &= private - 1)
		place(vcpu, &vcpu->vgic.private, (u32)__builtin_ctz(private), a_free_one(vcpu),
		      false);
	if (vcpu->vm->vgic.wanted)
		place_spis(vcpu);
	vgic_lists_maintenance(vcpu, 0);
}

u32 vgic_lists_place_all(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look = 0, want;

	if (v->recheck || v->maintenance)
		look = unlist(vcpu);
	want = vgic_bank_wanted(&vcpu->vm->vgic, &v->private);
	if (!(want | vcpu->vm->vgic.wanted | v->maintenance))
		return look;
	if (vcpu->vm->vgic.wanted | v->maintenance || !place_one(vcpu, want))
		place_wanted(vcpu, want);
	return look;
}
