/*
 * The manager of VMs with so much memory that it takes a while to fill it: `large` on its own core,
 * less urgent than it, so that nothing of it goes on while the manager looks; `far` on the other
 * core. Ends them while they are built, die or are rebuilt; each that says hello found all its memory
 * empty. Between them is a VM that was refused.
 */
#include "tests/guest/life_manager.h"

#define REFUSED_ONES 1u
#define MANAGER_NAME "manager"

static struct target large = { .name = "large" }, far = { .name = "far" };
static uint64_t vms;

static void is(enum weir_vm_state state)
{
	CHECK_IS(state_of(&large), state);
}

static void wait_until(enum weir_vm_state state)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	while (state_of(&large) != state && timer_now() < end)
		task_sleep(20000);
	is(state);
}

static enum weir_status start(const struct target *target)
{
	return weir_vm_start(info_of(target).vm);
}

static enum weir_status stop(const struct target *target)
{
	return weir_vm_stop(info_of(target).vm);
}

static enum weir_status restart(const struct target *target)
{
	return weir_vm_restart(info_of(target).vm);
}

TEST(each_vm_has_its_place_and_name)
{
	struct weir_vm_info info;
	enum weir_status status = WEIR_OK;
	uint32_t refused = 0, managers = 0;

	CHECK(target_find(&large) && target_find(&far));
	for (vms = 0; (status = weir_vm_info(weir_here(), vms, &info)) != WEIR_NOT_FOUND; vms++) {
		refused += status == WEIR_CLOSED;
		if (status != WEIR_OK)
			continue;
		CHECK_IS(info.vm & 0xffff, vms);
		CHECK(info.vm >> 16 != 0);
		CHECK_IS(info.name[WEIR_NAME_MAX], 0);
		if (strcmp(info.name, MANAGER_NAME) == 0) {
			managers++;
			CHECK_IS(info.state, WEIR_VM_RUNNING);
			CHECK_IS(info.starts, 1);
			CHECK_IS(weir_vm_start(info.vm), WEIR_BUSY);
		}
	}
	CHECK_IS(refused, REFUSED_ONES);
	CHECK_IS(managers, 1);
	CHECK_IS(weir_vm_info(weir_here(), vms + 1, &info), WEIR_NOT_FOUND);
	CHECK_IS(weir_vm_info(weir_here(), ~0ull, &info), WEIR_NOT_FOUND);
}

/* It is less urgent: it is built only while we sleep. */
TEST(a_vm_is_stopped_while_it_is_built_for_the_first_time)
{
	is(WEIR_VM_BUILDING);
	CHECK_IS(info_of(&large).starts, 1);
	CHECK_IS(start(&large), WEIR_BUSY);
	task_sleep(1000000);
	is(WEIR_VM_BUILDING);
	CHECK_IS(stop(&large), WEIR_OK);
	is(WEIR_VM_DYING);
	wait_until(WEIR_VM_OFF);
	CHECK_IS(stop(&large), WEIR_OK);
	is(WEIR_VM_OFF);
}

TEST(calls_about_no_vm_are_refused)
{
	weir_handle vm = info_of(&large).vm;

	CHECK_IS(weir_vm_start(0), WEIR_INVALID);
	CHECK_IS(weir_vm_stop(0), WEIR_INVALID);
	CHECK_IS(weir_vm_restart(0), WEIR_INVALID);
	for (uint64_t position = 0; position < vms; position++) {
		struct weir_vm_info info;

		if (weir_vm_info(weir_here(), position, &info) != WEIR_CLOSED)
			continue;
		CHECK_IS(weir_vm_start(1ull << 16 | position), WEIR_NOT_FOUND);
		CHECK_IS(weir_vm_stop(1ull << 16 | position), WEIR_NOT_FOUND);
		CHECK_IS(weir_vm_restart(1ull << 16 | position), WEIR_NOT_FOUND);
	}
	CHECK_IS(weir_vm_start(1ull << 16 | vms), WEIR_NOT_FOUND);
	CHECK_IS(weir_vm_stop(1ull << 16 | 0xffff), WEIR_NOT_FOUND);
	CHECK_IS(weir_vm_stop(vm - (1ull << 16)), WEIR_STALE);
	CHECK_IS(weir_vm_restart(vm + (1ull << 16)), WEIR_STALE);
	CHECK_IS(weir_vm_start(vm | 1ull << 63), WEIR_STALE);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VM_START), vm, 1, 0, 0, 0, 0).status, WEIR_INVALID);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VM_STOP), vm, 0, 1, 0, 0, 0).status, WEIR_INVALID);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VM_RESTART), vm, 0, 0, 0, 0, 1).status, WEIR_INVALID);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_VM_INFO), 0, 1, 0, 0, 0, 0).status, WEIR_INVALID);
	is(WEIR_VM_OFF);
}

