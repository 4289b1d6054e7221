/*
 * Message queues of the runtime: tasks wait for an inbox, whose news are told by the handlers of its lanes' ports and
 * of that of the store.
 *
 * Owns: the VM's port of kind WEIR_PORT_STORE, which all inboxes and senders have in common.
 */
#include "guests/lib/guest.h"

#define OFFERED_MAX 8u

static weir_handle store_port; /* 0: not opened yet */
static struct weir_inbox *offered[OFFERED_MAX];
static uint32_t news; /* events of the store, and of ports of senders that join */

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

static void count_news(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	__atomic_fetch_add(&news, 1, __ATOMIC_RELEASE);
}

static void store_event(weir_handle port, void *arg)
{
	count_news(port, arg);
	for (uint32_t i = 0; i < OFFERED_MAX && offered[i]; i++)
		weir_inbox_store_event(offered[i]);
}

static enum weir_status open_store(void)
{
	enum weir_status status = store_port ? WEIR_OK : weir_port_open_store(&store_port);

	if (status == WEIR_OK)
		event_handle(store_port, store_event, NULL);
	return status;
}

enum weir_status inbox_offer(struct weir_inbox *inbox, const char *name)
{
	enum weir_status status = open_store();
	uint32_t i = 0;

	if (status != WEIR_OK)
		return status;
	while (i < OFFERED_MAX && offered[i] && offered[i] != inbox)
		i++;
	if (i == OFFERED_MAX)
		return WEIR_QUOTA;
	offered[i] = inbox;
	return weir_inbox_offer(inbox, weir_here(), memory_shared(), name);
}

static bool has_other_news(void *seen)
{
	return __atomic_load_n(&news, __ATOMIC_ACQUIRE) != *(uint32_t *)seen;
}

/*
 * False: the deadline has passed. If the store has more changes at once than a step takes, no event tells of them: the
 * next step comes when the other tasks had their turn. Who makes them for ever does not move the deadline.
 */
static bool wait_for_news(const struct weir_sender *sender, uint32_t seen)
{
	uint64_t deadline = sender->channel.deadline;

	if (sender->has_news)
		task_yield();
	else if (!task_wait(has_other_news, &seen, deadline))
		return false;
	return !deadline || timer_now() < deadline;
}

enum weir_status sender_join(struct weir_sender *sender, const char *path)
{
	enum weir_status status = open_store();
	weir_handle heard = 0;
	uint32_t seen;

	if (!sender->channel.wait)
		sender->channel.wait = channel_wait;
	while (status == WEIR_OK) {
		seen = __atomic_load_n(&news, __ATOMIC_ACQUIRE);
		status = weir_sender_try_join(sender, weir_here(), memory_shared(), path);
		if (status != WEIR_AGAIN)
			return status;
		status = WEIR_OK;
		if (sender->link.port && sender->link.port != heard) {
			/* What has happened at a new port until now nobody heard: look again. */
			heard = sender->link.port;
			event_handle(heard, count_news, NULL);
		} else if (!wait_for_news(sender, seen)) {
			status = WEIR_TIMEOUT;
		}
	}
	return status;
}
