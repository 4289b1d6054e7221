/*
 * The scheduler: who runs, for how long, who is told, and what a stop and a restart leave behind.
 *
 * Two cores take turns in one thread: on(core) says whose turn it is. What the scheduler calls is
 * written down in `calls`; at a chosen call another core can come in between (meanwhile()).
 *
 * Sources: core/sched.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 */
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "arch/arm64/cpu.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/life.h"
#include "core/sched.h"

#define MS	1000000ul /* ticks of the fake timer */
#define SLICE	(SLICE_US * 1000ul)
#define VCPUS	4
#define ALONE	2u /* a core that only one test uses: vCPUs stay pinned for good */
#define CROWDED 3u

static struct manifest_vm config[VCPUS];
static struct vm vms[VCPUS];
static struct vcpu vcpus[VCPUS]; /* each in its own VM; written down as a, b, c, d */
static struct vcpu *const a = &vcpus[0], *const b = &vcpus[1], *const c = &vcpus[2];

static u64 now;
static char calls[512];
static u32 kicks[MAX_PCPUS], left[VCPUS], steps;
static u32 interrupts; /* how often the core looked for one */
static bool pending, wfi_trap;
static struct vcpu *serror, *sibling; /* who leaves an SError; who is stopped for it as well */
static enum vcpu_run run_when_asked;  /* what another core saw in `run` at vgic_pending, _settle */

static const char *between; /* the call at which another core comes in */
static void (*other)(void);
static jmp_buf idle;

static char name(const struct vcpu *vcpu)
{
	return (char)('a' + (vcpu - vcpus));
}

static void note(const char *call, const struct vcpu *vcpu)
{
	size_t length = strlen(calls);
	u32 core = cpu_index();

	snprintf(calls + length, sizeof(calls) - length, "%s%s %c", length ? ", " : "", call,
		 name(vcpu));
	if (!between || strcmp(call, between))
		return;
	between = 0;
	fake_cpu_set_index(!core);
	other();
	fake_cpu_set_index(core);
}

static void meanwhile(const char *call, void (*what)(void))
{
	between = call;
	other = what;
}

/* ---- What is below and beside the scheduler ------------------------------------------------------ */

u64 gic_kick_word(u32 core)
{
	return core + 1;
}

void gic_kick(u32 core)
{
	kicks[core]++;
}

void vgic_load(struct vcpu *vcpu)
{
	note("vgic_load", vcpu);
}

void vgic_save(struct vcpu *vcpu)
{
	note("vgic_save", vcpu);
}

void vgic_settle(struct vcpu *vcpu)
{
	run_when_asked = vcpu->run;
	note("settle", vcpu);
}

bool vgic_pending(struct vcpu *vcpu)
{
	bool was = pending;

	run_when_asked = vcpu->run;
	note("pending", vcpu);
	return was;
}

void vgic_timer_fired(struct vcpu *vcpu)
{
	note("timer", vcpu);
}

void vgic_vcpu_reset(struct vcpu *vcpu)
{
	note("vgic_reset", vcpu);
}

void arch_vcpu_load(struct arch_vcpu *vcpu)
{
	note("load", container_of(vcpu, struct vcpu, arch));
}

bool arch_vcpu_save(struct arch_vcpu *arch)
{
	struct vcpu *vcpu = container_of(arch, struct vcpu, arch);
	bool left_one = vcpu == serror;

	note("save", vcpu);
	if (left_one)
		serror = 0;
	return left_one;
}

/* Ends the VM, as core/fault.c does; the other one is of the same VM, or none. */
void vm_fault(struct vcpu *self, const char *what)
{
	assert_string_equal(what, FAULT_SERROR);
	assert_ptr_equal(sched_current(), self);
	note("fault", self);
	assert_false(sched_stop(self, true));
	if (sibling)
		assert_false(sched_stop(sibling, true));
}

