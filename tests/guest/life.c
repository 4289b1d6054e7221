/*
 * The manager of five VMs (life_target.c), on its own core and on the other, less urgent than it,
 * as urgent and more: ends each of them in every situation that life.h has, in every way that there
 * is, and meets it again after each. A sixth stays off when it faults. A second manager
 * (life_second.c) does at the same time what it does.
 */
#include <weir/ring.h>
#include "tests/guest/life_manager.h"

/* How a life ends, as the manager does it. */
enum end {
	END_RESTART,
	END_STOP_AND_START,
	END_FAULT,
	END_RESET,
	END_OFF_AND_START,
	END_TWICE,
	END_STOP_THEN_RESTART,
	END_RESTART_THEN_STOP,
	END_FAULT_AND_RESTART, /* both at the same time */
	END_COUNT,
};

#define STORMS 30u

static struct target low = { .name = "low" }, equal = { .name = "equal" },
		     high = { .name = "high" }, other = { .name = "other" },
		     both = { .name = "both" }, halts = { .name = "halts" };
static struct target *const targets[] = { &low, &equal, &high, &other, &both, &halts };
static weir_handle second;
static struct region pool, window;
static struct weir_ring_consumer ring;
static uint8_t ring_page[PAGE_SIZE];
static char text[16];
static uint32_t text_bytes, text_tag;

static volatile uint64_t *shown(const struct target *target)
{
	return (volatile uint64_t *)(window.base + target->grant_page * PAGE_SIZE);
}

static volatile uint64_t *own_page(const struct target *target)
{
	return (volatile uint64_t *)(pool.base + target->grant_page * PAGE_SIZE);
}

/* What the situation means for us: we map what it shows, it has mapped what we share, ... */
static void take_part(struct target *target, enum life_situation situation)
{
	volatile uint64_t *page = shown(target);
	uint64_t different = 0;

	if (situation == LIFE_SHOWS || situation == LIFE_WRITES_RING)
		CHECK_IS(weir_grant_map(target->data, word_of(target->data), target->grant_page,
					NULL, NULL),
			 WEIR_OK);
	if (tap_failure.line)
		return;
	if (situation == LIFE_SHOWS) {
		for (uint64_t word = 0; word < PAGE_WORDS; word++)
			different += page[word] != life_pattern(target->life, word);
		CHECK_IS(different, 0);
		page[1] = 1;
	}
	if (situation == LIFE_WRITES_RING) {
		CHECK_IS(weir_ring_consumer_init(&ring, ring_page, (const void *)page, PAGE_SIZE),
			 WEIR_OK);
		CHECK_IS(weir_ring_read(&ring, text, sizeof(text), &text_bytes, &text_tag),
			 WEIR_OK);
		CHECK_IS(strcmp(text, "whole"), 0);
		CHECK_IS(weir_ring_read(&ring, text, sizeof(text), &text_bytes, &text_tag),
			 WEIR_AGAIN);
	}
	if (situation == LIFE_HAS_EVENTS) {
		weir_event_send(target->data);
		weir_event_send(target->data);
	}
}

/* What is left of it on our side, once its next life is there. */
static void look_at_remains(struct target *target, enum life_situation situation)
{
	volatile uint64_t *page = shown(target);
	uint64_t all = 0;

	if (tap_failure.line)
		return;
	if (situation == LIFE_SHOWS || situation == LIFE_WRITES_RING) {
		for (uint64_t word = 0; word < PAGE_WORDS; word++)
			all |= page[word];
		CHECK_IS(all, 0);
	}
	if (situation == LIFE_WRITES_RING)
		CHECK_IS(weir_ring_read(&ring, text, sizeof(text), &text_bytes, &text_tag),
			 WEIR_CLOSED);
	if (situation == LIFE_SHOWS || situation == LIFE_WRITES_RING)
		CHECK_IS(weir_grant_unmap(target->grant_page), WEIR_OK);
	if (situation == LIFE_MAPS) {
		/* Nobody maps it any more: it can be taken back, and lent again. */
		CHECK_IS(*own_page(target), life_pattern(0, 0));
		CHECK_IS(weir_grant_revoke(target->grant), WEIR_OK);
		CHECK_IS(weir_grant_share(target->data, target->grant_page, 1, WEIR_READ,
					  &target->grant),
			 WEIR_OK);
	}
}

