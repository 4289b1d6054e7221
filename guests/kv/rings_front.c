/* The front end by rings. It begins each session; the back end follows. */
#include "guests/kv/exercise.h"
#include "guests/kv/rings.h"

static struct link device;

/* The word of the back end that follows on ours is of this session. */
static enum weir_status kv_connect(const char *name)
{
	weir_handle old = device.peer_grant, word;
	enum weir_status status = weir_port_find(weir_here(), name, &device.port);

	if (status != WEIR_OK)
		return status;
	link_drop(&device);
	for (;; event_wait(device.port, TASK_FOREVER)) {
		if (!device.grant)
			status = link_offer(&device);
		/* Each time: a back end that was started meanwhile does not know it. */
		if (status == WEIR_OK)
			status = weir_port_publish(device.port, device.grant);
		if (status != WEIR_OK && status != WEIR_CLOSED)
			return status;
		word = link_word(&device);
		if (word && word != old && link_attach(&device, word) == WEIR_OK)
			return WEIR_OK;
		link_unmap(&device);
		status = WEIR_OK;
	}
}

static enum weir_status kv_ask(const struct kv_request *request, struct kv_reply *reply)
{
	enum weir_status status;

	if (!link_intact(&device))
		return WEIR_CLOSED;
	status = link_try_send(&device, request, sizeof(*request));
	if (status != WEIR_OK)
		return WEIR_CLOSED; /* one request at a time always has room */
	while ((status = link_try_receive(&device, reply, sizeof(*reply))) == WEIR_AGAIN) {
		if (weir_ring_arm_read(&device.in) == WEIR_AGAIN)
			event_wait(device.port, TASK_FOREVER);
		if (!link_intact(&device))
			return WEIR_CLOSED;
	}
	return status;
}
