/*
 * A million accesses and more to the registers of every device that a VM has, of every size and kind, any value and those
 * that lead somewhere, from four vCPUs at once, among them drivers of virtio that lie (hostile_driver.h): each access
 * ends, in a value or in an abort. Afterwards the victims have worked on, and so does the VM, and its devices as new.
 *
 * bootargs: `seed=N`; `accesses=N` of each vCPU, and `run-s=N`, for so long, both at least.
 */
#include "tests/guest/hostile_driver.h"

#define VCPUS	      4u
#define ACCESSES      250000u
#define VIRTIO_END    0x4000ul
#define FLASH_END     0x08000000ul
#define SPEAK_EVERY_S 30u

#define COUNT(table)	    (sizeof(table) / sizeof((table)[0]))
#define SOME(random, table) ((table)[random_below((random), COUNT(table))])

/* x0 = address, x1 and x2 = data, x0 = result; the size that the address is aligned to. */
static const struct {
	uint32_t code, bytes;
} instructions[] = {
	{ 0xb9400000, 4 }, /* ldr w0, [x0] */
	{ 0xb9000001, 4 }, /* str w1, [x0] */
	{ 0xb9400000, 4 },  { 0xb9000001, 4 },	{ 0x39400000, 1 },
	{ 0x39000001, 1 }, /* bytes */
	{ 0x79400000, 2 },  { 0x79000001, 2 },	{ 0xf9400000, 8 },
	{ 0xf9000001, 8 },  { 0x39800000, 1 },	{ 0x39c00000, 1 }, /* with a sign, to x0 and w0 */
	{ 0x79800000, 2 },  { 0xb9800000, 4 },	{ 0xb940001f, 4 },
	{ 0xb900001f, 4 },		       /* wzr */
	{ 0x88dffc00, 4 },  { 0x889ffc01, 4 }, /* ldar, stlr */
	{ 0xc8dffc00, 8 },  { 0xc89ffc01, 8 },	{ 0xa9400400, 8 },
	{ 0xa9000801, 8 }, /* pairs: no syndrome */
	{ 0x29400400, 4 },  { 0x29000801, 4 },	{ 0xb8404401, 4 },
	{ 0xb8004401, 4 },			/* with writeback: none either */
	{ 0x885f7c00, 4 },  { 0x88027c01, 4 },	/* ldxr, stxr */
	{ 0x3dc00000, 16 }, { 0x3d800000, 16 }, /* q0 */
	{ 0x38400800, 1 },  { 0x38000801, 1 },	/* ldtrb, sttrb */
	{ 0xb8210000, 4 },			/* ldadd, where there is one */
	{ 0xd50b7e20, 4 },			/* dc civac */
	{ 0xd50b7420, 4 },			/* dc zva */
};

/*
 * The CPU interface of a GICv3 and the timers: what makes interrupts active, ends them, and raises others. IAR0, IAR1,
 * HPPIR1, EOIR0, EOIR1, DIR, SGI0R, SGI1R, ASGI1R, PMR, BPR1, CTLR, IGRPEN0, IGRPEN1; CNTV and CNTP, CTL and TVAL.
 */
static const uint32_t registers[] = {
	0xd538c800, 0xd538cc00, 0xd538cc40, 0xd518c821, 0xd518cc21, 0xd518cb21,
	0xd518cbe1, 0xd518cba1, 0xd518cbc1, 0xd5184601, 0xd518cc61, 0xd518cc81,
	0xd518ccc1, 0xd518cce1, 0xd51be321, 0xd51be301, 0xd51be221, 0xd51be201,
};

enum { LOAD, STORE, REGISTERS = COUNT(instructions) };

/* Where there is something: GICD's and GICR's blocks (IHI 0069, 12.8 and 12.10); registers of UART and virtio. */
static const uint16_t gic_blocks[] = { 0x000, 0x080, 0x100, 0x180, 0x200, 0x280,
				       0x300, 0x380, 0x400, 0x480, 0x800, 0x880,
				       0xc00, 0xd00, 0xf00, 0xf10, 0xfd0, 0x6100 };
static const uint8_t uart_registers[] = { 0x04, 0x18, 0x24, 0x28, 0x2c, 0x30,
					  0x34, 0x38, 0x3c, 0x40, 0x44, 0x48 };
