/*
 * Copies: what they may touch, and nothing else; pages that are taken away and VMs that end in the middle.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/grant.c ipc/block.c ipc/upcall.c ipc/manage.c
 * Sources: ipc/port.c ipc/port_source.c core/timeout.c core/base/log.c tests/host/fake/ipc_vms.c
 * Sources: tests/host/fake/ipc_disk.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/lock.c tests/host/fake/ipc_memory.c tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/grant.h>
#include <weir/submit.h>
#include "core/memory.h"
#include "ipc/submit.h"
#include "ipc_memory.h"

enum { A, B, C, VMS };

#define POOL   (VM_RAM_BASE + 4 * PAGE_SIZE)
#define WINDOW VM_WINDOW_BASE
#define SHARED 3u /* pages of a grant: the first ones of b's pool, or a's */

static const char *const channels[] = { "ab", "ac", 0 };
static struct weir_submit ring;

/* What was written back, and from where on. */
static struct {
	const u8 *start;
	u64 bytes;
	u32 count;
	bool locked; /* each time under a lock of two: the ring's, and the grants' */
} cleaned;

void cache_clean_invalidate(const void *start, u64 bytes)
{
	cleaned.start = start;
	cleaned.bytes = bytes;
	cleaned.count++;
	cleaned.locked = cleaned.locked && fake_locks_held() == 2;
}

static int machine_make(void **state)
{
	struct weir_pages pages;

	(void)state;
	fake_lock_reset();
	ipc_memory_free();
	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	ipc_run(A, 0);
	pages = ipc_pages(A, 0);
	weir_submit_init(&ring, &pages);
	memset(&cleaned, 0, sizeof(cleaned));
	cleaned.locked = true;
	for (u32 vm = 0; vm < VMS; vm++)
		for (u64 i = 0; i < FAKE_POOL_PAGES * PAGE_SIZE / 8; i++)
			((u64 *)ipc_memory_page(vm, 0))[i] = (vm + 1ul) << 32 | i;
	return 0;
}

static struct vcpu *self(void)
{
	return ipc_vcpu(A, 0);
}

static weir_handle channel(u32 vm, u32 which)
{
	return ipc_vm(vm)->ipc->event.port[which].handle;
}

static struct weir_completion completion(void)
{
	struct weir_completion taken = { 0 };
	struct weir_pages pages = ipc_pages(A, 0);

	assert_true(weir_block_next(&pages, &taken));
	return taken;
}

static void put(u64 to, u64 from, u32 bytes, u64 cookie)
{
	assert_true(weir_submit_put_copy(&ring, (void *)to, (const void *)from, bytes, cookie));
}

/* The copy alone, to its end. */
static enum weir_status copy(u64 to, u64 from, u32 bytes)
{
	struct weir_completion end;

	put(to, from, bytes, to ^ from);
	weir_submit_kick(&ring);
	end = completion();
	assert_int_equal(end.cookie, to ^ from);
	assert_int_equal(end.status, weir_submit_status(&ring, ring.tail - 1));
	return (enum weir_status)end.status;
}

/* b gives a the first pages of its pool, which a has at this page of its window. */
static weir_handle give(enum weir_access access, u64 place)
{
	weir_handle grant;

	ipc_run(B, 0);
	assert_int_equal(weir_grant_share(channel(B, 0), 0, SHARED, access, &grant), WEIR_OK);
	ipc_run(A, 0);
	assert_int_equal(weir_grant_map(channel(A, 0), grant, place, 0, 0), WEIR_OK);
	return grant;
}

static u64 window(u64 page)
{
	return WINDOW + page * PAGE_SIZE;
}

/* ---- What is copied ----------------------------------------------------------------------------------- */

