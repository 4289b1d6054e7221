/*
 * Two VMs that lie to Weir and to each other: while the first vCPU calls, the second one changes all that Weir
 * reads of its pages (heads, names, replies) and all that the other VM reads of the ring it shares. What
 * a liar gets is its own affair; when it stops, everything works. And an upcall that never returns.
 *
 * bootargs: `me=N` as hostile.h has it; the VM with `me=0` has a disk, and offers the upcall. How long Weir waits for an answer is upcall.c's.
 */
#include "tests/guest/hostile.h"
#include "tests/guest/tap.h"

#include <weir/ring.h>
#include <weir/submit.h>

#define ROUNDS	      5000u
#define AFFINITY_INFO 0xc4000004u
#define STATE_OFF     1
#define HONEST_ROUNDS 8u
#define RING_PAGES    4u
#define RING_BYTES    (RING_PAGES * PAGE_SIZE)
#define BUFFER_BYTES  1024u
#define CANARY	      0x5ca1ab1e0ddba11ull
#define LATE_NS	      20000000ull

static weir_handle pair, sync;
static struct weir_pages *first; /* the first vCPU's */
static struct region pool, window;
static uint64_t peer_events;
static uint32_t lie, stop, asked;
static uint8_t *block_buffer;

static void count_event(weir_handle port, void *arg)
{
	(void)port;
	(void)arg;
	__atomic_fetch_add(&peer_events, 1, __ATOMIC_RELEASE);
}

static uint64_t any_position(struct random *random, uint64_t near)
{
	switch (random_below(random, 4)) {
	case 0:
		return near + random_below(random, 5) - 2;
	case 1:
		return random_next(random);
	case 2:
		return 0;
	default:
		return near ^ 1ull << random_below(random, 64);
	}
}

static void lie_to_weir(struct random *random)
{
	struct weir_in *in = first->in;
	uint32_t priority = (uint32_t)random_below(random, WEIR_EVENT_PRIORITIES);

	SHARED_WRITE(in->event_head[priority],
		     any_position(random, SHARED_READ(first->out->event_tail[priority])));
	SHARED_WRITE(in->completion_head,
		     any_position(random, SHARED_READ(first->out->completion_tail)));
	SHARED_WRITE(in->upcall_reply[random_below(random, 6)], random_next(random));
	SHARED_WRITE(in->buffer[random_below(random, 8)], (uint8_t)random_next(random));
	SHARED_WRITE(in->submit_tail, any_position(random, SHARED_READ(first->out->submit_head)));
	/* Events, and what is none: not of what would write to its own memory. */
	SHARED_WRITE(in->command[random_below(random, WEIR_COMMANDS)].what,
		     random_below(random, 4) ? WEIR_COMMAND_EVENT : random_next(random) << 8);
	SHARED_WRITE(in->command[random_below(random, WEIR_COMMANDS)].argument[0],
		     random_below(random, 4) ? pair : random_next(random));
}

/* Positions, sizes, the magic number, headers of records. */
static void lie_to_peer(struct random *random)
{
	struct weir_ring_shared_producer *ring = (struct weir_ring_shared_producer *)pool.base;
	uint64_t *word = (uint64_t *)pool.base + random_below(random, RING_BYTES / 8);

	SHARED_WRITE(ring->tail, any_position(random, ring->tail));
	if (random_below(random, 8))
		*(volatile uint64_t *)word = random_next(random) >> random_below(random, 64);
	SHARED_WRITE(ring->magic, random_below(random, 4) ? WEIR_RING_MAGIC : random_next(random));
	SHARED_WRITE(ring->bytes, random_below(random, 4) ? RING_BYTES : random_next(random));
}

static void liar(void *arg)
{
	struct random random = { (uint64_t)arg };

	while (!SHARED_READ(stop)) {
		if (SHARED_READ(lie)) {
			lie_to_weir(&random);
			lie_to_peer(&random);
		}
		__asm__ volatile("yield");
	}
}

TEST(it_has_victims_and_a_partner)
{
	hostile_begin();
	CHECK(hostile_victim[0] && hostile_victim[1]);
	first = weir_here();
	pool = weir_region(WEIR_REGION_POOL);
	window = weir_region(WEIR_REGION_WINDOW);
	block_buffer = memory_pages(1);
	CHECK_IS(weir_port_find(weir_here(), "pair", &pair), WEIR_OK);
	CHECK_IS(weir_port_find(weir_here(), "sync", &sync), WEIR_OK);
	event_handle(pair, count_event, NULL);
	irq_handle(WEIR_INTID_BLOCK, NULL, NULL);
	CHECK_IS(cpu_start(1, liar, (void *)(8 + bootargs_number("me", 0))), 0);
}

