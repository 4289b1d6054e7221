/* The honest third: gives each victim back the word that it published, until all of them are off. */
#include "tests/guest/tap.h"

#define VICTIMS 2u

static weir_handle ports[VICTIMS];
static uint32_t answers;

static void answer(weir_handle port, void *arg)
{
	uint64_t word = 0;
	bool open = false;

	(void)arg;
	if (weir_port_peer(port, &word, &open) != WEIR_OK || !open || !word)
		return;
	if (weir_port_publish(port, word) == WEIR_OK)
		answers++;
}

static bool all_closed(void *arg)
{
	(void)arg;
	for (uint32_t i = 0; i < VICTIMS; i++) {
		bool open = false;

		if (weir_port_peer(ports[i], NULL, &open) != WEIR_OK || open)
			return false;
	}
	return true;
}

TEST(each_word_is_answered_until_the_victims_are_off)
{
	static char name[] = "work0";
	uint64_t flags;

	for (uint32_t i = 0; i < VICTIMS; i++) {
		name[4] = (char)('0' + i);
		CHECK_IS(weir_port_find(weir_here(), name, &ports[i]), WEIR_OK);
		/* It may have come before there was a handler; which is not to answer a later word before this one. */
		flags = irq_save();
		event_handle(ports[i], answer, NULL);
		answer(ports[i], NULL);
		irq_restore(flags);
	}
	task_wait(all_closed, NULL, TASK_FOREVER);
	CHECK(answers > 0);
}

TESTS = {
	RUN(each_word_is_answered_until_the_victims_are_off),
};
TESTS_MAIN
