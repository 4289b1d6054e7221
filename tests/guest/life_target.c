/*
 * Dies, in every situation that there is, and comes back: life.h. In each life it looks whether all
 * that it has is as in the first; only its manager knows how often that was. Reports nothing itself.
 */
#include <weir/manage.h>
#include <weir/ring.h>
#include "tests/guest/end_by_fault.h"
#include "tests/guest/life.h"
#include "tests/guest/tap.h"
#include "tests/guest/tree.h"

#define SYSTEM_RESET  0x84000009u
#define CPU_OFF	      0x84000002u
#define AFFINITY_INFO 0xc4000004u
#define OFF	      1
#define KERNEL	      0x80000u /* from the start of RAM */
#define GICD	      0x08000000ul
#define UART_IBRD     0x09000024ul
#define UNUSED_SPIS   (0xffu << 8) /* of the first 32: INTIDs 40 to 47 */
#define FIRST_UNUSED  40u
#define SGIS	      16u
#define SECTORS	      8u
#define WORDS	      (PAGE_SIZE / 8)
#define URGENT	      3u /* the priority of the channel that orders and tells */

extern uint8_t __image_end[];

/* The first check that failed: its line. What is checked is done all the same. */
#define EXPECT(condition) expect(condition, __LINE__)

static uint32_t failed;
static volatile uint64_t written_by_the_image[WORDS] = { 0x1234567887654321, [WORDS - 1] = 1 };
static volatile uint32_t strays; /* interrupts that nobody sent in this life */
static weir_handle control, data;
static struct region ram, pool, window;
static uint32_t situation, way;
static bool has_second;
static volatile bool second_lingers;

static void expect(bool good, int line)
{
	if (!failed && !good)
		failed = (uint32_t)line;
}

static volatile uint32_t *device(uint64_t address)
{
	return (volatile uint32_t *)address;
}

/* ---- Is all as it was? ---- */

#define LINE_WORDS 8u

/* The RAM before the image, behind it up to the tree, behind the tree, and the pool. */
static uint32_t free_ram(uint64_t **from, uint64_t **to)
{
	const uint8_t *tree = tree_find();
	uint64_t base = (uint64_t)ram.base, behind = (uint64_t)tree + tree_bytes(tree);

	from[0] = (uint64_t *)base;
	to[0] = (uint64_t *)(base + KERNEL);
	from[1] = (uint64_t *)__image_end;
	to[1] = (uint64_t *)tree;
	from[2] = (uint64_t *)((behind + 63) & ~63ull);
	to[2] = (uint64_t *)(base + ram.bytes);
	return 3;
}

static bool all_zero(const uint64_t *from, const uint64_t *to)
{
	uint64_t all = 0;

	for (const uint64_t *line = from; line < to; line += LINE_WORDS)
		all |= line[0] | line[1] | line[2] | line[3] | line[4] | line[5] | line[6] |
		       line[7];
	return all == 0;
}

static void memory_is_new(void)
{
	uint64_t *from[3], *to[3];

	for (uint32_t i = free_ram(from, to); i--;)
		EXPECT(all_zero(from[i], to[i]));
	EXPECT(written_by_the_image[0] == 0x1234567887654321);
	for (uint32_t i = 1; i < WORDS - 1; i++)
		EXPECT(written_by_the_image[i] == 0);
	EXPECT(written_by_the_image[WORDS - 1] == 1);
}

static void devices_are_new(void)
{
	EXPECT(!(*device(GICD + 0x104) & UNUSED_SPIS)); /* ISENABLER1 */
	EXPECT(!(*device(GICD + 0x204) & UNUSED_SPIS)); /* ISPENDR1 */
	EXPECT(!(*device(GICD + 0x304) & UNUSED_SPIS)); /* ISACTIVER1 */
	EXPECT(*device(UART_IBRD) == 0);
	if (weir_call(AFFINITY_INFO, 1, 0, 0, 0, 0, 0).status >= 0) {
		has_second = true;
		EXPECT(weir_call(AFFINITY_INFO, 1, 0, 0, 0, 0, 0).status == OFF);
	}
}

