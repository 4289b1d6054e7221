/* Watches restart.c die and come back, and does with each of its lives what it did with the first.
 */
#include "tests/guest/peer.h"
#include "tests/guest/restart_commands.h"
#include "tests/guest/tap.h"

#define LIVES 50u

static weir_handle control, grants, seed, quiet;
static struct region pool, window;
static uint32_t quiet_events;
static uint64_t last_seed;

static void count(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	__atomic_fetch_add(&quiet_events, 1, __ATOMIC_RELEASE);
}

/* The answer on `control`, or 0. */
static uint64_t answer(uint64_t life, uint32_t what)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS), word = 0;

	while (timer_now() < end) {
		word = word_of(control);
		if ((word & ~FAILED & 0xffff) == COMMAND(life, what))
			return word;
		event_wait(control, timer_now() + timer_ticks(100000000));
	}
	return 0;
}

/* All ends are open, and nothing that the last life left is there any more. */
static void check_open(void)
{
	CHECK(WAIT(is_open(control) && is_open(grants) && is_open(seed) && is_open(quiet)));
	CHECK_IS(word_of(control), 0);
	CHECK_IS(word_of(grants), 0);
	CHECK_IS(word_of(seed), 0);
}

static void exchange(uint64_t life, weir_handle own)
{
	volatile uint64_t *page = (volatile uint64_t *)window.base;
	uint64_t different = 0;

	CHECK_IS(weir_port_publish(grants, own), WEIR_OK);
	CHECK_IS(weir_port_publish(control, COMMAND(life, BEGIN)), WEIR_OK);
	CHECK_IS(answer(life, SHARED), COMMAND(life, SHARED));
	CHECK(word_of(seed) && word_of(seed) != last_seed);
	last_seed = word_of(seed);
	CHECK_IS(weir_grant_map(grants, word_of(grants), 0, NULL, NULL), WEIR_OK);
	if (tap_failure.line)
		return;
	for (uint64_t word = 0; word < PAGE_SIZE / 8; word++)
		different += page[word] != pattern(life, word);
	CHECK_IS(different, 0);
	page[0] = ~page[0];
}

/* Its page turns to zeroes when it dies; it is told, at the latest when it is there again. */
static void see_it_die(uint64_t life)
{
	volatile uint64_t *page = (volatile uint64_t *)window.base;
	uint32_t before = SHARED_READ(quiet_events);

	CHECK_IS(weir_port_publish(control, COMMAND(life, DIE)), WEIR_OK);
	CHECK(WAIT(word_of(control) == 0 || word_of(control) & FAILED));
	CHECK_IS(word_of(control), 0);
	CHECK(WAIT(SHARED_READ(quiet_events) != before));
	for (uint64_t word = 0; word < PAGE_SIZE / 8; word++)
		CHECK_IS(page[word], 0);
	CHECK_IS(weir_grant_unmap(0), WEIR_OK);
}

TEST(a_vm_dies_and_comes_back_fifty_times)
{
	weir_handle own = 0;

	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "grants", &grants), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "seed", &seed), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "quiet", &quiet), WEIR_OK);
	event_handle(quiet, count, NULL);
	for (uint64_t word = 0; word < PAGE_SIZE / 8; word++)
		((uint64_t *)pool.base)[word] = pattern(0, word);
	CHECK_IS(weir_grant_share(grants, 0, 1, WEIR_READ, &own), WEIR_OK);
	for (uint64_t life = 1; life <= LIVES && !tap_failure.line; life++) {
		check_open();
		exchange(life, own);
		if (!tap_failure.line)
			see_it_die(life);
	}
}

TEST(its_last_end_closes_the_channel)
{
	check_open();
	CHECK_IS(weir_port_publish(control, COMMAND(0, END)), WEIR_OK);
	CHECK(WAIT(!is_open(control)));
	CHECK_IS(weir_event_send(control), WEIR_CLOSED);
}

TESTS = {
	RUN(a_vm_dies_and_comes_back_fifty_times),
	RUN(its_last_end_closes_the_channel),
};
TESTS_MAIN
