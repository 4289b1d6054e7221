/*
 * Opening a channel (weir/channel.h) while the peer ends between two looks at its pages, where no call is.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <weir/ring.h>

static void (*before_the_ring)(
	void); /* called once, when the first page was looked at and the ring was not */

static inline enum weir_status consumer_init_after_that(struct weir_ring_consumer *ring, void *page,
							const void *pages, uint64_t bytes)
{
	void (*happens)(void) = before_the_ring;

	before_the_ring = 0;
	if (happens)
		happens();
	return weir_ring_consumer_init(ring, page, pages, bytes);
}

#define weir_ring_consumer_init consumer_init_after_that
#include "channel_sides.h"

static void b_restarts(void)
{
	restart(1);
	ipc_run(0, 0);
}

TEST(a_peer_that_ends_while_it_is_looked_at_is_waited_for)
{
	assert_int_equal(try_open(B), WEIR_AGAIN);
	before_the_ring = b_restarts;
	assert_int_equal(try_open(A), WEIR_AGAIN); /* it is no lie that there are zeroes now */
	assert_true(window_is_empty(0));
	assert_int_equal(try_open(B), WEIR_AGAIN);
	assert_int_equal(try_open(A), WEIR_OK);
	assert_int_equal(try_open(B), WEIR_OK);
	send(A, "to the next life");
	expect(B, "to the next life");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(a_peer_that_ends_while_it_is_looked_at_is_waited_for),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
