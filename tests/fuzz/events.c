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
		weir_handle handle; /* the last one, or the number if there was none */
		enum port_kind kind;
		struct queue *bound;
		u64 word;
		bool open; /* somebody has it */
		bool joined; /* of PORT_PEER: there is another end; `of` may connect if it is waiting */
		bool waiting, masked, latched;
		u32 of, peer_vm, peer_port;
	} port[EVENTS_PORTS];
	u32 ports; /* of channels */
} models[MACHINE_VMS];

static u32 blind; /* so many steps are at work whose effects come one by one */

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static void join(u32 a, u32 b)
{
	u32 one_end = models[a].ports++, other = models[b].ports++;

	models[a].port[one_end] =
		(struct end){ .kind = PORT_CHANNEL, .peer_vm = b, .peer_port = other };
	models[b].port[other] =
		(struct end){ .kind = PORT_CHANNEL, .peer_vm = a, .peer_port = one_end };
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
	end->masked = false;
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
		for (u32 i = models[vm].ports; i < EVENTS_PORTS; i++)
			models[vm].port[i].handle = i;
	}
}

u32 events_ports(u32 vm)
{
	return models[vm].ports;
}

u32 events_all_ports(u32 vm)
{
	return machine.vm[vm]->ipc->event.port_count;
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

	if (end->kind == PORT_CHANNEL)
		return models[end->peer_vm].port[end->peer_port].open;
	return end->kind == PORT_IPI || end->joined;
}

/* ---- What calls may answer ------------------------------------------------------------------- */

u32 events_port_errors(u32 vm, weir_handle handle)
{
	u32 port = handle & (GENERATION - 1);

	if (port >= events_all_ports(vm) || handle < GENERATION)
		return one(WEIR_INVALID);
	if (handle == models[vm].port[port].handle && models[vm].port[port].kind != PORT_FREE)
		return 0;
	return one(handle <= models[vm].port[port].handle ? WEIR_STALE : WEIR_INVALID);
}

u32 events_grant_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle), port = handle & (GENERATION - 1);
	const struct end *end;

	if (errors)
		return errors;
	end = &models[vm].port[port];
	if (end->kind == PORT_CHANNEL)
		return 0;
	if (end->kind != PORT_PEER)
		return one(WEIR_INVALID);
	return end->joined ? 0 : one(WEIR_CLOSED);
}

bool events_joined(u32 vm, u32 port)
{
	return models[vm].port[port].kind == PORT_CHANNEL || models[vm].port[port].joined;
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

/* The VM that a port names; MACHINE_VMS: none. */
static u32 named_by(u32 vm, weir_handle handle)
{
	const struct end *end = &models[vm].port[handle & (GENERATION - 1)];

	if (end->kind == PORT_CHANNEL)
		return end->peer_vm;
	return end->kind == PORT_PEER ? end->of : MACHINE_VMS;
}

u32 events_name_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle);

	if (!errors && named_by(vm, handle) == MACHINE_VMS)
		return one(WEIR_INVALID);
	return errors;
}

u32 events_room_errors(u32 vm, u32 *maybe)
{
	struct model *model = &models[vm];

	if (!model->honest)
		*maybe |= one(WEIR_QUOTA);
	for (u32 i = model->ports; i < events_all_ports(vm); i++)
		if (model->port[i].kind == PORT_FREE && !queue_of_pending(model, i))
			return 0;
	return one(WEIR_QUOTA);
}

u32 events_connect_errors(u32 vm, weir_handle handle, weir_handle theirs, u32 *maybe)
{
	u32 errors = events_name_errors(vm, handle), peer;
	const struct end *end;

	if (errors)
		return errors;
	peer = named_by(vm, handle);
	errors = events_port_errors(peer, theirs);
	if (!errors)
		errors = events_room_errors(vm, maybe);
	if (errors)
		return errors;
	end = &models[peer].port[theirs & (GENERATION - 1)];
	if (end->kind != PORT_PEER || end->of != vm)
		return one(WEIR_DENIED);
	return end->waiting ? 0 : one(WEIR_BUSY);
}

u32 events_close_errors(u32 vm, weir_handle handle, bool grants)
{
	u32 errors = events_port_errors(vm, handle);

	if (!errors && models[vm].port[handle & (GENERATION - 1)].kind == PORT_CHANNEL)
		return one(WEIR_DENIED);
	return errors ? errors : grants ? one(WEIR_BUSY) : 0;
}

/* ---- What calls do --------------------------------------------------------------------------- */

