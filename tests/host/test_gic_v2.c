/*
 * The GICv2 driver on a model of a distributor and its CPU interfaces (IHI 0048B 4.3, 4.4): three
 * cores in one thread, whose interfaces do not have the numbers that Weir gives the cores.
 *
 * Sources: drivers/gic.c drivers/gic_v2.c drivers/gic_v3.c drivers/gic_distributor.c core/base/log.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/log.c tests/host/fake/panic.c tests/host/fake/record.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/list_regs.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "drivers/gic.h"
#include "drivers/registers.h"

#define CORES 3u
#define WORDS 3u /* of 32 interrupts each; the first is each core's own */
#define SPI   40u
#define PPI   27u

/* Where bytes are written, the memory is what counts: ITARGETSR. The rest of it keeps what was written. */
static u8 distributor[0x1000], interface[0x2000], hypervisor[0x200], virtual[0x1000];
static const u32 number_of[CORES] = { 2, 0, 1 }; /* of each core's interface */

static struct state {
	u32 enabled, pending, active;
} private_of[CORES], shared[WORDS];
static u32 sgi_from[CORES][16]; /* pending, a bit for each interface that sent it */
static struct {
	u32 control;
	u32 running;	 /* what was read of IAR and is not dropped; 0: nothing */
	u32 dropped;	 /* the last */
	u32 deactivated; /* the last */
} cpu[CORES];
static u32 resets_while_on;
static u32 last_write, last_read; /* offsets in the distributor */

void *mmu_map_device(pa_t base, u64 bytes)
{
	static void *const frames[] = { distributor, interface, hypervisor, virtual };

	assert_true(bytes != 0);
	return frames[base.raw - 1];
}

bool cpu_probe(const void *address, u32 *value)
{
	(void)address;
	*value = 0x20020; /* version 2, as either frame says it */
	return true;
}

void list_regs_init(u32 version, void *gich, bool loses_lines)
{
	assert_int_equal(version, 2);
	assert_ptr_equal(gich, hypervisor);
	assert_false(loses_lines);
}

void list_regs_init_core(void)
{
}

static struct state *word_of(u32 index)
{
	assert_true(index < WORDS);
	return index ? &shared[index] : &private_of[cpu_index()];
}

/* The first that this core is to take; 1023: none. SGIs with who sent them. */
static u32 first_for(u32 core)
{
	for (u32 intid = 0; intid < 32 * WORDS; intid++) {
		const struct state *word = intid < 32 ? &private_of[core] : &shared[intid / 32];
		u32 bit = 1u << intid % 32;

		if (!(word->enabled & word->pending & ~word->active & bit))
			continue;
		if (intid >= 32 && !(distributor[0x800 + intid] & 1u << number_of[core]))
			continue;
		return intid < 16 ? intid | (u32)__builtin_ctz(sgi_from[core][intid]) << 10 : intid;
	}
	return 1023;
}

static u32 acknowledge(void)
{
	u32 core = cpu_index(), value = cpu[core].control & 1 ? first_for(core) : 1023;
	u32 intid = value & 0x3ff;
	struct state *word;

	if (intid == 1023)
		return intid;
	assert_int_equal(cpu[core].running, 0);
	cpu[core].running = value | BIT(31);
	word = word_of(intid / 32);
	word->active |= 1u << intid % 32;
	if (intid < 16)
		sgi_from[core][intid] &= ~(1u << (value >> 10));
	if (intid >= 16 || !sgi_from[core][intid])
		word->pending &= ~(1u << intid % 32);
	return value;
}

static void send(u32 value)
{
	u32 intid = value & 0xf;

	assert_int_equal(value >> 24 & 3, 0); /* to those in the list */
	for (u32 core = 0; core < CORES; core++)
		if (value >> 16 & 1u << number_of[core]) {
			private_of[core].pending |= 1u << intid;
			sgi_from[core][intid] |= 1u << number_of[cpu_index()];
		}
}

u32 register_read(const void *mapped, u32 offset)
{
	if (mapped == interface)
		return offset == 0xc ? acknowledge() : 0;
	assert_ptr_equal(mapped, distributor);
	last_read = offset;
	if (offset == 0x4)
		return WORDS - 1;
	if (offset == 0x8)
		return 0x0200043b; /* GIC-400 */
	if (offset == 0x800)
		return 0x01010101u << number_of[cpu_index()];
	return *(u32 *)(distributor + offset);
}

static void write_interface(u32 offset, u32 value)
{
	u32 core = cpu_index();

	if (offset == 0x0)
		cpu[core].control = value;
	if (offset == 0x10) {
		/* An SGI by the number of its sender, too. IHI 0048B 4.4.5. */
		assert_int_equal(value | BIT(31), cpu[core].running);
		cpu[core].running = 0;
		cpu[core].dropped = value;
	}
	if (offset == 0x1000) {
		assert_int_equal(cpu[core].running, 0); /* dropped before */
		cpu[core].deactivated = value;
		word_of((value & 0x3ff) / 32)->active &= ~(1u << value % 32);
	}
}

