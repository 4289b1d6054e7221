/*
 * The submission ring: each command as the call that it stands for, rings that lie, quanta, the end of a VM in
 * the middle, and the hand-over between who puts a command and who sleeps.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/order.c tests/host/fake/shared_page.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/submit.h>
#include "ipc/submit.h"
#include "ipc_vms.h"

enum { A, B, VMS };

#define ALL UINT64_MAX

static const char *const channels[] = { "ab", 0 };
static struct weir_submit ring;
static u32 woken;

static int machine_make(void **state)
{
	struct weir_pages pages;

	(void)state;
	fake_lock_reset();
	ipc_vms_make(VMS, 2, channels);
	ipc_run(A, 0);
	pages = ipc_pages(A, 0);
	weir_submit_init(&ring, &pages);
	woken = 0;
	return 0;
}

static weir_handle channel(u32 vm)
{
	return ipc_vm(vm)->ipc->event.port[0].handle;
}

static struct vcpu *self(void)
{
	return ipc_vcpu(A, 0);
}

static const struct account_ring *account(void)
{
	return &self()->account.ring;
}

/* Events that are in the rings of a VM's vCPU 0. */
static u64 entered(u32 vm)
{
	return ipc_pages(vm, 0).out->event_tail[0];
}

static void take_events(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 number;

	while (weir_event_next(&pages, &number))
		;
}

static struct weir_completion completion(void)
{
	struct weir_completion taken = { 0 };
	struct weir_pages pages = ipc_pages(A, 0);

	assert_true(weir_block_next(&pages, &taken));
	return taken;
}

static void assert_no_completion(void)
{
	assert_int_equal(ipc_pages(A, 0).out->completion_tail, ipc_pages(A, 0).in->completion_head);
}

/* The command alone: how it ended. */
static enum weir_status run(u64 what, u64 first, u64 second, u64 cookie)
{
	struct weir_command command = { what, { first, second }, cookie };

	assert_true(weir_submit_put(&ring, &command));
	assert_true(submit_waits(self()));
	weir_submit_kick(&ring);
	assert_false(submit_waits(self()));
	assert_true(weir_submit_done(&ring, ring.tail));
	return weir_submit_status(&ring, ring.tail - 1);
}

/* ---- Commands -------------------------------------------------------------------------------------- */

TEST(event_is_sent_and_counted_apart)
{
	assert_true(weir_submit_put_event(&ring, channel(A)));
	assert_int_equal(entered(B), 0);
	assert_false(weir_submit_done(&ring, ring.tail));
	weir_submit_kick(&ring);
	assert_true(weir_submit_done(&ring, ring.tail));
	assert_int_equal(entered(B), 1);
	assert_int_equal(ipc_pends(ipc_vcpu(B, 0), WEIR_INTID_EVENT), 1);
	assert_int_equal(account()->events, 1);
	assert_int_equal(self()->account.events, 0);
	assert_no_completion();
}

TEST(event_ends_as_the_call_does)
{
	weir_handle old = channel(A);

	assert_int_equal(run(WEIR_COMMAND_EVENT, old, 7, 7), WEIR_OK);
	assert_int_equal(run(WEIR_COMMAND_EVENT, 0, 0, 0), WEIR_INVALID);
	assert_int_equal(run(WEIR_COMMAND_EVENT, old + 1, 0, 0), WEIR_INVALID);
	assert_int_equal(run(WEIR_COMMAND_EVENT, old | 1ul << 63, 0, 0), WEIR_INVALID);
	ipc_vm_end(B);
	assert_int_equal(run(WEIR_COMMAND_EVENT, old, 0, 0), WEIR_CLOSED);
	ipc_vm_renew(A);
	machine_make(0);
	assert_int_equal(weir_port_open_ipi(&old), WEIR_OK);
	assert_int_equal(weir_port_close(old), WEIR_OK);
	assert_int_equal(run(WEIR_COMMAND_EVENT, old, 0, 0), WEIR_STALE);
	assert_no_completion();
}