void arch_vcpu_reset(struct arch_vcpu *vcpu, u64 entry, u64 context)
{
	assert_int_equal(entry, 0x1000);
	assert_int_equal(context, 0x2000);
	note("reset", container_of(vcpu, struct vcpu, arch));
}

void arch_set_wfi_trap(struct arch_vcpu *vcpu, bool trap)
{
	(void)vcpu;
	wfi_trap = trap;
}

void vm_vcpu_left(struct vm *vm)
{
	assert_null(sched_current()); /* it is off the core when its VM hears of it */
	left[vm - vms]++;
}

void vm_step(struct vm *vm)
{
	if (!--steps)
		vm->stepping = false;
}

void irq_handle(struct vcpu *current)
{
	assert_ptr_equal(current, sched_current());
	interrupts++;
	if (fake_timer_el2_deadline() <= now)
		timeout_interrupt();
}

/* The core would sleep: back to the test. */
void cpu_wait(void)
{
	longjmp(idle, 1);
}

/* ---- Steps of a test ----------------------------------------------------------------------------- */

static void on(u32 core)
{
	fake_cpu_set_index(core);
}

/* What sched_next() says on this core; 0: it sleeps. */
static struct vcpu *next(void)
{
	if (setjmp(idle))
		return 0;
	return sched_next();
}

static void pass(u64 ticks)
{
	now += ticks;
	fake_timer_set(now);
	timeout_interrupt();
}

static void forget(void)
{
	calls[0] = 0;
	memset(kicks, 0, sizeof(kicks));
}

/* So many turns of a communication core, of which the last finds nothing: then it sleeps. */
static u32 turns;

bool ipc_comm_turn(u32 core)
{
	assert_int_equal(core, cpu_index());
	return turns-- != 0;
}

static void communicate(u32 count)
{
	turns = count;
	interrupts = 0;
	if (!setjmp(idle))
		sched_communicate();
}

static struct vcpu *block(void)
{
	sched_block();
	return next();
}

/* A vCPU that is stopped; budget 0: none. */
static void add(struct vcpu *vcpu, u32 core, u8 priority, u32 budget_us, u32 period_us)
{
	u32 index = (u32)(vcpu - vcpus);

	config[index].budget_us = budget_us;
	config[index].period_us = period_us;
	vms[index].config = &config[index];
	vms[index].state = VM_RUNNING;
	vcpu->vm = &vms[index];
	vcpu->core = core;
	vcpu->priority = priority;
	vcpu->entry = 0x1000;
	vcpu->context = 0x2000;
	sched_add(vcpu);
}

static void add_ready(struct vcpu *vcpu, u32 core, u8 priority)
{
	add(vcpu, core, priority, 0, 0);
	sched_start(vcpu);
}

static int cores_make(void **state)
{
	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	memset(vms, 0, sizeof(vms));
	memset(config, 0, sizeof(config));
	memset(left, 0, sizeof(left));
	forget();
	between = 0;
	serror = sibling = 0;
	pending = false;
	now = 100 * MS;
	fake_timer_set(now);
	for (u32 core = MAX_PCPUS; core--;) {
		on(core);
		timeout_init_core();
		sched_init_core(core);
	}
	return 0;
}

/* Every core is left empty. */
static int cores_empty(void **state)
{
	(void)state;
	between = 0;
	for (u32 i = 0; i < VCPUS; i++)
		if (vcpus[i].vm)
			sched_stop(&vcpus[i], false);
	for (u32 core = 0; core < MAX_PCPUS; core++) {
		on(core);
		assert_null(next());
		assert_null(sched_current());
	}
	return 0;
}

#define RUN_ON_CORES(test) cmocka_unit_test_setup_teardown(test, cores_make, cores_empty)

/* ---- Who runs ------------------------------------------------------------------------------------ */

