/* PL011 (ARM DDI 0183), polled. printf.c holds the lock that keeps lines together. */
#include "guests/lib/runtime.h"

#define DR   0x00
#define FR   0x18
#define LCRH 0x2c
#define CR   0x30

#define FR_RXFE	    (1u << 4)
#define FR_TXFF	    (1u << 5)
#define LCRH_FIFO   (1u << 4)
#define LCRH_8_BITS (3u << 5)
#define CR_ENABLE   (1u << 0 | 1u << 8 | 1u << 9) /* UART, transmitter, receiver */

void uart_init(void)
{
	mmio_write32(UART_BASE + LCRH, LCRH_8_BITS | LCRH_FIFO);
	mmio_write32(UART_BASE + CR, CR_ENABLE);
}

void uart_put(char c)
{
	while (mmio_read32(UART_BASE + FR) & FR_TXFF)
		__asm__ volatile("yield");
	mmio_write32(UART_BASE + DR, (uint8_t)c);
}

int uart_get(void)
{
	if (mmio_read32(UART_BASE + FR) & FR_RXFE)
		return -1;
	return (uint8_t)mmio_read32(UART_BASE + DR);
}
