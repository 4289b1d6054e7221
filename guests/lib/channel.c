/*
 * Channels of the runtime: a task waits for one by event_wait, which keeps an event that came before.
 *
 * Owns: the one struct weir_space of the guest.
 */
#include "guests/lib/guest.h"

static struct weir_space space;

struct weir_space *memory_shared(void)
{
	if (!space.pool)
		weir_space_init(&space);
	return &space;
}

bool channel_wait(struct weir_channel *channel)
{
	if (weir_channel_arm(channel) != WEIR_AGAIN)
		return true;
	return event_wait(channel->port, channel->deadline);
}

enum weir_status page_ring_open(struct weir_page_ring *ring, const char *name)
{
	if (!ring->channel.wait)
		ring->channel.wait = channel_wait;
	return weir_page_ring_open(ring, weir_here(), memory_shared(), name);
}

enum weir_status channel_open(struct weir_channel *channel, const char *name)
{
	if (!channel->wait)
		channel->wait = channel_wait;
	return weir_channel_open(channel, weir_here(), memory_shared(), name);
}
