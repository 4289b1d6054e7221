/*
 * The virtual interrupt controller: what the list registers of a vCPU on another core say.
 *
 * Sources: core/vdev/vgic.c tests/host/vgic_machine.c
 * Sources: tests/host/fake/list_regs.c tests/host/fake/sched.c tests/host/fake/timer.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/panic.c
 */
#include "vgic_machine.h"

#define ENABLE	     0x180u
#define PENDING	     0x200u
#define ACTIVE	     0x300u
#define BIT_OF(spi)  (1u << ((spi)-32))
#define WORD_OF(spi) ((spi) / 32 * 4)
#define RT	     3u
#define SYNDROME     (1u << 24 | 2u << 22 | RT << 16)
#define STORE	     (1u << 6)
#define STEPS	     8u

/* What vCPU 0 loads from there, as far as that goes without others. */
static void load(bool gicr, u64 offset)
{
	on(0);
	fake_exit = (struct fake_exit){ .syndrome = SYNDROME };
	assert_true(try_access(gicr, offset, 4, false, 0));
	vcpus[0].arch.x[RT] = last.value;
}

static bool waits(u32 n)
{
	return vcpus[n].turns != TURNS_GUEST;
}

/* One turn of vCPU n; true: it goes on. */
static bool step(u32 n)
{
	on(n);
	vgic_ask_step(&vcpus[n]);
	on(0);
	return !waits(n);
}

/* The core of vCPU n takes its kick. */
static void take_kick(u32 n)
{
	assert_true(fake_sched_count(FAKE_KICK, &vcpus[n]));
	on(n);
	vgic_sync(&vcpus[n]);
	on(0);
}

/* All of it: vCPU 1 is kicked once, and answers. */
static u32 loaded(bool gicr, u64 offset)
{
	load(gicr, offset);
	if (!waits(0))
		return (u32)vcpus[0].arch.x[RT];
	fake_sched_reset();
	assert_false(step(0));
	assert_false(step(0));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	take_kick(1);
	assert_true(step(0));
	return (u32)vcpus[0].arch.x[RT];
}

/* vCPU 1 has this SPI in a list register, pending. */
static void list_there(u32 intid)
{
	on(0);
	if (vm.vgic.version == 3)
		assert_true(try_access(false, 0x6000 + 8 * intid, 8, true, 1));
	else
		assert_true(try_access(false, 0x800 + intid, 1, true, 2));
	vgic_set_line(&vm, intid, true);
	vgic_set_line(&vm, intid, false);
	on(1);
	vgic_sync(&vcpus[1]);
	assert_true(fake_listed(intid));
	fake_sched_reset();
	on(0);
}

static void acknowledge_there(u32 intid)
{
	on(1);
	assert_int_equal(fake_acknowledge(), intid);
	on(0);
}

static void end_there(u32 intid)
{
	on(1);
	fake_end(intid);
	on(0);
}

static void what_is_listed_there_is_seen(u32 version)
{
	start(version, 2);
	list_there(SPI);
	assert_int_equal(loaded(false, PENDING + WORD_OF(SPI)), BIT_OF(SPI));
	assert_int_equal(loaded(false, ACTIVE + WORD_OF(SPI)), 0);
	acknowledge_there(SPI);
	assert_int_equal(loaded(false, PENDING + WORD_OF(SPI)), 0);
	assert_int_equal(loaded(false, ACTIVE + WORD_OF(SPI)), BIT_OF(SPI));
	end_there(SPI);
	assert_int_equal(loaded(false, ACTIVE + WORD_OF(SPI)), 0);
	assert_false(waits(0));
	load(false, ACTIVE + WORD_OF(SPI)); /* it is in none any more */
	assert_false(waits(0));
}

TEST(what_is_listed_elsewhere_is_seen)
{
	what_is_listed_there_is_seen(3);
	what_is_listed_there_is_seen(2);
}

/* And the guest that has it does not lose it. */
TEST(what_was_asked_for_is_still_delivered)
{
	start(3, 2);
	list_there(SPI);
	assert_int_equal(loaded(false, PENDING + WORD_OF(SPI)), BIT_OF(SPI));
	on(1);
	expect(SPI);
	expect_nothing();
}

TEST(nobody_is_asked_about_what_is_in_no_list_register)
{
	start(3, 2);
	list_there(SPI);
	load(false, PENDING + WORD_OF(SPI) + 4);
	assert_false(waits(0));
	load(true, GICR(1, PENDING));
	assert_false(waits(0));
	load(false, 0x100 + WORD_OF(SPI));
	assert_false(waits(0));
}

TEST(the_answer_is_of_after_the_question)
{
	start(3, 2);
	list_there(SPI);
	acknowledge_there(SPI);
	load(false, ACTIVE + WORD_OF(SPI));
	end_there(SPI);
	assert_false(step(0));
	take_kick(1);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], 0);
}

