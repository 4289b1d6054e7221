/*
 * Page rings (weir/page_ring.h) between fake VMs, whose memory is there: pages go, are used and come home,
 * along a chain too; the end and the restart of either side, and peers that lie.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c
 * Sources: core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c tests/host/fake/ipc_memory.c
 */
#include <string.h>
#include <weir/page_ring.h>
#include "ipc_memory.h"

#define VMS   3u
#define SLOTS 3u
#define PAGES 4u

static const char *const channels[] = { "ab", "bc", 0 };

/* a passes to b by "ab", b passes on to c by "bc". */
static struct weir_page_ring a, b, b_on, c;
static struct weir_space space[VMS];

static void born(u32 vm)
{
	space[vm] = ipc_memory_space(vm);
	if (vm == 0)
		a = (struct weir_page_ring){ .slots = SLOTS, .slot_pages = PAGES };
	if (vm == 1)
		b = (struct weir_page_ring){ .window_slots = SLOTS, .window_slot_pages = PAGES };
	if (vm == 1)
		b_on = (struct weir_page_ring){ .slots = 1, .slot_pages = 1 };
	if (vm == 2)
		c = (struct weir_page_ring){ .window_slots = SLOTS, .window_slot_pages = PAGES };
}

static int machine_make(void **state)
{
	(void)state;
	ipc_vms_make(VMS, 1, channels);
	ipc_memory_make(VMS);
	for (u32 vm = 0; vm < VMS; vm++)
		born(vm);
	return 0;
}

static u32 run(const struct weir_page_ring *ring)
{
	u32 vm = ring == &a ? 0 : ring == &c ? 2 : 1;

	ipc_run(vm, 0);
	return vm;
}

static enum weir_status try_open(struct weir_page_ring *ring)
{
	u32 vm = run(ring);
	struct weir_pages pages = ipc_pages(vm, 0);

	return weir_page_ring_try_open(ring, &pages, &space[vm],
				       ring == &a || ring == &b ? "ab" : "bc");
}

static void open_both(struct weir_page_ring *one, struct weir_page_ring *other)
{
	assert_int_equal(try_open(one), WEIR_AGAIN);
	assert_int_equal(try_open(other), WEIR_OK);
	assert_int_equal(try_open(one), WEIR_OK);
}

static uint8_t *reserve(void)
{
	uint8_t *buffer = 0;

	run(&a);
	assert_int_equal(weir_page_ring_try_reserve(&a, &buffer), WEIR_OK);
	return buffer;
}

static enum weir_status nothing_to_reserve(void)
{
	uint8_t *buffer;

	run(&a);
	return weir_page_ring_try_reserve(&a, &buffer);
}

static enum weir_status pass(const uint8_t *buffer, u64 bytes)
{
	run(&a);
	return weir_page_ring_try_pass(&a, buffer, bytes);
}

/* A buffer full of `value` is passed. */
static uint8_t *send(u8 value, u64 bytes)
{
	uint8_t *buffer = reserve();

	memset(buffer, value, PAGES * PAGE_SIZE);
	assert_int_equal(pass(buffer, bytes), WEIR_OK);
	return buffer;
}

static enum weir_status receive(struct weir_page_ring *ring, struct weir_page_record *record)
{
	run(ring);
	return weir_page_ring_try_receive(ring, record);
}

static struct weir_page_record expect(struct weir_page_ring *ring, u8 value, u64 bytes)
{
	struct weir_page_record record = { 0 };

	assert_int_equal(receive(ring, &record), WEIR_OK);
	assert_int_equal(record.bytes, bytes);
	for (u64 i = 0; i < bytes; i++)
		assert_int_equal(record.data[i], value);
	return record;
}

static enum weir_status give_back(struct weir_page_ring *ring,
				  const struct weir_page_record *record)
{
	run(ring);
	return weir_page_ring_return(ring, record);
}

static bool all_home(void)
{
	run(&a);
	return weir_page_ring_arm_all(&a.channel) == WEIR_OK;
}

static u32 events(u32 vm)
{
	struct weir_pages pages = ipc_pages(vm, 0);
	u32 count = 0, number;

	while (weir_event_next(&pages, &number))
		count++;
	return count;
}

