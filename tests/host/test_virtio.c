/*
 * Virtio disks against drivers, good and bad (virtio_driver.h).
 *
 * Sources: core/vdev/virtio.c core/vdev/virtio_console.c ipc/block.c tests/host/virtio_machine.c
 * Sources: tests/host/virtio_play.c core/timeout.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/heap.c tests/host/fake/windows.c tests/host/fake/exit.c tests/host/fake/panic.c tests/host/fake/lock.c
 */
#include <string.h>
#include "virtio_driver.h"
#include "core/sched.h"

TEST(a_slot_without_a_device_has_id_0_and_ignores_the_rest)
{
	for (u32 slot = 3; slot < 32; slot++) {
		assert_int_equal(virtio_get(slot, MAGIC), 0x74726976);
		assert_int_equal(virtio_get(slot, 4), 2);
		assert_int_equal(virtio_get(slot, DEVICE_ID), 0);
		virtio_set(slot, STATUS, 1);
		assert_int_equal(virtio_get(slot, STATUS), 0);
	}
	assert_int_equal(virtio_get(0, DEVICE_ID), 2);
	assert_int_equal(virtio_get(2, DEVICE_ID), 3);
}

TEST(narrow_accesses_reach_the_configuration_alone)
{
	assert_int_equal(virtio_load(0, MAGIC, 1), 0);
	assert_int_equal(virtio_load(0, MAGIC, 8), 0x274726976);
	assert_int_equal(virtio_load(0, 0x100, 8), VIRTIO_SECTORS);
	assert_int_equal(virtio_load(0, 0x101, 1), VIRTIO_SECTORS >> 8);
	virtio_store(0, STATUS, 1, 1);
	assert_int_equal(virtio_get(0, STATUS), 0);
}

