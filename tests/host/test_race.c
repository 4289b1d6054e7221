/*
 * Sends with both ends racing: two VMs, each on a thread of its own, send to each other as fast as they can, on
 * two channels of the manifest and on a third that either opens, connects and closes again all the time. They
 * take each other's events meanwhile, mask and unmask their ports and bind them to other priorities; a third VM,
 * to which both send too, ends and starts again all the time.
 *
 * A VM looks for events only when it was interrupted, and at a word only when an event says so. Every ROUND
 * sends it stops, unmasks its ports, and waits until the other has looked at what it sent last on each port: a
 * send that answered OK is owed a look, unless the other has closed its port since, and a port that it closed is
 * owed that the other notices. Nothing else is sent on these ports then, that could make up for an event
 * that is lost. And the third VM's life goes on only if both were told of each end and each beginning. What
 * has not come when both have looked PATIENCE times, each after the other, is lost: no clock is asked, for the
 * host may let any thread stand still for any time.
 *
 * In the end every send was received or coalesced: what was taken out of the rings is what was put in, each
 * with an interrupt, and no more than was sent.
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
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "ipc/event.h"
#include "soak.h"

#define SENDS	   100000000ul
#define SOAK_SENDS 3000000000ul
#define ROUND	   1024u
#define PATIENCE   100000u /* some hundred looks are between two rounds, and then nothing is masked */

/* Ports of each of the two; those of the manifest's channels have these numbers. */
enum {
	BETWEEN, /* two channels */
	MORTAL = 2,
	LOOSE, /* the one that is opened, by VM a, connected, by VM b, and closed by either */
	PORTS,
};

/* A VM of the two. Its thread writes. */
struct end {
	u32 vm;
	u64 sends; /* to do */
	u64 random;
	weir_handle port[PORTS]; /* 0: there is none */
	bool masked[PORTS];
	u64 owed;	 /* the last word that was sent on LOOSE with success */
	u64 closes_then; /* of the peer, before that */
	u32 pends;
	u64 sent, refused, busy, taken, late, masks, rounds;
	/* Others read these, so they are atomic. */
	u64 word[PORTS];      /* sent */
	u64 seen[PORTS];      /* of the peer's words */
	weir_handle offered;  /* a's LOOSE port, to connect to; 0: none */
	weir_handle told;     /* its LOOSE port of which an event came last */
	weir_handle taken_up; /* what b connected to last */
	u64 connects;	      /* of b */
	u64 closes;	      /* of its LOOSE ports, counted when they have happened */
	bool open;	      /* what an event of the third VM made it see */
	u64 looks;	      /* times that it looked whether it was interrupted */
	bool done;	      /* it sends no more */
};

static struct end ends[2];
static u64 lives;
static bool lives_over;

#define READ(what)	   __atomic_load_n(&(what), __ATOMIC_RELAXED)
#define WRITE(what, value) __atomic_store_n(&(what), value, __ATOMIC_RELAXED)

static struct end *peer_of(const struct end *me)
{
	return &ends[1 - me->vm];
}

static u64 random_below(struct end *me, u64 limit)
{
	me->random ^= me->random << 13;
	me->random ^= me->random >> 7;
	me->random ^= me->random << 17;
	return me->random % limit;
}

/* The handler itself: the fake of a whole hypercall takes ten times as long. */
static enum weir_status call(const struct end *me, call_handler handler, u64 x1, u64 x2, u64 x3,
			     struct call_results *out)
{
	struct call_args in = { .x1 = x1, .x2 = x2, .x3 = x3 };

	*out = (struct call_results){ 0 };
	return handler(ipc_vcpu(me->vm, 0), &in, out);
}

/* ---- What is owed ---------------------------------------------------------------------------- */

/* Who waits: how often each VM had looked when both had done so last, and how often that was. */
struct wait {
	u64 looks[2];
	u32 times;
};

static void give_up_after(struct wait *wait, const char *lost)
{
	u64 looks[2] = { READ(ends[0].looks), READ(ends[1].looks) };

	if (looks[0] == wait->looks[0] || looks[1] == wait->looks[1])
		return;
	memcpy(wait->looks, looks, sizeof(looks));
	if (++wait->times < PATIENCE)
		return;
	printf("not ok 1 - lost: %s\n", lost);
	for (u32 i = 0; i < 2; i++)
		printf("# VM %c: words %lu %lu, %lu owed; seen %lu %lu, %lu; %lu closes; third VM "
		       "%s\n",
		       'a' + (char)i, READ(ends[i].word[0]), READ(ends[i].word[1]),
		       READ(ends[i].owed), READ(ends[i].seen[0]), READ(ends[i].seen[1]),
		       READ(ends[i].seen[LOOSE]), READ(ends[i].closes),
		       READ(ends[i].open) ? "there" : "off");
	fflush(stdout);
	abort();
}

static bool looked_at(const struct end *me)
{
	const struct end *peer = peer_of(me);

	for (u32 i = BETWEEN; i < MORTAL; i++)
		if (READ(peer->seen[i]) != me->word[i])
			return false;
	return READ(peer->seen[LOOSE]) >= me->owed || READ(peer->closes) != me->closes_then;
}

