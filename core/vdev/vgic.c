/*
 * The virtual interrupt controller (vgic.h): interrupts are raised, the virtual timer's among them,
 * and the list registers of a vCPU follow when it is loaded, saved or told to look.
 *
 * The hot path is here: one private interrupt is raised for the vCPU that runs, and goes straight
 * into a free list register. Everything else goes through vgic_lists.c.
 *
 * Owns: `vgic_timer_active`. Locks: vgic.h.
 */
#include "core/vdev/vgic_lists.h"
#include "core/vdev/vgic_raise.h"

#include "arch/arm64/cpu.h"
#include "core/base/string.h"
#include "core/sched.h"
#include "drivers/gic.h"

/* WEIR_INTID_*: the edge-triggered PPIs. The trigger of SGIs and PPIs is fixed. */
#define EDGE_PPIS (7u << 18)

bool vgic_timer_active[MAX_PCPUS];

u32 vgic_spi_changed(struct vm *vm, struct vgic_spi_bank *spi, u32 bits)
{
	struct vgic_bank *bank = &spi->bank;
	u32 look = 0;

	vgic_hardware_look(spi);
	vgic_spi_summarize(&vm->vgic, spi);
	bits &= bank->listed | vgic_bank_wanted(&vm->vgic, bank);
	for (u32 i = 0; bits && i < vm->vcpu_count; i++) {
		u32 its = bits & vgic_spi_home(spi, i);

		if (!its)
			continue;
		vm->vcpu[i]->vgic.recheck |= (its & bank->listed) != 0;
		look |= 1u << i;
		bits &= ~its;
	}
	return look;
}

bool vgic_spi_route(struct vgic_spi_bank *spi, u32 n, u32 target)
{
	u32 bit = 1u << n;
	bool changed = false;

	for (u32 i = 0; i < MAX_VCPUS; i++) {
		u32 before = spi->routed[i];

		spi->routed[i] = i == target ? before | bit : before & ~bit;
		changed |= spi->routed[i] != before;
	}
	return changed;
}

u32 vgic_changed(struct vm *vm, struct vcpu *private_of, struct vgic_bank *bank, u32 bits)
{
	if (!private_of)
		return vgic_spi_changed(vm, (struct vgic_spi_bank *)bank, bits);
	private_of->vgic.recheck |= (bits & bank->listed) != 0;
	bits &= bank->listed | vgic_bank_wanted(&vm->vgic, bank);
	return bits ? 1u << private_of->index : 0;
}

/* --- The virtual timer ---------------------------------------------------------------------- */

static void set_timer_active(struct vcpu *vcpu, bool active)
{
	if (vgic_timer_active[vcpu->core] == active)
		return;
	vgic_timer_active[vcpu->core] = active;
	gic_set_active(VGIC_TIMER, active);
}

RARE APART void vgic_timer_deactivate(u32 index)
{
	list_reg_write(index, 0);
	gic_deactivate(VGIC_TIMER);
}

void vgic_timer_compare(struct vcpu *vcpu)
{
	struct virtual_timer timer = timer_virtual_read();

	if (timer.enabled && timer.expired)
		return;
	vcpu->vgic.private.line &= ~VGIC_TIMER_BIT;
	set_timer_active(vcpu, false);
}

/* --- Raised, and into the list registers ---------------------------------------------------- */

static inline u32 drain(struct vcpu *vcpu)
{
	u32 *inbox = &vcpu->vgic.inbox, bits;

	if (!__atomic_load_n(inbox, __ATOMIC_RELAXED))
		return 0;
	/* [V2] the bit before the guest looks at what it announces. Pairs with [V1]. */
	WEIR_ORDERED(V2, ldaxr, bits = __atomic_exchange_n(inbox, 0, __ATOMIC_ACQUIRE));
	return bits;
}