/* A life that may be over already, by itself or because it was told before. */
static void restart(weir_handle life)
{
	enum weir_status status = weir_vm_restart(life);

	CHECK(status == WEIR_OK || status == WEIR_STALE);
}

static enum life_way way_of(enum end end)
{
	switch (end) {
	case END_FAULT:
	case END_FAULT_AND_RESTART:
		return LIFE_BY_FAULT;
	case END_RESET:
		return LIFE_BY_RESET;
	case END_OFF_AND_START:
		return LIFE_BY_OFF;
	default:
		return LIFE_BY_MANAGER;
	}
}

static void end_life(struct target *target, enum end end)
{
	struct weir_vm_info info = info_of(target);

	switch (end) {
	case END_RESTART:
		CHECK_IS(weir_vm_restart(info.vm), WEIR_OK);
		break;
	case END_STOP_AND_START:
		CHECK_IS(weir_vm_stop(info.vm), WEIR_OK);
		start_again(target);
		CHECK_IS(weir_vm_start(info_of(target).vm), WEIR_BUSY);
		break;
	case END_FAULT:
	case END_RESET:
		weir_event_send(target->control);
		break;
	case END_OFF_AND_START:
		weir_event_send(target->control);
		start_again(target);
		break;
	case END_TWICE:
		CHECK_IS(weir_vm_restart(info.vm), WEIR_OK);
		restart(info.vm);
		break;
	case END_STOP_THEN_RESTART:
		CHECK_IS(weir_vm_stop(info.vm), WEIR_OK);
		CHECK_IS(command_to(target, weir_vm_restart), WEIR_OK);
		break;
	case END_RESTART_THEN_STOP:
		CHECK_IS(weir_vm_restart(info.vm), WEIR_OK);
		CHECK_IS(command_to(target, weir_vm_stop), WEIR_OK);
		start_again(target);
		break;
	case END_FAULT_AND_RESTART:
		weir_event_send(target->control);
		restart(info.vm);
		break;
	case END_COUNT:
		break;
	}
}

static void live_once(struct target *target, enum life_situation situation, enum end end)
{
	weir_handle before = info_of(target).vm;
	uint32_t events;

	order(target, situation, way_of(end));
	take_part(target, situation);
	events = SHARED_READ(target->events);
	end_life(target, end);
	meet(target);
	CHECK(SHARED_READ(target->events) != events);
	CHECK(info_of(target).vm != before);
	CHECK_IS(weir_vm_stop(before), WEIR_STALE);
	CHECK_IS(weir_vm_start(before), WEIR_STALE);
	CHECK_IS(weir_vm_restart(before), WEIR_STALE);
	look_at_remains(target, situation);
	if (tap_failure.line)
		printf("# %s: situation %u, end %u, life %lu\n", target->name, (uint32_t)situation,
		       (uint32_t)end, target->starts);
}

/* Not all: USES_ALL is life_many.c's. */
static bool can(const struct target *target, enum life_situation situation)
{
	if (situation == LIFE_USES_ALL)
		return false;
	if (situation == LIFE_ANSWERS)
		return target == &both;
	if (situation == LIFE_READS)
		return target == &both || target == &other;
	return true;
}

/* Each situation, and the ways in turn, from `first` on. */
static void live_through(struct target *target, uint32_t first)
{
	uint32_t way = first;

	for (uint32_t situation = 0; situation < LIFE_SITUATIONS; situation++)
		if (can(target, situation) && !tap_failure.line)
			live_once(target, situation, way++ % END_COUNT);
}

static void share_own(void)
{
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		struct target *target = targets[i];

		target->grant_page = i;
		for (uint64_t word = 0; word < PAGE_WORDS; word++)
			own_page(target)[word] = life_pattern(0, word);
		CHECK_IS(weir_grant_share(target->data, i, 1, WEIR_READ, &target->grant), WEIR_OK);
	}
}

TEST(all_say_hello_in_their_first_life)
{
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		target_open(targets[i]);
	share_own();
	CHECK_IS(weir_port_find(weir_here(), "second", &second), WEIR_OK);
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		meet(targets[i]);
		CHECK_IS(targets[i]->starts, 1);
	}
}

TEST(a_vm_on_two_cores_dies_in_every_situation_and_way)
{
	for (uint32_t way = 0; way < END_COUNT; way++)
		live_through(&both, way);
}

