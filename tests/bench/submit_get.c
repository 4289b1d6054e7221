/* Whom the commands of submit_put.c reach: shares two pages, and sleeps until the other is off. */
#include "tests/bench/grant.h"

int main(void)
{
	weir_handle grant;
	bool open = true;

	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK ||
	    weir_grant_share(port, 0, 2, WEIR_READ_WRITE, &grant) != WEIR_OK)
		return 1;
	weir_port_publish(port, grant);
	while (weir_port_peer(port, NULL, &open) == WEIR_OK && open)
		event_wait(port, TASK_FOREVER);
	return 0;
}