/* Names that change while they are copied: found or not, but of our own ports. */
TEST(names_that_change_are_found_or_not)
{
	SHARED_WRITE(lie, 1);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		weir_handle port = 0;
		enum weir_status status = weir_port_find(weir_here(), "pair", &port);

		CHECK(status == WEIR_OK ? port == pair : status == WEIR_NOT_FOUND);
		port = 0;
		status = weir_port_find(weir_here(), "attack00", &port);
		CHECK(status == WEIR_OK || status == WEIR_NOT_FOUND);
	}
}

static bool is_one_of(enum weir_status status, enum weir_status a, enum weir_status b)
{
	return status == WEIR_OK || status == a || status == b;
}

/* Ports move from ring to ring while their heads are anywhere. */
TEST(heads_that_lie_harm_nobody_else)
{
	for (uint32_t i = 0; i < ROUNDS; i++) {
		CHECK(is_one_of(weir_port_bind(pair, i % 2, i % WEIR_EVENT_PRIORITIES), WEIR_BUSY,
				WEIR_BUSY));
		CHECK(is_one_of(weir_event_send(pair), WEIR_CLOSED, WEIR_CLOSED));
		CHECK_IS(weir_event_send(hostile_victim[i % 2]), WEIR_OK);
	}
}

/* Commands change while they are taken, and where they end is anywhere. */
TEST(commands_that_change_are_taken_or_not)
{
	for (uint32_t i = 0; i < ROUNDS; i++)
		CHECK(is_one_of(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_AGAIN, WEIR_AGAIN));
}

/* As many as Weir takes: a head that lies may cost us completions, and nobody else anything. */
TEST(completions_that_are_not_taken_are_its_own_affair)
{
	struct weir_block_info info;
	bool has_disk = weir_block_info(0, &info) == WEIR_OK;

	for (uint32_t i = 0; has_disk && i < ROUNDS; i++)
		CHECK(is_one_of(weir_block_submit(0, WEIR_BLOCK_READ, i % 4096, 1, block_buffer, i),
				WEIR_QUOTA, WEIR_AGAIN));
}

static weir_handle share_ring(void)
{
	struct weir_ring_producer ring;
	weir_handle grant = 0;

	CHECK_IS(weir_ring_producer_init(&ring, pool.base, RING_BYTES), WEIR_OK);
	CHECK_IS(weir_grant_share(pair, 0, RING_PAGES, WEIR_READ, &grant), WEIR_OK);
	CHECK_IS(weir_port_publish(pair, grant), WEIR_OK);
	return grant;
}

static bool map_ring(void)
{
	uint64_t grant = 0, end = timer_now() + timer_ticks(WAIT_NS);
	enum weir_status status = WEIR_INVALID;

	while (status != WEIR_OK && timer_now() < end) {
		weir_port_peer(pair, &grant, NULL);
		status = weir_grant_map(pair, grant, 0, NULL, NULL);
		__asm__ volatile("yield");
	}
	return status == WEIR_OK;
}

static uint64_t own_page[PAGE_SIZE / 8] __attribute__((aligned(4096)));

/* The one who reads believes nothing: no record is larger than the buffer, no access outside the ring. */
TEST(a_ring_that_lies_is_read_without_harm)
{
	static struct {
		uint64_t before;
		uint8_t data[BUFFER_BYTES];
		uint64_t after;
	} buffer = { .before = CANARY, .after = CANARY };
	uint64_t end = timer_now() + timer_ticks(WAIT_NS);
	uint32_t broken = 0, bytes = 0, tag = 0;

	share_ring();
	CHECK(map_ring());
	for (uint32_t i = 0; (i < ROUNDS || broken < ROUNDS / 100) && timer_now() < end; i++) {
		struct weir_ring_consumer ring;
		enum weir_status status;

		status = weir_ring_consumer_init(&ring, own_page, window.base, RING_BYTES);
		for (uint32_t k = 0; k < 8 && status == WEIR_OK; k++) {
			status = weir_ring_read(&ring, buffer.data, BUFFER_BYTES, &bytes, &tag);
			CHECK(status != WEIR_OK || bytes <= BUFFER_BYTES);
			weir_ring_release(&ring);
		}
		CHECK(status == WEIR_OK || status == WEIR_AGAIN || status == WEIR_INVALID ||
		      status == WEIR_CLOSED);
		broken += status == WEIR_CLOSED;
		if (i % 16 == 0)
			__asm__ volatile("yield");
	}
	CHECK(broken >= ROUNDS / 100);
	CHECK(buffer.before == CANARY && buffer.after == CANARY);
}

