/*
 * The virtual interrupt controller: registers, list registers as a cache, the virtual timer,
 * several vCPUs, both versions. tests/host/test_vgic_random.c compares it with a slow model.
 *
 * Sources: core/vdev/vgic.c core/vdev/vgic_lists.c core/vdev/vgic_registers.c
 * Sources: core/vdev/vgic_v2.c core/vdev/vgic_v3.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "fake.h"
#include "list_regs.h"
#include "core/sched.h"
#include "core/vm.h"
#include "drivers/gic.h"

#include <string.h>

#define VCPUS		3u
#define EDGE_PPI	20u
#define TIMER		27u
#define SPI		40u
#define GICR(n, offset) ((n)*VM_GICR_STRIDE + 0x10000u + (offset))

static struct vm vm;
static struct vcpu vcpus[VCPUS];

/* From now on this vCPU's core executes, and its guest runs there (or is about to). */
static void on(u32 n)
{
	fake_cpu_set_index(n);
	fake_sched_set_current(vcpus[n].vgic.loaded ? &vcpus[n] : 0);
}

static struct mmio last;

static bool try_access(bool gicr, u64 offset, u32 bytes, bool write, u64 value)
{
	struct vcpu *self = sched_current();

	last = (struct mmio){ .offset = offset, .bytes = bytes, .write = write, .value = value };
	return gicr ? vgic_mmio_redistributor(self, &last) : vgic_mmio_distributor(self, &last);
}

static void gicd_write(u64 offset, u64 value)
{
	assert_true(try_access(false, offset, 4, true, value));
}

static u32 gicd_read(u64 offset)
{
	assert_true(try_access(false, offset, 4, false, 0));
	return (u32)last.value;
}

static void gicr_write(u64 offset, u64 value)
{
	assert_true(try_access(true, offset, 4, true, value));
}

static u32 gicr_read(u64 offset)
{
	assert_true(try_access(true, offset, 4, false, 0));
	return (u32)last.value;
}

/* SGIs and PPIs of this vCPU are in the distributor (v2) or its redistributor (v3). */
static void own_write(u64 offset, u64 value)
{
	if (vm.vgic.version == 2)
		gicd_write(offset, value);
	else
		gicr_write(GICR(sched_current()->index, offset), value);
}

static void set_priority(u32 intid, u8 priority)
{
	bool gicr = intid < 32 && vm.vgic.version == 3;
	u64 offset = gicr ? GICR(sched_current()->index, 0x400 + intid) : 0x400 + intid;

	assert_true(try_access(gicr, offset, 1, true, priority));
}

/* Loads it on this core, whatever that remembers of earlier tests: the timer is not active. */
static void forget_timer(struct vcpu *vcpu)
{
	vgic_load(vcpu);
	if (!fake_timer_active())
		fake_timer_activate();
	vgic_timer_fired(vcpu);
	vgic_save(vcpu);
	vcpu->vgic.private.line = 0;
	vgic_load(vcpu);
	assert_false(fake_timer_active());
}

/* Every vCPU runs on a core of its own with its interfaces open; the test speaks for vCPU 0. */
static void start(u32 version, u32 count)
{
	fake_sched_reset();
	fake_list_regs_reset(version);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = true });
	memset(&vm, 0, sizeof(vm));
	memset(vcpus, 0, sizeof(vcpus));
	vm.vcpu_count = count;
	for (u32 i = 0; i < count; i++) {
		vm.vcpu[i] = &vcpus[i];
		vcpus[i].vm = &vm;
		vcpus[i].index = vcpus[i].core = i;
	}
	vgic_init(&vm);
	for (u32 i = 0; i < count; i++) {
		fake_cpu_set_index(i);
		forget_timer(&vcpus[i]);
		on(i);
		fake_interface_set(0xff, true, true);
		own_write(0x100, 0xffffffff);
		if (version == 3)
			own_write(0x080, 0xffffffff);
	}
	on(0);
	gicd_write(0, 3);
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++) {
		gicd_write(0x100 + 4 * b, 0xffffffff);
		gicd_write(0xc00 + 8 * b, 0xaaaaaaaa);
		gicd_write(0xc04 + 8 * b, 0xaaaaaaaa);
		if (version == 3)
			gicd_write(0x080 + 4 * b, 0xffffffff);
		for (u32 i = 0; version == 2 && i < 8; i++)
			gicd_write(0x800 + 32 * b + 4 * i, 0x01010101);
	}
	fake_sched_reset();
	on(0);
}

static void make_level(u32 intid)
{
	gicd_write(0xc00 + intid / 16 * 4, 0xaaaaaaaa & ~(2u << intid % 16 * 2));
}

/* Acknowledges and ends this one, which must be the next. */
static void expect(u32 intid)
{
	assert_int_equal(fake_acknowledge(), intid);
	fake_end(intid);
	if (fake_maintenance())
		vgic_sync(sched_current());
}

static void expect_nothing(void)
{
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS);
	assert_false(fake_maintenance());
}

/* --- One interrupt -------------------------------------------------------------------------- */

TEST(pended_ppi_is_delivered_once)
{
	start(3, 1);
	vgic_pend(&vcpus[0], EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	vgic_sync(&vcpus[0]);
	expect_nothing();
}

TEST(edge_while_active_is_delivered_after_the_end)
{
	start(3, 1);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS);
	fake_end(EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
}

TEST(disabled_interrupt_waits_and_is_delivered_when_enabled)
{
	start(3, 1);
	gicr_write(GICR(0, 0x180), 1u << EDGE_PPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect_nothing();
	assert_int_equal(gicr_read(GICR(0, 0x200)), 1u << EDGE_PPI);
	gicr_write(GICR(0, 0x100), 1u << EDGE_PPI);
	expect(EDGE_PPI);
}

TEST(disabling_takes_a_pending_one_out_of_its_list_register)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_true(fake_listed(SPI));
	gicd_write(0x180 + 4, 1u << (SPI - 32));
	assert_false(fake_listed(SPI));
	expect_nothing();
	gicd_write(0x100 + 4, 1u << (SPI - 32));
	expect(SPI);
	expect_nothing();
}

TEST(cleared_pending_is_not_delivered)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	gicd_write(0x280 + 4, 1u << (SPI - 32));
	expect_nothing();
	assert_int_equal(gicd_read(0x200 + 4), 0);
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x280 + 4), 1u << (SPI - 32));
	expect(SPI);
}

