/* What is typed at the console reaches the VM with the right to it, byte by byte, by interrupt. */
#include "tests/guest/tap.h"

#define UART_IMSC  0x09000038ul
#define UART_LCR_H 0x0900002cul
#define UART_RX	   (1u << 4)
#define LCR_H_FEN  (1u << 4)
#define UART_INTID 33u

static char text[128];
static uint32_t length;

static void receive(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	for (int byte = uart_get(); byte >= 0; byte = uart_get())
		if (length < sizeof(text) - 1)
			text[length++] = (char)byte;
}

TEST(typed_lines_arrive_whole)
{
	*(volatile uint32_t *)UART_LCR_H = LCR_H_FEN | 3u << 5;
	irq_handle(UART_INTID, receive, NULL);
	*(volatile uint32_t *)UART_IMSC = UART_RX;
	printf("# type\n");
	CHECK(WAIT(length && ((volatile char *)text)[length - 1] == '\n'));
	CHECK(!strcmp(text, "the quick brown fox\n"));
}

TESTS = {
	RUN(typed_lines_arrive_whole),
};
TESTS_MAIN