TEST(a_core_without_ready_vcpus_sleeps_with_nobody_loaded)
{
	add(a, 0, 3, 0, 0);
	assert_null(next());
	assert_null(sched_current());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(the_highest_priority_runs_first)
{
	add_ready(a, 0, 0);
	add_ready(b, 0, 7);
	add_ready(c, 0, 3);
	assert_ptr_equal(next(), b);
	assert_ptr_equal(sched_current(), b);
	assert_ptr_equal(block(), c);
	assert_ptr_equal(block(), a);
	forget();
	sched_wake(b);
	assert_int_equal(kicks[0], 0); /* its own core is asked at the end of the exit */
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), b);
}

TEST(a_vcpu_without_ready_equals_gets_no_tick)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

TEST(equals_take_turns_by_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	add_ready(c, 0, 3);
	for (u32 turn = 0; turn < 6; turn++) {
		assert_ptr_equal(next(), &vcpus[turn % 3]);
		assert_int_equal(fake_timer_el2_deadline(), now + SLICE);
		pass(SLICE - 1);
		assert_false(*a->sched_needed);
		assert_ptr_equal(next(), &vcpus[turn % 3]);
		pass(1);
		assert_true(*a->sched_needed);
	}
}

TEST(preempted_it_keeps_its_place_and_the_rest_of_its_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	add(c, 0, 4, 0, 0);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	sched_start(c);
	assert_ptr_equal(next(), c);
	pass(SLICE); /* not a's time */
	assert_ptr_equal(block(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + SLICE - 2 * MS);
	pass(SLICE - 2 * MS);
	assert_ptr_equal(next(), b);
	assert_int_equal(fake_timer_el2_deadline(), now + SLICE);
}

TEST(a_switch_saves_the_old_before_it_loads_the_new)
{
	add_ready(a, 0, 3);
	next();
	add_ready(b, 0, 4);
	forget();
	assert_ptr_equal(next(), b);
	assert_string_equal(calls, "vgic_save a, save a, load b, vgic_load b");
}

static void wake_c(void)
{
	sched_wake(c);
}

TEST(who_becomes_ready_by_the_unloading_is_chosen_before_another_is_loaded)
{
	add_ready(c, 0, 5);
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), c);
	assert_ptr_equal(block(), a);
	meanwhile("vgic_save", wake_c);
	forget();
	assert_ptr_equal(block(), c);
	assert_null(strstr(calls, " b"));
	assert_false(*a->sched_needed);
	/* Nobody was ready at all. */
	assert_ptr_equal(block(), b);
	meanwhile("vgic_save", wake_c);
	assert_ptr_equal(block(), c);
}

static void stop_b(void)
{
	assert_false(sched_stop(b, true)); /* it is chosen, so its core has to let it go */
}

TEST(who_is_stopped_when_chosen_by_another_unloading_is_reported_all_the_same)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	meanwhile("vgic_save", stop_b);
	assert_null(block());
	assert_int_equal(left[b - vcpus], 1);
}

TEST(wfi_traps_only_if_others_share_the_core)
{
	on(ALONE);
	add_ready(a, ALONE, 3);
	wfi_trap = true;
	assert_ptr_equal(next(), a);
	assert_false(wfi_trap);
	on(CROWDED);
	add_ready(b, CROWDED, 3);
	add(c, CROWDED, 3, 0, 0);
	assert_ptr_equal(next(), b);
	assert_true(wfi_trap);
}

/* ---- Budgets ------------------------------------------------------------------------------------- */

TEST(a_used_budget_throttles_until_the_period_ends)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	add_ready(b, 0, 1);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
	pass(2 * MS);
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), b);
	assert_int_equal(a->run, VCPU_THROTTLED);
	assert_int_equal(fake_timer_el2_deadline(), now + 8 * MS);
	sched_kick(a); /* no way around it */
	sched_wake(a);
	assert_int_equal(a->run, VCPU_THROTTLED);
	pass(8 * MS);
	assert_true(*b->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

TEST(a_throttled_vcpu_leaves_its_core_asleep)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_null(next());
	pass(8 * MS);
	assert_ptr_equal(next(), a);
}

