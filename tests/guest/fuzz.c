/*
 * The fuzzing guest: each of its vCPUs makes random calls with plausible and implausible arguments, and among
 * them random accesses to devices, virtio drivers that lie, PSCI calls, system registers, instructions, lies in its pages, and
 * memory that it shares and has mapped. It ends when its keeper (victim.c) ends it, or when it has ended itself; in
 * its next life it goes on with another seed.
 *
 * bootargs: `seed=N`, of the run; `me=N`. The seed of a life is made of both and the number of the
 * life; what a vCPU does follows from it and from what the others do meanwhile.
 */
#include <weir/submit.h>
#include "tests/guest/hostile_driver.h"

#define PORTS	       8u
#define GRANTS	       16u
#define SLOTS	       4u /* of instructions, for each vCPU */
#define SLOT_LOAD      100u
#define SLOT_STORE     101u
#define SCRATCH_PAGES  16u
#define RARELY	       64u
#define PSCI_CALLS     0x20u
#define PSCI_OFF       0x84000008u
#define PSCI_RESET     0x84000009u
#define PSCI_CPU_OFF   0x84000002u
#define PSCI_CPU_ON    0xc4000003u
#define SYSTEM_SPACE   0xd5000000u
#define WORDS_OF(r, n) ((n)[random_below((r), sizeof(n) / sizeof((n)[0]))])

static weir_handle ports[PORTS], grants[GRANTS];
static uint32_t port_count;
static struct region pool, window;
static uint8_t *scratch;
static uint64_t life_seed;

/* ---- Arguments ------------------------------------------------------------------------------- */

static uint64_t edge(struct random *random)
{
	uint64_t bit = 1ull << random_below(random, 64);

	switch (random_below(random, 6)) {
	case 0:
		return bit;
	case 1:
		return bit - 1;
	case 2:
		return ~bit;
	case 3:
		return random_next(random);
	case 4:
		return random_below(random, 300);
	default:
		return 0 - random_below(random, 4);
	}
}

static uint64_t any_port(struct random *random)
{
	uint64_t port = port_count ? ports[random_below(random, port_count)] : 0;

	return random_below(random, 16) ? port : port ^ 1ull << random_below(random, 64);
}

/* Of ours, or what a peer has published. */
static uint64_t any_grant(struct random *random)
{
	uint64_t grant = SHARED_READ(grants[random_below(random, GRANTS)]);

	return random_below(random, 16) ? grant : grant ^ 1ull << random_below(random, 20);
}

static uint64_t any_address(struct random *random)
{
	static const uint64_t bases[] = { GICD_BASE,  GICC_BASE,  GICR_BASE,  UART_BASE,
					  0x0e000000, 0x10000000, UNMAPPED,   BEYOND_RAM,
					  0x0a000000, 0x40000000, 0x3ffff000, 0 };

	switch (random_below(random, 4)) {
	case 0:
		return (uint64_t)scratch + random_below(random, SCRATCH_PAGES * PAGE_SIZE);
	case 1:
		return (uint64_t)pool.base + random_below(random, pool.bytes);
	case 2:
		return (random_below(random, 2) ? NORMAL_ALIAS : 0) + WORDS_OF(random, bases) +
		       random_below(random, 0x20000);
	default:
		return edge(random);
	}
}

static uint64_t any_argument(struct random *random)
{
	switch (random_below(random, 5)) {
	case 0:
		return any_port(random);
	case 1:
		return any_grant(random);
	case 2:
		return any_address(random);
	case 3:
		return random_below(random, 70);
	default:
		return edge(random);
	}
}

/* ---- What it does ---------------------------------------------------------------------------- */

static void remember(struct random *random, uint64_t grant)
{
	SHARED_WRITE(grants[random_below(random, GRANTS)], grant);
}

