/*
 * The interrupt controller as a guest sees it, with more interrupts than there are list registers.
 * Registers: IHI 0048 (GICv2), IHI 0069 (GICv3).
 */
#include "tests/guest/gic.h"

static uint32_t taken[IRQS_MAX];
static uint32_t order[IRQS_MAX], order_count;
static bool vcpu_ready;

static void count(uint32_t intid, void *arg)
{
	(void)arg;
	if (order_count < IRQS_MAX)
		order[order_count++] = intid;
	__atomic_fetch_add(&taken[intid], 1, __ATOMIC_RELEASE);
}

static void forget(void)
{
	order_count = 0;
	memset(taken, 0, sizeof(taken));
}

static void handle_spis(void)
{
	for (uint32_t i = 0; i < SPI_COUNT; i++) {
		irq_handle(SPI_FIRST + i, count, NULL);
		set_edge(SPI_FIRST + i);
	}
}

TEST(typer_tells_of_the_interrupts_that_there_are)
{
	uint32_t lines = (read32(GICD_BASE + GICD_TYPER) & 31) * 32 + 32;

	CHECK(lines >= SPI_FIRST + SPI_COUNT);
	CHECK(lines <= 1020);
}

TEST(every_sgi_to_oneself_arrives)
{
	uint64_t flags;

	forget();
	for (uint32_t sgi = 0; sgi < 16; sgi++)
		irq_handle(sgi, count, NULL);
	flags = irq_save();
	for (uint32_t sgi = 0; sgi < 16; sgi++)
		irq_send(0, sgi);
	irq_restore(flags);
	for (uint32_t sgi = 0; sgi < 16; sgi++) {
		CHECK(WAIT(SHARED_READ(taken[sgi])));
		CHECK_IS(taken[sgi], 1);
	}
}

TEST(more_pending_than_list_registers_all_arrive_once)
{
	uint64_t flags;

	handle_spis();
	for (int round = 0; round < 20; round++) {
		forget();
		flags = irq_save();
		for (uint32_t i = 0; i < SPI_COUNT; i++)
			set_bit(GICD_ISPENDR, SPI_FIRST + i);
		irq_restore(flags);
		CHECK(WAIT(SHARED_READ(order_count) >= SPI_COUNT));
		for (uint32_t i = 0; i < SPI_COUNT; i++)
			CHECK_IS(taken[SPI_FIRST + i], 1);
	}
}

/* Eight at once, pended from the lowest priority up: twice as many as list registers. */
TEST(the_highest_priority_is_taken_first)
{
	uint64_t flags;

	handle_spis();
	forget();
	flags = irq_save();
	for (uint32_t i = 0; i < 8; i++) {
		set_priority(SPI_FIRST + i, (uint8_t)(0xf0 - 16 * i));
		set_bit(GICD_ISPENDR, SPI_FIRST + i);
	}
	irq_restore(flags);
	CHECK(WAIT(SHARED_READ(order_count) == 8));
	for (uint32_t i = 0; i < 8; i++)
		CHECK_IS(order[i], SPI_FIRST + 7 - i);
	for (uint32_t i = 0; i < 8; i++)
		set_priority(SPI_FIRST + i, 0x80);
}

TEST(a_disabled_interrupt_stays_pending_until_it_is_enabled)
{
	forget();
	irq_handle(SPI_FIRST, count, NULL);
	set_bit(GICD_ICENABLER, SPI_FIRST);
	set_bit(GICD_ISPENDR, SPI_FIRST);
	task_sleep(1000000);
	CHECK_IS(taken[SPI_FIRST], 0);
	CHECK(get_bit(GICD_ISPENDR, SPI_FIRST));
	set_bit(GICD_ISENABLER, SPI_FIRST);
	CHECK(WAIT(SHARED_READ(taken[SPI_FIRST]) == 1));
	CHECK(!get_bit(GICD_ISPENDR, SPI_FIRST));
}

TEST(a_pending_interrupt_can_be_taken_back)
{
	uint64_t flags;

	forget();
	irq_handle(SPI_FIRST, count, NULL);
	flags = irq_save();
	set_bit(GICD_ISPENDR, SPI_FIRST);
	CHECK(get_bit(GICD_ISPENDR, SPI_FIRST));
	set_bit(GICD_ICPENDR, SPI_FIRST);
	CHECK(!get_bit(GICD_ISPENDR, SPI_FIRST));
	irq_restore(flags);
	task_sleep(1000000);
	CHECK_IS(taken[SPI_FIRST], 0);
}

TEST(enable_bits_read_back)
{
	set_bit(GICD_ISENABLER, SPI_FIRST + 1);
	CHECK(get_bit(GICD_ISENABLER, SPI_FIRST + 1));
	CHECK(get_bit(GICD_ICENABLER, SPI_FIRST + 1));
	set_bit(GICD_ICENABLER, SPI_FIRST + 1);
	CHECK(!get_bit(GICD_ISENABLER, SPI_FIRST + 1));
	CHECK(!get_bit(GICD_ICENABLER, SPI_FIRST + 1));
	write32(GICD_BASE + GICD_ISENABLER + SPI_FIRST / 32 * 4, 0);
	CHECK(!get_bit(GICD_ISENABLER, SPI_FIRST + 1));
}

static void count_and_mask_uart(uint32_t intid, void *arg)
{
	count(intid, arg);
	if (taken[intid] >= 3)
		write32(UART_IMSC, 0);
}

/* The transmit interrupt stays up while it is not masked: it comes again after each end of
 * interrupt. */
TEST(a_level_comes_again_until_it_falls)
{
	forget();
	printf("# the last byte raises the transmit interrupt\n");
	irq_handle(UART_INTID, count_and_mask_uart, NULL);
	write32(UART_IMSC, UART_TX);
	CHECK(WAIT(SHARED_READ(taken[UART_INTID]) >= 3));
	task_sleep(1000000);
	CHECK_IS(taken[UART_INTID], 3);
	write32(UART_ICR, UART_TX);
	write32(UART_IMSC, UART_TX);
	task_sleep(1000000);
	CHECK_IS(taken[UART_INTID], 3);
	write32(UART_IMSC, 0);
	irq_handle(UART_INTID, NULL, NULL);
}

static void second_vcpu(void *arg)
{
	(void)arg;
	SHARED_WRITE(vcpu_ready, true);
	for (uint32_t i = 0; i < 100; i++) {
		uint32_t before = SHARED_READ(taken[1]);

		irq_send(0, 1);
		while (SHARED_READ(taken[1]) == before)
			task_sleep(50000);
	}
}

TEST(sgis_of_another_vcpu_arrive)
{
	forget();
	irq_handle(1, count, NULL);
	CHECK_IS(cpu_start(1, second_vcpu, NULL), 0);
	CHECK(WAIT(SHARED_READ(taken[1]) == 100));
}

TESTS = {
	RUN(typer_tells_of_the_interrupts_that_there_are),
	RUN(every_sgi_to_oneself_arrives),
	RUN(more_pending_than_list_registers_all_arrive_once),
	RUN(the_highest_priority_is_taken_first),
	RUN(a_disabled_interrupt_stays_pending_until_it_is_enabled),
	RUN(a_pending_interrupt_can_be_taken_back),
	RUN(enable_bits_read_back),
	RUN(a_level_comes_again_until_it_falls),
	RUN(sgis_of_another_vcpu_arrive),
};
TESTS_MAIN