TEST(a_budget_is_charged_only_while_it_runs_and_lasts_over_a_block)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_null(block());
	pass(3 * MS);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + MS);
	pass(MS);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
	/* One that blocked with nothing left is throttled when it wakes. */
	pass(5 * MS);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_null(block());
	sched_wake(a);
	assert_null(next());
	assert_int_equal(a->run, VCPU_THROTTLED);
}

TEST(a_period_that_ends_while_it_runs_gives_a_full_budget)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_null(block());
	pass(8 * MS + MS / 2);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	pass(MS / 2);
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), now + 2 * MS);
}

TEST(one_without_a_budget_gets_no_tick_from_who_ran_before)
{
	add(a, 0, 5, 2000, 10000);
	sched_start(a);
	add_ready(b, 0, 1);
	assert_ptr_equal(next(), a);
	pass(MS);
	assert_ptr_equal(block(), b);
	assert_int_equal(fake_timer_el2_deadline(), now + 9 * MS); /* a's period */
}

/* ---- Wake, kick, block --------------------------------------------------------------------------- */

TEST(waking_a_more_urgent_one_on_another_core_kicks_that_core)
{
	add_ready(a, 1, 3);
	add_ready(b, 1, 4);
	on(1);
	assert_ptr_equal(next(), b);
	assert_ptr_equal(block(), a);
	on(0);
	forget();
	sched_wake(b);
	assert_int_equal(kicks[1], 1);
	assert_int_equal(kicks[0], 0);
	assert_true(*a->sched_needed);
	sched_wake(b); /* it is ready */
	assert_int_equal(kicks[1], 1);
	on(1);
	assert_ptr_equal(next(), b);
}

TEST(waking_a_less_urgent_one_disturbs_nobody)
{
	add_ready(a, 1, 3);
	add(b, 1, 4, 0, 0);
	on(1);
	assert_ptr_equal(next(), a);
	sched_block();
	sched_start(b);
	assert_ptr_equal(next(), b);
	on(0);
	forget();
	sched_wake(a);
	assert_int_equal(a->run, VCPU_READY);
	assert_int_equal(kicks[1], 0);
	assert_false(*a->sched_needed);
}

TEST(a_sleeping_core_is_kicked_for_whoever_wakes)
{
	add_ready(a, 1, 0);
	on(1);
	assert_ptr_equal(next(), a);
	assert_null(block());
	on(0);
	forget();
	sched_wake(a);
	assert_int_equal(kicks[1], 1);
}

TEST(kick_reaches_whoever_runs_on_another_core_and_wakes_who_is_blocked)
{
	add_ready(a, 1, 3);
	add_ready(b, 1, 2);
	on(1);
	assert_ptr_equal(next(), a);
	forget();
	sched_kick(a); /* on its own core: it looks before it goes back */
	assert_int_equal(kicks[1], 0);
	on(0);
	forget();
	sched_kick(a);
	assert_int_equal(kicks[1], 1);
	sched_kick(b); /* ready: it looks when it is loaded */
	assert_int_equal(kicks[1], 1);
	on(1);
	assert_ptr_equal(block(), b);
	on(0);
	sched_kick(a);
	assert_int_equal(a->run, VCPU_READY);
	assert_int_equal(kicks[1], 2);
}

TEST(a_stopped_vcpu_is_not_woken)
{
	add(a, 0, 3, 0, 0);
	sched_wake(a);
	sched_kick(a);
	assert_int_equal(a->run, VCPU_STOPPED);
	assert_null(next());
}

TEST(block_with_a_pending_interrupt_does_not_sleep)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	pending = true;
	forget();
	assert_ptr_equal(block(), a);
	assert_string_equal(calls, "pending a, settle a"); /* and it was never switched out */
}

static void kick_a(void)
{
	sched_kick(a);
}