TEST(level_comes_again_until_the_line_falls)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI, false);
	fake_end(SPI);
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	expect_nothing();
}

TEST(level_that_falls_unseen_is_taken_back)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI, false);
	expect_nothing();
}

TEST(level_pended_by_software_is_delivered_once_though_the_line_falls)
{
	start(3, 1);
	make_level(SPI);
	vgic_set_line(&vm, SPI, true);
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	vgic_set_line(&vm, SPI, false);
	expect(SPI);
	expect_nothing();
}

TEST(edge_line_that_stays_up_is_one_interrupt)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
	expect_nothing();
}

TEST(active_state_is_read_set_and_cleared)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_int_equal(gicd_read(0x300 + 4), 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x200 + 4), 0);
	assert_int_equal(fake_list_regs_used(), 1); /* back in, so that its end is seen */
	gicd_write(0x380 + 4, 1u << (SPI - 32));
	assert_int_equal(gicd_read(0x380 + 4), 0);
	fake_drop();
	gicd_write(0x300 + 4, 1u << (SPI - 32));
	gicd_write(0x200 + 4, 1u << (SPI - 32));
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS); /* pending, but active */
	fake_deactivate(SPI);
	expect(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(two_step_end_keeps_it_active_until_deactivated)
{
	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	fake_drop();
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	fake_deactivate(SPI);
	expect(SPI);
}

TEST(groups_are_forwarded_as_the_distributor_says)
{
	start(3, 1);
	gicd_write(0, 1);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	gicd_write(0, 2);
	assert_true(fake_listed(SPI));
	gicd_write(0, 1);
	assert_false(fake_listed(SPI));
	gicd_write(0x080 + 4, 0);
	assert_true(fake_listed(SPI));
	expect(SPI);
}

/* --- More than list registers --------------------------------------------------------------- */

TEST(more_pending_than_list_registers_all_arrive_in_order)
{
	start(3, 1);
	for (u32 i = 0; i < 12; i++) {
		set_priority(SPI + i, (u8)(8 * (12 - i)));
		vgic_set_line(&vm, SPI + i, true);
	}
	for (u32 i = 12; i-- > 0;)
		expect(SPI + i);
	expect_nothing();
}

/* Some priority, and some vCPU, of each interrupt. */
static u8 scattered(u32 intid)
{
	return (u8)(intid * 2654435761u >> 24 & 0xf8);
}

static u32 scattered_vcpu(u32 intid)
{
	return (intid * 40503u >> 4) % VCPUS;
}

/* The vCPU takes its SPIs, all that are pending, in their order. */
static void expect_all_of(u32 vcpu)
{
	u32 last_key = 0, count = 0;

	on(vcpu);
	vgic_sync(&vcpus[vcpu]);
	for (u32 intid; (intid = fake_acknowledge()) != FAKE_SPURIOUS; count++) {
		u32 key = (u32)scattered(intid) << 10 | intid;

		assert_int_equal(scattered_vcpu(intid), vcpu);
		assert_true(key > last_key);
		last_key = key;
		fake_end(intid);
		if (fake_maintenance())
			vgic_sync(&vcpus[vcpu]);
	}
	for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++)
		count -= scattered_vcpu(intid) == vcpu;
	assert_int_equal(count, 0);
	vgic_sync(&vcpus[vcpu]); /* what is in an ended one's list register is seen here only */
}

TEST(all_pending_at_once_come_by_priority_and_number_where_they_are_routed)
{
	for (u32 version = 2; version <= 3; version++) {
		start(version, VCPUS);
		for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++) {
			u32 vcpu = scattered_vcpu(intid);

			set_priority(intid, scattered(intid));
			if (version == 3)
				assert_true(try_access(false, 0x6000 + 8 * intid, 8, true, vcpu));
			else
				assert_true(try_access(false, 0x800 + intid, 1, true, 1u << vcpu));
		}
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			gicd_write(0x200 + 4 * b, 0xffffffff);
		for (u32 i = 0; i < VCPUS; i++)
			expect_all_of(i);
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			assert_int_equal(gicd_read(0x200 + 4 * b), 0);
	}
}

TEST(all_active_at_once_can_all_be_ended)
{
	start(3, VCPUS);
	for (u32 intid = 32; intid < 32 + 32 * VGIC_SPI_BANKS; intid++) {
		set_priority(intid, scattered(intid));
		assert_true(try_access(false, 0x6000 + 8 * intid, 8, true, scattered_vcpu(intid)));
	}
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
		gicd_write(0x300 + 4 * b, 0xffffffff);
	/* Another vCPU's are left alone, and what is ended may come again. */
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
		gicd_write(0x380 + 4 * b, 0x0000ffff);
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++) {
		gicd_write(0x200 + 4 * b, 0x0000ffff);
		for (u32 n = 16; n < 32; n++) {
			u32 intid = 32 * b + n;

			on(scattered_vcpu(intid));
			gicd_write(0x380 + 4 * b, 1u << n);
			on(0);
		}
	}
	for (u32 i = 0; i < VCPUS; i++) {
		on(i);
		vgic_sync(&vcpus[i]);
		for (u32 intid; (intid = fake_acknowledge()) != FAKE_SPURIOUS;) {
			assert_int_equal(scattered_vcpu(intid), i);
			assert_true(intid % 32 < 16);
			fake_end(intid);
			if (fake_maintenance())
				vgic_sync(&vcpus[i]);
		}
		vgic_sync(&vcpus[i]);
		for (u32 b = 1; b <= VGIC_SPI_BANKS; b++)
			assert_int_equal(vm.vgic.spi[b - 1].owned[i], 0);
	}
	for (u32 b = 1; b <= VGIC_SPI_BANKS; b++) {
		assert_int_equal(gicd_read(0x300 + 4 * b), 0);
		assert_int_equal(gicd_read(0x200 + 4 * b), 0);
	}
}

