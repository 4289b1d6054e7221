/* Signal, the other: sleeps until the bell rings, until the one who rings it has gone. */
#include <guest.h>

int main(void)
{
	uint64_t count = 0, woken = 0;
	bool open = true;
	weir_handle bell;

	if (weir_port_find(weir_here(), "bell", &bell) != WEIR_OK)
		return 1;
	while (open) {
		uint64_t word = 0;

		weir_port_peer(bell, &word, &open);
		if (word > count) {
			count = word;
			woken++;
			weir_port_publish(bell, count);
		}
		if (open)
			event_wait(bell, TASK_FOREVER);
	}
	printf("heard the bell until it had rung %lu times\n", count);
	return woken == 0 || woken > count;
}
