/*
 * A prompt that does not end its line, and what is typed echoed behind it; a neighbour that breaks
 * it off when told to (test_console.py).
 */
#include "tests/guest/tap.h"

static weir_handle port;

/* A line is typed and echoed, backspace and all; without its end. */
static void read_line(char *text, unsigned int size)
{
	unsigned int length = 0;

	for (;;) {
		int byte = uart_get();

		if (byte < 0) {
			task_sleep(1000000);
		} else if (byte == '\r') {
			printf("\r\n");
			text[length] = 0;
			return;
		} else if (byte == 0x7f && length) {
			length--;
			printf("\b \b");
		} else if (length < size - 1) {
			text[length++] = (char)byte;
			uart_put((char)byte);
		}
	}
}

TEST(a_line_is_typed_behind_a_prompt)
{
	char text[32];

	printf("login: ");
	read_line(text, sizeof(text));
	CHECK(!strcmp(text, "me"));
}

TEST(another_vm_breaks_a_prompt_off)
{
	char text[32];

	printf("# ");
	read_line(text, sizeof(text));
	CHECK(!strcmp(text, "now"));
	printf("$ ");
	while (uart_get() != '!') /* who reads the prompt has seen it */
		task_sleep(1000000);
	weir_event_send(port);
	read_line(text, sizeof(text));
	CHECK(!strcmp(text, "on"));
}

TESTS = {
	RUN(a_line_is_typed_behind_a_prompt),
	RUN(another_vm_breaks_a_prompt_off),
};

int main(void)
{
	if (weir_port_find(weir_here(), "ask", &port) != WEIR_OK)
		return 1;
	return tap_run(tap_tests, sizeof(tap_tests) / sizeof(tap_tests[0]));
}
