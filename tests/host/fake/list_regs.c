/* List registers in memory, and drivers/gic.h as far as the virtual interrupt controller calls it.
 */
#include <string.h>
#include "fake.h"
#include "list_regs.h"
#include "arch/arm64/cpu.h"
#include "core/sched.h"
#include "core/vm.h"
#include "drivers/gic.h"

#define NOTHING 256u

static struct core {
	u64 lr[LIST_REGS_KEPT];
	u32 when, lost;
	u8 mask;
	bool group[2];
	u32 active[2]; /* by group: bit n: priority 8 * n is active */
	u32 point[2];  /* binary points: 0 (as 3) or so many bits of a priority do not preempt */
	bool two_steps;
	bool timer_active;
} cores[MAX_PCPUS];
static struct spi {
	bool enabled, line, active;
	u32 core;
} spis[32 * VGIC_SPI_BANKS];
static u32 version, timer_changes;
static bool lose_lines;
static u64 writes;

static struct core *here(void)
{
	return &cores[cpu_index()];
}

void fake_list_regs_reset(u32 gic)
{
	for (u32 i = 0; i < MAX_PCPUS; i++)
		cores[i] = (struct core){ .timer_active = true };
	memset(spis, 0, sizeof(spis));
	version = gic;
	lose_lines = false;
	timer_changes = 0;
	writes = 0;
}

void fake_list_regs_lose_lines(void)
{
	lose_lines = true;
}

/* --- What the hypervisor sees --------------------------------------------------------------- */

void list_reg_write(u32 index, u64 reg)
{
	assert_true(index < LIST_REGS_KEPT);
	if (reg & LIST_REG_HARDWARE) {
		assert_false(reg & LIST_REG_EOI);
		assert_true((reg >> 62) != 3); /* UNPREDICTABLE */
	}
	for (u32 i = 0; i < LIST_REGS_KEPT && reg; i++)
		if (i != index && here()->lr[i] >> 62)
			assert_true((u32)here()->lr[i] != (u32)reg); /* UNPREDICTABLE */
	if (version == 3)
		assert_int_equal(LIST_REG_SOURCE_OF(reg), 0);
	here()->lr[index] = reg;
	writes++;
}

bool list_regs_lose_lines(void)
{
	return lose_lines;
}

u64 list_reg_read(u32 index)
{
	assert_true(index < LIST_REGS_KEPT);
	return here()->lr[index];
}

u64 list_reg_take(u32 index)
{
	u64 reg = list_reg_read(index);

	list_reg_write(index, 0);
	return reg;
}

void list_reg_pend(u32 index)
{
	list_reg_write(index, list_reg_read(index) | LIST_REG_PENDING);
}

u32 list_regs_empty(void)
{
	u32 empty = 0;

	for (u32 i = 0; i < LIST_REGS_KEPT; i++)
		if (!(here()->lr[i] >> 62))
			empty |= 1u << i;
	return empty;
}

void list_regs_maintenance(u32 when)
{
	here()->when = when;
	here()->lost = 0;
}

bool list_regs_deactivation_trapped(void)
{
	return here()->two_steps;
}

u32 list_regs_lost_ends(void)
{
	return here()->lost;
}

void list_regs_reset(struct list_regs *state)
{
	*state = (struct list_regs){ 0 };
}

void list_regs_save(struct list_regs *state)
{
	for (u32 i = 0; i < LIST_REGS_KEPT; i++)
		assert_int_equal(here()->lr[i] >> 62, 0);
	assert_int_equal(here()->when, 0);
	state->vmcr = (u64)here()->mask << 24 | here()->group[1] << 1 | here()->group[0] |
		      here()->two_steps << 9 | here()->point[0] << 21 | here()->point[1] << 18;
	state->ap0r0 = here()->active[0];
	state->ap1r0 = here()->active[1];
}

void list_regs_load(const struct list_regs *state)
{
	here()->mask = (u8)(state->vmcr >> 24);
	here()->group[0] = state->vmcr & 1;
	here()->group[1] = state->vmcr >> 1 & 1;
	here()->two_steps = state->vmcr >> 9 & 1;
	here()->point[0] = state->vmcr >> 21 & 7;
	here()->point[1] = state->vmcr >> 18 & 7;
	here()->active[0] = (u32)state->ap0r0;
	here()->active[1] = (u32)state->ap1r0;
}

