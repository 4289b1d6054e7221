/*
 * The virtual interrupt controller's engine (vgic.h): which interrupts are in the list registers.
 *
 * The way of an interrupt: its bit in a bank makes it wanted; place() gives it a free list register
 * and marks it listed; the guest acknowledges and ends it without leaving; fold() takes what the
 * list register then says back into the bank. When there are more wanted ones than registers, or
 * something changes about a listed one, refit() takes all out and puts the best ones in.
 *
 * Owns: `timer_active`. Locks: vgic.h.
 */
#include "core/vdev/vgic_internal.h"

#include "core/base/string.h"
#include "core/sched.h"
#include "drivers/gic.h"

/* Not on a hot path: out of line, so that the functions that are stay small. */
#define COLD __attribute__((noinline))

#define ALL_LIST_REGS ((1u << LIST_REGS_KEPT) - 1)
#define TIMER_BIT     (1u << VGIC_TIMER)
#define SGI_BITS      0xffffu
/* WEIR_INTID_*: the edge-triggered PPIs. The trigger of SGIs and PPIs is fixed. */
#define EDGE_PPIS (7u << 18)

/*
 * By core: the virtual timer's interrupt is active in the physical GIC. While a vCPU is loaded that
 * is the same as line 27 of its private bank: the line is up from the interrupt until the guest has
 * ended it, and the physical interrupt cannot come a second time meanwhile.
 */
static bool timer_active[MAX_PCPUS];

/* --- The bits of a bank --------------------------------------------------------------------- */

/* Pending, enabled and forwarded to the CPU interface. */
static inline u32 forwarded(const struct vgic *gic, const struct vgic_bank *bank)
{
	u32 pending = vgic_bank_pending(bank) & bank->enabled;

	return pending & ((bank->group1 & gic->open[1]) | (~bank->group1 & gic->open[0]));
}

/* And neither active nor listed. */
static inline u32 deliverable(const struct vgic *gic, const struct vgic_bank *bank)
{
	return forwarded(gic, bank) & ~(bank->active | bank->listed);
}

/* What should be in a list register and is not: an active one so that the guest can end it. */
static inline u32 wanted(const struct vgic *gic, const struct vgic_bank *bank)
{
	return deliverable(gic, bank) | (bank->active & ~bank->listed);
}

static inline struct vgic_spi_bank *spi_of(struct vm *vm, u32 intid)
{
	return &vm->vgic.spi[index_nospec(intid / 32 - 1, VGIC_SPI_BANKS)];
}

static inline struct vgic_bank *bank_of(struct vcpu *vcpu, u32 intid)
{
	return intid < 32 ? &vcpu->vgic.private : &spi_of(vcpu->vm, intid)->bank;
}

/* Whose list registers an SPI that is not listed belongs in. */
static inline u32 home(const struct vgic_spi_bank *spi, u32 n)
{
	return spi->bank.active >> n & 1 ? spi->owner[n] : spi->target[n];
}

static inline void update_summary(struct vgic *gic, const struct vgic_spi_bank *spi)
{
	u32 bit = 1u << (spi - gic->spi);

	gic->wanted = wanted(gic, &spi->bank) ? gic->wanted | bit : gic->wanted & ~bit;
}

u32 vgic_changed(struct vm *vm, struct vcpu *private_of, struct vgic_bank *bank, u32 bits)
{
	struct vgic_spi_bank *spi = (struct vgic_spi_bank *)bank;
	u32 look = 0;

	if (private_of) {
		private_of->vgic.recheck |= (bits & bank->listed) != 0;
		return bits & (bank->listed | wanted(&vm->vgic, bank)) ? 1u << private_of->index
								       : 0;
	}
	update_summary(&vm->vgic, spi);
	bits &= bank->listed | wanted(&vm->vgic, bank);
	for (; bits; bits &= bits - 1) {
		u32 n = (u32)__builtin_ctz(bits);
		bool listed = bank->listed >> n & 1;
		u32 who = listed ? spi->owner[n] : home(spi, n);

		if (who >= vm->vcpu_count)
			continue;
		vm->vcpu[who]->vgic.recheck |= listed;
		look |= 1u << who;
	}
	return look;
}

/* --- The virtual timer ---------------------------------------------------------------------- */