/*
 * The hot path: one private interrupt is raised for the loaded vCPU, and there is nothing else to do.
 * All that want a list register have one, except after what is asked for here: a recheck, too few
 * registers, the end of an interrupt that asked to be looked at again, an SPI that came.
 */
static inline bool quiet(const struct vcpu *vcpu)
{
	return vcpu->vgic.state == VGIC_QUIET && !vcpu->vm->vgic.wanted;
}

static inline bool has_way(const struct vcpu *vcpu, u32 bit)
{
	const struct vgic_bank *bank = &vcpu->vgic.private;
	u32 open = vcpu->vm->vgic.open[(bank->group1 & bit) != 0];

	return bank->enabled & open & ~(bank->active | bank->latched) & bit;
}

static inline bool has_room(const struct vcpu *vcpu)
{
	return vcpu->vgic.used != ALL_LIST_REGS;
}

static inline u64 made_up(const struct vgic_bank *bank, u32 intid, u64 hardware)
{
	u64 reg = intid | LIST_REG_PENDING | LIST_REG_PRIORITY(bank->priority[intid]) | hardware;

	return bank->group1 >> intid & 1 ? reg | LIST_REG_GROUP1 : reg;
}

static inline void place_raised(struct vcpu *vcpu, u32 intid, u64 hardware)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u64 reg = made_up(bank, intid, hardware);

	vgic_lists_put(vcpu, bank, intid, (u32)__builtin_ctz(~(u32)vcpu->vgic.used), reg);
}

/*
 * Listed. Ended by the guest or not, nothing about it has changed since it got its list register, or a
 * recheck were asked for: so it is made pending there. But if it was active then it may be disabled.
 */
static inline bool raise_again(struct vcpu *vcpu, u32 intid)
{
	const struct vgic_vcpu *v = &vcpu->vgic;

	for (u32 used = v->used; used; used &= used - 1) {
		u32 index = (u32)__builtin_ctz(used);

		if (v->list[index] == intid) {
			list_reg_pend(index);
			return true;
		}
	}
	return false;
}

static inline bool raise_anew(struct vcpu *vcpu, u32 intid)
{
	u32 bit = 1u << intid;

	if (!(vcpu->vgic.private.edge & bit) || !has_way(vcpu, bit) || !has_room(vcpu))
		return false;
	place_raised(vcpu, intid, 0);
	return true;
}

/* False: it goes the long way. */
static inline __attribute__((always_inline)) bool raise_quickly(struct vcpu *vcpu, u32 bit)
	NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u32 intid = (u32)__builtin_ctz(bit);

	if (!quiet(vcpu) ||
	    !(bank->listed & bit ? raise_again(vcpu, intid) : raise_anew(vcpu, intid)))
		return false;
	bank->taken |= bit;
	return true;
}

/* What the guest has emptied goes, and `bits` come in, without any new one in a list register. */
static APART u32 update(struct vcpu *vcpu, u32 bits) NEEDS(vcpu->vm->vgic.lock)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look = 0;

	if (v->used && !v->recheck)
		look = vgic_lists_fold_empty(vcpu);
	v->private.latched |= bits;
	v->recheck |= (bits & v->private.listed) != 0;
	return look;
}

/* What does not fit is left to be settled. */
static inline u32 place_or_ask(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look;

	if (vgic_lists_idle(vcpu))
		return 0;
	look = vgic_lists_place_all(vcpu);
	if (vcpu->vgic.recheck)
		sched_again();
	return look;
}

/* Takes the rest: several interrupts, a change of what is listed. */
static APART u32 sync_fully(struct vcpu *vcpu, u32 bits) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = update(vcpu, bits);

	if (!vcpu->vgic.loaded)
		return 0;
	vgic_timer_look(vcpu);
	return look | place_or_ask(vcpu);
}

/* Afterwards the list registers are right. */
static inline u32 place_best(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = vcpu->vgic.recheck ? 0 : vgic_lists_place_all(vcpu);

	return vcpu->vgic.recheck ? look | vgic_lists_choose(vcpu) : look;
}

