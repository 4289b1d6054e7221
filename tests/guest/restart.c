/*
 * Dies and comes back, time and again: by PSCI from its first or its second vCPU, by SMC, by a
 * fault. In each life it looks whether all that it has is as in the first, makes a mess of it, and
 * lets restart_peer.c know; only the peer knows how often that was. Reports nothing itself.
 */
#include "tests/guest/end_by_fault.h"
#include "tests/guest/restart_commands.h"
#include "tests/guest/tap.h"

#define SYSTEM_RESET  0x84000009u
#define AFFINITY_INFO 0xc4000004u
#define OFF	      1
#define KERNEL	      0x80000u /* from the start of RAM */
#define TREE_BYTES    4096u
#define GICD	      0x08000000ul
#define UART_IBRD     0x09000024ul
#define UNUSED_SPI    (1u << 8) /* of the first 32 */
#define GENERATION    (1ull << 16)
#define READS	      16u
#define SECTORS	      8u
#define WINDOW_PAGE   3u

/* The first check that failed: its line. What is checked is done all the same. */
static void expect(bool good, int line);
#define EXPECT(condition) expect(condition, __LINE__)

extern uint8_t __image_end[];

static int failed;
static volatile uint64_t written_by_the_image = 0x1234567887654321;
static volatile bool second_runs;
static volatile uint32_t spinning;
static weir_handle control, grants, seed;
static struct region ram, pool, window;
static struct block_request reads[READS];

static void expect(bool good, int line)
{
	if (!failed && !good)
		failed = line;
}

static volatile uint32_t *device(uint64_t address)
{
	return (volatile uint32_t *)address;
}

/* Behind the image up to the tree, before the image, and the pool. */
static void each_free_word(bool dirty)
{
	uint64_t base = (uint64_t)ram.base, tree = (uint64_t)pool.base - TREE_BYTES;
	uint64_t from[] = { base, (uint64_t)__image_end, (uint64_t)pool.base };
	uint64_t to[] = { base + KERNEL, tree, base + ram.bytes };

	for (uint32_t i = 0; i < 3; i++) {
		for (uint64_t at = from[i]; at < to[i]; at += 8) {
			if (dirty)
				*(volatile uint64_t *)at = ~at;
			else
				EXPECT(*(volatile uint64_t *)at == 0);
		}
	}
}

static void second(void *arg)
{
	(void)arg;
	SHARED_WRITE(second_runs, true);
	while (true)
		spinning++;
}

static void memory_is_new(void)
{
	each_free_word(false);
	EXPECT(written_by_the_image == 0x1234567887654321);
}

static void devices_are_new(void)
{
	EXPECT(!(*device(GICD + 0x104) & UNUSED_SPI)); /* ISENABLER1 */
	EXPECT(!(*device(GICD + 0x204) & UNUSED_SPI)); /* ISPENDR1 */
	EXPECT(*device(UART_IBRD) == 0);
	EXPECT(weir_call(AFFINITY_INFO, 1, 0, 0, 0, 0, 0).status == OFF);
}

static void pages_are_new(void)
{
	const struct weir_in *in = weir_here()->in;

	EXPECT(in->upcall_reply[0] == 0 && in->buffer[sizeof(in->buffer) - 1] == 0);
	EXPECT(in->completion_head == 0 && weir_here()->out->completion_tail == 0);
}

/* Of a former life of this VM there is one less; nobody had the first one's. */
static void old_handles_are_stale(uint64_t life)
{
	EXPECT(control >> 16 == life);
	EXPECT(weir_event_send(control - GENERATION) == (life > 1 ? WEIR_STALE : WEIR_INVALID));
	EXPECT(weir_port_peer(seed - GENERATION, NULL, NULL) ==
	       (life > 1 ? WEIR_STALE : WEIR_INVALID));
}

static uint64_t wait_for(uint32_t command)
{
	uint64_t word = 0, end = timer_now() + timer_ticks(WAIT_NS);

	while (COMMAND_OF(word) != command && COMMAND_OF(word) != END && timer_now() < end) {
		event_wait(control, timer_now() + timer_ticks(100000000));
		weir_port_peer(control, &word, NULL);
	}
	EXPECT(COMMAND_OF(word) == command || COMMAND_OF(word) == END);
	return word;
}

/* The first 8 bytes of /chosen/rng-seed. */
static uint64_t find_seed(void)
{
	const uint8_t *tree = pool.base - TREE_BYTES;

	for (uint32_t at = 0; at < TREE_BYTES - 48; at += 4) {
		/* The node begins with it: its name, FDT_PROP, 32, the property's name. */
		if (memcmp(tree + at, "chosen", 7) == 0 && tree[at + 15] == 32) {
			uint64_t value;

			memcpy(&value, tree + at + 20, 8);
			return value;
		}
	}
	return 0;
}

