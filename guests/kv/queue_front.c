/* The front end by a message queue: a request is a message, its reply the answer. */
#include "guests/kv/exercise.h"

static struct weir_sender sender;

static enum weir_status kv_connect(const char *name)
{
	return sender_open(&sender, name);
}

static enum weir_status kv_ask(const struct kv_request *request, struct kv_reply *reply)
{
	uint32_t bytes;
	enum weir_status status = weir_sender_send(&sender, request, sizeof(*request));

	if (status != WEIR_OK)
		return status;
	return weir_sender_answer(&sender, reply, sizeof(*reply), &bytes);
}
