/*
 * What the benchmark guests share: the counter, an interrupt vector that costs next to nothing, and
 * the lines that tools/bench reads.
 *
 * One tick of the counter is one executed instruction of any core (README.md). A guest measures
 * with interrupts masked and takes them only inside of wait_*, whose assembly says that all
 * registers a call may change are lost: so the vector saves none and reads the counter first of
 * all.
 *
 * Lines, each with the VM's name in front:
 *   row NAME CALLS TICKS...   samples, each the ticks of so many calls
 *   from NAME TICKS...        the counter where the i-th passage began in one VM,
 *   to NAME TICKS...          and where it ended in another
 */
#pragma once

#include "guests/lib/runtime.h"
#include "tests/bench/mark.h"
#include "tests/guest/bootargs.h"

#define SAMPLES	 21u
#define WARM_UP	 4u /* passages before the first that counts */
#define PASSAGES (SAMPLES + WARM_UP)

#define NUMBERS_PER_LINE 7u
#define INTID_VTIMER	 27u

static inline uint64_t ticks(void)
{
	uint64_t now;

	/* Without ISB: an instruction is a tick, and nothing is read ahead of time. */
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(now)::"memory");
	return now;
}

static inline void spin_yield(void)
{
	__asm__ volatile("yield" ::: "memory");
}

/* ---- Reports --------------------------------------------------------------------------------- */

static inline void report_row(const char *name, uint32_t calls, const uint64_t *samples,
			      uint32_t count)
{
	MARK("row");
	for (uint32_t i = 0; i < count; i += NUMBERS_PER_LINE) {
		printf("row %s %u", name, calls);
		for (uint32_t k = i; k < count && k < i + NUMBERS_PER_LINE; k++)
			printf(" %lu", samples[k]);
		printf("\n");
	}
}

/* Without the passages that warm up. */
static inline void report_ends(const char *which, const char *name, const uint64_t *at)
{
	for (uint32_t i = WARM_UP; i < PASSAGES; i += NUMBERS_PER_LINE) {
		printf("%s %s", which, name);
		for (uint32_t k = i; k < PASSAGES && k < i + NUMBERS_PER_LINE; k++)
			printf(" %lu", at[k]);
		printf("\n");
	}
}

/* ---- Interrupts ------------------------------------------------------------------------------ */

/* What the last interrupt of this vCPU left. */
struct taken {
	uint64_t at;	/* the counter at the vector's first instruction */
	uint32_t intid; /* valid when `count` has changed */
	uint32_t count;
};

/*
 * Called by the vector, for each interrupt, before end of interrupt. Each guest defines it; `at` is
 * the counter at the vector's first instruction.
 */
static void on_interrupt(uint64_t at, uint32_t intid);

void lean_interrupt(uint64_t at, uint64_t intid);
extern uint8_t lean_vectors[];

void lean_interrupt(uint64_t at, uint64_t intid)
{
	if (intid >= 1020)
		return;
	on_interrupt(at, (uint32_t)intid);
	__asm__ volatile("msr s3_0_c12_c12_1, %0" ::"r"(intid) : "memory"); /* ICC_EOIR1 */
}

/* All but the interrupt of a task (0x080) goes to the library's vectors. */
__asm__(".pushsection .text.lean_vectors, \"ax\"\n"
	"	.balign 2048\n"
	"lean_vectors:\n"
	"	b	vectors\n"
	"	.balign 128\n" MARK_TEXT("to vector") "	mrs	x0, cntvct_el0\n"
						      "	mrs	x1, s3_0_c12_c12_0\n" /* ICC_IAR1 */
						      "	bl	lean_interrupt\n"
						      "	eret\n"
						      "	.set	lean_offset, 0x100\n"
						      "	.rept	14\n"
						      "	.balign 128\n"
						      "	b	vectors + lean_offset\n"
						      "	.set	lean_offset, lean_offset + 0x80\n"
						      "	.endr\n"
						      "	.popsection\n");

/*
 * Among 62 VMs more: until these have started, and sleep. Without WFI and timer, so that what is measured is as in a VM
 * that has used neither.
 */
static __attribute__((noinline, unused)) void settle(void)
{
	uint64_t start = ticks();

	while (bootargs_number("settle", 0) && ticks() - start < 40000000)
		spin_yield();
}

/* From here on this vCPU masks interrupts and takes them by the vector above. */
static inline void lean_start(void)
{
	irq_save();
	__asm__ volatile("msr vbar_el1, %0\n\tisb" ::"r"(lean_vectors) : "memory");
}

/* What a call may change, but x18, which nothing here uses. */
#define LOST                                                                                    \
	"x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", \
		"x14", "x15", "x16", "x17", "x30", "cc", "memory"

/* Takes interrupts until `*word` is not `old` any more; the other cores run meanwhile. */
#define WAIT_LOOP                \
	"1:	ldr	w9, [%[word]]\n" \
	"	cmp	w9, %w[old]\n"     \
	"	b.ne	2f\n"             \
	"	yield\n"               \
	"	b	1b\n"                \
	"2:	msr	daifset, #2\n"

static inline void wait_change(const uint32_t *word, uint32_t old)
{
	__asm__ volatile("	msr	daifclr, #2\n" WAIT_LOOP ::[word] "r"(word), [old] "r"(old)
			 : LOST);
}

/* The same, asleep. An interrupt that comes before the WFI ends it, for it is masked until then. */
static inline void sleep_change(const uint32_t *word, uint32_t old)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == old)
		__asm__ volatile("dsb sy\n\twfi\n\tmsr daifclr, #2\n\tisb\n\tmsr daifset, #2" ::
					 : LOST);
}
