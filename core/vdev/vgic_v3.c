/*
 * GICv3's distributor, redistributors and SGIs as a guest sees them (IHI
 * 0069 12.9, 12.11, 12.2.21): one security state, affinity routing always on, no LPIs. A vCPU's
 * affinity is its index, in affinity 0. The CPU interface is the machine's ICV_* registers.
 */
#include "core/vdev/vgic_internal.h"

#define GICD_CTLR	0x0000
#define GICD_TYPER	0x0004
#define GICD_IIDR	0x0008
#define GICD_IGROUPR	0x0080
#define GICD_IPRIORITYR 0x0400
#define GICD_ICFGR	0x0c00
#define GICD_COMMON	0x0d00 /* end of what both versions have */
#define GICD_IROUTER	0x6000
#define PIDR2		0xffe8
#define PIDR2_GICV3	0x3bu

#define CTLR_GROUPS 0x03u
#define CTLR_FIXED  0x50u /* ARE, DS: read as one */
/* INTIDs of 10 bits; no 1-of-N routing. */
#define TYPER ((9u << 19) | (1u << 25) | VGIC_TYPER_LINES)

#define GICR_IIDR      0x0004
#define GICR_TYPER     0x0008
#define GICR_WAKER     0x0014
#define GICR_SGI_FRAME 0x10000
#define WAKER_SLEEP    0x2u
#define WAKER_ASLEEP   0x4u
#define TYPER_LAST     0x10u

#define ROUTE_AFFINITY 0xffffffu /* affinity 3 is not there: GICD_TYPER.A3V is 0 */

static RARE APART void set_route(struct vcpu *self, u32 intid, u32 route)
{
	struct vm *vm = self->vm;
	struct vgic_spi_bank *spi = vgic_spi_of(vm, intid);
	u32 n = intid % 32;

	spin_lock(&self->vm->vgic.lock);
	route &= ROUTE_AFFINITY;
	spi->route[n] = (spi->route[n] & ~ROUTE_AFFINITY) | route;
	vgic_spi_route(spi, n, route < vm->vcpu_count ? route : VGIC_NOBODY);
	vgic_attend(self, vgic_spi_changed(self->vm, spi, 1u << n));
}

/* 64 bits an interrupt, accessed whole or by halves; the upper half is zero. */
static bool access_route(struct vcpu *self, struct mmio *access)
{
	u32 intid = (u32)(access->offset - GICD_IROUTER) / 8;
	bool there = intid >= 32 && intid < 32 + 32 * VGIC_SPI_BANKS && !(access->offset & 4);

	there &= access->bytes >= 4;
	if (!access->write)
		access->value = there ? self->vm->vgic.spi[intid / 32 - 1].route[intid % 32] &
						ROUTE_AFFINITY
				      : 0;
	else if (there)
		set_route(self, intid, (u32)access->value);
	return true;
}

static u32 read_distributor(u64 offset)
{
	switch (offset) {
	case GICD_TYPER:
		return TYPER;
	case GICD_IIDR:
		return VGIC_IIDR;
	case PIDR2:
		return PIDR2_GICV3;
	default:
		return 0;
	}
}

bool vgic_v3_distributor(struct vcpu *self, struct mmio *access)
{
	u64 offset = access->offset;

	if (offset & (access->bytes - 1))
		return false;
	if (offset == GICD_CTLR && !access->write)
		return vgic_read_word(access, self->vm->vgic.control | CTLR_FIXED);
	if (offset >= GICD_IGROUPR && offset < GICD_COMMON)
		return vgic_common(self, 0, access, offset);
	if (offset >= GICD_IROUTER && offset < GICD_IROUTER + 8 * 1020)
		return access_route(self, access);
	if (!access->write)
		return vgic_read_word(access, read_distributor(offset));
	if (offset == GICD_CTLR && access->bytes == 4)
		vgic_set_control(self, access->value & CTLR_GROUPS);
	return true;
}

static u64 redistributor_type(const struct vcpu *of)
{
	return (u64)of->index << 32 | of->index << 8 |
	       (of->index + 1 == of->vm->vcpu_count ? TYPER_LAST : 0);
}

static u32 read_redistributor(const struct vcpu *of, u64 offset)
{
	switch (offset) {
	case GICR_IIDR:
		return VGIC_IIDR;
	case GICR_TYPER:
		return (u32)redistributor_type(of);
	case GICR_TYPER + 4:
		return (u32)(redistributor_type(of) >> 32);
	case GICR_WAKER:
		return of->vgic.asleep ? WAKER_SLEEP | WAKER_ASLEEP : 0;
	case PIDR2:
		return PIDR2_GICV3;
	default:
		return 0;
	}
}

/* What the distributor has there for SPIs is reserved here: there are no extended PPIs. */
static bool is_private(u64 offset)
{
	u32 first = offset < GICD_IPRIORITYR ? offset & 0x7c : offset & 0x3e0;

	return offset < GICD_ICFGR ? !first : offset < GICD_ICFGR + 8;
}

bool vgic_mmio_redistributor(struct vcpu *self, struct mmio *access)
{
	u64 index = access->offset / VM_GICR_STRIDE, offset = access->offset % VM_GICR_STRIDE;
	struct vcpu *of;

	if (index >= self->vm->vcpu_count || offset & (access->bytes - 1))
		return false;
	of = self->vm->vcpu[index_nospec(index, MAX_VCPUS)];
	if (offset >= GICR_SGI_FRAME + GICD_IGROUPR && offset < GICR_SGI_FRAME + GICD_COMMON &&
	    is_private(offset - GICR_SGI_FRAME))
		return vgic_common(self, of, access, offset - GICR_SGI_FRAME);
	if (!access->write && access->bytes == 8 && offset == GICR_TYPER) {
		access->value = redistributor_type(of);
		return true;
	}
	if (!access->write)
		return vgic_read_word(access, read_redistributor(of, offset));
	if (offset == GICR_WAKER && access->bytes == 4)
		__atomic_store_n(&of->vgic.asleep, access->value & WAKER_SLEEP, __ATOMIC_RELAXED);
	return true;
}

/* To all but the sender, or to a list of 16 in one cluster; there is one cluster, 0.0.0. */
void vgic_sgi1r(struct vcpu *self, u64 value)
{
	u32 count = self->vm->vcpu_count, intid = value >> 24 & 0xf, targets;

	if ((value & ~(0xful << 24)) == 1u << self->index) {
		vgic_raise_here(self, intid);
		return;
	}
	if (value >> 40 & 1)
		targets = ~(1u << self->index);
	else
		targets = value & 0x00fff0ff00ff0000ul ? 0 : value & 0xffff;
	targets &= (1u << count) - 1;
	for (u32 others = targets & ~(1u << self->index); others; others &= others - 1)
		vgic_raise_elsewhere(self->vm->vcpu[__builtin_ctz(others)], intid);
	if (targets >> self->index & 1)
		vgic_raise_here(self, intid);
}