TEST(private_interrupts_of_another_are_seen)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	load(true, GICR(1, PENDING)); /* on its way */
	assert_false(waits(0));
	assert_int_equal(vcpus[0].arch.x[RT], 1u << EDGE_PPI);
	on(1);
	vgic_sync(&vcpus[1]);
	assert_int_equal(loaded(true, GICR(1, PENDING)), 1u << EDGE_PPI);
	acknowledge_there(EDGE_PPI);
	assert_int_equal(loaded(true, GICR(1, PENDING)), 0);
	assert_int_equal(loaded(true, GICR(1, ACTIVE)), 1u << EDGE_PPI);
}

/* Its line is up until its interrupt is ended; but it is pending only while its timer says so, on its core. */
TEST(timer_of_another_is_pending_while_it_is_due)
{
	start(3, 2);
	on(1);
	fake_timer_activate();
	vgic_timer_fired(&vcpus[1]);
	assert_int_equal(fake_acknowledge(), TIMER);
	assert_int_equal(loaded(true, GICR(1, PENDING)), 1u << TIMER);
	fake_timer_set_virtual((struct virtual_timer){ .enabled = true, .expired = false });
	assert_int_equal(loaded(true, GICR(1, PENDING)), 0);
	assert_int_equal(loaded(true, GICR(1, ACTIVE)), 1u << TIMER);
}

TEST(one_that_is_saved_has_answered)
{
	start(3, 2);
	list_there(SPI);
	acknowledge_there(SPI);
	load(false, ACTIVE + WORD_OF(SPI));
	on(1);
	vgic_save(&vcpus[1]);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI));
	load(false, ACTIVE + WORD_OF(SPI));
	assert_false(waits(0));
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI));
}

/* Also what it had not taken yet. */
TEST(what_was_raised_for_one_that_is_saved_is_pending)
{
	start(3, 2);
	vgic_pend(&vcpus[1], EDGE_PPI);
	on(1);
	vgic_sync(&vcpus[1]);
	acknowledge_there(EDGE_PPI);
	vgic_pend(&vcpus[1], EDGE_PPI);
	load(true, GICR(1, PENDING));
	assert_true(waits(0));
	on(1);
	vgic_save(&vcpus[1]);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], 1u << EDGE_PPI);
	load(true, GICR(1, ACTIVE));
	assert_int_equal(vcpus[0].arch.x[RT], 1u << EDGE_PPI);
}

/* Nobody saw that it had none in between; so it is kicked again. */
TEST(one_that_was_saved_and_loaded_again_is_asked_again)
{
	start(3, 2);
	list_there(SPI);
	acknowledge_there(SPI);
	load(false, ACTIVE + WORD_OF(SPI));
	assert_false(step(0));
	on(1);
	vgic_save(&vcpus[1]);
	vgic_load(&vcpus[1]);
	on(1);
	fake_end(SPI);
	on(0);
	fake_sched_reset();
	assert_false(step(0));
	take_kick(1);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], 0);
}

TEST(one_that_moved_on_is_asked_where_it_is)
{
	start(3, 3);
	on(2);
	vgic_sync(&vcpus[2]); /* from here on it has no cause to look at what it has */
	list_there(SPI);
	load(false, PENDING + WORD_OF(SPI));
	on(0);
	assert_true(try_access(false, 0x6000 + 8 * SPI, 8, true, 2));
	assert_int_equal(vm.vgic.questions, 1);
	on(1);
	vgic_save(&vcpus[1]);
	on(2);
	vgic_sync(&vcpus[2]);
	assert_true(fake_listed(SPI));
	fake_sched_reset();
	assert_false(step(0));
	take_kick(2);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI));
}

TEST(several_are_asked_at_once)
{
	start(3, 3);
	list_there(SPI);
	acknowledge_there(SPI);
	assert_true(try_access(false, 0x6000 + 8 * (SPI + 1), 8, true, 2));
	vgic_set_line(&vm, SPI + 1, true);
	on(2);
	vgic_sync(&vcpus[2]);
	assert_int_equal(fake_acknowledge(), SPI + 1);
	load(false, ACTIVE + WORD_OF(SPI));
	assert_false(step(0));
	take_kick(2);
	on(2);
	fake_end(SPI + 1);
	assert_false(step(0));
	take_kick(1);
	assert_true(step(0));
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI) | BIT_OF(SPI + 1));
}

TEST(two_that_ask_each_other_both_get_an_answer)
{
	start(3, 2);
	list_there(SPI);
	acknowledge_there(SPI);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_int_equal(fake_acknowledge(), EDGE_PPI);
	load(false, ACTIVE + WORD_OF(SPI));
	on(1);
	assert_true(try_access(true, GICR(0, ACTIVE), 4, false, 0));
	assert_true(waits(0) && waits(1));
	for (u32 i = 0; i < STEPS && (waits(0) || waits(1)); i++)
		for (u32 n = 0; n < 2; n++) {
			if (waits(n))
				step(n);
			on(n); /* between its steps */
			if (fake_sched_count(FAKE_KICK, &vcpus[n]))
				vgic_sync(&vcpus[n]);
		}
	assert_false(waits(0) || waits(1));
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI));
	assert_int_equal(vcpus[1].arch.x[RT], 1u << EDGE_PPI);
}