/* To choose is long: whoever makes it necessary leaves it to the scheduler, once. */
TEST(more_than_fit_are_chosen_from_when_the_vcpu_is_settled)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++)
		set_priority(SPI + i, (u8)(8 * (12 - i)));
	fake_sched_again();
	gicd_write(0x200 + 4, 0xffu << (SPI - 32));
	gicd_write(0x200 + 4, 0xffu << (SPI - 32));
	assert_true(fake_sched_again());
	vgic_settle(&vcpus[0]);
	assert_false(fake_sched_again());
	for (u32 i = 0; i < 4; i++)
		assert_true(fake_listed(SPI + 7 - i));
	/* A maintenance interrupt that finds that all fit asks for nothing. */
	for (u32 i = 8; i-- > 4;) {
		assert_int_equal(fake_acknowledge(), SPI + i);
		fake_end(SPI + i);
	}
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	assert_false(fake_sched_again());
	for (u32 i = 4; i-- > 0;)
		expect(SPI + i);
	expect_nothing();
}

TEST(more_urgent_one_evicts_a_pending_one)
{
	start(3, 1);
	for (u32 i = 0; i < 4; i++) {
		set_priority(SPI + i, 0x80);
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(EDGE_PPI, 0x40);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	for (u32 i = 0; i < 4; i++)
		expect(SPI + i);
	expect_nothing();
}

TEST(raising_a_priority_reorders_what_is_listed)
{
	start(3, 1);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, (u8)(0x80 + 8 * i));
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(SPI + 5, 0x10);
	expect(SPI + 5);
	expect(SPI);
}

TEST(nesting_deeper_than_list_registers_ends_right)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++) {
		set_priority(SPI + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		vgic_set_line(&vm, SPI + i, false);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_int_equal(fake_acknowledge(), SPI + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
	}
	for (u32 i = 8; i-- > 0;) {
		fake_end(SPI + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_int_equal(gicd_read(0x300 + 4), ((1u << i) - 1) << (SPI - 32));
	}
	/* Each of them can come again. */
	for (u32 i = 0; i < 8; i++)
		vgic_set_line(&vm, SPI + i, true);
	for (u32 i = 8; i-- > 0;)
		expect(SPI + i);
}

TEST(ends_of_active_ones_without_list_register_are_counted)
{
	start(3, 1);
	for (u32 i = 0; i < 8; i++) {
		set_priority(i < 2 ? EDGE_PPI - i : SPI + i, (u8)(0x80 - 8 * i));
		if (i < 2)
			vgic_pend(&vcpus[0], EDGE_PPI - i);
		else
			vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), i < 2 ? EDGE_PPI - i : SPI + i);
	}
	for (u32 i = 8; i-- > 0;)
		fake_end(i < 2 ? EDGE_PPI - i : SPI + i); /* all before the interrupt is taken */
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	assert_int_equal(gicr_read(GICR(0, 0x300)), 0);
	assert_int_equal(fake_list_regs_used(), 0);
	assert_false(fake_maintenance());
}

TEST(only_as_many_as_were_ended_become_inactive_most_urgent_first)
{
	start(3, 1);
	for (u32 i = 7; i-- > 0;) {
		set_priority(SPI + i, (u8)(0x40 + 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), SPI + i);
	}
	/* Those of the least priority have no list register. */
	for (u32 i = 0; i < 5; i++)
		fake_end(SPI + i);
	assert_true(fake_maintenance());
	assert_int_equal(gicd_read(0x300 + 4), 0x60u << (SPI - 32));
	assert_int_equal(gicd_read(0x300 + 4), 0x60u << (SPI - 32));
	fake_end(SPI + 5);
	fake_end(SPI + 6);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	expect_nothing();
}

TEST(closed_group_does_not_block_the_open_one)
{
	start(3, 1);
	gicd_write(0x080 + 4, ~(0x3fu << (SPI - 32)));
	fake_interface_set(0xff, false, true);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, 0x10);
		vgic_set_line(&vm, SPI + i, true);
	}
	set_priority(SPI + 6, 0x80);
	vgic_set_line(&vm, SPI + 6, true);
	expect(SPI + 6);
	fake_interface_set(0xff, true, true);
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	for (u32 i = 0; i < 6; i++)
		expect(SPI + i);
	expect_nothing();
}

/* --- The virtual timer ---------------------------------------------------------------------- */

static void timer_interrupt(void)
{
	fake_timer_activate();
	vgic_timer_fired(sched_current());
}

TEST(timer_is_deactivated_physically_by_the_guests_end)
{
	u32 changes;

	start(3, 1);
	changes = fake_timer_changes();
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	assert_true(fake_timer_active());
	fake_end(TIMER);
	assert_false(fake_timer_active());
	vgic_sync(&vcpus[0]);
	expect_nothing(); /* it comes again physically, or not at all */
	timer_interrupt();
	expect(TIMER);
	assert_int_equal(fake_timer_changes(), changes);
}

/* As it is with QEMU's GICv2: the end is told, and what is still up comes again. */
TEST(timer_is_deactivated_for_the_guest_where_its_end_would_lose_the_line)
{
	start(2, 1);
	fake_list_regs_lose_lines();
	for (u32 i = 0; i < 3; i++) {
		timer_interrupt();
		assert_int_equal(fake_acknowledge(), TIMER);
		fake_end(TIMER);
		assert_true(fake_timer_active());
		assert_true(fake_maintenance());
		vgic_sync(&vcpus[0]);
		assert_false(fake_timer_active());
		assert_false(fake_maintenance());
		expect_nothing();
	}
}

