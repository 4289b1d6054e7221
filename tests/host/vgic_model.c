/*
 * A model of the virtual interrupt controller without list registers (vgic_model.h).
 */
#include "vgic_model.h"

#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "list_regs.h"
#include "core/sched.h"
#include "core/vm.h"

#define TIMER	     27u
#define NOBODY	     0xffffu
#define GICR(offset) (0x10000u + (offset))

/* The interrupts of the game: SGIs, edge PPIs, a level PPI, the timer, SPIs in three banks. */
static const u16 intids[] = { 1, 2, 18, 20, 23, TIMER, 32, 33, 34, 35, 36, 37, 63, 100, 287 };
#define COUNT ARRAY_SIZE(intids)

static struct model {
	bool enabled, latched, line, edge, active, group1;
	u8 priority;
	u8 senders; /* v2's SGIs: bit n: pending from vCPU n */
} model[COUNT];
static struct {
	u32 version;
	bool loaded, open[2], group[2];
	u8 mask;
	u32 point[2];	      /* by group: the lower bits of a priority that do not preempt */
	u32 depth, stack[64]; /* acknowledged and not ended, indices into `model` */
	u32 running[64];      /* their group priorities */
	bool two_steps;	      /* EOImode 1: the end does not deactivate */
	bool shallow; /* what is active always fits into list registers, and its priority may change */
} guest;

static struct vm vm;
static struct vcpu vcpus[3];
static u32 (*dice)(u32 sides);

/* --- The model ------------------------------------------------------------------------------ */

static bool is_pending(const struct model *m)
{
	return m->latched || (m->line && !m->edge);
}

/* Everything but the order among those that compete, and what is active. */
static bool competes(const struct model *m)
{
	return is_pending(m) && m->enabled && !m->active && guest.open[m->group1] &&
	       guest.group[m->group1];
}

static u32 group_priority(u32 priority, bool group1)
{
	return priority >> guest.point[group1] << guest.point[group1];
}

/* Its group priority is above that of what is active, and it is not masked. */
static bool passes(const struct model *m)
{
	u32 top = guest.depth ? guest.running[guest.depth - 1] : NOBODY;

	return m->priority < guest.mask &&
	       group_priority(m->priority, m->group1) < group_priority(top, m->group1);
}

/* Of those that compete. */
static u32 best_priority(void)
{
	u32 best = NOBODY;

	for (u32 i = 0; i < COUNT; i++)
		if (competes(&model[i]))
			best = min(best, (u32)model[i].priority);
	return best;
}

/* One of the most urgent ones is signalled; of several of the same priority the interface chooses. */
static bool is_signalled(bool all)
{
	u32 best = best_priority(), count = 0, passing = 0;

	for (u32 i = 0; i < COUNT; i++)
		if (competes(&model[i]) && model[i].priority == best) {
			count++;
			passing += passes(&model[i]);
		}
	return all ? count && passing == count : passing;
}

static u32 index_of(u32 intid)
{
	for (u32 i = 0; i < COUNT; i++)
		if (intids[i] == intid)
			return i;
	fail_msg("interrupt %u is not in the game", intid);
	return 0;
}

/* --- The thing under test ------------------------------------------------------------------- */

static void on(u32 n)
{
	fake_cpu_set_index(n);
	fake_sched_set_current(vcpus[n].vgic.loaded ? &vcpus[n] : 0);
}

/* The turns of vCPU `n` until it has its answer; between them the core that it asks takes its kicks. */
static u64 answer_for(u32 n)
{
	for (u32 i = 0; vcpus[n].turns == TURNS_ANSWER; i++) {
		assert_true(i < 3);
		on(n);
		vgic_ask_step(&vcpus[n]);
		on(0);
		if (fake_sched_count(FAKE_KICK, &vcpus[0]))
			vgic_sync(&vcpus[0]);
	}
	return vcpus[n].arch.x[0];
}

/* By vCPU `n`. The registers of its own private interrupts are the only ones that GICv2 shows to it. */
static u32 access_by(u32 n, u32 intid, u64 offset, u32 bytes, bool write, u64 value)
{
	bool gicr = guest.version == 3 && intid < 32;
	struct mmio access = { gicr ? GICR(offset) : offset, bytes, write, value };

	on(n);
	fake_exit.syndrome = (u32)__builtin_ctz(bytes) << 22 | (u32)write << 6; /* of x0 */
	assert_true(gicr ? vgic_mmio_redistributor(&vcpus[n], &access)
			 : vgic_mmio_distributor(&vcpus[n], &access));
	on(0);
	if (vcpus[n].turns == TURNS_ANSWER)
		access.value = answer_for(n);
	return (u32)access.value;
}