static const uint16_t virtio_registers[] = { 0x00, 0x04,  0x08,	 0x0c,	0x10,  0x14, 0x20,
					     0x24, 0x30,  0x34,	 0x38,	0x44,  0x44, 0x50,
					     0x50, 0x60,  0x64,	 0x70,	0x70,  0x80, 0x84,
					     0x90, 0x94,  0xa0,	 0xa4,	0xac,  0xb0, 0xb8,
					     0xfc, 0x100, 0x104, 0x108, 0x10c, 0x114 };
/* Statuses of a handshake, numbers of queues and of their entries, selections. */
static const uint8_t virtio_values[] = { 0, 1, 2, 3, 4, 8, 11, 15, 16, 32, 64, 128 };

static uint64_t accesses, run_ticks, began;
static uint64_t answered[CPUS_MAX], aborted[CPUS_MAX]; /* each vCPU its own */
static uint32_t finished;

static bool run(uint32_t slot, uint64_t address, uint64_t value)
{
	bool raised = hostile_run(slot, address, value, ~value);

	if (raised)
		aborted[cpu_index()]++;
	else
		answered[cpu_index()]++;
	return raised;
}

static void driver_put(uint32_t slot, uint32_t offset, uint64_t value)
{
	run(STORE, DRIVER_BASE + DRIVER_SLOT * slot + offset, value);
}

static uint32_t driver_get(uint32_t slot, uint32_t offset)
{
	if (run(LOAD, DRIVER_BASE + DRIVER_SLOT * slot + offset, 0))
		return 0;
	return (uint32_t)hostile_self()->syndrome; /* where the result is */
}

/* ---- Somewhere ------------------------------------------------------------------------------- */

static uint64_t gic_place(struct random *random, uint64_t base, uint64_t bytes)
{
	uint64_t offset = random_below(random, bytes);

	if (random_below(random, 4))
		offset = SOME(random, gic_blocks) + offset % 0x80;
	return base + offset % bytes;
}

/* The CPU interface of a GICv2 is the hardware's own: it takes what it gets without Weir. */
static uint64_t interface_place(struct random *random)
{
	uint64_t frame = random_below(random, 2 * VCPUS + 1); /* the last is nobody's */

	if (gic_version() == 2)
		return GICC_BASE + random_below(random, random_below(random, 2) ? 0x2000 : 0x30);
	return gic_place(random, GICR_BASE + 0x10000 * frame, 0x10000);
}

static uint64_t uart_place(struct random *random)
{
	uint64_t offset = SOME(random, uart_registers);

	if (random_below(random, 4) == 0)
		offset = random_below(random, 0x1000);
	return UART_BASE + (offset < 4 ? 0xfe0 : offset); /* the console is for the report */
}

static uint64_t virtio_place(struct random *random)
{
	uint64_t slots = random_below(random, 4) ? DRIVER_SLOTS : VIRTIO_END / DRIVER_SLOT;
	uint64_t offset = SOME(random, virtio_registers);

	if (random_below(random, 8) == 0)
		offset = random_below(random, DRIVER_SLOT);
	return DRIVER_BASE + DRIVER_SLOT * random_below(random, slots) + offset;
}

static uint64_t some_place(struct random *random)
{
	switch (random_below(random, 16)) {
	case 0 ... 4:
		return gic_place(random, GICD_BASE, 0x10000);
	case 5 ... 8:
		return interface_place(random);
	case 9 ... 10:
		return uart_place(random);
	case 11:
		return random_below(random, FLASH_END);
	default:
		return virtio_place(random);
	}
}

static uint64_t some_value(struct random *random)
{
	uint64_t value = random_next(random);

	switch (random_below(random, 8)) {
	case 0:
		return value;
	case 1:
		return value >> 32;
	case 2:
		return 0x0101010101010101ul * (value & 0xff); /* priorities, targets */
	case 3:
		return ~0ul;
	case 4:
		return arena_place(random, 16);
	case 5:
		return (value & 0xf0f) << 16 | (value >> 32 & 0x3f); /* an SGI to some, an INTID */
	case 6:
		return 1ul << (value & 63);
	default:
		return SOME(random, virtio_values);
	}
}

