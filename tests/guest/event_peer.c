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

/* One that is there when the event of the last one is taken has an event of its own, still to come: it is served once. */
TEST(commands_are_served)
{
	uint64_t word = 0, last = 0;

	while (COMMAND_OF(word) != COMMAND_END) {
		event_wait(control, TASK_FOREVER);
		CHECK_IS(weir_port_peer(control, &word, NULL), WEIR_OK);
		if (word == last)
			continue;
		last = word;
		if (COMMAND_OF(word) == COMMAND_FLOOD)
			flood();
		if (COMMAND_OF(word) == COMMAND_INVERT)
			invert();
		if (COMMAND_OF(word) != COMMAND_END)
			CHECK_IS(weir_port_publish(control, word | COMMAND_DONE), WEIR_OK);
	}
}

TESTS = {
	RUN(ports_are_found_by_name),
	RUN(commands_are_served),
};
TESTS_MAIN
