/*
 * ARM PrimeCell UART, PL011 (ARM DDI 0183).
 *
 * Owns:  the registers of the console's UART.
 * Locks: none of its own; core/console.c calls it under the console's lock.
 */
#include "drivers/registers.h"
#include "drivers/uart.h"

enum {
	DR = 0x00,
	FR = 0x18,
	LCR_H = 0x2c,
	CR = 0x30,
	IFLS = 0x34,
	IMSC = 0x38,
	ICR = 0x44,
	DMACR = 0x48,
};

#define FR_BUSY BIT(3)
#define FR_RXFE BIT(4)
#define FR_TXFF BIT(5)

#define LCR_H_FEN  BIT(4)
#define LCR_H_8BIT (3u << 5)

#define CR_UARTEN BIT(0)
#define CR_TXE	  BIT(8)
#define CR_RXE	  BIT(9)

#define IFLS_RECEIVE_1_8  (0u << 3)
#define IFLS_TRANSMIT_1_2 (2u << 0)

#define INT_RX	BIT(4)
#define INT_TX	BIT(5)
#define INT_RT	BIT(6)
#define INT_ALL 0x7ffu

/* One byte at 9600 baud is a millisecond; that many polls take longer on any core. */
#define DRAIN_POLLS 1000000u

static void *registers;

static bool pl011_idle(void)
{
	return !(register_read(registers, FR) & FR_BUSY);
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
	register_write(registers, CR, 0);
	register_write(registers, LCR_H, 0);
	register_write(registers, LCR_H, LCR_H_8BIT | LCR_H_FEN);
	register_write(registers, IFLS, IFLS_RECEIVE_1_8 | IFLS_TRANSMIT_1_2);
	register_write(registers, DMACR, 0);
	register_write(registers, ICR, INT_ALL);
	register_write(registers, IMSC, INT_RX | INT_RT);
	register_write(registers, CR, CR_UARTEN | CR_TXE | CR_RXE);
}

static bool pl011_put(u8 byte)
{
	if (register_read(registers, FR) & FR_TXFF)
		return false;
	register_write(registers, DR, byte);
	return true;
}

static int pl011_get(void)
{
	if (register_read(registers, FR) & FR_RXFE)
		return -1;
	return (int)(register_read(registers, DR) & 0xff);
}

/*
 * The raw transmit interrupt rises when the FIFO drains through its trigger level and then stays
 * until the FIFO is filled above it (DDI 0183 3.4.3), if nobody clears it: so it is never cleared,
 * only masked. It has risen whenever the FIFO was once full, which is when the console turns it on.
 */
static void pl011_transmit_interrupt(bool on)
{
	register_write(registers, IMSC, INT_RX | INT_RT | (on ? INT_TX : 0));
}

static void pl011_interrupt_clear(void)
{
	register_write(registers, ICR, INT_ALL & ~INT_TX);
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