TEST(an_interrupt_that_comes_just_after_block_has_looked_wakes_it)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	meanwhile("pending", kick_a);
	sched_block();
	assert_int_equal(run_when_asked, VCPU_BLOCKED);
	assert_int_equal(a->run, VCPU_READY);
	assert_ptr_equal(next(), a);
}

TEST(an_interrupt_left_while_woken_but_still_loaded_is_looked_at)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	sched_block();
	on(1);
	sched_wake(a);
	forget();
	sched_kick(a); /* ready: nobody is told */
	assert_int_equal(kicks[0], 0);
	on(0);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "settle a");
	assert_int_equal(run_when_asked, VCPU_RUNNING); /* from here on it is kicked */
}

TEST(who_asks_again_is_settled_before_it_runs_on)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_false(*a->sched_needed);
	forget();
	sched_again();
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "settle a");
	assert_false(*a->sched_needed);
}

/* ---- The virtual timer of one that is not loaded ------------------------------------------------- */

TEST(the_timer_of_a_blocked_vcpu_fires_at_its_deadline)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->arch.cntv_ctl = 1;
	a->arch.cntv_cval = now + 7 * MS;
	assert_null(block());
	assert_int_equal(fake_timer_el2_deadline(), now + 7 * MS);
	pass(7 * MS - 1);
	forget();
	pass(1);
	assert_string_equal(calls, "timer a");
}

TEST(a_timer_that_is_masked_loaded_or_of_a_stopped_vcpu_does_not_fire)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->arch.cntv_cval = now + 7 * MS;
	a->arch.cntv_ctl = 3;
	assert_null(block());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	sched_wake(a);
	assert_ptr_equal(next(), a);
	a->arch.cntv_ctl = 1;
	assert_null(block());
	sched_wake(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
}

/* ---- Stop, start, restart ------------------------------------------------------------------------ */

TEST(stop_of_a_ready_vcpu_is_done_at_once)
{
	add_ready(a, 0, 3);
	on(1);
	forget();
	assert_true(sched_stop(a, true));
	assert_int_equal(kicks[0], 0);
	on(0);
	assert_null(next());
	assert_int_equal(left[0], 0); /* the caller knows it from the answer */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 0); /* nor does its next life say so */
}

TEST(stop_of_a_blocked_vcpu_is_done_at_once)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_true(sched_stop(a, true));
	sched_wake(a);
	assert_null(next());
	assert_int_equal(left[0], 0);
}

TEST(stop_of_a_loaded_vcpu_is_done_by_its_core_which_says_so_once)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	forget();
	assert_false(sched_stop(a, true));
	assert_int_equal(kicks[0], 1);
	assert_int_equal(left[0], 0);
	on(0);
	assert_true(*a->sched_needed);
	assert_null(next());
	assert_int_equal(left[0], 1);
	/* `ending` is spent: a later life that is switched out says nothing. */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(stop_of_a_blocked_vcpu_that_is_still_loaded_is_done_by_its_core)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	sched_block();
	assert_false(sched_stop(a, true));
	assert_null(next());
	assert_int_equal(left[0], 1);
}

static bool stopped;

static void stop_a(void)
{
	stopped = sched_stop(a, true);
}

TEST(stop_of_a_chosen_vcpu_is_done_by_its_core_which_says_so_once)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	forget();
	stopped = true;
	meanwhile("load", stop_a);
	assert_ptr_equal(next(), b); /* a never ran */
	assert_false(stopped);
	assert_int_equal(kicks[0], 1);
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 0);
}

TEST(a_stop_alone_is_not_the_end_of_the_vm)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_false(sched_stop(a, false));
	assert_null(next());
	assert_int_equal(left[0], 0);
}

TEST(block_does_not_undo_a_stop)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	sched_stop(a, false);
	on(0);
	pending = true;
	assert_null(block());
	assert_int_equal(a->run, VCPU_STOPPED);
}