TEST(command_that_is_none_is_refused)
{
	static const u64 wrong[] = {
		0, 4, 0xff, WEIR_COMMAND_EVENT | 0x100, 1ul << 32 | 1, 1ul << 63 | 1
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(run(wrong[i], channel(A), 0, 0), WEIR_INVALID);
	assert_int_equal(entered(B), 0);
	assert_no_completion();
	assert_int_equal(run(WEIR_COMMAND_COPY | 0x100 | 8ul << 32, 0, 0, 5), WEIR_INVALID);
	assert_int_equal(completion().cookie, 5);
	assert_int_equal(run(WEIR_COMMAND_BLOCK | WEIR_BLOCK_FLUSH << 16 | 1u << 24, 0, 0, 6),
			 WEIR_INVALID);
	assert_int_equal(completion().status, WEIR_INVALID);
}

/* All in one order, then in another: as by the other form, which is asked first. */
TEST(block_request_ends_as_the_call_does)
{
	static const u64 disks[] = { 0, 1, 2, 255 }, sectors[] = { 0, 1, 8, 2049, UINT32_MAX };
	static const u64 firsts[] = { 0, 1, FAKE_DISK_SECTORS - 1, FAKE_DISK_SECTORS, UINT64_MAX };
	const u64 buffers[] = {
		VM_RAM_BASE,	VM_RAM_BASE + 256, VM_RAM_BASE + FAKE_RAM_BYTES - 512,
		VM_WINDOW_BASE, UINT64_MAX - 511,  0
	};
	u32 accepted = 0;

	for (u32 i = 0; i < 4 * 5 * 5 * 6 * 4; i++) {
		u64 disk = disks[i % 4], count = sectors[i / 4 % 5], first = firsts[i / 20 % 5];
		u64 buffer = buffers[i / 100 % 6], operation = i / 600;
		enum weir_status called = weir_do(WEIR_FN_BLOCK_SUBMIT, disk | operation << 8,
						  first, count, buffer, i);
		enum weir_status status =
			run(WEIR_COMMAND_BLOCK | disk << 8 | operation << 16 | count << 32, first,
			    buffer, i);

		assert_int_equal(status, called);
		if (status == WEIR_OK) {
			ipc_disk_done(WEIR_OK);
			ipc_disk_done(WEIR_IO);
			assert_int_equal(completion().status, WEIR_OK);
			status = WEIR_IO;
			accepted++;
		}
		assert_int_equal(
			ipc_pages(A, 0)
				.out
				->completion[ipc_pages(A, 0).in->completion_head % WEIR_COMPLETIONS]
				.status,
			status);
		assert_int_equal(completion().cookie, i);
	}
	assert_true(accepted > 10);
	assert_int_equal(account()->block_requests, accepted);
	assert_int_equal(self()->account.block_requests, accepted);
	assert_int_equal(account()->block_sectors, self()->account.block_sectors);
}

TEST(completion_that_has_no_room_is_a_quota)
{
	for (u32 i = 0; i < WEIR_COMPLETIONS; i++)
		assert_int_equal(weir_block_submit(0, WEIR_BLOCK_FLUSH, 0, 0, 0, i), WEIR_OK);
	assert_int_equal(run(WEIR_COMMAND_BLOCK | WEIR_BLOCK_FLUSH << 16, 0, 0, 1), WEIR_QUOTA);
	assert_int_equal(run(WEIR_COMMAND_BLOCK | 9 << 8, 0, 0, 1), WEIR_QUOTA);
	assert_int_equal(run(WEIR_COMMAND_COPY | 8ul << 32, VM_RAM_BASE, VM_RAM_BASE, 1),
			 WEIR_QUOTA);
	assert_int_equal(run(WEIR_COMMAND_EVENT, channel(A), 0, 0), WEIR_OK);
	assert_no_completion();
	ipc_disk_done(WEIR_OK);
	completion();
	assert_int_equal(run(WEIR_COMMAND_BLOCK | WEIR_BLOCK_FLUSH << 16, 0, 0, 1), WEIR_OK);
	assert_int_equal(account()->block_requests, 1);
}

/* ---- The ring -------------------------------------------------------------------------------------- */

TEST(commands_are_taken_in_order_round_and_round)
{
	for (u32 i = 0; i < 500; i++) {
		u32 count = 1 + i % WEIR_COMMANDS;

		for (u32 j = 0; j < count; j++)
			assert_true(weir_submit_put_event(&ring, j % 3 ? 0 : channel(A)));
		weir_submit_kick(&ring);
		for (u32 j = 0; j < count; j++)
			assert_int_equal(weir_submit_status(&ring, ring.tail - count + j),
					 j % 3 ? WEIR_INVALID : WEIR_OK);
		take_events(B);
	}
	assert_int_equal(ring.out->submit_head, ring.tail);
}

TEST(full_ring_takes_no_more)
{
	for (u32 i = 0; i < WEIR_COMMANDS; i++)
		assert_true(weir_submit_put_event(&ring, channel(A)));
	assert_false(weir_submit_put_event(&ring, channel(A)));
	assert_int_equal(weir_submit_event(&ring, channel(A)), WEIR_AGAIN);
	assert_int_equal(weir_submit_event(&ring, channel(A)), WEIR_OK);
	assert_int_equal(account()->events, WEIR_COMMANDS + 1);
}

TEST(call_takes_a_portion_and_says_that_there_is_more)
{
	u32 calls = 1;

	for (u32 i = 0; i < WEIR_COMMANDS; i++)
		assert_true(weir_submit_put_event(&ring, channel(A)));
	while (weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0) == WEIR_AGAIN)
		calls++;
	assert_int_equal(calls, WEIR_COMMANDS * SUBMIT_COST_EVENT / 4096);
	assert_int_equal(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_OK);
	assert_int_equal(weir_do(WEIR_FN_SUBMIT, 1, 0, 0, 0, 0), WEIR_INVALID);
}