static u32 running_of(const struct core *core)
{
	return core->active[0] | core->active[1];
}

static u32 running_priority(u32 running)
{
	return running ? (u32)__builtin_ctz(running) << 3 : NOTHING;
}

struct list_regs_interface list_regs_interface(const struct list_regs *state)
{
	if (state)
		return (struct list_regs_interface){
			.mask = (u8)(state->vmcr >> 24),
			.running = running_priority((u32)(state->ap0r0 | state->ap1r0)),
			.group0 = state->vmcr & 1,
			.group1 = state->vmcr >> 1 & 1,
		};
	return (struct list_regs_interface){
		.mask = here()->mask,
		.running = running_priority(running_of(here())),
		.group0 = here()->group[0],
		.group1 = here()->group[1],
	};
}

u32 gic_version(void)
{
	return version;
}

/* Of the machine, for VMs that have them. */
static struct spi *spi_of(u32 intid)
{
	assert_true(intid >= 32 && intid - 32 < ARRAY_SIZE(spis));
	return &spis[intid - 32];
}

void gic_route(u32 intid, u32 core)
{
	spi_of(intid)->core = core;
}

void gic_set(enum gic_set registers, u32 intid)
{
	struct spi *spi = spi_of(intid);

	if (registers == GIC_DEACTIVATE)
		spi->active = false;
	else if (registers != GIC_UNPEND) /* a level stays */
		spi->enabled = registers == GIC_ENABLE;
}

void gic_deactivate(u32 intid)
{
	if (intid != 27) {
		assert_true(spi_of(intid)->active);
		spi_of(intid)->active = false;
		return;
	}
	assert_true(here()->timer_active);
	here()->timer_active = false;
}

void gic_set_active(u32 intid, bool active)
{
	assert_int_equal(intid, 27);
	assert_true(here()->timer_active != active);
	here()->timer_active = active;
	timer_changes++;
}

/* --- What the guest does -------------------------------------------------------------------- */

/* It runs: what was put off until then is done. */
static void enter_guest(void)
{
	if (fake_sched_again())
		vgic_settle(sched_current());
}

void fake_interface_set(u8 mask, bool group0, bool group1)
{
	here()->mask = mask;
	here()->group[0] = group0;
	here()->group[1] = group1;
}

void fake_two_steps(bool on)
{
	here()->two_steps = on;
}

void fake_binary_point(u32 group0, u32 group1)
{
	here()->point[0] = group0;
	here()->point[1] = group1;
}

u32 fake_group_bits(bool group1)
{
	u32 point = here()->point[group1];

	return point > 3 ? ~0u << point : ~7u;
}

/* The most urgent one, if it is more urgent than what is active: its group priority counts for that. */
static u64 *highest(struct core *core)
{
	u64 *best = 0;
	u32 best_priority = core->mask, bits;

	for (u32 i = 0; i < LIST_REGS_KEPT; i++) {
		u64 reg = core->lr[i];
		u32 priority = reg >> 48 & 0xf8;

		if (reg >> 62 != 1 || !core->group[!!(reg & LIST_REG_GROUP1)] ||
		    priority >= best_priority)
			continue;
		best = &core->lr[i];
		best_priority = priority;
	}
	if (!best)
		return 0;
	bits = fake_group_bits(*best & LIST_REG_GROUP1);
	return (best_priority & bits) < (running_priority(running_of(core)) & bits) ? best : 0;
}

/* Its group priority. */
static u32 level_of(u64 reg)
{
	return (reg >> 48 & fake_group_bits(reg & LIST_REG_GROUP1) & 0xff) >> 3;
}

u32 fake_next(void)
{
	u64 *best;

	enter_guest();
	best = highest(here());
	return best ? (u32)(*best & 0x3ff) | LIST_REG_SOURCE_OF(*best) << 10 : FAKE_SPURIOUS;
}

u32 fake_acknowledge(void)
{
	u32 next = fake_next();
	u64 *best = highest(here());

	if (!best)
		return FAKE_SPURIOUS;
	*best = (*best & ~LIST_REG_PENDING) | LIST_REG_ACTIVE;
	here()->active[!!(*best & LIST_REG_GROUP1)] |= 1u << level_of(*best);
	return next;
}

