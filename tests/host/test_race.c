/*
 * Sends with both ends racing: two VMs, each on a thread of its own, send to each other on two channels as
 * fast as they can, take each other's events meanwhile and bind their ports to other priorities; a third
 * VM, to which both send too, ends and starts again all the time.
 *
 * A VM looks for events only when it was interrupted, and at a word only when an event says so. So it ends
 * only if it saw the last word of each channel, and the third one's life goes on only if both were told of
 * each end and each beginning: what is lost is a hang. In the end every send was received or coalesced:
 * what was taken out of the rings is what was put in, each with an interrupt, and no more than was sent.
 *
 * SENDS of them, in all; in soak mode SOAK_SENDS.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "ipc/event.h"
#include "soak.h"

#define SENDS	   100000000ul
#define SOAK_SENDS 3000000000ul

#define BETWEEN 2 /* channels between the two, numbers 0 and 1; 2 is the one to the third VM */
#define MORTAL	2

/* A VM of the two. Its thread writes; `word`, `open` and `done` are read by others. */
struct end {
	u32 vm;
	u64 sends; /* to do */
	u64 word[BETWEEN];
	bool open; /* what an event of the third VM made it see */
	bool done; /* it sends no more */
	u64 seen[BETWEEN];
	u64 sent, refused, busy, taken;
	u32 pends;
};

static struct end ends[2];
static u64 lives;
static bool lives_over;

static weir_handle port_of(u32 number)
{
	return 1ul << 16 | number;
}

#define READ(what)	   __atomic_load_n(&(what), __ATOMIC_RELAXED)
#define WRITE(what, value) __atomic_store_n(&(what), value, __ATOMIC_RELAXED)

static void look(struct end *me, u32 number)
{
	bool open;

	if (number < BETWEEN) {
		me->seen[number] = READ(ends[1 - me->vm].word[number]);
		return;
	}
	assert_int_equal(weir_port_peer(port_of(MORTAL), 0, &open), WEIR_OK);
	WRITE(me->open, open);
}

/* The interrupt, if there is one. */
static bool serve(struct end *me)
{
	struct weir_pages pages = ipc_pages(me->vm, 0);
	u32 pends = ipc_pends(ipc_vcpu(me->vm, 0), WEIR_INTID_EVENT), number;

	if (pends == me->pends)
		return false;
	me->pends = pends;
	while (weir_event_next(&pages, &number)) {
		me->taken++;
		look(me, number);
	}
	return true;
}

static void bind(struct end *me, u64 turn)
{
	enum weir_status status = weir_port_bind(port_of(turn / 64 % 3), 0, turn / 192 % 4);

	assert_true(status == WEIR_OK || status == WEIR_BUSY);
	me->busy += status == WEIR_BUSY;
}

static void send(struct end *me, u64 turn)
{
	u32 number = turn % 8 == 7 ? MORTAL : turn % BETWEEN;
	struct call_args in = { .x1 = port_of(number) };
	struct call_results out;
	enum weir_status status;

	if (number < BETWEEN)
		WRITE(me->word[number], turn);
	/* The handler itself: the fake of a whole hypercall takes ten times as long. */
	status = event_send_call(ipc_vcpu(me->vm, 0), &in, &out);
	assert_true(status == WEIR_OK || (status == WEIR_CLOSED && number == MORTAL));
	me->sent++;
	me->refused += status == WEIR_CLOSED;
}

static bool all_seen(const struct end *me)
{
	const struct end *peer = &ends[1 - me->vm];

	if (!__atomic_load_n(&peer->done, __ATOMIC_ACQUIRE) || !READ(lives_over))
		return false;
	return me->seen[0] == READ(peer->word[0]) && me->seen[1] == READ(peer->word[1]);
}

static void *race(void *context)
{
	struct end *me = context;

	ipc_run(me->vm, 0);
	for (u64 turn = 1; turn <= me->sends; turn++) {
		send(me, turn);
		if (turn % 64 == 0)
			bind(me, turn);
		if (turn % 4 == 0)
			serve(me);
	}
	__atomic_store_n(&me->done, true, __ATOMIC_RELEASE);
	while (!all_seen(me))
		if (!serve(me))
			sched_yield();
	serve(me);
	return 0;
}

static void wait_until_both_see(bool open)
{
	while (READ(ends[0].open) != open || READ(ends[1].open) != open)
		sched_yield();
}

static bool both_done(void)
{
	return READ(ends[0].done) && READ(ends[1].done);
}

/* The third VM's lives, each seen to end and to begin. */
static void live(void)
{
	while (!both_done()) {
		ipc_vm_end(MORTAL);
		wait_until_both_see(false);
		ipc_vm_renew(MORTAL);
		wait_until_both_see(true);
		lives++;
	}
	WRITE(lives_over, true);
}

static u64 entered(u32 vm)
{
	u64 count = 0;

	for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++)
		count += ipc_pages(vm, 0).out->event_tail[p];
	return count;
}

TEST(sends_of_both_ends_that_race_are_received_or_coalesce)
{
	static const char *const channels[] = { "ab0", "ab1", "ac", "bc", 0 };
	u64 sends = soak_count(SENDS, SOAK_SENDS);
	pthread_t thread[2];

	ipc_vms_make(3, 1, channels);
	for (u32 i = 0; i < 2; i++) {
		ends[i] = (struct end){ .vm = i, .sends = sends / 2, .open = true };
		assert_int_equal(pthread_create(&thread[i], 0, race, &ends[i]), 0);
	}
	live();
	for (u32 i = 0; i < 2; i++) {
		pthread_join(thread[i], 0);
		serve(&ends[i]);
		assert_int_equal(ends[i].taken, entered(i));
		assert_int_equal(ipc_pends(ipc_vcpu(i, 0), WEIR_INTID_EVENT), entered(i));
		assert_int_equal(ends[i].sent, sends / 2);
		printf("# VM %c: %lu sends, %lu of them to a VM that was off, %lu events taken, "
		       "%lu times not bound\n",
		       'a' + (char)i, ends[i].sent, ends[i].refused, ends[i].taken, ends[i].busy);
		assert_true(ends[i].taken > 0 && ends[i].busy > 0);
	}
	assert_true(entered(0) + entered(1) < sends + 4 * lives + 4);
	assert_true(lives > 0);
	printf("# %lu lives of the third VM\n", lives);
	ipc_vms_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_of_both_ends_that_race_are_received_or_coalesce),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
