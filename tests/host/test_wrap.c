/*
 * Positions of event rings and bulk rings far from their start: where 16, 31, 32 and 63 bits end. All that
 * is done is compared with a reference whose numbers have no end, or count from the start of the test.
 *
 * What is covered, all of it, not a sample:
 *   events: from each of STARTS, every sequence of EVENT_STEPS steps out of: send on one or the other
 *	of two ports (in rings of two slots, so that each step goes round), take the next event, bind
 *	the first port to one or the other of two priorities. And with masks: from each but the last, every
 *	sequence of MASK_STEPS steps out of these and: mask or unmask the first port.
 *   heads that lie: from each of STARTS, every sequence of LIE_STEPS steps out of: send on either port,
 *	a head one more or one less, at the tail, behind it, 2^32 off, 0, all ones.
 *   records: each size there is (0 to a quarter of a ring of 4096 bytes) at each place of the ring, so that
 *	the position passes 2^32 in the middle of it; and at the other starts, at three places.
 *   rings: from each of RING_STARTS at two places, empty and three quarters full, every sequence of
 *	RING_STEPS steps out of: write a record (none, an eighth, a quarter), publish, read, release, arm
 *	for either side; and of BATCH_STEPS, where a batch of two records (an eighth each) that is written
 *	and one that is read take the place of the empty record and of arming the consumer.
 * Positions near 2^64 are not reached in a machine's life and not promised to work.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/ring.h>
#include "ipc_vms.h"
#include "ipc/event.h"

#define EVENT_STEPS 8
#define MASK_STEPS  6
#define MASK_STARTS (ARRAY_SIZE(starts) - 1) /* a masked port's position is below 2^63 */
#define LIE_STEPS   6
#define RING_STEPS  6
#define BATCH_STEPS 5

static const u64 starts[] = {
	0,	   (1ul << 16) - 2, (1ul << 31) - 2, (1ul << 32) - 3, (1ul << 32) - 2,
	1ul << 32, (1ul << 48) - 2, (1ul << 63) - 2,
};

/* ---- Event rings ---- */

#define PORTS	   2
#define PRIORITIES 2 /* of the four */

struct event_state {
	struct event_ring ring[WEIR_EVENT_PRIORITIES];
	struct port port[PORTS];
	u64 head[WEIR_EVENT_PRIORITIES], tail[WEIR_EVENT_PRIORITIES];
	u32 slot[WEIR_EVENT_PRIORITIES * PORTS];
};

/* Which ports are pending, by priority, in their order. */
struct event_reference {
	u32 queue[PRIORITIES][PORTS];
	u32 count[PRIORITIES];
	u32 bound[PORTS];
	bool masked, latched; /* the first port */
};

static struct weir_pages pages;
static struct event_ring *rings;
static struct port *ports;

static void event_save(struct event_state *state)
{
	memcpy(state->ring, rings, sizeof(state->ring));
	memcpy(state->port, ports, sizeof(state->port));
	memcpy(state->head, pages.in->event_head, sizeof(state->head));
	memcpy(state->tail, pages.out->event_tail, sizeof(state->tail));
	memcpy(state->slot, rings[0].slot, sizeof(state->slot));
}

static void event_restore(const struct event_state *state)
{
	memcpy(rings, state->ring, sizeof(state->ring));
	memcpy(ports, state->port, sizeof(state->port));
	memcpy(pages.in->event_head, state->head, sizeof(state->head));
	memcpy((void *)(uintptr_t)pages.out->event_tail, state->tail, sizeof(state->tail));
	memcpy(rings[0].slot, state->slot, sizeof(state->slot));
}

/* Two VMs; the rings of the second one's vCPU as if `start` events had gone through each. */
static void event_machine(u64 start)
{
	static const char *const channels[] = { "ab0", "ab1", 0 };

	ipc_vms_set_ports(PORTS);
	ipc_vms_make(2, 1, channels);
	pages = ipc_pages(1, 0);
	rings = ipc_vcpu(1, 0)->ipc->event.ring;
	ports = ipc_vm(1)->ipc->event.port;
	assert_int_equal(pages.event_slots, PORTS);
	for (u32 p = 0; p < WEIR_EVENT_PRIORITIES; p++) {
		rings[p].head = rings[p].tail = *rings[p].shared_tail = start;
		pages.in->event_head[p] = start;
	}
	for (u32 i = 0; i < PORTS; i++)
		ports[i].entered = start; /* the last one, which was taken */
}

