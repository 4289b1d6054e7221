/* The back end by a message queue. */
#include "guests/kv/table.h"

static struct weir_lane lanes[KV_FRONT_ENDS];
static struct weir_inbox inbox;

int main(void)
{
	struct kv_request request;
	struct kv_reply reply;
	struct weir_lane *from;
	uint32_t bytes;

	inbox_make(&inbox, lanes, KV_FRONT_ENDS);
	/* In this order: the number of a lane is that of its front end. */
	inbox_add(&inbox, "kv0");
	inbox_add(&inbox, "kv1");
	while (!kv_all_done()) {
		if (weir_inbox_receive(&inbox, &request, sizeof(request), &bytes, &from) != WEIR_OK)
			return 1;
		/* What is shorter leaves the rest as it was: another front end's. */
		if (bytes != sizeof(request))
			continue;
		kv_serve((uint32_t)(from - lanes), &request, &reply);
		weir_lane_answer(from, &reply, sizeof(reply));
	}
	printf("%lu requests served\n", kv_served);
	return 0;
}