TEST(drain_uses_its_quantum_and_one_command_more_at_most)
{
	for (u64 quantum = 0; quantum < 3000; quantum += 100) {
		u64 head = ring.out->submit_head, used;

		while (weir_submit_put_event(&ring, channel(A)))
			;
		used = submit_drain(self(), quantum);
		assert_true(used >= quantum && used < quantum + SUBMIT_COST_EVENT);
		assert_int_equal(used, (ring.out->submit_head - head) * SUBMIT_COST_EVENT);
	}
	submit_drain(self(), ALL);
	assert_int_equal(submit_drain(self(), ALL), 0);
}

/* The ring as if it were empty, and as before when the tail is one again. */
TEST(tail_that_lies_moves_nothing)
{
	static const u64 lies[] = { 5 + WEIR_COMMANDS + 1, 4, 0, 1ul << 32, 1ul << 63, UINT64_MAX };

	for (u32 i = 0; i < 5; i++)
		assert_int_equal(weir_submit_event(&ring, channel(A)), WEIR_OK);
	for (u32 i = 0; i < ARRAY_SIZE(lies); i++) {
		ring.in->submit_tail = lies[i];
		assert_false(submit_waits(self()));
		assert_int_equal(submit_drain(self(), ALL), 0);
		assert_true(submit_sleep(self()));
		assert_int_equal(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_OK);
		assert_int_equal(ring.out->submit_head, 5);
		assert_int_equal(account()->events, 5);
	}
	ring.in->submit_tail = 5;
	assert_int_equal(weir_submit_event(&ring, channel(A)), WEIR_OK);
	assert_int_equal(ring.out->submit_head, 6);
}

/* What the guest rewrites after each look: the page has another word then. */
static void read_once_of(u64 what, u32 least)
{
	struct weir_command command = { what, { VM_RAM_BASE, VM_RAM_BASE }, 1 };
	struct fake_page_accesses accesses;

	assert_true(weir_submit_put(&ring, &command));
	if (!fake_page_watch(ring.in))
		skip();
	submit_drain(self(), ALL);
	accesses = fake_page_release();
	ring.in->submit_tail = ring.tail;
	assert_int_equal(accesses.writes, 0);
	assert_int_equal(accesses.most_reads, 1);
	assert_true(accesses.all >= least);
	assert_true(weir_submit_done(&ring, ring.tail));
}

TEST(each_word_is_read_once)
{
	read_once_of(0, 2);
	read_once_of(WEIR_COMMAND_EVENT, 3);
	read_once_of(WEIR_COMMAND_EVENT | 1ul << 63, 2);
	/* And the head of the completions. */
	read_once_of(WEIR_COMMAND_BLOCK | 1ul << 32, 6);
	read_once_of(WEIR_COMMAND_BLOCK | WEIR_BLOCK_FLUSH << 16, 6);
	read_once_of(WEIR_COMMAND_COPY | 8ul << 32, 6);
	read_once_of(WEIR_COMMAND_COPY | 9ul << 32, 6);
}