static void set_timer_active(struct vcpu *vcpu, bool active)
{
	if (timer_active[vcpu->core] == active)
		return;
	timer_active[vcpu->core] = active;
	gic_set_active(VGIC_TIMER, active);
}

/* The line may have dropped since the interrupt came: then it must be able to come again. */
static COLD void look_at_timer(struct vcpu *vcpu)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	struct virtual_timer timer;

	if (!(bank->line & ~bank->listed & ~bank->active & TIMER_BIT))
		return;
	timer = timer_virtual_read();
	if (timer.enabled && timer.expired)
		return;
	bank->line &= ~TIMER_BIT;
	set_timer_active(vcpu, false);
}

/* The guest has ended the hardware one in this list register, and so the physical interrupt. */
static inline void end_timer(struct vcpu *vcpu, u32 index)
{
	vcpu->vgic.hardware &= (u8) ~(1u << index);
	vcpu->vgic.private.line &= ~TIMER_BIT;
	timer_active[vcpu->core] = false;
}

static inline u32 drain(struct vcpu *vcpu)
{
	u32 *inbox = &vcpu->vgic.inbox;

	if (!__atomic_load_n(inbox, __ATOMIC_RELAXED))
		return 0;
	return __atomic_exchange_n(inbox, 0, __ATOMIC_ACQUIRE);
}

/* --- Out of the list registers -------------------------------------------------------------- */

/* Takes the state of a list register into the bank; mask of another vCPU that it is now for. */
static COLD u32 fold(struct vcpu *vcpu, u32 index, u64 reg) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 intid = v->list[index], n = intid % 32, bit = 1u << n;
	struct vgic_bank *bank = bank_of(vcpu, intid);

	v->used &= (u8) ~(1u << index);
	bank->listed &= ~bit;
	if (v->hardware >> index & 1 && !(reg & (LIST_REG_PENDING | LIST_REG_ACTIVE)))
		end_timer(vcpu, index);
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
	return intid < 32 ? 0 : vgic_changed(vcpu->vm, 0, bank, bit) & ~(1u << vcpu->index);
}

/*
 * Takes the list registers that the guest has emptied; `clear` and `deactivate` have no bits of
 * theirs, for whoever sets one asks for a recheck. A register that asked for a maintenance
 * interrupt keeps it up until it is written.
 */
static inline u32 fold_empty(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look = 0;

	for (u32 empty = list_regs_empty() & v->used; empty; empty &= empty - 1) {
		u32 index = (u32)__builtin_ctz(empty), intid = v->list[index];

		if (v->asking >> index & 1) {
			v->asking &= (u8) ~(1u << index);
			list_reg_write(index, 0);
		}
		if (intid >= 32) {
			look |= fold(vcpu, index, 0);
			continue;
		}
		v->used &= (u8) ~(1u << index);
		v->private.listed &= ~(1u << intid);
		if (v->hardware >> index & 1)
			end_timer(vcpu, index);
	}
	return look;
}

/*
 * The guest ended interrupts that were active and had no list register: as it ends the most urgent
 * first, those with the highest priority. IHI 0069 12.4.5 (EOIcount).
 */
static COLD void end_lost(struct vcpu *vcpu)
{
	u32 lost = vcpu->vgic.maintenance & LIST_REGS_LOST_EOI ? list_regs_lost_ends() : 0;

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
			update_summary(&vcpu->vm->vgic, (struct vgic_spi_bank *)best_bank);
	}
}