/* The peer's page, which stays mapped when this life ends. */
static void map_peers(void)
{
	weir_handle grant = 0;
	const volatile uint64_t *page =
		(const volatile uint64_t *)(window.base + WINDOW_PAGE * PAGE_SIZE);

	EXPECT(weir_port_peer(grants, &grant, NULL) == WEIR_OK);
	EXPECT(weir_grant_map(grants, grant, WINDOW_PAGE, NULL, NULL) == WEIR_OK);
	for (uint64_t word = 0; word < PAGE_SIZE / 8; word++)
		EXPECT(page[word] == pattern(0, word));
}

static void share_own(uint64_t life)
{
	volatile uint64_t *page = (volatile uint64_t *)pool.base;
	weir_handle grant = 0;

	for (uint64_t word = 0; word < PAGE_SIZE / 8; word++)
		page[word] = pattern(life, word);
	EXPECT(weir_grant_share(grants, 0, 1, WEIR_READ_WRITE, &grant) == WEIR_OK);
	EXPECT(grant >> 22 == life);
	if (life > 1)
		EXPECT(weir_grant_revoke(grant - (1ull << 22)) == WEIR_STALE);
	weir_port_publish(grants, grant);
}

static void read_disk(void)
{
	uint64_t *page = memory_pages(1);
	struct block_request request = { .sector = 5, .sectors = 1, .buffer = page };

	EXPECT(block_run(&request) == WEIR_OK);
	EXPECT(page[0] == 5);
	/* The peer's page that is mapped here is none of this VM's: no disk gets at it. */
	request.buffer = window.base + WINDOW_PAGE * PAGE_SIZE;
	EXPECT(block_run(&request) == WEIR_FAULT);
	request.operation = WEIR_BLOCK_WRITE;
	EXPECT(block_run(&request) == WEIR_FAULT);
}

/* Everything is other than it was; then requests are on their way that will write to RAM. */
static void make_a_mess(void)
{
	struct weir_in *in = weir_here()->in;

	written_by_the_image = 0;
	*device(GICD + 0x104) = UNUSED_SPI;
	*device(GICD + 0x204) = UNUSED_SPI;
	*device(UART_IBRD) = 7;
	in->upcall_reply[0] = 1;
	in->buffer[sizeof(in->buffer) - 1] = 1;
	each_free_word(true);
	for (uint32_t i = 0; i < READS; i++) {
		reads[i] = (struct block_request){ .sector = 1,
						   .sectors = SECTORS,
						   .buffer = ram.base + i * PAGE_SIZE };
		EXPECT(block_start(&reads[i]) == WEIR_OK);
	}
}

static void reset(void *arg)
{
	(void)arg;
	weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
}

static void reset_by_smc(void)
{
	register uint64_t x0 __asm__("x0") = SYSTEM_RESET;

	__asm__ volatile("smc #0" : "+r"(x0) : : "x1", "x2", "x3", "memory");
}

static void start_second(uint64_t life)
{
	EXPECT(cpu_start(1, life % 4 == 1 ? reset : second, NULL) == 0);
	if (life % 4 != 1)
		EXPECT(WAIT(SHARED_READ(second_runs)));
}

static void die(uint64_t life)
{
	irq_save();
	timer_set(timer_now(), NULL, NULL);
	switch (life % 4) {
	case 0:
		reset(NULL);
		break;
	case 1:
		start_second(life);
		while (true)
			spinning++;
	case 2:
		reset_by_smc();
		break;
	case 3:
		end_by_fault();
		break;
	}
}

static void look(void)
{
	ram = weir_region(WEIR_REGION_RAM);
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	memory_is_new();
	devices_are_new();
	pages_are_new();
	EXPECT(upcall_handle(WEIR_SERVICE_PING, NULL) == WEIR_OK);
	EXPECT(weir_port_find(weir_here(), "control", &control) == WEIR_OK);
	EXPECT(weir_port_find(weir_here(), "grants", &grants) == WEIR_OK);
	EXPECT(weir_port_find(weir_here(), "seed", &seed) == WEIR_OK);
}

int main(void)
{
	uint64_t life, word;

	look();
	word = wait_for(BEGIN);
	life = COMMAND_LIFE(word);
	if (COMMAND_OF(word) == END)
		return 0;
	old_handles_are_stale(life);
	weir_port_publish(seed, find_seed());
	map_peers();
	share_own(life);
	read_disk();
	if (life % 4 != 1)
		start_second(life);
	weir_port_publish(control, COMMAND(life, SHARED) | (failed ? FAILED_AT(failed) : 0));
	if (COMMAND_OF(wait_for(DIE)) == END)
		return 0;
	EXPECT(*(volatile uint64_t *)pool.base == ~pattern(life, 0));
	make_a_mess();
	weir_port_publish(control, COMMAND(life, DYING) | (failed ? FAILED_AT(failed) : 0));
	die(life);
	printf("still alive\n");
	return 1;
}