static void rewrite(void *context)
{
	(void)context;
	memset(ring.in->command, 0xff, sizeof(ring.in->command));
	ring.in->submit_tail = 77;
}

TEST(tail_is_believed_as_it_was_read)
{
	for (u32 i = 0; i < 3; i++)
		assert_true(weir_submit_put_event(&ring, channel(A)));
	fake_order_at("A1", true, rewrite, 0);
	submit_drain(self(), ALL);
	assert_true(fake_order_happened());
	assert_int_equal(ring.out->submit_head, 3);
	assert_int_equal(weir_submit_status(&ring, 0), WEIR_INVALID);
}

TEST(rings_of_two_vcpus_are_two)
{
	struct weir_pages pages = ipc_pages(A, 1);
	struct weir_submit other;

	ipc_run(A, 1);
	weir_submit_init(&other, &pages);
	assert_true(weir_submit_put_event(&other, channel(A)));
	assert_true(weir_submit_put_event(&ring, channel(A)));
	weir_submit_kick(&other);
	assert_true(weir_submit_done(&other, 1));
	assert_false(weir_submit_done(&ring, 1));
	assert_int_equal(ipc_vcpu(A, 1)->account.ring.events, 1);
	assert_int_equal(account()->events, 0);
}

/* ---- Somebody else drains ---------------------------------------------------------------------------- */

static void wake(struct vcpu *vcpu)
{
	assert_ptr_equal(vcpu, self());
	woken++;
}

static void put_and_kick(void *context)
{
	(void)context;
	ipc_run(A, 0);
	assert_true(weir_submit_put_event(&ring, channel(A)));
	weir_submit_kick(&ring);
}

TEST(call_wakes_the_communication_core_and_takes_nothing)
{
	submit_serve(self(), wake);
	put_and_kick(0);
	assert_int_equal(woken, 1);
	assert_int_equal(entered(B), 0);
	assert_int_equal(submit_drain(self(), ALL), SUBMIT_COST_EVENT);
	assert_int_equal(entered(B), 1);
}

TEST(who_is_awake_is_not_called)
{
	submit_serve(self(), wake);
	put_and_kick(0);
	submit_drain(self(), ALL);
	for (u32 i = 0; i < 10; i++)
		put_and_kick(0);
	assert_int_equal(woken, 1);
	assert_false(submit_sleep(self()));
	assert_int_equal(ring.out->submit_wanted, 0);
	submit_drain(self(), ALL);
	assert_true(submit_sleep(self()));
	put_and_kick(0);
	assert_int_equal(woken, 2);
}

/* Nothing lies in the ring of who sleeps without a call, whenever the guest comes. */
TEST(command_that_comes_while_the_core_falls_asleep_is_seen)
{
	static const char *const labels[] = { "A2", "A1", "A3" };

	for (u32 i = 0; i < 2 * ARRAY_SIZE(labels); i++) {
		machine_make(0);
		submit_serve(self(), wake);
		put_and_kick(0);
		woken = 0;
		fake_order_at(labels[i / 2], i % 2, put_and_kick, 0);
		submit_drain(self(), ALL);
		if (submit_sleep(self())) {
			assert_true(woken || !submit_waits(self()));
			assert_int_equal(ring.out->submit_wanted, 1);
		}
		assert_true(fake_order_happened());
		submit_drain(self(), ALL);
		assert_int_equal(account()->events, 2);
	}
}

/* ---- The end of a VM --------------------------------------------------------------------------------- */

TEST(ring_of_a_vm_that_ends_is_not_drained)
{
	assert_true(weir_submit_put_event(&ring, channel(A)));
	ipc_vm_end(A);
	assert_false(submit_waits(self()));
	assert_int_equal(submit_drain(self(), ALL), 0);
	assert_true(submit_sleep(self()));
	assert_int_equal(account()->events, 0);
}