TEST(bytes_are_copied_and_no_others)
{
	u8 *pool = ipc_memory_page(A, 0), *before = malloc(20 * PAGE_SIZE);

	srand(1);
	for (u32 i = 0; i < 2000; i++) {
		u64 to = (u64)rand() % (5 * PAGE_SIZE) & ~7ul,
		    from = (u64)rand() % (5 * PAGE_SIZE) & ~7ul;
		u32 bytes = 8 + ((u32)rand() % (i % 3 ? 300 : 4 * PAGE_SIZE) & ~7u);

		from += 10 * PAGE_SIZE;
		pool[from + (u64)rand() % bytes] ^= 0x55;
		memcpy(before, pool, 20 * PAGE_SIZE);
		assert_int_equal(copy(POOL + to, POOL + from, bytes), WEIR_OK);
		memcpy(before + to, before + from, bytes);
		assert_memory_equal(pool, before, 20 * PAGE_SIZE);
	}
	assert_true(cleaned.locked);
	assert_int_equal(self()->account.ring.copies, 2000);
	assert_int_equal(ipc_pends(self(), WEIR_INTID_BLOCK), 2000);
	free(before);
}

TEST(largest_copy_is_taken_and_no_larger_one)
{
	assert_int_equal(copy(POOL, POOL, WEIR_COPY_BYTES_MAX + 8), WEIR_INVALID);
	assert_int_equal(copy(POOL, POOL, UINT32_MAX & ~7u), WEIR_INVALID);
	assert_int_equal(copy(POOL, POOL, 0), WEIR_INVALID);
	/* Taken, and then it is larger than the VM. */
	assert_int_equal(copy(POOL, POOL, WEIR_COPY_BYTES_MAX), WEIR_FAULT);
	assert_int_equal(self()->account.ring.copied_bytes, FAKE_POOL_PAGES * PAGE_SIZE);
}

TEST(what_is_no_multiple_of_8_is_refused)
{
	for (u32 i = 1; i < 8; i++) {
		assert_int_equal(copy(POOL + i, POOL, 8), WEIR_INVALID);
		assert_int_equal(copy(POOL, POOL + i, 8), WEIR_INVALID);
		assert_int_equal(copy(POOL, POOL, 8 + i), WEIR_INVALID);
	}
	assert_int_equal(cleaned.count, 0);
}

TEST(only_ram_and_window_can_be_copied)
{
	u64 shared = self()->ipc->shared_ipa;
	const u64 others[] = { 0,
			       8,
			       VM_UART_BASE,
			       shared,
			       shared + PAGE_SIZE,
			       WINDOW - 8,
			       WINDOW,
			       window(FAKE_WINDOW_PAGES),
			       VM_RAM_BASE - 8,
			       VM_RAM_BASE + FAKE_RAM_BYTES,
			       1ul << STAGE2_IPA_BITS,
			       1ul << 63,
			       UINT64_MAX - 7 };

	for (u32 i = 0; i < ARRAY_SIZE(others); i++) {
		assert_int_equal(copy(others[i], POOL, 8), WEIR_FAULT);
		assert_int_equal(copy(POOL, others[i], 8), WEIR_FAULT);
	}
	assert_int_equal(cleaned.count, 0);
	assert_int_equal(self()->account.ring.copied_bytes, 0);
	/* And around the end of all addresses. */
	assert_int_equal(copy(UINT64_MAX - 7, POOL, 4096), WEIR_FAULT);
}

TEST(what_is_granted_is_copied_both_ways)
{
	u64 *theirs = ipc_memory_page(B, 0), *ours = ipc_memory_page(A, 0);

	give(WEIR_READ_WRITE, 5);
	assert_int_equal(copy(POOL + 8, window(5) + 16, 2 * PAGE_SIZE), WEIR_OK);
	for (u64 i = 0; i < 2 * PAGE_SIZE / 8; i++)
		assert_int_equal(ours[1 + i], 2ul << 32 | (i + 2));
	ours[0] = 77;
	assert_int_equal(copy(window(7), POOL, 8), WEIR_OK);
	assert_int_equal(theirs[2 * PAGE_SIZE / 8], 77);
	assert_ptr_equal(cleaned.start, (u8 *)theirs + 2 * PAGE_SIZE);
	assert_int_equal(cleaned.bytes, 8);
	/* Behind the grant nothing is mapped; before it is what was copied until then. */
	assert_int_equal(copy(window(7), POOL, PAGE_SIZE + 8), WEIR_FAULT);
	assert_int_equal(theirs[2 * PAGE_SIZE / 8 + 1], ours[1]);
	assert_int_equal(theirs[3 * PAGE_SIZE / 8], 2ul << 32 | 3 * PAGE_SIZE / 8);
}

