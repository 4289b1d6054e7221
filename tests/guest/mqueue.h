/* What mqueue.c, the receiver, and mqueue_sender.c agree on. */
#pragma once

#include <guest.h>

#define MQUEUE_SENDERS 8u /* two in each VM */
#define MQUEUE_CHANNELS \
	4u /* the first ones have a channel of the manifest each, the others join by name */
#define MQUEUE_NAME "inbox"
#define MQUEUE_PATH "hub/inbox"

struct mqueue_message {
	uint64_t sender;
	uint64_t opened;   /* when its lane was opened, in ticks: grows from session to session */
	uint64_t number;   /* in the session */
	uint64_t timeouts; /* how often a deadline of the sender's has passed in it */
	uint64_t words[32];
};

#define MQUEUE_HEADER 32u

static inline uint64_t mqueue_word(const struct mqueue_message *message, uint32_t i)
{
	return (message->opened + message->number * MQUEUE_SENDERS + message->sender) *
		       0x9e3779b97f4a7c15ull +
	       i;
}

static inline uint32_t mqueue_words(const struct mqueue_message *message)
{
	return (uint32_t)((message->number * 7 + message->sender) % 33);
}

/* The channel of a sender. */
static inline void mqueue_name(uint32_t sender, char *name)
{
	name[0] = 'q';
	name[1] = (char)('0' + sender);
	name[2] = 0;
}