static bool is_pending(const struct event_reference *reference, u32 port)
{
	u32 priority = reference->bound[port];

	for (u32 i = 0; i < reference->count[priority]; i++)
		if (reference->queue[priority][i] == port)
			return true;
	return false;
}

static void send_and_compare(struct event_reference *reference, u32 port)
{
	u32 priority = reference->bound[port];
	u32 pends = ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT);
	bool pending = is_pending(reference, port);

	if (port == 0 && reference->masked) {
		pending = true; /* as far as the sender can tell */
		reference->latched = true;
	}
	ipc_run(0, 0);
	assert_int_equal(weir_event_send(1ul << 16 | port), WEIR_OK);
	if (!pending)
		reference->queue[priority][reference->count[priority]++] = port;
	assert_int_equal(ipc_pends(ipc_vcpu(1, 0), WEIR_INTID_EVENT), pends + !pending);
}

static void next_and_compare(struct event_reference *reference)
{
	u32 priority = reference->count[1] ? 1 : 0, got;

	if (!reference->count[priority]) {
		assert_false(weir_event_next(&pages, &got));
		return;
	}
	assert_true(weir_event_next(&pages, &got));
	assert_int_equal(got, reference->queue[priority][0]);
	reference->count[priority]--;
	memmove(&reference->queue[priority][0], &reference->queue[priority][1],
		(PORTS - 1) * sizeof(u32));
}

static void bind_and_compare(struct event_reference *reference, u32 priority)
{
	bool busy = reference->bound[0] != priority && is_pending(reference, 0);

	ipc_run(1, 0);
	assert_int_equal(weir_port_bind(1ul << 16, 0, priority), busy ? WEIR_BUSY : WEIR_OK);
	if (!busy)
		reference->bound[0] = priority;
}

static void mask_and_compare(struct event_reference *reference, bool masked)
{
	u32 priority = reference->bound[0];
	bool deliver = reference->masked && !masked && reference->latched;

	ipc_run(1, 0);
	assert_int_equal(weir_port_mask(1ul << 16, masked), WEIR_OK);
	reference->latched = reference->latched && reference->masked;
	reference->masked = masked;
	if (deliver && !is_pending(reference, 0))
		reference->queue[priority][reference->count[priority]++] = 0;
}

/* `kinds`: of steps, 5, or 7 with masks. */
static u64 events_from(const struct event_reference *reference, u32 kinds, u32 steps)
{
	struct event_state state;
	u64 done = 1;

	if (!steps)
		return done;
	event_save(&state);
	for (u32 step = 0; step < kinds; step++) {
		struct event_reference then = *reference;

		if (step < 2)
			send_and_compare(&then, step);
		else if (step == 2)
			next_and_compare(&then);
		else if (step < 5)
			bind_and_compare(&then, step - 3);
		else
			mask_and_compare(&then, step == 5);
		done += events_from(&then, kinds, steps - 1);
		event_restore(&state);
	}
	return done;
}

TEST(events_are_the_same_wherever_their_positions_are)
{
	u64 done = 0;

	for (u32 i = 0; i < ARRAY_SIZE(starts); i++) {
		struct event_reference reference = { 0 };

		event_machine(starts[i]);
		done += events_from(&reference, 5, EVENT_STEPS);
		ipc_vms_free();
	}
	assert_int_equal(done, ARRAY_SIZE(starts) * 488281); /* (5^9 - 1) / 4 */
}

TEST(masked_events_are_the_same_wherever_their_positions_are)
{
	u64 done = 0;

	for (u32 i = 0; i < MASK_STARTS; i++) {
		struct event_reference reference = { 0 };

		event_machine(starts[i]);
		done += events_from(&reference, 7, MASK_STEPS);
		ipc_vms_free();
	}
	assert_int_equal(done, MASK_STARTS * 137257); /* (7^7 - 1) / 6 */
}

/* What EL2 has to make of a head, with numbers that do not wrap. */
struct lie_reference {
	__int128 believed, tail, last[PORTS]; /* positions; `last`: of each port's last entry */
};

static u64 lie(u32 which, u64 head, u64 tail)
{
	const u64 lies[] = { head + 1,		 head - 1,	     tail, tail + 1,
			     head + (1ul << 32), head - (1ul << 32), 0,	   UINT64_MAX };

	return lies[which];
}