/* That this one has connected to its LOOSE port, or closed its own. */
static bool noticed(const struct end *me)
{
	const struct end *peer = peer_of(me);

	if (me->port[LOOSE])
		return me->vm == 0 || READ(peer->offered) != me->taken_up ||
		       READ(peer->told) == me->taken_up;
	return me->vm == 0 ? READ(peer->closes) == READ(peer->connects)
			   : !me->taken_up || READ(peer->offered) != me->taken_up;
}

/* ---- The port that comes and goes ------------------------------------------------------------ */

static void loose_begin(struct end *me, weir_handle port)
{
	me->port[LOOSE] = port;
	me->masked[LOOSE] = false;
}

static void loose_open(struct end *me)
{
	struct call_results out;
	enum weir_status status =
		call(me, port_open_call, WEIR_PORT_PEER, me->port[BETWEEN], 0, &out);

	/* Those that were closed with an event unread may take all the numbers. */
	assert_true(status == WEIR_OK || status == WEIR_QUOTA);
	if (status != WEIR_OK)
		return;
	loose_begin(me, out.x1);
	__atomic_store_n(&me->offered, out.x1, __ATOMIC_RELEASE);
}

static void loose_connect(struct end *me)
{
	weir_handle offered = __atomic_load_n(&peer_of(me)->offered, __ATOMIC_ACQUIRE);
	struct call_results out;
	enum weir_status status;

	if (!offered || offered == me->taken_up)
		return;
	status = call(me, port_connect_call, me->port[BETWEEN], offered, 0, &out);
	assert_true(status == WEIR_OK || status == WEIR_STALE || status == WEIR_QUOTA);
	me->late += status == WEIR_STALE;
	if (status != WEIR_OK)
		return;
	WRITE(me->taken_up, offered);
	WRITE(me->connects, me->connects + 1);
	loose_begin(me, out.x1);
}

/* As arch/arm64/entry.S and hypercall(). */
static enum weir_status send_call(const struct end *me, weir_handle port)
{
	struct call_results out;

	if (trap_send(&ipc_vcpu(me->vm, 0)->arch, port) == SEND_DONE)
		return WEIR_OK;
	return call(me, event_send_call, port, 0, 0, &out);
}

static void loose_close(struct end *me)
{
	weir_handle port = me->port[LOOSE];
	struct call_results out;

	WRITE(me->offered, 0);
	me->port[LOOSE] = 0;
	assert_int_equal(call(me, port_close_call, port, 0, 0, &out), WEIR_OK);
	WRITE(me->closes, me->closes + 1);
	assert_int_equal(send_call(me, port), WEIR_STALE);
}

/*
 * Should it be closed? What the peer has connected or closed is left as it is until an event says so; and what
 * waits for a peer, mostly, for that may be about to connect.
 */
static bool loose_ripe(struct end *me)
{
	const struct end *peer = peer_of(me);

	if (me->vm != 0)
		return READ(peer->offered) == me->taken_up;
	if (READ(peer->taken_up) != me->port[LOOSE])
		return random_below(me, 8) == 0;
	return me->told == me->port[LOOSE] && READ(peer->closes) != READ(peer->connects);
}

static void loose_change(struct end *me)
{
	if (me->port[LOOSE]) {
		if (loose_ripe(me))
			loose_close(me);
	} else if (me->vm == 0) {
		loose_open(me);
	} else {
		loose_connect(me);
	}
}

/* ---- The two --------------------------------------------------------------------------------- */

static void look(struct end *me, u32 which)
{
	struct call_results out;

	if (which != MORTAL)
		WRITE(me->seen[which], READ(peer_of(me)->word[which]));
	if (which < MORTAL)
		return;
	assert_int_equal(call(me, event_peer_call, me->port[which], 0, 0, &out), WEIR_OK);
	if (which == LOOSE)
		WRITE(me->told, me->port[LOOSE]);
	if (which == MORTAL)
		WRITE(me->open, out.x2);
	else if (!out.x2)
		loose_close(me); /* as the peer did */
}

/* The interrupt, if there is one. */
static bool serve(struct end *me)
{
	struct weir_pages pages = ipc_pages(me->vm, 0);
	u32 pends = ipc_pends(ipc_vcpu(me->vm, 0), WEIR_INTID_EVENT), number;

	WRITE(me->looks, me->looks + 1);
	if (pends == me->pends)
		return false;
	me->pends = pends;
	while (weir_event_next(&pages, &number)) {
		me->taken++;
		for (u32 i = 0; i < PORTS; i++)
			if (me->port[i] && weir_port_number(me->port[i]) == number)
				look(me, i);
	}
	return true;
}

/* On a single core the other gets to send something in between only if it is let. */
static void bind(struct end *me, weir_handle port)
{
	struct call_results out;
	enum weir_status status;

	if (random_below(me, 16) == 0)
		sched_yield();
	status = call(me, event_bind_call, port, 0, random_below(me, WEIR_EVENT_PRIORITIES), &out);
	assert_true(status == WEIR_OK || status == WEIR_BUSY);
	me->busy += status == WEIR_BUSY;
}