/* ---- SPIs of the machine ---- */

/* The VM has SPI 40, and its guest has enabled it. */
static void start_device(u32 version, u32 count)
{
	start(version, count);
	vgic_hardware_set(&vm, SPI, true);
	assert_false(fake_spi_enabled(SPI));
	gicd_write(0x184, 1u << (SPI - 32));
	gicd_write(0x104, 1u << (SPI - 32));
	assert_true(fake_spi_enabled(SPI));
}

static void device_interrupt(void)
{
	fake_spi_line(SPI, true);
	assert_true(fake_spi_arrives(SPI));
	vgic_hardware_came(&vm, SPI);
	assert_false(fake_spi_arrives(SPI));
}

TEST(device_spi_is_enabled_and_disabled_where_it_comes_from)
{
	start_device(3, 1);
	gicd_write(0x184, 1u << (SPI - 32));
	assert_false(fake_spi_enabled(SPI));
	gicd_write(0x104, ~0u);
	assert_true(fake_spi_enabled(SPI));
	assert_false(fake_spi_enabled(SPI + 1)); /* that is another VM's, or nobody's */
}

TEST(device_spi_is_ended_by_its_guest_and_comes_again)
{
	for (u32 version = 2; version <= 3; version++) {
		for (u32 edge = 0; edge < 2; edge++) {
			start_device(version, 1);
			if (!edge)
				make_level(SPI);
			for (u32 i = 0; i < 5; i++) {
				device_interrupt();
				assert_int_equal(fake_acknowledge(), SPI);
				assert_true(fake_spi_active(SPI));
				fake_end(SPI);
				assert_false(fake_maintenance());
				assert_false(fake_spi_active(SPI));
				expect_nothing();
			}
		}
	}
}

/* Pending again by the guest's own write while it handles the first: that is not lost. */
TEST(device_spi_that_its_guest_pends_while_it_is_active_comes_again)
{
	for (u32 version = 2; version <= 3; version++) {
		start_device(version, 1);
		device_interrupt();
		assert_int_equal(fake_acknowledge(), SPI);
		gicd_write(0x204, 1u << (SPI - 32));
		fake_end(SPI);
		while (fake_maintenance())
			vgic_sync(&vcpus[0]);
		expect(SPI);
		while (fake_maintenance())
			vgic_sync(&vcpus[0]);
		assert_false(fake_spi_active(SPI));
		expect_nothing();
		device_interrupt();
		expect(SPI);
	}
}

TEST(device_spi_is_deactivated_for_the_guest_where_its_end_would_lose_the_line)
{
	start_device(2, 1);
	fake_list_regs_lose_lines();
	for (u32 i = 0; i < 5; i++) {
		device_interrupt();
		assert_int_equal(fake_acknowledge(), SPI);
		fake_end(SPI);
		assert_true(fake_spi_active(SPI));
		assert_true(fake_maintenance());
		vgic_sync(&vcpus[0]);
		assert_false(fake_spi_active(SPI));
		assert_false(fake_maintenance());
		expect_nothing();
	}
}

TEST(device_spi_follows_its_vcpu_from_core_to_core)
{
	for (u32 active = 0; active < 2; active++) {
		start_device(3, 2);
		device_interrupt();
		if (active)
			assert_int_equal(fake_acknowledge(), SPI);
		vgic_save(&vcpus[0]);
		assert_true(fake_spi_active(SPI));
		fake_cpu_set_index(1);
		vgic_save(&vcpus[1]);
		vgic_load(&vcpus[0]);
		fake_sched_set_current(&vcpus[0]);
		if (!active)
			assert_int_equal(fake_acknowledge(), SPI);
		assert_true(fake_spi_active(SPI));
		fake_end(SPI);
		assert_false(fake_spi_active(SPI));
		expect_nothing();
	}
}

