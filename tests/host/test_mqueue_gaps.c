/*
 * The sender of a message queue (weir/mqueue_sender.h) while the service dismisses it, in each gap in which it holds no
 * lock.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c tests/host/fake/lock.c
 */
#include <weir/mqueue.h>
#include "service_pair.h"

static struct weir_service_peer peer;
static struct weir_sender sender; /* b's */
static weir_handle first;	  /* the port that it was accepted with */

static void b_joins(void)
{
	ipc_run(1, 0);
	assert_int_equal(weir_sender_try_join(&sender, &pages[1], &spaces[1], "a/in"), WEIR_AGAIN);
}

/* It is accepted, has shared its pages, and waits for a's. */
static void b_has_offered(void)
{
	ipc_memory_end(0);
	fake_lock_reset();
	machine_make(0);
	sender = (struct weir_sender){ 0 };
	b_joins();
	ipc_run(0, 0);
	assert_int_equal(weir_service_accept(&pages[0], &offer, &peer), WEIR_OK);
	b_joins();
	first = sender.link.port;
	assert_true(first && sender.channel.state == WEIR_CHANNEL_OFFERED);
}

static void a_dismisses(void *context)
{
	(void)context;
	ipc_run(0, 0);
	weir_service_dismiss(&peer);
}

/* The port that it was accepted with is what it goes by, or closed. */
static void no_port_is_lost(void)
{
	b_joins();
	if (sender.link.port != first)
		assert_int_equal(weir_port_close(first), WEIR_STALE);
}

TEST(who_is_dismissed_while_it_joins_loses_no_port)
{
	assert_true(fake_lock_each_gap(b_has_offered, b_joins, a_dismisses, no_port_is_lost) > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(who_is_dismissed_while_it_joins_loses_no_port),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