static void call_with_anything(struct random *random)
{
	uint64_t a[6] = { 0 };
	uint64_t used = random_below(random, 7);

	for (uint64_t i = 0; i < used; i++)
		a[i] = any_argument(random);
	weir_call(WEIR_FN((uint32_t)random_below(random, WEIR_FN_COUNT + 2)), a[0], a[1], a[2],
		  a[3], a[4], a[5]);
}

static void use_events(struct random *random)
{
	static const char *const names[] = {
		"pair0", "pair1", "attack00", "attack10", "work0", ""
	};
	uint64_t port = any_port(random), word = 0;
	weir_handle found;
	uint32_t number;

	switch (random_below(random, 6)) {
	case 5:
		for (uint32_t i = 0; i < 8 && weir_event_next(weir_here(), &number); i++)
			continue;
		break;
	case 0:
		weir_port_find(weir_here(), WORDS_OF(random, names), &found);
		break;
	case 1:
		weir_event_send(port);
		break;
	case 2:
		weir_port_bind(port, (uint32_t)random_below(random, 3),
			       (uint32_t)random_below(random, 5));
		break;
	case 3:
		weir_port_publish(port, any_grant(random));
		break;
	default:
		weir_port_peer(port, &word, NULL);
		remember(random, word);
		break;
	}
}

static void use_grants(struct random *random)
{
	uint64_t page = random_below(random, 72), pages = random_below(random, 8) + 1;
	weir_handle grant = 0;

	if (random_below(random, 16) == 0)
		pages = random_below(random, 80);
	switch (random_below(random, 6)) {
	case 0:
	case 1:
		if (weir_grant_share(any_port(random), page, (uint32_t)pages,
				     (enum weir_access)random_below(random, 2), &grant) != WEIR_OK)
			break;
		remember(random, grant);
		weir_port_publish(any_port(random), grant);
		break;
	case 2:
	case 3:
		weir_grant_map(any_port(random), any_grant(random), random_below(random, 260), NULL,
			       NULL);
		break;
	case 4:
		weir_grant_unmap(random_below(random, 260));
		break;
	default:
		weir_grant_revoke(any_grant(random));
		break;
	}
}

/* Reads come where nothing of the guest's own is, most of the time. */
static void use_blocks(struct random *random)
{
	uint64_t buffer = (uint64_t)scratch + random_below(random, SCRATCH_PAGES * 8) * 512;
	enum weir_block_operation operation = (enum weir_block_operation)random_below(random, 3);
	struct weir_completion completion;

	if (random_below(random, 4) == 0)
		buffer = (uint64_t)pool.base + random_below(random, pool.bytes / 512) * 512;
	if (random_below(random, RARELY) == 0)
		buffer = any_address(random);
	if (operation == WEIR_BLOCK_FLUSH)
		weir_block_submit(0, operation, 0, 0, NULL, 0);
	else
		weir_block_submit((uint32_t)random_below(random, 3), operation,
				  random_below(random, 2100), random_below(random, 10),
				  (const void *)buffer, random_next(random));
	while (random_below(random, 2) && weir_block_next(weir_here(), &completion))
		continue;
}

/* Copies go where nothing of the guest's own is, most of the time. */
static void use_ring(struct random *random)
{
	struct weir_submit ring;

	weir_submit_init(&ring, weir_here());
	for (uint64_t count = random_below(random, 20); count; count--) {
		uint8_t *to = scratch + random_below(random, SCRATCH_PAGES * PAGE_SIZE / 8) * 8;

		if (random_below(random, 4) == 0)
			to = window.base + random_below(random, 32 * PAGE_SIZE / 8) * 8;
		if (random_below(random, RARELY) == 0)
			to = (uint8_t *)any_address(random);
		if (random_below(random, 2))
			weir_submit_put_event(&ring, any_port(random));
		else if (random_below(random, 2))
			weir_submit_put_copy(&ring, to, (const void *)(any_address(random) & ~7ull),
					     (uint32_t)random_below(random, 64) * 8, 0);
		else
			weir_submit_put_block(&ring, (uint32_t)random_below(random, 3),
					      (enum weir_block_operation)random_below(random, 4),
					      random_below(random, 2100),
					      (uint32_t)random_below(random, 3), scratch, 0);
	}
	weir_submit_kick(&ring);
}

