/*
 * Message queues of the runtime: tasks wait for an inbox, whose lanes are listed by the handlers of their ports.
 */
#include "guests/lib/guest.h"

static void lane_event(weir_handle port, void *arg)
{
	(void)port;
	weir_lane_event(arg);
}

static void listen(struct weir_inbox *inbox, struct weir_lane *lane, bool on)
{
	(void)inbox;
	event_handle(lane->channel.port, on ? lane_event : NULL, on ? lane : NULL);
}

static bool has_news(void *arg)
{
	return !weir_inbox_idle(arg);
}

static bool wait_as_task(struct weir_inbox *inbox)
{
	return task_wait(has_news, inbox, inbox->deadline);
}

void inbox_make(struct weir_inbox *inbox, struct weir_lane *lanes, uint32_t count)
{
	weir_inbox_make(inbox, lanes, count);
	inbox->listen = listen;
	inbox->wait = wait_as_task;
}

enum weir_status inbox_add(struct weir_inbox *inbox, const char *name)
{
	return weir_inbox_add(inbox, weir_here(), memory_shared(), name);
}

enum weir_status sender_open(struct weir_sender *sender, const char *name)
{
	if (!sender->channel.wait)
		sender->channel.wait = channel_wait;
	return weir_sender_open(sender, weir_here(), memory_shared(), name);
}
