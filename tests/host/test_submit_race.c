/*
 * The submission ring with all sides racing: a thread is the guest, which puts commands and reads how they ended, one
 * is the communication core, which drains with any quantum and sleeps whenever there is nothing, and one ends the
 * peer, and starts it again, in the midst of it. Now and then the guest's own VM ends and starts again while the
 * core is at its ring.
 *
 * Every command is done, though the core sleeps until it is called; in order; and once. A copy that ended well is
 * whole; one whose target was taken away says so. What has not come when both threads have gone round PATIENCE
 * times, each after the other, is lost: no clock is asked, for the host may let any of them stand still for any time.
 *
 * ROUNDS of some commands each; in soak mode SOAK_ROUNDS.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: ipc/block.c core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/ipc_disk.c tests/host/fake/heap.c
 * Sources: tests/host/fake/log.c tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/ipc_memory.c tests/host/fake/panic.c
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <weir/grant.h>
#include <weir/submit.h>
#include "ipc/submit.h"
#include "ipc_memory.h"
#include "soak.h"

#define ROUNDS	    100000ul
#define SOAK_ROUNDS 2000000ul
#define PATIENCE    100000u /* the smallest quanta need some thousand for a round */

enum { A, B, VMS };

#define POOL	 (VM_RAM_BASE + 4 * PAGE_SIZE)
#define OWN	 40u /* pages of a's pool that are copied to; from page 0 on */
#define WORDS	 72u /* of a copy */
#define COMMANDS 50u /* of a round, at most */

static const char *const channels[] = { "ab", 0 };

static struct weir_submit ring;
static u64 random_state;
static u32 called; /* atomic: wake-ups */
static bool over;  /* atomic: the core is to stop */
static u32 ends;   /* atomic: 1: b is to end, 2: it has begun again, 0 */
static u64 slept;  /* times */

enum { CORE, LIFE, THREADS };
static u64 turns[THREADS]; /* atomic: of each thread */

/* What was put, by position in the round. */
static struct {
	u64 position;
	enum { EVENT, WRONG, COPY, COPY_TO_B, FLUSH } what;
	u64 stamp;
} put[COMMANDS];

static u64 any(u64 below)
{
	random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
	return (random_state >> 33) % below;
}

static struct vcpu *self(void)
{
	return ipc_vcpu(A, 0);
}

static weir_handle channel(u32 vm)
{
	return ipc_vm(vm)->ipc->event.port[0].handle;
}

static void turn(u32 thread)
{
	__atomic_fetch_add(&turns[thread], 1, __ATOMIC_RELEASE);
}

static u64 turns_of(u32 thread)
{
	return __atomic_load_n(&turns[thread], __ATOMIC_ACQUIRE);
}

static void wait_until(bool (*so)(void), const char *what)
{
	u64 seen[THREADS] = { 0 };

	for (u32 times = 0; !so(); sched_yield()) {
		u64 now[THREADS] = { turns_of(CORE), turns_of(LIFE) };

		if (now[CORE] == seen[CORE] || now[LIFE] == seen[LIFE])
			continue;
		memcpy(seen, now, sizeof(seen));
		if (++times > PATIENCE)
			fail_msg("%s: lost", what);
	}
}

/* ---- The communication core -------------------------------------------------------------------------- */

static void wake(struct vcpu *vcpu)
{
	(void)vcpu;
	__atomic_fetch_add(&called, 1, __ATOMIC_SEQ_CST);
}

static void *core(void *context)
{
	u32 seen = 0;
	u64 quantum = 1;

	(void)context;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		turn(CORE);
		quantum = quantum * 5 % 8191;
		if (submit_waits(self())) {
			submit_drain(self(), quantum);
			continue;
		}
		seen = __atomic_load_n(&called, __ATOMIC_SEQ_CST);
		if (!submit_sleep(self()))
			continue;
		slept++;
		while (__atomic_load_n(&called, __ATOMIC_SEQ_CST) == seen &&
		       !__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
			turn(CORE);
			sched_yield();
		}
	}
	return 0;
}

/* ---- The peer ------------------------------------------------------------------------------------------ */

static bool b_is_new(void)
{
	return __atomic_load_n(&ends, __ATOMIC_ACQUIRE) == 2;
}

static void *life(void *context)
{
	u32 what;

	(void)context;
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		turn(LIFE);
		what = __atomic_load_n(&ends, __ATOMIC_ACQUIRE);
		if (what == 1) {
			ipc_vm_renew(B);
			__atomic_store_n(&ends, 2, __ATOMIC_RELEASE);
		}
		sched_yield();
	}
	return 0;
}

/* b shares two pages, which a has at the first of its window. Those of its last life are revoked. */
static void share(void)
{
	static weir_handle grant;

	ipc_run(B, 0);
	weir_grant_revoke(grant);
	assert_int_equal(weir_grant_share(channel(B), 0, 2, WEIR_READ_WRITE, &grant), WEIR_OK);
	ipc_run(A, 0);
	weir_grant_unmap(0);
	assert_int_equal(weir_grant_map(channel(A), grant, 0, 0, 0), WEIR_OK);
}

/* ---- The guest ----------------------------------------------------------------------------------------- */

static u64 *own(u64 page)
{
	return ipc_memory_page(A, page);
}

