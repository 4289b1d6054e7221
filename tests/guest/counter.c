/* Does exactly as much as it is told to by what is typed; test_monitor.py looks whether it is counted. */
#include "tests/guest/tap.h"

#define CALLS  1000
#define SENDS  500
#define READS  20
#define ABORTS 7

static weir_handle port;
static uint8_t sector[8 * WEIR_SECTOR_SIZE] __attribute__((aligned(4096)));

static bool skip(struct exception *exception)
{
	exception->pc += 4;
	return true;
}

static void read_disk(void)
{
	struct block_request request = { .operation = WEIR_BLOCK_READ,
					 .sectors = 8,
					 .buffer = sector };

	if (block_run(&request) != WEIR_OK)
		printf("no disk\n");
}

static void obey(int what)
{
	switch (what) {
	case 'h':
		for (int i = 0; i < CALLS; i++)
			weir_call(WEIR_FN(WEIR_FN_VERSION), 0, 0, 0, 0, 0, 0);
		break;
	case 'e':
		for (int i = 0; i < SENDS; i++)
			weir_event_send(port);
		break;
	case 'b':
		for (int i = 0; i < READS; i++)
			read_disk();
		break;
	case 'a':
		for (int i = 0; i < ABORTS; i++)
			*(volatile uint32_t *)0x20000000;
		break;
	default:
		break;
	}
	printf("did %c\n", what);
}

int main(void)
{
	int what;

	exception_handle(skip);
	if (weir_port_find(weir_here(), "peer", &port) != WEIR_OK)
		return 1;
	printf("ready\n");
	do {
		while ((what = uart_get()) < 0)
			task_sleep(1000000);
		obey(what);
	} while (what != 'q');
	return 0;
}
