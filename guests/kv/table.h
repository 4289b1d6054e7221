/* The device itself: a table that is searched from its beginning. Requests come from VMs that may lie. */
#pragma once

#include "guests/kv/kv.h"

#define KV_ENTRIES 64u

static struct kv_entry {
	char key[KV_KEY_BYTES]; /* empty: the entry is free */
	char value[KV_VALUE_BYTES];
} kv_entries[KV_ENTRIES];

static uint64_t kv_served, kv_gone; /* kv_gone: bit n: front end n has said goodbye */

static inline struct kv_entry *kv_find(const char *key)
{
	for (uint32_t i = 0; i < KV_ENTRIES; i++)
		if (strncmp(kv_entries[i].key, key, KV_KEY_BYTES) == 0)
			return &kv_entries[i];
	return NULL;
}

static inline enum weir_status kv_put(const struct kv_request *request)
{
	struct kv_entry *entry = kv_find(request->key);

	if (!entry)
		entry = kv_find("");
	if (!entry)
		return WEIR_QUOTA;
	memcpy(entry->key, request->key, KV_KEY_BYTES);
	memcpy(entry->value, request->value, KV_VALUE_BYTES);
	return WEIR_OK;
}

static inline enum weir_status kv_do(uint32_t front_end, const struct kv_request *request,
				     struct kv_reply *reply)
{
	struct kv_entry *entry;

	if (request->operation == KV_BYE) {
		kv_gone |= 1ul << front_end;
		return WEIR_OK;
	}
	if (!request->key[0] || request->key[KV_KEY_BYTES - 1])
		return WEIR_INVALID;
	if (request->operation == KV_PUT)
		return kv_put(request);
	entry = kv_find(request->key);
	if (request->operation == KV_DELETE) {
		if (entry)
			memset(entry, 0, sizeof(*entry));
		return WEIR_OK;
	}
	if (request->operation != KV_GET)
		return WEIR_INVALID;
	if (entry)
		memcpy(reply->value, entry->value, KV_VALUE_BYTES);
	return entry ? WEIR_OK : WEIR_NOT_FOUND;
}

/* `front_end` is the number of who asks, by where it came from: what it says of itself may be a lie. */
static inline void kv_serve(uint32_t front_end, const struct kv_request *request,
			    struct kv_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	reply->number = request->number;
	reply->status = kv_do(front_end, request, reply);
	kv_served++;
}

/* All front ends have said goodbye, each for itself: the back end ends. */
static inline bool kv_all_done(void)
{
	return kv_gone == (1ul << KV_FRONT_ENDS) - 1;
}