static u64 loaded_part(u32 at, u32 bytes, u32 syndrome)
{
	on(0);
	fake_exit = (struct fake_exit){ .syndrome = syndrome, .far = 0x7000 + at };
	assert_true(try_access(false, PENDING + at, bytes, false, 0));
	assert_true(waits(0));
	vcpus[0].arch.x[RT] = ~0ul;
	assert_false(step(0));
	take_kick(1);
	assert_true(step(0));
	return vcpus[0].arch.x[RT];
}

/* Of GICv2's registers; and loads that extend the sign. */
TEST(part_of_a_register_goes_where_the_load_wants_it)
{
	u32 spi = 47; /* bit 15 of its word */

	start(2, 2);
	list_there(spi);
	assert_int_equal(loaded_part(4, 4, SYNDROME), 0x8000);
	assert_int_equal(loaded_part(5, 1, SYNDROME & ~(3u << 22)), 0x80);
	assert_int_equal(loaded_part(4, 2, SYNDROME ^ 3u << 22), 0x8000);
	assert_int_equal(loaded_part(5, 1, (SYNDROME & ~(3u << 22)) | 1u << 21), 0xffffff80);
	assert_true(loaded_part(4, 2, (SYNDROME ^ 3u << 22) | 1u << 21 | 1u << 15) == ~0x7ffful);
}

TEST(load_of_nothing_changes_no_register)
{
	start(3, 2);
	list_there(SPI);
	load(false, PENDING + WORD_OF(SPI));
	vcpus[0].vgic.question.syndrome = SYNDROME | 31u << 16;
	for (u32 i = 0; i < ARRAY_SIZE(vcpus[0].arch.x); i++)
		vcpus[0].arch.x[i] = i;
	step(0);
	take_kick(1);
	assert_true(step(0));
	for (u32 i = 0; i < ARRAY_SIZE(vcpus[0].arch.x); i++)
		assert_int_equal(vcpus[0].arch.x[i], i);
}

TEST(disabled_elsewhere_is_disabled_when_the_guest_goes_on)
{
	start(3, 2);
	list_there(SPI);
	fake_exit = (struct fake_exit){ .syndrome = SYNDROME | STORE };
	vcpus[0].arch.x[RT] = BIT_OF(SPI);
	gicd_write(ENABLE + WORD_OF(SPI), BIT_OF(SPI));
	assert_true(waits(0));
	assert_false(step(0));
	assert_int_equal(fake_sched_count(FAKE_KICK, &vcpus[1]), 1);
	take_kick(1);
	assert_true(step(0));
	on(1);
	expect_nothing();
	assert_int_equal(vcpus[0].arch.x[RT], BIT_OF(SPI));
}

TEST(what_is_disabled_here_asks_nobody)
{
	start(3, 2);
	vgic_set_line(&vm, SPI, true);
	vgic_pend(&vcpus[0], EDGE_PPI);
	assert_true(fake_listed(SPI) && fake_listed(EDGE_PPI));
	gicd_write(ENABLE + WORD_OF(SPI), BIT_OF(SPI));
	gicr_write(GICR(0, ENABLE), 1u << EDGE_PPI);
	gicr_write(GICR(1, ENABLE), 1u << EDGE_PPI);
	assert_false(waits(0));
	expect_nothing();
}

TEST(question_does_not_outlive_its_vm)
{
	start(3, 2);
	list_there(SPI);
	load(false, PENDING + WORD_OF(SPI));
	assert_true(waits(0));
	on(0);
	vgic_save(&vcpus[0]);
	on(1);
	vgic_save(&vcpus[1]);
	vgic_init(&vm);
	assert_false(waits(0));
	assert_int_equal(vm.vgic.questions, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(what_is_listed_elsewhere_is_seen),
		RUN(what_was_asked_for_is_still_delivered),
		RUN(nobody_is_asked_about_what_is_in_no_list_register),
		RUN(the_answer_is_of_after_the_question),
		RUN(private_interrupts_of_another_are_seen),
		RUN(timer_of_another_is_pending_while_it_is_due),
		RUN(one_that_is_saved_has_answered),
		RUN(what_was_raised_for_one_that_is_saved_is_pending),
		RUN(one_that_was_saved_and_loaded_again_is_asked_again),
		RUN(one_that_moved_on_is_asked_where_it_is),
		RUN(several_are_asked_at_once),
		RUN(two_that_ask_each_other_both_get_an_answer),
		RUN(part_of_a_register_goes_where_the_load_wants_it),
		RUN(load_of_nothing_changes_no_register),
		RUN(disabled_elsewhere_is_disabled_when_the_guest_goes_on),
		RUN(what_is_disabled_here_asks_nobody),
		RUN(question_does_not_outlive_its_vm),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
