/* The first guest: says hello, and turns its VM off. */
#include <guest.h>

int main(void)
{
	if (!weir_present()) {
		printf("no Weir here\n");
		return 1;
	}
	printf("hello from vCPU %u, on Weir with ABI %lu\n", cpu_index(), weir_version());
	return 0;
}
