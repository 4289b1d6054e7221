/*
 * Ends itself: with the MMU off its exception vectors are where there is no memory, so that the
 * first exception can never be handled. Reports nothing; Weir does.
 */
#include "tests/guest/tap.h"

#define NO_MEMORY 0x20000000ul

int main(void)
{
	uint64_t control;

	irq_save();
	__asm__ volatile("mrs %0, sctlr_el1" : "=r"(control));
	__asm__ volatile("msr vbar_el1, %0\n\t"
			 "msr sctlr_el1, %1\n\t"
			 "isb\n\t"
			 "svc #0" ::"r"(NO_MEMORY),
			 "r"(control & ~1ul));
	return 0;
}
