/* Beside a flood: now and then a line, with the time at which it was begun (test_console.py). */
#include <guest.h>

#define MARKS	 40
#define PAUSE_NS 300000

int main(void)
{
	for (int i = 0; i < MARKS; i++) {
		task_sleep(PAUSE_NS);
		printf("mark %lu: one that is waited for\n", timer_now());
	}
	return 0;
}
