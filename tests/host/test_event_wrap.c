/*
 * Positions of event rings far from their start: where 16, 31, 32, 48 and 63 bits end. All that is done is
 * compared with a reference whose numbers have no end.
 *
 * What is covered, all of it, not a sample:
 *   events: from each of `starts`, every sequence of EVENT_STEPS steps out of: send on one or the other
 *	of two ports (in rings of two slots, so that each step goes round), take the next event, bind
 *	the first port to one or the other of two priorities. And with masks: from each but the last, every
 *	sequence of MASK_STEPS steps out of these and: mask or unmask the first port.
 *   heads that lie: from each of `starts`, every sequence of LIE_STEPS steps out of: send on either port,
 *	a head one more or one less, at the tail, behind it, 2^32 off, 0, all ones.
 * Positions near 2^64 are not reached in a machine's life and not promised to work.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <string.h>
#include <weir/event.h>
#include "ipc_vms.h"
#include "wrap_starts.h"
#include "ipc/event.h"

#define EVENT_STEPS 8
#define MASK_STEPS  6
#define MASK_STARTS (ARRAY_SIZE(starts) - 1) /* a masked port's position is below 2^63 */
#define LIE_STEPS   6

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_the_same_wherever_their_positions_are),
		cmocka_unit_test(masked_events_are_the_same_wherever_their_positions_are),
		cmocka_unit_test(a_head_that_lies_is_clamped_wherever_it_is),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
