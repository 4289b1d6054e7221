/*
 * The virtual interrupt controller against a model without list registers (vgic_model.h), in random
 * sequences.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_model.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "fake.h"
#include "soak.h"
#include "vgic_model.h"

#define SEQUENCES soak_count(3000, 100000)
#define STEPS	  400u

static u64 random_state;

static u32 dice(u32 sides)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (u32)(random_state >> 33) % sides;
}

static void play(u32 version, u64 seed)
{
	random_state = seed;
	vgic_model_begin(version, seed >> 32 & 1, dice);
	for (u32 step = 0; step < STEPS; step++)
		vgic_model_step();
}

static u64 seed_of(u64 n)
{
	return 0x9e3779b97f4a7c15ul * (n + soak_seed()) ^ n;
}

TEST(v3_list_registers_offer_what_the_model_says)
{
	for (u64 n = 0, count = SEQUENCES; n < count; n++)
		play(3, seed_of(n));
}

TEST(v2_list_registers_offer_what_the_model_says)
{
	for (u64 n = 0, count = SEQUENCES; n < count; n++)
		play(2, seed_of(n));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(v3_list_registers_offer_what_the_model_says),
		RUN(v2_list_registers_offer_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
