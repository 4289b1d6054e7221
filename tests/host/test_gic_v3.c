/*
 * The GICv3 driver on frames that are memory, with what is written to them and to the system registers
 * written down (IHI 0069 12): which frame is a core's, what names a core, and in which order.
 *
 * Sources: drivers/gic.c drivers/gic_v2.c drivers/gic_v3.c drivers/gic_distributor.c core/base/log.c
 * Sources: tests/host/fake/log.c tests/host/fake/panic.c tests/host/fake/record.c
 */
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/list_regs.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "drivers/gic.h"
#include "drivers/registers.h"

#define CORES 3u
#define FRAME 0x10000u
#define FRAMES \
	10u /* of redistributors: two of one core, four of one with VLPIs, two, and two of nobody */
#define SPI    40u
#define PPI    27u
#define WRITES 2048u

#define RWP    BIT(31)
#define VLPIS  2u
#define LAST   16u
#define ASLEEP 4u
#define SLEEP  2u

/* Affinities 3.2.1.0, and where the frames of each core begin. */
static const u64 mpidr_of[CORES] = { 0x0000000000, 0x0100020113, 0x0000000301 };
static const u32 frame_of[CORES] = { 2, 0, 6 };

#define MANY_FRAMES 40u /* those of more cores than Weir has */

static u8 distributor[FRAME], redistributors[MANY_FRAMES * FRAME];
static u64 mapped_end; /* of the redistributors: the bytes that were mapped last, up to here */
static struct {
	u8 *at;
	u32 value;
} writes[WRITES];
static u32 write_count, waits, core;
static const u8 *last_read;
static u64 icc_iar, sgi, ended, deactivated, priority_mask, control, group_enable, interface_enable;

void *mmu_map_device(pa_t base, u64 bytes)
{
	if (base.raw == 1) {
		assert_int_equal(bytes, FRAME);
		return distributor;
	}
	assert_true(base.raw == 2 || base.raw - 2 == mapped_end);
	mapped_end = base.raw - 2 + bytes;
	return redistributors + (base.raw - 2);
}

bool cpu_probe(const void *address, u32 *value)
{
	if ((const u8 *)address >= redistributors &&
	    (const u8 *)address < redistributors + sizeof(redistributors))
		assert_true((const u8 *)address < redistributors + mapped_end);
	memcpy(value, address, sizeof(*value));
	return true;
}

u32 cpu_index(void)
{
	return core;
}

u64 cpu_mpidr(void)
{
	return mpidr_of[core];
}

void list_regs_init(u32 version, void *gich, bool loses_lines)
{
	assert_int_equal(version, 3);
	assert_null(gich);
	assert_false(loses_lines);
}

void list_regs_init_core(void)
{
}

