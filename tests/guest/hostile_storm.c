/*
 * Interrupts as fast as they can be made: by SGIs to everybody, sends, a timer that is always due, a UART whose
 * interrupt nobody clears, more of them than there are list registers, and with their ends confused.
 * The other two vCPUs receive and join in.
 */
#include "tests/guest/gic_offsets.h"
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#define ROUNDS	    20000u /* unless bootargs say `rounds=N` */
#define OTHERS	    2u
#define SPI_FIRST   40u
#define SPI_LAST    255u
#define INTID_TIMER 27u
#define INTID_UART  33u

#define UART_IMSC 0x38

static uint32_t rounds, taken[CPUS_MAX], timers;
static uint32_t sender_go; /* the other vCPUs send while this is set */
static uint32_t leave;	   /* and end */

static void count(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	__atomic_fetch_add(&taken[cpu_index()], 1, __ATOMIC_RELAXED);
}

/* To every vCPU there is, the sender too. */
static void send_to_all(uint64_t sgi)
{
	if (gic_version() == 2) {
		mmio_write32(GICD_BASE + GICD_SGIR, (uint32_t)(0xffu << 16 | sgi));
		return;
	}
	__asm__ volatile("msr s3_0_c12_c11_5, %0\n\tisb" ::"r"(sgi << 24 | 0xffff));
}

/* To all others, as the architecture can say it: whatever the target list is. */
static void send_to_others(uint64_t sgi)
{
	if (gic_version() == 2) {
		mmio_write32(GICD_BASE + GICD_SGIR, (uint32_t)(1u << 24 | 0xa5u << 16 | sgi));
		return;
	}
	__asm__ volatile("msr s3_0_c12_c11_5, %0\n\tisb" ::"r"(1ul << 40 | sgi << 24 | 0xff));
}

static void receive(void *arg)
{
	uint64_t sgi = (uint64_t)arg;

	for (uint32_t i = 0; i < 16; i++)
		irq_handle(i, count, NULL);
	while (!SHARED_READ(leave)) {
		if (SHARED_READ(sender_go)) {
			send_to_all(sgi);
			send_to_others(sgi + 8);
		}
		__asm__ volatile("wfi");
	}
}

static bool all_off(void)
{
	for (uint64_t i = 1; i <= OTHERS; i++)
		if (weir_call(0xc4000004, i, 0, 0, 0, 0, 0).status != 1)
			return false;
	return true;
}

TEST(it_has_victims)
{
	hostile_begin();
	rounds = (uint32_t)bootargs_number("rounds", ROUNDS);
	CHECK(hostile_victim[0] && hostile_victim[1]);
	for (uint32_t i = 0; i < 16; i++)
		irq_handle(i, count, NULL);
	for (uint64_t i = 1; i <= OTHERS; i++)
		CHECK_IS(cpu_start((uint32_t)i, receive, (void *)i), 0);
}

TEST(sgis_to_all_from_one)
{
	uint32_t before = SHARED_READ(taken[0]);

	for (uint32_t i = 0; i < rounds; i++) {
		send_to_all(i % 16);
		if (i % 4 == 0)
			send_to_others(i % 16);
	}
	CHECK(WAIT(SHARED_READ(taken[0]) - before >= rounds / 2));
	CHECK(WAIT(SHARED_READ(taken[1]) > 0 && SHARED_READ(taken[2]) > 0));
}

TEST(sgis_to_all_from_all)
{
	SHARED_WRITE(sender_go, 1);
	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t flags = i % 64 < 32 ? irq_save() : 0;

		send_to_all(i % 16);
		send_to_others(i % 16);
		if (i % 64 < 32)
			irq_restore(flags);
	}
	SHARED_WRITE(sender_go, 0);
}