/* May be anybody's. */
static void write_word(u32 intid, u64 offset, u32 bytes, u64 value)
{
	u32 n = (guest.version == 3 || intid >= 32) && dice(4) == 0 ? 1 : 0;

	access_by(n, intid, offset, bytes, true, value);
}

static void write_bit(u32 base, u32 intid)
{
	write_word(intid, base + intid / 32 * 4, 4, 1u << intid % 32);
}

static bool read_bit(u32 n, u32 base, u32 intid)
{
	return access_by(n, intid, base + intid / 32 * 4, 4, false, 0) >> intid % 32 & 1;
}

/* Interrupts that EL2 takes before the guest goes on. */
static void settle(void)
{
	if (!guest.loaded)
		return;
	if (fake_sched_count(FAKE_KICK, &vcpus[0]))
		vgic_sync(&vcpus[0]);
	for (u32 i = 0; i < 4; i++) {
		if (model[index_of(TIMER)].line && !fake_timer_active()) {
			fake_timer_activate();
			vgic_timer_fired(&vcpus[0]);
		}
		if (!fake_maintenance())
			return;
		vgic_sync(&vcpus[0]);
	}
	fail_msg("the maintenance interrupt does not end");
}

static void check(void)
{
	u32 next = fake_next(), best = best_priority();

	if (!guest.loaded)
		return;
	if (next == FAKE_SPURIOUS) {
		assert_false(is_signalled(true));
		return;
	}
	assert_true(competes(&model[index_of(next & 0x3ff)]));
	assert_true(passes(&model[index_of(next & 0x3ff)]));
	assert_int_equal(model[index_of(next & 0x3ff)].priority, best);
}

/* --- Moves ---------------------------------------------------------------------------------- */

static bool is_v2_sgi(u32 i)
{
	return guest.version == 2 && intids[i] < 16;
}

static void move_enable(u32 i)
{
	if (is_v2_sgi(i))
		return;
	model[i].enabled = dice(4);
	write_bit(model[i].enabled ? 0x100 : 0x180, intids[i]);
}

static void move_priority(u32 i)
{
	if (model[i].active && !guest.shallow && !guest.two_steps)
		return;
	model[i].priority = (u8)(dice(24) * 8);
	write_word(intids[i], 0x400u + intids[i], 1, model[i].priority);
}

static void move_raise(u32 i)
{
	u32 sender;

	if (intids[i] >= 32 || intids[i] == TIMER || intids[i] == 23)
		return;
	model[i].latched = true;
	if (!is_v2_sgi(i)) {
		vgic_pend(&vcpus[0], intids[i]);
		return;
	}
	sender = guest.loaded ? dice(3) : 1 + dice(2);
	model[i].senders |= (u8)(1u << sender);
	on(sender);
	assert_true(vgic_mmio_distributor(&vcpus[sender],
					  &(struct mmio){ 0xf00, 4, true, 1u << 16 | intids[i] }));
	on(0);
}

static void move_line(u32 i)
{
	if (intids[i] < 32)
		return;
	model[i].line = !model[i].line;
	model[i].latched |= model[i].line && model[i].edge;
	vgic_set_line(&vm, intids[i], model[i].line);
}

/* Its line falls when nobody could have a stale one; that case has tests of its own. */
static void move_timer(u32 i)
{
	i = index_of(TIMER);
	if (model[i].line && fake_listed(TIMER) && !model[i].active)
		return;
	model[i].line = !model[i].line;
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = model[i].line });
	if (!guest.loaded && model[i].line)
		vgic_timer_fired(&vcpus[0]);
}

static void move_latch(u32 i)
{
	if (intids[i] == TIMER || is_v2_sgi(i))
		return;
	model[i].latched = dice(2);
	write_bit(model[i].latched ? 0x200 : 0x280, intids[i]);
}

