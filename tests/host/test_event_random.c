/*
 * Event channels under random sends, reads and lies, and with senders and a receiver that race: no event is lost, and a
 * liar harms itself only.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "ipc/event.h"

/*
 * Random sends, reads, rebinds and lies, against a model of one bit for each port: an honest vCPU
 * has in its rings exactly the ports that are pending, each once. Before each round the vCPU is
 * either honest or a liar, and after a liar's round it starts again from the tail.
 */
#define RANDOM_PORTS 20

static u64 random_below(u64 bound)
{
	return (u64)rand() % bound;
}

/* The ports between what EL2 believes of the head and the tail: each at most once, and no more. */
static void assert_each_at_most_once(const struct event_ring *ring)
{
	bool seen[RANDOM_PORTS] = { 0 };

	assert_true(ring->head <= ring->tail && ring->tail - ring->head <= ring->mask + 1);
	for (u64 at = ring->head; at != ring->tail; at++) {
		u32 number = ring->slot[at & ring->mask];

		assert_true(number < RANDOM_PORTS && !seen[number]);
		seen[number] = true;
	}
}

static void assert_rings(u32 vm)
{
	for (u32 i = 0; i < 2; i++)
		for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++)
			assert_each_at_most_once(&ipc_vcpu(vm, i)->ipc->event.ring[p]);
}

static const char *const many[] = { "ab0",  "ab1",  "ab2",  "ab3",  "ab4",  "ab5",  "ab6",
				    "ab7",  "ab8",  "ab9",  "ab10", "ab11", "ab12", "ab13",
				    "ab14", "ab15", "ab16", "ab17", "ab18", "ab19", 0 };

TEST(random_events_reach_an_honest_receiver_each_once)
{
	bool pending[RANDOM_PORTS] = { 0 };
	u32 bound_to[RANDOM_PORTS] = { 0 };

	srand(1);
	ipc_vms_set_ports(RANDOM_PORTS);
	ipc_vms_make(2, 2, many);
	for (u32 step = 0; step < 100000; step++) {
		u32 number = (u32)random_below(RANDOM_PORTS), index = (u32)random_below(2);
		weir_handle port = 1ul << 16 | number;
		s32 got;

		switch (random_below(4)) {
		case 0:
		case 1:
			ipc_run(0, index);
			assert_int_equal(weir_event_send(port), WEIR_OK);
			pending[number] = true;
			break;
		case 2:
			got = ipc_next(1, index);
			if (got >= 0) {
				assert_true(pending[got] && bound_to[got] == index);
				pending[got] = false;
			} else {
				for (u32 i = 0; i < RANDOM_PORTS; i++)
					assert_false(pending[i] && bound_to[i] == index);
			}
			break;
		case 3:
			ipc_run(1, 0);
			got = weir_port_bind(port, index, (u32)random_below(4));
			assert_true(got == WEIR_OK || (got == WEIR_BUSY && pending[number]));
			if (got == WEIR_OK)
				bound_to[number] = index;
			break;
		}
		assert_rings(1);
	}
}

TEST(a_head_that_lies_harms_its_owner_only)
{
	static const u64 lies[] = { 0, 1, UINT64_MAX, UINT64_MAX - 1, 1ul << 63, 1ul << 32 };
	struct weir_pages pages;

	srand(2);
	ipc_vms_set_ports(RANDOM_PORTS);
	ipc_vms_make(2, 2, many);
	pages = ipc_pages(1, 0);
	for (u32 step = 0; step < 100000; step++) {
		u64 *head = &pages.in->event_head[random_below(WEIR_EVENT_PRIORITIES)];
		weir_handle port = 1ul << 16 | random_below(RANDOM_PORTS);
		enum weir_status status;

		switch (random_below(4)) {
		case 0:
			*head = lies[random_below(ARRAY_SIZE(lies))];
			break;
		case 1:
			*head += random_below(9) - 4;
			break;
		case 2:
			ipc_run(1, 0);
			status = weir_port_bind(port, (u32)random_below(2), (u32)random_below(4));
			assert_true(status == WEIR_OK || status == WEIR_BUSY);
			break;
		case 3:
			ipc_run(0, 0);
			assert_int_equal(weir_event_send(port), WEIR_OK);
			break;
		}
		assert_rings(1);
	}
	/* It turns honest: everything that is sent from then on arrives. */
	for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++) {
		pages.in->event_head[p] = pages.out->event_tail[p];
		ipc_pages(1, 1).in->event_head[p] = ipc_pages(1, 1).out->event_tail[p];
	}
	for (u32 i = 0; i < RANDOM_PORTS; i++) {
		ipc_run(0, 0);
		assert_int_equal(weir_event_send(1ul << 16 | i), WEIR_OK);
	}
	for (u32 i = 0; i < RANDOM_PORTS; i++)
		assert_true(ipc_next(1, 0) >= 0 || ipc_next(1, 1) >= 0);
}

/*
 * Two senders and a receiver on threads of their own: whoever finds its word unchanged after an
 * event may go to sleep; so the receiver must end with the last word of each.
 */
#define RACES 200000

static u64 race_word[2];
static u32 race_over; /* atomic: senders that send no more */

static void *race_send(void *context)
{
	u32 sender = *(const u32 *)context;
	weir_handle port = 1ul << 16 | sender;

	ipc_run(0, sender);
	for (u64 i = 1; i <= RACES; i++) {
		__atomic_store_n(&race_word[sender], i, __ATOMIC_RELAXED);
		assert_int_equal(weir_event_send(port), WEIR_OK);
	}
	__atomic_fetch_add(&race_over, 1, __ATOMIC_RELEASE);
	return 0;
}

TEST(no_send_is_lost_in_a_race_with_the_receiver)
{
	static const char *const two[] = { "ab0", "ab1", 0 };
	u32 sender[2] = { 0, 1 }, seen_pends = 0;
	u64 seen[2] = { 0 };
	pthread_t thread[2];

	ipc_vms_make(2, 2, two);
	memset(race_word, 0, sizeof(race_word));
	race_over = 0;
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], 0, race_send, &sender[i]), 0);
	while (seen[0] < RACES || seen[1] < RACES) {
		bool over = __atomic_load_n(&race_over, __ATOMIC_ACQUIRE) == 2;
		u32 pends = ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT);
		s32 number;

		/* Sleeps until an interrupt: when nobody sends any more none would come. */
		if (pends == seen_pends) {
			assert_false(over);
			sched_yield();
			continue;
		}
		seen_pends = pends;
		while ((number = ipc_next(1, 0)) >= 0)
			seen[number] = __atomic_load_n(&race_word[number], __ATOMIC_RELAXED);
	}
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], 0);
	ipc_next(1, 0);
	assert_rings(1);
}

#define CASE(name) cmocka_unit_test_teardown(name, ipc_vms_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(random_events_reach_an_honest_receiver_each_once),
		CASE(a_head_that_lies_harms_its_owner_only),
		CASE(no_send_is_lost_in_a_race_with_the_receiver),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
