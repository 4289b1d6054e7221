/*
 * Looks for the longest path of a disk's interrupt: two vCPUs of each of two VMs have as many
 * requests in flight as they may, more than the disk's queue holds, and the disk answers late, so
 * that many answers are there at once. The second asks by its submission ring, all at once. It reports nothing; the benchmark build of Weir does.
 */
#include <weir/submit.h>
#include "guests/lib/guest.h"

#define IN_FLIGHT 60u
#define BURSTS	  3u

static struct block_request requests[2][IN_FLIGHT];
static uint8_t *buffers;

static void ask(struct weir_submit *ring, struct block_request *request)
{
	request->done = false;
	weir_submit_put_block(ring, 0, request->operation, request->sector,
			      (uint32_t)request->sectors, request->buffer, (uint64_t)request);
}

static void burst(void *arg)
{
	uint32_t cpu = cpu_index();
	struct weir_submit ring;

	(void)arg;
	weir_submit_init(&ring, weir_here());
	for (uint32_t round = 0; round < BURSTS; round++) {
		for (uint32_t i = 0; i < IN_FLIGHT; i++) {
			requests[cpu][i] = (struct block_request){
				.operation = WEIR_BLOCK_READ,
				.sector = i,
				.sectors = 1,
				.buffer = buffers + (cpu * IN_FLIGHT + i) * WEIR_SECTOR_SIZE,
			};
			if (cpu)
				ask(&ring, &requests[cpu][i]);
			else
				block_start(&requests[cpu][i]);
		}
		weir_submit_kick(&ring);
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
