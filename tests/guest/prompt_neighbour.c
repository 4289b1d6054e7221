/* Prints a line when it is told to (prompt.c). */
#include <guest.h>

int main(void)
{
	weir_handle port;

	if (weir_port_find(weir_here(), "ask", &port) != WEIR_OK)
		return 1;
	event_wait(port, TASK_FOREVER);
	printf("here I am\n");
	return 0;
}
