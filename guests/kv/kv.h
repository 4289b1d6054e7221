/*
 * A small key-value device as a split driver: the back end, in one VM, has the table; front ends, in others, ask
 * for it. What they say to each other is here, and the same by queue (queue_*.c) and by rings (rings_*.c).
 */
#pragma once

#include <guest.h>

#define KV_KEY_BYTES   16u
#define KV_VALUE_BYTES 48u
#define KV_FRONT_ENDS  2u

enum kv_operation {
	KV_PUT = 1,
	KV_GET = 2,
	KV_DELETE = 3,
	KV_BYE = 4, /* this front end has nothing more to ask */
};

struct kv_request {
	uint64_t number; /* the front end's: the reply has it too */
	uint64_t operation;
	char key[KV_KEY_BYTES];	    /* 0-terminated */
	char value[KV_VALUE_BYTES]; /* PUT */
};

struct kv_reply {
	uint64_t number;
	int64_t status; /* WEIR_OK, WEIR_NOT_FOUND (get), WEIR_QUOTA (put), WEIR_INVALID */
	char value[KV_VALUE_BYTES];
};