TEST(a_restarted_vcpu_is_reset_before_it_is_loaded)
{
	add(a, 0, 3, 0, 0);
	a->restart = true;
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "reset a, vgic_reset a, load a, vgic_load a");
	forget();
	assert_null(block());
	sched_wake(a);
	forget();
	assert_ptr_equal(next(), a); /* once */
	assert_string_equal(calls, "load a, vgic_load a");
}

TEST(restarted_while_still_loaded_it_is_switched_out_and_reset)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	on(1);
	assert_false(sched_stop(a, false));
	a->restart = true;
	sched_start(a);
	on(0);
	forget();
	assert_ptr_equal(next(), a);
	assert_string_equal(calls,
			    "vgic_save a, save a, reset a, vgic_reset a, load a, vgic_load a");
}

TEST(a_vm_steps_in_the_turn_of_its_vcpu_before_that_runs)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 2);
	a->vm->stepping = true;
	steps = 3;
	assert_ptr_equal(next(), a);
	assert_int_equal(steps, 0);
}

/* ---- What it took ----------------------------------------------------------------------------- */

static u64 run_time(const struct vcpu *vcpu)
{
	return account_clock_value(vcpu->account.run, now);
}

static u64 steal_time(const struct vcpu *vcpu)
{
	return account_clock_value(vcpu->account.steal, now);
}

TEST(an_serror_left_behind_ends_who_left_it_before_the_next_is_loaded)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	add_ready(b, 0, 5);
	serror = a;
	forget();
	assert_ptr_equal(next(), b);
	assert_string_equal(calls, "vgic_save a, save a, fault a, load b, vgic_load b");
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 0);
	/* It was ready again when it left, and is not any more. */
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(an_serror_left_behind_by_one_that_waits_ends_it)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	serror = a;
	assert_null(block());
	assert_int_equal(left[0], 1);
	sched_wake(a);
	assert_null(next());
	/* Its next life is not blamed. */
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_null(block());
	assert_int_equal(left[0], 1);
}

TEST(an_serror_left_behind_ends_the_vcpu_of_its_vm_that_is_next)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	add_ready(b, 0, 5);
	serror = a;
	sibling = b;
	assert_null(next());
	assert_int_equal(left[0], 1);
	assert_int_equal(left[1], 1);
}

/* It was to be reset, and had nobody to leave to. */
TEST(an_serror_left_behind_by_one_that_is_restarted_ends_it_unloaded)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	a->restart = true;
	serror = a;
	forget();
	assert_null(next());
	assert_string_equal(calls, "vgic_save a, save a, fault a");
	assert_int_equal(left[0], 1);
	assert_null(sched_current());
	/* It begins to close, on this core. */
	sched_start(a);
	forget();
	assert_ptr_equal(next(), a);
	assert_string_equal(calls, "reset a, vgic_reset a, load a, vgic_load a");
	assert_int_equal(left[0], 1);
}

/* What the watchdog goes by. */
TEST(decided_is_when_the_core_last_chose_even_if_nobody)
{
	add_ready(a, 0, 3);
	assert_ptr_equal(next(), a);
	assert_int_equal(sched_decided(), 100 * MS);
	pass(MS);
	assert_int_equal(sched_decided(), 100 * MS); /* nobody has asked */
	sched_again();
	assert_true(*a->sched_needed);
	assert_ptr_equal(next(), a);
	assert_int_equal(sched_decided(), 101 * MS);
	pass(MS);
	assert_null(block());
	assert_int_equal(sched_decided(), 102 * MS);
	pass(MS);
	sched_again();
	assert_null(next());
	assert_int_equal(sched_decided(), 103 * MS);
	on(1);
	assert_int_not_equal(sched_decided(), 103 * MS);
}

TEST(a_communication_core_works_idles_and_decides_when_it_is_asked)
{
	on(ALONE);
	sched_init_core(ALONE);
	now = 100 * MS;
	fake_timer_set(now);
	communicate(3);
	assert_int_equal(interrupts, 3);	     /* looked for in each turn */
	assert_int_equal(sched_decided(), 100 * MS); /* once by itself */
	pass(MS);
	communicate(1);
	assert_int_equal(sched_decided(), 100 * MS);
	sched_again();
	communicate(1);
	assert_int_equal(sched_decided(), 101 * MS);
	sched_alert(1);
	assert_int_equal(kicks[1], 1);
}