TEST(what_is_granted_to_read_is_not_written)
{
	give(WEIR_READ, 5);
	assert_int_equal(copy(POOL, window(5), 64), WEIR_OK);
	assert_int_equal(copy(window(5), POOL + 4096, 64), WEIR_FAULT);
	assert_int_equal(*(u64 *)ipc_memory_page(B, 0), 2ul << 32);
}

TEST(what_was_passed_is_copied_by_who_has_it)
{
	weir_handle grant;

	give(WEIR_PASS, 5);
	assert_int_equal(copy(window(5), POOL, 64), WEIR_OK);
	/* And what a itself has passed is not a's any more, until it comes back. */
	assert_int_equal(weir_grant_pass(channel(A, 0), 9, 1, &grant), WEIR_OK);
	assert_int_equal(copy(POOL, POOL + 9 * PAGE_SIZE, 8), WEIR_CLOSED);
	assert_int_equal(copy(POOL + 9 * PAGE_SIZE, POOL, 8), WEIR_CLOSED);
	assert_int_equal(copy(POOL + 8 * PAGE_SIZE, POOL, 2 * PAGE_SIZE), WEIR_CLOSED);
	assert_int_equal(weir_grant_revoke(grant), WEIR_OK);
	assert_int_equal(copy(POOL + 9 * PAGE_SIZE, POOL, 8), WEIR_OK);
	assert_int_equal(weir_grant_pass_on(channel(A, 1), 5, &grant), WEIR_OK);
	assert_int_equal(copy(window(5), POOL, 8), WEIR_FAULT);
}

/* ---- Portions ------------------------------------------------------------------------------------------ */

TEST(long_copy_goes_on_where_it_stopped_and_others_wait_for_it)
{
	u64 *pool = ipc_memory_page(A, 0), head = ring.out->submit_head;
	u32 calls = 0;

	put(POOL, POOL + 20 * PAGE_SIZE, 10 * PAGE_SIZE, 1);
	assert_true(weir_submit_put_event(&ring, channel(A, 0)));
	while (weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0) == WEIR_AGAIN) {
		calls++;
		/* Neither the command nor the next one is looked at: it has begun. */
		ring.in->command[0] =
			(struct weir_command){ WEIR_COMMAND_EVENT, { channel(A, 0), 0 }, 9 };
		assert_int_equal(pool[calls * PAGE_SIZE / 8], 1ul << 32 | calls * PAGE_SIZE / 8);
		assert_int_equal(pool[calls * PAGE_SIZE / 8 - 1],
				 1ul << 32 | ((20 + calls) * PAGE_SIZE / 8 - 1));
		assert_int_equal(ring.out->submit_head, head + (calls == 10));
	}
	assert_int_equal(calls, 10);
	assert_int_equal(completion().cookie, 1);
	assert_int_equal(self()->account.ring.events, 1);
	assert_int_equal(ring.out->submit_head, head + 2);
}

TEST(piece_is_counted_by_its_bytes)
{
	put(POOL + 4096 - 16, POOL + 20 * PAGE_SIZE, 64, 1);
	assert_int_equal(submit_drain(self(), 1), SUBMIT_COST_REQUEST + 16);
	assert_int_equal(submit_drain(self(), 1), SUBMIT_COST_REQUEST + 48);
	assert_int_equal(submit_drain(self(), 1), 0);
	assert_int_equal(self()->account.ring.copied_bytes, 64);
	assert_int_equal(cleaned.count, 2);
}

/* ---- Pages that go, and VMs that end ---------------------------------------------------------------------- */

/* Half of a copy into what b has granted. */
static weir_handle copy_half(void)
{
	weir_handle grant = give(WEIR_READ_WRITE, 5);

	put(window(5), POOL, SHARED * PAGE_SIZE, 1);
	assert_int_equal(weir_do(WEIR_FN_SUBMIT, 0, 0, 0, 0, 0), WEIR_AGAIN);
	return grant;
}

