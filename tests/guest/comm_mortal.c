/*
 * Once it is told to begin, each of its lives is a flood of commands that ends anywhere: it begins anew while
 * they are taken. Copies among them, so that some are cut off in the middle.
 */
#include <weir/submit.h>
#include "tests/guest/comm.h"
#include "tests/guest/random.h"
#include "tests/guest/tap.h"

#define SYSTEM_RESET 0x84000009u
#define COPY_PAGES   4u

static void die(void *arg)
{
	(void)arg;
	weir_call(SYSTEM_RESET, 0, 0, 0, 0, 0, 0);
}

/* What is published there; MORTAL_ENOUGH too if the other is off. */
static uint64_t word_of(weir_handle port)
{
	uint64_t word = 0;
	bool open = false;

	weir_port_peer(port, &word, &open);
	return open ? word : MORTAL_ENOUGH;
}

int main(void)
{
	struct random random = { .state = timer_now() };
	uint8_t *from = memory_pages(COPY_PAGES), *to = memory_pages(COPY_PAGES);
	/* What the library takes a completion's cookie for. */
	static struct block_request done;
	struct weir_submit ring;
	weir_handle port = 0;

	weir_submit_init(&ring, weir_here());
	if (!from || !to || weir_port_find(weir_here(), "mortal", &port) != WEIR_OK)
		return 1;
	weir_port_publish(port, timer_now());
	while (!word_of(port))
		event_wait(port, timer_now() + timer_ticks(100000000));
	timer_set(timer_now() + timer_ticks(20000 + random_below(&random, 1000000)), die, NULL);
	while (word_of(port) == MORTAL_BEGIN) {
		for (uint32_t i = 0; i < 100; i++)
			weir_submit_event(&ring, port);
		weir_submit_put_copy(&ring, to, from, COPY_PAGES * PAGE_SIZE, (uint64_t)&done);
	}
	return 0;
}