static u32 get(const u8 *at)
{
	u32 value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void put(u8 *at, u32 value)
{
	memcpy(at, &value, sizeof(value));
}

/* A write to the distributor is under way until its control was read once; a core wakes as late. */
u32 register_read(const void *mapped, u32 offset)
{
	u8 *at = (u8 *)mapped + offset;
	u32 value = get(at);

	last_read = at;
	if (at == distributor && value & RWP) {
		put(at, value & ~(u32)RWP);
		waits++;
	}
	if (at != distributor && offset == 0x14 && value & ASLEEP && !(value & SLEEP))
		put(at, value & ~ASLEEP);
	return value;
}

void register_write(void *mapped, u32 offset, u32 value)
{
	u8 *at = (u8 *)mapped + offset;

	assert_true(write_count < WRITES);
	writes[write_count].at = at;
	writes[write_count++].value = value;
	put(at, at == distributor ? value | (u32)RWP : value);
}

/* The SGI comes if it names this core: IHI 0069 12.2.21. */
u64 fake_sysreg_read(const char *name)
{
	u64 answer;

	if (!strcmp(name, "isr_el1"))
		return icc_iar == GIC_SGI_KICK ? BIT(7) : 0;
	assert_string_equal(name, "S3_0_C12_C12_0"); /* IAR1 */
	answer = icc_iar;
	icc_iar = 1023;
	return answer;
}

static u64 sgi_of(u64 mpidr)
{
	return (mpidr >> 32 & 0xff) << 48 | (mpidr >> 16 & 0xff) << 32 | (mpidr >> 8 & 0xff) << 16 |
	       (mpidr & 0xf0) << 40 | 1ul << (mpidr & 0xf);
}

void fake_sysreg_write(const char *name, u64 value)
{
	static const struct {
		const char *name;
		u64 *value;
	} known[] = {
		{ "S3_0_C12_C12_1", &ended },		/* EOIR1 */
		{ "S3_0_C12_C11_1", &deactivated },	/* DIR */
		{ "S3_0_C12_C11_5", &sgi },		/* SGI1R */
		{ "S3_4_C12_C9_5", &interface_enable }, /* SRE */
		{ "S3_0_C4_C6_0", &priority_mask },	/* PMR */
		{ "S3_0_C12_C12_4", &control },		/* CTLR */
		{ "S3_0_C12_C12_7", &group_enable },	/* IGRPEN1 */
	};

	fake_note(name, value);
	for (u32 i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(name, known[i].name))
			*known[i].value = value;
	if (!strcmp(name, "S3_0_C12_C11_5") && value == sgi_of(mpidr_of[core]))
		icc_iar = GIC_SGI_KICK;
}

static u8 *first_frame(u32 index)
{
	return redistributors + frame_of[index] * FRAME;
}

static u8 *sgi_frame(u32 index)
{
	return first_frame(index) + FRAME;
}

/* What GICR_TYPER says of the core with these frames. */
static void describe(u32 frame, u64 mpidr, u32 flags)
{
	u8 *at = redistributors + frame * FRAME;

	put(at + 0x8, flags);
	put(at + 0xc, (u32)(mpidr & 0xffffff) | (u32)(mpidr >> 32 & 0xff) << 24);
	put(at + 0x14, SLEEP | ASLEEP);
}

static const struct gic_registers registers = { .version = 3,
						.distributor = { 1 },
						.redistributors = { 2 },
						.redistributors_bytes = FRAMES * FRAME };

static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	fake_record_reset();
	memset(distributor, 0xcc, sizeof(distributor));
	memset(redistributors, 0xcc, sizeof(redistributors));
	put(distributor + 0x4, 2); /* 96 interrupts */
	put(distributor + 0xffe8, 0x30);
	put(redistributors + 0xffe8, 0x30);
	describe(frame_of[1], mpidr_of[1], 0);
	describe(frame_of[0], mpidr_of[0], VLPIS);
	describe(frame_of[2], mpidr_of[2], 0);
	describe(8, 0xff, LAST);
	icc_iar = 1023;
	write_count = waits = core = 0;
	mapped_end = 0;
	sgi = ended = deactivated = 0;
	return 0;
}

static int start(void **state)
{
	prepare(state);
	assert_true(gic_init(&registers));
	for (u32 i = CORES; i--;) {
		core = i;
		assert_true(gic_init_core());
	}
	write_count = 0;
	fake_record_reset();
	return 0;
}

static void check_write(u32 index, const u8 *at, u32 value)
{
	assert_true(index < write_count);
	assert_ptr_equal(writes[index].at, at);
	assert_int_equal(writes[index].value, value);
}

/* ---- Boot ------------------------------------------------------------------------------------ */

TEST(affinity_routing_is_on_before_the_rest_and_forwarding_after_it)
{
	assert_true(gic_init(&registers));
	check_write(0, distributor, 0);
	check_write(1, distributor, 0x10);
	check_write(write_count - 1, distributor, 0x13);
	for (u32 i = 2; i < write_count - 1; i++)
		assert_ptr_not_equal(writes[i].at, distributor);
	assert_int_equal(waits, 3); /* for each of the three */
	assert_int_equal(get(distributor), 0x13);
}

TEST(what_firmware_left_of_the_shared_is_off_in_group_1_and_level)
{
	assert_true(gic_init(&registers));
	for (u32 n = 1; n < 3; n++) {
		assert_int_equal(get(distributor + 0x80 + 4 * n), ~0u);
		assert_int_equal(get(distributor + 0x180 + 4 * n), ~0u);
		assert_int_equal(get(distributor + 0x280 + 4 * n), ~0u);
		assert_int_equal(get(distributor + 0x380 + 4 * n), ~0u);
		for (u32 i = 0; i < 8; i++)
			assert_int_equal(get(distributor + 0x400 + 32 * n + 4 * i), 0xa0a0a0a0);
		assert_int_equal(get(distributor + 0xc00 + 8 * n), 0);
		assert_int_equal(get(distributor + 0xc04 + 8 * n), 0);
	}
	for (u32 i = 1; i < write_count - 1; i++)
		assert_true(writes[i].at == distributor || writes[i].at < distributor + 0xc18);
}