static void finish(enum weir_status status)
{
	const u64 *theirs = ipc_memory_page(B, 1);

	ipc_run(A, 0);
	weir_submit_kick(&ring);
	assert_int_equal(completion().status, status);
	assert_int_equal(*theirs, 2ul << 32 | PAGE_SIZE / 8);
}

TEST(revoked_in_the_middle_nothing_more_is_written)
{
	weir_handle grant = copy_half();

	ipc_run(B, 0);
	assert_int_equal(weir_grant_revoke(grant), WEIR_OK);
	finish(WEIR_CLOSED);
}

TEST(unmapped_in_the_middle_nothing_more_is_written)
{
	copy_half();
	assert_int_equal(weir_grant_unmap(5), WEIR_OK);
	finish(WEIR_FAULT);
}

TEST(peer_that_ends_in_the_middle_closes_the_copy)
{
	copy_half();
	ipc_vm_end(B);
	finish(WEIR_CLOSED);
	ipc_vm_renew(B);
	assert_int_equal(copy(window(5), POOL, 8), WEIR_CLOSED);
}

TEST(vm_that_ends_in_the_middle_copies_no_more)
{
	copy_half();
	ipc_vm_end(A);
	assert_true(ipc_vm_idle(ipc_vm(A)));
	assert_int_equal(submit_drain(self(), UINT64_MAX), 0);
	assert_int_equal(*(u64 *)ipc_memory_page(B, 1), 2ul << 32 | PAGE_SIZE / 8);
	ipc_vm_renew(A);
	assert_int_equal(submit_drain(self(), UINT64_MAX), 0);
	assert_int_equal(ring.out->completion_tail, 0);
	machine_make(0);
	assert_int_equal(copy(POOL, POOL + 4096, 64), WEIR_OK);
}

/* In each gap of a revocation, or of the peer's end: it is over before, or there is nothing any more. */
static weir_handle gone;

static void half(void)
{
	machine_make(0);
	gone = copy_half();
}

static void revoke(void)
{
	ipc_run(B, 0);
	weir_grant_revoke(gone);
}

static void end_b(void)
{
	ipc_vm_end(B);
}

static void drain_it(void *context)
{
	(void)context;
	submit_drain(self(), UINT64_MAX);
}

static void check_end(void)
{
	const u64 *theirs = ipc_memory_page(B, 1);
	u64 last = theirs[2 * PAGE_SIZE / 8 - 1];
	bool whole = last == (1ul << 32 | (SHARED * PAGE_SIZE / 8 - 1));

	drain_it(0);
	assert_int_equal(completion().status, whole ? WEIR_OK : WEIR_CLOSED);
	if (!whole)
		assert_int_equal(*theirs, 2ul << 32 | PAGE_SIZE / 8);
}

TEST(copy_and_revocation_exclude_each_other)
{
	assert_true(fake_lock_each_gap(half, revoke, drain_it, check_end) >= 1);
	assert_true(fake_lock_each_gap(half, end_b, drain_it, check_end) >= 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(machine_make, bytes_are_copied_and_no_others),
		RUN_AFTER(machine_make, largest_copy_is_taken_and_no_larger_one),
		RUN_AFTER(machine_make, what_is_no_multiple_of_8_is_refused),
		RUN_AFTER(machine_make, only_ram_and_window_can_be_copied),
		RUN_AFTER(machine_make, what_is_granted_is_copied_both_ways),
		RUN_AFTER(machine_make, what_is_granted_to_read_is_not_written),
		RUN_AFTER(machine_make, what_was_passed_is_copied_by_who_has_it),
		RUN_AFTER(machine_make, long_copy_goes_on_where_it_stopped_and_others_wait_for_it),
		RUN_AFTER(machine_make, piece_is_counted_by_its_bytes),
		RUN_AFTER(machine_make, revoked_in_the_middle_nothing_more_is_written),
		RUN_AFTER(machine_make, unmapped_in_the_middle_nothing_more_is_written),
		RUN_AFTER(machine_make, peer_that_ends_in_the_middle_closes_the_copy),
		RUN_AFTER(machine_make, vm_that_ends_in_the_middle_copies_no_more),
		RUN_AFTER(machine_make, copy_and_revocation_exclude_each_other),
	};

	return cmocka_run_group_tests(tests, 0, ipc_memory_end);
}
