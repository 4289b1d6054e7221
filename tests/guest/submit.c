/* The submission ring (submit.h): events, block requests and copies. The other VM is submit_peer.c. */
#include <weir/submit.h>
#include "tests/guest/bootargs.h"
#include "tests/guest/submit_commands.h"
#include "tests/guest/tap.h"

#define ROUNDS	 200u
#define BIG	 (16u * PAGE_SIZE)
#define WORDS(n) ((n) / 8)

static struct weir_submit ring;
static weir_handle control, ipi;
static uint32_t handled;
static uint64_t *buffer, *target; /* BIG each, outside of the pool */
static uint64_t *window;
static uint64_t cores; /* communication cores; in the bootargs */

/* By the call, when that returns; else a communication core is at it: submit_comm.dts. */
static bool all_done(void)
{
	bool done = weir_submit_done(&ring, ring.tail);

	return cores ? WAIT(weir_submit_done(&ring, ring.tail)) : done;
}

static void count_event(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	handled++;
}

/* A completion with the address of a request as cookie: the library's own. */
static enum weir_status wait(struct block_request *request)
{
	weir_submit_kick(&ring);
	return block_wait(request);
}

static enum weir_status copy(void *to, const void *from, uint32_t bytes)
{
	struct block_request done = { .done = false };

	CHECK(weir_submit_put_copy(&ring, to, from, bytes, (uint64_t)&done));
	return wait(&done);
}

/* What the peer answers to a command. */
static uint64_t ask(uint64_t command)
{
	uint64_t before = 0, word;

	weir_port_peer(control, &before, NULL);
	word = before;
	weir_port_publish(control, command);
	while (word == before && event_wait(control, timer_now() + timer_ticks(WAIT_NS)))
		weir_port_peer(control, &word, NULL);
	return word;
}

static void fill(uint64_t *words, uint64_t seed)
{
	for (uint64_t i = 0; i < WORDS(BIG); i++)
		words[i] = seed ? seed * i + 1 : 0;
}

TEST(nobody_looks_before_the_call)
{
	cores = bootargs_number("cores", 0);
	weir_submit_init(&ring, weir_here());
	buffer = memory_pages(BIG / PAGE_SIZE);
	target = memory_pages(BIG / PAGE_SIZE);
	window = (uint64_t *)weir_region(WEIR_REGION_WINDOW).base;
	CHECK(buffer && target);
	CHECK_IS(weir_port_open_ipi(&ipi), WEIR_OK);
	event_handle(ipi, count_event, NULL);
	CHECK(weir_here()->out->submit_wanted);
	CHECK_IS(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_OK);
	CHECK(weir_submit_put_event(&ring, ipi));
	/* A communication core goes on looking for a while, and this one may stand still meanwhile. */
	CHECK(cores || !weir_submit_done(&ring, ring.tail));
	CHECK(cores || handled == 0);
	weir_submit_kick(&ring);
	CHECK(all_done());
	CHECK(WAIT(handled == 1));
}

TEST(events_are_sent_in_any_number)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t before = handled;

		CHECK_IS(weir_submit_event(&ring, ipi), WEIR_OK);
		CHECK(all_done());
		CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_OK);
		CHECK(WAIT(handled == before + 1));
	}
}

TEST(full_ring_is_taken_by_one_kick)
{
	uint32_t count = 0;

	while (weir_submit_put_event(&ring, count % 2 ? 0 : ipi))
		count++;
	/* A communication core that still looks takes some meanwhile. */
	CHECK(cores ? count >= WEIR_COMMANDS : count == WEIR_COMMANDS);
	CHECK_IS(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), cores ? WEIR_OK : WEIR_AGAIN);
	weir_submit_kick(&ring);
	CHECK(all_done());
	for (uint32_t i = 1; i <= WEIR_COMMANDS; i++)
		CHECK_IS(weir_submit_status(&ring, ring.tail - i),
			 (count - i) % 2 ? WEIR_INVALID : WEIR_OK);
	CHECK(weir_submit_put_event(&ring, ipi));
	weir_submit_kick(&ring);
}

