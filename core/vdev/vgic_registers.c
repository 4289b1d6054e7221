/*
 * The registers that the distributors of both versions and GICv3's redistributors have in common:
 * one bit, two bits or one byte for each interrupt. IHI 0069 12.9, 12.11; IHI 0048 4.3.
 *
 * Locks: reads of what a guest has written need none; what changes something takes vm->vgic.lock.
 */
#include "core/vdev/vgic_internal.h"

#include "core/base/string.h"

/* Offset / 0x80. */
enum {
	IGROUPR = 1,
	ISENABLER,
	ICENABLER,
	ISPENDR,
	ICPENDR,
	ISACTIVER,
	ICACTIVER,
	IPRIORITYR = 8,
	ITARGETSR = 16,
	ICFGR = 24,
	ICFGR_END = 26,
};

/* Bank of 32 interrupts; 0: none, it reads as zero and ignores writes. */
static inline struct vgic_bank *bank_at(struct vcpu *self, struct vcpu *of, u64 index)
{
	if (index == 0)
		return of ? &of->vgic.private : 0;
	if (index > VGIC_SPI_BANKS)
		return 0;
	return &self->vm->vgic.spi[index_nospec(index - 1, VGIC_SPI_BANKS)].bank;
}

/* bank_at() for what is seldom written or read. */
static RARE APART struct vgic_bank *find_bank(struct vcpu *self, struct vcpu *of, u64 index)
{
	return bank_at(self, of, index);
}

/*
 * Pending or active, list registers included: this vCPU's are looked into, which takes them all
 * out; those of another core are asked for.
 */
static RARE APART bool read_state(struct vcpu *self, struct vgic_bank *bank, bool active,
				  struct mmio *access)
{
	u32 look, word;

	spin_lock(&self->vm->vgic.lock);
	look = vgic_unlist_all(self);
	word = vgic_state(self, bank, active);
	vgic_ask(self, bank, ~0u, active, word);
	vgic_attend(self, look);
	access->value = word;
	return true;
}

static inline bool read_bits(struct vcpu *self, struct vgic_bank *bank, u32 kind,
			     struct mmio *access)
{
	if (kind >= ISPENDR)
		return read_state(self, bank, kind >= ISACTIVER, access);
	access->value = kind == IGROUPR ? bank->group1 : bank->enabled;
	return true;
}

/*
 * Before the priority or the group of these changes: what the active ones have been acknowledged with, and what others have
 * in list registers may have been. GICv2's EOIR does not look at it.
 */
static RARE APART void keep_acknowledged(struct vcpu *self, struct vgic_bank *bank, u32 bits)
	NEEDS(self->vm->vgic.lock)
{
	if (self->vm->vgic.version == 2)
		return;
	bits &= (bank->active | bank->listed) & ~bank->changed;
	bank->changed |= bits;
	for (; bits; bits &= bits - 1) {
		u32 n = (u32)__builtin_ctz(bits);

		*vgic_acknowledged_as(bank, n) = (u8)(bank->priority[n] | (bank->group1 >> n & 1));
	}
}

static u32 write_bits(struct vcpu *self, struct vcpu *of, struct vgic_bank *bank, u32 kind,
		      u32 bits) NEEDS(self->vm->vgic.lock)
{
	switch (kind) {
	case IGROUPR:
		bits ^= bank->group1;
		keep_acknowledged(self, bank, bits);
		bank->group1 ^= bits;
		return bits;
	case ISENABLER:
		bits &= ~bank->enabled;
		bank->enabled |= bits;
		return bits;
	case ICENABLER:
		bits &= bank->enabled;
		bank->enabled &= ~bits;
		return bits;
	case ISPENDR:
		bank->latched |= bits;
		return bits;
	default: /* ICPENDR */
		bank->latched &= ~bits;
		bank->clear |= bits & bank->listed;
		if (of)
			__atomic_fetch_and(&of->vgic.inbox, ~bits, __ATOMIC_RELAXED);
		return bits;
	}
}

/* Enabling, disabling and clearing go on to the physical GIC; the registers are the same there. */
static void pass_on(const struct vgic_spi_bank *spi, u32 kind, u32 bits)
{
	if (kind == ISENABLER || kind == ICENABLER || kind == ICPENDR)
		for (bits &= spi->bank.hardware; bits; bits &= bits - 1)
			gic_set(0x80 * kind, vgic_spi_intid(spi, bits));
}

/*
 * ISACTIVER and ICACTIVER of SPIs that are not listed: one that is made active belongs to the vCPU
 * that it is routed to, and one that is no more active to nobody. Neither listed nor active it was nobody's before.
 */
static void own_active(const struct vm *vm, struct vgic_spi_bank *spi, u32 bits, bool active)
{
	u32 owned = active ? ~0u : 0;

	bits &= ~(spi->bank.listed | (spi->bank.active & owned));
	for (u32 i = 0; bits && i < vm->vcpu_count; i++)
		spi->owned[i] = (spi->owned[i] & ~bits) | (spi->routed[i] & bits & owned);
}

/* ISACTIVER and ICACTIVER, after change_bits(). What the guest itself has acknowledged has to be known. */
static APART bool change_active(struct vcpu *self, struct vcpu *of, struct vgic_bank *bank,
				bool active, u32 bits) RELEASES(self->vm->vgic.lock)
{
	u32 look = vgic_unlist_all(self);

	if (!of)
		own_active(self->vm, (struct vgic_spi_bank *)bank, bits, active);
	if (active) {
		bank->forced |= bits & ~(bank->active | bank->listed);
		bank->active |= bits;
	} else {
		bank->active &= ~bits;
		bank->changed &= ~bits;
		bank->deactivate |= bits & bank->listed;
	}
	vgic_attend(self, look | vgic_changed(self->vm, of, bank, bits));
	return true;
}

