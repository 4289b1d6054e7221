/* What the managers of life_target.c have in common: a target, seen from outside. */
#pragma once

#include <weir/manage.h>
#include "tests/guest/life.h"
#include "tests/guest/peer.h"
#include "tests/guest/tap.h"

#define PAGE_WORDS (PAGE_SIZE / 8)

struct target {
	const char *name;
	uint64_t position; /* in the manifest */
	weir_handle control, data;
	uint32_t life; /* generation of its ports, of the life that said hello last */
	uint32_t seed;
	uint64_t starts;
	uint32_t events;     /* on `data`; counted by the handler */
	uint64_t grant_page; /* of our pool: what it maps, and where we map what it shows */
	weir_handle grant;   /* of that page */
};

static inline struct weir_vm_info info_of(const struct target *target)
{
	struct weir_vm_info info = { 0 };

	weir_vm_info(weir_here(), target->position, &info);
	return info;
}

/* To whatever life it is in: the next one may begin between the two calls. */
static inline enum weir_status command_to(const struct target *target,
					  enum weir_status (*command)(weir_handle vm))
{
	enum weir_status status;

	do
		status = command(info_of(target).vm);
	while (status == WEIR_STALE);
	return status;
}

static inline enum weir_vm_state state_of(const struct target *target)
{
	return info_of(target).state;
}

static inline void count_event(weir_handle port, void *arg)
{
	struct target *target = arg;

	(void)port;
	__atomic_fetch_add(&target->events, 1, __ATOMIC_RELEASE);
}

/* Where it is in the manifest, by its name. */
static inline bool target_find(struct target *target)
{
	struct weir_vm_info info;
	enum weir_status status;

	for (uint64_t i = 0; (status = weir_vm_info(weir_here(), i, &info)) != WEIR_NOT_FOUND;
	     i++) {
		if (status == WEIR_DENIED)
			return false;
		if (status == WEIR_OK && strcmp(info.name, target->name) == 0) {
			target->position = i;
			return true;
		}
	}
	return false;
}

static inline void target_open(struct target *target)
{
	char name[LIFE_NAME_MAX + 8] = { 0 };

	CHECK(target_find(target));
	memcpy(name, target->name, strlen(target->name));
	CHECK_IS(weir_port_find(weir_here(), name, &target->control), WEIR_OK);
	memcpy(name + strlen(target->name), "-data", 6);
	CHECK_IS(weir_port_find(weir_here(), name, &target->data), WEIR_OK);
	event_handle(target->data, count_event, target);
}

/* It says this in a life that is not the one that it said hello in before. */
static inline bool says(const struct target *target, uint32_t what, bool new_life)
{
	uint64_t word = word_of(target->control);

	return LIFE_WHAT(word) == what && (LIFE_LIFE(word) != target->life) == new_life;
}

/* Waits for the next life: it runs, it found all as it should be, and it can be talked to. */
static inline void meet(struct target *target)
{
	struct weir_vm_info info;
	uint64_t word;

	CHECK(WAIT(says(target, LIFE_HELLO, true)));
	word = word_of(target->control);
	CHECK_IS(LIFE_FAILED(word), 0); /* a line of life_target.c */
	CHECK(LIFE_SEED(word) != target->seed);
	CHECK(is_open(target->control) && is_open(target->data));
	CHECK_IS(weir_event_send(target->data), WEIR_OK);
	CHECK_IS(word_of(target->data), 0);
	info = info_of(target);
	CHECK_IS(info.state, WEIR_VM_RUNNING);
	CHECK(info.starts > target->starts);
	target->life = LIFE_LIFE(word);
	target->seed = LIFE_SEED(word);
	target->starts = info.starts;
}

/* Lets it get into a situation; it says when it is there. */
static inline void order(struct target *target, enum life_situation situation, enum life_way way)
{
	if (situation == LIFE_MAPS || situation == LIFE_USES_ALL)
		weir_port_publish(target->data, target->grant);
	CHECK_IS(weir_port_publish(target->control, LIFE_ORDER(situation, way)), WEIR_OK);
	CHECK(WAIT(says(target, LIFE_READY, false)));
	CHECK_IS(LIFE_FAILED(word_of(target->control)), 0);
}

static inline bool is_off(const struct target *target)
{
	return state_of(target) == WEIR_VM_OFF;
}

/* Off: its ends are closed, and it can be started, once. What it said last counts as known. */
static inline void start_again(struct target *target)
{
	struct weir_vm_info info;

	CHECK(WAIT(is_off(target)));
	target->life = LIFE_LIFE(word_of(target->control));
	info = info_of(target);
	CHECK(!is_open(target->control) && !is_open(target->data));
	CHECK_IS(weir_event_send(target->control), WEIR_CLOSED);
	CHECK_IS(weir_port_publish(target->data, 1), WEIR_CLOSED);
	CHECK_IS(weir_vm_stop(info.vm), WEIR_OK);
	CHECK_IS(weir_vm_start(info.vm), WEIR_OK);
}
