/* The other end of port.c: connects where it is told to, and answers there. */
#include <weir/grant.h>
#include "tests/guest/port_commands.h"
#include "tests/guest/tap.h"

enum { CONTROL, JOINED };

static weir_handle ports[2];
static uint32_t count = 1;

static uint64_t answered; /* the last word at the port that is joined */
static bool mapped;

static void leave(void)
{
	if (mapped) { /* or what is left of it */
		CHECK_IS(event_close(ports[JOINED]), WEIR_BUSY);
		CHECK_IS(weir_grant_unmap(MAP_PAGE), WEIR_OK);
	}
	mapped = false;
	if (count == 2)
		CHECK_IS(event_close(ports[JOINED]), WEIR_OK);
	count = 1;
}

static void map(weir_handle grant)
{
	volatile uint64_t *words;

	words = (uint64_t *)(weir_region(WEIR_REGION_WINDOW).base + MAP_PAGE * WEIR_PAGE_SIZE);
	CHECK_IS(weir_grant_map(ports[JOINED], grant, MAP_PAGE, NULL, NULL), WEIR_OK);
	mapped = true;
	words[0]++;
}

static void connect_to(weir_handle theirs)
{
	leave();
	CHECK_IS(weir_port_connect(ports[CONTROL], theirs, &ports[JOINED]), WEIR_OK);
	count = 2;
	answered = 0;
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
	/* There are more events than words: from before the first one, for a port that had this number, by a mapping. */
	if (word == answered)
		return;
	answered = word;
	if (word & PORT_MAP)
		map(word & ~PORT_MAP);
	for (uint32_t i = 0; word == PORT_FLOOD && i < FLOOD; i++)
		CHECK_IS(weir_event_send(ports[JOINED]), WEIR_OK);
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