/* To one that comes and goes, in any state of it. */
TEST(sgis_to_vcpus_that_turn_off_and_on)
{
	for (uint32_t round = 0; round < rounds / 200; round++) {
		uint64_t end = timer_now() + timer_ticks(WAIT_NS);

		SHARED_WRITE(leave, 1);
		while (!all_off() && timer_now() < end) {
			send_to_all(round % 16);
			task_sleep(10000);
		}
		SHARED_WRITE(leave, 0);
		for (uint64_t i = 1; i <= OTHERS; i++) {
			CHECK_IS(cpu_start((uint32_t)i, receive, (void *)i), 0);
			send_to_all(round % 16);
		}
	}
}

TEST(sends_without_end)
{
	for (uint32_t i = 0; i < rounds; i++)
		CHECK_IS(weir_event_send(hostile_victim[i % 2]), WEIR_OK);
	for (uint32_t i = 0; i < rounds; i++)
		CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	for (uint32_t i = 0; i < rounds; i++)
		CHECK_IS(weir_event_send(hostile_victim[1]), WEIR_OK);
}

static void leave_timer(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	if (++timers == rounds)
		__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
}

/*
 * Its level stays up, so each end of interrupt is the next one; but QEMU's GICv2 looks at the level again only when
 * something else happens to it.
 */
TEST(a_timer_that_is_always_due)
{
	irq_handle(INTID_TIMER, leave_timer, NULL);
	__asm__ volatile("msr cntv_cval_el0, xzr\n\tmsr cntv_ctl_el0, %0\n\tisb" ::"r"(1ul));
	for (uint64_t i = 0; SHARED_READ(timers) < rounds && i < 4 * rounds; i++)
		send_to_others(1);
	__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
	CHECK(timers >= (gic_version() == 2 ? 1 : rounds));
}

static void stop_timer(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
}

/* On and off, masked and not, near and far, with the interrupt taken and not. */
TEST(a_timer_that_is_never_left_alone)
{
	struct random random = { 6 };

	irq_handle(INTID_TIMER, stop_timer, NULL);

	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t value = random_next(&random), flags = 0;

		if (value & 8)
			flags = irq_save();
		__asm__ volatile("msr cntv_tval_el0, %0" ::"r"(value >> 8 & 0xfff));
		__asm__ volatile("msr cntv_ctl_el0, %0\n\tisb" ::"r"(value & 3));
		if (value & 8)
			irq_restore(flags);
		if ((value & 0xf000000000) == 0)
			__asm__ volatile("msr cntv_cval_el0, %0" ::"r"(value));
	}
	__asm__ volatile("msr cntv_ctl_el0, xzr\n\tisb");
}

static void poke(uint64_t base, uint64_t offset, uint32_t value)
{
	/* By assembly: a store with write-back, as a loop may get it, is none that a device answers. */
	__asm__ volatile("str %w0, [%1]" ::"r"(value), "r"(base + offset) : "memory");
}

static void pend_all_spis(void)
{
	for (uint64_t word = 2; word < 8; word++)
		poke(GICD_BASE, GICD_ISPENDR + 4 * word, ~0u);
}

/* Each free list register asks for the next interrupt: the maintenance interrupt, without end. */
TEST(more_interrupts_than_list_registers)
{
	uint32_t before;

	for (uint32_t intid = SPI_FIRST; intid <= SPI_LAST; intid++)
		irq_handle(intid, count, NULL);
	before = SHARED_READ(taken[0]);
	for (uint32_t round = 0; round < rounds / 200; round++) {
		uint64_t flags = irq_save();

		pend_all_spis();
		for (uint64_t intid = 64; intid < 256; intid += 4)
			poke(GICD_BASE, GICD_IPRIORITYR + intid, 0x80604020u + round * 0x08080808u);
		for (uint64_t sgi = 0; sgi < 16; sgi++)
			send_to_all(sgi);
		irq_restore(flags);
	}
	CHECK(WAIT(SHARED_READ(taken[0]) - before > rounds / 200 * 100));
}