TEST(many_block_requests_are_one_call)
{
	static struct block_request request[8];

	for (uint32_t i = 0; i < 8; i++)
		CHECK(weir_submit_put_block(&ring, 0, WEIR_BLOCK_READ, 16 * i, 1,
					    buffer + i * WORDS(WEIR_SECTOR_SIZE),
					    (uint64_t)&request[i]));
	for (uint32_t i = 0; i < 8; i++)
		CHECK_IS(wait(&request[i]), WEIR_OK);
	for (uint32_t i = 0; i < 8; i++)
		CHECK_IS(buffer[i * WORDS(WEIR_SECTOR_SIZE)], 16 * i);
}

TEST(block_request_that_is_refused_completes)
{
	struct block_request request = { .done = false };

	CHECK(weir_submit_put_block(&ring, 7, WEIR_BLOCK_READ, 0, 1, buffer, (uint64_t)&request));
	CHECK_IS(wait(&request), WEIR_NOT_FOUND);
	CHECK(all_done());
	CHECK_IS(weir_submit_status(&ring, ring.tail - 1), WEIR_NOT_FOUND);
}

TEST(copy_within_ram_is_exact)
{
	fill(buffer, 3);
	fill(target, 0);
	CHECK_IS(copy(target + 5, buffer + 3, BIG - 64), WEIR_OK);
	CHECK_IS(target[4], 0);
	for (uint64_t i = 0; i < WORDS(BIG - 64); i++)
		CHECK_IS(target[5 + i], buffer[3 + i]);
	CHECK_IS(target[5 + WORDS(BIG - 64)], 0);
	CHECK_IS(copy(target, (void *)16, 8), WEIR_FAULT);
	CHECK_IS(copy((void *)weir_here()->in, buffer, 8), WEIR_FAULT);
	CHECK_IS(copy((char *)target + 4, buffer, 8), WEIR_INVALID);
}

TEST(copy_reaches_what_a_peer_has_granted)
{
	weir_handle grant;

	weir_port_find(weir_here(), "control", &control);
	grant = ask(PEER_SHARE);
	CHECK_IS(copy(window, buffer, 8), WEIR_FAULT);
	CHECK_IS(weir_grant_map(control, grant, 0, NULL, NULL), WEIR_OK);
	CHECK_IS(copy(target, window, PEER_PAGES * PAGE_SIZE), WEIR_OK);
	CHECK_IS(target[0], PEER_WORD);
	CHECK_IS(target[WORDS(PEER_PAGES * PAGE_SIZE) - 1], PEER_WORD);
	buffer[1] = 0x1234;
	CHECK_IS(copy(window + WORDS(PAGE_SIZE), buffer + 1, 8), WEIR_OK);
	CHECK_IS(ask(PEER_LOOK), PEER_SAYS | 0x1234);
	ask(PEER_REVOKE);
	CHECK_IS(copy(window, buffer, 8), WEIR_CLOSED);
	CHECK_IS(copy(target, window, 8), WEIR_CLOSED);
	CHECK_IS(weir_grant_unmap(0), WEIR_OK);
}

TEST(copy_does_not_write_what_is_to_be_read_only)
{
	weir_handle grant = ask(PEER_SHARE_READ);

	CHECK_IS(weir_grant_map(control, grant, 0, NULL, NULL), WEIR_OK);
	CHECK_IS(copy(target, window, 64), WEIR_OK);
	CHECK_IS(target[7], PEER_WORD);
	CHECK_IS(copy(window, buffer, 64), WEIR_FAULT);
	CHECK_IS(ask(PEER_REVOKE), PEER_SAYS | 1);
	weir_port_publish(control, PEER_LEAVE);
}

TESTS = {
	RUN(nobody_looks_before_the_call),
	RUN(events_are_sent_in_any_number),
	RUN(full_ring_is_taken_by_one_kick),
	RUN(many_block_requests_are_one_call),
	RUN(block_request_that_is_refused_completes),
	RUN(copy_within_ram_is_exact),
	RUN(copy_reaches_what_a_peer_has_granted),
	RUN(copy_does_not_write_what_is_to_be_read_only),
};
TESTS_MAIN
