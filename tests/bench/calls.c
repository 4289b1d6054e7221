/*
 * What one vCPU does alone, the other core asleep: calls, trapped accesses, an SGI to itself, its
 * timer.
 */
#include "tests/bench/bench.h"

#define BATCH	   500u
#define SGI	   1u
#define TIMER_LEAD 4000u /* ticks from setting the timer to its deadline */

#define PSCI_VERSION   0x84000000u
#define GICD_CTLR      (GICD_BASE + 0x0000)
#define GICD_ISENABLER (GICD_BASE + 0x0100 + 2 * 4) /* SPIs that nothing raises */
#define GICR_CTLR      (GICR_BASE + 0x0000)
#define UART_FR	       (UART_BASE + 0x18)

static struct taken taken;

static void on_interrupt(uint64_t at, uint32_t intid)
{
	if (intid == INTID_VTIMER)
		__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
	taken.at = at;
	taken.intid = intid;
	taken.count++;
}

/* Each returns the ticks of BATCH calls; the loops have 2 instructions, the calls 1 to 3. */

static uint64_t null_calls(void)
{
	uint64_t count = BATCH, start = ticks(), status;

	/* What is no argument must be 0; x1 comes back as a result, x2 to x6 as they were. */
	__asm__ volatile("	mov	x2, xzr\n"
			 "	mov	x3, xzr\n"
			 "	mov	x4, xzr\n"
			 "	mov	x5, xzr\n"
			 "	mov	x6, xzr\n"
			 "1:	mov	w0, %w[fn]\n"
			 "	mov	x1, xzr\n"
			 "	hvc	#0\n"
			 "	subs	%[count], %[count], #1\n"
			 "	b.ne	1b\n"
			 "	mov	%[status], x0"
			 : [count] "+r"(count), [status] "=r"(status)
			 : [fn] "r"(WEIR_FN(WEIR_FN_VERSION))
			 : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "cc", "memory");
	return status == WEIR_OK ? ticks() - start : 0;
}

static uint64_t psci_calls(void)
{
	uint64_t count = BATCH, start = ticks();

	__asm__ volatile("1:	mov	w0, %w[fn]\n"
			 "	hvc	#0\n"
			 "	subs	%[count], %[count], #1\n"
			 "	b.ne	1b"
			 : [count] "+r"(count)
			 : [fn] "r"(PSCI_VERSION)
			 : "x0", "x1", "x2", "x3", "cc", "memory");
	return ticks() - start;
}

static uint64_t reads(uint64_t address)
{
	uint64_t count = BATCH, start = ticks();

	__asm__ volatile("1:	ldr	w0, [%[address]]\n"
			 "	subs	%[count], %[count], #1\n"
			 "	b.ne	1b"
			 : [count] "+r"(count)
			 : [address] "r"(address)
			 : "x0", "cc", "memory");
	return ticks() - start;
}

static uint64_t writes(uint64_t address, uint32_t value)
{
	uint64_t count = BATCH, start = ticks();

	__asm__ volatile("1:	str	%w[value], [%[address]]\n"
			 "	subs	%[count], %[count], #1\n"
			 "	b.ne	1b"
			 : [count] "+r"(count)
			 : [address] "r"(address), [value] "r"(value)
			 : "cc", "memory");
	return ticks() - start;
}

static uint64_t gicd_reads(void)
{
	return reads(GICD_CTLR);
}

static uint64_t gicr_reads(void)
{
	return reads(GICR_CTLR);
}

static uint64_t uart_reads(void)
{
	return reads(UART_FR);
}

static uint64_t gicd_writes_of_zero(void)
{
	return writes(GICD_ISENABLER, 0);
}

static uint64_t gicd_writes_of_a_bit(void)
{
	return writes(GICD_ISENABLER, 1);
}

/* From before the write of ICC_SGI1R_EL1 to the vector. */
static uint64_t sgi_to_self(void)
{
	uint64_t start;

	__asm__ volatile("	msr	daifclr, #2\n"
			 "	mrs	%[start], cntvct_el0\n"
			 "	msr	s3_0_c12_c11_5, %[sgi]\n"
			 "	isb\n" WAIT_LOOP
			 : [start] "=&r"(start)
			 : [word] "r"(&taken.count), [old] "r"(taken.count),
			   [sgi] "r"((uint64_t)SGI << 24 | 1)
			 : LOST);
	return taken.at - start;
}

/* From the deadline to the vector. */
static uint64_t timer_passes(void)
{
	uint64_t deadline = ticks() + TIMER_LEAD;

	__asm__ volatile("msr cntv_cval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(deadline),
			 "r"(1ul));
	wait_change(&taken.count, taken.count);
	return taken.at - deadline;
}

static uint64_t passage(uint64_t (*run)(void))
{
	uint64_t passed;

	MARK("from");
	passed = run();
	MARK("to");
	return passed;
}

static void measure(const char *name, uint32_t calls, uint64_t (*run)(void))
{
	uint64_t sample[SAMPLES];

	for (uint32_t i = 0; i < WARM_UP; i++)
		passage(run);
	for (uint32_t i = 0; i < SAMPLES; i++)
		sample[i] = passage(run);
	report_row(name, calls, sample, SAMPLES);
}

static void ignore(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
}

int main(void)
{
	irq_handle(SGI, ignore, NULL);
	settle();
	lean_start();
	measure("hypercall.null", BATCH, null_calls);
	measure("psci.version", BATCH, psci_calls);
	measure("mmio.gicd_read", BATCH, gicd_reads);
	measure("mmio.gicr_read", BATCH, gicr_reads);
	measure("mmio.gicd_isenabler_write", BATCH, gicd_writes_of_zero);
	measure("mmio.gicd_isenabler_write_set", BATCH, gicd_writes_of_a_bit);
	measure("mmio.uart_read", BATCH, uart_reads);
	measure("sgi.self", 1, sgi_to_self);
	measure("timer.latency", 1, timer_passes);
	return 0;
}