static void pages_are_new(void)
{
	const struct weir_in *in = weir_here()->in;
	const struct weir_out *out = weir_here()->out;

	EXPECT(in->upcall_reply[0] == 0 && in->completion_head == 0 && out->completion_tail == 0);
	EXPECT(in->buffer[sizeof(in->buffer) - 1] == 0);
	EXPECT(in->command[WEIR_COMMANDS - 1].cookie == 0 && in->submit_tail == 0);
	EXPECT(out->submit_head == 0 && out->submit_wanted == 1);
}

/* An interrupt that is still there from another life comes at once. */
static void stray(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	strays++;
}

static void no_interrupt_is_left(void)
{
	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		irq_handle(sgi, stray, NULL);
	__asm__ volatile("isb");
	EXPECT(strays == 0);
}

/* A word of each line that was free, and what else there is: the next life finds it if it can. */
static void make_a_mess(void)
{
	struct weir_in *in = weir_here()->in;
	uint64_t *from[3], *to[3];

	for (uint32_t i = free_ram(from, to); i--;)
		for (uint64_t *line = from[i]; line < to[i]; line += LINE_WORDS)
			line[(uint64_t)line / 512 % LINE_WORDS] = ~(uint64_t)line;
	for (uint32_t i = 0; i < WORDS; i++)
		written_by_the_image[i] = ~0ull;
	*device(UART_IBRD) = 7;
	memset(in->buffer, 0xff, sizeof(in->buffer));
	memset(in->command, 0xff, sizeof(in->command));
}

static uint32_t seed(void)
{
	uint32_t bytes = 0, value = 0;
	const uint8_t *at = tree_chosen(tree_find(), "rng-seed", &bytes);

	EXPECT(at && bytes >= 8);
	if (at && bytes >= 8)
		value = tree_word(at) ^ tree_word(at + 4);
	return value & 0xffffff;
}

/* ---- Its end ---- */

static void consume(uint32_t priority)
{
	const struct weir_pages *pages = weir_here();

	__atomic_store_n(&pages->in->event_head[priority],
			 __atomic_load_n(&pages->out->event_tail[priority], __ATOMIC_ACQUIRE),
			 __ATOMIC_RELEASE);
}

/* The event of `control` is there; interrupts are masked, so nobody takes it. */
static bool told(void)
{
	const struct weir_pages *pages = weir_here();

	return __atomic_load_n(&pages->out->event_tail[URGENT], __ATOMIC_ACQUIRE) !=
	       pages->in->event_head[URGENT];
}

static void end_it(void)
{
	if (way == LIFE_BY_FAULT)
		end_by_fault();
	if (way == LIFE_BY_RESET)
		weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
	if (way == LIFE_BY_OFF)
		power_off();
}

static void ready(void)
{
	weir_port_publish(control, LIFE_WORD(LIFE_READY, control >> 16, failed, 0));
}

/* A hypercall of each kind; nothing is expected of them. */
static void calls(uint64_t turn)
{
	weir_handle grant = 0;
	bool open;

	weir_event_send(data);
	weir_port_publish(data, turn);
	weir_port_peer(data, &grant, &open);
	weir_grant_share(data, 1 + turn % 8, 1 + turn % 4, WEIR_READ_WRITE, &grant);
	weir_grant_revoke(grant);
	weir_grant_map(data, grant, turn % 8, NULL, NULL);
	weir_grant_unmap(turn % 8);
	weir_port_bind(data, 0, turn % 3);
	weir_upcall_register(1u << WEIR_SERVICE_PING);
	weir_block_submit(0, WEIR_BLOCK_FLUSH, 0, 0, NULL, 0);
	weir_vm_restart(control);
}

