/* A model of the event channels (events.h). */
#include "events.h"

#include <string.h>
#include <weir/event.h>

#define GENERATION 65536ul /* of a handle: above the number of the port */

static struct model {
	u64 life;
	bool honest;
	u64 tail[MACHINE_VCPUS][WEIR_EVENT_PRIORITIES]; /* as last seen */
	struct queue {
		u32 port[EVENTS_PORTS + 1];
		u32 count;
	} queue[MACHINE_VCPUS][WEIR_EVENT_PRIORITIES];
	struct end {
		weir_handle handle;
		struct queue *bound;
		u64 word;
		bool open;
		u32 peer_vm, peer_port;
	} port[EVENTS_PORTS];
	u32 ports;
} models[MACHINE_VMS];

static u32 blind; /* so many steps are at work whose effects come one by one */

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static void join(u32 a, u32 b)
{
	u32 one_end = models[a].ports++, other = models[b].ports++;

	models[a].port[one_end] = (struct end){ .peer_vm = b, .peer_port = other };
	models[b].port[other] = (struct end){ .peer_vm = a, .peer_port = one_end };
}

static void begin(u32 vm)
{
	struct model *model = &models[vm];

	model->honest = true;
	memset(model->queue, 0, sizeof(model->queue));
	memset(model->tail, 0, sizeof(model->tail));
}

static void open_port(struct model *model, u32 port)
{
	struct end *end = &model->port[port];

	end->handle = (end->handle ? end->handle : port) + GENERATION;
	end->bound = &model->queue[0][0];
	end->word = 0;
	end->open = true;
}

/* The channels of the manifest, without those that cannot be joined. */
void events_reset(void)
{
	memset(models, 0, sizeof(models));
	blind = 0;
	join(0, 1);
	join(0, 2);
	join(1, 2);
	join(1, 0);
	for (u32 vm = 0; vm < MACHINE_VMS; vm++) {
		begin(vm);
		models[vm].life = 1;
		for (u32 i = 0; i < models[vm].ports; i++)
			open_port(&models[vm], i);
	}
}

u32 events_ports(u32 vm)
{
	return models[vm].ports;
}

weir_handle events_handle(u32 vm, u32 port)
{
	return models[vm].port[port].handle;
}

u64 events_word(u32 vm, u32 port)
{
	return models[vm].port[port].word;
}

bool events_open(u32 vm, u32 port)
{
	return models[vm].port[port].open;
}

bool events_peer_open(u32 vm, u32 port)
{
	const struct end *end = &models[vm].port[port];

	return models[end->peer_vm].port[end->peer_port].open;
}

/* ---- What calls may answer ------------------------------------------------------------------- */

u32 events_port_errors(u32 vm, weir_handle handle)
{
	u32 port = handle & (GENERATION - 1);

	if (port >= models[vm].ports || handle < GENERATION)
		return one(WEIR_INVALID);
	if (handle == models[vm].port[port].handle)
		return 0;
	return one(handle < models[vm].port[port].handle ? WEIR_STALE : WEIR_INVALID);
}

u32 events_send_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle);

	if (errors)
		return errors;
	return events_peer_open(vm, handle & (GENERATION - 1)) ? 0 : one(WEIR_CLOSED);
}

static struct queue *queue_of_pending(struct model *model, u32 port)
{
	for (u32 vcpu = 0; vcpu < MACHINE_VCPUS; vcpu++)
		for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++)
			for (u32 i = 0; i < model->queue[vcpu][priority].count; i++)
				if (model->queue[vcpu][priority].port[i] == port)
					return &model->queue[vcpu][priority];
	return 0;
}

u32 events_bind_errors(u32 vm, weir_handle handle, u64 vcpu, u64 priority)
{
	struct model *model = &models[vm];
	u32 errors = events_port_errors(vm, handle);
	struct queue *pending;

	if (vcpu >= machine.vm[vm]->vcpu_count || priority >= WEIR_EVENT_PRIORITIES)
		return errors | one(WEIR_INVALID);
	if (errors)
		return errors;
	pending = queue_of_pending(model, handle & (GENERATION - 1));
	if (pending && pending != &model->queue[vcpu][priority])
		return one(WEIR_BUSY);
	return 0;
}

/* ---- What calls do --------------------------------------------------------------------------- */

void events_raise(u32 vm, u32 port)
{
	struct model *model = &models[vm];
	struct queue *queue = model->port[port].bound;

	if (blind || !model->honest || !model->port[port].open || queue_of_pending(model, port))
		return;
	queue->port[queue->count++] = port;
}

void events_raise_peer(u32 vm, u32 port)
{
	const struct end *end = &models[vm].port[port];

	events_raise(end->peer_vm, end->peer_port);
}

void events_bind(u32 vm, u32 port, u32 vcpu, u32 priority)
{
	models[vm].port[port].bound = &models[vm].queue[vcpu][priority];
}

