/*
 * Keeps its submission ring full for ever, until the monitor stops it: one vCPU or two, and with the bootargs
 * fault=1 until it faults in the middle of it, and its VM begins anew.
 */
#include <weir/submit.h>
#include "tests/guest/bootargs.h"
#include "tests/guest/tap.h"

#define ROUNDS 2000u

static void storm(void *arg)
{
	/* What the library takes a completion's cookie for. */
	static struct block_request done;
	uint8_t *pages = (uint8_t *)arg;
	struct weir_submit ring;

	weir_submit_init(&ring, weir_here());
	for (;;) {
		weir_submit_event(&ring, 1); /* no port: as much work as one that is */
		weir_submit_put_copy(&ring, pages, pages + PAGE_SIZE, PAGE_SIZE, (uint64_t)&done);
	}
}

static void fault(void *arg)
{
	uint64_t control;

	(void)arg;
	/* As bad.c: without the MMU, and exception vectors where there is nothing. */
	__asm__ volatile("mrs %0, sctlr_el1" : "=r"(control));
	__asm__ volatile(
		"msr vbar_el1, %0\n\tmsr sctlr_el1, %1\n\tisb\n\tudf #0" ::"r"(0x20000000ul),
		"r"(control & ~1ul)
		: "memory");
}

int main(void)
{
	printf("it storms\n");
	if (bootargs_number("fault", 0))
		timer_set(timer_now() + timer_ticks(30000000), fault, NULL);
	cpu_start(1, storm, memory_pages(2));
	storm(memory_pages(2));
	return 1;
}
