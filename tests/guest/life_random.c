/*
 * Ends the two VMs that talk (life_chat.c) at random moments, as often and from the seed that the
 * bootargs say ("ends=300 seed=1"); in between it lets them talk. Where time counts instructions and
 * there is no disk a run repeats exactly. A third VM (life_honest.c) works on; it is asked for its report at the end.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/life_manager.h"

#define EXCHANGES 5u  /* of a life that is known to talk */
#define EACH	  10u /* ends, after which both must be heard of */

static struct target left = { .name = "left" }, right = { .name = "right" };
static weir_handle honest;
static uint64_t state;

/* xorshift64* */
static uint64_t random(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull >> 16;
}

static void end_one(struct target *target)
{
	weir_handle vm = info_of(target).vm;
	enum weir_status status;

	switch (random() % 4) {
	case 0:
		status = weir_vm_stop(vm);
		CHECK(status == WEIR_OK || status == WEIR_STALE);
		task_sleep(random() % 1000000);
		break;
	case 1:
		status = weir_vm_start(vm); /* if it is off from before */
		CHECK(status == WEIR_OK || status == WEIR_BUSY || status == WEIR_STALE);
		break;
	default:
		status = weir_vm_restart(vm);
		CHECK(status == WEIR_OK || status == WEIR_STALE);
		break;
	}
}

/* It has exchanged something some times in the life that it has now. */
static bool talks(const struct target *target)
{
	uint64_t word = word_of(target->control);

	return word >> 32 != target->life && (uint32_t)word >= EXCHANGES;
}

/* Whatever they are at: they run, and are heard of from a life that is not known yet. */
static void both_talk(void)
{
	struct target *const each[] = { &left, &right };

	for (uint32_t i = 0; i < 2; i++) {
		each[i]->life = (uint32_t)(word_of(each[i]->control) >> 32);
		CHECK_IS(command_to(each[i], weir_vm_restart), WEIR_OK);
	}
	CHECK(WAIT(talks(&left) && talks(&right)));
	CHECK_IS(state_of(&left), WEIR_VM_RUNNING);
	CHECK_IS(state_of(&right), WEIR_VM_RUNNING);
}

static void find_all(void)
{
	CHECK(target_find(&left) && target_find(&right));
	CHECK_IS(weir_port_find(weir_here(), "left", &left.control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "right", &right.control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "honest", &honest), WEIR_OK);
}

TEST(two_vms_that_end_at_random_moments_come_back_each_time)
{
	uint64_t ends = bootargs_number("ends", 300), work;

	state = bootargs_number("seed", 1) * 0x9e3779b97f4a7c15ull | 1;
	find_all();
	CHECK(WAIT(talks(&left) && talks(&right)));
	for (uint64_t i = 0; i < ends && !tap_failure.line; i++) {
		work = word_of(honest);
		task_sleep(random() % 3000000);
		end_one(random() % 2 ? &left : &right);
		if (random() % 4 == 0)
			end_one(random() % 2 ? &left : &right);
		if (i % EACH == EACH - 1) {
			both_talk();
			CHECK(WAIT(word_of(honest) > work));
		}
	}
	printf("# lives: left %lu, right %lu; %lu turns of the third\n", info_of(&left).starts,
	       info_of(&right).starts, word_of(honest));
}

TEST(the_third_ends_its_work_well)
{
	CHECK_IS(command_to(&left, weir_vm_stop), WEIR_OK);
	CHECK_IS(command_to(&right, weir_vm_stop), WEIR_OK);
	CHECK_IS(weir_port_publish(honest, 1), WEIR_OK);
	CHECK(WAIT(!is_open(honest)));
	CHECK(WAIT(is_off(&left) && is_off(&right)));
}

TESTS = {
	RUN(two_vms_that_end_at_random_moments_come_back_each_time),
	RUN(the_third_ends_its_work_well),
};
TESTS_MAIN