TEST(run_and_steal_are_the_time_on_the_core_and_the_time_ready_without_it)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 4);
	assert_ptr_equal(next(), b);
	pass(7 * MS);
	assert_int_equal(run_time(b), 7 * MS); /* also while it runs */
	assert_int_equal(steal_time(a), 7 * MS);
	assert_ptr_equal(block(), a);
	pass(2 * MS);
	assert_int_equal(run_time(b), 7 * MS);
	assert_int_equal(steal_time(b), 0);
	assert_int_equal(run_time(a), 2 * MS);
	assert_int_equal(steal_time(a), 7 * MS);
	sched_wake(b);
	assert_ptr_equal(next(), b);
	pass(1 * MS);
	assert_int_equal(run_time(a), 2 * MS);
	assert_int_equal(run_time(b), 8 * MS);
	assert_int_equal(steal_time(a), 8 * MS);
}

TEST(blocked_throttled_and_stopped_time_is_neither_run_nor_steal)
{
	add(a, 0, 4, 1000, 10000);
	sched_start(a);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	pass(1 * MS);
	assert_ptr_equal(next(), b); /* a's budget is used up */
	pass(3 * MS);
	assert_int_equal(run_time(a), 1 * MS);
	assert_int_equal(steal_time(a), 0);
	assert_null(block());
	pass(2 * MS);
	assert_int_equal(run_time(b), 3 * MS);
	assert_int_equal(steal_time(b), 1 * MS); /* when a ran */
	sched_wake(b);
	pass(1 * MS);
	sched_stop(b, false); /* ready, then not any more */
	pass(2 * MS);
	assert_int_equal(run_time(b), 3 * MS);
	assert_int_equal(steal_time(b), 2 * MS);
}

TEST(what_the_core_does_for_others_is_nobodys_time)
{
	add(a, 0, 3, 1000, 10000);
	sched_start(a);
	add_ready(b, 0, 2);
	assert_ptr_equal(next(), a);
	now += MS - 100;
	fake_timer_set(now);
	sched_lent(MS / 2);
	assert_int_equal(run_time(a), MS / 2 - 100);
	pass(100);
	assert_ptr_equal(next(), a); /* half of the budget is left */
	pass(MS / 2 - 1);
	assert_ptr_equal(next(), a);
	pass(1);
	assert_ptr_equal(next(), b);
	assert_int_equal(run_time(a), MS);
}

TEST(what_the_core_does_for_others_is_of_no_slice)
{
	add_ready(a, 0, 3);
	add_ready(b, 0, 3);
	assert_ptr_equal(next(), a);
	pass(4 * MS);
	sched_lent(2 * MS);
	pass(1 * MS);
	assert_ptr_equal(next(), a);
	pass(2 * MS);
	assert_ptr_equal(next(), b);
}