/* Does what the situation says until the end comes; interrupts are masked. */
static void linger(void)
{
	for (uint64_t turn = 0;; turn++) {
		if (told())
			end_it();
		if (situation == LIFE_SLEEPS || situation == LIFE_USES_ALL)
			__asm__ volatile("wfi");
		if (situation == LIFE_CALLS)
			calls(turn);
	}
}

/* ---- Situations ---- */

/* As many reads as there may be, into pages that the next life wants to find empty. */
static void start_reads(void)
{
	uint64_t page = (uint64_t)ram.base + cpu_index() * WEIR_COMPLETIONS * PAGE_SIZE;
	uint32_t accepted = 0;

	while (weir_block_submit(0, WEIR_BLOCK_READ, 1 + accepted, SECTORS,
				 (const void *)(page + accepted * PAGE_SIZE), 0) == WEIR_OK)
		accepted++;
	EXPECT(accepted == WEIR_COMPLETIONS);
}

static void fill_page(uint64_t page)
{
	volatile uint64_t *words = (volatile uint64_t *)(pool.base + page * PAGE_SIZE);

	for (uint64_t word = 0; word < WORDS; word++)
		words[word] = life_pattern(control >> 16, word);
}

/* Each page by itself; the handle of the first is for the manager, who knows the others by it. */
static void share(uint32_t pages, enum weir_access access)
{
	weir_handle first = 0, grant;

	for (uint32_t page = 0; page < pages; page++) {
		grant = 0;
		EXPECT(weir_grant_share(data, page, 1, access, &grant) == WEIR_OK);
		first = page ? first : grant;
	}
	EXPECT(weir_grant_share(data, 0, 1, access, &grant) == WEIR_BUSY);
	weir_port_publish(data, first);
}

/* The manager's grants, as many as fill `pages` of the window; it published the first. */
static void map(uint32_t pages)
{
	weir_handle grant = 0;
	uint32_t count = 0;

	EXPECT(weir_port_peer(data, &grant, NULL) == WEIR_OK);
	for (uint32_t page = 0; page < pages; page += count) {
		count = pages;
		EXPECT(weir_grant_map(data, grant + page, page, &count, NULL) == WEIR_OK);
		for (uint64_t word = 0; word < WORDS; word++)
			EXPECT(((volatile uint64_t *)(window.base + page * PAGE_SIZE))[word] ==
			       life_pattern(0, word));
	}
}

/* A record that is whole, and the next: its room is taken, its header and half of it are there. */
static void write_ring(void)
{
	struct weir_ring_producer ring;
	uint32_t *half = NULL;

	memset(pool.base, 0, PAGE_SIZE);
	EXPECT(weir_ring_producer_init(&ring, pool.base, PAGE_SIZE) == WEIR_OK);
	EXPECT(weir_ring_write(&ring, "whole", 6, 1) == WEIR_OK);
	weir_ring_publish(&ring);
	EXPECT(weir_ring_reserve(&ring, 64, (void **)&half) == WEIR_OK);
	half[-2] = WEIR_RING_RECORD | 64;
	half[0] = ~0u;
}

static void linger_in_handler(uint32_t intid, void *arg)
{
	(void)arg;
	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		if (sgi != intid)
			irq_send(cpu_index(), sgi);
	*device(GICD + 0x204) = UNUSED_SPIS;
	if (cpu_index() == 0)
		ready();
	linger();
}

static void interrupt_itself(void)
{
	for (uint32_t sgi = 0; sgi < SGIS; sgi++)
		irq_handle(sgi, linger_in_handler, NULL);
	for (uint32_t spi = 0; spi < 8 && cpu_index() == 0; spi++)
		irq_handle(FIRST_UNUSED + spi, linger_in_handler, NULL);
	irq_send(cpu_index(), cpu_index());
	irq_restore(0);
	while (true)
		__asm__ volatile("wfi");
}