static void send_to_a_liar(struct lie_reference *reference, u32 port)
{
	__int128 head = pages.in->event_head[0];

	ipc_run(0, 0);
	assert_int_equal(weir_event_send(1ul << 16 | port), WEIR_OK);
	if (head > reference->tail)
		head = reference->tail;
	if (head > reference->believed)
		reference->believed = head;
	if (reference->last[port] < reference->believed)
		reference->last[port] = reference->tail++;
	assert_true(rings[0].tail == (u64)reference->tail);
	assert_true(rings[0].head == (u64)reference->believed);
	assert_true(*rings[0].shared_tail == (u64)reference->tail);
	assert_true(reference->tail - reference->believed <= PORTS);
	assert_int_equal(rings[0].slot[(u64)reference->last[port] % PORTS], port);
}

static u64 lies_from(const struct lie_reference *reference, u32 steps)
{
	struct event_state state;
	u64 done = 1;

	if (!steps)
		return done;
	event_save(&state);
	for (u32 step = 0; step < PORTS + 8; step++) {
		struct lie_reference then = *reference;

		if (step < PORTS)
			send_to_a_liar(&then, step);
		else
			pages.in->event_head[0] =
				lie(step - PORTS, pages.in->event_head[0], rings[0].tail);
		done += lies_from(&then, steps - 1);
		event_restore(&state);
	}
	return done;
}

TEST(a_head_that_lies_is_clamped_wherever_it_is)
{
	u64 done = 0;

	for (u32 i = 0; i < ARRAY_SIZE(starts); i++) {
		__int128 start = starts[i];
		struct lie_reference reference = { start, start, { start - 1, start - 1 } };

		event_machine(starts[i]);
		done += lies_from(&reference, LIE_STEPS);
		ipc_vms_free();
	}
	assert_int_equal(done, ARRAY_SIZE(starts) * 1111111);
}

/* ---- Bulk rings ---- */

#define BYTES	   4096u
#define DATA	   (BYTES - WEIR_RING_CONTROL_BYTES)
#define RECORD_MAX ((u32)weir_ring_max(BYTES))

static struct weir_ring_shared_producer *shared; /* BYTES */
static struct weir_ring_shared_consumer *page;
static struct weir_ring_producer producer;
static struct weir_ring_consumer consumer;
static u8 content[DATA], buffer[DATA];

/* An empty ring through which `start` bytes have gone, and which now stands at `offset`. */
static void ring_at(u64 start, u64 offset)
{
	memset(shared, 0, WEIR_RING_CONTROL_BYTES);
	memset(page, 0, WEIR_RING_CONTROL_BYTES);
	assert_int_equal(weir_ring_producer_init(&producer, shared, BYTES), WEIR_OK);
	assert_int_equal(weir_ring_consumer_init(&consumer, page, shared, BYTES), WEIR_OK);
	weir_ring_producer_connect(&producer, page);
	producer.next = producer.end = producer.data + offset;
	consumer.next = consumer.end = consumer.data + offset;
	producer.base = consumer.base = start - (uintptr_t)producer.next;
	producer.published = producer.head = start;
	consumer.released = consumer.tail = start;
	shared->tail = page->head = start;
}

static int rings_make(void **state)
{
	(void)state;
	shared = aligned_alloc(4096, BYTES);
	page = aligned_alloc(4096, 4096);
	for (u32 i = 0; i < DATA; i++)
		content[i] = (u8)(i * 7 + i / 256);
	return 0;
}

static int rings_free(void **state)
{
	(void)state;
	free(shared);
	free(page);
	return 0;
}

/* Both sides sleep for it and are woken. */
static void one_record(u64 start, u64 offset, u32 bytes)
{
	u64 space = weir_ring_space(bytes), padding = space > DATA - offset ? DATA - offset : 0;
	u32 got = 0, tag = 0;

	ring_at(start, offset);
	assert_int_equal(weir_ring_arm_read(&consumer), WEIR_AGAIN);
	assert_int_equal(weir_ring_write(&producer, content, bytes, bytes + 1), WEIR_OK);
	assert_true(weir_ring_publish(&producer));
	assert_int_equal(weir_ring_arm_drained(&producer), WEIR_AGAIN);
	assert_int_equal(weir_ring_read(&consumer, buffer, bytes, &got, &tag), WEIR_OK);
	assert_int_equal(got, bytes);
	assert_int_equal(tag, bytes + 1);
	assert_memory_equal(buffer, content, bytes);
	assert_true(weir_ring_release(&consumer));
	assert_int_equal(weir_ring_arm_drained(&producer), WEIR_OK);
	assert_true(page->head == start + padding + space && shared->tail == page->head);
	assert_int_equal(weir_ring_read(&consumer, buffer, 0, &got, &tag), WEIR_AGAIN);
}