static void access_something(struct random *random)
{
	uint32_t slot = (uint32_t)random_below(random, REGISTERS), bytes = instructions[slot].bytes;
	uint64_t place = some_place(random);

	if (random_below(random, 32) == 0)
		slot = REGISTERS + (uint32_t)random_below(random, COUNT(registers));
	if (random_below(random, 16))
		place -= place % bytes;
	if (place - UART_BASE < 4 || UART_BASE - place < 16) /* nor by what ends there */
		place = UART_BASE + 0x38;
	run(slot, place, some_value(random));
}

/* ---- All of it ------------------------------------------------------------------------------- */

static bool is_over(uint32_t vcpu)
{
	return answered[vcpu] + aborted[vcpu] >= accesses && timer_now() - began >= run_ticks;
}

/* That it is alive: a line, whatever stands in the one before. */
static void say_sometimes(uint64_t *next)
{
	if (timer_now() < *next)
		return;
	*next = timer_now() + timer_ticks(SPEAK_EVERY_S * 1000000000ull);
	printf("\n# %lu accesses of vCPU 0\n", answered[0] + aborted[0]);
}

static void attack(uint32_t vcpu)
{
	struct random random = { bootargs_number("seed", 1) << 8 | vcpu };
	uint64_t next = began + timer_ticks(SPEAK_EVERY_S * 1000000000ull);

	while (!is_over(vcpu)) {
		for (uint32_t i = 0; i < 64; i++)
			access_something(&random);
		for (uint32_t i = 0; i < 4; i++)
			driver_step(&random);
		if (vcpu == 0)
			say_sometimes(&next);
	}
	__atomic_fetch_add(&finished, 1, __ATOMIC_RELEASE);
}

/* The interrupt controller is of no use to us after this; a GICv2's CPU interface may turn to fast interrupts. */
static void mask_interrupts(void)
{
	__asm__ volatile("msr daifset, #3" ::: "memory");
}

static void attack_beside(void *arg)
{
	mask_interrupts();
	attack((uint32_t)(uint64_t)arg);
	for (;;)
		__asm__ volatile("wfi");
}

TEST(it_has_victims)
{
	hostile_begin();
	accesses = bootargs_number("accesses", ACCESSES);
	run_ticks = timer_ticks(bootargs_number("run-s", 0) * 1000000000);
	CHECK(hostile_victim[0] && hostile_victim[1]);
	hostile_make_executable(hostile_code);
	for (uint32_t i = 0; i < REGISTERS; i++)
		hostile_put(i, instructions[i].code);
	for (uint32_t i = 0; i < COUNT(registers); i++)
		hostile_put(REGISTERS + i, registers[i]);
	hostile_code_written();
	CHECK(weir_region(WEIR_REGION_POOL).bytes >= (ARENA_PAGES + ARENA_SLACK) * PAGE_SIZE);
	arena_make();
}

TEST(every_access_from_every_vcpu_ends)
{
	mask_interrupts();
	began = timer_now();
	for (uint64_t i = 1; i < VCPUS; i++)
		CHECK_IS(cpu_start((uint32_t)i, attack_beside, (void *)i), 0);
	attack(0);
	while (__atomic_load_n(&finished, __ATOMIC_ACQUIRE) != VCPUS)
		__asm__ volatile("yield");
	printf("\n");
	for (uint32_t i = 0; i < VCPUS; i++) {
		printf("# vCPU %u: %lu accesses, %lu aborts\n", i, answered[i], aborted[i]);
		CHECK(answered[i] + aborted[i] >= accesses);
		CHECK(answered[i] > accesses / 4 && aborted[i] > 0);
	}
}

/* The lies were worth it: devices got as far as serving a queue, found lies out, kept pages from being shared. */
TEST(the_drivers_got_somewhere)
{
	printf("# %lu with an answer, %lu found out, %lu pages kept\n", driver_done, driver_resets,
	       driver_busy);
	CHECK(driver_done && driver_resets && driver_busy);
}

TEST(a_reset_mends_the_devices)
{
	for (uint32_t i = 0; i < ARENA_PAGES; i++)
		weir_grant_revoke(arena_grants[i]);
	driver_reads_as_new();
	driver_speaks_as_new();
}

TEST(it_works_still)
{
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(every_access_from_every_vcpu_ends),
	RUN(the_drivers_got_somewhere),
	RUN(a_reset_mends_the_devices),
	RUN(it_works_still),
};
TESTS_MAIN
