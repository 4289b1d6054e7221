/* More urgent than restart_large.c and on its core: goes on while that one is made anew. */
#include "tests/guest/restart_commands.h"
#include "tests/guest/tap.h"

static weir_handle control;

static bool is_open(void)
{
	bool open = false;

	weir_port_peer(control, NULL, &open);
	return open;
}

TEST(others_run_while_a_vm_is_rebuilt)
{
	uint32_t sleeps = 0, sends = 0;
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_publish(control, COMMAND(1, DIE)), WEIR_OK);
	CHECK(WAIT(!is_open()));
	while (!is_open() && timer_now() < end) {
		enum weir_status status = weir_event_send(control);

		sends += status == WEIR_CLOSED;
		task_sleep(500000);
		sleeps++;
	}
	CHECK(is_open());
	CHECK(sends >= 3);
	CHECK(sleeps >= 3);
	CHECK_IS(weir_port_publish(control, COMMAND(2, END)), WEIR_OK);
	CHECK(WAIT(!is_open()));
}

TESTS = {
	RUN(others_run_while_a_vm_is_rebuilt),
};
TESTS_MAIN