TEST(each_record_size_at_each_place_passes_2_to_the_32)
{
	for (u32 bytes = 0; bytes <= RECORD_MAX; bytes++)
		for (u64 offset = 0; offset < DATA; offset += 8)
			one_record((1ul << 32) - weir_ring_space(bytes) / 16 * 8, offset, bytes);
}

TEST(each_record_size_is_the_same_wherever_positions_are)
{
	for (u32 bytes = 0; bytes <= RECORD_MAX; bytes++)
		for (u32 i = 0; i < ARRAY_SIZE(starts); i++)
			for (u64 offset = 0; offset < DATA; offset += DATA / 16 * 7 / 8 * 8)
				one_record(starts[i] & ~7ul, offset, bytes);
}

/* Positions from the start of the test. */
struct ring_reference {
	s64 position, published, read, released;
	s64 data_wanted, space_wanted;
	u32 written, taken; /* records */
	s64 end[2 * RING_STEPS + 3];
	u32 bytes[2 * RING_STEPS + 3], tag[2 * RING_STEPS + 3];
};

#define EIGHTH (DATA / 8 - WEIR_RING_HEADER_BYTES)

#define NEVER (-(1l << 40))

static u64 first_offset;

static s64 needed(const struct ring_reference *r, u32 bytes)
{
	s64 to_end = DATA - (s64)((first_offset + (u64)r->position) % DATA);
	s64 space = (s64)weir_ring_space(bytes);

	return space <= to_end ? space : to_end + space;
}

static bool has_room(const struct ring_reference *r, u32 bytes)
{
	return needed(r, bytes) <= (s64)DATA - (r->position - r->released);
}

static void note_written(struct ring_reference *r, u32 bytes, u32 tag)
{
	r->position += needed(r, bytes);
	r->end[r->written] = r->position;
	r->tag[r->written] = tag;
	r->bytes[r->written++] = bytes;
}

static void write_and_compare(struct ring_reference *r, u32 bytes)
{
	bool room = has_room(r, bytes);

	assert_int_equal(weir_ring_write(&producer, content, bytes, r->written),
			 room ? WEIR_OK : WEIR_AGAIN);
	if (room)
		note_written(r, bytes, r->written);
}

static void write_two_and_compare(struct ring_reference *r)
{
	u32 tag = r->written, expected = 0, done = ~0u;

	for (; expected < 2 && has_room(r, EIGHTH); expected++)
		note_written(r, EIGHTH, tag);
	assert_int_equal(weir_ring_write_batch(&producer, content, EIGHTH, 2, tag, &done),
			 expected == 2 ? WEIR_OK : WEIR_AGAIN);
	assert_int_equal(done, expected);
}

static void publish_and_compare(struct ring_reference *r)
{
	bool kick = r->published < r->data_wanted && r->data_wanted <= r->position;

	assert_int_equal(weir_ring_publish(&producer), kick);
	r->published = r->position;
}

static void read_and_compare(struct ring_reference *r)
{
	bool there = r->read != r->published;
	u32 bytes, tag;

	assert_int_equal(weir_ring_read(&consumer, buffer, DATA, &bytes, &tag),
			 there ? WEIR_OK : WEIR_AGAIN);
	if (!there)
		return;
	assert_int_equal(tag, r->tag[r->taken]);
	assert_int_equal(bytes, r->bytes[r->taken]);
	assert_memory_equal(buffer, content + (tag != r->taken ? EIGHTH : 0), bytes);
	r->read = r->end[r->taken++];
}

static void read_two_and_compare(struct ring_reference *r)
{
	enum weir_status expected = WEIR_OK;
	u32 first = r->taken, done = ~0u, tags[2];

	for (; expected == WEIR_OK && r->taken < first + 2; r->taken += expected == WEIR_OK) {
		if (r->read == r->published) {
			expected = WEIR_AGAIN;
		} else if (r->bytes[r->taken] == EIGHTH) {
			r->read = r->end[r->taken];
		} else {
			/* The padding before it was passed. */
			r->read = r->end[r->taken] - (s64)weir_ring_space(r->bytes[r->taken]);
			expected = WEIR_INVALID;
		}
	}
	assert_int_equal(weir_ring_read_batch(&consumer, buffer, EIGHTH, 2, tags, &done), expected);
	assert_int_equal(done, r->taken - first);
	for (u32 i = 0; i < done; i++) {
		assert_int_equal(tags[i], r->tag[first + i]);
		assert_memory_equal(buffer + i * EIGHTH,
				    content + (tags[i] != first + i ? EIGHTH : 0), EIGHTH);
	}
}

