/* Prints as fast as it can, until somebody stops it. */
#include <guest.h>

int main(void)
{
	for (unsigned int i = 0;; i++)
		printf("line %u, and there is no end to it\n", i);
}
