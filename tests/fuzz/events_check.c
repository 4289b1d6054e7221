/* What has to hold of rings and ports, beside what was predicted (events.h). */
#include "events_model.h"

static u64 position_of(const struct port *port)
{
	assert_int_equal(port->masked, port->entered >= PORT_MASKED);
	return port->entered & ~PORT_MASKED;
}

/* Of any guest: what EL2 believes is possible, and nothing is in the ring twice. */
static void check_ring(const struct vm *vm, const struct event_ring *ring, u64 *last_tail)
{
	const struct event_vm *event = &vm->ipc->event;
	u32 seen = 0, pending = 0;

	assert_true(ring->head <= ring->tail);
	assert_true(ring->tail - ring->head <= ring->mask + 1);
	assert_true(ring->tail >= *last_tail);
	assert_int_equal(*ring->shared_tail, ring->tail);
	*last_tail = ring->tail;
	for (u64 at = ring->head; at < ring->tail; at++) {
		u32 port = ring->slot[at & ring->mask];

		assert_true(port < event->port_count && !(seen >> port & 1));
		seen |= 1u << port;
	}
	for (u32 i = 0; i < event->fresh; i++) {
		const struct port *port = &event->port[i];

		if (port->ring != ring)
			continue;
		assert_true(position_of(port) <= ring->tail);
		if (position_of(port) > ring->head) {
			assert_int_equal(ring->slot[(position_of(port) - 1) & ring->mask], i);
			pending |= 1u << i;
		}
	}
	assert_int_equal(seen, pending);
}

/* Of an honest one: the ring has what was sent, and somebody was told. */
static void check_queue(const struct vcpu *vcpu, u32 priority, const struct queue *queue)
{
	const struct event_ring *ring = &vcpu->ipc->event.ring[priority];
	u64 head = vcpu->ipc->in->event_head[priority];

	assert_int_equal(ring->tail - head, queue->count);
	for (u32 i = 0; i < queue->count; i++)
		assert_int_equal(ring->slot[(head + i) & ring->mask], queue->port[i]);
	if (queue->count)
		assert_true(machine.raised[vcpu->vm->id][vcpu->index][WEIR_INTID_EVENT]);
}

static u32 list_of(const struct event_vm *event, const struct port_list *list)
{
	u32 ports = 0, at = list->first;

	for (u32 i = 0; i < list->count; i++) {
		assert_true(at < event->fresh && !(ports >> at & 1));
		assert_true(i + 1 < list->count || at == list->last);
		ports |= 1u << at;
		at = event->port[at].next;
	}
	return ports;
}

/* Each number is somebody's, or in one list, or was not given out yet. */
static void check_lists(const struct vm *vm)
{
	const struct event_vm *event = &vm->ipc->event;
	u32 free = list_of(event, &event->free), unread = list_of(event, &event->unread);

	assert_false(free & unread);
	for (u32 i = 0; i < event->port_count; i++) {
		bool nobody = event->port[i].kind == PORT_FREE;

		assert_int_equal((free | unread) >> i & 1, nobody && i < event->fresh);
		assert_true(nobody || i < event->fresh);
	}
}

/* What was opened is joined to what the model says, or takes what EL2 sends. */
static void check_opened(const struct vm *vm, u32 number, const struct end *end)
{
	const struct port *port = &vm->ipc->event.port[number];

	assert_int_equal(port->kind, end->kind);
	if (end->kind == PORT_FREE) {
		assert_int_equal(port->handle, end->handle | PORT_CLOSED);
		assert_null(port->from);
		return;
	}
	assert_false(machine_closed(vm->id));
	assert_int_equal(port->handle, end->handle);
	assert_int_equal(port->word, end->word);
	assert_int_equal(port->masked, end->masked);
	assert_int_equal(port->peer_open, events_peer_open(vm->id, number));
	assert_true(port->from == (end->joined ? port->peer : port));
	if (end->kind == PORT_PEER)
		assert_int_equal(port->waiting, end->waiting);
	if (end->joined)
		assert_true(port->peer ==
			    &machine.vm[end->peer_vm]->ipc->event.port[end->peer_port]);
	if (end->joined)
		assert_true(port->peer->peer == port);
}

static void check_ports(const struct vm *vm, const struct events_model *model)
{
	for (u32 i = model->ports; i < events_all_ports(vm->id); i++)
		check_opened(vm, i, &model->port[i]);
	assert_int_equal(vm->ipc->event.channel_count, model->ports);
	for (u32 i = 0; i < model->ports; i++) {
		const struct port *port = &vm->ipc->event.port[i];

		assert_int_equal(port->from != 0, model->port[i].open);
		assert_int_equal(port->peer_open, events_peer_open(vm->id, i));
		if (!port->from) {
			assert_false(machine_runs(vm->id));
			continue;
		}
		assert_true(vm->state != VM_OFF);
		assert_true(vm->state != VM_DYING || vm->dying != DYING_CLOSED);
		assert_int_equal(port->handle, model->port[i].handle);
		assert_int_equal(port->word, model->port[i].word);
		assert_int_equal(port->masked, model->port[i].masked);
	}
}

void events_check(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		const struct vm *vm = machine.vm[id];
		struct events_model *model = &events_models[id];

		if (!vm)
			continue;
		check_ports(vm, model);
		check_lists(vm);
		for (u32 i = 0; i < vm->vcpu_count && machine_runs(id); i++)
			for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++) {
				check_ring(vm, &vm->vcpu[i]->ipc->event.ring[priority],
					   &model->tail[i][priority]);
				if (model->honest)
					check_queue(vm->vcpu[i], priority,
						    &model->queue[i][priority]);
			}
	}
}
