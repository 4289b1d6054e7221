/*
 * Signal, one of two: rings a bell a hundred times. A signal carries nothing, and those that the other
 * VM has not seen yet become one: an event means "look again". So what there is to see stands elsewhere;
 * here it is one word, which is published with each signal.
 */
#include <guest.h>

#define TIMES 100u

int main(void)
{
	weir_handle bell;

	if (weir_port_find(weir_here(), "bell", &bell) != WEIR_OK)
		return 1;
	for (uint64_t count = 1; count <= TIMES; count++) {
		weir_port_publish(bell, count);
		if (count % 10 == 0)
			task_sleep(1000000);
	}
	/* It stays until the other has heard the last one. */
	for (uint64_t heard = 0; heard < TIMES; weir_port_peer(bell, &heard, NULL))
		event_wait(bell, TASK_FOREVER);
	printf("rang %u times\n", TIMES);
	return 0;
}