/* `of`: whose private bank it is; 0: an SPI bank. */
static APART bool change_bits(struct vcpu *self, struct vcpu *of, struct vgic_bank *bank, u32 kind,
			      u32 bits)
{
	spin_lock(&self->vm->vgic.lock);
	if (kind >= ISACTIVER)
		return change_active(self, of, bank, kind == ISACTIVER, bits);
	bits = write_bits(self, of, bank, kind, bits);
	if (kind == ICENABLER)
		vgic_ask(self, bank, bits, false, 0);
	if (!of)
		pass_on((struct vgic_spi_bank *)bank, kind, bits);
	vgic_attend(self, vgic_changed(self->vm, of, bank, bits));
	return true;
}

RARE void vgic_deactivate(struct vcpu *self, u32 intid)
{
	struct vgic_bank *bank;

	if (!list_regs_deactivation_trapped()) /* EOImode 0: it does nothing */
		return;
	bank = find_bank(self, self, intid / 32);
	if (bank)
		change_bits(self, intid < 32 ? self : 0, bank, ICACTIVER, 1u << intid % 32);
}

static bool access_bits(struct vcpu *self, struct vcpu *of, struct mmio *access, u64 offset)
{
	u32 kind = (u32)(offset >> 7), bits = (u32)access->value;
	u64 index = (offset & 0x7f) / 4;
	struct vgic_bank *bank = bank_at(self, of, index);

	if (!bank || access->bytes != 4) {
		access->value = 0;
		return true;
	}
	if (!access->write)
		return read_bits(self, bank, kind, access);
	if (index == 0 && self->vm->vgic.version == 2) {
		/* GICv2's SGIs are always enabled, and pend by SGIR and SPENDSGIR only. */
		if (kind >= ISENABLER && kind <= ICPENDR)
			bits &= ~0xffffu;
	}
	if (kind == ISENABLER && !(bits & ~bank->enabled))
		return true;
	return change_bits(self, index ? 0 : of, bank, kind, bits);
}

/* Returns the interrupt's bit if it had another one. */
static u32 set_priority(struct vcpu *self, struct vgic_bank *bank, u32 n, u8 value)
	NEEDS(self->vm->vgic.lock)
{
	u32 bit = 1u << n;

	if (bank->priority[n] == value)
		return 0;
	keep_acknowledged(self, bank, bit);
	bank->priority[n] = value;
	for (u32 rank = 0; rank < VGIC_RANKS; rank++) {
		u32 is = value >> (VGIC_PRIORITY_SHIFT + rank) & 1;

		bank->rank[rank] = (bank->rank[rank] & ~bit) | is << n;
	}
	return bit;
}

static RARE APART bool access_priority(struct vcpu *self, struct vcpu *of, struct mmio *access,
				       u64 offset)
{
	u32 first = (u32)offset & 0x3ff, changed = 0;
	struct vgic_bank *bank = find_bank(self, of, first / 32);

	if (!bank || access->bytes > 4)
		return vgic_read_word(access, 0);
	if (!access->write) {
		access->value = 0;
		memcpy(&access->value, &bank->priority[first % 32], access->bytes);
		return true;
	}
	spin_lock(&self->vm->vgic.lock);
	for (u32 i = 0; i < access->bytes; i++) {
		u8 value = (u8)(access->value >> 8 * i & VGIC_PRIORITY_MASK);

		changed |= set_priority(self, bank, first % 32 + i, value);
	}
	changed = vgic_changed(self->vm, first < 32 ? of : 0, bank, changed);
	vgic_attend(self, changed);
	return true;
}

/* Two bits an interrupt, of which the upper one is "edge"; that of SGIs and PPIs is fixed. */
static RARE APART bool access_config(struct vcpu *self, struct vcpu *of, struct mmio *access,
				     u64 offset)
{
	u32 index = (u32)(offset & 0xff) / 4, shift = index % 2 * 16, edge = 0, look;
	struct vgic_bank *bank = find_bank(self, of, index / 2);
	u64 word = 0;

	if (!access->write) {
		for (u32 n = 0; bank && n < 16; n++)
			word |= (u64)(bank->edge >> (shift + n) & 1) << (2 * n + 1);
		return vgic_read_word(access, word);
	}
	if (!bank || index < 2 || access->bytes != 4)
		return true;
	for (u32 n = 0; n < 16; n++)
		edge |= (u32)(access->value >> (2 * n + 1) & 1) << (shift + n);
	spin_lock(&self->vm->vgic.lock);
	edge = (bank->edge ^ edge) & 0xffffu << shift;
	bank->edge ^= edge;
	look = vgic_changed(self->vm, 0, bank, edge);
	vgic_attend(self, look);
	return true;
}

bool vgic_common(struct vcpu *self, struct vcpu *of, struct mmio *access, u64 offset)
{
	u32 kind = (u32)(offset >> 7);

	if (kind < IPRIORITYR)
		return access_bits(self, of, access, offset);
	if (kind < ITARGETSR)
		return access_priority(self, of, access, offset);
	if (kind >= ICFGR && kind < ICFGR_END)
		return access_config(self, of, access, offset);
	return vgic_read_word(access, 0);
}