TEST(the_interrupt_is_there_until_it_is_acknowledged)
{
	memory = virtio_drive(0, 0, 0, 0);
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_int_equal(*virtio_ram(8 * PAGE_SIZE), 3);
	assert_int_equal(memory->used.ring[0].bytes, 513);
	assert_int_equal(virtio_get(0, CAUSE), 1);
	assert_true(virtio_line(0));
	virtio_set(0, ACK, 1);
	assert_false(virtio_line(0));
	memory->available.flags = 1; /* no interrupts */
	assert_int_equal(run(0, IN, 4, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_false(virtio_line(0));
}

/* What is read and written for each request goes a way of its own, but only as a word. */
TEST(a_doubleword_reads_the_cause_and_acknowledges_it_too)
{
	memory = virtio_drive(0, 0, 0, 0);
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_int_equal(virtio_load(0, CAUSE, 2), 0);
	assert_int_equal(virtio_load(0, CAUSE, 8), 1);
	virtio_store(0, ACK, 2, 1);
	assert_true(virtio_line(0));
	virtio_store(0, CAUSE, 8, 1ul << 32);
	assert_int_equal(virtio_get(0, CAUSE), 0);
	assert_false(virtio_line(0));
	offer(0, IN, 9, virtio_ram(8 * PAGE_SIZE), 512);
	assert_false(virtio_store(0, NOTIFY, 2, 0));
	assert_int_equal(virtio_disk_queued(), 0);
	assert_false(virtio_store(0, NOTIFY, 8, 0));
	assert_int_equal(virtio_disk_queued(), 1);
	virtio_disk_done(WEIR_OK);
}

TEST(a_cause_that_is_left_when_another_is_acknowledged_raises_an_edge)
{
	memory = virtio_drive(0, 0, 0, 0);
	virtio_edges(0);
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_int_equal(virtio_edges(0), 1);
	memory->available.index += VIRTIO_QUEUE + 1; /* a lie */
	virtio_set(0, NOTIFY, 0);
	assert_int_equal(virtio_get(0, CAUSE), 3);
	assert_int_equal(virtio_edges(0), 0);
	virtio_set(0, ACK, 1);
	assert_int_equal(virtio_get(0, CAUSE), 2);
	assert_int_equal(virtio_edges(0), 1);
	assert_true(virtio_line(0));
	virtio_set(0, ACK, 2);
	assert_int_equal(virtio_edges(0), 0);
	assert_false(virtio_line(0));
}

TEST(with_event_index_only_the_asked_for_is_told)
{
	memory = virtio_drive(0, EVENT_INDEX, 0, 0);
	memory->available.used_event = 1;
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_false(virtio_line(0));
	assert_int_equal(memory->used.available_event, 1);
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_true(virtio_line(0));
	assert_int_equal(memory->used.available_event, 2);
}

TEST(a_flush_reaches_the_device_and_who_cannot_ask_has_written_through)
{
	memory = virtio_drive(0, 1u << 9, 0, 0);
	assert_int_equal(run(0, OUT, 5, virtio_ram(8 * PAGE_SIZE), 1024), 0);
	assert_int_equal(virtio_disk_flushes(), 0);
	assert_int_equal(run(0, FLUSH, 0, 0, 0), 0);
	assert_int_equal(virtio_disk_flushes(), 1);
	memory = virtio_drive(0, 0, 0, 0);
	assert_int_equal(run(0, OUT, 5, virtio_ram(8 * PAGE_SIZE), 1024), 0);
	assert_int_equal(virtio_disk_flushes(), 2);
}

TEST(a_disk_that_two_vms_may_write_is_read_only)
{
	virtio_set(1, 0x14, 0);
	assert_true(virtio_get(1, 0x10) & 1u << 5);
	virtio_set(0, 0x14, 0);
	assert_false(virtio_get(0, 0x10) & 1u << 5);
	memory = virtio_drive(1, 0, 0, 0);
	assert_int_equal(run(1, OUT, 0, virtio_ram(8 * PAGE_SIZE), 512), 1);
	assert_int_equal(run(1, IN, 0, virtio_ram(8 * PAGE_SIZE), 512), 0);
	assert_int_equal(*(u64 *)virtio_ram(8 * PAGE_SIZE), VIRTIO_SECTORS);
}

TEST(the_id_is_the_name_as_far_as_it_goes)
{
	memory = virtio_drive(1, 0, 0, 0);
	memset(virtio_ram(8 * PAGE_SIZE), 'x', 32);
	assert_int_equal(run(1, GET_ID, 0, virtio_ram(8 * PAGE_SIZE), 20), 0);
	assert_memory_equal(virtio_ram(8 * PAGE_SIZE), "a-name-of-twenty-onexx", 22);
}

TEST(an_error_of_the_device_reaches_the_driver)
{
	memory = virtio_drive(0, 0, 0, 0);
	offer(0, IN, 0, virtio_ram(8 * PAGE_SIZE), 512);
	virtio_set(0, NOTIFY, 0);
	virtio_disk_done(WEIR_IO);
	assert_int_equal(*answer(0), 1);
	assert_int_equal(virtio_get(0, STATUS), LIVE);
}

/* What a driver that did not take SIZE_MAX may offer (5.2.3); the device of this test takes eight sectors. */
TEST(a_piece_that_is_larger_than_the_device_takes_goes_in_parts)
{
	u32 before;

	memory = virtio_drive(0, 0, 0, 0);
	before = virtio_disk_requests();
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE + 64), 20 * 512), 0);
	assert_int_equal(virtio_disk_requests() - before, 3);
	for (u32 i = 0; i < 20; i++)
		assert_int_equal(*virtio_ram(8 * PAGE_SIZE + 64 + i * 512), 3 + i);
	assert_int_equal(memory->used.ring[0].bytes, 20 * 512 + 1);
	offer(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 20 * 512);
	virtio_set(0, NOTIFY, 0);
	virtio_disk_done(WEIR_OK);
	virtio_disk_done(WEIR_IO); /* of its second part: it ends there */
	assert_false(virtio_disk_done(WEIR_OK));
	assert_int_equal(*answer(0), 1);
}

