/*
 * Looks for the longest path of each class of exit: makes every call and every kind of access at
 * its most expensive, with another VM on the core. It reports nothing; the benchmark build of Weir
 * does.
 */
#include <weir/submit.h>
#include "tests/bench/access.h"
#include "tests/bench/bench.h"
#include "tests/guest/gic_offsets.h"

#define SPI_FIRST 64u
#define SPI_WORDS 4u /* of 32 interrupts each */
#define ROUNDS	  4u

#define UNMAPPED 0x20000000ul

static weir_handle port;
static uint32_t taken;

static inline void on_interrupt(uint64_t at, uint32_t intid)
{
	(void)at;
	(void)intid;
}

static void poke8(uint64_t address, uint32_t value)
{
	__asm__ volatile("strb %w0, [%1]" ::"r"(value), "r"(address) : "memory");
}

static void poke64(uint64_t address, uint64_t value)
{
	__asm__ volatile("str %0, [%1]" ::"r"(value), "r"(address) : "memory");
}

static void count(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	taken++;
}

static bool skip(struct exception *exception)
{
	exception->pc += 4;
	return true;
}

/* What may be written back as it was read: not what clears by ones. */
static bool is_harmless(uint64_t offset)
{
	return (offset >= GICD_ISENABLER && offset < GICD_ISENABLER + 0x80) ||
	       (offset >= GICD_IPRIORITYR && offset < 0xc80);
}

/* Every register of the distributor and of the redistributor, read and written back. */
static void touch_registers(void)
{
	for (uint64_t offset = 0; offset < 0x1000; offset += 4) {
		uint32_t value = peek(GICD_BASE + offset);

		if (is_harmless(offset))
			poke(GICD_BASE + offset, value);
		peek(GICR_BASE + offset);
		value = peek(GICR_BASE + 0x10000 + offset);
		if (is_harmless(offset))
			poke(GICR_BASE + 0x10000 + offset, value);
		peek(UART_BASE + offset);
	}
	for (uint32_t i = 0; i < 32; i++)
		poke64(GICD_BASE + GICD_IROUTER + (SPI_FIRST + i) * 8, 0);
}

/* Four times 32 at once, with and without interrupts masked, then taken back. */
static void flood(void)
{
	uint64_t flags = irq_save();

	for (uint32_t word = 0; word < SPI_WORDS; word++)
		poke(GICD_BASE + GICD_ISPENDR + 8 + word * 4, ~0u);
	for (uint32_t i = 0; i < 32; i++)
		poke8(GICD_BASE + GICD_IPRIORITYR + SPI_FIRST + i, 0x40 + i);
	for (uint32_t word = 0; word < SPI_WORDS; word++)
		poke(GICD_BASE + GICD_ICPENDR + 8 + word * 4, 0x55555555);
	poke(GICD_BASE + GICD_ISACTIVER + 8, 0x3);
	poke(GICD_BASE + GICD_ISACTIVER + 0x80 + 8, 0x3);
	irq_restore(flags);
	irq_send(0, 1);
	flags = irq_save();
	for (uint64_t sgi = 0; sgi < 16; sgi++)
		__asm__ volatile("msr s3_0_c12_c11_5, %0" ::"r"(sgi << 24 | 3));
	irq_restore(flags);
}

static void use_fp(void)
{
	__asm__ volatile(".arch_extension fp\n\tfmov d0, xzr");
}

static void read_id_registers(void)
{
	uint64_t value;

	__asm__ volatile("mrs %0, id_aa64pfr0_el1" : "=r"(value));
	__asm__ volatile("mrs %0, id_aa64mmfr2_el1" : "=r"(value));
	__asm__ volatile("mrs %0, id_mmfr4_el1" : "=r"(value));
	__asm__ volatile("mrs %0, mdscr_el1" : "=r"(value));
	__asm__ volatile("mrs %0, cntp_ctl_el0" : "=r"(value));
}

static void use_grants(void)
{
	struct region pool = weir_region(WEIR_REGION_POOL);
	uint32_t pages = (uint32_t)(pool.bytes / PAGE_SIZE);
	weir_handle grant;

	if (pages > WEIR_GRANT_PAGES_MAX)
		pages = WEIR_GRANT_PAGES_MAX;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (weir_grant_share(port, 0, pages, WEIR_READ_WRITE, &grant) != WEIR_OK)
			return;
		weir_port_publish(port, grant);
		task_sleep(20000000); /* the peer maps it, and leaves every second one mapped */
		weir_grant_revoke(grant);
	}
}

/* Events up to where one more command is taken, and that is a page to be copied; and copies of pieces. */
static void use_ring(void)
{
	uint8_t *pages = memory_pages(8);
	struct weir_submit ring;

	weir_submit_init(&ring, weir_here());
	for (uint32_t i = 0; pages && i < ROUNDS; i++) {
		struct block_request done = { .done = false }, last = { .done = false };

		task_sleep(6000000); /* the peer is asleep */
		for (uint32_t n = 0; n < 15; n++)
			weir_submit_put_event(&ring, port);
		weir_submit_put_copy(&ring, pages + i * PAGE_SIZE, pages + 4 * PAGE_SIZE, PAGE_SIZE,
				     (uint64_t)&done);
		for (uint32_t n = 0; n < 16; n++)
			weir_submit_put_copy(&ring, pages + (n % 7 + 1) * PAGE_SIZE - 16,
					     pages + n % 8 * PAGE_SIZE, 64, (uint64_t)&last);
		weir_submit_kick(&ring);
		block_wait(&done);
		block_wait(&last);
		task_sleep(1000000);
	}
}

static void second(void *arg)
{
	(void)arg;
	use_fp();
	task_sleep(1000000);
}

static void start_second(void)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		cpu_start(1, second, NULL);
		use_fp();
		weir_call(0xc4000004u, 1, 0, 0, 0, 0, 0);	    /* AFFINITY_INFO */
		weir_call(0x8400000au, 0x84000008u, 0, 0, 0, 0, 0); /* FEATURES */
		task_sleep(3000000);
	}
}

/* Names that are not there, handles that are none, and what has no number. */
static void ask_in_vain(void)
{
	weir_handle nothing;

	weir_port_find(weir_here(), "a-name-that-no-channel-has-here", &nothing);
	weir_event_send(~0ull);
	weir_grant_map(port, ~0ull, 0, NULL, NULL);
	weir_grant_revoke(~0ull);
	weir_call(WEIR_FN(WEIR_FN_COUNT), 0, 0, 0, 0, 0, 0);
	weir_call(WEIR_FN(0xfffff), 0, 0, 0, 0, 0, 0);
}

int main(void)
{
	if (weir_port_find(weir_here(), "bench", &port) != WEIR_OK)
		return 1;
	exception_handle(skip);
	for (uint32_t i = 0; i < SPI_WORDS * 32; i++)
		irq_handle(SPI_FIRST + i, count, NULL);
	for (uint32_t sgi = 0; sgi < 16; sgi++)
		irq_handle(sgi, count, NULL);
	touch_registers();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		flood();
		use_fp();
		read_id_registers();
		*(volatile uint32_t *)UNMAPPED;
		ask_in_vain();
		task_sleep(1000000);
		printf("a line that is as long as a line of a guest may be, or nearly so, and some "
		       "more: %u\n",
		       i);
	}
	start_second();
	use_grants();
	use_ring();
	weir_event_send(port);
	return 0;
}
