/* The peer of pinned.c, to whom it gives its pages: is there until that is off. Reports nothing. */
#include <guest.h>
#include <weir/event.h>

int main(void)
{
	weir_handle port;
	bool open = true;

	if (weir_port_find(weir_here(), "pinned", &port) != WEIR_OK)
		return 1;
	while (weir_port_peer(port, NULL, &open) == WEIR_OK && open)
		event_wait(port, TASK_FOREVER);
	return 0;
}