/* On another core than its vCPU's: that one is kicked, and the next one goes there. */
TEST(device_spi_goes_to_the_core_of_the_vcpu_that_it_is_routed_to)
{
	start_device(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	device_interrupt();
	assert_int_equal(fake_spi_core(SPI), 1);
	expect_nothing();
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	expect(SPI);
	expect_nothing();
}

TEST(device_spi_that_the_guest_clears_is_deactivated)
{
	start_device(3, 1);
	gicd_write(0x000, 0); /* not forwarded */
	device_interrupt();
	gicd_write(0x284, 1u << (SPI - 32));
	assert_false(fake_spi_active(SPI));
	gicd_write(0x000, 3);
	expect_nothing();
	device_interrupt(); /* it is listed now */
	gicd_write(0x284, 1u << (SPI - 32));
	expect_nothing();
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	gicd_write(0x384, 1u << (SPI - 32));
	assert_int_equal(fake_next(), FAKE_SPURIOUS);
	assert_false(fake_spi_active(SPI));
}

/* When the guest ends it no list register is left for it. */
TEST(device_spi_whose_end_no_list_register_sees_is_deactivated)
{
	start_device(3, 1);
	set_priority(SPI, 0xf0);
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	for (u32 i = 0; i < 5; i++) {
		set_priority(SPI + 1 + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + 1 + i, true);
		assert_int_equal(fake_acknowledge(), SPI + 1 + i);
	}
	assert_true(fake_spi_active(SPI));
	for (u32 i = 5; i--;) {
		fake_end(SPI + 1 + i);
		if (fake_maintenance())
			vgic_sync(&vcpus[0]);
	}
	fake_end(SPI);
	vgic_sync(&vcpus[0]);
	assert_false(vgic_pending(&vcpus[0]));
	assert_false(fake_spi_active(SPI));
	device_interrupt();
	expect(SPI);
}

TEST(device_spi_that_software_pends_has_nothing_to_deactivate)
{
	start_device(2, 1);
	gicd_write(0x204, 1u << (SPI - 32));
	expect(SPI);
	expect_nothing();
	device_interrupt();
	gicd_write(0x204, 1u << (SPI - 32)); /* once more, before it is acknowledged */
	assert_int_equal(fake_acknowledge(), SPI);
	fake_end(SPI);
	vgic_sync(&vcpus[0]);
	assert_false(fake_spi_active(SPI));
}

TEST(device_spi_is_clean_when_it_is_taken_from_the_vm)
{
	start_device(3, 1);
	device_interrupt();
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_save(&vcpus[0]);
	vgic_hardware_set(&vm, SPI, false);
	assert_false(fake_spi_enabled(SPI));
	assert_false(fake_spi_active(SPI));
	/* It was on the way already. */
	gic_set(GIC_ENABLE, SPI);
	assert_true(fake_spi_arrives(SPI));
	vgic_hardware_came(&vm, SPI);
	assert_false(fake_spi_active(SPI));
	/* The next life. */
	start_device(3, 1);
	expect_nothing();
	device_interrupt();
	expect(SPI);
}

TEST(timer_state_is_switched_with_the_vcpu)
{
	start(3, 2);
	vcpus[1].core = 0;
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	vgic_save(&vcpus[0]);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	fake_cpu_set_index(0);
	vgic_load(&vcpus[1]);
	assert_false(fake_timer_active()); /* the other one's timer can come */
	vgic_save(&vcpus[1]);
	vgic_load(&vcpus[0]);
	assert_true(fake_timer_active());
	on(0);
	fake_end(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_of_a_waiting_vcpu_wakes_it_and_is_there_at_load)
{
	start(3, 1);
	vgic_save(&vcpus[0]);
	on(0);
	vgic_timer_fired(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_WAKE, &vcpus[0]), 1);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_load(&vcpus[0]);
	on(0);
	assert_true(fake_timer_active());
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_that_the_guest_does_not_want_wakes_nobody)
{
	start(3, 1);
	gicr_write(GICR(0, 0x180), 1u << TIMER);
	vgic_save(&vcpus[0]);
	on(0);
	vgic_timer_fired(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_WAKE, 0), 0);
	assert_false(vgic_pending(&vcpus[0]));
}

TEST(timer_line_that_fell_while_waiting_is_forgotten)
{
	start(3, 1);
	timer_interrupt();
	vgic_save(&vcpus[0]);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	vgic_load(&vcpus[0]);
	assert_false(fake_timer_active());
	expect_nothing();
}

TEST(disabled_timer_leaves_its_list_register_and_can_come_again)
{
	start(3, 1);
	timer_interrupt();
	gicr_write(GICR(0, 0x180), 1u << TIMER);
	expect_nothing();
	assert_int_equal(gicr_read(GICR(0, 0x200)), 1u << TIMER);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	assert_int_equal(gicr_read(GICR(0, 0x200)), 0);
	assert_false(fake_timer_active());
	gicr_write(GICR(0, 0x100), 1u << TIMER);
	expect_nothing();
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = true });
	timer_interrupt();
	expect(TIMER);
}

TEST(timer_pended_by_software_is_no_hardware_one)
{
	start(3, 1);
	gicr_write(GICR(0, 0x200), 1u << TIMER);
	assert_int_equal(fake_acknowledge(), TIMER);
	timer_interrupt();
	fake_end(TIMER);
	assert_true(fake_timer_active());
	assert_true(fake_maintenance());
	vgic_sync(&vcpus[0]);
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_line_is_looked_at_after_a_software_pended_one_though_another_came_first)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x40);
	set_priority(TIMER, 0x80);
	gicr_write(GICR(0, 0x200), 1u << TIMER);
	assert_int_equal(fake_acknowledge(), TIMER);
	timer_interrupt();
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	fake_end(EDGE_PPI);
	fake_end(TIMER);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	expect(TIMER);
	assert_false(fake_timer_active());
}

TEST(timer_made_inactive_by_the_guest_still_comes)
{
	start(3, 1);
	timer_interrupt();
	assert_int_equal(fake_acknowledge(), TIMER);
	gicr_write(GICR(0, 0x380), 1u << TIMER);
	fake_drop();
	expect(TIMER);
	assert_false(fake_timer_active());
}

/* --- Several vCPUs -------------------------------------------------------------------------- */

TEST(pend_for_another_core_kicks_once_and_is_drained_there)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	vgic_pend(&vcpus[1], EDGE_PPI - 1);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(EDGE_PPI - 1);
	expect(EDGE_PPI);
}

TEST(cleared_before_it_was_drained_is_not_delivered)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	gicr_write(GICR(1, 0x280), 1u << EDGE_PPI);
	on(1);
	vgic_sync(&vcpus[1]);
	expect_nothing();
}

TEST(state_set_by_another_vcpu_counts_before_its_kick_arrives)
{
	start(3, 2);
	on(1);
	gicr_write(GICR(0, 0x200), 1u << EDGE_PPI);
	on(0);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
	vgic_sync(&vcpus[0]);
	expect_nothing();
	on(1);
	gicr_write(GICR(0, 0x300), 1u << EDGE_PPI);
	on(0);
	vgic_pend(&vcpus[0], EDGE_PPI);
	expect_nothing();
	fake_deactivate(EDGE_PPI);
	expect(EDGE_PPI);
	expect_nothing();
}