/* Until the other one is as far. Without events, of which nobody knows where they go. */
static bool meet(uint64_t where)
{
	uint64_t word = 0, end = timer_now() + timer_ticks(WAIT_NS);

	weir_port_publish(sync, where);
	while (word < where && timer_now() < end) {
		weir_port_peer(sync, &word, NULL);
		__asm__ volatile("yield");
	}
	return word >= where;
}

/* No more lies: heads as they should be, and events arrive again. */
TEST(when_it_is_honest_again_events_arrive)
{
	uint64_t flags, tail;

	CHECK(meet(1));
	flags = irq_save(); /* a handler would follow the last lie for ever */
	SHARED_WRITE(lie, 0);
	SHARED_WRITE(stop, 1);
	while (weir_call(AFFINITY_INFO, 1, 0, 0, 0, 0, 0).status != STATE_OFF)
		__asm__ volatile("yield");
	for (uint32_t i = 0; i < WEIR_EVENT_PRIORITIES; i++)
		SHARED_WRITE(first->in->event_head[i], SHARED_READ(first->out->event_tail[i]));
	SHARED_WRITE(first->in->completion_head, SHARED_READ(first->out->completion_tail));
	SHARED_WRITE(first->in->submit_tail, SHARED_READ(first->out->submit_head));
	irq_restore(flags);
	CHECK(WAIT(weir_port_bind(pair, 0, 0) == WEIR_OK));
	SHARED_WRITE(peer_events, 0);
	CHECK(meet(2));
	for (uint32_t i = 0; i < HONEST_ROUNDS; i++) {
		CHECK_IS(weir_event_send(pair), WEIR_OK);
		CHECK(WAIT(SHARED_READ(peer_events) > i));
		CHECK(meet(3 + i));
	}
	/* What the head says now counts again, too: sends to a port that is pending coalesce. */
	flags = irq_save();
	tail = SHARED_READ(first->out->event_tail[0]);
	CHECK(meet(100));
	for (uint32_t i = 0; i < HONEST_ROUNDS; i++)
		CHECK_IS(weir_event_send(pair), WEIR_OK);
	CHECK(meet(101));
	CHECK(SHARED_READ(first->out->event_tail[0]) - tail <= 2); /* `pair`, `sync` */
	irq_restore(flags);
}

static void never_return(uint32_t intid, void *arg)
{
	(void)intid;
	(void)arg;
	SHARED_WRITE(asked, 1);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static void offer_service(void *arg)
{
	(void)arg;
	irq_handle(WEIR_INTID_UPCALL, never_return, NULL);
	weir_upcall_register(1u << WEIR_SERVICE_PING);
	for (;;)
		__asm__ volatile("" ::: "memory");
}

TEST(an_upcall_that_never_returns_stops_nobody)
{
	uint64_t end = timer_now() + timer_ticks(LATE_NS);

	if (bootargs_number("me", 0) != 0)
		return;
	CHECK_IS(cpu_start(1, offer_service, NULL), 0);
	CHECK(WAIT(SHARED_READ(asked)));
	while (timer_now() < end)
		task_sleep(10000000);
	CHECK_IS(weir_version(), WEIR_ABI_VERSION);
}

TEST(it_works_still)
{
	CHECK_IS(weir_event_send(hostile_victim[0]), WEIR_OK);
	hostile_end();
}

TESTS = {
	RUN(it_has_victims_and_a_partner),
	RUN(names_that_change_are_found_or_not),
	RUN(heads_that_lie_harm_nobody_else),
	RUN(commands_that_change_are_taken_or_not),
	RUN(completions_that_are_not_taken_are_its_own_affair),
	RUN(a_ring_that_lies_is_read_without_harm),
	RUN(when_it_is_honest_again_events_arrive),
	RUN(an_upcall_that_never_returns_stops_nobody),
	RUN(it_works_still),
};
TESTS_MAIN