static void restart(u32 vm)
{
	ipc_memory_renew(vm);
	born(vm);
}

static bool window_is_empty(u32 vm, const struct weir_page_ring *ring)
{
	for (u64 page = 0; page < SLOTS * PAGES; page++)
		if (fake_stage2_kind(&ipc_vm(vm)->stage2,
				     VM_WINDOW_BASE + (ring->window_page + page) * PAGE_SIZE) !=
		    STAGE2_NONE)
			return false;
	return true;
}

TEST(pages_go_and_come_back_with_what_the_receiver_wrote)
{
	struct weir_page_record record;
	uint8_t *buffer;

	open_both(&a, &b);
	buffer = send(7, PAGES * PAGE_SIZE);
	assert_false(all_home());
	record = expect(&b, 7, PAGES * PAGE_SIZE);
	assert_int_equal(record.pages, PAGES);
	memset(record.data, 9, PAGES * PAGE_SIZE);
	assert_false(all_home());
	events(0);
	assert_int_equal(give_back(&b, &record), WEIR_OK);
	assert_int_equal(events(0), 1);
	assert_true(all_home());
	for (u64 i = 0; i < PAGES * PAGE_SIZE; i++)
		assert_int_equal(buffer[i], 9);
	assert_int_equal(give_back(&b, &record), WEIR_INVALID);
}

TEST(only_the_pages_that_hold_the_bytes_go)
{
	static const u64 sizes[] = { 0, 1, PAGE_SIZE, PAGE_SIZE + 1, 3 * PAGE_SIZE };
	static const u32 pages[] = { 1, 1, 1, 2, 3 };

	open_both(&a, &b);
	for (u32 i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct weir_page_record record;

		send((u8)i, sizes[i]);
		record = expect(&b, (u8)i, sizes[i]);
		assert_int_equal(record.pages, pages[i]);
		assert_int_equal(give_back(&b, &record), WEIR_OK);
	}
}

TEST(a_buffer_is_not_given_out_before_it_is_home)
{
	struct weir_page_record record[SLOTS];
	uint8_t *buffer[SLOTS];

	open_both(&a, &b);
	for (u32 round = 0; round < 20; round++) {
		for (u32 i = 0; i < SLOTS; i++)
			buffer[i] = send((u8)(round + i), PAGE_SIZE);
		assert_int_equal(nothing_to_reserve(), WEIR_AGAIN);
		for (u32 i = 0; i < SLOTS; i++)
			record[i] = expect(&b, (u8)(round + i), PAGE_SIZE);
		assert_int_equal(nothing_to_reserve(), WEIR_AGAIN);
		give_back(&b, &record[round % SLOTS]);
		assert_ptr_equal(reserve(), buffer[round % SLOTS]);
		assert_int_equal(nothing_to_reserve(), WEIR_AGAIN);
		assert_int_equal(pass(buffer[round % SLOTS], 8), WEIR_OK);
		for (u32 i = 0; i < SLOTS; i++)
			if (i != round % SLOTS)
				give_back(&b, &record[i]);
		record[0] = expect(&b, (u8)(round + round % SLOTS), 8);
		give_back(&b, &record[0]);
		assert_true(all_home());
	}
}

/* Whatever is in the pages that came back, also what home itself wrote to find out. */
TEST(home_is_seen_whatever_is_in_the_pages)
{
	struct weir_page_record record;
	uint8_t *buffer;

	open_both(&a, &b);
	for (u64 value = 0; value < 20; value++) {
		buffer = send(0, 8);
		record = expect(&b, 0, 8);
		for (u64 i = 0; i < value; i++)
			assert_false(all_home());
		*(u64 *)(void *)record.data = value / 2;
		give_back(&b, &record);
		assert_true(all_home());
		assert_int_equal(*(u64 *)(void *)buffer, value / 2);
	}
}