void events_publish(u32 vm, u32 port, u64 word)
{
	const struct end *end = &models[vm].port[port];

	models[end->peer_vm].port[end->peer_port].word = word;
	events_raise(end->peer_vm, end->peer_port);
}

static void port_opened(u32 vm, u32 port, bool sure)
{
	const struct port *real = &machine.vm[vm]->ipc->event.port[port];
	const struct end *end = &models[vm].port[port];

	open_port(&models[vm], port);
	models[vm].port[port].word = sure ? 0 : real->word;
	models[end->peer_vm].port[end->peer_port].word = sure ? 0 : real->peer->word;
	events_raise_peer(vm, port);
}

void events_follow(u32 vm, bool sure)
{
	struct model *model = &models[vm];

	if (machine.vm[vm]->life != model->life) {
		model->life = machine.vm[vm]->life;
		begin(vm);
	}
	if (blind) /* half of it may have been done */
		return;
	for (u32 i = 0; i < model->ports; i++) {
		bool open = machine.vm[vm]->ipc->event.port[i].from;

		if (open && !model->port[i].open)
			port_opened(vm, i, sure);
		if (!open && model->port[i].open) {
			model->port[i].open = false;
			events_raise_peer(vm, i);
		}
	}
}

/* ---- The guest ------------------------------------------------------------------------------- */

static struct weir_pages pages_of(const struct vcpu *vcpu)
{
	struct vcpu_ipc *ipc = vcpu->ipc;

	return (struct weir_pages){ (struct weir_in *)(uintptr_t)ipc->in, ipc->out,
				    (const u32 *)(ipc->out + 1), ipc->out->event_slots };
}

static struct queue *first_queue(struct model *model, u32 vcpu)
{
	for (u32 priority = WEIR_EVENT_PRIORITIES; priority-- > 0;)
		if (model->queue[vcpu][priority].count)
			return &model->queue[vcpu][priority];
	return 0;
}

bool events_receive(u32 vm, u32 vcpu)
{
	struct weir_pages pages = pages_of(machine.vm[vm]->vcpu[vcpu]);
	struct queue *queue = first_queue(&models[vm], vcpu);
	u32 port;

	if (!models[vm].honest)
		return false;
	if (blind)
		return weir_event_next(&pages, &port);
	if (!weir_event_next(&pages, &port)) {
		assert_null(queue);
		return false;
	}
	assert_non_null(queue);
	assert_int_equal(port, queue->port[0]);
	memmove(queue->port, queue->port + 1, --queue->count * sizeof(queue->port[0]));
	return true;
}

void events_lie(u32 vm)
{
	models[vm].honest = false;
	memset(models[vm].queue, 0, sizeof(models[vm].queue));
}

static void learn_queue(struct queue *queue, const struct vcpu *vcpu, u32 priority)
{
	const struct event_ring *ring = &vcpu->ipc->event.ring[priority];

	queue->count = 0;
	for (u64 at = vcpu->ipc->in->event_head[priority]; at < ring->tail; at++) {
		assert_true(queue->count < EVENTS_PORTS);
		queue->port[queue->count++] = ring->slot[at & ring->mask];
	}
}

static void learn(const struct vm *vm, struct model *model)
{
	for (u32 vcpu = 0; vcpu < vm->vcpu_count; vcpu++)
		for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++)
			learn_queue(&model->queue[vcpu][priority], vm->vcpu[vcpu], priority);
	for (u32 i = 0; i < model->ports; i++) {
		const struct port *port = &vm->ipc->event.port[i];
		struct vcpu *vcpu = port->ring->vcpu;

		model->port[i].bound =
			&model->queue[vcpu->index][port->ring - vcpu->ipc->event.ring];
	}
}

void events_learn(void)
{
	for (u32 vm = 0; vm < MACHINE_VMS; vm++)
		if (machine.vm[vm] && models[vm].honest && machine_runs(vm))
			learn(machine.vm[vm], &models[vm]);
}

void events_begin_blind(void)
{
	blind++;
}

void events_end_blind(void)
{
	blind--;
}

bool events_are_blind(void)
{
	return blind;
}

bool events_honest(u32 vm)
{
	return models[vm].honest;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

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
	for (u32 i = 0; i < event->channel_count; i++) {
		const struct port *port = &event->port[i];

		if (port->ring != ring)
			continue;
		assert_true(port->entered <= ring->tail);
		if (port->entered > ring->head) {
			assert_int_equal(ring->slot[(port->entered - 1) & ring->mask], i);
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

static void check_ports(const struct vm *vm, const struct model *model)
{
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
	}
}

void events_check(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		const struct vm *vm = machine.vm[id];
		struct model *model = &models[id];

		if (!vm)
			continue;
		check_ports(vm, model);
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
