/*
 * ARM PrimeCell UART, PL011 (ARM DDI 0183).
 *
 * Owns:  the registers of the console's UART.
 * Locks: none of its own; core/console.c calls it under the console's lock.
 */
#include "drivers/pl011.h"
#include "drivers/registers.h"
#include "drivers/uart.h"

/* One byte at 9600 baud is a millisecond; that many polls take longer on any core. */
#define DRAIN_POLLS 1000000u

static void *registers;

static bool pl011_idle(void)
{
	return !(register_read(registers, PL011_FR) & PL011_FR_BUSY);
}

/*
 * The order of DDI 0183 3.3.8: disable, wait for the byte that is on the line, flush the FIFO by
 * clearing FEN, set up, enable. The wait is at boot and bounded. Baud rates are the firmware's.
 */
static void pl011_init(void *mapped)
{
	registers = mapped;
	for (u32 i = 0; i < DRAIN_POLLS && !pl011_idle(); i++)
		;
	register_write(registers, PL011_CR, 0);
	register_write(registers, PL011_LCR_H, 0);
	register_write(registers, PL011_LCR_H, PL011_LCR_H_8BIT | PL011_LCR_H_FEN);
	register_write(registers, PL011_IFLS, PL011_IFLS_RECEIVE_1_8 | PL011_IFLS_TRANSMIT_1_2);
	register_write(registers, PL011_DMACR, 0);
	register_write(registers, PL011_ICR, PL011_INT_ALL);
	register_write(registers, PL011_IMSC, PL011_INT_RX | PL011_INT_RT);
	register_write(registers, PL011_CR, PL011_CR_UARTEN | PL011_CR_TXE | PL011_CR_RXE);
}

static bool pl011_put(u8 byte)
{
	if (register_read(registers, PL011_FR) & PL011_FR_TXFF)
		return false;
	register_write(registers, PL011_DR, byte);
	return true;
}

static int pl011_get(void)
{
	if (register_read(registers, PL011_FR) & PL011_FR_RXFE)
		return -1;
	return (int)(register_read(registers, PL011_DR) & 0xff);
}

/*
 * The raw transmit interrupt rises when the FIFO drains through its trigger level and then stays
 * until the FIFO is filled above it (DDI 0183 3.4.3), if nobody clears it: so it is never cleared,
 * only masked. It has risen whenever the FIFO was once full, which is when the console turns it on.
 */
static void pl011_transmit_interrupt(bool on)
{
	register_write(registers, PL011_IMSC,
		       PL011_INT_RX | PL011_INT_RT | (on ? PL011_INT_TX : 0));
}

static void pl011_interrupt_clear(void)
{
	register_write(registers, PL011_ICR, PL011_INT_ALL & ~PL011_INT_TX);
}

const struct uart_ops uart_pl011 = {
	.compatible = "arm,pl011",
	.init = pl011_init,
	.put = pl011_put,
	.get = pl011_get,
	.transmit_interrupt = pl011_transmit_interrupt,
	.interrupt_clear = pl011_interrupt_clear,
	.idle = pl011_idle,
};