TEST(spi_made_active_is_active_where_it_is_routed)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	gicd_write(0x300 + 4, 1u << (SPI - 32));
	vgic_sync(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	on(1);
	vgic_sync(&vcpus[1]);
	assert_true(fake_listed(SPI));
	fake_deactivate(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(waiting_vcpu_sees_its_inbox)
{
	start(3, 2);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_save(&vcpus[0]);
	on(0);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 1);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_load(&vcpus[0]);
	on(0);
	expect(EDGE_PPI);
}

TEST(ended_ones_that_had_no_list_register_may_wake)
{
	start(3, 1);
	for (u32 i = 0; i < 6; i++) {
		set_priority(SPI + i, (u8)(0x80 - 8 * i));
		vgic_set_line(&vm, SPI + i, true);
		assert_int_equal(fake_acknowledge(), SPI + i);
	}
	/* One without a list register comes again. */
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	for (u32 i = 6; i-- > 0;)
		fake_end(SPI + i);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	expect(SPI);
}

TEST(what_another_vcpu_deactivated_here_may_wake)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	fake_drop();
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_sync(&vcpus[0]);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	on(1);
	gicd_write(0x380 + 4, 1u << (SPI - 32));
	on(0);
	assert_true(vgic_pending(&vcpus[0]));
	vgic_settle(&vcpus[0]);
	expect(SPI);
}

TEST(masked_or_less_urgent_than_what_runs_does_not_wake)
{
	start(3, 1);
	set_priority(EDGE_PPI, 0x80);
	fake_interface_set(0x80, true, true);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_false(vgic_pending(&vcpus[0]));
	fake_interface_set(0x88, true, false);
	assert_false(vgic_pending(&vcpus[0]));
	fake_interface_set(0x88, true, true);
	assert_true(vgic_pending(&vcpus[0]));
	set_priority(SPI, 0x40);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_false(vgic_pending(&vcpus[0]));
	vgic_save(&vcpus[0]);
	on(0);
	assert_false(vgic_pending(&vcpus[0]));
}

TEST(spi_follows_its_route)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, false, 0));
	assert_int_equal(last.value, 1);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	vgic_sync(&vcpus[0]);
	assert_false(fake_listed(SPI));
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(spi_routed_away_while_listed_moves)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_true(fake_listed(SPI));
	on(1);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 1);
	on(0);
	vgic_sync(&vcpus[0]);
	assert_false(fake_listed(SPI));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(active_spi_stays_where_it_is_when_routed_away)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 1));
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	vgic_sync(&vcpus[0]);
	fake_end(SPI); /* pending and active here: it may be taken here once more */
	vgic_save(&vcpus[0]);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
}

TEST(spi_routed_to_nobody_waits)
{
	start(3, 2);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0x10000));
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 0));
	expect(SPI);
}

TEST(another_vcpu_may_clear_and_deactivate_what_is_listed_here)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	vgic_set_line(&vm, SPI + 1, true);
	set_priority(SPI + 1, 0);
	set_priority(SPI, 8);
	assert_int_equal(fake_acknowledge(), SPI + 1);
	on(1);
	gicd_write(0x280 + 4, 1u << (SPI - 32));
	gicd_write(0x380 + 4, 2u << (SPI - 32));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[0]), 2);
	assert_int_equal(gicd_read(0x200 + 4) & 1u << (SPI - 32), 0);
	on(0);
	vgic_sync(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	assert_int_equal(gicd_read(0x300 + 4), 0);
}

TEST(saved_vcpu_keeps_nothing_in_the_hardware_and_gets_it_back)
{
	start(3, 1);
	set_priority(SPI + 1, 0x40);
	set_priority(SPI, 0x80);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_acknowledge(), SPI);
	vgic_set_line(&vm, SPI + 1, true);
	vgic_save(&vcpus[0]);
	assert_int_equal(fake_list_regs_used(), 0);
	vgic_load(&vcpus[0]);
	expect(SPI + 1);
	fake_end(SPI);
	assert_int_equal(gicd_read(0x300 + 4), 0);
	expect_nothing();
}

TEST(reset_for_a_start_forgets_the_configuration_but_no_interrupt)
{
	start(3, 2);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	on(0);
	vgic_pend(&vcpus[1], EDGE_PPI);
	vgic_vcpu_reset(&vcpus[1]);
	assert_int_equal(gicr_read(GICR(1, 0x100)), 0);
	fake_cpu_set_index(1);
	vgic_load(&vcpus[1]);
	on(1);
	fake_interface_set(0xff, true, true);
	expect_nothing();
	gicr_write(GICR(1, 0x080), ~0u);
	gicr_write(GICR(1, 0x100), ~0u);
	expect(EDGE_PPI);
}

/* --- SGIs ----------------------------------------------------------------------------------- */

TEST(sgi1r_reaches_the_list_or_all_others)
{
	start(3, 3);
	vgic_sgi1r(&vcpus[0], 5ul << 24 | 0x3); /* to 0 and 1 */
	expect(5);
	assert_int_equal(fake_sched_count(FAKE_KICK, 0), 1);
	vgic_sgi1r(&vcpus[0], 6ul << 24 | 1ul << 40);
	expect_nothing();
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[2]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(5);
	expect(6);
	on(2);
	vgic_sync(&vcpus[2]);
	expect(6);
	on(0);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 16 | 0x1); /* another cluster */
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 32 | 0x1);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 48 | 0x1);
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 1ul << 44 | 0x1); /* another range */
	vgic_sgi1r(&vcpus[0], 7ul << 24 | 0xfff8);	    /* not there */
	expect_nothing();
}

static void sgir(u32 n, u32 value)
{
	on(n);
	gicd_write(0xf00, value);
	on(0);
	vgic_sync(&vcpus[0]);
}

