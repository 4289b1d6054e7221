/* Prints as fast as it can, each line with the time at which it was begun (test_console.py). */
#include <guest.h>

#define LINES 3000

int main(void)
{
	for (int i = 0; i < LINES; i++)
		printf("stamp %lu: a line like many others\n", timer_now());
	return 0;
}