static void use_upcalls(struct random *random)
{
	const uint64_t reply[WEIR_UPCALL_REPLIES] = { random_next(random) };

	if (random_below(random, 4) == 0)
		weir_upcall_register(random_below(random, 5));
	else
		weir_upcall_return(weir_here(),
				   weir_here()->out->upcall_sequence + random_below(random, 2),
				   (enum weir_status)(0 - (int)random_below(random, 14)), reply);
}

static void lie(struct random *random)
{
	struct weir_in *in = weir_here()->in;
	uint64_t at = random_below(random, WEIR_EVENT_PRIORITIES);

	if (random_below(random, 2))
		SHARED_WRITE(in->event_head[at], SHARED_READ(weir_here()->out->event_tail[at]) +
							 random_below(random, 5) - 2);
	else
		((uint64_t *)in)[random_below(random, PAGE_SIZE / 8)] = edge(random);
	SHARED_WRITE(in->completion_head,
		     SHARED_READ(weir_here()->out->completion_tail) - random_below(random, 3));
}

/* vCPU 1 is turned on again by whoever finds it off. */
static void second(void *arg);

static void call_psci(struct random *random)
{
	uint32_t function = 0x84000000u | (uint32_t)random_below(random, PSCI_CALLS) |
			    (uint32_t)random_below(random, 2) << 30;

	if (random_below(random, 2) == 0) {
		cpu_start(1, second, NULL);
		return;
	}
	function &= random_below(random, 64) ? ~0u : (uint32_t)edge(random);
	if (((function & ~0x40000000u) == PSCI_OFF || (function & ~0x40000000u) == PSCI_RESET ||
	     (function & ~0x40000000u) == PSCI_CPU_OFF) &&
	    random_below(random, RARELY))
		return;
	/* Where it starts would be nonsense, and what the lives are mostly made of. */
	if ((function | 0x40000000u) == PSCI_CPU_ON && random_below(random, RARELY))
		return;
	weir_call(function, any_argument(random), any_argument(random), any_argument(random), 0, 0,
		  0);
}

static uint32_t first_slot(void)
{
	return cpu_index() * SLOTS;
}

static void run_instruction(struct random *random, uint32_t word)
{
	uint32_t slot = first_slot() + (uint32_t)random_below(random, SLOTS);

	hostile_put(slot, word);
	__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(
				 &hostile_code[2 * slot])
			 : "memory");
	hostile_run(slot, any_address(random), edge(random), edge(random));
}

/* x0 = address; loads and stores of one, two, four registers, sizes, exclusives, atomics. */
static void access_anything(struct random *random)
{
	static const uint32_t words[] = {
		0x39400001, 0x79400001, 0xb9400001, 0xf9400001, 0x39000001, 0x79000001, 0xb9000001,
		0xf9000001, 0xb9000001, 0xb9400001, 0xb9000001, 0xb9400001, 0xa9400801, 0xa9000801,
		0x885f7c01, 0x88037c01, 0xb8210002, 0x3dc00001, 0xd50b7420, 0xd50b7e20, 0xf9800000,
	};

	run_instruction(random, WORDS_OF(random, words));
}

/* Registers of the interrupt controllers and the UART, as a driver gone wrong would. */
static void poke_devices(struct random *random)
{
	static const uint64_t bases[] = { GICD_BASE, GICD_BASE, GICR_BASE + 0x10000, GICC_BASE,
					  UART_BASE };
	uint64_t base = WORDS_OF(random, bases), offset = random_below(random, 0x1000) & ~3ul;

	if (base == UART_BASE && offset == 0)
		return; /* its lines are for the report */
	hostile_put(first_slot(), random_below(random, 2) ? 0xb9000001 : 0xb9400001);
	__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(
				 &hostile_code[2 * first_slot()])
			 : "memory");
	hostile_run(first_slot(), base + offset, edge(random), 0);
}

