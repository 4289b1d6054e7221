/*
 * The small devices of the Raspberry Pi, on registers that are memory: mini UART, power block.
 *
 * Sources: drivers/uart_mini.c drivers/bcm2835_pm.c
 */
#include <string.h>
#include "fake.h"
#include "drivers/bcm2835_pm.h"
#include "drivers/registers.h"
#include "drivers/uart.h"

#define WRITES 16

static u32 registers[16]; /* what reads answer */
static struct {
	u32 offset, value;
} writes[WRITES];
static u32 write_count;

u32 register_read(const void *mapped, u32 offset)
{
	assert_ptr_equal(mapped, registers);
	assert_true(offset % 4 == 0 && offset < sizeof(registers));
	return registers[offset / 4];
}

void register_write(void *mapped, u32 offset, u32 value)
{
	assert_ptr_equal(mapped, registers);
	assert_true(write_count < WRITES);
	writes[write_count].offset = offset;
	writes[write_count++].value = value;
}

static int prepare(void **state)
{
	(void)state;
	memset(registers, 0, sizeof(registers));
	write_count = 0;
	return 0;
}

static void check_write(u32 index, u32 offset, u32 value)
{
	assert_true(index < write_count);
	assert_int_equal(writes[index].offset, offset);
	assert_int_equal(writes[index].value, value);
}

/* ---- Power block; before bcm2835_pm_init() it is not there, so this goes first --------------- */

TEST(power_block_that_is_not_there_is_left_alone)
{
	bcm2835_pm_power_off();
	assert_int_equal(write_count, 0);
}

/* The partition, the time, and last what starts it; each with the password, other bits kept. */
TEST(power_off_is_a_reset_with_partition_63)
{
	registers[0x1c / 4] = 0x00000132;
	registers[0x20 / 4] = 0x00001002;
	bcm2835_pm_init(registers);
	bcm2835_pm_power_off();
	assert_int_equal(write_count, 3);
	check_write(0, 0x20, 0x5a001557);
	check_write(1, 0x24, 0x5a00000a);
	check_write(2, 0x1c, 0x5a000122);
}

/* ---- Mini UART ------------------------------------------------------------------------------- */

enum { IO = 0x00, IER = 0x04, IIR = 0x08, LCR = 0x0c, MCR = 0x10, LSR = 0x14, CNTL = 0x20 };

static void init(void)
{
	registers[LSR / 4] = BIT(5) | BIT(6);
	uart_mini.init(registers);
}

/* Off while it is changed; receive interrupt with the two bits without which none comes. */
TEST(mini_uart_is_set_up_with_receive_on)
{
	init();
	assert_int_equal(write_count, 6);
	check_write(0, CNTL, 0);
	check_write(1, LCR, 3);
	check_write(2, MCR, 0);
	check_write(3, IIR, 6);
	check_write(4, IER, 0xd);
	check_write(5, CNTL, 3);
}

TEST(mini_uart_that_never_drains_is_not_waited_for_for_ever)
{
	uart_mini.init(registers);
	check_write(5, CNTL, 3);
}

TEST(mini_uart_puts_only_when_there_is_room)
{
	init();
	write_count = 0;
	assert_true(uart_mini.put('x'));
	check_write(0, IO, 'x');
	registers[LSR / 4] = BIT(6);
	assert_false(uart_mini.put('y'));
	assert_int_equal(write_count, 1);
}

TEST(mini_uart_gets_only_what_is_there)
{
	init();
	registers[IO / 4] = 0xff41;
	assert_int_equal(uart_mini.get(), -1);
	registers[LSR / 4] |= BIT(0);
	assert_int_equal(uart_mini.get(), 0x41);
}

TEST(mini_uart_keeps_receive_on_while_transmit_goes_on_and_off)
{
	init();
	write_count = 0;
	uart_mini.transmit_interrupt(true);
	uart_mini.transmit_interrupt(false);
	uart_mini.interrupt_clear();
	assert_int_equal(write_count, 2);
	check_write(0, IER, 0xf);
	check_write(1, IER, 0xd);
}

TEST(mini_uart_is_idle_when_the_last_bit_is_out)
{
	init();
	assert_true(uart_mini.idle());
	registers[LSR / 4] = BIT(5);
	assert_false(uart_mini.idle());
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, power_block_that_is_not_there_is_left_alone),
		RUN_AFTER(prepare, power_off_is_a_reset_with_partition_63),
		RUN_AFTER(prepare, mini_uart_is_set_up_with_receive_on),
		RUN_AFTER(prepare, mini_uart_that_never_drains_is_not_waited_for_for_ever),
		RUN_AFTER(prepare, mini_uart_puts_only_when_there_is_room),
		RUN_AFTER(prepare, mini_uart_gets_only_what_is_there),
		RUN_AFTER(prepare, mini_uart_keeps_receive_on_while_transmit_goes_on_and_off),
		RUN_AFTER(prepare, mini_uart_is_idle_when_the_last_bit_is_out),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
