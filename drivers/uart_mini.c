/*
 * The mini UART of the Raspberry Pi (BCM2711 ARM Peripherals, 2.2), much like a 16550 with registers
 * four bytes apart. Its FIFOs have eight bytes each.
 *
 * Firmware has switched it on and set its baud rate, which hangs on the core's clock
 * (config.txt: enable_uart=1); both are kept.
 *
 * Owns:  the registers of the console's UART, from AUX_MU_IO_REG on.
 * Locks: none of its own; core/console.c calls it under the console's lock.
 */
#include "drivers/registers.h"
#include "drivers/uart.h"

enum {
	MU_IO = 0x00,
	MU_IER = 0x04,
	MU_IIR = 0x08, /* written: clears FIFOs */
	MU_LCR = 0x0c,
	MU_MCR = 0x10,
	MU_LSR = 0x14,
	MU_CNTL = 0x20,
};

/*
 * In the list of the manual's errata: bits 3:2 have to be set for any interrupt to come, and receive
 * is bit 0.
 */
#define MU_IER_RX     (BIT(0) | BIT(2) | BIT(3))
#define MU_IER_TX     BIT(1)
#define MU_FIFO_CLEAR (BIT(1) | BIT(2))
#define MU_LCR_8BIT   3u
#define MU_LSR_RX     BIT(0) /* a byte is there */
#define MU_LSR_ROOM   BIT(5) /* the transmit FIFO takes a byte */
#define MU_LSR_IDLE   BIT(6)
#define MU_CNTL_ON    3u

/* A byte at 9600 baud is a millisecond; that many polls take longer than a full FIFO. */
#define DRAIN_POLLS 1000000u

static void *registers;

static bool mini_idle(void)
{
	return register_read(registers, MU_LSR) & MU_LSR_IDLE;
}

/* The wait is at boot and bounded. */
static void mini_init(void *mapped)
{
	registers = mapped;
	for (u32 i = 0; i < DRAIN_POLLS && !mini_idle(); i++)
		;
	register_write(registers, MU_CNTL, 0);
	register_write(registers, MU_LCR, MU_LCR_8BIT);
	register_write(registers, MU_MCR, 0);
	register_write(registers, MU_IIR, MU_FIFO_CLEAR);
	register_write(registers, MU_IER, MU_IER_RX);
	register_write(registers, MU_CNTL, MU_CNTL_ON);
}

static bool mini_put(u8 byte)
{
	if (!(register_read(registers, MU_LSR) & MU_LSR_ROOM))
		return false;
	register_write(registers, MU_IO, byte);
	return true;
}

static int mini_get(void)
{
	if (!(register_read(registers, MU_LSR) & MU_LSR_RX))
		return -1;
	return (int)(register_read(registers, MU_IO) & 0xff);
}

static void mini_transmit_interrupt(bool on)
{
	register_write(registers, MU_IER, MU_IER_RX | (on ? MU_IER_TX : 0));
}

/* Interrupts are levels: reading the last byte, or filling the FIFO, takes them back. */
static void mini_interrupt_clear(void)
{
}

const struct uart_ops uart_mini = {
	.compatible = "brcm,bcm2835-aux-uart",
	.init = mini_init,
	.put = mini_put,
	.get = mini_get,
	.transmit_interrupt = mini_transmit_interrupt,
	.interrupt_clear = mini_interrupt_clear,
	.idle = mini_idle,
};
