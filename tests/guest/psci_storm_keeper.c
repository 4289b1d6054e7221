/*
 * Keeps psci_storm.c alive: starts it when it is off, now and then ends it from outside, until it has had as many lives
 * as the bootargs say ("lives=100").
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/life_manager.h"
#include "tests/guest/random.h"

#define SAY	50u /* lives, after which there is a line: a run that goes on for long says so */
#define LOOK_NS 200000

static struct target storm = { .name = "storm" };

/* It may have ended in between, or be on its way. */
static void keep(const struct weir_vm_info *info, struct random *random)
{
	enum weir_status status = WEIR_OK;

	if (info->state == WEIR_VM_OFF)
		status = weir_vm_start(info->vm);
	else if (random_below(random, 100) == 0)
		status = weir_vm_restart(info->vm);
	else if (random_below(random, 100) == 0)
		status = weir_vm_stop(info->vm);
	CHECK(status == WEIR_OK || status == WEIR_STALE || status == WEIR_BUSY);
}

TEST(it_has_all_its_lives)
{
	uint64_t lives = bootargs_number("lives", 100), said = 0;
	struct random random = { bootargs_number("seed", 1) };
	struct weir_vm_info info;

	CHECK(target_find(&storm));
	while (info = info_of(&storm), info.starts < lives && !tap_failure.line) {
		keep(&info, &random);
		if (info.starts >= said + SAY)
			printf("# %lu lives\n", said = info.starts);
		task_sleep(LOOK_NS);
	}
	CHECK_IS(command_to(&storm, weir_vm_stop), WEIR_OK);
	while (!is_off(&storm))
		task_sleep(LOOK_NS);
}

TESTS = {
	RUN(it_has_all_its_lives),
};
TESTS_MAIN