static void write_state(u32 offset, u32 value)
{
	struct state *word = word_of(offset % 0x80 / 4);

	switch (offset & ~0x7fu) {
	case 0x100:
		word->enabled |= value;
		break;
	case 0x180:
		word->enabled &= ~value;
		break;
	case 0x200:
		word->pending |= value;
		break;
	case 0x280:
		word->pending &= ~value;
		break;
	case 0x300:
		word->active |= value;
		break;
	default:
		word->active &= ~value;
		break;
	}
}

void register_write(void *mapped, u32 offset, u32 value)
{
	if (mapped == interface) {
		write_interface(offset, value);
		return;
	}
	assert_ptr_equal(mapped, distributor);
	last_write = offset;
	if (offset >= 0x100 && offset < 0x400)
		write_state(offset, value);
	else if (offset == 0xf00)
		send(value);
	else if (offset >= 0xf10 && offset < 0xf20 && value == ~0u)
		memset(sgi_from[cpu_index()], 0, sizeof(sgi_from[0]));
	*(u32 *)(distributor + offset) = value;
	/* What is shared is set up while nothing is forwarded. */
	resets_while_on += offset % 0x80 && offset < 0x400 && value == ~0u && distributor[0] & 1;
}

u64 fake_sysreg_read(const char *name)
{
	assert_string_equal(name, "isr_el1");
	return first_for(cpu_index()) == 1023 ? 0 : BIT(7);
}

void fake_sysreg_write(const char *name, u64 value)
{
	fail_msg("%s was written, with %lx", name, value);
}

static void on(u32 core)
{
	fake_cpu_set_index(core);
}

static u32 config_of(u32 intid)
{
	u32 word;

	memcpy(&word, distributor + 0xc00 + 4 * (intid / 16), sizeof(word));
	return word >> 2 * (intid % 16) & 3;
}

/* Everything is as some firmware may leave it; then Weir's cores come. */
static int start(void **state)
{
	static const struct gic_registers registers = { .version = 2,
							.distributor = { 1 },
							.cpu_interface = { 2 },
							.hypervisor = { 3 },
							.virtual_interface = { 4 } };

	(void)state;
	fake_log_reset();
	fake_record_reset();
	memset(distributor, 0xff, sizeof(distributor));
	memset(private_of, 0xff, sizeof(private_of));
	memset(shared, 0xff, sizeof(shared));
	memset(sgi_from, 0xff, sizeof(sgi_from));
	memset(cpu, 0, sizeof(cpu));
	resets_while_on = 0;
	on(0);
	assert_true(gic_init(&registers));
	for (u32 core = 0; core < CORES; core++) {
		on(core);
		assert_true(gic_init_core());
	}
	on(0);
	return 0;
}

/* ---- Boot ------------------------------------------------------------------------------------ */

TEST(what_firmware_left_is_off_and_nothing_comes)
{
	for (u32 n = 1; n < WORDS; n++)
		assert_int_equal(shared[n].enabled | shared[n].pending | shared[n].active, 0);
	for (u32 core = 0; core < CORES; core++) {
		assert_int_equal(private_of[core].enabled, BIT(GIC_SGI_KICK));
		assert_int_equal(private_of[core].pending | private_of[core].active, 0);
		on(core);
		assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	}
}

TEST(all_priorities_are_one_and_all_shared_interrupts_level_until_they_are_enabled)
{
	for (u32 intid = 0; intid < 32 * WORDS; intid++)
		assert_int_equal(distributor[0x400 + intid], 0xa0);
	for (u32 intid = 32; intid < 32 * WORDS; intid++)
		assert_int_equal(config_of(intid), 0);
}

TEST(forwarding_is_off_first_and_on_when_all_is_set_up)
{
	assert_int_equal(distributor[0], 1);
	assert_int_equal(resets_while_on, 0);
}