TEST(what_was_not_reserved_cannot_be_passed)
{
	uint8_t *buffer;

	open_both(&a, &b);
	assert_int_equal(pass(a.buffers, 1), WEIR_INVALID);
	buffer = reserve();
	assert_int_equal(pass(buffer + 8, 1), WEIR_INVALID);
	assert_int_equal(pass(buffer - 1, 1), WEIR_INVALID);
	assert_int_equal(pass(buffer, PAGES * PAGE_SIZE + 1), WEIR_INVALID);
	assert_int_equal(pass(buffer + SLOTS * PAGES * PAGE_SIZE, 1), WEIR_INVALID);
	ipc_block_busy(0, a.pool_page);
	assert_int_equal(pass(buffer, 1), WEIR_BUSY);
	ipc_block_busy(0, UINT64_MAX);
	assert_int_equal(pass(buffer, 1), WEIR_OK);
	assert_int_equal(pass(buffer, 1), WEIR_INVALID);
}

TEST(pages_go_along_a_chain_and_come_home_from_its_end)
{
	struct weir_page_record record;
	uint8_t *buffer;

	open_both(&a, &b);
	open_both(&b_on, &c);
	for (u32 round = 0; round < 3 * SLOTS; round++) {
		buffer = send(1, 100);
		record = expect(&b, 1, 100);
		record.data[0] = 2;
		record.bytes = 1;
		assert_int_equal(weir_page_ring_try_pass_on(&b, &record, &b_on), WEIR_OK);
		assert_int_equal(give_back(&b, &record), WEIR_INVALID);
		assert_false(all_home());
		record = expect(&c, 2, 1);
		record.data[1] = 3;
		assert_false(all_home());
		assert_int_equal(give_back(&c, &record), WEIR_OK);
		assert_true(all_home());
		assert_int_equal(buffer[0], 2);
		assert_int_equal(buffer[1], 3);
	}
}

TEST(what_cannot_be_passed_on_stays)
{
	struct weir_page_record record;

	open_both(&a, &b);
	open_both(&b_on, &c);
	send(1, 100);
	record = expect(&b, 1, 100);
	run(&b);
	assert_int_equal(weir_page_ring_try_pass_on(&b, &record, &b),
			 WEIR_DENIED); /* home itself */
	record.bytes = PAGE_SIZE + 1;
	assert_int_equal(weir_page_ring_try_pass_on(&b, &record, &b_on), WEIR_INVALID);
	record.bytes = 100;
	ipc_memory_stop(2);
	run(&b);
	assert_int_equal(weir_page_ring_try_pass_on(&b, &record, &b_on), WEIR_CLOSED);
	assert_int_equal(give_back(&b, &record), WEIR_OK);
	assert_true(all_home());
}

TEST(a_receiver_without_a_place_gets_the_record_later)
{
	struct weir_page_record record[SLOTS], more;

	b.window_slots = 1;
	open_both(&a, &b);
	send(1, 1);
	send(2, 1);
	record[0] = expect(&b, 1, 1);
	assert_int_equal(receive(&b, &more), WEIR_AGAIN);
	assert_int_equal(receive(&b, &more), WEIR_AGAIN);
	assert_int_equal(weir_page_ring_receive(&b, &more), WEIR_QUOTA);
	give_back(&b, &record[0]);
	record[0] = expect(&b, 2, 1);
	give_back(&b, &record[0]);
	assert_true(all_home());
}

TEST(what_is_out_of_range_is_refused)
{
	a.slots = 65;
	assert_int_equal(try_open(&a), WEIR_INVALID);
	a.slots = 1;
	a.slot_pages = 65;
	assert_int_equal(try_open(&a), WEIR_INVALID);
	a.slot_pages = 64;
	a.window_slots = 65;
	assert_int_equal(try_open(&a), WEIR_INVALID);
	a.window_slots = 2;
	a.window_slot_pages = 64;
	assert_int_equal(try_open(&a), WEIR_QUOTA);
	a.window_slots = 1;
	assert_int_equal(try_open(&a), WEIR_AGAIN);
	assert_int_equal(space[0].pool_used, 64 + 1 + 2);
	assert_int_equal(space[0].window_used, 64 + 2);
}

/* ---- Ends ---- */

