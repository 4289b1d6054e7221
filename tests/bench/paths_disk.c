/*
 * Looks for the longest path of a disk's interrupt: two vCPUs of each of two VMs have as many
 * requests in flight as they may, more than the disk's queue holds, and the disk answers late, so
 * that many answers are there at once. It reports nothing; the benchmark build of Weir does.
 */
#include "guests/lib/guest.h"

#define IN_FLIGHT 60u
#define BURSTS	  3u

static struct block_request requests[2][IN_FLIGHT];
static uint8_t *buffers;

static void burst(void *arg)
{
	uint32_t cpu = cpu_index();

	(void)arg;
	for (uint32_t round = 0; round < BURSTS; round++) {
		for (uint32_t i = 0; i < IN_FLIGHT; i++) {
			requests[cpu][i] = (struct block_request){
				.operation = WEIR_BLOCK_READ,
				.sector = i,
				.sectors = 1,
				.buffer = buffers + (cpu * IN_FLIGHT + i) * WEIR_SECTOR_SIZE,
			};
			block_start(&requests[cpu][i]);
		}
		for (uint32_t i = 0; i < IN_FLIGHT; i++)
			if (block_wait(&requests[cpu][i]) != WEIR_OK)
				printf("guest: request %u failed\n", i);
	}
}

static bool both_done(void *arg)
{
	(void)arg;
	return __atomic_load_n(&requests[1][IN_FLIGHT - 1].done, __ATOMIC_ACQUIRE);
}

int main(void)
{
	buffers = memory_pages(2 * IN_FLIGHT * WEIR_SECTOR_SIZE / PAGE_SIZE + 1);
	if (!buffers)
		return 1;
	cpu_start(1, burst, NULL);
	burst(NULL);
	while (!both_done(NULL))
		task_sleep(100000);
	return 0;
}