static COLD u32 fold_all(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = 0;

	end_lost(vcpu);
	for (u32 used = vcpu->vgic.used; used; used &= used - 1) {
		u32 index = (u32)__builtin_ctz(used);

		look |= fold(vcpu, index, list_reg_read(index));
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

/* A list register gets what it was made up for; the latch has gone into it if it is pending. */
static inline void list(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index, u64 reg)
{
	struct vgic_vcpu *v = &vcpu->vgic;

	bank->listed |= 1u << intid % 32;
	v->list[index] = (u16)intid;
	v->used |= (u8)(1u << index);
	if (reg & LIST_REG_EOI)
		v->asking |= (u8)(1u << index);
	if (reg & LIST_REG_HARDWARE)
		v->hardware |= (u8)(1u << index);
	list_reg_write(index, reg);
}

static inline void take_latch(struct vgic_bank *bank, u32 bit)
{
	bank->taken = (bank->taken & ~bit) | (bank->latched & bit);
	bank->latched &= ~bit;
}

static inline bool is_timer_line(const struct vgic_bank *bank, u32 intid)
{
	return intid == VGIC_TIMER && bank->line & TIMER_BIT;
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
	list(vcpu, bank, intid, index, reg);
}

/* Gives a free list register an interrupt that is not listed, with all its state. */
static COLD void place(struct vcpu *vcpu, struct vgic_bank *bank, u32 intid, u32 index)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 n = intid % 32, bit = 1u << n;
	bool active = bank->active & bit;
	bool pending = !active || forwarded(&vcpu->vm->vgic, bank) & bit;
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
	list(vcpu, bank, intid, index, reg);
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

		if (base && home(spi, n) != vcpu->index)
			continue;
		if (bank->active >> n & 1)
			offer(active, key);
		else
			offer(pending, key | shut[bank->group1 >> n & 1]);
	}
}

static void set_maintenance(struct vcpu *vcpu, u32 when)
{
	if (vcpu->vgic.maintenance == when)
		return;
	vcpu->vgic.maintenance = (u8)when;
	list_regs_maintenance(when);
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

	offer_bank(vcpu, &vcpu->vgic.private, 0, wanted(gic, &vcpu->vgic.private), shut, &active,
		   &pending);
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		struct vgic_spi_bank *spi = &gic->spi[__builtin_ctz(banks)];

		offer_bank(vcpu, &spi->bank, 32 + 32 * (u32)(spi - gic->spi),
			   wanted(gic, &spi->bank), shut, &active, &pending);
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
		spi_of(vcpu->vm, intid)->owner[intid % 32] = (u8)vcpu->index;
		update_summary(gic, spi_of(vcpu->vm, intid));
	}
	if (pending.count > pendings) {
		when |= LIST_REGS_NO_PENDING;
		when |= guest.group0 ? LIST_REGS_GROUP0_OFF : LIST_REGS_GROUP0_ON;
		when |= guest.group1 ? LIST_REGS_GROUP1_OFF : LIST_REGS_GROUP1_ON;
	}
	if (active.count > actives)
		when |= LIST_REGS_LOST_EOI;
	set_maintenance(vcpu, when);
}

static COLD u32 refit(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = fold_all(vcpu);

	vcpu->vgic.recheck = false;
	look_at_timer(vcpu);
	choose(vcpu);
	return look;
}

/* Puts what is wanted into free list registers; false: there are not enough of them. */
static inline bool place_private(struct vcpu *vcpu, u32 bits)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u32 special = bank->active | (vcpu->vm->vgic.version == 2 ? SGI_BITS : 0);

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
		u32 bits = wanted(gic, &spi->bank);

		for (; bits; bits &= bits - 1) {
			u32 n = (u32)__builtin_ctz(bits), unused = ALL_LIST_REGS & ~vcpu->vgic.used;

			if (home(spi, n) != vcpu->index)
				continue;
			if (!unused)
				return false;
			place(vcpu, &spi->bank, 32 + 32 * (u32)(spi - gic->spi) + n,
			      (u32)__builtin_ctz(unused));
			spi->owner[n] = (u8)vcpu->index;
		}
		update_summary(gic, spi);
	}
	return true;
}

/* Gives list registers to all that want one, after those that are empty were folded. */
static COLD u32 place_all(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 want;

	if (v->recheck || v->maintenance)
		return refit(vcpu);
	want = wanted(&vcpu->vm->vgic, &v->private);
	if (want && !place_private(vcpu, want))
		return refit(vcpu);
	if (vcpu->vm->vgic.wanted && !place_spis(vcpu))
		return refit(vcpu);
	return 0;
}

/*
 * The hot path: one private interrupt is raised, and there is nothing else to do. All that want a
 * list register have one, except after what is asked for here: a recheck, too few registers, the
 * end of an interrupt that asked to be looked at again, an SPI that came.
 */
