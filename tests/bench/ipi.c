/* An SGI from vCPU 0 to vCPU 1, which has a core of its own: sender's whole call, receiver's path.
 */
#include "tests/bench/bench.h"

#define SGI 1u

static struct taken taken; /* of vCPU 1 */
static uint32_t ready;	   /* passages for which vCPU 1 waits */

static void on_interrupt(uint64_t at, uint32_t intid)
{
	taken.at = at;
	taken.intid = intid;
	__atomic_store_n(&taken.count, taken.count + 1, __ATOMIC_RELEASE);
}

static void ignore(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

static void receive(void *arg)
{
	(void)arg;
	irq_handle(SGI, ignore, NULL);
	lean_start();
	for (uint32_t i = 0; i < PASSAGES; i++) {
		__atomic_store_n(&ready, i + 1, __ATOMIC_RELEASE);
		wait_change(&taken.count, i);
	}
}

static uint64_t send(uint32_t passage)
{
	uint64_t start;

	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) != passage + 1)
		spin_yield();
	spin_yield(); /* the receiver goes into its loop */
	MARK("from ipi.cross_core vector");
	__asm__ volatile("mrs %[start], cntvct_el0\n"
			 "msr s3_0_c12_c11_5, %[sgi]\n"
			 "yield"
			 : [start] "=&r"(start)
			 : [sgi] "r"((uint64_t)SGI << 24 | 2)
			 : "memory");
	while (__atomic_load_n(&taken.count, __ATOMIC_ACQUIRE) != passage + 1)
		spin_yield();
	return taken.at - start;
}

int main(void)
{
	uint64_t sample[PASSAGES];

	lean_start();
	if (cpu_start(1, receive, NULL))
		return 1;
	for (uint32_t i = 0; i < PASSAGES; i++)
		sample[i] = send(i);
	report_row("ipi.cross_core", 1, sample + WARM_UP, SAMPLES);
	return 0;
}
