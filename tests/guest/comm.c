/*
 * Commands of submission rings, with communication cores and without: submit.h. The bootargs say how many
 * of them there are (`cores`); the guest itself is the same. comm_peer.c answers each event; comm_mortal.c
 * ends in the middle of its commands, again and again.
 */
#include <weir/submit.h>
#include "tests/guest/bootargs.h"
#include "tests/guest/comm.h"
#include "tests/guest/tap.h"

#define ROUNDS	   300u
#define LIVES	   20u
#define COPY_BYTES 131072u

static struct weir_submit ring;
static weir_handle peer, mortal;
static uint32_t answers;
static uint64_t cores;

static void count(weir_handle port, void *arg)
{
	(void)port;
	__atomic_fetch_add((uint32_t *)arg, 1, __ATOMIC_RELEASE);
}

static bool wanted(void)
{
	return SHARED_READ(ring.out->submit_wanted) != 0;
}

static bool all_taken(void)
{
	return weir_submit_done(&ring, ring.tail);
}

/* An event that the peer has answered. */
static bool round_trip(void)
{
	uint32_t before = SHARED_READ(answers);

	return weir_submit_event(&ring, peer) == WEIR_OK && WAIT(SHARED_READ(answers) != before);
}

TEST(channels_are_there)
{
	cores = bootargs_number("cores", 0);
	weir_submit_init(&ring, weir_here());
	CHECK_IS(weir_port_find(weir_here(), "peer", &peer), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "mortal", &mortal), WEIR_OK);
	event_handle(peer, count, &answers);
	CHECK_IS(weir_port_mask(mortal, true), WEIR_OK); /* its flood */
	CHECK(wanted());
}

TEST(events_arrive)
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		CHECK(round_trip());
}

/*
 * Half a ring of copies, for which a communication core needs milliseconds. For it looks at an empty ring for 50 us
 * only: where all cores have one of a busy host's, it takes that from us when it is kicked, and is asleep again
 * before we have it back, each time; with these we find it awake.
 */
static void put_copies(void)
{
	static uint8_t bytes[COPY_BYTES] __attribute__((aligned(64)));

	for (uint64_t i = 0; i < WEIR_COMMANDS / 2; i++)
		weir_submit_put_copy(&ring, bytes, bytes, sizeof(bytes), i);
}

/* While somebody looks, a command that is put and told nobody is taken. */
TEST(with_a_communication_core_a_send_is_a_store)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	struct weir_completion completion;
	uint32_t stores = 0, calls = 0;

	/* What tells of completions: they are taken here. */
	irq_handle(WEIR_INTID_BLOCK, NULL, NULL);
	CHECK(WAIT(all_taken() && wanted()));
	while (stores < 100 && (cores ? timer_now() < end : calls < 100)) {
		if (cores && wanted())
			put_copies();
		if (weir_submit_put_event(&ring, peer)) {
			if (wanted())
				calls++;
			else
				stores++;
		}
		weir_submit_kick(&ring);
		while (weir_block_next(weir_here(), &completion))
			;
	}
	CHECK(WAIT(all_taken()));
	if (cores)
		CHECK_IS(stores, 100);
	else
		CHECK_IS(stores, 0);
	CHECK(calls > 0);
	CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_OK);
}

/* With one that is awake it falls asleep; then it is woken. */
TEST(a_core_that_sleeps_is_woken)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		CHECK(WAIT(wanted()));
		CHECK(round_trip());
	}
}

TEST(a_full_ring_is_emptied_in_order)
{
	uint32_t put = 0;

	CHECK(WAIT(all_taken() && wanted()));
	while (weir_submit_put_event(&ring, peer))
		put++;
	CHECK(put >= WEIR_COMMANDS);
	weir_submit_kick(&ring);
	CHECK(WAIT(all_taken()));
	CHECK(weir_submit_put_event(&ring, 0xbad));
	weir_submit_kick(&ring);
	CHECK(WAIT(all_taken()));
	CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_INVALID);
}

TEST(a_tail_that_lies_stops_nobody_else)
{
	uint64_t tail = ring.tail;

	SHARED_WRITE(ring.in->submit_tail, tail + WEIR_COMMANDS + 1);
	weir_submit_kick(&ring);
	CHECK_IS(weir_event_send(peer), WEIR_OK);
	task_sleep(1000000);
	CHECK_IS(weir_submit_head(&ring), tail);
	CHECK(WAIT(wanted()));
	SHARED_WRITE(ring.in->submit_tail, tail);
	CHECK(round_trip());
}

TEST(calls_for_nothing_do_no_harm)
{
	for (uint32_t i = 0; i < 1000; i++)
		CHECK_IS(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_OK);
	CHECK(round_trip());
}

/* It begins anew in the middle of its commands, while ours are taken by the same core. */
TEST(another_vm_ends_and_begins_anew_meanwhile)
{
	uint64_t end = timer_now() + timer_ticks(3 * WAIT_NS), word = 0, last = 0;
	uint32_t lives = 0;

	while (lives < LIVES && timer_now() < end) {
		weir_port_publish(mortal, MORTAL_BEGIN);
		CHECK(round_trip());
		weir_port_peer(mortal, &word, NULL);
		lives += word && word != last; /* when this life began */
		last = word ? word : last;
	}
	CHECK_IS(lives, LIVES);
	end = timer_now() + timer_ticks(WAIT_NS);
	while (weir_port_publish(mortal, MORTAL_ENOUGH) != WEIR_OK && timer_now() < end)
		task_sleep(500000);
	CHECK(round_trip());
}

TEST(the_peer_can_be_told_to_end)
{
	bool open = true;

	CHECK_IS(weir_port_publish(peer, PEER_END), WEIR_OK);
	CHECK(WAIT((weir_port_peer(peer, NULL, &open), !open)));
	CHECK(WAIT(all_taken()));
	CHECK_IS(weir_submit_event(&ring, peer), WEIR_OK);
	CHECK(WAIT(all_taken()));
	CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_CLOSED);
}

TESTS = {
	RUN(channels_are_there),
	RUN(events_arrive),
	RUN(with_a_communication_core_a_send_is_a_store),
	RUN(a_core_that_sleeps_is_woken),
	RUN(a_full_ring_is_emptied_in_order),
	RUN(a_tail_that_lies_stops_nobody_else),
	RUN(calls_for_nothing_do_no_harm),
	RUN(another_vm_ends_and_begins_anew_meanwhile),
	RUN(the_peer_can_be_told_to_end),
};
TESTS_MAIN