void events_raise(u32 vm, u32 port)
{
	struct model *model = &models[vm];
	struct queue *queue = model->port[port].bound;

	if (blind || !model->port[port].open)
		return;
	model->port[port].latched = true;
	if (!model->honest || model->port[port].masked || queue_of_pending(model, port))
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

/* The number was nobody's, and no event names it. */
static struct end *given(u32 vm, weir_handle handle, enum port_kind kind)
{
	struct model *model = &models[vm];
	u32 port = handle & (GENERATION - 1);
	struct end *end = &model->port[port];

	assert_true(port >= model->ports && port < events_all_ports(vm));
	assert_true(end->kind == PORT_FREE && !queue_of_pending(model, port));
	assert_int_equal(handle, end->handle + GENERATION);
	*end = (struct end){ .handle = handle,
			     .kind = kind,
			     .bound = &model->queue[0][0],
			     .open = true,
			     .peer_vm = vm,
			     .peer_port = port };
	return end;
}

void events_opened(u32 vm, weir_handle handle, weir_handle named)
{
	struct end *end;
	u32 of = named ? named_by(vm, named) : 0;

	end = given(vm, handle, named ? PORT_PEER : PORT_IPI);
	end->of = of;
	end->waiting = named;
}

void events_connected(u32 vm, weir_handle handle, weir_handle named, weir_handle theirs)
{
	u32 peer = named_by(vm, named), port = theirs & (GENERATION - 1);
	struct end *own = given(vm, handle, PORT_PEER), *end = &models[peer].port[port];

	own->of = own->peer_vm = peer;
	own->peer_port = port;
	end->peer_vm = vm;
	end->peer_port = handle & (GENERATION - 1);
	own->joined = end->joined = true;
	end->waiting = false;
	events_raise(peer, port);
}

void events_closed(u32 vm, u32 port)
{
	struct end *end = &models[vm].port[port];
	bool joined = end->joined;

	end->kind = PORT_FREE;
	end->open = end->joined = false;
	if (!joined)
		return;
	models[end->peer_vm].port[end->peer_port].joined = false;
	events_raise(end->peer_vm, end->peer_port);
}

void events_mask(u32 vm, u32 port, bool masked)
{
	struct end *end = &models[vm].port[port];
	bool was = end->masked;

	end->masked = masked;
	if (masked && !was)
		end->latched = false;
	if (was && !masked && end->latched)
		events_raise(vm, port);
}

static void port_opened(u32 vm, u32 port, bool sure)
{
	const struct port *real = &machine.vm[vm]->ipc->event.port[port];
	const struct end *end = &models[vm].port[port];

	open_port(&models[vm], port);
	if (!sure)
		models[vm].port[port].handle = real->handle;
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
		const struct port *port = &machine.vm[vm]->ipc->event.port[i];
		bool open = port->from;

		/* A whole life may have gone by in the midst of a step of another. */
		if (open &&
		    (!model->port[i].open || (!sure && port->handle != model->port[i].handle)))
			port_opened(vm, i, sure);
		if (!open && model->port[i].open) {
			model->port[i].open = false;
			events_raise_peer(vm, i);
		}
	}
	for (u32 i = model->ports; i < events_all_ports(vm); i++)
		if (model->port[i].open && machine.vm[vm]->ipc->event.port[i].kind == PORT_FREE)
			events_closed(vm, i);
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
}

/* A port that is no channel's, as it is: what came in between is not told from what was to be. */
static void learn_opened(const struct vm *vm, struct end *end, const struct port *port)
{
	u32 number = (u32)(port - vm->ipc->event.port);

	end->handle = port->handle & ~PORT_CLOSED;
	end->kind = (enum port_kind)port->kind;
	end->open = end->kind != PORT_FREE;
	end->joined = end->kind == PORT_PEER && port->from && port->from != port;
	end->waiting = end->kind == PORT_PEER && port->waiting;
	end->of = port->of;
	end->word = port->word;
	end->peer_vm = end->joined ? port->peer->owner->vm->id : vm->id;
	end->peer_port = end->joined ? (u32)(port->peer - port->peer->owner->port) : number;
}

static void learn_ports(const struct vm *vm, struct model *model)
{
	for (u32 i = 0; i < events_all_ports(vm->id); i++) {
		const struct port *port = &vm->ipc->event.port[i];
		struct end *end = &model->port[i];

		if (i >= model->ports)
			learn_opened(vm, end, port);
		if (port->ring)
			end->bound = &model->queue[port->ring->vcpu->index]
						  [port->ring - port->ring->vcpu->ipc->event.ring];
		end->masked = port->masked;
		end->latched = port->latched;
	}
}

void events_learn(void)
{
	for (u32 vm = 0; vm < MACHINE_VMS; vm++) {
		if (!machine.vm[vm])
			continue;
		learn_ports(machine.vm[vm], &models[vm]);
		if (models[vm].honest && machine_runs(vm))
			learn(machine.vm[vm], &models[vm]);
	}
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

static void check_ports(const struct vm *vm, const struct model *model)
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
		struct model *model = &models[id];

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
