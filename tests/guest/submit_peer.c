/* The other side of submit.c: grants pages, and tells what is in them. */
#include "tests/guest/submit_commands.h"
#include "tests/guest/tap.h"

static weir_handle control, grant;
static uint64_t *memory;

static uint64_t share(enum weir_access access)
{
	memory = (uint64_t *)weir_region(WEIR_REGION_POOL).base;
	for (uint32_t i = 0; i < PEER_PAGES * PAGE_SIZE / 8; i++)
		memory[i] = PEER_WORD;
	if (weir_grant_share(control, 0, PEER_PAGES, access, &grant) != WEIR_OK)
		return PEER_SAYS;
	return grant;
}

static uint64_t answer(uint64_t command)
{
	switch (command) {
	case PEER_SHARE:
		return share(WEIR_READ_WRITE);
	case PEER_SHARE_READ:
		return share(WEIR_READ);
	case PEER_LOOK:
		return PEER_SAYS | memory[PAGE_SIZE / 8];
	default:
		return PEER_SAYS | (weir_grant_revoke(grant) == WEIR_OK);
	}
}

int main(void)
{
	uint64_t command = 0, last = 0;

	weir_port_find(weir_here(), "control", &control);
	while (command != PEER_LEAVE) {
		event_wait(control, TASK_FOREVER);
		weir_port_peer(control, &command, NULL);
		if (command != last && command != PEER_LEAVE)
			weir_port_publish(control, answer(command));
		last = command;
	}
	return 0;
}
