/* The other end of port.c: connects where it is told to, and answers there. */
#include "tests/guest/port_commands.h"
#include "tests/guest/tap.h"

enum { CONTROL, JOINED };

static weir_handle ports[2];
static uint32_t count = 1;

static void leave(void)
{
	if (count == 2)
		CHECK_IS(event_close(ports[JOINED]), WEIR_OK);
	count = 1;
}

static void connect_to(weir_handle theirs)
{
	leave();
	CHECK_IS(weir_port_connect(ports[CONTROL], theirs, &ports[JOINED]), WEIR_OK);
	count = 2;
}

static void answer(void)
{
	uint64_t word = 0;
	bool open = false;

	CHECK_IS(weir_port_peer(ports[JOINED], &word, &open), WEIR_OK);
	if (!open || word == PORT_CLOSE) {
		leave();
		return;
	}
	for (uint32_t i = 0; word == PORT_FLOOD && i < FLOOD; i++)
		CHECK_IS(weir_event_send(ports[JOINED]), WEIR_OK);
	if (word) /* else the event came before the first word */
		weir_port_publish(ports[JOINED], word + 1);
}

TEST(it_connects_and_answers)
{
	uint64_t word = 0, last = 0;
	uint32_t which = 0;

	CHECK_IS(weir_port_find(weir_here(), "control", &ports[CONTROL]), WEIR_OK);
	while (word != PORT_END && !tap_failure.line) {
		bool told = event_wait_any(ports, count, timer_now() + timer_ticks(3 * WAIT_NS),
					   &which);

		CHECK(told);
		if (which == JOINED) {
			answer();
			continue;
		}
		CHECK_IS(weir_port_peer(ports[CONTROL], &word, NULL), WEIR_OK);
		if (word != PORT_END && word != last)
			connect_to(word);
		last = word;
	}
	leave();
}

TESTS = {
	RUN(it_connects_and_answers),
};
TESTS_MAIN