static void driver_put(uint32_t device, uint32_t offset, uint64_t value)
{
	hostile_run(SLOT_STORE, DRIVER_BASE + DRIVER_SLOT * device + offset, value, 0);
}

static uint32_t driver_get(uint32_t device, uint32_t offset)
{
	if (hostile_run(SLOT_LOAD, DRIVER_BASE + DRIVER_SLOT * device + offset, 0, 0))
		return 0;
	return (uint32_t)hostile_self()->syndrome; /* where the result is */
}

/* Its life may end with requests of these under way. */
static void drive_devices(struct random *random)
{
	static bool said;

	for (uint32_t i = 0; i < 4; i++)
		driver_step(random);
	if (!said && driver_done)
		printf("\n# virtio answers\n");
	said |= driver_done != 0;
}

/* What would end this vCPU at once is left to chance, which is small. */
static bool ends_it(uint32_t word)
{
	static const uint32_t registers[] = {
		0x00181000, /* SCTLR_EL1 */ 0x00182000, /* TTBR0_EL1 */ 0x00182040, /* TCR_EL1 */
		0x0018a200, /* MAIR_EL1 */ 0x0018c000,	/* VBAR_EL1 */ 0x0018d080,  /* TPIDR_EL1 */
		0x00182060, /* TCR2_EL1 */ 0x00181060,				    /* SCTLR2_EL1 */
	};
	uint32_t encoding = word & 0x001fffe0;

	if ((word & 0x00380000) == 0 && (word & 0xfe0) <= 0x3f && (word & 0xf000) == 0x2000)
		return true; /* WFE, WFI; nobody wakes it */
	if ((word & 0x003ff000) == 0x00031000 || (word & 0x0038f000) == 0x00001000)
		return true; /* WFET, WFIT */
	for (uint32_t i = 0; i < sizeof(registers) / sizeof(registers[0]); i++)
		if (encoding == registers[i])
			return true;
	return false;
}

static void use_system_space(struct random *random)
{
	uint32_t word = SYSTEM_SPACE | (uint32_t)random_below(random, 1 << 22);

	word = random_below(random, 2) ? (word & ~31u) | 1 : word | 31;
	if (ends_it(word) && random_below(random, RARELY))
		return;
	run_instruction(random, word);
}

static void use_memory(struct random *random)
{
	uint64_t value = random_next(random);
	uint64_t page = random_below(random, 256) * PAGE_SIZE;

	hostile_put(first_slot(), random_below(random, 2) ? 0xf9000001 : 0xf9400001);
	__asm__ volatile("dc cvau, %0\n\tdsb ish\n\tic ivau, %0\n\tdsb ish\n\tisb" ::"r"(
				 &hostile_code[2 * first_slot()])
			 : "memory");
	if (random_below(random, 2))
		hostile_run(first_slot(), (uint64_t)window.base + page + (value & 0xff8), value, 0);
	else
		hostile_run(first_slot(), (uint64_t)pool.base + page % pool.bytes, value, 0);
}

static uint64_t take_interrupts(uint64_t sleep, uint64_t b, uint64_t c)
{
	(void)b;
	(void)c;
	irq_restore(0);
	if (sleep)
		__asm__ volatile("wfi");
	__asm__ volatile("isb\n\tnop\n\tnop");
	return 0;
}

static uint64_t acknowledge(void)
{
	uint64_t intid;

	if (gic_version() == 2)
		return mmio_read32(GICC_BASE + 0xc);
	__asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(intid)::"memory");
	return intid;
}

static void end_interrupt(uint64_t intid)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE + 0x10, (uint32_t)intid);
	else
		__asm__ volatile("msr s3_0_c12_c12_1, %0" ::"r"(intid) : "memory");
}