static void mask(struct end *me, u32 which, bool masked)
{
	struct call_results out;

	me->masked[which] = masked;
	me->masks += masked;
	assert_int_equal(call(me, port_mask_call, me->port[which], masked, 0, &out), WEIR_OK);
}

static void disturb(struct end *me)
{
	u64 what = random_below(me, 64);
	u32 which = (u32)what % PORTS;

	if (what < 8)
		loose_change(me);
	else if (what < 24 && me->port[which])
		bind(me, me->port[which]);
	else if (me->port[which])
		mask(me, which, !me->masked[which]);
}

static void send(struct end *me, u64 turn)
{
	u32 which = turn % 8 == 7 ? MORTAL : turn % 4 == 2 && me->port[LOOSE] ? LOOSE : turn % 2;
	u64 closes = READ(peer_of(me)->closes);
	enum weir_status status;

	WRITE(me->word[which], turn);
	status = send_call(me, me->port[which]);
	assert_true(status == WEIR_OK || (status == WEIR_CLOSED && which >= MORTAL));
	me->sent++;
	me->refused += status == WEIR_CLOSED;
	if (which != LOOSE || status != WEIR_OK)
		return;
	me->closes_then = closes;
	me->owed = turn;
}

/* Until all that is owed has come. */
static void settle(struct end *me)
{
	struct wait wait = { 0 };

	for (u32 i = 0; i < PORTS; i++)
		if (me->port[i] && me->masked[i])
			mask(me, i, false);
	while (!looked_at(me) || !noticed(me))
		if (!serve(me)) {
			sched_yield();
			give_up_after(&wait, "an event between the two");
		}
	me->rounds++;
}

static void *race(void *context)
{
	struct end *me = context;

	ipc_run(me->vm, 0);
	for (u64 turn = 1; turn <= me->sends; turn++) {
		send(me, turn);
		if (turn % 16 == 0)
			disturb(me);
		if (turn % 4 == 0)
			serve(me);
		if (turn % ROUND == 0)
			settle(me);
	}
	settle(me);
	__atomic_store_n(&me->done, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&peer_of(me)->done, __ATOMIC_ACQUIRE) || !READ(lives_over))
		if (!serve(me))
			sched_yield();
	serve(me);
	return 0;
}

/* ---- The third ------------------------------------------------------------------------------- */

static void wait_until_both_see(bool open)
{
	struct wait wait = { 0 };

	while (READ(ends[0].open) != open || READ(ends[1].open) != open) {
		sched_yield();
		give_up_after(&wait, open ? "the third VM's beginning" : "the third VM's end");
	}
}

static bool both_done(void)
{
	return READ(ends[0].done) && READ(ends[1].done);
}

/* Its lives, each seen to end and to begin. */
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

static void begin(u32 vm, u64 sends)
{
	ends[vm] = (struct end){
		.vm = vm,
		.sends = sends,
		.random = (soak_seed() << 1 | vm) * 0x9e3779b97f4a7c15ul,
		.open = true,
	};
	for (u32 i = 0; i < LOOSE; i++)
		ends[vm].port[i] = 1ul << 16 | i;
}

static void judge(struct end *end)
{
	serve(end);
	assert_int_equal(end->taken, entered(end->vm));
	assert_int_equal(ipc_pends(ipc_vcpu(end->vm, 0), WEIR_INTID_EVENT), entered(end->vm));
	assert_int_equal(end->sent, end->sends);
	printf("# VM %c: %lu sends, %lu of them refused, %lu events, looked for after %lu rounds; "
	       "%lu "
	       "times masked, %lu not bound, %lu closed\n",
	       'a' + (char)end->vm, end->sent, end->refused, end->taken, end->rounds, end->masks,
	       end->busy, end->closes);
	assert_true(end->taken > 0 && end->busy > 0 && end->masks > 0 && end->closes > 0);
}

TEST(sends_of_both_ends_that_race_are_received_or_coalesce)
{
	static const char *const channels[] = { "ab0", "ab1", "ac", "bc", 0 };
	u64 sends = soak_count(SENDS, SOAK_SENDS);
	pthread_t thread[2];

	ipc_vms_make(3, 1, channels);
	for (u32 i = 0; i < 2; i++)
		begin(i, sends / 2);
	for (u32 i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&thread[i], 0, race, &ends[i]), 0);
	live();
	for (u32 i = 0; i < 2; i++)
		pthread_join(thread[i], 0);
	for (u32 i = 0; i < 2; i++)
		judge(&ends[i]);
	assert_true(entered(0) + entered(1) <
		    sends + 4 * lives + 2 * (ends[0].closes + ends[1].closes) + 4);
	assert_true(lives > 0 && ends[1].connects > 0);
	printf("# %lu lives of the third VM; %lu times connected, %lu times too late\n", lives,
	       ends[1].connects, ends[1].late);
	ipc_vms_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sends_of_both_ends_that_race_are_received_or_coalesce),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
