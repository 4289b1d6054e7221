/*
 * Destroys itself, in another way in each of its lives: tables that point anywhere, stacks in devices, vectors that
 * are not memory, its own code overwritten, illegal returns. What Weir does not end by a fault ends by
 * the second vCPU, which runs outside of all that and resets the VM. In its last life it reports.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/sysreg.h"
#include "tests/guest/tap.h"

#define SYSTEM_RESET 0x84000009u
#define CPU_ON	     0xc4000003u
#define RESCUE_US    1000      /* as long as a way to destroy oneself may take, if not given */
#define KERNEL	     0x80000ul /* from the start of RAM */

#define SCTLR_M	  (1ul << 0)
#define SCTLR_A	  (1ul << 1)
#define SCTLR_C	  (1ul << 2)
#define SCTLR_SA  (1ul << 3)
#define SCTLR_I	  (1ul << 12)
#define SCTLR_WXN (1ul << 19)
#define SCTLR_EE  (1ul << 25)
#define TOGGLES	  1000u

typedef void (*way)(uint64_t argument);

struct destruction {
	way run;
	uint64_t argument;
};

static struct random random;

/* ---- Ways ------------------------------------------------------------------------------------ */

static void touch_all(void)
{
	__asm__ volatile("tlbi vmalle1\n\tdsb sy\n\tisb" ::: "memory");
	for (uint64_t at = 4096; at < 1ull << 39; at += 1ull << 29)
		*(volatile uint64_t *)at;
}

static void tables_at(uint64_t address)
{
	WRITE(ttbr0_el1, address);
	touch_all();
}

/* Every entry a table, a page, a block or nothing, with any attributes, at any address. */
static void tables_at_random(uint64_t seed)
{
	uint64_t *table = memory_pages(8);

	random.state = seed;
	for (uint32_t i = 0; i < 8 * 512; i++) {
		uint64_t word = random_next(&random);

		if (word & 4)
			word = (word & ~TABLE_ADDRESS) | ((uint64_t)table + (word >> 20 & 0x7000));
		table[i] = word;
	}
	tables_at((uint64_t)table);
}

static void tables_that_map_themselves(uint64_t unused)
{
	uint64_t *table = memory_pages(1);

	(void)unused;
	for (uint32_t i = 0; i < 512; i++)
		table[i] = (uint64_t)table | 3 | 1ul << 10;
	tables_at((uint64_t)table);
}

static void tcr_at_random(uint64_t seed)
{
	random.state = seed;
	for (uint32_t i = 0; i < 64; i++)
		WRITE(tcr_el1, random_next(&random));
	touch_all();
}

static void attributes_of(uint64_t mair)
{
	WRITE(mair_el1, mair);
	touch_all();
}

/* A kernel that saves registers on whatever stack it has. */
void naive_vectors(void);

__asm__(".pushsection .text.naive, \"ax\"\n"
	"	.balign 2048\n"
	"	.global naive_vectors\n"
	"naive_vectors:\n"
	"	.rept 16\n"
	"	.balign 128\n"
	"	stp	x0, x1, [sp, #-16]!\n"
	"	ldr	x0, [sp], #8\n"
	"	b	.\n"
	"	.endr\n"
	"	.balign 128\n"
	"	.popsection\n");

static void stack_at(uint64_t address)
{
	WRITE(vbar_el1, naive_vectors);
	__asm__ volatile("msr spsel, #1\n\tmov sp, %0\n\tsvc #0" ::"r"(address) : "memory");
}

static void vectors_at(uint64_t address)
{
	WRITE(vbar_el1, address);
	__asm__ volatile("svc #0");
}

static void vectors_at_without_mmu(uint64_t address)
{
	WRITE(vbar_el1, address);
	WRITE(sctlr_el1, READ(sctlr_el1) & ~SCTLR_M);
	__asm__ volatile("svc #0");
}

static void jump_to(uint64_t address)
{
	WRITE(vbar_el1, naive_vectors);
	__asm__ volatile("br %0" ::"r"(address));
}

static void jump_without_mmu(uint64_t address)
{
	WRITE(sctlr_el1, READ(sctlr_el1) & ~SCTLR_M);
	__asm__ volatile("br %0" ::"r"(address));
}