TEST(a_vm_on_the_other_core_dies_in_every_situation)
{
	live_through(&other, END_RESTART);
	live_through(&other, END_STOP_AND_START);
}

TEST(a_less_urgent_vm_on_the_managers_core_dies_in_every_situation)
{
	live_through(&low, END_STOP_AND_START);
	live_through(&low, END_FAULT);
}

TEST(an_equally_urgent_vm_on_the_managers_core_dies_in_every_situation)
{
	live_through(&equal, END_FAULT);
	live_through(&equal, END_TWICE);
}

/* It has a budget, or it would not let the manager run: it dies while that is exhausted. */
TEST(a_more_urgent_vm_on_the_managers_core_dies_in_every_situation)
{
	live_through(&high, END_STOP_THEN_RESTART);
	live_through(&high, END_RESTART);
}

TEST(a_vm_that_halts_when_it_faults_is_off_until_it_is_started)
{
	order(&halts, LIFE_SHOWS, LIFE_BY_FAULT);
	take_part(&halts, LIFE_SHOWS);
	weir_event_send(halts.control);
	start_again(&halts);
	meet(&halts);
	look_at_remains(&halts, LIFE_SHOWS);
	order(&halts, LIFE_SPINS, LIFE_BY_RESET);
	weir_event_send(halts.control);
	meet(&halts);
}

/* From both cores, at once, without looking what the other one does. */
static void storm(struct target *target)
{
	weir_port_publish(second, target->position << 32 | STORMS);
	for (uint32_t i = 0; i < STORMS; i++) {
		weir_handle vm = info_of(target).vm;
		enum weir_status status;

		status = i % 3 == 0   ? weir_vm_stop(vm)
			 : i % 3 == 1 ? weir_vm_restart(vm)
				      : weir_vm_start(vm);
		CHECK(status == WEIR_OK || status == WEIR_STALE || status == WEIR_BUSY);
		task_sleep(100000 * (i % 7));
	}
	CHECK(WAIT(word_of(second) == target->position));
}

TEST(two_managers_at_once_leave_a_vm_that_comes_back)
{
	struct target *const stormy[] = { &both, &low, &other };

	for (uint32_t i = 0; i < 3 && !tap_failure.line; i++) {
		storm(stormy[i]);
		CHECK_IS(command_to(stormy[i], weir_vm_stop), WEIR_OK);
		start_again(stormy[i]);
		meet(stormy[i]);
		live_once(stormy[i], LIFE_SHOWS, END_RESTART);
	}
}

/* `selfish` restarts itself, resets, stops; started again it ends by itself. */
TEST(a_manager_restarts_and_stops_itself)
{
	struct target selfish = { .name = "selfish" };
	struct weir_vm_info info;

	CHECK(target_find(&selfish));
	CHECK(WAIT(is_off(&selfish)));
	info = info_of(&selfish);
	CHECK_IS(info.starts, 3);
	CHECK_IS(weir_vm_start(info.vm), WEIR_OK);
	CHECK(WAIT(is_off(&selfish) && info_of(&selfish).starts == 4));
}

TEST(the_others_stay_off_and_the_manager_goes_on)
{
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		CHECK_IS(command_to(targets[i], weir_vm_stop), WEIR_OK);
		CHECK(WAIT(is_off(targets[i])));
	}
	weir_port_publish(second, 0);
	CHECK(WAIT(!is_open(second)));
	task_sleep(10000000);
	for (uint32_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
		CHECK(is_off(targets[i]));
}

TESTS = {
	RUN(all_say_hello_in_their_first_life),
	RUN(a_vm_on_two_cores_dies_in_every_situation_and_way),
	RUN(a_vm_on_the_other_core_dies_in_every_situation),
	RUN(a_less_urgent_vm_on_the_managers_core_dies_in_every_situation),
	RUN(an_equally_urgent_vm_on_the_managers_core_dies_in_every_situation),
	RUN(a_more_urgent_vm_on_the_managers_core_dies_in_every_situation),
	RUN(a_vm_that_halts_when_it_faults_is_off_until_it_is_started),
	RUN(two_managers_at_once_leave_a_vm_that_comes_back),
	RUN(a_manager_restarts_and_stops_itself),
	RUN(the_others_stay_off_and_the_manager_goes_on),
};
TESTS_MAIN
