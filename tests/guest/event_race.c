/*
 * One of two VMs that send to each other at the same time, as fast as they can: each runs this. A third one,
 * race_mortal.c, sends to both and is sent to, and starts again all the time; for the first half, since its
 * events make up for interrupts of others that are lost.
 *
 * A batch is BATCH sends on two channels, while their ports are bound to one priority after the other, masked
 * and unmasked, and words on a port that comes and goes (race_loose.h); then a word on each of the two, then one
 * on `turn`. Nobody looks at a word before an event has come for it, and the next batch begins when both have
 * seen the other's words of this one: what is lost is a timeout. Of each second batch the words come while the
 * ports are masked.
 */
#include "tests/guest/bootargs.h"
#include "tests/guest/race_loose.h"
#include "tests/guest/race_mortal.h"
#include "tests/guest/tap.h"

#define BATCH  1000u
#define RACERS 2u

static weir_handle racer[RACERS], turn, mortal;
static bool leads; /* one of the two */
static uint64_t words[RACERS], events[RACERS], mortal_events, refused, busy, masks;
static bool masked[RACERS];

static void racer_event(weir_handle port, void *arg)
{
	uint64_t i = (uint64_t)arg, word = 0;

	CHECK_IS(weir_port_peer(port, &word, NULL), WEIR_OK);
	SHARED_WRITE(words[i], word);
	SHARED_WRITE(events[i], events[i] + 1);
}

/* The peer may have sent when there was no handler yet. */
static void look_for_the_first_time(void)
{
	uint64_t flags = irq_save();

	for (uint64_t i = 0; i < RACERS; i++)
		racer_event(racer[i], (void *)i);
	irq_restore(flags);
}

static void mortal_event(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	SHARED_WRITE(mortal_events, mortal_events + 1);
}

static void send_to_the_mortal(bool enough)
{
	enum weir_status status =
		enough ? weir_port_publish(mortal, MORTAL_ENOUGH) : weir_event_send(mortal);

	CHECK(status == WEIR_OK || status == WEIR_CLOSED);
	refused += status == WEIR_CLOSED;
}

static void bind(uint32_t i)
{
	enum weir_status status =
		weir_port_bind(racer[i / 64 % RACERS], 0, i / 128 % WEIR_EVENT_PRIORITIES);

	CHECK(status == WEIR_OK || status == WEIR_BUSY);
	busy += status == WEIR_BUSY;
}

static void mask(uint32_t i, bool mask_it)
{
	if (masked[i] == mask_it)
		return;
	masked[i] = mask_it;
	masks += mask_it;
	CHECK_IS(weir_port_mask(racer[i], mask_it), WEIR_OK);
}

/* Of batches that are not alike. */
static void disturb(uint64_t batch, uint32_t i)
{
	if (i % 32 == 8)
		mask(i / 32 % RACERS, (batch + i / 64) % 2);
	if (i % 64 == 0)
		bind(i);
	if (i % 16 == 4)
		loose_send();
	if (i % 128 == 12 + batch % 8)
		loose_step((batch + i) % 8 == 0);
	if (i % 64 == 40)
		loose_mask((batch + i / 128) % 2);
}

static void send_a_batch(uint64_t batch, bool enough)
{
	for (uint32_t i = 1; i <= BATCH; i++) {
		CHECK_IS(weir_event_send(racer[i % RACERS]), WEIR_OK);
		if (i % 16 == 0)
			send_to_the_mortal(enough);
		disturb(batch, i);
	}
	for (uint32_t i = 0; i < RACERS; i++) {
		mask(i, batch % 2);
		CHECK_IS(weir_port_publish(racer[i], batch), WEIR_OK);
	}
}

static void tell(uint64_t place)
{
	CHECK_IS(weir_port_publish(turn, place), WEIR_OK);
}

static void sleep_until_told(uint64_t place)
{
	uint64_t word = 0;

	weir_port_peer(turn, &word, NULL);
	while (word < place && !tap_failure.line) {
		CHECK(event_wait(turn, timer_now() + timer_ticks(WAIT_NS)));
		CHECK_IS(weir_port_peer(turn, &word, NULL), WEIR_OK);
	}
}

/*
 * What the peer published on the others came before what it published on `turn`. Of the first two messages
 * each is all that its receiver is sent, until it answers: no later event makes up for one that is lost.
 */
static void see_the_peer_s(uint64_t batch)
{
	if (leads) {
		tell(2 * batch);
		sleep_until_told(2 * batch);
		tell(2 * batch + 1);
	} else {
		sleep_until_told(2 * batch);
		tell(2 * batch);
		sleep_until_told(2 * batch + 1);
	}
	for (uint32_t i = 0; i < RACERS; i++) {
		mask(i, false);
		/* Interrupts are taken soon, not before the next instruction (DDI 0487 D1.3.4). */
		CHECK(WAIT(SHARED_READ(words[i]) >= batch));
	}
	loose_settle();
}

TEST(sends_that_race_are_received_or_coalesce)
{
	uint64_t batches = bootargs_number("sends", 20000) / BATCH;
	uint64_t sends = batches * (BATCH / RACERS + 1); /* on each of the two */

	CHECK_IS(weir_port_find(weir_here(), "racer0", &racer[0]), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "racer1", &racer[1]), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "turn", &turn), WEIR_OK);
	leads = weir_port_find(weir_here(), "mortal1", &mortal) == WEIR_OK;
	if (!leads)
		CHECK_IS(weir_port_find(weir_here(), "mortal2", &mortal), WEIR_OK);
	for (uint64_t i = 0; i < RACERS; i++)
		event_handle(racer[i], racer_event, (void *)i);
	look_for_the_first_time();
	loose_start(leads);
	event_handle(mortal, mortal_event, NULL);
	for (uint64_t batch = 1; batch <= batches && !tap_failure.line; batch++) {
		send_a_batch(batch, batch > batches / 2);
		see_the_peer_s(batch);
		if (batch % (batches / 8 + 1) == 0)
			printf("# batch %lu\n", batch);
	}
	for (uint32_t i = 0; i < RACERS; i++)
		CHECK(events[i] && events[i] <= sends + 1);
	CHECK(mortal_events && masks);
	CHECK(loose.closes && (leads || loose.connects));
	printf("# %lu sends; %lu and %lu events, %lu of the mortal one, which was off %lu times; "
	       "%lu "
	       "times not bound\n",
	       RACERS * sends, events[0], events[1], mortal_events, refused, busy);
	printf("# %lu times masked; %lu times connected, %lu too late, %lu times closed\n", masks,
	       loose.connects, loose.late, loose.closes);
}

TESTS = {
	RUN(sends_that_race_are_received_or_coalesce),
};
TESTS_MAIN