/* 5.2.6 and 2.7.4: neither addresses nor the pieces of a chain have to be multiples of anything. */
TEST(data_may_begin_anywhere_and_come_in_any_pieces)
{
	struct virtio_header *header = (void *)virtio_ram(PAGE_SIZE);
	u8 *data = virtio_ram(9 * PAGE_SIZE - 257);

	memory = virtio_drive(0, 0, 0, 0);
	for (u32 i = 0; i < 1024; i++)
		data[i] = (u8)(i * 5 + i / 512);
	assert_int_equal(run(0, OUT, 6, data, 1024), 0);
	memset(data, 0, 1024);
	*header = (struct virtio_header){ IN, 0, 6 };
	memory->descriptor[0].next = 1;
	descriptor(1, data, 257, 3);
	descriptor(2, data + 257, 511, 3);
	descriptor(3, data + 768, 256, 3);
	descriptor(4, answer(0), 1, 2);
	memory->available.ring[1] = 0;
	memory->available.index = 2;
	virtio_set(0, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(*answer(0), 0);
	for (u32 i = 0; i < 1024; i++)
		assert_int_equal(data[i], (u8)(i * 5 + i / 512));
	assert_int_equal(run(0, IN, 6, data, 511), 1); /* all of them are whole sectors */
	assert_int_equal(run(0, IN, 6, data, 512), 0);
}

/* A write of two pieces that lie apart, or touch. */
static u32 write_two(u32 first, u32 second, bool touch)
{
	u8 *data = virtio_ram(8 * PAGE_SIZE);

	memory = virtio_drive(0, 0, 0, 0);
	offer(0, OUT, 9, data, first);
	memory->descriptor[1].next = 3;
	descriptor(3, data + first + (touch ? 0 : PAGE_SIZE), second, 1);
	memory->descriptor[3].next = 2;
	virtio_set(0, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	return *answer(0);
}

TEST(a_piece_that_is_no_whole_sectors_fails_unless_the_next_touches_it)
{
	u32 tables = virtio_disk_tables();

	assert_int_equal(write_two(512, 1024, false), 0);
	assert_int_equal(virtio_disk_tables(), ++tables); /* as the driver made it */
	assert_int_equal(write_two(528, 496, true), 0);
	assert_int_equal(write_two(528, 496, false), 1);
	assert_int_equal(write_two(528, 528, false), 1);
	assert_int_equal(write_two(528, 512, true), 1);
	assert_int_equal(write_two(4096, 1024, false), 0); /* two requests of the device */
	assert_int_equal(virtio_disk_tables(), tables);
}

/* All that a header is read from is no data of a read; all that is written is none of a write. */
TEST(data_of_the_wrong_direction_are_left_alone)
{
	u8 *data = virtio_ram(8 * PAGE_SIZE);

	memory = virtio_drive(0, 0, 0, 0);
	offer(0, IN, 3, data, 512);
	memory->descriptor[0].next = 3;
	descriptor(3, data + PAGE_SIZE, 512, 1);
	memory->descriptor[3].next = 1;
	memset(data, 0x55, 2 * PAGE_SIZE);
	virtio_set(0, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(*answer(0), 0);
	assert_int_equal(data[0], 3);
	assert_int_equal(data[PAGE_SIZE], 0x55);
	offer(0, OUT, 3, data, 512);
	memory->descriptor[0].next = 1;
	memory->descriptor[1].flags = 3;
	virtio_set(0, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(*answer(0), 1); /* there is nothing to write */
}

TEST(segments_that_touch_are_joined_and_many_are_split)
{
	struct virtio_header *header = (void *)virtio_ram(PAGE_SIZE);
	u32 before = virtio_disk_requests();

	memory = virtio_drive(0, 0, 0, 0);
	*header = (struct virtio_header){ IN, 0, 0 };
	descriptor(0, header, 16, 1);
	for (u32 i = 1; i <= 13; i++) /* twelve lie apart, the thirteenth behind the twelfth */
		descriptor(i, virtio_ram((20 + i) * PAGE_SIZE - (i == 13) * (PAGE_SIZE - 512)), 512,
			   3);
	descriptor(14, answer(0), 1, 2);
	memory->available.index = 1;
	virtio_set(0, NOTIFY, 0);
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(*answer(0), 0);
	assert_int_equal(virtio_disk_requests() - before, 3);
	for (u64 i = 1; i <= 12; i++)
		assert_int_equal(*virtio_ram((20 + i) * PAGE_SIZE), i - 1);
	assert_int_equal(*virtio_ram(32 * PAGE_SIZE + 512), 12);
}

/* A chain that begins in no time: what an exit cannot do is done by the next. */
TEST(a_notification_serves_two_and_is_executed_again)
{
	memory = virtio_drive(0, 0, 0, 0);
	for (u32 i = 0; i < 5; i++)
		offer(i, IN, i, virtio_ram((8 + i) * PAGE_SIZE), 512);
	assert_true(virtio_store(0, NOTIFY, 4, 0));
	assert_int_equal(virtio_disk_queued(), 2);
	assert_true(virtio_store(0, NOTIFY, 4, 0));
	assert_false(virtio_store(0, NOTIFY, 4, 0));
	assert_int_equal(virtio_disk_queued(), 5);
}

/* Sixteen are under way at most; the device's interrupts look for the rest, without a notification. */
TEST(what_waits_in_a_full_queue_is_found_when_others_are_done)
{
	memory = virtio_drive(0, EVENT_INDEX, 0, 0);
	offer(0, IN, 9, virtio_ram(8 * PAGE_SIZE), 512);
	memory->available.index = 16; /* all of them the same */
	virtio_set(0, NOTIFY, 0);
	while (memory->used.index < 3)
		virtio_disk_done(WEIR_OK);
	memory->available.index += 13;
	while (virtio_store(0, NOTIFY, 4, 0))
		;
	memory->available.index += 3;
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(memory->used.index, 32);
	assert_int_equal(virtio_get(0, STATUS), LIVE);
}

/* Sixteen reads under way, and behind them what is answered at once. */
static void fill_and_more(u32 type, u16 more)
{
	memory = virtio_drive(0, EVENT_INDEX, 0, 2);
	offer(0, IN, 0, virtio_ram(4 * PAGE_SIZE), 512);
	offer(1, type, 0, type == FLUSH ? 0 : virtio_ram(5 * PAGE_SIZE), type == FLUSH ? 0 : 20);
	for (u32 i = 0; i < VIRTIO_QUEUE; i++)
		memory->available.ring[i] = 0;
	memory->available.index = VIRTIO_QUEUE;
	while (virtio_store(0, NOTIFY, 4, 0))
		;
	for (u32 i = 0; i < VIRTIO_QUEUE; i++)
		memory->available.ring[i] = 3;
	memory->available.index += more;
	assert_false(virtio_store(0, NOTIFY, 4, 0)); /* no request is free */
}

/*
 * A driver that puts there without an exit what is answered at once: two follow an interrupt, then VMs have time.
 * What it does not put there in the end is served without a notification.
 */
TEST(interrupts_do_not_follow_each_other_for_what_needs_no_device)
{
	static const u32 types[] = { GET_ID, 77, OUT /* of 20 bytes */, FLUSH };

	for (u32 i = 0; i < ARRAY_SIZE(types); i++) {
		virtio_machine_free();
		virtio_machine_make(types[i] == FLUSH);
		fill_and_more(types[i], 8);
		assert_true(virtio_disk_end(WEIR_OK));
		for (u32 rests = 0; rests < 10; rests++) {
			u32 turns = 0;

			while (virtio_disk_interrupt()) {
				assert_true(++turns < 4);
				memory->available.index = (u16)(memory->used.index + 15 + 8);
			}
			assert_int_equal(memory->used.index, 1 + 2 * (rests + 1));
			assert_true(virtio_disk_wait());
		}
		while (virtio_disk_done(WEIR_OK))
			;
		assert_int_equal(memory->used.index, memory->available.index);
		assert_false(virtio_disk_wait());
	}
}

TEST(interrupts_follow_each_other_while_they_give_the_device_work)
{
	fill_and_more(GET_ID, 0);
	for (u32 i = 0; i < VIRTIO_QUEUE; i++)
		memory->available.ring[i] = 0;
	memory->available.index += 16;
	assert_false(virtio_store(0, NOTIFY, 4, 0));
	for (u32 i = 0; i < 8; i++)
		assert_true(virtio_disk_end(WEIR_OK));
	while (virtio_disk_interrupt())
		;
	while (virtio_disk_end(WEIR_OK))
		while (virtio_disk_interrupt())
			;
	assert_int_equal(memory->used.index, 32);
	assert_false(virtio_disk_wait());
}

/* Its queue looked into by an interrupt while it rests is not in two lists. */
TEST(a_disk_that_rests_is_looked_at_when_a_request_is_done)
{
	fill_and_more(GET_ID, 4);
	virtio_disk_end(WEIR_OK);
	while (virtio_disk_interrupt())
		;
	memory->available.ring[(memory->used.index + 15 + 2) % VIRTIO_QUEUE] = 0;
	memory->available.index++;
	while (virtio_store(0, NOTIFY, 4, 0))
		;
	assert_int_equal(virtio_disk_queued(), 8);
	memory->available.index++;
	assert_false(virtio_store(0, NOTIFY, 4, 0));
	virtio_disk_end(WEIR_OK);
	while (virtio_disk_interrupt())
		;
	while (virtio_disk_done(WEIR_OK))
		;
	assert_int_equal(memory->used.index, memory->available.index);
}

/* The VM's budget: it takes time to ask, which is of the look. */
static bool used_up;
static u64 spent, lent;

u64 sched_spend(struct vcpu *vcpu, u64 ticks)
{
	assert_int_equal(vcpu->index, 0);
	fake_timer_set(timer_now() + 5);
	spent += ticks;
	return used_up ? timer_now() + 1 : 0;
}

void sched_lent(u64 ticks)
{
	lent += ticks;
}

TEST(a_queue_is_looked_into_in_the_budget_of_the_vm)
{
	fill_and_more(GET_ID, 4);
	spent = lent = 0;
	used_up = true;
	assert_true(virtio_disk_end(WEIR_OK));
	for (u32 rests = 0; rests < 3; rests++) {
		while (virtio_disk_interrupt())
			;
		assert_int_equal(memory->used.index, 1);
		assert_true(virtio_disk_wait());
	}
	assert_int_equal(spent, 0);
	used_up = false;
	while (virtio_disk_interrupt())
		;
	assert_int_equal(memory->used.index, 3);
	assert_int_equal(spent, 5);
	assert_int_equal(lent, 5); /* not of whom the interrupt came to */
	while (virtio_disk_done(WEIR_OK))
		;
}

TEST(a_reset_waits_for_what_is_in_flight)
{
	memory = virtio_drive(0, 0, 0, 0);
	offer(0, IN, 1, virtio_ram(8 * PAGE_SIZE), 512);
	virtio_set(0, NOTIFY, 0);
	assert_true(virtio_store(0, STATUS, 4, 0));
	offer(1, IN, 1, virtio_ram(9 * PAGE_SIZE), 512);
	virtio_store(0, NOTIFY, 4, 0);
	assert_int_equal(virtio_disk_queued(), 1); /* nothing new begins */
	virtio_disk_done(WEIR_OK);
	assert_int_equal(memory->used.index, 0);
	assert_int_equal(*answer(0), 0xee);
	assert_false(virtio_store(0, STATUS, 4, 0));
	assert_int_equal(virtio_get(0, STATUS), 0);
	assert_int_equal(virtio_get(0, READY), 0);
}

TEST(a_vm_that_ends_is_not_written_any_more_and_begins_with_new_devices)
{
	memory = virtio_drive(0, 0, 0, 0);
	for (u32 i = 0; i < 5; i++)
		offer(i, IN, i, virtio_ram((8 + i) * PAGE_SIZE), 512);
	virtio_store(0, NOTIFY, 4, 0);
	virtio_stop();
	assert_int_equal(memory->used.index, 0);
	assert_int_equal(virtio_get(0, STATUS), 0);
	assert_false(virtio_line(0));
	memory = virtio_drive(0, 0, 0, 0);
	assert_int_equal(run(0, IN, 3, virtio_ram(8 * PAGE_SIZE), 512), 0);
}

TEST(what_a_queue_or_request_has_is_not_shared)
{
	memory = virtio_drive(0, 0, 0, POOL_PAGE);
	assert_false(virtio_share(0, true)); /* the queue */
	assert_true(virtio_share(1, true));
	offer(0, IN, 1, virtio_ram((POOL_PAGE + 3) * PAGE_SIZE), 512);
	virtio_set(0, NOTIFY, 0);
	assert_false(virtio_share(3, true));
	virtio_disk_done(WEIR_OK);
	assert_true(virtio_share(3, true));
	virtio_set(0, STATUS, 0);
	assert_true(virtio_share(0, true));
	virtio_drive(0, 0, 0, POOL_PAGE);
	assert_int_equal(virtio_get(0, READY), 0);
	assert_true(virtio_get(0, STATUS) & NEEDS_RESET);
}

TEST(what_is_shared_is_no_buffer_and_no_place_for_an_answer)
{
	memory = virtio_drive(0, 0, 0, 0);
	assert_true(virtio_share(2, true));
	assert_int_equal(run(0, IN, 1, virtio_ram((POOL_PAGE + 2) * PAGE_SIZE), 512), 1);
	assert_int_equal(virtio_get(0, STATUS), LIVE);
	offer(0, IN, 1, virtio_ram(8 * PAGE_SIZE), 512);
	descriptor(2, virtio_ram((POOL_PAGE + 2) * PAGE_SIZE), 1, 2);
	virtio_set(0, NOTIFY, 0);
	assert_true(virtio_get(0, STATUS) & NEEDS_RESET);
	assert_int_equal(virtio_disk_queued(), 0);
	assert_int_equal(*virtio_ram((POOL_PAGE + 2) * PAGE_SIZE), 0);
}

/* Each with a device as new; it needs a reset then, and the driver hears of it. */
#define LIE(statement)                                                       \
	do {                                                                 \
		memory = virtio_drive(0, 0, 0, 0);                           \
		offer(0, IN, 0, virtio_ram(8 * PAGE_SIZE), 512);             \
		statement;                                                   \
		virtio_store(0, NOTIFY, 4, 0);                               \
		assert_int_equal(virtio_get(0, STATUS), LIVE | NEEDS_RESET); \
		assert_int_equal(virtio_get(0, CAUSE), 2);                   \
		assert_true(virtio_line(0));                                 \
		assert_int_equal(virtio_disk_queued(), 0);                   \
		assert_int_equal(memory->used.index, 0);                     \
		assert_int_equal(*answer(0), 0xee);                          \
	} while (0)

TEST(a_driver_that_lies_has_a_device_that_needs_a_reset)
{
	u64 end = VM_RAM_BASE + VIRTIO_RAM_PAGES * PAGE_SIZE;

	LIE(memory->descriptor[2].next = 1; memory->descriptor[2].flags = 3);
	LIE(memory->descriptor[1].next = VIRTIO_QUEUE);
	LIE(memory->descriptor[1].flags |= 4);
	LIE(memory->descriptor[1].bytes = 0);
	LIE(memory->descriptor[1].address = end - 511);
	LIE(memory->descriptor[1].address = VM_RAM_BASE - 1);
	LIE(memory->descriptor[1].address = UINT64_MAX);
	LIE(memory->descriptor[0].address = end - 15);
	LIE(memory->descriptor[0].flags |= 2);
	LIE(memory->descriptor[0].bytes = 15);
	LIE(memory->descriptor[0].flags = 0);
	LIE(memory->descriptor[2].flags = 0);
	LIE(memory->available.index = VIRTIO_QUEUE + 1);
	LIE(memory->available.ring[0] = VIRTIO_QUEUE);
	LIE(memory->available.ring[0] = 0xffff);
}

/* It is aligned to 4 bytes and has 8: its number may be the last word of a page. */
TEST(an_entry_of_the_used_ring_that_crosses_a_page_is_written_in_both)
{
	u64 used = VM_RAM_BASE + 5 * PAGE_SIZE - 8;
	u64 parts[] = { VM_RAM_BASE, VM_RAM_BASE + offsetof(struct virtio_memory, available),
			used };
	u32 *words = (u32 *)virtio_ram(5 * PAGE_SIZE - 8);

	memory = (void *)virtio_ram(0);
	virtio_drive_at(0, 0, 0, VIRTIO_QUEUE, parts);
	for (u32 i = 0; i < VIRTIO_QUEUE; i++)
		words[1 + 2 * i] = words[2 + 2 * i] = 77;
	offer(1, IN, 9, virtio_ram(8 * PAGE_SIZE), 512);
	virtio_set(0, NOTIFY, 0);
	virtio_disk_done(WEIR_OK);
	assert_int_equal(words[0] >> 16, 1);
	assert_int_equal(words[1], 3);
	assert_int_equal(words[2], 513);
	assert_int_equal(words[3], 77);
}

TEST(no_more_of_the_pool_is_looked_at_than_a_transfer_has)
{
	memory = virtio_drive(0, 0, 0, 2);
	virtio_vm.ram_bytes = 16 * MIB; /* no more of it is there, nor touched */
	assert_int_equal(run(0, IN, 0, virtio_ram(4 * PAGE_SIZE), 8 * MIB), 1);
	assert_int_equal(virtio_get(0, STATUS), LIVE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_MADE(a_slot_without_a_device_has_id_0_and_ignores_the_rest),
		RUN_MADE(narrow_accesses_reach_the_configuration_alone),
		RUN_MADE(the_interrupt_is_there_until_it_is_acknowledged),
		RUN_MADE(a_doubleword_reads_the_cause_and_acknowledges_it_too),
		RUN_MADE(a_cause_that_is_left_when_another_is_acknowledged_raises_an_edge),
		RUN_MADE(with_event_index_only_the_asked_for_is_told),
		RUN_MADE(a_flush_reaches_the_device_and_who_cannot_ask_has_written_through),
		RUN_MADE(a_disk_that_two_vms_may_write_is_read_only),
		RUN_MADE(the_id_is_the_name_as_far_as_it_goes),
		RUN_MADE(an_error_of_the_device_reaches_the_driver),
		RUN_MADE(a_piece_that_is_larger_than_the_device_takes_goes_in_parts),
		RUN_MADE(data_may_begin_anywhere_and_come_in_any_pieces),
		RUN_MADE(a_piece_that_is_no_whole_sectors_fails_unless_the_next_touches_it),
		RUN_MADE(data_of_the_wrong_direction_are_left_alone),
		RUN_MADE(segments_that_touch_are_joined_and_many_are_split),
		RUN_MADE(a_notification_serves_two_and_is_executed_again),
		RUN_MADE(what_waits_in_a_full_queue_is_found_when_others_are_done),
		RUN_MADE(interrupts_do_not_follow_each_other_for_what_needs_no_device),
		RUN_MADE(interrupts_follow_each_other_while_they_give_the_device_work),
		RUN_MADE(a_disk_that_rests_is_looked_at_when_a_request_is_done),
		RUN_MADE(a_queue_is_looked_into_in_the_budget_of_the_vm),
		RUN_MADE(a_reset_waits_for_what_is_in_flight),
		RUN_MADE(a_vm_that_ends_is_not_written_any_more_and_begins_with_new_devices),
		RUN_MADE(what_a_queue_or_request_has_is_not_shared),
		RUN_MADE(what_is_shared_is_no_buffer_and_no_place_for_an_answer),
		RUN_MADE(no_more_of_the_pool_is_looked_at_than_a_transfer_has),
		RUN_MADE(a_driver_that_lies_has_a_device_that_needs_a_reset),
		RUN_MADE(an_entry_of_the_used_ring_that_crosses_a_page_is_written_in_both),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
