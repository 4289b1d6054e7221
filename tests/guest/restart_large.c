/* A VM with so much memory that it takes a while to make it anew. Does what `control` says. */
#include "tests/guest/restart_commands.h"
#include "tests/guest/tap.h"

#define SYSTEM_RESET 0x84000009u

int main(void)
{
	weir_handle control = 0;
	uint64_t word = 0;

	weir_port_find(weir_here(), "control", &control);
	while (!word) {
		event_wait(control, timer_now() + timer_ticks(100000000));
		weir_port_peer(control, &word, NULL);
	}
	if (COMMAND_OF(word) == DIE)
		weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
	return 0;
}