TEST(each_core_drops_and_deactivates_apart)
{
	for (u32 core = 0; core < CORES; core++)
		assert_int_equal(cpu[core].control, 0x201);
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

TEST(a_shared_interrupt_comes_to_the_core_it_was_enabled_for)
{
	memset(distributor + 0x820, 0x77, 64);
	gic_enable(SPI, 1, false);
	assert_int_equal(distributor[0x800 + SPI], 1u << number_of[1]);
	assert_int_equal(distributor[0x800 + SPI - 1], 0x77);
	assert_int_equal(distributor[0x800 + SPI + 1], 0x77);
	gic_pend(SPI);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	on(2);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	on(1);
	assert_int_equal(gic_acknowledge(), SPI);
	gic_drop(SPI);
	gic_deactivate(SPI);
	assert_int_equal(shared[SPI / 32].active, 0);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	gic_route(SPI, 2);
	gic_pend(SPI);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	on(2);
	assert_int_equal(gic_acknowledge(), SPI);
}

TEST(edge_and_level_leave_the_neighbours_as_they_are)
{
	gic_enable(SPI, 0, true);
	gic_enable(SPI + 1, 0, true);
	gic_enable(SPI + 2, 0, true);
	gic_enable(SPI + 1, 0, false);
	assert_int_equal(config_of(SPI), 2);
	assert_int_equal(config_of(SPI + 1), 0);
	assert_int_equal(config_of(SPI + 2), 2);
	assert_int_equal(config_of(SPI + 3), 0);
}

TEST(a_private_interrupt_is_enabled_on_its_core_only)
{
	on(2);
	gic_enable(PPI, 2, false);
	assert_true(private_of[2].enabled & BIT(PPI));
	assert_false((private_of[0].enabled | private_of[1].enabled) & BIT(PPI));
}

TEST(what_is_dropped_and_not_deactivated_does_not_come_again)
{
	gic_enable(PPI, 0, false);
	private_of[0].pending |= BIT(PPI);
	assert_int_equal(gic_acknowledge(), PPI);
	gic_drop(PPI);
	private_of[0].pending |= BIT(PPI); /* its line is still up */
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	gic_pend(SPI);
	gic_enable(SPI, 0, true);
	assert_int_equal(gic_acknowledge(), SPI); /* others do */
	gic_drop(SPI);
	gic_deactivate(SPI);
	gic_deactivate(PPI);
	assert_int_equal(gic_acknowledge(), PPI);
}

TEST(the_active_state_is_set_and_cleared_on_this_core_and_done_on_return)
{
	on(1);
	gic_enable(PPI, 1, false);
	private_of[1].pending |= BIT(PPI);
	gic_set_active(PPI, true);
	assert_int_equal(private_of[1].active, BIT(PPI));
	assert_int_equal(private_of[0].active | private_of[2].active, 0);
	assert_int_equal(last_read, last_write);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	gic_set_active(PPI, false);
	assert_int_equal(private_of[1].active, 0);
	assert_int_equal(last_read, last_write);
	assert_int_equal(gic_acknowledge(), PPI);
}

/* ---- Kicks ----------------------------------------------------------------------------------- */

TEST(a_kick_comes_to_its_core_after_what_was_left_for_it)
{
	fake_record_reset();
	gic_kick(2);
	assert_int_equal(fake_record_times("dsb ishst"), 1);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	on(1);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	on(2);
	assert_int_equal(gic_acknowledge(), GIC_SGI_KICK);
}

/* Each is dropped and deactivated by the number of who sent it. */
TEST(kicks_of_two_cores_are_two_and_each_goes_back_to_its_sender)
{
	gic_kick(2);
	on(1);
	gic_kick(2);
	on(2);
	for (u32 sender = 0; sender <= 2; sender += 2) { /* the interfaces of cores 1 and 0 */
		assert_int_equal(gic_acknowledge(), GIC_SGI_KICK);
		gic_drop(GIC_SGI_KICK);
		gic_deactivate(GIC_SGI_KICK);
		assert_int_equal(cpu[2].dropped, sender << 10 | GIC_SGI_KICK);
		assert_int_equal(cpu[2].deactivated, sender << 10 | GIC_SGI_KICK);
	}
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	assert_int_equal(private_of[2].active, 0);
}

TEST(a_kick_that_is_served_on_one_core_does_not_change_another_s)
{
	gic_kick(1);
	gic_kick(2);
	on(1);
	assert_int_equal(gic_acknowledge(), GIC_SGI_KICK);
	on(2);
	gic_kick(0);
	assert_int_equal(gic_acknowledge(), GIC_SGI_KICK);
	on(0);
	assert_int_equal(gic_acknowledge(), GIC_SGI_KICK);
	for (u32 core = 0; core < CORES; core++) {
		on(core);
		gic_drop(GIC_SGI_KICK);
		gic_deactivate(GIC_SGI_KICK);
		assert_int_equal(cpu[core].deactivated >> 10, number_of[core ? 0 : 2]);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(start, what_firmware_left_is_off_and_nothing_comes),
		RUN_AFTER(
			start,
			all_priorities_are_one_and_all_shared_interrupts_level_until_they_are_enabled),
		RUN_AFTER(start, forwarding_is_off_first_and_on_when_all_is_set_up),
		RUN_AFTER(start, each_core_drops_and_deactivates_apart),
		RUN_AFTER(start, a_shared_interrupt_comes_to_the_core_it_was_enabled_for),
		RUN_AFTER(start, edge_and_level_leave_the_neighbours_as_they_are),
		RUN_AFTER(start, a_private_interrupt_is_enabled_on_its_core_only),
		RUN_AFTER(start, what_is_dropped_and_not_deactivated_does_not_come_again),
		RUN_AFTER(start,
			  the_active_state_is_set_and_cleared_on_this_core_and_done_on_return),
		RUN_AFTER(start, a_kick_comes_to_its_core_after_what_was_left_for_it),
		RUN_AFTER(start, kicks_of_two_cores_are_two_and_each_goes_back_to_its_sender),
		RUN_AFTER(start, a_kick_that_is_served_on_one_core_does_not_change_another_s),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
