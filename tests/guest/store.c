/*
 * The store and services on it, between VMs that the manifest lets talk by `peers` alone: a node is found by its name
 * and read; a service is connected to by its name, found again after each of its restarts, and heard of by
 * events only.
 */
#include "tests/guest/tap.h"

#include <weir/manage.h>
#include <weir/service.h>
#include "tests/guest/store_words.h"

#define LIVES 5u

static weir_handle changes;
static struct weir_service_link link;

static enum weir_status connect_once(void)
{
	static const uint8_t first = FIRST;

	return weir_service_connect(weir_here(), "server/echo", &first, 1, &link);
}

/* Until the connection is as `status` says; each look but the first is for an event. */
static bool is_connected(enum weir_status status)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	enum weir_status now = connect_once();

	while (now != status && timer_now() < end) {
		const weir_handle ports[] = { changes, link.port };
		uint32_t which;

		event_wait_any(ports, link.port ? 2 : 1, end, &which);
		while (!weir_service_drain(64))
			;
		now = connect_once();
	}
	return now == status;
}

/* The word that the service has published, when it is another than `last`. */
static uint64_t next_word(uint64_t last)
{
	uint64_t end = timer_now() + timer_ticks(WAIT_NS), word = last;

	while (weir_port_peer(link.port, &word, NULL) == WEIR_OK && (!word || word == last) &&
	       timer_now() < end)
		event_wait(link.port, end);
	return word;
}

static bool echoes(void)
{
	uint64_t word = next_word(0);

	if (word != FIRST)
		return false;
	for (uint64_t i = 10; i < 200; i += 10) {
		weir_port_publish(link.port, i);
		word = next_word(word);
		if (word != i + 1)
			return false;
	}
	return true;
}

TEST(a_node_is_written_found_and_read)
{
	static const char text[] = "what is in it";
	struct weir_store_value value;
	weir_handle node = 0, found = 0;

	CHECK_IS(weir_store_make(weir_here(), 0, "n", WEIR_STORE_ALL, 0, 0, &node), WEIR_OK);
	CHECK_IS(weir_store_write(weir_here(), node, text, sizeof(text), 1, NULL), WEIR_OK);
	CHECK_IS(weir_store_find(weir_here(), 0, "n", 0, &found), WEIR_OK);
	CHECK_IS(found, node);
	CHECK_IS(weir_store_read(weir_here(), node, &value), WEIR_OK);
	CHECK_IS(value.bytes, sizeof(text));
	CHECK_IS(value.generation, 2);
	CHECK_IS(memcmp(value.data, text, sizeof(text)), 0);
	CHECK_IS(weir_store_remove(node, 2), WEIR_OK);
	CHECK_IS(weir_store_read(weir_here(), node, &value), WEIR_STALE);
}

TEST(whom_one_may_not_talk_to_is_not_there)
{
	weir_handle node = 0;

	CHECK_IS(weir_store_find(weir_here(), WEIR_STORE_ROOT, "server", 0, &node), WEIR_OK);
	CHECK_IS(weir_store_find(weir_here(), WEIR_STORE_ROOT, "stranger", 0, &node),
		 WEIR_NOT_FOUND);
	CHECK_IS(weir_port_open_vm(1ull << 16 | 2, &node), WEIR_DENIED);
}

TEST(a_watch_raises_the_port_of_the_store)
{
	weir_handle node = 0, told = 0;
	bool gone = false;

	CHECK_IS(weir_store_make(weir_here(), 0, "n", 0, 0, 0, &node), WEIR_OK);
	CHECK_IS(weir_store_watch(node, true), WEIR_OK);
	while (!weir_service_drain(64))
		;
	event_wait(changes, timer_now()); /* what there was */
	CHECK_IS(weir_store_write(weir_here(), node, "x", 1, 0, NULL), WEIR_OK);
	CHECK(event_wait(changes, timer_now() + timer_ticks(WAIT_NS)));
	CHECK_IS(weir_store_watch_next(&told, &gone), WEIR_OK);
	CHECK_IS(told, node);
	CHECK(!gone);
	CHECK_IS(weir_store_remove(node, 0), WEIR_OK);
	CHECK(event_wait(changes, timer_now() + timer_ticks(WAIT_NS)));
	CHECK_IS(weir_store_watch_next(&told, &gone), WEIR_OK);
	CHECK(gone);
	CHECK_IS(weir_store_watch_next(&told, &gone), WEIR_NOT_FOUND);
}

TEST(a_service_is_connected_to_by_its_name)
{
	CHECK(is_connected(WEIR_OK));
	CHECK(echoes());
}

TEST(a_service_that_starts_again_is_found_again)
{
	for (uint32_t life = 0; life < LIVES; life++) {
		weir_handle before = link.vm;

		CHECK_IS(weir_vm_restart(before), WEIR_OK);
		CHECK(is_connected(WEIR_CLOSED));
		CHECK(is_connected(WEIR_OK));
		CHECK_IS(link.vm, before + (1ull << 16));
		CHECK(echoes());
	}
}

TEST(who_leaves_and_connects_again_is_served_again)
{
	for (uint32_t times = 0; times < 20; times++) {
		weir_service_leave(&link);
		CHECK(is_connected(WEIR_OK));
		CHECK(echoes());
	}
}

TEST(the_end_of_a_service_is_heard_of)
{
	weir_port_publish(link.port, LAST);
	CHECK(is_connected(WEIR_CLOSED));
	CHECK_IS(connect_once(), WEIR_AGAIN);
}

TEST(there_is_a_port_for_what_the_store_tells)
{
	CHECK_IS(weir_port_open_store(&changes), WEIR_OK);
}

TESTS = {
	RUN(there_is_a_port_for_what_the_store_tells),
	RUN(a_node_is_written_found_and_read),
	RUN(whom_one_may_not_talk_to_is_not_there),
	RUN(a_watch_raises_the_port_of_the_store),
	RUN(a_service_is_connected_to_by_its_name),
	RUN(a_service_that_starts_again_is_found_again),
	RUN(who_leaves_and_connects_again_is_served_again),
	RUN(the_end_of_a_service_is_heard_of),
};
TESTS_MAIN
