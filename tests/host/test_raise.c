/*
 * The way of an event's interrupt that takes no more than an SGI (core/vdev/vgic_raise.h), and what is left
 * for the longer one.
 *
 * Sources: tests/host/fake/record.c tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "fake.h"
#include "core/vdev/vgic_raise.h"

#define INTID 20u
#define SGI   "S3_0_C12_C11_5" /* ICC_SGI1R_EL1 */

static struct vcpu self, target;
static u64 sent;

void fake_sysreg_write(const char *name, u64 value)
{
	assert_string_equal(name, SGI);
	sent = value;
	fake_note(name, value);
}

/* The fake of vgic_raise_quickly() names it; nothing here calls that. */
void vgic_pend(struct vcpu *vcpu, u32 intid)
{
	fail_msg("INTID %u of %p", intid, (void *)vcpu);
}

static int start(void **state)
{
	(void)state;
	self = (struct vcpu){ .run = VCPU_RUNNING, .kick = 0x1000001 };
	target = (struct vcpu){ .run = VCPU_RUNNING, .kick = 0x1000002 };
	sent = 0;
	fake_record_reset();
	return 0;
}

TEST(one_that_runs_elsewhere_is_kicked_after_what_was_left_for_it)
{
	u32 at;

	assert_true(real_vgic_raise_quickly(&self, &target, INTID));
	assert_int_equal(target.vgic.inbox, 1u << INTID);
	assert_int_equal(sent, target.kick);
	at = fake_record_find(0, "dmb ish");
	at = fake_record_find(at, "dsb ishst");
	assert_int_equal(fake_record_find(at, SGI), at + 1);
}

TEST(only_the_first_bit_in_an_inbox_kicks)
{
	target.vgic.inbox = 1u << 3;
	assert_true(real_vgic_raise_quickly(&self, &target, INTID));
	assert_int_equal(target.vgic.inbox, 1u << INTID | 1u << 3);
	assert_int_equal(sent, 0);
	/* Nor does it matter then whether it runs: whoever has left the first sees to it. */
	target.run = VCPU_BLOCKED;
	assert_true(real_vgic_raise_quickly(&self, &target, INTID + 1));
}

TEST(one_that_does_not_run_is_left_to_be_woken)
{
	static const enum vcpu_run runs[] = { VCPU_STOPPED, VCPU_BLOCKED, VCPU_READY,
					      VCPU_THROTTLED };

	for (u32 i = 0; i < ARRAY_SIZE(runs); i++) {
		target.run = runs[i];
		target.vgic.inbox = 0;
		assert_false(real_vgic_raise_quickly(&self, &target, INTID));
		assert_int_equal(target.vgic.inbox, 1u << INTID);
	}
	assert_int_equal(sent, 0);
}

TEST(one_of_the_same_core_or_on_gicv2_goes_the_long_way)
{
	assert_false(real_vgic_raise_quickly(&self, &self, INTID));
	assert_int_equal(self.vgic.inbox, 1u << INTID);
	self.kick = target.kick = 0;
	assert_false(real_vgic_raise_quickly(&self, &target, INTID));
	assert_int_equal(target.vgic.inbox, 1u << INTID);
	assert_int_equal(sent, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(start, one_that_runs_elsewhere_is_kicked_after_what_was_left_for_it),
		RUN_AFTER(start, only_the_first_bit_in_an_inbox_kicks),
		RUN_AFTER(start, one_that_does_not_run_is_left_to_be_woken),
		RUN_AFTER(start, one_of_the_same_core_or_on_gicv2_goes_the_long_way),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