static inline bool quiet(const struct vcpu *vcpu)
{
	const struct vgic_vcpu *v = &vcpu->vgic;

	return !(v->recheck | v->maintenance | v->asking | vcpu->vm->vgic.wanted);
}

static inline bool has_way(const struct vcpu *vcpu, u32 bit)
{
	const struct vgic_bank *bank = &vcpu->vgic.private;
	u32 open = vcpu->vm->vgic.open[(bank->group1 & bit) != 0];

	return bank->enabled & open & ~(bank->active | bank->listed | bank->latched) & bit &&
	       vcpu->vgic.used != ALL_LIST_REGS;
}

static inline void place_raised(struct vcpu *vcpu, u32 intid, u64 hardware)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u64 reg = intid | LIST_REG_PENDING | LIST_REG_PRIORITY(bank->priority[intid]) | hardware;

	if (bank->group1 >> intid & 1)
		reg |= LIST_REG_GROUP1;
	list(vcpu, bank, intid, (u32)__builtin_ctz(~(u32)vcpu->vgic.used), reg);
}

/* False: it goes the long way. Nothing that is folded here is for another vCPU: that takes a
 * recheck, or a level, which asks. */
static inline bool raise_quickly(struct vcpu *vcpu, u32 bit) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_bank *bank = &vcpu->vgic.private;

	if (!quiet(vcpu) || !(bank->edge & bit))
		return false;
	if (bank->listed & bit)
		fold_empty(vcpu);
	if (!has_way(vcpu, bit))
		return false;
	bank->taken |= bit;
	place_raised(vcpu, (u32)__builtin_ctz(bit), 0);
	return true;
}

/* Takes the rest: several interrupts, a change of what is listed, a load. */
static COLD u32 sync_fully(struct vcpu *vcpu, u32 bits) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look = 0;

	if (v->used && !v->recheck)
		look = fold_empty(vcpu);
	v->private.latched |= bits;
	v->recheck |= (bits & v->private.listed) != 0;
	if (!v->loaded)
		return 0;
	if (v->private.line & TIMER_BIT)
		look_at_timer(vcpu);
	return look | place_all(vcpu);
}

/*
 * Takes the inbox, and `bits` with it, and makes the list registers right; mask of other vCPUs that
 * have to look.
 */
static inline __attribute__((always_inline)) u32 sync(struct vcpu *vcpu, u32 bits)
	NEEDS(vcpu->vm->vgic.lock)
{
	bits |= drain(vcpu);
	if (bits && !(bits & (bits - 1)) && vcpu->vgic.loaded && raise_quickly(vcpu, bits))
		return 0;
	return sync_fully(vcpu, bits);
}

static COLD void kick_all(struct vm *vm, u32 vcpus)
{
	for (; vcpus; vcpus &= vcpus - 1)
		sched_kick(vm->vcpu[__builtin_ctz(vcpus)]);
}

/* --- For the register frames ---------------------------------------------------------------- */

u32 vgic_unlist_all(struct vcpu *self)
{
	u32 look = fold_all(self);

	self->vgic.private.latched |= drain(self);
	look_at_timer(self);
	self->vgic.recheck = true;
	return look;
}

void vgic_attend(struct vcpu *self, u32 vcpus)
{
	if (vcpus >> self->index & 1 || self->vgic.recheck)
		vcpus |= sync_fully(self, drain(self));
	spin_unlock(&self->vm->vgic.lock);
	kick_all(self->vm, vcpus & ~(1u << self->index));
}

void vgic_set_control(struct vcpu *self, u32 control)
{
	struct vgic *gic = &self->vm->vgic;
	u32 look = 0;

	spin_lock(&self->vm->vgic.lock);
	gic->control = control;
	gic->open[0] = control & 1 ? ~0u : 0;
	gic->open[1] = control & 2 ? ~0u : 0;
	for (u32 b = 0; b < VGIC_SPI_BANKS; b++)
		look |= vgic_changed(self->vm, 0, &gic->spi[b].bank, ~0u);
	for (u32 i = 0; i < self->vm->vcpu_count; i++) {
		struct vcpu *vcpu = self->vm->vcpu[i];

		look |= vgic_changed(self->vm, vcpu, &vcpu->vgic.private, ~0u);
	}
	vgic_attend(self, look);
}