static uint32_t acknowledge(void)
{
	uint64_t intid;

	if (gic_version() == 2)
		return mmio_read32(GICC_BASE + 0xc) & 0x3ff;
	__asm__ volatile("mrs %0, s3_0_c12_c12_0\n\tdsb sy" : "=r"(intid)::"memory");
	return (uint32_t)intid;
}

static void end_interrupt(uint32_t intid)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE + 0x10, intid);
	else
		__asm__ volatile("msr s3_0_c12_c12_1, %0" ::"r"((uint64_t)intid) : "memory");
}

static void deactivate(uint32_t intid)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE + 0x1000, intid);
	else
		__asm__ volatile("msr s3_0_c12_c11_1, %0" ::"r"((uint64_t)intid) : "memory");
}

static void set_eoi_mode(bool split)
{
	if (gic_version() == 2)
		mmio_write32(GICC_BASE, split ? 0x201 : 1);
	else
		__asm__ volatile("msr s3_0_c12_c12_4, %0\n\tisb" ::"r"(split ? 2ul : 0ul)
				 : "memory");
}

/* Ends of what is not active, of others, twice, out of order; deactivated late or never. */
TEST(ends_of_interrupts_in_any_order)
{
	struct random random = { 7 };
	uint64_t flags = irq_save();
	uint32_t seen = 0;

	for (uint32_t i = 0; i < rounds; i++) {
		uint64_t value = random_next(&random);
		uint32_t intid = (uint32_t)(value >> 8 & 0xff), one;

		switch (value & 7) {
		case 0:
			pend_all_spis();
			break;
		case 1:
		case 2:
			one = acknowledge();
			seen += one < 1020;
			if (value & 0x10000)
				end_interrupt(one);
			break;
		case 3:
			end_interrupt(intid);
			break;
		case 4:
			deactivate(intid);
			break;
		case 5:
			set_eoi_mode(value & 0x10000);
			break;
		case 6:
			poke(GICD_BASE,
			     (value & 0x10000 ? GICD_ISACTIVER : GICD_ICACTIVER) + 4 * (intid % 8),
			     (uint32_t)(value >> 32));
			break;
		default:
			send_to_all(intid % 16);
			break;
		}
	}
	CHECK(seen > 0);
	/* As it was, so that the report gets out. */
	for (uint64_t word = 0; word < 8; word++) {
		poke(GICD_BASE, GICD_ICENABLER + 4 * word, ~0u);
		poke(GICD_BASE, GICD_ICPENDR + 4 * word, ~0u);
		poke(GICD_BASE, GICD_ICACTIVER + 4 * word, ~0u);
	}
	for (uint32_t intid = 0; intid < 256; intid++) {
		set_eoi_mode(true);
		end_interrupt(intid);
		deactivate(intid);
	}
	set_eoi_mode(false);
	irq_restore(flags);
}

static uint32_t uart_interrupts;

static void leave_uart(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	if (++uart_interrupts == rounds)
		poke(UART_BASE, UART_IMSC, 0);
}

/* The transmit interrupt is a level, and nobody clears it. */
TEST(a_uart_whose_interrupt_stays)
{
	irq_handle(INTID_UART, leave_uart, NULL);
	printf("# interrupts by this line\n");
	poke(UART_BASE, UART_IMSC, 0x7ff);
	for (uint64_t i = 0; SHARED_READ(uart_interrupts) < rounds && i < rounds; i++)
		__asm__ volatile("yield");
	CHECK_IS(uart_interrupts, rounds);
}

TEST(it_works_still)
{
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims),
	RUN(sgis_to_all_from_one),
	RUN(sgis_to_all_from_all),
	RUN(sgis_to_vcpus_that_turn_off_and_on),
	RUN(sends_without_end),
	RUN(a_timer_that_is_always_due),
	RUN(a_timer_that_is_never_left_alone),
	RUN(more_interrupts_than_list_registers),
	RUN(a_uart_whose_interrupt_stays),
	RUN(ends_of_interrupts_in_any_order),
	RUN(it_works_still),
};
TESTS_MAIN
