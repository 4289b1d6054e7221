/* Event channels: event.h. The other end of every channel is event_peer.c. */
#include "tests/guest/event_commands.h"
#include "tests/guest/tap.h"

#define SPREAD 4u

static weir_handle control, spread[SPREAD];
static uint32_t calls[SPREAD], order[64], order_count;

static struct weir_result call(uint32_t number, uint64_t a1, uint64_t a2, uint64_t a3)
{
	return weir_call(WEIR_FN(number), a1, a2, a3, 0, 0, 0);
}

static uint64_t in_ms(uint64_t ms)
{
	return timer_now() + timer_ticks(ms * 1000000);
}

/* What is published for a command, which is another word each time. */
static uint64_t next_word(uint64_t what)
{
	static uint64_t rounds;

	return rounds++ * COMMAND_ROUND | what;
}

/* The peer answers a command by publishing it, with the bit set, on the control channel. */
static bool command(uint64_t what)
{
	uint64_t word = next_word(what), answer = 0, end = timer_now() + timer_ticks(WAIT_NS);

	if (weir_port_publish(control, word) != WEIR_OK)
		return false;
	while (answer != (word | COMMAND_DONE) && timer_now() < end) {
		event_wait(control, in_ms(100));
		weir_port_peer(control, &answer, NULL);
	}
	return answer == (word | COMMAND_DONE);
}

static void count(weir_handle port, void *arg)
{
	uint64_t index = (uint64_t)arg;

	(void)port;
	if (order_count < 64)
		order[order_count++] = (uint32_t)index;
	__atomic_fetch_add(&calls[index], 1, __ATOMIC_RELEASE);
}

static void forget(void)
{
	memset(calls, 0, sizeof(calls));
	order_count = 0;
}

TEST(ports_are_found_by_name)
{
	static char name[] = "spread0";

	CHECK_IS(weir_port_find(weir_here(), "control", &control), WEIR_OK);
	CHECK(control);
	for (uint32_t i = 0; i < SPREAD; i++) {
		name[6] = (char)('0' + i);
		CHECK_IS(weir_port_find(weir_here(), name, &spread[i]), WEIR_OK);
		event_handle(spread[i], count, (void *)(uint64_t)i);
	}
}

TEST(find_refuses_bad_names)
{
	weir_handle port = 0;

	CHECK_IS(call(WEIR_FN_PORT_FIND, 0, 0, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_PORT_FIND, WEIR_NAME_MAX + 1, 0, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_PORT_FIND, ~0ull, 0, 0).status, WEIR_INVALID);
	CHECK_IS(weir_port_find(weir_here(), "nobody", &port), WEIR_NOT_FOUND);
	CHECK_IS(weir_port_find(weir_here(), "contro", &port), WEIR_NOT_FOUND);
	CHECK_IS(weir_port_find(weir_here(), "control1", &port), WEIR_NOT_FOUND);
	/* A channel of two other VMs. */
	CHECK_IS(weir_port_find(weir_here(), "private", &port), WEIR_NOT_FOUND);
}

/* An index out of range, a generation that is yet to come. Old ones need a VM that was restarted.
 */
TEST(calls_refuse_bad_handles)
{
	static const uint32_t calls_of_ports[] = { WEIR_FN_EVENT_SEND, WEIR_FN_PORT_BIND,
						   WEIR_FN_PORT_PUBLISH, WEIR_FN_PORT_PEER };

	for (unsigned int i = 0; i < 4; i++) {
		uint32_t number = calls_of_ports[i];

		CHECK_IS(call(number, 0, 0, 0).status, WEIR_INVALID);
		CHECK_IS(call(number, 0xffff, 0, 0).status, WEIR_INVALID);
		CHECK_IS(call(number, control | 0xffff, 0, 0).status, WEIR_INVALID);
		CHECK_IS(call(number, control + (1ull << 16), 0, 0).status, WEIR_INVALID);
		CHECK_IS(call(number, control ^ (1ull << 63), 0, 0).status, WEIR_INVALID);
	}
}

TEST(reserved_arguments_must_be_zero)
{
	CHECK_IS(call(WEIR_FN_EVENT_SEND, spread[0], 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_EVENT_SEND, spread[0], 0, 1ull << 63).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_PORT_PEER, spread[0], 1, 0).status, WEIR_INVALID);
	CHECK_IS(call(WEIR_FN_PORT_PUBLISH, spread[0], 0, 1).status, WEIR_INVALID);
	CHECK_IS(weir_call(WEIR_FN(WEIR_FN_PORT_BIND), spread[0], 0, 0, 1, 0, 0).status,
		 WEIR_INVALID);
}

