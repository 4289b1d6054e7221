/*
 * GICv2's distributor as a guest sees it (IHI 0048 4.3): what GICv3 has not. The CPU interface is
 * the machine's GICV frame, mapped into the guest.
 */
#include "core/vdev/vgic_internal.h"

#include "core/base/string.h"

#define GICD_BYTES	0x1000u
#define GICD_CTLR	0x000
#define GICD_TYPER	0x004
#define GICD_IIDR	0x008
#define GICD_IGROUPR	0x080
#define GICD_ISENABLER	0x100
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR	0x800
#define GICD_ICFGR	0xc00
#define GICD_SGIR	0xf00
#define GICD_CPENDSGIR	0xf10
#define GICD_SPENDSGIR	0xf20
#define GICD_SGI_END	0xf30
#define GICD_PIDR2	0xfe8
#define PIDR2_GICV2	0x2bu

static u32 all_vcpus(const struct vm *vm)
{
	return (1u << vm->vcpu_count) - 1;
}

/* Without the inbox: the latch and the set of senders change together. */
static void send_sgi(struct vcpu *self, u32 value)
{
	struct vm *vm = self->vm;
	u32 intid = value & 0xf, filter = value >> 24 & 3, targets, look = 0;

	if (filter == 0)
		targets = value >> 16 & 0xff & all_vcpus(vm);
	else if (filter == 1)
		targets = all_vcpus(vm) & ~(1u << self->index);
	else
		targets = filter == 2 ? 1u << self->index : 0;
	spin_lock(&self->vm->vgic.lock);
	for (; targets; targets &= targets - 1) {
		struct vcpu *target = vm->vcpu[__builtin_ctz(targets)];

		target->vgic.sgi_source[intid] |= (u8)(1u << self->index);
		target->vgic.private.latched |= 1u << intid;
		look |= vgic_changed(self->vm, target, &target->vgic.private, 1u << intid);
	}
	vgic_attend(self, look);
}

/* SPENDSGIR and CPENDSGIR: a byte for each SGI, a bit for each sender. */
static bool access_pending_sgis(struct vcpu *self, struct mmio *access, u32 offset)
{
	u32 first = offset & 0xf, look;
	bool set = offset >= GICD_SPENDSGIR;

	spin_lock(&self->vm->vgic.lock);
	look = vgic_unlist_all(self);
	if (!access->write) {
		access->value = 0;
		memcpy(&access->value, &self->vgic.sgi_source[first], access->bytes);
	}
	for (u32 i = 0; access->write && i < access->bytes; i++) {
		u8 *source = &self->vgic.sgi_source[first + i];
		u8 bits = (u8)(access->value >> 8 * i & all_vcpus(self->vm));
		u32 bit = 1u << (first + i);

		*source = set ? *source | bits : *source & (u8)~bits;
		self->vgic.private.latched &= ~bit;
		self->vgic.private.latched |= *source ? bit : 0;
	}
	vgic_attend(self, look);
	return true;
}

static void read_targets(struct vcpu *self, struct mmio *access, u32 first)
{
	for (u32 i = 0; i < access->bytes; i++) {
		u32 intid = first + i;
		u64 mask = intid < 32 ? 1u << self->index
				      : self->vm->vgic.spi[intid / 32 - 1].route[intid % 32];

		access->value |= mask << 8 * i;
	}
}

/* Of several targets the lowest takes it: "one of them" is all that the architecture asks. */
static bool access_targets(struct vcpu *self, struct mmio *access, u32 offset)
{
	struct vm *vm = self->vm;
	u32 first = offset & 0x3ff, changed = 0;
	/* A uniprocessor has no targets to choose from: IHI 0048 4.3.12. */
	bool there = first < 32 + 32 * VGIC_SPI_BANKS && vm->vcpu_count > 1;
	struct vgic_spi_bank *spi;

	if (!access->write) {
		access->value = 0;
		if (there)
			read_targets(self, access, first);
		return true;
	}
	if (!there || first < 32)
		return true;
	spi = vgic_spi_of(vm, first);
	spin_lock(&self->vm->vgic.lock);
	for (u32 i = 0; i < access->bytes; i++) {
		u32 n = first % 32 + i, mask = access->value >> 8 * i & all_vcpus(vm);
		u32 target = mask ? (u32)__builtin_ctz(mask) : VGIC_NOBODY;

		spi->route[n] = mask;
		changed |= (u32)vgic_spi_route(spi, n, target) << n;
	}
	vgic_attend(self, vgic_spi_changed(self->vm, spi, changed));
	return true;
}

/* Alone on its page, which reads as zero: IHI 0048 4.4.16. The sender of an SGI is not looked at. */
RARE APART bool vgic_mmio_deactivate(struct vcpu *self, struct mmio *access)
{
	if (access->write && access->offset == 0)
		vgic_deactivate(self, access->value & 0x3ff);
	access->value = 0;
	return true;
}

static u32 read_word(const struct vcpu *self, u32 offset)
{
	switch (offset) {
	case GICD_CTLR:
		return self->vm->vgic.control;
	case GICD_TYPER:
		return VGIC_TYPER_LINES | (self->vm->vcpu_count - 1) << 5;
	case GICD_IIDR:
		return VGIC_IIDR;
	case GICD_PIDR2:
		return PIDR2_GICV2;
	default:
		return 0;
	}
}

/*
 * Bytes and halfwords of registers that need not have them: IHI 0048 4.1.4 leaves it open, QEMU's virt has them. So
 * they are read, and written where only ones count; groups and triggers are written as words.
 */
static RARE APART bool access_part(struct vcpu *self, struct mmio *access, u32 offset)
{
	u32 shift = offset % 4 * 8, bits = access->bytes * 8;

	access->offset = offset - offset % 4;
	access->bytes = 4;
	access->value <<= shift;
	if (!access->write || offset < 4 || (offset >= GICD_ISENABLER && offset < GICD_ICFGR))
		vgic_v2_distributor(self, access);
	access->value = access->value >> shift & ((1u << bits) - 1);
	return true;
}

static bool has_bytes(u32 offset)
{
	return (offset >= GICD_IPRIORITYR && offset < GICD_ICFGR) ||
	       (offset >= GICD_CPENDSGIR && offset < GICD_SGI_END);
}

bool vgic_v2_distributor(struct vcpu *self, struct mmio *access)
{
	u32 offset = (u32)access->offset;

	if (access->offset >= GICD_BYTES || offset & (access->bytes - 1))
		return false;
	if (access->bytes == 8)
		return vgic_read_word(access, 0);
	if (access->bytes != 4 && !has_bytes(offset))
		return access_part(self, access, offset);
	if (offset >= GICD_ITARGETSR && offset < GICD_ICFGR)
		return access_targets(self, access, offset);
	if (offset >= GICD_IGROUPR && offset < GICD_ICFGR + 0x100)
		return vgic_common(self, self, access, offset);
	if (offset >= GICD_CPENDSGIR && offset < GICD_SGI_END)
		return access_pending_sgis(self, access, offset);
	if (!access->write)
		return vgic_read_word(access, read_word(self, offset));
	if (offset == GICD_SGIR)
		send_sgi(self, (u32)access->value);
	else if (offset == GICD_CTLR)
		vgic_set_control(self, access->value & 3);
	return true;
}