/* The tables say that code is read-only; without them nothing does. */
static void overwrite(uint64_t from, uint64_t bytes, uint64_t seed)
{
	WRITE(sctlr_el1, READ(sctlr_el1) & ~(SCTLR_M | SCTLR_C | SCTLR_I));
	for (uint64_t at = from; at < from + bytes; at += 8) {
		seed = seed * 6364136223846793005ull + (seed ? 1442695040888963407ull : 0);
		*(volatile uint64_t *)at = seed;
	}
	__asm__ volatile("ic iallu\n\tdsb sy\n\tisb\n\tsvc #0" ::: "memory");
}

static void overwrite_vectors(uint64_t seed)
{
	WRITE(vbar_el1, naive_vectors);
	overwrite((uint64_t)naive_vectors, 2048, seed);
}

static void overwrite_everything(uint64_t seed)
{
	overwrite((uint64_t)weir_region(WEIR_REGION_RAM).base,
		  weir_region(WEIR_REGION_RAM).bytes - weir_region(WEIR_REGION_POOL).bytes, seed);
}

/* To EL2, EL3, to reserved modes, to AArch32 at EL1 and EL0. */
static void return_to(uint64_t pstate)
{
	WRITE(elr_el1, 0x40080000);
	WRITE(spsr_el1, pstate);
	__asm__ volatile("eret");
}

static void control_is(uint64_t bits)
{
	WRITE(sctlr_el1, READ(sctlr_el1) ^ bits);
	touch_all();
}

static void control_at_random(uint64_t seed)
{
	random.state = seed;
	for (uint32_t i = 0; i < 64; i++)
		WRITE(sctlr_el1, random_next(&random));
}

static void turn_mmu_on_and_off(uint64_t bits)
{
	uint64_t control = READ(sctlr_el1);

	for (uint32_t i = 0; i < TOGGLES; i++) {
		WRITE(sctlr_el1, control & ~bits);
		WRITE(sctlr_el1, control);
	}
}

/* With all of it masked and the controller off: nothing but the second vCPU ends this. */
static void sleep_for_ever(uint64_t unused)
{
	(void)unused;
	WRITE(cntv_ctl_el0, 0);
	for (;;)
		__asm__ volatile("wfi");
}

static void call_for_ever(uint64_t function)
{
	for (;;)
		weir_call((uint32_t)function, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull, ~0ull);
}

static void flood_the_console(uint64_t character)
{
	for (;;)
		mmio_write32(UART_BASE, (uint32_t)character);
}

/* ---- Lives ----------------------------------------------------------------------------------- */

/*
 * Where the counter counts instructions QEMU lets it stand still, and with it the whole machine, while a vCPU
 * takes one exception after the other without an instruction in between. So bootargs `lives=` says how many of these there
 * are: the first part goes on in any case.
 */