bool vgic_mmio_distributor(struct vcpu *self, struct mmio *access)
{
	if (self->vm->vgic.version == 3)
		return vgic_v3_distributor(self, access);
	return vgic_v2_distributor(self, access);
}

/* --- Whether to wake -------------------------------------------------------------------------- */

/* Would this one be signalled? */
static bool passes(const struct list_regs_interface *guest, u32 priority, bool group1)
{
	return (group1 ? guest->group1 : guest->group0) && priority < guest->mask &&
	       priority < guest->running;
}

static bool bank_passes(const struct vcpu *vcpu, const struct vgic_spi_bank *spi,
			const struct list_regs_interface *guest)
{
	const struct vgic_bank *bank = spi ? &spi->bank : &vcpu->vgic.private;

	for (u32 bits = deliverable(&vcpu->vm->vgic, bank); bits; bits &= bits - 1) {
		u32 n = (u32)__builtin_ctz(bits);

		if (passes(guest, bank->priority[n], bank->group1 >> n & 1) &&
		    (!spi || spi->target[n] == vcpu->index))
			return true;
	}
	return false;
}

static bool any_passes(const struct vcpu *vcpu)
{
	const struct vgic *gic = &vcpu->vm->vgic;
	struct list_regs_interface guest =
		list_regs_interface(vcpu->vgic.loaded ? 0 : &vcpu->arch.list_regs);

	for (u32 used = vcpu->vgic.used; used; used &= used - 1) {
		u64 reg = list_reg_read((u32)__builtin_ctz(used));

		/* Pending and active: not before it is ended. */
		if (reg & LIST_REG_PENDING && !(reg & LIST_REG_ACTIVE) &&
		    passes(&guest, reg >> 48 & 0xff, reg & LIST_REG_GROUP1))
			return true;
	}
	if (bank_passes(vcpu, 0, &guest))
		return true;
	for (u32 banks = gic->wanted; banks; banks &= banks - 1) {
		if (bank_passes(vcpu, &gic->spi[__builtin_ctz(banks)], &guest))
			return true;
	}
	return false;
}

/* --- Public --------------------------------------------------------------------------------- */

void vgic_init(struct vm *vm)
{
	struct vgic *gic = &vm->vgic;
	/* GICv2 with several vCPUs targets none at reset; with one, always that. IHI 0048 4.3.12.
	 */
	u8 target = gic_version() == 2 && vm->vcpu_count > 1 ? VGIC_NOBODY : 0;

	gic->version = gic_version();
	gic->control = gic->wanted = gic->open[0] = gic->open[1] = 0;
	for (u32 b = 0; b < VGIC_SPI_BANKS; b++) {
		struct vgic_spi_bank *spi = &gic->spi[b];

		memset(&spi->bank, 0, sizeof(spi->bank));
		memset(spi->target, target, sizeof(spi->target));
		memset(spi->owner, 0, sizeof(spi->owner));
		memset(spi->route, 0, sizeof(spi->route));
	}
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct vgic_vcpu *v = &vm->vcpu[i]->vgic;

		memset(v, 0, sizeof(*v));
		vgic_vcpu_reset(vm->vcpu[i]);
	}
}

void vgic_vcpu_reset(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;

	spin_lock(&vcpu->vm->vgic.lock);
	v->private = (struct vgic_bank){
		.latched = v->private.latched,
		.edge = SGI_BITS | EDGE_PPIS,
		/* GICv2's SGIs cannot be disabled, as in GIC-400. */
		.enabled = vcpu->vm->vgic.version == 2 ? SGI_BITS : 0,
	};
	v->recheck = false;
	v->asleep = true;
	list_regs_reset(&vcpu->arch.list_regs);
	spin_unlock(&vcpu->vm->vgic.lock);
}

/* On the core of the loaded vCPU. */
void vgic_raise_here(struct vcpu *self, u32 intid)
{
	u32 look;

	spin_lock(&self->vm->vgic.lock);
	look = sync(self, 1u << (intid % 32));
	spin_unlock(&self->vm->vgic.lock);
	if (look)
		kick_all(self->vm, look);
}