static void release_and_compare(struct ring_reference *r)
{
	bool kick = r->released < r->space_wanted && r->space_wanted <= r->read;

	assert_int_equal(weir_ring_release(&consumer), kick);
	r->released = r->read;
}

static void ring_step(struct ring_reference *r, u32 step)
{
	static const u32 sizes[] = { 0, EIGHTH, DATA / 4 - WEIR_RING_HEADER_BYTES };

	switch (step) {
	case 3:
		publish_and_compare(r);
		break;
	case 4:
		read_and_compare(r);
		break;
	case 5:
		release_and_compare(r);
		break;
	case 6:
		assert_int_equal(weir_ring_arm_read(&consumer),
				 r->read != r->published ? WEIR_OK : WEIR_AGAIN);
		r->data_wanted = r->read + 1;
		break;
	case 7:
		assert_int_equal(weir_ring_arm_write(&producer, RECORD_MAX),
				 has_room(r, RECORD_MAX) ? WEIR_OK : WEIR_AGAIN);
		r->space_wanted = r->position + needed(r, RECORD_MAX) - (s64)DATA;
		break;
	case 8:
		write_two_and_compare(r);
		break;
	case 9:
		read_two_and_compare(r);
		break;
	default:
		write_and_compare(r, sizes[step]);
	}
}

/* The steps to choose from: 8 and 9 are the batches. */
static const u32 *choice;

static u64 rings_from(const struct ring_reference *reference, u32 steps)
{
	struct weir_ring_shared_consumer page_then = *page;
	struct weir_ring_producer producer_then = producer;
	struct weir_ring_consumer consumer_then = consumer;
	u8 shared_then[BYTES];
	u64 done = 1;

	if (!steps)
		return done;
	memcpy(shared_then, shared, BYTES);
	for (u32 step = 0; step < 8; step++) {
		struct ring_reference then = *reference;

		ring_step(&then, choice[step]);
		done += rings_from(&then, steps - 1);
		memcpy(shared, shared_then, step < 3 ? BYTES : WEIR_RING_CONTROL_BYTES);
		*page = page_then;
		producer = producer_then;
		consumer = consumer_then;
	}
	return done;
}

/* From all starts. */
static u64 all_rings(u32 steps)
{
	static const u64 ring_starts[] = { 0, (1ul << 31) - DATA / 2, (1ul << 32) - DATA,
					   (1ul << 32) - 8, (1ul << 63) - 8 };
	u64 done = 0;

	for (u32 i = 0; i < 4 * ARRAY_SIZE(ring_starts); i++) {
		struct ring_reference reference = { .data_wanted = NEVER, .space_wanted = NEVER };

		first_offset = i & 1 ? DATA - DATA / 8 : 0;
		ring_at(ring_starts[i / 4] & ~7ul, first_offset);
		for (u32 full = 0; i & 2 && full < 3; full++)
			write_and_compare(&reference, RECORD_MAX);
		done += rings_from(&reference, steps);
	}
	return done;
}

TEST(rings_are_the_same_wherever_their_positions_are)
{
	static const u32 singles[] = { 0, 1, 2, 3, 4, 5, 6, 7 };

	choice = singles;
	assert_int_equal(all_rings(RING_STEPS), 20 * 299593); /* (8^7 - 1) / 7 */
}

TEST(batches_are_the_same_wherever_their_positions_are)
{
	static const u32 batches[] = { 8, 1, 2, 3, 4, 5, 9, 7 };

	choice = batches;
	assert_int_equal(all_rings(BATCH_STEPS), 20 * 37449); /* (8^6 - 1) / 7 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_the_same_wherever_their_positions_are),
		cmocka_unit_test(masked_events_are_the_same_wherever_their_positions_are),
		cmocka_unit_test(a_head_that_lies_is_clamped_wherever_it_is),
		cmocka_unit_test_setup_teardown(each_record_size_at_each_place_passes_2_to_the_32,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(each_record_size_is_the_same_wherever_positions_are,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(rings_are_the_same_wherever_their_positions_are,
						rings_make, rings_free),
		cmocka_unit_test_setup_teardown(batches_are_the_same_wherever_their_positions_are,
						rings_make, rings_free),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