void fake_drop(void)
{
	u32 running, most_urgent;

	enter_guest();
	running = running_of(here());
	most_urgent = running & ~(running - 1);
	here()->active[0] &= ~most_urgent;
	here()->active[1] &= ~most_urgent;
}

void fake_deactivate(u32 intid)
{
	enter_guest();
	for (u32 i = 0; i < LIST_REGS_KEPT; i++) {
		u64 *reg = &here()->lr[i];

		if ((*reg & 0x3ff) != (intid & 0x3ff) || !(*reg & LIST_REG_ACTIVE))
			continue;
		*reg &= ~LIST_REG_ACTIVE;
		if (*reg & LIST_REG_HARDWARE && lose_lines)
			*reg |= LIST_REG_EOI;
		else if (*reg & LIST_REG_HARDWARE)
			gic_deactivate(*reg >> 32 & 0x3ff);
		return;
	}
	here()->lost++;
}

static const u64 *active_one(u32 intid)
{
	for (u32 i = 0; i < LIST_REGS_KEPT; i++)
		if ((here()->lr[i] & 0x3ff) == (intid & 0x3ff) && here()->lr[i] & LIST_REG_ACTIVE)
			return &here()->lr[i];
	return 0;
}

/* GICv3 deactivates only what has the group and the group priority of what is dropped. */
static bool is_of(const u64 *reg, const u32 dropped[2])
{
	return version == 2 || !reg || dropped[!!(*reg & LIST_REG_GROUP1)] == 1u << level_of(*reg);
}

void fake_end(u32 intid)
{
	u32 before[2], dropped[2];
	const u64 *reg;

	enter_guest();
	memcpy(before, here()->active, sizeof(before));
	fake_drop();
	for (u32 group = 0; group < 2; group++)
		dropped[group] = before[group] & ~here()->active[group];
	reg = active_one(intid);
	if (here()->two_steps)
		here()->lost += !reg;
	else if (is_of(reg, dropped))
		fake_deactivate(intid);
}

u32 fake_list_regs_used(void)
{
	enter_guest();
	return LIST_REGS_KEPT - (u32)__builtin_popcount(list_regs_empty());
}

bool fake_listed(u32 intid)
{
	enter_guest();
	for (u32 i = 0; i < LIST_REGS_KEPT; i++)
		if (here()->lr[i] >> 62 && (here()->lr[i] & 0x3ff) == intid)
			return true;
	return false;
}

bool fake_maintenance(void)
{
	const struct core *core = here();
	bool pending = false;

	enter_guest();
	for (u32 i = 0; i < LIST_REGS_KEPT; i++) {
		pending |= core->lr[i] >> 62 == 1;
		if (!(core->lr[i] >> 62) && core->lr[i] & LIST_REG_EOI)
			return true;
	}
	return (core->when & LIST_REGS_NO_PENDING && !pending) ||
	       (core->when & LIST_REGS_LOST_EOI && core->lost) ||
	       (core->when & LIST_REGS_GROUP0_ON && core->group[0]) ||
	       /* As it should be, and as QEMU has it. */
	       (core->when & LIST_REGS_GROUP0_OFF && !(core->group[0] && core->group[1])) ||
	       (core->when & LIST_REGS_GROUP1_ON && core->group[1]) ||
	       (core->when & LIST_REGS_GROUP1_OFF && !core->group[1]);
}

u64 fake_list_regs_writes(void)
{
	return writes;
}

bool fake_timer_active(void)
{
	return here()->timer_active;
}

void fake_timer_activate(void)
{
	assert_false(here()->timer_active);
	here()->timer_active = true;
}

u32 fake_timer_changes(void)
{
	return timer_changes;
}

/* --- What devices do ------------------------------------------------------------------------- */

void fake_spi_line(u32 intid, bool level)
{
	spi_of(intid)->line = level;
}

bool fake_spi_arrives(u32 intid)
{
	struct spi *spi = spi_of(intid);
	bool arrives = spi->enabled && spi->line && !spi->active;

	spi->active |= arrives;
	return arrives;
}

bool fake_spi_active(u32 intid)
{
	return spi_of(intid)->active;
}

bool fake_spi_enabled(u32 intid)
{
	return spi_of(intid)->enabled;
}

u32 fake_spi_core(u32 intid)
{
	return spi_of(intid)->core;
}