static const struct destruction destructions[] = {
	{ tables_at, GICD_BASE },
	{ tables_at, UART_BASE },
	{ tables_at, UNMAPPED },
	{ tables_at, BEYOND_RAM },
	{ tables_at, 0x10000000 },
	{ vectors_at_without_mmu, GICD_BASE },
	{ vectors_at_without_mmu, UART_BASE },
	{ vectors_at_without_mmu, 0x0e000000 },
	{ vectors_at_without_mmu, 0x10000000 },
	{ vectors_at_without_mmu, 0 },
	{ vectors_at_without_mmu, 1ul << 40 },
	{ jump_to, UNMAPPED },
	{ jump_to, 1 },
	{ jump_to, 1ul << 60 },
	{ return_to, 0x3c9 },
	{ return_to, 0x3cd },
	{ turn_mmu_on_and_off, SCTLR_M },
	{ turn_mmu_on_and_off, SCTLR_C | SCTLR_I },
	{ turn_mmu_on_and_off, SCTLR_M | SCTLR_C | SCTLR_I | SCTLR_SA },
	{ sleep_for_ever, 0 },
	{ call_for_ever, WEIR_FN(WEIR_FN_COUNT) },
	{ call_for_ever, WEIR_FN(WEIR_FN_BLOCK_SUBMIT) },
	{ call_for_ever, CPU_ON },
	{ flood_the_console, 'x' },
	/* The second part: exceptions without end. */
	{ tables_at, GICC_BASE },
	{ vectors_at, GICD_BASE },
	{ vectors_at, UNMAPPED },
	{ vectors_at, BEYOND_RAM },
	{ tables_at, 0x0e000000 },
	{ tables_at, 0x0e001000 },
	{ tables_at, 0x40080000 },
	{ tables_at, 0x0000fffffffff000 },
	{ tables_at_random, 1 },
	{ tables_at_random, 2 },
	{ tables_at_random, 3 },
	{ tables_that_map_themselves, 0 },
	{ tcr_at_random, 4 },
	{ tcr_at_random, 5 },
	{ attributes_of, 0 },
	{ attributes_of, 0x4444444444444444 },
	{ attributes_of, 0x0123456789abcdef },
	{ stack_at, GICD_BASE + 0x800 },
	{ stack_at, GICD_BASE + 0xf00 },
	{ stack_at, UART_BASE + 0x10 },
	{ stack_at, UNMAPPED },
	{ stack_at, 0x0e002000 },
	{ stack_at, 0x10001000 },
	{ stack_at, 0x40080001 },
	{ stack_at, 0 },
	{ vectors_at, 1ul << 47 },
	{ vectors_at, ~0x7fful },
	{ jump_without_mmu, GICD_BASE },
	{ jump_without_mmu, 0x0e001000 },
	{ jump_without_mmu, ~3ul },
	{ jump_without_mmu, 0x40000000 },
	{ overwrite_vectors, 0 },
	{ overwrite_vectors, 6 },
	{ overwrite_everything, 0 },
	{ overwrite_everything, 7 },
	{ overwrite_everything, 8 },
	{ return_to, 0x3c7 },
	{ return_to, 0x1d3 },
	{ return_to, 0x1d0 },
	{ return_to, 0x1f0 },
	{ return_to, ~0ul },
	{ control_is, SCTLR_M },
	{ control_is, SCTLR_A },
	{ control_is, SCTLR_EE },
	{ control_is, SCTLR_WXN },
	{ control_at_random, 9 },
	{ control_at_random, 10 },
};

#define DESTRUCTIONS (sizeof(destructions) / sizeof(destructions[0]))

static uint64_t destroy(uint64_t which, uint64_t b, uint64_t c)
{
	(void)b;
	(void)c;
	destructions[which].run(destructions[which].argument);
	return 0;
}

/*
 * The second vCPU, in the last page of RAM, without MMU and stack: resets the VM when the counter
 * is at x0.
 */
static void start_rescue(void)
{
	static const uint32_t program[] = {
		0xd503203f, /* yield */
		0xd5033fdf, /* isb */
		0xd53be041, /* mrs x1, cntvct_el0 */
		0xeb00003f, /* cmp x1, x0 */
		0x54ffff83, /* b.lo back to the start */
		0x52b08000, /* mov w0, #0x84000000 */
		0x72800120, /* movk w0, #9: SYSTEM_RESET */
		0xd4000002, /* hvc #0 */
		0x14000000, /* b . */
	};
	struct region ram = weir_region(WEIR_REGION_RAM);
	uint32_t *code = (uint32_t *)(ram.base + ram.bytes - PAGE_SIZE);

	memcpy(code, program, sizeof(program));
	__asm__ volatile("dc civac, %0\n\tdsb sy" ::"r"(code) : "memory");
	weir_call(CPU_ON, 1, (uint64_t)code,
		  timer_now() + timer_ticks(1000 * bootargs_number("rescue-us", RESCUE_US)), 0, 0,
		  0);
}

int main(void)
{
	uint32_t life = hostile_begin();
	uint64_t lives = bootargs_number("lives", DESTRUCTIONS);

	if (life <= lives) {
		start_rescue();
		hostile_try_asm(destroy, life - 1, 0, 0);
		/* With whatever is left of it, without a stack. */
		__asm__ volatile("mov w0, #0x84000000\n\tmovk w0, #9\n\thvc #0\n\tb ." ::: "x0");
	}
	printf("1..1\nok 1 it_is_there_after_%u_lives\n# done\n", life - 1);
	hostile_end();
	return 0;
}