TEST(a_vm_is_restarted_while_it_is_built)
{
	weir_handle before;

	CHECK_IS(start(&large), WEIR_OK);
	is(WEIR_VM_BUILDING);
	task_sleep(500000);
	before = info_of(&large).vm;
	CHECK_IS(restart(&large), WEIR_OK);
	is(WEIR_VM_DYING);
	wait_until(WEIR_VM_REBUILDING);
	CHECK_IS(weir_vm_stop(before), WEIR_STALE);
	CHECK_IS(start(&large), WEIR_BUSY);
}

TEST(a_vm_is_restarted_and_stopped_while_it_is_rebuilt)
{
	task_sleep(1000000);
	is(WEIR_VM_REBUILDING);
	CHECK_IS(restart(&large), WEIR_OK);
	is(WEIR_VM_DYING);
	wait_until(WEIR_VM_REBUILDING);
	CHECK_IS(stop(&large), WEIR_OK);
	wait_until(WEIR_VM_OFF);
}

TEST(the_last_word_counts_while_a_vm_dies)
{
	uint64_t starts = info_of(&large).starts;

	CHECK_IS(start(&large), WEIR_OK);
	CHECK_IS(stop(&large), WEIR_OK);
	CHECK_IS(start(&large), WEIR_BUSY);
	CHECK_IS(restart(&large), WEIR_OK);
	CHECK_IS(stop(&large), WEIR_OK);
	is(WEIR_VM_DYING);
	wait_until(WEIR_VM_OFF);
	CHECK_IS(start(&large), WEIR_OK);
	CHECK_IS(restart(&large), WEIR_OK);
	CHECK_IS(stop(&large), WEIR_OK);
	CHECK_IS(restart(&large), WEIR_OK);
	is(WEIR_VM_DYING);
	CHECK_IS(info_of(&large).starts, starts + 2);
	wait_until(WEIR_VM_REBUILDING);
	CHECK_IS(info_of(&large).starts, starts + 3);
}

TEST(after_all_that_it_lives)
{
	target_open(&large);
	meet(&large);
	order(&large, LIFE_SLEEPS, LIFE_BY_MANAGER);
	CHECK_IS(restart(&large), WEIR_OK);
	meet(&large);
}

/* Its steps run there while we command; each moment is another one. */
TEST(a_vm_on_the_other_core_is_ended_at_any_step)
{
	uint64_t starts;

	target_open(&far);
	meet(&far);
	for (uint32_t i = 0; i < 60; i++) {
		enum weir_status status = i % 3 == 2 ? stop(&far) : restart(&far);

		CHECK(status == WEIR_OK || status == WEIR_STALE);
		task_sleep(i % 10 * 300000);
	}
	CHECK_IS(stop(&far), WEIR_OK);
	start_again(&far);
	starts = info_of(&far).starts;
	meet(&far);
	CHECK_IS(far.starts, starts);
}

TEST(the_last_that_ends_is_the_manager)
{
	CHECK_IS(stop(&large), WEIR_OK);
	CHECK_IS(stop(&far), WEIR_OK);
	wait_until(WEIR_VM_OFF);
	CHECK(WAIT(is_off(&far)));
	task_sleep(5000000);
	is(WEIR_VM_OFF);
	CHECK(is_off(&far));
}

TESTS = {
	RUN(each_vm_has_its_place_and_name),
	RUN(a_vm_is_stopped_while_it_is_built_for_the_first_time),
	RUN(calls_about_no_vm_are_refused),
	RUN(a_vm_is_restarted_while_it_is_built),
	RUN(a_vm_is_restarted_and_stopped_while_it_is_rebuilt),
	RUN(the_last_word_counts_while_a_vm_dies),
	RUN(after_all_that_it_lives),
	RUN(a_vm_on_the_other_core_is_ended_at_any_step),
	RUN(the_last_that_ends_is_the_manager),
};
TESTS_MAIN