/* 1,020 are no multiple of 16 nor of 32: IHI 0069 2.2.1. */
TEST(the_last_interrupts_are_set_to_known_values_too)
{
	put(distributor + 0x4, 31);
	assert_true(gic_init(&registers));
	assert_int_equal(get(distributor + 0x80 + 4 * 31), ~0u);
	assert_int_equal(get(distributor + 0x180 + 4 * 31), ~0u);
	assert_int_equal(get(distributor + 0x280 + 4 * 31), ~0u);
	assert_int_equal(get(distributor + 0x380 + 4 * 31), ~0u);
	assert_int_equal(get(distributor + 0x400 + 4 * 254), 0xa0a0a0a0);
	assert_int_equal(get(distributor + 0x400 + 4 * 255), 0xcccccccc); /* 1020 to 1023 */
	assert_int_equal(get(distributor + 0xc00 + 4 * 63), 0);
}

TEST(each_core_wakes_its_own_frames_and_resets_what_is_private_there)
{
	start(0);
	for (u32 i = 0; i < CORES; i++) {
		assert_int_equal(get(first_frame(i) + 0x14), 0);
		assert_int_equal(get(sgi_frame(i) + 0x80), ~0u);
		assert_int_equal(get(sgi_frame(i) + 0xd00), 0);
		assert_int_equal(get(sgi_frame(i) + 0x180), ~0u);
		assert_int_equal(get(sgi_frame(i) + 0x280), ~0u);
		assert_int_equal(get(sgi_frame(i) + 0x380), ~0u);
		assert_int_equal(get(sgi_frame(i) + 0x400), 0xa0a0a0a0);
		assert_int_equal(get(sgi_frame(i) + 0x41c), 0xa0a0a0a0);
		assert_int_equal(get(sgi_frame(i) + 0x100), BIT(GIC_SGI_KICK));
	}
	assert_int_equal(get(redistributors + 8 * FRAME + 0x14), SLEEP | ASLEEP);
}

/* Without the register interface the others are undefined; interrupts come last. */
TEST(system_registers_are_enabled_first_and_groups_last)
{
	u32 first, last;

	assert_true(gic_init(&registers));
	core = 1;
	assert_true(gic_init_core());
	first = fake_record_find(0, "S3_4_C12_C9_5");
	assert_int_equal(first, 0);
	assert_int_equal(fake_record_find(first, "isb"), first + 1);
	last = fake_record_find(0, "S3_0_C12_C12_7");
	assert_true(fake_record_find(0, "S3_0_C4_C6_0") < last);
	assert_true(fake_record_find(0, "S3_0_C12_C12_4") < last);
	assert_int_equal(fake_record_find(last, "isb"), last + 1);
	assert_int_equal(interface_enable, 7);
	assert_int_equal(priority_mask, 0xff);
	assert_int_equal(control, 2); /* drop and deactivation apart */
	assert_int_equal(group_enable, 1);
}

TEST(a_core_without_frames_is_told_and_stays_off)
{
	describe(frame_of[0], mpidr_of[0], VLPIS | LAST); /* those behind are not looked at */
	assert_true(gic_init(&registers));
	core = 2;
	assert_false(gic_init_core());
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("expected a redistributor of core 301; it stays off"));
	core = 1;
	assert_true(gic_init_core());
}

TEST(frames_of_another_version_or_without_the_boot_core_are_refused)
{
	put(distributor + 0xffe8, 0x20);
	assert_false(gic_init(&registers));
	assert_true(fake_log_has("expected the distributor of GICv3 at 1"));
	put(distributor + 0xffe8, 0x40); /* GICv4 */
	describe(frame_of[0], 0x55, VLPIS);
	assert_false(gic_init(&registers));
	assert_true(fake_log_has("expected the boot core's redistributor of GICv3 at 2"));
	assert_int_equal(write_count, 0);
}

TEST(frames_are_mapped_up_to_the_last_that_is_there)
{
	describe(6, mpidr_of[2], LAST);
	assert_true(gic_init(&registers));
	assert_int_equal(mapped_end, 8 * FRAME);
	for (core = 0; core < CORES; core++)
		assert_true(gic_init_core());
}

/* By blocks: not by as many tables as single pages would take. */
TEST(frames_of_more_cores_than_weir_has_are_mapped_as_a_whole)
{
	struct gic_registers many = registers;

	many.redistributors_bytes = MANY_FRAMES * FRAME;
	for (u32 frame = 6; frame < MANY_FRAMES; frame += 2)
		describe(frame, 0x1000 + frame, 0);
	describe(MANY_FRAMES - 2, mpidr_of[2], LAST);
	assert_true(gic_init(&many));
	assert_int_equal(mapped_end, MANY_FRAMES * FRAME);
	for (core = 0; core < CORES; core++)
		assert_true(gic_init_core());
}

