/*
 * A VM of up to three vCPUs and its virtual interrupt controller on fake list registers (vgic_machine.h).
 */
#include "vgic_machine.h"

#include <string.h>

struct vm vm;
struct vcpu vcpus[VCPUS];

void on(u32 n)
{
	fake_cpu_set_index(n);
	fake_sched_set_current(vcpus[n].vgic.loaded ? &vcpus[n] : 0);
}

struct mmio last;

bool try_access(bool gicr, u64 offset, u32 bytes, bool write, u64 value)
{
	struct vcpu *self = sched_current();

	last = (struct mmio){ .offset = offset, .bytes = bytes, .write = write, .value = value };
	return gicr ? vgic_mmio_redistributor(self, &last) : vgic_mmio_distributor(self, &last);
}

void gicd_write(u64 offset, u64 value)
{
	assert_true(try_access(false, offset, 4, true, value));
}

u32 gicd_read(u64 offset)
{
	assert_true(try_access(false, offset, 4, false, 0));
	return (u32)last.value;
}

void gicr_write(u64 offset, u64 value)
{
	assert_true(try_access(true, offset, 4, true, value));
}

u32 gicr_read(u64 offset)
{
	assert_true(try_access(true, offset, 4, false, 0));
	return (u32)last.value;
}

void own_write(u64 offset, u64 value)
{
	if (vm.vgic.version == 2)
		gicd_write(offset, value);
	else
		gicr_write(GICR(sched_current()->index, offset), value);
}

u32 own_read(u64 offset)
{
	return vm.vgic.version == 2 ? gicd_read(offset)
				    : gicr_read(GICR(sched_current()->index, offset));
}

void set_priority(u32 intid, u8 priority)
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

void start(u32 version, u32 count)
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

void make_level(u32 intid)
{
	gicd_write(0xc00 + intid / 16 * 4, 0xaaaaaaaa & ~(2u << intid % 16 * 2));
}

void deactivate(u32 intid)
{
	struct mmio access = { .bytes = 4, .write = true, .value = intid };

	if (vm.vgic.version == 3)
		vgic_deactivate(sched_current(), intid);
	else
		assert_true(vgic_mmio_deactivate(sched_current(), &access));
}

void maintain(void)
{
	for (u32 i = 0; i < 4 && fake_maintenance(); i++)
		vgic_sync(sched_current());
	assert_false(fake_maintenance());
}

void expect(u32 intid)
{
	assert_int_equal(fake_acknowledge(), intid);
	fake_end(intid);
	maintain();
}

void expect_nothing(void)
{
	assert_int_equal(fake_acknowledge(), FAKE_SPURIOUS);
	assert_false(fake_maintenance());
}
