/*
 * A communication core whose ring falls asleep, while its vCPU's core puts a command, calls, or the VM ends or
 * begins anew: each of these in each gap in which no lock is held. A core that sleeps goes on only when it was
 * kicked. Then all commands of a VM that is there are taken, and its ring and the core are asleep.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: ipc/comm.c core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/panic.c
 */
#include <weir/submit.h>
#include "ipc_vms.h"
#include "arch/arm64/cpu.h"
#include "core/sched.h"

#define COMM 1u
#define TURN 100u

static const char *const channels[] = { "ab", 0 };

static u64 now;
static bool kicked, ended;

void sched_alert(u32 core)
{
	assert_int_equal(core, COMM);
	kicked = true;
}

/* Until it sleeps, and no kick has come. */
static void core_runs(void)
{
	fake_cpu_set_index(COMM);
	do {
		kicked = false;
		while (ipc_comm_turn(COMM))
			fake_timer_set(now += TURN);
	} while (kicked);
	fake_cpu_set_index(0);
}

static void put(void)
{
	struct weir_pages pages = ipc_pages(0, 0);
	struct weir_submit ring;

	ipc_run(0, 0);
	weir_submit_init(&ring, &pages);
	weir_submit_put_event(&ring, 1);
	weir_submit_kick(&ring);
}

/* ---- What comes in between ---------------------------------------------------------------------- */

static void elsewhere(void (*what)(void))
{
	u32 core = cpu_index();

	fake_cpu_set_index(0);
	what();
	fake_cpu_set_index(core);
}

static void command(void *context)
{
	(void)context;
	elsewhere(put);
}

static void submit(void)
{
	ipc_run(0, 0);
	weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0);
}

static void call(void *context)
{
	(void)context;
	elsewhere(submit);
}

static void end(void)
{
	ipc_vm_end(0);
	ended = true;
}

static void vm_ends(void *context)
{
	(void)context;
	elsewhere(end);
}

static void renew(void)
{
	ipc_vm_renew(0);
	put();
}

static void vm_begins_anew(void *context)
{
	(void)context;
	elsewhere(renew);
}

/* ---- Before and after --------------------------------------------------------------------------- */

static void machine(void)
{
	struct manifest manifest = { .communication_cores = BIT(COMM) };

	fake_lock_reset();
	fake_cpu_set_index(0);
	ipc_vms_make(2, 1, channels);
	fake_timer_set(now = 1000);
	ipc_comm_create(&manifest);
	ended = false;
	put();
}

static void check(void)
{
	struct weir_pages pages = ipc_pages(0, 0);

	if (kicked)
		core_runs();
	assert_true(ended || pages.out->submit_head == pages.in->submit_tail);
	assert_true(pages.out->submit_wanted);
}

static void each_gap(void (*other)(void *))
{
	assert_true(fake_lock_each_gap(machine, core_runs, other, check) >= 2);
	ipc_vms_free();
}

TEST(a_command_is_seen_whenever_it_comes)
{
	each_gap(command);
}

TEST(a_call_for_nothing_leaves_all_asleep)
{
	each_gap(call);
}

TEST(a_vm_may_end_at_any_moment)
{
	each_gap(vm_ends);
}

TEST(a_vm_may_begin_anew_at_any_moment)
{
	each_gap(vm_begins_anew);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command_is_seen_whenever_it_comes),
		cmocka_unit_test(a_call_for_nothing_leaves_all_asleep),
		cmocka_unit_test(a_vm_may_end_at_any_moment),
		cmocka_unit_test(a_vm_may_begin_anew_at_any_moment),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