TEST(bind_refuses_what_is_out_of_range)
{
	CHECK_IS(weir_port_bind(spread[0], 1, 0), WEIR_INVALID);
	CHECK_IS(weir_port_bind(spread[0], ~0u, 0), WEIR_INVALID);
	CHECK_IS(weir_port_bind(spread[0], 0, WEIR_EVENT_PRIORITIES), WEIR_INVALID);
	CHECK_IS(weir_port_bind(spread[0], 0, ~0u), WEIR_INVALID);
	CHECK_IS(weir_port_bind(spread[0], 0, 0), WEIR_OK);
}

TEST(the_peer_answers)
{
	CHECK(command(COMMAND_NOTHING));
}

TEST(a_thousand_round_trips_lose_nothing)
{
	forget();
	for (uint32_t i = 1; i <= 1000; i++) {
		CHECK_IS(weir_event_send(spread[0]), WEIR_OK); /* the peer sends back at once */
		CHECK(WAIT(SHARED_READ(calls[0]) >= i));
	}
	CHECK_IS(calls[0], 1000);
}

/* While this vCPU takes no interrupts the peer sends on each port many times. */
TEST(sends_to_a_pending_port_coalesce)
{
	uint64_t word = next_word(COMMAND_FLOOD), answer = 0, flags;
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	forget();
	CHECK(command(COMMAND_NOTHING));
	flags = irq_save();
	CHECK_IS(weir_port_publish(control, word), WEIR_OK);
	while (answer != (word | COMMAND_DONE) && timer_now() < end)
		weir_port_peer(control, &answer, NULL);
	irq_restore(flags);
	for (uint32_t i = 0; i < SPREAD; i++) {
		CHECK(WAIT(SHARED_READ(calls[i])));
		CHECK_IS(calls[i], 1);
	}
	for (uint32_t i = 0; i < SPREAD; i++)
		CHECK_IS(order[i], i); /* of one priority, in the order of the sends */
}

TEST(the_highest_priority_is_delivered_first)
{
	uint64_t word = next_word(COMMAND_FLOOD), answer = 0, flags;
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);

	forget();
	CHECK(command(COMMAND_NOTHING));
	for (uint32_t i = 0; i < SPREAD; i++)
		CHECK_IS(weir_port_bind(spread[i], 0, i), WEIR_OK);
	flags = irq_save();
	CHECK_IS(weir_port_publish(control, word), WEIR_OK);
	while (answer != (word | COMMAND_DONE) && timer_now() < end)
		weir_port_peer(control, &answer, NULL);
	CHECK_IS(weir_port_bind(spread[1], 0, 0), WEIR_BUSY); /* unread in its ring */
	irq_restore(flags);
	CHECK(WAIT(SHARED_READ(order_count) >= SPREAD));
	for (uint32_t i = 0; i < SPREAD; i++)
		CHECK_IS(order[i], SPREAD - 1 - i);
	for (uint32_t i = 0; i < SPREAD; i++)
		CHECK_IS(weir_port_bind(spread[i], 0, 0), WEIR_OK);
}

TEST(published_words_arrive_whole)
{
	uint64_t word = 0;
	bool open = false;

	CHECK_IS(weir_port_peer(spread[1], &word, &open), WEIR_OK);
	CHECK_IS(word, 0);
	CHECK(open);
	CHECK_IS(weir_port_publish(spread[1], 0xfedcba9876543210ull), WEIR_OK);
	CHECK(command(COMMAND_INVERT));
	CHECK_IS(weir_port_peer(spread[1], &word, NULL), WEIR_OK);
	CHECK_IS(word, ~0xfedcba9876543210ull);
}

/* The ports of a VM that ends close one after the other. */
TEST(a_peer_that_is_off_is_closed)
{
	bool open = true;

	CHECK_IS(weir_port_publish(control, COMMAND_END), WEIR_OK);
	CHECK(WAIT((weir_port_peer(control, NULL, &open), !open)));
	CHECK(WAIT(weir_event_send(control) == WEIR_CLOSED));
	CHECK(WAIT(weir_event_send(spread[0]) == WEIR_CLOSED));
	CHECK_IS(weir_port_publish(control, 1), WEIR_CLOSED);
}

TESTS = {
	RUN(ports_are_found_by_name),
	RUN(find_refuses_bad_names),
	RUN(calls_refuse_bad_handles),
	RUN(reserved_arguments_must_be_zero),
	RUN(bind_refuses_what_is_out_of_range),
	RUN(the_peer_answers),
	RUN(a_thousand_round_trips_lose_nothing),
	RUN(sends_to_a_pending_port_coalesce),
	RUN(the_highest_priority_is_delivered_first),
	RUN(published_words_arrive_whole),
	RUN(a_peer_that_is_off_is_closed),
};
TESTS_MAIN