TEST(pages_come_home_when_the_receiver_ends)
{
	struct weir_page_record record;

	open_both(&a, &b);
	for (u32 life = 0; life < 4; life++) {
		send(1, 8);
		send(2, 8);
		send(3, 8);
		record = expect(&b, 1, 8);
		if (life % 2)
			give_back(&b, &record);
		restart(1);
		/* What was not taken yet is home when the sender opens again. */
		assert_int_equal(try_open(&a), WEIR_AGAIN);
		assert_int_equal(try_open(&b), WEIR_OK);
		assert_int_equal(try_open(&a), WEIR_OK);
		assert_true(all_home());
		assert_int_equal(receive(&b, &record), WEIR_AGAIN);
	}
}

TEST(a_receiver_of_a_sender_that_ended_sees_nothing_of_it)
{
	struct weir_page_record record, other;

	open_both(&a, &b);
	send(1, 8);
	send(2, 8);
	record = expect(&b, 1, 8);
	restart(0);
	for (u32 i = 0; i < PAGE_SIZE; i++)
		assert_int_equal(record.data[i], 0);
	record.data[0] = 5; /* no abort */
	assert_int_equal(receive(&b, &other), WEIR_CLOSED);
	assert_int_equal(try_open(&b), WEIR_AGAIN);
	assert_true(window_is_empty(1, &b));
	assert_int_equal(try_open(&a), WEIR_OK);
	assert_int_equal(try_open(&b), WEIR_OK);
	send(3, 8);
	expect(&b, 3, 8);
}

TEST(both_may_close_and_open_again)
{
	struct weir_page_record record;

	open_both(&a, &b);
	for (u32 i = 0; i < 6; i++) {
		send(1, 8);
		send(2, 8);
		record = expect(&b, 1, 8);
		run(i % 2 ? &a : &b);
		weir_page_ring_close(i % 2 ? &a : &b);
		if (i % 2) {
			assert_true(all_home());
			assert_int_equal(record.data[0], 0);
		} else {
			assert_true(window_is_empty(1, &b));
		}
		assert_int_equal(try_open(&b), WEIR_AGAIN);
		assert_int_equal(try_open(&a), WEIR_OK);
		assert_int_equal(try_open(&b), WEIR_OK);
		assert_true(all_home());
	}
}

TEST(pages_on_a_chain_come_home_when_its_middle_or_end_ends)
{
	struct weir_page_record record;

	for (u32 who = 1; who < VMS; who++) {
		machine_make(0);
		open_both(&a, &b);
		open_both(&b_on, &c);
		send(1, 8);
		send(2, 8);
		for (u32 i = 1; i < 3; i++) {
			record = expect(&b, (u8)i, 8);
			run(&b);
			assert_int_equal(weir_page_ring_try_pass_on(&b, &record, &b_on), WEIR_OK);
		}
		record = expect(&c, 1, 8);
		if (who == 1)
			give_back(&c, &record); /* it is not b's any more */
		ipc_memory_stop(who);
		if (who == 2) { /* what c had is home, what it had not taken is offered still */
			assert_false(all_home());
			run(&b);
			weir_page_ring_recall(&b);
		}
		assert_true(all_home());
		ipc_memory_end(0);
	}
	machine_make(0);
}

/* ---- Lies ---- */

/* a sends a message that is not so; b ends the session, and has nothing. */
static void expect_lie(weir_handle grant, u64 bytes, u64 message_bytes)
{
	struct weir_page_message message = { .grant = grant, .bytes = bytes };
	struct weir_page_record record;
	u8 large[64] = { 0 };

	memcpy(large, &message, sizeof(message));
	run(&a);
	assert_int_equal(weir_channel_try_send(&a.channel, large, message_bytes), WEIR_OK);
	assert_int_equal(receive(&b, &record), WEIR_CLOSED);
	assert_int_equal(receive(&b, &record), WEIR_CLOSED);
	assert_true(window_is_empty(1, &b));
	run(&b);
	assert_int_equal(try_open(&b), WEIR_AGAIN);
	assert_int_equal(try_open(&a), WEIR_OK);
	assert_int_equal(try_open(&b), WEIR_OK);
}

static weir_handle share_as_a(u64 page, u32 pages, enum weir_access access)
{
	weir_handle grant = 0;

	run(&a);
	assert_int_equal(weir_grant_share(a.channel.port, page, pages, access, &grant), WEIR_OK);
	return grant;
}