static void move_trigger(u32 i)
{
	u32 word = 0;

	if (intids[i] < 32)
		return;
	model[i].edge = !model[i].edge;
	for (u32 k = 0; k < COUNT; k++)
		if (intids[k] / 16 == intids[i] / 16)
			word |= (u32)model[k].edge << (intids[k] % 16 * 2 + 1);
	write_word(intids[i], 0xc00u + intids[i] / 16 * 4, 4, word);
}

static void set_open(bool group0, bool group1)
{
	guest.open[0] = group0;
	guest.open[1] = group1;
	vgic_mmio_distributor(&vcpus[0], &(struct mmio){ 0, 4, true, group1 * 2u + group0 });
}

static void move_group(u32 i)
{
	u32 word = 0;

	if (dice(4) == 0) {
		set_open(dice(8), dice(8));
		return;
	}
	model[i].group1 = !model[i].group1;
	for (u32 k = 0; k < COUNT; k++)
		if (intids[k] / 32 == intids[i] / 32)
			word |= (u32)model[k].group1 << intids[k] % 32;
	write_word(intids[i], 0x80u + intids[i] / 32 * 4, 4, word);
}

static void move_active(u32 i)
{
	if (intids[i] == TIMER || guest.shallow)
		return;
	/* What is deactivated before its end is not ended any more; nobody does that in EOImode 0. */
	for (u32 k = 0; k < guest.depth && !guest.two_steps; k++)
		if (guest.stack[k] == i)
			return;
	model[i].active = !model[i].active;
	if (model[i].active) /* by another vCPU it would depend on whether this one had just taken it */
		access_by(0, intids[i], 0x300 + intids[i] / 32 * 4, 4, true, 1u << intids[i] % 32);
	else
		write_bit(0x380, intids[i]);
}

/* By the vCPU itself; or by another, which may have to ask it. */
static void move_read(u32 i)
{
	bool shown = guest.version == 3 || intids[i] >= 32;
	u32 n = shown && (!guest.loaded || dice(2)) ? 1 : 0;

	if (n == 0 && !guest.loaded)
		return;
	assert_int_equal(read_bit(n, dice(2) ? 0x100 : 0x180, intids[i]), model[i].enabled);
	if (n == 0 || intids[i] != TIMER) /* whose line is looked at when it has to be */
		assert_int_equal(read_bit(n, dice(2) ? 0x200 : 0x280, intids[i]),
				 is_pending(&model[i]));
	assert_int_equal(read_bit(n, dice(2) ? 0x300 : 0x380, intids[i]), model[i].active);
}

static void set_interface(u8 mask, bool group0, bool group1)
{
	guest.mask = mask;
	guest.group[0] = group0;
	guest.group[1] = group1;
	fake_interface_set(mask, group0, group1);
}

static void move_interface(u32 i)
{
	(void)i;
	set_interface(dice(6) ? 0xff : (u8)(dice(16) * 8), dice(8), dice(8));
	if (guest.depth)
		return;
	for (u32 group = 0; group < 2; group++)
		guest.point[group] = dice(3) ? 3 : 3 + dice(5);
	fake_binary_point(guest.point[0], guest.point[1]);
}

static void move_acknowledge(u32 i)
{
	u32 next;

	if (guest.shallow && guest.depth == LIST_REGS_KEPT - 1)
		return;
	next = fake_acknowledge();
	if (next == FAKE_SPURIOUS)
		return;
	i = index_of(next & 0x3ff);
	if (is_v2_sgi(i)) {
		assert_true(model[i].senders >> (next >> 10) & 1);
		model[i].senders &= (u8) ~(1u << (next >> 10));
		model[i].latched = model[i].senders;
	} else {
		model[i].latched = false;
	}
	model[i].active = true;
	guest.running[guest.depth] = group_priority(model[i].priority, model[i].group1);
	guest.stack[guest.depth++] = i;
}

static void move_end(u32 i)
{
	/* The deep game goes down as far as priorities allow. */
	if (!guest.depth || (is_signalled(false) && dice(8)))
		return;
	/* Several in a row, before EL2 takes an interrupt. */
	for (u32 ends = 1 + dice(guest.depth); ends; ends--) {
		i = guest.stack[--guest.depth];
		model[i].active &= guest.two_steps;
		fake_end(intids[i]);
	}
}

