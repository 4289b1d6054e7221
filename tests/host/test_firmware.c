/*
 * What firmware must have done before Weir: interrupts of the GIC given to the non-secure world, the
 * timer's frequency told. The GIC is a model of a GIC-400 as non-secure software sees it (IHI 0048B 4.3).
 *
 * Sources: drivers/gic.c drivers/gic_v2.c drivers/gic_v3.c drivers/gic_distributor.c arch/arm64/timer.c core/base/log.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/log.c tests/host/fake/panic.c tests/host/fake/record.c
 */
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "arch/arm64/list_regs.h"
#include "arch/arm64/mmu.h"
#include "arch/arm64/sysreg.h"
#include "arch/arm64/timer.h"
#include "drivers/gic.h"
#include "drivers/registers.h"

#define LINES 64u

/* The frames: what is mapped is their address. */
static char distributor, interface, hypervisor, virtual;

static struct {
	u64 group1;	   /* what firmware gave away, by INTID */
	bool priority_low; /* its priority mask lets what is ours through */
	u64 enabled, pending, active;
	bool forwards, signals;
	u32 targets; /* what ITARGETSR0 reads: the core's bit, 0 on a machine with one */
	u32 drops, deactivations;
} gic;
static u64 frequency;

void *mmu_map_device(pa_t base, u64 bytes)
{
	static char *const frames[] = { &distributor, &interface, &hypervisor, &virtual };

	assert_true(bytes != 0);
	return frames[base.raw - 1];
}

bool cpu_probe(const void *address, u32 *value)
{
	(void)address;
	*value = 0x20020; /* version 2, as either frame says it */
	return true;
}

void cpu_wait(void)
{
}

void list_regs_init(u32 version, void *gich, bool loses_lines)
{
	(void)loses_lines;
	assert_int_equal(version, 2);
	assert_ptr_equal(gich, &hypervisor);
}

void list_regs_init_core(void)
{
}

static u64 deliverable(void)
{
	return gic.forwards && gic.signals && gic.priority_low ? gic.pending & gic.enabled : 0;
}

static u32 acknowledge(void)
{
	u64 ready = deliverable();
	u32 intid = ready ? (u32)__builtin_ctzl(ready) : 1023;

	if (ready) {
		gic.pending &= ~BIT(intid);
		gic.active |= BIT(intid);
	}
	return intid;
}

u32 register_read(const void *mapped, u32 offset)
{
	if (mapped == &interface)
		return offset == 0xc ? acknowledge() : 0;
	assert_ptr_equal(mapped, &distributor);
	switch (offset) {
	case 0x4: /* TYPER: with the Security Extensions */
		return 1 << 10 | (LINES / 32 - 1);
	case 0x800:
		return gic.targets * 0x01010101u;
	default: /* IGROUPR reads as zero */
		return 0;
	}
}

/* Of the interrupts that are the secure world's no bit can be changed. */
static void write_bits(u64 *bits, u32 offset, u32 first, u32 value, bool set)
{
	u64 mine = ((u64)value << (offset - first) * 8) & gic.group1;

	*bits = set ? *bits | mine : *bits & ~mine;
}

static void write_interface(u32 offset, u32 value)
{
	if (offset == 0x0)
		gic.signals = value & 1;
	if (offset == 0x10)
		gic.drops++;
	if (offset == 0x1000) {
		assert_true(gic.active & BIT(value));
		gic.active &= ~BIT(value);
		gic.deactivations++;
	}
}

void register_write(void *mapped, u32 offset, u32 value)
{
	if (mapped == &interface) {
		write_interface(offset, value);
		return;
	}
	assert_ptr_equal(mapped, &distributor);
	if (offset == 0x0)
		gic.forwards = value & 1;
	else if (offset >= 0x100 && offset < 0x108)
		write_bits(&gic.enabled, offset, 0x100, value, true);
	else if (offset >= 0x180 && offset < 0x188)
		write_bits(&gic.enabled, offset, 0x180, value, false);
	else if (offset == 0xf00 && value >> 16 & 0xff & max(gic.targets, 1u))
		write_bits(&gic.pending, 0, 0, (u32)BIT(value & 0xf), true);
}

u64 fake_sysreg_read(const char *name)
{
	if (!strcmp(name, "cntfrq_el0"))
		return frequency;
	assert_string_equal(name, "isr_el1");
	return deliverable() ? BIT(7) : 0;
}

void fake_sysreg_write(const char *name, u64 value)
{
	fail_msg("%s was written, with %lx", name, value);
}

static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	memset(&gic, 0, sizeof(gic));
	gic.group1 = UINT64_MAX;
	gic.priority_low = true;
	gic.targets = 1;
	return 0;
}

static bool start(void)
{
	static const struct gic_registers registers = { .version = 2,
							.distributor = { 1 },
							.cpu_interface = { 2 },
							.hypervisor = { 3 },
							.virtual_interface = { 4 } };

	assert_true(gic_init(&registers));
	return gic_init_core();
}

TEST(gic_whose_interrupts_are_ours_says_nothing_and_has_nothing_left)
{
	assert_true(start());
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(gic.pending | gic.active, 0);
	assert_int_equal(gic.drops, 1);
	assert_int_equal(gic.deactivations, 1);
}

TEST(gic_of_a_machine_with_one_core_has_no_targets_and_delivers)
{
	gic.targets = 0;
	assert_true(start());
	assert_int_equal(fake_log_count(), 0);
}

static void check_refused(void)
{
	assert_false(start());
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("enable_gic=1 in config.txt"));
	assert_int_equal(gic.deactivations, 0);
}

TEST(interrupts_left_in_group_0_are_found_out_and_the_remedy_is_named)
{
	gic.group1 = 0;
	check_refused();
}

TEST(sgis_alone_left_in_group_0_are_found_out)
{
	gic.group1 = ~0xfffful;
	check_refused();
}

TEST(priority_mask_of_the_secure_world_is_found_out)
{
	gic.priority_low = false;
	check_refused();
}

TEST(timer_frequency_is_what_the_register_says)
{
	frequency = 62500000;
	timer_init(0);
	assert_int_equal(timer_frequency(), 62500000);
	timer_init(62500000);
	assert_int_equal(timer_from_us(3000000), 187500000);
	assert_int_equal(fake_log_count(), 0);
}

TEST(timer_frequency_of_the_tree_goes_before_the_register_with_a_line)
{
	frequency = 19200000;
	timer_init(54000000);
	assert_int_equal(timer_frequency(), 54000000);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("54000000 Hz is taken, for CNTFRQ_EL0 says 19200000"));
}

TEST(timer_frequency_that_nobody_tells_is_a_guess_with_a_line)
{
	frequency = 0;
	timer_init(0);
	assert_int_equal(timer_from_us(1000), 54000);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("54000000 Hz is a guess, for CNTFRQ_EL0 says 0"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, gic_whose_interrupts_are_ours_says_nothing_and_has_nothing_left),
		RUN_AFTER(prepare, gic_of_a_machine_with_one_core_has_no_targets_and_delivers),
		RUN_AFTER(prepare,
			  interrupts_left_in_group_0_are_found_out_and_the_remedy_is_named),
		RUN_AFTER(prepare, sgis_alone_left_in_group_0_are_found_out),
		RUN_AFTER(prepare, priority_mask_of_the_secure_world_is_found_out),
		RUN_AFTER(prepare, timer_frequency_is_what_the_register_says),
		RUN_AFTER(prepare,
			  timer_frequency_of_the_tree_goes_before_the_register_with_a_line),
		RUN_AFTER(prepare, timer_frequency_that_nobody_tells_is_a_guess_with_a_line),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