/*
 * [V1] The bit, then the kick: a barrier is in each of them (the exclusive store with release here,
 * the run queue's lock or the DSB before the SGI there). Pairs with [V2] in vgic_pending(). Only
 * the first bit kicks: whoever finds the inbox in use knows that its kick is on the way, and that
 * the inbox is taken as a whole.
 */
void vgic_raise_elsewhere(struct vcpu *target, u32 intid)
{
	if (!__atomic_fetch_or(&target->vgic.inbox, 1u << (intid % 32), __ATOMIC_ACQ_REL))
		sched_kick(target);
}

void vgic_pend(struct vcpu *target, u32 intid)
{
	if (target == sched_current())
		vgic_raise_here(target, intid);
	else
		vgic_raise_elsewhere(target, intid);
}

void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	struct vcpu *current = sched_current();
	struct vgic_spi_bank *spi = spi_of(vm, intid);
	u32 bit = 1u << (intid % 32), before, look;

	spin_lock(&vm->vgic.lock);
	before = spi->bank.line;
	spi->bank.line = level ? before | bit : before & ~bit;
	if (spi->bank.line != before && level)
		spi->bank.latched |= bit & spi->bank.edge;
	look = spi->bank.line != before ? vgic_changed(vm, 0, &spi->bank, bit) : 0;
	spin_unlock(&vm->vgic.lock);
	if (current && current->vm == vm && look >> current->index & 1) {
		look &= ~(1u << current->index);
		vgic_sync(current);
	}
	kick_all(vm, look);
}

/* False: the long way. The last one's list register is empty, for the interrupt could come again.
 */
static inline bool timer_came_quickly(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;

	if (!quiet(vcpu))
		return false;
	if (v->hardware) {
		v->used &= (u8)~v->hardware;
		v->hardware = 0;
		v->private.listed &= ~TIMER_BIT;
	}
	if (!has_way(vcpu, TIMER_BIT))
		return false;
	place_raised(vcpu, VGIC_TIMER, LIST_REG_HARDWARE | LIST_REG_PHYSICAL(VGIC_TIMER));
	return true;
}

/* What the guest has ended comes first: the line that goes down with it is the last one's. */
static COLD u32 timer_came(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = 0;

	if (vcpu->vgic.recheck)
		look = fold_all(vcpu);
	else if (vcpu->vgic.used)
		look = fold_empty(vcpu);
	timer_active[vcpu->core] = true;
	vcpu->vgic.private.line |= TIMER_BIT;
	return look | place_all(vcpu);
}

static COLD void timer_passed(struct vcpu *vcpu)
{
	bool wake;

	spin_lock(&vcpu->vm->vgic.lock);
	vcpu->vgic.private.line |= TIMER_BIT;
	wake = any_passes(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (wake)
		sched_wake(vcpu);
}

void vgic_timer_fired(struct vcpu *vcpu)
{
	u32 look = 0;

	if (!vcpu->vgic.loaded) {
		timer_passed(vcpu);
		return;
	}
	spin_lock(&vcpu->vm->vgic.lock);
	timer_active[vcpu->core] = true;
	vcpu->vgic.private.line |= TIMER_BIT;
	if (!timer_came_quickly(vcpu))
		look = timer_came(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

void vgic_load(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look;

	spin_lock(&vcpu->vm->vgic.lock);
	list_regs_load(&vcpu->arch.list_regs);
	v->loaded = true;
	look_at_timer(vcpu);
	set_timer_active(vcpu, v->private.line & TIMER_BIT);
	look = sync_fully(vcpu, drain(vcpu));
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

void vgic_save(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look;

	spin_lock(&vcpu->vm->vgic.lock);
	look = fold_all(vcpu);
	set_maintenance(vcpu, 0);
	list_regs_save(&vcpu->arch.list_regs);
	v->loaded = v->recheck = false;
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

void vgic_sync(struct vcpu *vcpu)
{
	u32 look;

	spin_lock(&vcpu->vm->vgic.lock);
	look = sync(vcpu, 0);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

bool vgic_pending(struct vcpu *vcpu)
{
	bool pending;

	/* [V2] That the caller blocks, before the inbox is read. Pairs with [V1] in vgic_pend(). */
	full_barrier();
	vgic_sync(vcpu);
	spin_lock(&vcpu->vm->vgic.lock);
	pending = any_passes(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	return pending;
}