/* Nothing is looked at behind the end that the tree tells, whatever the last one says. */
TEST(frames_end_where_the_tree_says)
{
	describe(8, 0xff, 0);
	assert_true(gic_init(&registers));
	assert_int_equal(mapped_end, FRAMES * FRAME);
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

TEST(a_shared_interrupt_is_routed_to_the_affinity_of_its_core_before_it_is_enabled)
{
	gic_enable(SPI, 1, true);
	check_write(0, distributor + 0xc08, 0x20000);
	check_write(1, distributor + 0x6000 + 8 * SPI, 0x00020113);
	check_write(2, distributor + 0x6004 + 8 * SPI, 1);
	check_write(3, distributor + 0x104, BIT(SPI % 32));
	assert_int_equal(write_count, 4);
	gic_enable(SPI + 1, 2, true);
	gic_enable(SPI, 2, false);
	assert_int_equal(get(distributor + 0xc08), 0x80000);
	gic_route(SPI, 0);
	check_write(write_count - 2, distributor + 0x6000 + 8 * SPI, 0);
	check_write(write_count - 1, distributor + 0x6004 + 8 * SPI, 0);
}

TEST(private_interrupts_are_those_of_the_core_that_asks)
{
	for (core = 0; core < CORES; core++) {
		write_count = 0;
		gic_enable(PPI, core, false);
		assert_int_equal(write_count, 2);
		assert_ptr_equal(writes[0].at, sgi_frame(core) + 0xc04);
		assert_int_equal(writes[0].value >> 2 * (PPI - 16) & 3, 1); /* bit 0 is not ours */
		check_write(1, sgi_frame(core) + 0x100, BIT(PPI));
		gic_set_active(PPI, true);
		check_write(2, sgi_frame(core) + 0x300, BIT(PPI));
		assert_ptr_equal(last_read, writes[2].at); /* so it is done */
		gic_set_active(PPI, false);
		check_write(3, sgi_frame(core) + 0x380, BIT(PPI));
		assert_ptr_equal(last_read, writes[3].at);
	}
}

TEST(a_shared_interrupt_is_made_pending_and_that_is_done_on_return)
{
	gic_pend(SPI + 32);
	assert_int_equal(write_count, 1);
	check_write(0, distributor + 0x208, BIT((SPI + 32) % 32));
	assert_ptr_equal(last_read, writes[0].at);
}

TEST(acknowledge_drop_and_deactivate_are_three_registers)
{
	icc_iar = SPI;
	assert_int_equal(gic_acknowledge(), SPI);
	assert_true(gic_acknowledge() >= GIC_SPURIOUS);
	gic_drop(SPI);
	assert_int_equal(ended, SPI);
	assert_int_equal(deactivated, 0);
	gic_deactivate(SPI);
	assert_int_equal(deactivated, SPI);
	assert_int_equal(write_count, 0);
}

TEST(a_kick_names_its_core_by_all_affinities_after_what_was_left_for_it)
{
	u32 at;

	gic_kick(0);
	assert_int_equal(sgi, 0x0000000000000001);
	gic_kick(2);
	assert_int_equal(sgi, 0x0000000000030002);
	fake_record_reset();
	gic_kick(1);
	assert_int_equal(sgi, 0x0001100200010008);
	at = fake_record_find(0, "dsb ishst");
	assert_int_equal(fake_record_find(at, "S3_0_C12_C11_5"), at + 1);
	assert_int_equal(fake_record_find(at, "isb"), at + 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, affinity_routing_is_on_before_the_rest_and_forwarding_after_it),
		RUN_AFTER(prepare, what_firmware_left_of_the_shared_is_off_in_group_1_and_level),
		RUN_AFTER(prepare, the_last_interrupts_are_set_to_known_values_too),
		RUN_AFTER(prepare, each_core_wakes_its_own_frames_and_resets_what_is_private_there),
		RUN_AFTER(prepare, system_registers_are_enabled_first_and_groups_last),
		RUN_AFTER(prepare, a_core_without_frames_is_told_and_stays_off),
		RUN_AFTER(prepare, frames_of_another_version_or_without_the_boot_core_are_refused),
		RUN_AFTER(prepare, frames_are_mapped_up_to_the_last_that_is_there),
		RUN_AFTER(prepare, frames_of_more_cores_than_weir_has_are_mapped_as_a_whole),
		RUN_AFTER(prepare, frames_end_where_the_tree_says),
		RUN_AFTER(
			start,
			a_shared_interrupt_is_routed_to_the_affinity_of_its_core_before_it_is_enabled),
		RUN_AFTER(start, private_interrupts_are_those_of_the_core_that_asks),
		RUN_AFTER(start, a_shared_interrupt_is_made_pending_and_that_is_done_on_return),
		RUN_AFTER(start, acknowledge_drop_and_deactivate_are_three_registers),
		RUN_AFTER(start,
			  a_kick_names_its_core_by_all_affinities_after_what_was_left_for_it),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