/* EOImode 1: the second step, in any order, and of an SPI by any vCPU. In EOImode 0 it does nothing. */
static void move_deactivate(u32 i)
{
	u32 n = intids[i] >= 32 && dice(3) == 0 ? 1 : 0;

	on(n);
	if (guest.version == 3)
		vgic_deactivate(&vcpus[n], intids[i]);
	else
		vgic_mmio_deactivate(&vcpus[n], &(struct mmio){ 0, 4, true, intids[i] });
	on(0);
	model[i].active &= !guest.two_steps;
}

/*
 * WFI: a timer that fell while the vCPU is not loaded may wake it for nothing, and so may one that does not
 * preempt because of a binary point.
 */
static void move_wait(u32 i)
{
	bool pending = vgic_pending(&vcpus[0]);

	(void)i;
	if (is_signalled(true))
		assert_true(pending);
	else if (guest.loaded && !is_signalled(false) && guest.point[0] + guest.point[1] == 6)
		assert_false(pending);
	if (guest.loaded)
		vgic_settle(&vcpus[0]); /* it runs on: something is pending, or it was woken */
}

static void move_switch(u32 i)
{
	(void)i;
	if (guest.loaded)
		vgic_save(&vcpus[0]);
	else
		vgic_load(&vcpus[0]);
	guest.loaded = !guest.loaded;
	on(0);
}

static const struct {
	void (*move)(u32 i);
	bool registers; /* by the guest itself, so it runs */
} moves[] = {
	{ move_enable, true },	    { move_enable, true },	{ move_priority, true },
	{ move_priority, true },    { move_raise, false },	{ move_raise, false },
	{ move_raise, false },	    { move_line, false },	{ move_line, false },
	{ move_line, false },	    { move_timer, false },	{ move_latch, true },
	{ move_latch, true },	    { move_trigger, true },	{ move_group, true },
	{ move_active, true },	    { move_read, false },	{ move_interface, true },
	{ move_acknowledge, true }, { move_acknowledge, true }, { move_acknowledge, true },
	{ move_acknowledge, true }, { move_end, true },		{ move_end, true },
	{ move_end, true },	    { move_switch, false },	{ move_wait, false },
	{ move_deactivate, true },  { move_deactivate, true },
};

/* --- Sequences ------------------------------------------------------------------------------ */

void vgic_model_begin(u32 version, bool two_steps, u32 (*from)(u32 sides))
{
	dice = from;
	fake_sched_reset();
	fake_list_regs_reset(version);
	if (version == 2 && dice(2))
		fake_list_regs_lose_lines();
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	memset(model, 0, sizeof(model));
	memset(&guest, 0, sizeof(guest));
	guest.version = version;
	guest.loaded = true;
	guest.two_steps = two_steps;
	guest.shallow = !two_steps && dice(2);
	guest.point[0] = guest.point[1] = 3;
	vm.vcpu_count = 3;
	for (u32 i = 0; i < 3; i++) {
		vm.vcpu[i] = &vcpus[i];
		vcpus[i].vm = &vm;
		vcpus[i].index = vcpus[i].core = i;
	}
	vgic_init(&vm);
	for (u32 i = 3; i-- > 0;) {
		fake_cpu_set_index(i);
		vgic_load(&vcpus[i]);
		/* What the core remembers of an earlier sequence and what is so become the same. */
		if (!fake_timer_active())
			fake_timer_activate();
		vgic_timer_fired(&vcpus[i]);
		vgic_sync(&vcpus[i]);
		vgic_save(&vcpus[i]);
		vcpus[i].vgic.private.line = 0;
		vgic_load(&vcpus[i]);
		fake_two_steps(two_steps);
	}
	on(0);
	for (u32 i = 0; i < COUNT; i++) {
		model[i].edge = intids[i] < 16 || (intids[i] >= 18 && intids[i] <= 20);
		model[i].enabled = is_v2_sgi(i);
		if (version == 2 && intids[i] >= 32)
			write_word(intids[i], 0x800u + intids[i], 1, 1);
		move_priority(i);
		move_enable(i);
	}
	set_interface(0xff, true, true);
	set_open(true, true);
}

void vgic_model_step(void)
{
	u32 which = dice(ARRAY_SIZE(moves));

	if (moves[which].registers && !guest.loaded)
		return;
	moves[which].move(dice(COUNT));
	settle();
	fake_sched_reset();
	on(0);
	check();
}