TEST(a_core_without_a_vcpu_may_work_for_others)
{
	add(a, 0, 3, 0, 0);
	sched_lent(MS);
	sched_start(a);
	assert_ptr_equal(next(), a);
	assert_int_equal(run_time(a), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_ON_CORES(a_core_without_ready_vcpus_sleeps_with_nobody_loaded),
		RUN_ON_CORES(the_highest_priority_runs_first),
		RUN_ON_CORES(a_vcpu_without_ready_equals_gets_no_tick),
		RUN_ON_CORES(equals_take_turns_by_slice),
		RUN_ON_CORES(preempted_it_keeps_its_place_and_the_rest_of_its_slice),
		RUN_ON_CORES(a_switch_saves_the_old_before_it_loads_the_new),
		RUN_ON_CORES(who_becomes_ready_by_the_unloading_is_chosen_before_another_is_loaded),
		RUN_ON_CORES(
			who_is_stopped_when_chosen_by_another_unloading_is_reported_all_the_same),
		RUN_ON_CORES(wfi_traps_only_if_others_share_the_core),
		RUN_ON_CORES(a_used_budget_throttles_until_the_period_ends),
		RUN_ON_CORES(a_throttled_vcpu_leaves_its_core_asleep),
		RUN_ON_CORES(a_budget_is_charged_only_while_it_runs_and_lasts_over_a_block),
		RUN_ON_CORES(a_period_that_ends_while_it_runs_gives_a_full_budget),
		RUN_ON_CORES(one_without_a_budget_gets_no_tick_from_who_ran_before),
		RUN_ON_CORES(waking_a_more_urgent_one_on_another_core_kicks_that_core),
		RUN_ON_CORES(waking_a_less_urgent_one_disturbs_nobody),
		RUN_ON_CORES(a_sleeping_core_is_kicked_for_whoever_wakes),
		RUN_ON_CORES(kick_reaches_whoever_runs_on_another_core_and_wakes_who_is_blocked),
		RUN_ON_CORES(a_stopped_vcpu_is_not_woken),
		RUN_ON_CORES(block_with_a_pending_interrupt_does_not_sleep),
		RUN_ON_CORES(an_interrupt_that_comes_just_after_block_has_looked_wakes_it),
		RUN_ON_CORES(an_interrupt_left_while_woken_but_still_loaded_is_looked_at),
		RUN_ON_CORES(who_asks_again_is_settled_before_it_runs_on),
		RUN_ON_CORES(the_timer_of_a_blocked_vcpu_fires_at_its_deadline),
		RUN_ON_CORES(a_timer_that_is_masked_loaded_or_of_a_stopped_vcpu_does_not_fire),
		RUN_ON_CORES(stop_of_a_ready_vcpu_is_done_at_once),
		RUN_ON_CORES(stop_of_a_blocked_vcpu_is_done_at_once),
		RUN_ON_CORES(stop_of_a_loaded_vcpu_is_done_by_its_core_which_says_so_once),
		RUN_ON_CORES(stop_of_a_blocked_vcpu_that_is_still_loaded_is_done_by_its_core),
		RUN_ON_CORES(stop_of_a_chosen_vcpu_is_done_by_its_core_which_says_so_once),
		RUN_ON_CORES(a_stop_alone_is_not_the_end_of_the_vm),
		RUN_ON_CORES(block_does_not_undo_a_stop),
		RUN_ON_CORES(a_restarted_vcpu_is_reset_before_it_is_loaded),
		RUN_ON_CORES(restarted_while_still_loaded_it_is_switched_out_and_reset),
		RUN_ON_CORES(a_vm_steps_in_the_turn_of_its_vcpu_before_that_runs),
		RUN_ON_CORES(an_serror_left_behind_ends_who_left_it_before_the_next_is_loaded),
		RUN_ON_CORES(an_serror_left_behind_by_one_that_waits_ends_it),
		RUN_ON_CORES(an_serror_left_behind_ends_the_vcpu_of_its_vm_that_is_next),
		RUN_ON_CORES(an_serror_left_behind_by_one_that_is_restarted_ends_it_unloaded),
		RUN_ON_CORES(decided_is_when_the_core_last_chose_even_if_nobody),
		RUN_ON_CORES(a_communication_core_works_idles_and_decides_when_it_is_asked),
		RUN_ON_CORES(run_and_steal_are_the_time_on_the_core_and_the_time_ready_without_it),
		RUN_ON_CORES(blocked_throttled_and_stopped_time_is_neither_run_nor_steal),
		RUN_ON_CORES(what_the_core_does_for_others_is_nobodys_time),
		RUN_ON_CORES(what_the_core_does_for_others_is_of_no_slice),
		RUN_ON_CORES(a_core_without_a_vcpu_may_work_for_others),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
