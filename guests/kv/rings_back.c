/* The back end by rings, one link to each front end. */
#include "guests/kv/rings.h"
#include "guests/kv/table.h"

#define TURN 16u /* requests of a front end, then those of the next */

static struct link links[KV_FRONT_ENDS];
static weir_handle ports[KV_FRONT_ENDS], followed[KV_FRONT_ENDS];

/* Begins the session that a front end has begun; each word of it is looked at once. */
static bool follow(struct link *link)
{
	weir_handle word = link_word(link);

	if (!word || word == followed[link->number])
		return false;
	followed[link->number] = word;
	link_drop(link);
	if (link_offer(link) == WEIR_OK && link_attach(link, word) == WEIR_OK &&
	    weir_port_publish(link->port, link->grant) == WEIR_OK)
		return true;
	link_drop(link);
	return false;
}

/* Serves one front end for a while. WEIR_AGAIN: it asks nothing, and will be heard. */
static enum weir_status serve(struct link *link)
{
	struct kv_request request;
	struct kv_reply reply;
	enum weir_status status = WEIR_OK;

	if (!link_intact(link) && !follow(link))
		return WEIR_AGAIN;
	for (uint32_t i = 0; i < TURN && status == WEIR_OK; i++) {
		status = link_try_receive(link, &request, sizeof(request));
		if (status != WEIR_OK)
			break;
		kv_serve(link->number, &request, &reply);
		/* Who does not take its replies gets none. */
		if (link_try_send(link, &reply, sizeof(reply)) == WEIR_CLOSED)
			status = WEIR_CLOSED;
	}
	if (status == WEIR_AGAIN)
		status = weir_ring_arm_read(&link->in);
	if (status != WEIR_OK && status != WEIR_AGAIN)
		link_drop(link);
	/* The next session may have begun meanwhile. */
	return status == WEIR_AGAIN && link_intact(link) ? WEIR_AGAIN : WEIR_OK;
}

int main(void)
{
	char name[] = "kv0";
	uint32_t idle, which;

	for (uint32_t i = 0; i < KV_FRONT_ENDS; i++, name[2]++) {
		links[i].number = i;
		if (weir_port_find(weir_here(), name, &links[i].port) != WEIR_OK)
			return 1;
		ports[i] = links[i].port;
	}
	while (!kv_all_done()) {
		idle = 0;
		for (uint32_t i = 0; i < KV_FRONT_ENDS; i++)
			idle += serve(&links[i]) == WEIR_AGAIN;
		if (idle == KV_FRONT_ENDS)
			event_wait_any(ports, KV_FRONT_ENDS, TASK_FOREVER, &which);
	}
	printf("%lu requests served\n", kv_served);
	return 0;
}