TEST(vm_that_starts_again_has_an_empty_ring)
{
	struct weir_pages pages = ipc_pages(A, 0);

	submit_serve(self(), wake);
	for (u32 i = 0; i < 5; i++)
		put_and_kick(0);
	submit_drain(self(), SUBMIT_COST_EVENT);
	assert_int_equal(ring.out->submit_wanted, 0);
	ipc_vm_renew(A);
	assert_int_equal(ring.out->submit_head, 0);
	assert_int_equal(ring.out->submit_status[0], 0);
	assert_int_equal(ring.out->submit_wanted, 1);
	assert_false(submit_waits(self()));
	weir_submit_init(&ring, &pages);
	woken = 0;
	put_and_kick(0);
	assert_int_equal(woken, 1);
	submit_drain(self(), ALL);
	assert_int_equal(account()->events, 2);
}

/* A copy that has begun and is not over: its room for a completion is given back. */
TEST(vm_that_ends_within_a_copy_is_idle)
{
	struct copy *copy = &self()->ipc->submit.copy;

	self()->ipc->submit.copy.slot = block_slot_take(self(), 5);
	copy->left = 8;
	assert_false(ipc_vm_idle(ipc_vm(A)));
	ipc_vm_end(A);
	assert_true(ipc_vm_idle(ipc_vm(A)));
	assert_int_equal(copy->left, 0);
	ipc_vm_renew(A);
	assert_int_equal(self()->ipc->block.accepted, 0);
}

/* In each gap of the end and the beginning the ring is drained as if nothing were. */
static void drain(void *context)
{
	(void)context;
	ring.in->submit_tail = ring.in->submit_tail + 1;
	submit_drain(self(), ALL);
	submit_sleep(self());
}

static void prepare(void)
{
	machine_make(0);
	submit_serve(self(), wake);
	for (u32 i = 0; i < 5; i++)
		ring.in->command[i] =
			(struct weir_command){ i % 2 ? WEIR_COMMAND_BLOCK | WEIR_BLOCK_FLUSH << 16
						     : WEIR_COMMAND_EVENT,
					       { i % 2 ? 0 : channel(A), 0 },
					       i };
}

static void renew(void)
{
	struct vm_work work = { 0 };

	while (ipc_vm_stop(ipc_vm(A), &work))
		;
	while (ipc_disk_done(WEIR_OK))
		;
	assert_true(ipc_vm_idle(ipc_vm(A)));
	work = (struct vm_work){ 0 };
	while (ipc_vm_rebuild(ipc_vm(A), &work))
		;
}

static void check_new(void)
{
	assert_true(self()->ipc->submit.head <= 1);
	assert_int_equal(ring.out->submit_head, self()->ipc->submit.head);
	assert_false(self()->ipc->submit.stopped);
}

TEST(vm_ends_and_starts_again_while_its_ring_is_drained)
{
	assert_true(fake_lock_each_gap(prepare, renew, drain, check_new) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(machine_make, event_is_sent_and_counted_apart),
		RUN_AFTER(machine_make, event_ends_as_the_call_does),
		RUN_AFTER(machine_make, command_that_is_none_is_refused),
		RUN_AFTER(machine_make, block_request_ends_as_the_call_does),
		RUN_AFTER(machine_make, completion_that_has_no_room_is_a_quota),
		RUN_AFTER(machine_make, commands_are_taken_in_order_round_and_round),
		RUN_AFTER(machine_make, full_ring_takes_no_more),
		RUN_AFTER(machine_make, call_takes_a_portion_and_says_that_there_is_more),
		RUN_AFTER(machine_make, drain_uses_its_quantum_and_one_command_more_at_most),
		RUN_AFTER(machine_make, tail_that_lies_moves_nothing),
		RUN_AFTER(machine_make, each_word_is_read_once),
		RUN_AFTER(machine_make, tail_is_believed_as_it_was_read),
		RUN_AFTER(machine_make, rings_of_two_vcpus_are_two),
		RUN_AFTER(machine_make, call_wakes_the_communication_core_and_takes_nothing),
		RUN_AFTER(machine_make, who_is_awake_is_not_called),
		RUN_AFTER(machine_make, command_that_comes_while_the_core_falls_asleep_is_seen),
		RUN_AFTER(machine_make, ring_of_a_vm_that_ends_is_not_drained),
		RUN_AFTER(machine_make, vm_that_starts_again_has_an_empty_ring),
		RUN_AFTER(machine_make, vm_that_ends_within_a_copy_is_idle),
		RUN_AFTER(machine_make, vm_ends_and_starts_again_while_its_ring_is_drained),
	};

	return cmocka_run_group_tests(tests, 0, ipc_vms_end);
}
