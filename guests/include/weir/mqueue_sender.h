/*
 * Message queues, a sender: joins an inbox, sends, and takes answers. mqueue.h says how senders and receiver work
 * together, what each status means, and what may be called from where. Since ABI 1.
 */
#pragma once

#include <weir/mqueue_turns.h>

struct weir_sender {
	/* The caller's, before it is opened first. */
	enum weir_priority priority;
	struct weir_channel channel; /* of it the caller's groups, and `deadline` */

	struct weir_service_link link; /* the sender's; not on a channel of the manifest */
	bool has_news; /* the last step has left some of the store's changes: the next is due without an event */
};

/* The first record of the lane. */
static inline enum weir_status weir_sender_greet(struct weir_sender *sender)
{
	struct weir_mqueue_hello hello = { WEIR_MQUEUE_MAGIC, (uint64_t)sender->priority };

	return weir_channel_try_send(&sender->channel, &hello, sizeof(hello));
}

/* One step of opening, at the first call and at each event of the port. WEIR_AGAIN: not yet. */
static inline enum weir_status weir_sender_try_open(struct weir_sender *sender,
						    const struct weir_pages *pages,
						    struct weir_space *space, const char *name)
{
	enum weir_status status;

	if (!sender->channel.window_pages)
		sender->channel.window_pages = 2;
	status = weir_channel_try_open(&sender->channel, pages, space, name);
	if (status == WEIR_OK)
		status = weir_sender_greet(sender);
	/* The receiver was there, and has gone. */
	return status == WEIR_CLOSED && sender->channel.state == WEIR_CHANNEL_ENDED ? WEIR_AGAIN
										    : status;
}

/*
 * Joins the inbox at the other end of the channel that the manifest calls `name`, and waits for it. What was
 * open before is given up.
 */
static inline enum weir_status weir_sender_open(struct weir_sender *sender,
						const struct weir_pages *pages,
						struct weir_space *space, const char *name)
{
	enum weir_status status;

	while ((status = weir_sender_try_open(sender, pages, space, name)) == WEIR_AGAIN) {
		status = weir_channel_sleep(&sender->channel, weir_channel_arm_open);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Why there was no room; or the message is in the lane, and the receiver may have gone. */
WEIR_RING_LONG enum weir_status weir_sender_look(struct weir_channel *channel,
						 enum weir_status status)
{
	if (weir_channel_check(channel) != WEIR_OK)
		return WEIR_CLOSED;
	return weir_channel_ring(channel, status);
}

/*
 * What a receiver wants that has armed once is never 0: so no other word of its page has to be read to find out
 * that it has gone.
 */
WEIR_RING_SHORT enum weir_status weir_sender_try_send(struct weir_sender *sender, const void *data,
						      uint64_t bytes)
{
	struct weir_channel *channel = &sender->channel;
	enum weir_status status = weir_ring_write(&channel->out, data, bytes, 0);
	uint64_t wanted;

	if (status != WEIR_OK)
		return weir_sender_look(channel, status);
	if (weir_ring_publish_new(&channel->out, &wanted))
		return weir_channel_kick(channel, true);
	return wanted ? WEIR_OK : weir_sender_look(channel, WEIR_OK);
}

/* Sends a message, which is `data` as it is now. */
WEIR_RING_SHORT enum weir_status weir_sender_send(struct weir_sender *sender, const void *data,
						  uint64_t bytes)
{
	enum weir_status status;

	while ((status = weir_sender_try_send(sender, data, bytes)) == WEIR_AGAIN) {
		sender->channel.wanted_bytes = bytes;
		status = weir_channel_sleep(&sender->channel, weir_channel_arm_room);
		if (status != WEIR_OK)
			return status;
	}
	return status;
}

/* Waits for the next answer. */
static inline enum weir_status weir_sender_answer(struct weir_sender *sender, void *buffer,
						  uint64_t room, uint32_t *bytes)
{
	return weir_channel_receive(&sender->channel, buffer, room, bytes);
}

/* Waits until all that was sent has been received. */
static inline enum weir_status weir_sender_drain(struct weir_sender *sender)
{
	return weir_channel_drain(&sender->channel);
}

/* Leaves the inbox. What was not received is lost: weir_sender_drain() first. */
static inline void weir_sender_close(struct weir_sender *sender)
{
	weir_channel_close(&sender->channel);
	if (sender->link.port) {
		weir_service_leave(&sender->link);
		sender->channel.port = 0;
	}
}

/* Looks how far the connection is; if it is over before the lane was open, asks anew. */
static inline enum weir_status weir_sender_connect(struct weir_sender *sender,
						   const struct weir_pages *pages, const char *path)
{
	enum weir_status status;
	bool open = false;

	sender->has_news = !weir_service_drain(WEIR_INBOX_BOUND);
	if (sender->link.joined) {
		/* One look: whatever goes by the port has to end before the port does. */
		weir_port_peer(sender->link.port, NULL, &open);
		if (open)
			return WEIR_OK;
		weir_sender_close(sender);
	}
	status = weir_service_connect(pages, path, NULL, 0, &sender->link);
	if (status == WEIR_CLOSED)
		status = weir_service_connect(pages, path, NULL, 0, &sender->link);
	return status;
}

/*
 * Joins the inbox that the VM of `path`, "VM/NAME", offers: one step, at first, at each event of the store's port and of
 * sender->link.port, and soon if sender->has_news. What was open before is given up. WEIR_AGAIN: not yet. Errors
 * besides: those of weir_service_connect().
 */
static inline enum weir_status weir_sender_try_join(struct weir_sender *sender,
						    const struct weir_pages *pages,
						    struct weir_space *space, const char *path)
{
	struct weir_channel *channel = &sender->channel;
	enum weir_status status = WEIR_OK;

	if (channel->state == WEIR_CHANNEL_OPEN || channel->state == WEIR_CHANNEL_ENDED)
		weir_sender_close(sender);
	if (!channel->window_pages)
		channel->window_pages = 2;
	if (!channel->own)
		status = weir_channel_take(channel, space);
	if (status == WEIR_OK)
		status = weir_sender_connect(sender, pages, path);
	if (status != WEIR_OK)
		return status;
	channel->port = sender->link.port;
	status = weir_channel_try_join(channel);
	if (status == WEIR_OK)
		status = weir_sender_greet(sender);
	return status == WEIR_CLOSED ? WEIR_AGAIN : status;
}
