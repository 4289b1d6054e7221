/*
 * What a front end's VM does with the device, whichever way its requests go: it puts, gets and deletes, and checks
 * each reply. The second front end dies in the middle of its first life. How often it has lived it keeps in the
 * device, which is there while it is not.
 */
#pragma once

#include "guests/kv/kv.h"

#define KV_ROUNDS    200u
#define SYSTEM_RESET 0x84000009u

/* The front end: finds the device, or finds it again; says what the back end answers, or why there is no answer. */
static enum weir_status kv_connect(const char *name);
static enum weir_status kv_ask(const struct kv_request *request, struct kv_reply *reply);

static const char *kv_name; /* of the channel to the device */
static uint64_t kv_asked, kv_wrong, kv_again;

/* Asks until there is an answer: whatever is asked may be asked twice. */
static struct kv_reply kv_call(enum kv_operation operation, const char *key, uint64_t value)
{
	struct kv_request request = { .number = ++kv_asked, .operation = operation };
	struct kv_reply reply = { 0 };

	memcpy(request.key, key, strlen(key));
	memcpy(request.value, &value, sizeof(value));
	while (kv_ask(&request, &reply) != WEIR_OK || reply.number != request.number) {
		if (operation == KV_BYE)
			break; /* the back end may end as soon as it has heard that */
		kv_again++;
		kv_connect(kv_name);
	}
	return reply;
}

static void kv_expect(struct kv_reply reply, enum weir_status status, uint64_t value)
{
	uint64_t got;

	memcpy(&got, reply.value, sizeof(got));
	kv_wrong += reply.status != status || got != value;
}

static void kv_round(const char *key, uint64_t i)
{
	kv_expect(kv_call(KV_GET, key, 0), WEIR_NOT_FOUND, 0);
	kv_expect(kv_call(KV_PUT, key, i), WEIR_OK, 0);
	kv_expect(kv_call(KV_PUT, key, i * i), WEIR_OK, 0);
	kv_expect(kv_call(KV_GET, key, 0), WEIR_OK, i * i);
	kv_expect(kv_call(KV_DELETE, key, 0), WEIR_OK, 0);
}

int main(void)
{
	char own[] = "own-0", lives[] = "lives-0";
	weir_handle port;
	bool second = weir_port_find(weir_here(), "kv0", &port) != WEIR_OK, first_life;

	kv_name = second ? "kv1" : "kv0";
	own[4] = lives[6] = kv_name[2];
	if (kv_connect(kv_name) != WEIR_OK)
		return 1;
	first_life = kv_call(KV_GET, lives, 0).status == WEIR_NOT_FOUND;
	kv_expect(kv_call(KV_PUT, lives, 1), WEIR_OK, 0);
	for (uint32_t i = 0; i < KV_ROUNDS; i++) {
		if (second && first_life && i == KV_ROUNDS / 2)
			weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
		kv_round(own, i);
	}
	kv_call(KV_BYE, own, 0);
	printf("%lu requests, %lu wrong, %lu asked again\n", kv_asked, kv_wrong, kv_again);
	return kv_wrong ? 1 : 0;
}