/*
 * Takes the inbox, and `bits` with it, and makes the list registers right; mask of other vCPUs that
 * have to look.
 */
static inline u32 sync(struct vcpu *vcpu, u32 bits) NEEDS(vcpu->vm->vgic.lock)
{
	bits |= drain(vcpu);
	if (bits && !(bits & (bits - 1)) && raise_quickly(vcpu, bits))
		return 0;
	return sync_fully(vcpu, bits);
}

static APART void kick_all(struct vm *vm, u32 vcpus)
{
	for (; vcpus; vcpus &= vcpus - 1)
		sched_kick(vm->vcpu[__builtin_ctz(vcpus)]);
}

/* --- For the register frames ---------------------------------------------------------------- */

u32 vgic_unlist_all(struct vcpu *self)
{
	u32 look = vgic_lists_fold_all(self);

	self->vgic.private.latched |= drain(self);
	vgic_timer_look(self);
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

RARE void vgic_set_control(struct vcpu *self, u32 control)
{
	struct vm *vm = self->vm;
	struct vgic *gic = &vm->vgic;

	if (control == read_once(gic->control))
		return;
	spin_lock(&self->vm->vgic.lock);
	gic->control = control;
	gic->open[0] = control & 1 ? ~0u : 0;
	gic->open[1] = control & 2 ? ~0u : 0;
	for (u32 b = 0; b < VGIC_SPI_BANKS; b++)
		vgic_spi_summarize(gic, &gic->spi[b]);
	/* Whom it concerns takes longer to find out than it takes them to look. */
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vm->vcpu[i]->vgic.recheck = true;
	vgic_attend(self, (1u << vm->vcpu_count) - 1);
}

bool vgic_mmio_distributor(struct vcpu *self, struct mmio *access)
{
	if (self->vm->vgic.version == 3)
		return vgic_v3_distributor(self, access);
	return vgic_v2_distributor(self, access);
}

/* --- Public --------------------------------------------------------------------------------- */

/* GICv2's SGIs cannot be disabled, as in GIC-400. */
static RARE void init_vcpu(struct vcpu *vcpu, u32 version)
{
	memset(&vcpu->vgic, 0, sizeof(vcpu->vgic));
	vcpu->vgic.private.edge = VGIC_SGIS | EDGE_PPIS;
	vcpu->vgic.private.enabled = version == 2 ? VGIC_SGIS : 0;
	vcpu->vgic.asleep = true;
	if (vcpu->turns == TURNS_ANSWER) /* of its former life */
		vcpu->turns = TURNS_GUEST;
}

RARE void vgic_init(struct vm *vm)
{
	struct vgic *gic = &vm->vgic;
	/* GICv2 with several vCPUs targets none at reset; with one, always that. IHI 0048 4.3.12.
	 */
	bool routed = gic_version() == 3 || vm->vcpu_count == 1;

	spin_lock(&gic->lock);
	gic->version = gic_version();
	gic->control = gic->wanted = gic->questions = gic->open[0] = gic->open[1] = 0;
	for (u32 b = 0; b < VGIC_SPI_BANKS; b++) {
		memset(&gic->spi[b], 0, sizeof(gic->spi[b]));
		gic->spi[b].routed[0] = routed ? ~0u : 0;
		gic->spi[b].bank.summary = 1u << b;
	}
	for (u32 i = 0; i < vm->vcpu_count; i++)
		init_vcpu(vm->vcpu[i], gic->version);
	spin_unlock(&gic->lock);
}

void vgic_vcpu_reset(struct vcpu *vcpu)
{
	list_regs_reset(&vcpu->arch.list_regs);
}

/* On the core of the vCPU: takes its inbox, and `bits` with it. */
static APART void take(struct vcpu *self, u32 bits)
{
	u32 look;

	spin_lock(&self->vm->vgic.lock);
	look = sync(self, bits);
	spin_unlock(&self->vm->vgic.lock);
	if (look)
		kick_all(self->vm, look);
}

void vgic_sync(struct vcpu *vcpu)
{
	take(vcpu, 0);
}

void vgic_raise_here(struct vcpu *self, u32 intid)
{
	take(self, 1u << (intid % 32));
}

void vgic_raise_elsewhere(struct vcpu *target, u32 intid)
{
	if (__builtin_expect(vgic_post(target, intid), 1))
		sched_kick(target);
}

void vgic_posted(struct vcpu *self, struct vcpu *target)
{
	if (target == self)
		vgic_sync(self);
	else
		sched_kick(target);
}

static APART void pend_on_this_core(struct vcpu *target, u32 intid)
{
	if (target == sched_current())
		vgic_raise_here(target, intid);
	else
		vgic_raise_elsewhere(target, intid);
}

void vgic_pend(struct vcpu *target, u32 intid)
{
	if (target->core == cpu_index())
		pend_on_this_core(target, intid);
	else
		vgic_raise_elsewhere(target, intid);
}

void vgic_look_anywhere(struct vm *vm, u32 vcpus)
{
	struct vcpu *current = sched_current();

	if (current && current->vm == vm && vcpus >> current->index & 1) {
		vcpus &= ~(1u << current->index);
		vgic_sync(current);
	}
	kick_all(vm, vcpus);
}

/*
 * An edge of an SPI that the vCPU which is loaded here has in a list register, most often an empty one by now, for
 * nothing else of its kind has come since. As raise_quickly(); it got there by a latch, so it is `taken`.
 */
static inline bool edge_came_again(const struct vm *vm, const struct vgic_spi_bank *spi, u32 intid)
	NEEDS(vm->vgic.lock)
{
	u32 bit = 1u << (intid % 32);
	struct vcpu *self;

	if (!(spi->bank.listed & spi->bank.edge & ~spi->bank.hardware & bit))
		return false;
	self = sched_current();
	return self && self->vm == vm && quiet(self) && raise_again(self, intid);
}

/* A level has changed, or an edge has come. Apart, so that the end of an edge needs no frame. */
static APART void line_changed(struct vm *vm, struct vgic_spi_bank *spi, u32 intid)
	RELEASES(vm->vgic.lock)
{
	u32 bit = 1u << (intid % 32), look = 0;
	struct vgic_bank *bank = &spi->bank;

	if (!edge_came_again(vm, spi, intid)) {
		bank->latched |= bank->line & bank->edge & bit;
		look = vgic_spi_changed(vm, spi, bit);
	}
	spin_unlock(&vm->vgic.lock);
	if (look)
		vgic_look_anywhere(vm, look);
}

/* That it falls means something for a level only. */
void vgic_set_line(struct vm *vm, u32 intid, bool level)
{
	struct vgic_spi_bank *spi = vgic_spi_of(vm, intid);
	struct vgic_bank *bank = &spi->bank;
	u32 bit = 1u << (intid % 32);

	spin_lock(&vm->vgic.lock);
	if (level != !!(bank->line & bit)) {
		bank->line ^= bit;
		if (level || !(bank->edge & bit)) {
			line_changed(vm, spi, intid);
			return;
		}
	}
	spin_unlock(&vm->vgic.lock);
}

/* --- The virtual timer's interrupt arrives ---------------------------------------------------- */

/* False: the long way. The last one's list register is empty, for the interrupt could come again.
 */
static inline bool timer_came_quickly(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	const struct vgic_vcpu *v = &vcpu->vgic;
	u64 hardware = LIST_REG_HARDWARE | LIST_REG_PHYSICAL(VGIC_TIMER);

	if (!quiet(vcpu) || !has_way(vcpu, VGIC_TIMER_BIT))
		return false;
	if (v->hardware)
		list_reg_write((u32)__builtin_ctz(v->hardware),
			       made_up(&v->private, VGIC_TIMER, hardware));
	else if (!(v->private.listed & VGIC_TIMER_BIT) && has_room(vcpu))
		place_raised(vcpu, VGIC_TIMER, hardware);
	else
		return false;
	return true;
}

/* What the guest has ended comes first: the line that goes down with it is the last one's. */
static RARE APART u32 timer_came(struct vcpu *vcpu) NEEDS(vcpu->vm->vgic.lock)
{
	u32 look = vcpu->vgic.recheck ? vgic_lists_fold_all(vcpu) : update(vcpu, 0);

	vgic_timer_active[vcpu->core] = true;
	vcpu->vgic.private.line |= VGIC_TIMER_BIT;
	return look | place_or_ask(vcpu);
}

RARE APART void vgic_set_private(struct vcpu *vcpu, u32 intid, bool level)
{
	struct vgic_bank *bank = &vcpu->vgic.private;
	u32 bit = 1u << (intid % 32), changed;
	bool wake;

	spin_lock(&vcpu->vm->vgic.lock);
	changed = (level ? ~bank->line : bank->line) & bit;
	bank->line ^= changed;
	if (level)
		bank->latched |= changed & bank->edge;
	if (vcpu->vgic.loaded) {
		vgic_attend(vcpu, vgic_changed(vcpu->vm, vcpu, bank, changed));
		return;
	}
	wake = vgic_any_passes(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (wake)
		sched_wake(vcpu);
}

void vgic_timer_fired(struct vcpu *vcpu)
{
	u32 look = 0;

	if (!vcpu->vgic.loaded) {
		vgic_set_private(vcpu, VGIC_TIMER, true);
		return;
	}
	spin_lock(&vcpu->vm->vgic.lock);
	vgic_timer_active[vcpu->core] = true;
	vcpu->vgic.private.line |= VGIC_TIMER_BIT;
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

	/* [K4] `run`, written under the run queue's lock, before the inbox: by [L1] and [L2]. */
	spin_lock(&vcpu->vm->vgic.lock);
	list_regs_load(&vcpu->arch.list_regs);
	v->loaded = true;
	vgic_timer_look(vcpu);
	set_timer_active(vcpu, v->private.line & VGIC_TIMER_BIT);
	v->private.latched |= drain(vcpu);
	look = place_best(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

void vgic_save(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	u32 look;

	spin_lock(&vcpu->vm->vgic.lock);
	look = vgic_lists_fold_all(vcpu);
	vgic_lists_maintenance(vcpu, 0);
	list_regs_save(&vcpu->arch.list_regs);
	v->loaded = v->recheck = false;
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

void vgic_settle(struct vcpu *vcpu)
{
	u32 look;

	/* [K3] as [K4]. */
	spin_lock(&vcpu->vm->vgic.lock);
	look = update(vcpu, drain(vcpu));
	vgic_timer_look(vcpu);
	look |= place_best(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
}

/* Places nothing: whoever blocks is saved, or settles if it turns out that it runs on. */
bool vgic_pending(struct vcpu *vcpu)
{
	struct vgic_vcpu *v = &vcpu->vgic;
	bool pending;
	u32 look;

	/* [K2] as [K4]. */
	spin_lock(&vcpu->vm->vgic.lock);
	look = update(vcpu, drain(vcpu));
	/* What was ended, or is to be, without its list register telling: then all are looked at.
	 */
	if (v->loaded && (v->recheck || v->maintenance & LIST_REGS_LOST_EOI))
		look |= vgic_unlist_all(vcpu);
	else if (v->loaded)
		vgic_timer_look(vcpu);
	pending = vgic_any_passes(vcpu);
	spin_unlock(&vcpu->vm->vgic.lock);
	if (look)
		kick_all(vcpu->vm, look);
	return pending;
}