/* An interrupt that comes ends what is tried; whether it is acknowledged, and ended, is another matter. */
static void use_interrupts(struct random *random)
{
	uint64_t intid;

	switch (random_below(random, 64) ? random_below(random, 4) : 4) {
	case 0:
		irq_send((uint32_t)random_below(random, 2), (uint32_t)random_below(random, 16));
		break;
	case 1:
		__asm__ volatile("msr cntv_tval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(
					 random_below(random, 20000)),
				 "r"(random_below(random, 4)));
		break;
	case 2:
		intid = acknowledge();
		if (random_below(random, 8))
			end_interrupt(random_below(random, 16) ? intid
							       : random_below(random, 1024));
		break;
	case 3:
		hostile_try_asm(take_interrupts, 0, 0, 0);
		break;
	default: /* for the rest of its life, if no interrupt is enabled any more */
		__asm__ volatile("msr cntv_tval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(
					 random_below(random, 20000)),
				 "r"(1ul));
		hostile_try_asm(take_interrupts, 1, 0, 0);
		break;
	}
}

static uint64_t lose_vectors(uint64_t address, uint64_t b, uint64_t c)
{
	(void)b;
	(void)c;
	__asm__ volatile("msr vbar_el1, %0\n\tisb\n\tsvc #0" ::"r"(address) : "memory");
	return 0;
}

/* Anything at all; mostly the end of this life, by a fault that Weir reports or by a loop that it does not see. */
static void run_anything(struct random *random)
{
	if (random_below(random, RARELY))
		return;
	if (random_below(random, 2))
		hostile_try_asm(lose_vectors, any_address(random), 0, 0);
	else
		run_instruction(random, (uint32_t)random_next(random));
}

typedef void (*action)(struct random *random);

static __attribute__((noreturn)) void fuzz(struct random *random)
{
	static const action actions[] = {
		call_with_anything, call_with_anything, call_with_anything,
		use_events,	    use_events,		use_events,
		use_grants,	    use_grants,		use_grants,
		use_grants,	    use_blocks,		use_blocks,
		use_ring,	    use_upcalls,	lie,
		call_psci,	    access_anything,	poke_devices,
		poke_devices,	    use_system_space,	use_memory,
		use_interrupts,	    use_interrupts,	run_anything,
		call_with_anything, drive_devices,	drive_devices,
	};

	for (;;)
		WORDS_OF(random, actions)(random);
}

/* The runtime's handlers trust the cookies and positions that this guest makes up. */
static void be_deaf(void)
{
	irq_handle(WEIR_INTID_BLOCK, NULL, NULL);
	irq_handle(WEIR_INTID_EVENT, NULL, NULL);
	irq_handle(WEIR_INTID_UPCALL, NULL, NULL);
}

static void second(void *arg)
{
	static uint32_t starts;
	struct random random = { life_seed ^ (uint64_t)++starts << 32 };

	(void)arg;
	irq_save();
	be_deaf();
	fuzz(&random);
}

static void find_ports(void)
{
	static const char *const names[] = { "pair0",	 "pair1",    "attack00",
					     "attack10", "attack01", "attack11" };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (weir_port_find(weir_here(), names[i], &ports[port_count]) == WEIR_OK)
			port_count++;
}

int main(void)
{
	uint32_t life = hostile_begin();
	uint64_t seed = bootargs_number("seed", 1);
	struct random random;

	irq_save();
	random.state = seed << 32 | life << 8 | bootargs_number("me", 0);
	life_seed = random_next(&random);
	printf("# life %u, seed %lx\n", life, life_seed);
	find_ports();
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	scratch = memory_pages(SCRATCH_PAGES);
	arena_make();
	hostile_make_executable(hostile_code);
	hostile_put(SLOT_LOAD, 0xb9400000);  /* ldr w0, [x0] */
	hostile_put(SLOT_STORE, 0xb9000001); /* str w1, [x0] */
	hostile_code_written();
	hostile_alias();
	be_deaf();
	cpu_start(1, second, NULL);
	fuzz(&random);
}