TEST(v2_sgi_arrives_once_from_each_sender)
{
	start(2, 3);
	sgir(2, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	sgir(0, 2u << 24 | 3);
	assert_int_equal(fake_list_regs_used(), 1);
	expect(3);
	expect(1u << 10 | 3);
	expect(2u << 10 | 3);
	expect_nothing();
}

TEST(v2_sgi_of_the_active_sender_comes_again)
{
	start(2, 3);
	sgir(2, 1u << 16 | 3);
	assert_int_equal(fake_acknowledge(), 2u << 10 | 3);
	sgir(2, 1u << 16 | 3);
	sgir(1, 1u << 16 | 3);
	fake_end(3);
	expect(2u << 10 | 3);
	expect(1u << 10 | 3);
	expect_nothing();
}

TEST(v2_sgi_to_a_vcpu_that_is_about_to_start_waits_for_it)
{
	start(2, 2);
	fake_cpu_set_index(1);
	vgic_save(&vcpus[1]);
	sgir(0, 2u << 16 | 3);
	vgic_vcpu_reset(&vcpus[1]);
	fake_cpu_set_index(1);
	vgic_load(&vcpus[1]);
	on(1);
	fake_interface_set(0xff, true, true);
	expect(3);
	expect_nothing();
}

TEST(v2_sgi_filters_name_the_targets)
{
	start(2, 3);
	sgir(0, 1u << 24 | 4);
	expect_nothing();
	on(1);
	vgic_sync(&vcpus[1]);
	expect(4);
	on(2);
	vgic_sync(&vcpus[2]);
	expect(4);
	sgir(0, 3u << 24 | 7u << 16 | 4); /* reserved */
	expect_nothing();
	sgir(0, 0xf8u << 16 | 4); /* not there */
	expect_nothing();
}

TEST(v2_pending_senders_are_read_set_and_cleared)
{
	start(2, 3);
	sgir(1, 1u << 16 | 3);
	assert_int_equal(gicd_read(0xf20), 0x02000000);
	gicd_write(0xf20, 0x05000000);
	assert_int_equal(gicd_read(0xf10), 0x07000000);
	assert_true(try_access(false, 0xf10 + 3, 1, true, 0x3));
	expect(2u << 10 | 3);
	expect_nothing();
	assert_true(try_access(false, 0xf20 + 3, 1, true, 0xff));
	assert_int_equal(gicd_read(0xf20), 0x07000000);
	assert_true(try_access(false, 0xf10 + 3, 1, true, 0xff));
	expect_nothing();
	gicd_write(0x180, 0xffff); /* cannot be disabled */
	assert_int_equal(gicd_read(0x100), 0xffffffff);
}

TEST(v2_targets_are_bytes_and_the_lowest_takes_it)
{
	start(2, 3);
	assert_int_equal(gicd_read(0x800), 0x01010101);
	assert_true(try_access(false, 0x800 + SPI, 1, true, 0xf6));
	assert_true(try_access(false, 0x800 + SPI, 1, false, 0));
	assert_int_equal(last.value, 0x06);
	vgic_set_line(&vm, SPI, true);
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	on(1);
	vgic_sync(&vcpus[1]);
	expect(SPI);
	on(0);
	assert_true(try_access(false, 0x800 + SPI, 1, true, 0));
	vgic_set_line(&vm, SPI, false);
	vgic_set_line(&vm, SPI, true);
	expect_nothing();
	start(2, 1);
	assert_int_equal(gicd_read(0x800 + SPI), 0);
	gicd_write(0x800 + SPI, 0);
	vgic_set_line(&vm, SPI, true);
	expect(SPI);
}

/* --- Registers ------------------------------------------------------------------------------ */

TEST(v3_identification_is_a_small_gicv3)
{
	start(3, 3);
	assert_int_equal(gicd_read(0), 0x53);
	assert_int_equal(gicd_read(4) & 0x1f, VGIC_SPI_BANKS);
	assert_int_equal(gicd_read(0xc), 0); /* TYPER2 */
	assert_int_equal(gicd_read(0xffe8), 0x3b);
	assert_int_equal(gicd_read(0x100), 0); /* SGIs and PPIs are in the redistributor */
	assert_true(try_access(true, 8, 8, false, 0));
	assert_int_equal(last.value, 0);
	assert_true(try_access(true, 2 * VM_GICR_STRIDE + 8, 8, false, 0));
	assert_int_equal(last.value, 2ul << 32 | 2 << 8 | 0x10);
	assert_int_equal(gicr_read(2 * VM_GICR_STRIDE + 0xc), 2);
	assert_int_equal(gicr_read(0xffe8), 0x3b);
	assert_int_equal(gicr_read(0x14), 6);
	gicr_write(0x14, 0);
	assert_int_equal(gicr_read(0x14), 0);
	assert_false(try_access(true, 3 * VM_GICR_STRIDE, 4, false, 0));
	assert_int_equal(gicr_read(GICR(0, 0xc00)), 0xaaaaaaaa);
	assert_int_equal(gicr_read(GICR(0, 0xc04)), 0x000002a0);
	gicr_write(GICR(0, 0xc04), 0);
	assert_int_equal(gicr_read(GICR(0, 0xc04)), 0x000002a0);
}

TEST(v2_identification_is_a_small_gicv2)
{
	start(2, 3);
	assert_int_equal(gicd_read(0), 3);
	assert_int_equal(gicd_read(4), VGIC_SPI_BANKS | 2 << 5);
	assert_int_equal(gicd_read(0xfe8), 0x2b);
	assert_false(try_access(false, 0x1000, 4, false, 0));
}

TEST(priorities_have_five_bits_and_byte_access)
{
	start(3, 1);
	gicd_write(0x400 + SPI, 0x123456ff);
	assert_int_equal(gicd_read(0x400 + SPI), 0x103050f8);
	assert_true(try_access(false, 0x400 + SPI + 1, 1, false, 0));
	assert_int_equal(last.value, 0x50);
	assert_false(try_access(false, 0x400 + SPI, 2, false, 0));
	assert_int_equal(gicd_read(0x7fc), 0); /* beyond the last interrupt */
	gicd_write(0x7fc, 0xffffffff);
	assert_int_equal(gicd_read(0x7fc), 0);
}

/* Every offset, size and direction, with everything else going on: nothing in EL2 minds. */
static void hammer(u32 version, bool gicr, u64 end)
{
	start(version, 3);
	for (u64 offset = 0; offset < end; offset++) {
		for (u32 shift = 0; shift < 4; shift++) {
			fake_sched_reset();
			on(offset & 1);
			try_access(gicr, offset, 1u << shift, false, 0);
			try_access(gicr, offset, 1u << shift, true, ~0ul);
			try_access(gicr, offset, 1u << shift, true, 0);
			try_access(gicr, offset, 1u << shift, true, offset * 0x9e3779b97f4a7c15ul);
			if (offset & ((1u << shift) - 1))
				assert_false(try_access(gicr, offset, 1u << shift, false, 0));
		}
	}
}

TEST(no_access_of_any_size_harms)
{
	hammer(2, false, 0x2000);
	hammer(3, false, 0x10000);
	hammer(3, true, 4 * VM_GICR_STRIDE);
}

TEST(writing_a_set_enable_bit_changes_nothing)
{
	u64 writes;

	start(3, 1);
	vgic_set_line(&vm, SPI, true);
	writes = fake_list_regs_writes();
	gicd_write(0x100 + 4, ~0u);
	gicd_write(0x100 + 4, 0);
	assert_int_equal(fake_list_regs_writes(), writes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(pended_ppi_is_delivered_once),
		RUN(edge_while_active_is_delivered_after_the_end),
		RUN(disabled_interrupt_waits_and_is_delivered_when_enabled),
		RUN(disabling_takes_a_pending_one_out_of_its_list_register),
		RUN(cleared_pending_is_not_delivered),
		RUN(level_comes_again_until_the_line_falls),
		RUN(level_that_falls_unseen_is_taken_back),
		RUN(level_pended_by_software_is_delivered_once_though_the_line_falls),
		RUN(edge_line_that_stays_up_is_one_interrupt),
		RUN(active_state_is_read_set_and_cleared),
		RUN(two_step_end_keeps_it_active_until_deactivated),
		RUN(groups_are_forwarded_as_the_distributor_says),
		RUN(more_pending_than_list_registers_all_arrive_in_order),
		RUN(all_pending_at_once_come_by_priority_and_number_where_they_are_routed),
		RUN(all_active_at_once_can_all_be_ended),
		RUN(more_than_fit_are_chosen_from_when_the_vcpu_is_settled),
		RUN(more_urgent_one_evicts_a_pending_one),
		RUN(raising_a_priority_reorders_what_is_listed),
		RUN(nesting_deeper_than_list_registers_ends_right),
		RUN(ends_of_active_ones_without_list_register_are_counted),
		RUN(only_as_many_as_were_ended_become_inactive_most_urgent_first),
		RUN(closed_group_does_not_block_the_open_one),
		RUN(timer_is_deactivated_physically_by_the_guests_end),
		RUN(timer_is_deactivated_for_the_guest_where_its_end_would_lose_the_line),
		RUN(device_spi_is_enabled_and_disabled_where_it_comes_from),
		RUN(device_spi_is_ended_by_its_guest_and_comes_again),
		RUN(device_spi_that_its_guest_pends_while_it_is_active_comes_again),
		RUN(device_spi_is_deactivated_for_the_guest_where_its_end_would_lose_the_line),
		RUN(device_spi_follows_its_vcpu_from_core_to_core),
		RUN(device_spi_goes_to_the_core_of_the_vcpu_that_it_is_routed_to),
		RUN(device_spi_that_the_guest_clears_is_deactivated),
		RUN(device_spi_whose_end_no_list_register_sees_is_deactivated),
		RUN(device_spi_that_software_pends_has_nothing_to_deactivate),
		RUN(device_spi_is_clean_when_it_is_taken_from_the_vm),
		RUN(timer_state_is_switched_with_the_vcpu),
		RUN(timer_of_a_waiting_vcpu_wakes_it_and_is_there_at_load),
		RUN(timer_that_the_guest_does_not_want_wakes_nobody),
		RUN(timer_line_that_fell_while_waiting_is_forgotten),
		RUN(disabled_timer_leaves_its_list_register_and_can_come_again),
		RUN(timer_pended_by_software_is_no_hardware_one),
		RUN(timer_line_is_looked_at_after_a_software_pended_one_though_another_came_first),
		RUN(timer_made_inactive_by_the_guest_still_comes),
		RUN(pend_for_another_core_kicks_once_and_is_drained_there),
		RUN(cleared_before_it_was_drained_is_not_delivered),
		RUN(state_set_by_another_vcpu_counts_before_its_kick_arrives),
		RUN(spi_made_active_is_active_where_it_is_routed),
		RUN(waiting_vcpu_sees_its_inbox),
		RUN(ended_ones_that_had_no_list_register_may_wake),
		RUN(what_another_vcpu_deactivated_here_may_wake),
		RUN(masked_or_less_urgent_than_what_runs_does_not_wake),
		RUN(spi_follows_its_route),
		RUN(spi_routed_away_while_listed_moves),
		RUN(active_spi_stays_where_it_is_when_routed_away),
		RUN(spi_routed_to_nobody_waits),
		RUN(another_vcpu_may_clear_and_deactivate_what_is_listed_here),
		RUN(saved_vcpu_keeps_nothing_in_the_hardware_and_gets_it_back),
		RUN(reset_for_a_start_forgets_the_configuration_but_no_interrupt),
		RUN(sgi1r_reaches_the_list_or_all_others),
		RUN(v2_sgi_arrives_once_from_each_sender),
		RUN(v2_sgi_of_the_active_sender_comes_again),
		RUN(v2_sgi_to_a_vcpu_that_is_about_to_start_waits_for_it),
		RUN(v2_sgi_filters_name_the_targets),
		RUN(v2_pending_senders_are_read_set_and_cleared),
		RUN(v2_targets_are_bytes_and_the_lowest_takes_it),
		RUN(v3_identification_is_a_small_gicv3),
		RUN(v2_identification_is_a_small_gicv2),
		RUN(priorities_have_five_bits_and_byte_access),
		RUN(no_access_of_any_size_harms),
		RUN(writing_a_set_enable_bit_changes_nothing),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