TEST(a_message_that_lies_ends_the_session)
{
	weir_handle revoked;

	open_both(&a, &b);
	expect_lie(0, 8, 16);
	expect_lie(1, 8, 16);
	expect_lie(a.channel.grant, 8, 16);
	expect_lie(UINT64_MAX, 8, 16);
	expect_lie(share_as_a(40, 1, WEIR_PASS), 8, 15);
	expect_lie(share_as_a(41, 1, WEIR_PASS), 8, 17);
	expect_lie(share_as_a(42, 1, WEIR_PASS), PAGE_SIZE + 1, 16);
	expect_lie(share_as_a(43, 1, WEIR_PASS), UINT64_MAX, 16);
	expect_lie(share_as_a(44, PAGES + 1, WEIR_PASS), 8, 16); /* beyond the slot */
	expect_lie(share_as_a(50, 1, WEIR_READ_WRITE), 8, 16);	 /* and not passed: a sees it too */
	expect_lie(share_as_a(51, 1, WEIR_READ), 8, 16);
	revoked = share_as_a(52, 1, WEIR_PASS);
	weir_grant_revoke(revoked);
	expect_lie(revoked, 8, 16);
}

/* A handle that is announced twice is mapped once. */
TEST(a_grant_that_is_announced_twice_ends_the_session)
{
	struct weir_page_record record, again;
	struct weir_page_message message = { .bytes = 8 };

	open_both(&a, &b);
	send(1, 8);
	message.grant = a.away[0];
	record = expect(&b, 1, 8);
	run(&a);
	assert_int_equal(weir_channel_try_send(&a.channel, &message, 16), WEIR_OK);
	assert_int_equal(receive(&b, &again), WEIR_AGAIN);
	give_back(&b, &record);
	assert_int_equal(receive(&b, &again), WEIR_CLOSED);
}

/* b guesses the witness's handle, takes it, and returns it: a cannot see any more what is away. */
TEST(a_peer_that_takes_the_witness_makes_pass_busy_until_it_is_opened_again)
{
	open_both(&a, &b);
	send(1, 8);
	run(&b);
	assert_int_equal(weir_grant_map(b.channel.port, a.witness, 60, 0, 0), WEIR_OK);
	assert_int_equal(weir_grant_return(60), WEIR_OK);
	send(1, 8);
	send(1, 8);
	assert_int_equal(pass(reserve(), 8), WEIR_BUSY);
	run(&a);
	assert_int_equal(try_open(&a), WEIR_AGAIN);
	assert_int_equal(try_open(&b), WEIR_OK);
	assert_int_equal(try_open(&a), WEIR_OK);
	send(1, 8);
	assert_false(all_home());
	expect(&b, 1, 8);
}

#define RUN_MADE(name) cmocka_unit_test_setup_teardown(name, machine_make, ipc_memory_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(pages_go_and_come_back_with_what_the_receiver_wrote),
		RUN_MADE(only_the_pages_that_hold_the_bytes_go),
		RUN_MADE(a_buffer_is_not_given_out_before_it_is_home),
		RUN_MADE(home_is_seen_whatever_is_in_the_pages),
		RUN_MADE(what_was_not_reserved_cannot_be_passed),
		RUN_MADE(pages_go_along_a_chain_and_come_home_from_its_end),
		RUN_MADE(what_cannot_be_passed_on_stays),
		RUN_MADE(a_receiver_without_a_place_gets_the_record_later),
		RUN_MADE(what_is_out_of_range_is_refused),
		RUN_MADE(pages_come_home_when_the_receiver_ends),
		RUN_MADE(a_receiver_of_a_sender_that_ended_sees_nothing_of_it),
		RUN_MADE(both_may_close_and_open_again),
		RUN_MADE(pages_on_a_chain_come_home_when_its_middle_or_end_ends),
		RUN_MADE(a_message_that_lies_ends_the_session),
		RUN_MADE(a_grant_that_is_announced_twice_ends_the_session),
		RUN_MADE(a_peer_that_takes_the_witness_makes_pass_busy_until_it_is_opened_again),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
