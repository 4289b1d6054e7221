/*
 * The third VM of event_race.c: lives for a moment, sends to both, and starts again until one of them says that
 * it is enough, or both are off.
 */
#include <guest.h>
#include "tests/guest/race_mortal.h"

#define SYSTEM_RESET 0x84000009u
#define LIFE_NS	     50000000ull

int main(void)
{
	weir_handle one, two;
	uint64_t word[2] = { 0 };

	if (weir_port_find(weir_here(), "mortal1", &one) != WEIR_OK ||
	    weir_port_find(weir_here(), "mortal2", &two) != WEIR_OK)
		return 1;
	for (uint64_t end = timer_now() + timer_ticks(LIFE_NS); timer_now() < end;) {
		enum weir_status first = weir_event_send(one), second = weir_event_send(two);

		if (first == WEIR_CLOSED && second == WEIR_CLOSED)
			return 0;
		weir_port_peer(one, &word[0], NULL);
		weir_port_peer(two, &word[1], NULL);
		if (word[0] == MORTAL_ENOUGH || word[1] == MORTAL_ENOUGH)
			return 0;
		task_sleep(200000);
	}
	weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
	return 1;
}