static bool put_one(u32 n)
{
	u64 stamp = ring.tail << 20 | any(1u << 20);

	put[n].what = any(5);
	put[n].stamp = stamp;
	put[n].position = ring.tail;
	if (put[n].what == EVENT || put[n].what == WRONG)
		return weir_submit_put_event(&ring, put[n].what == EVENT ? channel(A) : 0);
	if (put[n].what == FLUSH)
		return weir_submit_put_block(&ring, 0, WEIR_BLOCK_FLUSH, 0, 0, 0, n);
	/* Each has a source and a target of its own, in those of b's in turn. */
	for (u32 i = 0; i < WORDS; i++)
		own(0)[n * WORDS + i] = stamp + i;
	return weir_submit_put_copy(&ring,
				    (void *)(put[n].what == COPY
						     ? POOL + OWN * PAGE_SIZE + n * WORDS * 8
						     : VM_WINDOW_BASE + n % 8 * WORDS * 8),
				    (const void *)(POOL + n * WORDS * 8), WORDS * 8, n);
}

static bool all_done(void)
{
	return weir_submit_done(&ring, ring.tail);
}

/* The disk does all when nobody asks it for more. */
static void take_completions(u32 expected)
{
	struct weir_pages pages = ipc_pages(A, 0);
	struct weir_completion completion;
	u64 last = 0;

	while (ipc_disk_done(WEIR_OK))
		;
	while (expected && weir_block_next(&pages, &completion)) {
		assert_true(completion.cookie < COMMANDS);
		/* Copies in their order; requests whenever the disk says so. */
		if (put[completion.cookie].what != FLUSH) {
			assert_true(completion.cookie >= last);
			assert_int_equal(
				completion.status,
				weir_submit_status(&ring, put[completion.cookie].position));
			last = completion.cookie;
		}
		expected--;
	}
	assert_int_equal(expected, 0);
	assert_false(weir_block_next(&pages, &completion));
}

static void check_one(u32 n, bool peer_ended)
{
	enum weir_status status = weir_submit_status(&ring, put[n].position);
	const u64 *target = own(OWN) + n * WORDS;

	if (put[n].what == WRONG) {
		assert_int_equal(status, WEIR_INVALID);
	} else if (put[n].what == COPY) {
		assert_int_equal(status, WEIR_OK);
		for (u32 i = 0; i < WORDS; i++)
			assert_int_equal(target[i], put[n].stamp + i);
	} else if (status != WEIR_OK) {
		assert_int_equal(status, WEIR_CLOSED);
		assert_true(peer_ended && put[n].what != FLUSH);
	}
}

/* The last copy that ended well to each place of b's page is what is there, if b did not end. */
static void check_peer(u32 count)
{
	const u64 *page = ipc_memory_page(B, 0);

	for (u32 n = count; n-- > 0;) {
		u32 later = n + 1;

		if (put[n].what != COPY_TO_B)
			continue;
		while (later < count && (put[later].what != COPY_TO_B || later % 8 != n % 8))
			later++;
		if (later == count)
			assert_int_equal(page[n % 8 * WORDS + WORDS - 1], put[n].stamp + WORDS - 1);
	}
}

static bool disk_idle(void)
{
	while (ipc_disk_done(WEIR_OK))
		;
	return ipc_vm_idle(ipc_vm(A));
}

/* The guest is on no core; the communication core does what it does. */
static void renew_self(void)
{
	struct vm_work work = { 0 };
	struct weir_pages pages;

	while (ipc_vm_stop(ipc_vm(A), &work))
		;
	wait_until(disk_idle, "the disk");
	work = (struct vm_work){ 0 };
	while (ipc_vm_rebuild(ipc_vm(A), &work))
		;
	pages = ipc_pages(A, 0);
	assert_int_equal(pages.out->submit_head, 0);
	assert_int_equal(pages.out->completion_tail, 0);
	weir_submit_init(&ring, &pages);
	share();
}

static void drain_events(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 number;

	while (weir_event_next(&pages, &number))
		;
}

static void play_round(u64 number)
{
	bool peer_ends = number % 50 == 7, self_ends = number % 70 == 9;
	u32 count = 1 + (u32)any(COMMANDS), answered = 0;

	if (peer_ends)
		__atomic_store_n(&ends, 1, __ATOMIC_RELEASE);
	for (u32 n = 0; n < count; n++) {
		assert_true(put_one(n));
		answered += put[n].what >= COPY;
		if (any(3) == 0)
			weir_submit_kick(&ring);
	}
	weir_submit_kick(&ring);
	if (!self_ends) {
		wait_until(all_done, "a command");
		take_completions(answered);
		for (u32 n = 0; n < count; n++)
			check_one(n, peer_ends);
		if (!peer_ends)
			check_peer(count);
	}
	if (peer_ends) {
		wait_until(b_is_new, "b");
		__atomic_store_n(&ends, 0, __ATOMIC_RELEASE);
		share();
	}
	if (self_ends)
		renew_self();
	if (!peer_ends)
		drain_events(B);
	drain_events(A);
}

TEST(commands_are_done_once_and_in_order_whoever_ends)
{
	u64 rounds = soak_count(ROUNDS, SOAK_ROUNDS);
	struct weir_pages pages;
	pthread_t thread[2];

	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	ipc_after_call = 0; /* nobody looks through views, which are not made for threads */
	submit_serve(self(), wake);
	pages = ipc_pages(A, 0);
	random_state = soak_seed();
	weir_submit_init(&ring, &pages);
	share();
	assert_int_equal(pthread_create(&thread[0], 0, core, 0), 0);
	assert_int_equal(pthread_create(&thread[1], 0, life, 0), 0);
	for (u64 i = 0; i < rounds; i++)
		play_round(i);
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(thread[0], 0);
	pthread_join(thread[1], 0);
	assert_true(slept > rounds / 10);
	assert_true(self()->account.ring.copies > rounds);
	ipc_memory_free();
	ipc_vms_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(commands_are_done_once_and_in_order_whoever_ends),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
