/* The other end of event.c: echoes on spread0, and does what `control` says. */
#include "tests/guest/event_commands.h"
#include "tests/guest/tap.h"

#define SPREAD 4u

static weir_handle control, spread[SPREAD];

static void echo(weir_handle port, void *arg)
{
	(void)arg;

	weir_event_send(port);
}

static void flood(void)
{
	for (uint32_t round = 0; round < 100; round++)
		for (uint32_t i = 0; i < SPREAD; i++)
			CHECK_IS(weir_event_send(spread[i]), WEIR_OK);
}

static void invert(void)
{
	uint64_t word = 0;

	CHECK_IS(weir_port_peer(spread[1], &word, NULL), WEIR_OK);
	CHECK_IS(weir_port_publish(spread[1], ~word), WEIR_OK);
}

TEST(ports_are_found_by_name)
{
	static char name[] = "spread0";

	for (uint32_t i = 0; i < SPREAD; i++) {
		name[6] = (char)('0' + i);
		CHECK_IS(weir_port_find(weir_here(), name, &spread[i]), WEIR_OK);
	}
	event_handle(spread[0], echo, NULL);
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
}

/* A command may be the same as the last one: each is announced by an event, after the word. */
TEST(commands_are_served)
{
	uint64_t word = 0, end = timer_now() + timer_ticks(3 * WAIT_NS);

	while (word != COMMAND_END && timer_now() < end) {
		if (!event_wait(control, timer_now() + timer_ticks(WAIT_NS)))
			continue;
		CHECK_IS(weir_port_peer(control, &word, NULL), WEIR_OK);
		if (word == COMMAND_FLOOD)
			flood();
		if (word == COMMAND_INVERT)
			invert();
		if (word != COMMAND_END)
			CHECK_IS(weir_port_publish(control, word | COMMAND_DONE), WEIR_OK);
	}
	CHECK_IS(word, COMMAND_END);
}

TESTS = {
	RUN(ports_are_found_by_name),
	RUN(commands_are_served),
};
TESTS_MAIN