static enum weir_status linger_in_upcall(const uint64_t *argument, uint64_t *reply)
{
	(void)argument;
	(void)reply;
	ready();
	linger();
	return WEIR_OK;
}

static void answer(void)
{
	upcall_handle(WEIR_SERVICE_PROGRESS, linger_in_upcall);
	irq_restore(0);
	while (true)
		__asm__ volatile("wfi");
}

static void second(void *arg)
{
	(void)arg;
	irq_save();
	if (situation == LIFE_READS || situation == LIFE_USES_ALL)
		start_reads();
	SHARED_WRITE(second_lingers, true);
	if (situation == LIFE_INTERRUPTED)
		interrupt_itself();
	if (situation == LIFE_FIRST_IS_OFF)
		while (weir_call(AFFINITY_INFO, 0, 0, 0, 0, 0, 0).status != OFF)
			;
	if (situation == LIFE_FIRST_IS_OFF)
		ready();
	linger();
}

static void start_second(void)
{
	if (!has_second)
		return;
	EXPECT(cpu_start(1, second, NULL) == 0);
	while (!SHARED_READ(second_lingers))
		;
}

static void prepare(void)
{
	switch (situation) {
	case LIFE_SLEEPS:
		timer_set(timer_now() + timer_ticks(50000000), NULL, NULL);
		break;
	case LIFE_READS:
		start_reads();
		break;
	case LIFE_SHARES:
		share(LIFE_POOL_PAGES, WEIR_READ_WRITE);
		break;
	case LIFE_SHOWS:
		fill_page(0);
		share(1, WEIR_READ_WRITE);
		break;
	case LIFE_MAPS:
		map(1);
		break;
	case LIFE_WRITES_RING:
		write_ring();
		share(1, WEIR_READ);
		break;
	case LIFE_USES_ALL:
		for (uint32_t page = 0; page < LIFE_POOL_PAGES; page++)
			fill_page(page);
		share(LIFE_POOL_PAGES, WEIR_READ_WRITE);
		map(LIFE_WINDOW_PAGES);
		start_reads();
		break;
	default:
		break;
	}
}

static void obey(void)
{
	irq_save();
	consume(URGENT);
	if (situation == LIFE_FIRST_IS_OFF && has_second)
		EXPECT(weir_port_bind(control, 1, URGENT) == WEIR_OK);
	start_second();
	prepare();
	if (situation == LIFE_INTERRUPTED)
		interrupt_itself();
	if (situation == LIFE_ANSWERS)
		answer();
	if (situation == LIFE_FIRST_IS_OFF && has_second)
		weir_call(CPU_OFF, 0, 0, 0, 0, 0, 0);
	ready();
	linger();
}

static weir_handle find(const char *name, const char *more)
{
	char whole[LIFE_NAME_MAX + 8] = { 0 };
	weir_handle port = 0;

	memcpy(whole, name, strlen(name));
	memcpy(whole + strlen(name), more, strlen(more));
	weir_port_find(weir_here(), whole, &port);
	return port;
}

static void find_channels(void)
{
	static const char *const names[] = { LIFE_TARGETS };

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]) && !control; i++) {
		control = find(names[i], "");
		data = find(names[i], "-data");
	}
	EXPECT(control && data);
	EXPECT(weir_port_bind(control, 0, URGENT) == WEIR_OK);
}

int main(void)
{
	uint64_t word = 0;

	ram = weir_region(WEIR_REGION_RAM);
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	memory_is_new();
	devices_are_new();
	pages_are_new();
	find_channels();
	no_interrupt_is_left();
	weir_port_publish(control, LIFE_WORD(LIFE_HELLO, control >> 16, failed, seed()));
	make_a_mess();
	while (!word) {
		event_wait(control, timer_now() + timer_ticks(100000000));
		weir_port_peer(control, &word, NULL);
	}
	situation = LIFE_SITUATION(word);
	way = LIFE_WAY(word);
	obey();
	return 1;
}
