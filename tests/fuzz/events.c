/* A model of the event channels (events.h). */
#include "events_model.h"

#include <string.h>
#include <weir/event.h>

#define GENERATION 65536ul /* of a handle: above the number of the port */

struct events_model events_models[MACHINE_VMS];
static u32 blind; /* so many steps are at work whose effects come one by one */

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static void join(u32 a, u32 b)
{
	u32 one_end = events_models[a].ports++, other = events_models[b].ports++;

	events_models[a].port[one_end] =
		(struct end){ .kind = PORT_CHANNEL, .peer_vm = b, .peer_port = other };
	events_models[b].port[other] =
		(struct end){ .kind = PORT_CHANNEL, .peer_vm = a, .peer_port = one_end };
}

static void begin(u32 vm)
{
	struct events_model *model = &events_models[vm];

	model->honest = true;
	memset(model->queue, 0, sizeof(model->queue));
	memset(model->tail, 0, sizeof(model->tail));
}

static void open_port(struct events_model *model, u32 port)
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
	memset(events_models, 0, sizeof(events_models));
	blind = 0;
	join(0, 1);
	join(0, 2);
	join(1, 2);
	join(1, 0);
	for (u32 vm = 0; vm < MACHINE_VMS; vm++) {
		begin(vm);
		events_models[vm].life = 1;
		for (u32 i = 0; i < events_models[vm].ports; i++)
			open_port(&events_models[vm], i);
		for (u32 i = events_models[vm].ports; i < EVENTS_PORTS; i++)
			events_models[vm].port[i].handle = i;
	}
}

u32 events_ports(u32 vm)
{
	return events_models[vm].ports;
}

u32 events_all_ports(u32 vm)
{
	return machine.vm[vm]->ipc->event.port_count;
}

weir_handle events_handle(u32 vm, u32 port)
{
	return events_models[vm].port[port].handle;
}

u64 events_word(u32 vm, u32 port)
{
	return events_models[vm].port[port].word;
}

bool events_open(u32 vm, u32 port)
{
	return events_models[vm].port[port].open;
}

bool events_peer_open(u32 vm, u32 port)
{
	const struct end *end = &events_models[vm].port[port];

	if (end->kind == PORT_CHANNEL)
		return events_models[end->peer_vm].port[end->peer_port].open;
	return end->kind == PORT_IPI || end->joined;
}

/* ---- What calls may answer ------------------------------------------------------------------- */

u32 events_port_errors(u32 vm, weir_handle handle)
{
	u32 port = handle & (GENERATION - 1);

	if (port >= events_all_ports(vm) || handle < GENERATION)
		return one(WEIR_INVALID);
	if (handle == events_models[vm].port[port].handle &&
	    events_models[vm].port[port].kind != PORT_FREE)
		return 0;
	return one(handle <= events_models[vm].port[port].handle ? WEIR_STALE : WEIR_INVALID);
}

u32 events_grant_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle), port = handle & (GENERATION - 1);
	const struct end *end;

	if (errors)
		return errors;
	end = &events_models[vm].port[port];
	if (end->kind == PORT_CHANNEL)
		return 0;
	if (end->kind != PORT_PEER)
		return one(WEIR_INVALID);
	return end->joined ? 0 : one(WEIR_CLOSED);
}

bool events_joined(u32 vm, u32 port)
{
	return events_models[vm].port[port].kind == PORT_CHANNEL ||
	       events_models[vm].port[port].joined;
}

u32 events_send_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle);

	if (errors)
		return errors;
	return events_peer_open(vm, handle & (GENERATION - 1)) ? 0 : one(WEIR_CLOSED);
}

static struct queue *queue_of_pending(struct events_model *model, u32 port)
{
	for (u32 vcpu = 0; vcpu < MACHINE_VCPUS; vcpu++)
		for (u32 priority = 0; priority < WEIR_EVENT_PRIORITIES; priority++)
			for (u32 i = 0; i < model->queue[vcpu][priority].count; i++)
				if (model->queue[vcpu][priority].port[i] == port)
					return &model->queue[vcpu][priority];
	return 0;
}

u32 events_find(u32 vm, enum port_kind kind, u32 from)
{
	while (from < EVENTS_PORTS &&
	       (!events_models[vm].port[from].open || events_models[vm].port[from].kind != kind))
		from++;
	return from;
}

u32 events_of(u32 vm, u32 port)
{
	return events_models[vm].port[port].of;
}

bool events_waits(u32 vm, u32 port)
{
	const struct end *end = &events_models[vm].port[port];

	return queue_of_pending(&events_models[vm], port) || (end->masked && end->latched);
}

u32 events_bind_errors(u32 vm, weir_handle handle, u64 vcpu, u64 priority)
{
	struct events_model *model = &events_models[vm];
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

u32 events_named(u32 vm, weir_handle handle)
{
	const struct end *end = &events_models[vm].port[handle & (GENERATION - 1)];

	if (end->kind == PORT_CHANNEL)
		return end->peer_vm;
	return end->kind == PORT_PEER ? end->of : MACHINE_VMS;
}

u32 events_name_errors(u32 vm, weir_handle handle)
{
	u32 errors = events_port_errors(vm, handle);

	if (!errors && events_named(vm, handle) == MACHINE_VMS)
		return one(WEIR_INVALID);
	return errors;
}

u32 events_room_errors(u32 vm, u32 *maybe)
{
	struct events_model *model = &events_models[vm];

	if (!model->honest)
		*maybe |= one(WEIR_QUOTA);
	for (u32 i = model->ports; i < events_all_ports(vm); i++)
		if (model->port[i].kind == PORT_FREE && !queue_of_pending(model, i))
			return 0;
	return one(WEIR_QUOTA);
}

u32 events_connect_errors(u32 vm, u32 peer, weir_handle theirs, u32 *maybe)
{
	u32 errors = events_port_errors(peer, theirs);
	const struct end *end;

	if (!errors)
		errors = events_room_errors(vm, maybe);
	if (errors)
		return errors;
	end = &events_models[peer].port[theirs & (GENERATION - 1)];
	if (end->kind != PORT_PEER || end->of != vm)
		return one(WEIR_DENIED);
	return end->waiting ? 0 : one(WEIR_BUSY);
}

u32 events_close_errors(u32 vm, weir_handle handle, bool grants)
{
	u32 errors = events_port_errors(vm, handle);

	if (!errors && events_models[vm].port[handle & (GENERATION - 1)].kind == PORT_CHANNEL)
		return one(WEIR_DENIED);
	return errors ? errors : grants ? one(WEIR_BUSY) : 0;
}

/* ---- What calls do --------------------------------------------------------------------------- */

void events_raise(u32 vm, u32 port)
{
	struct events_model *model = &events_models[vm];
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
	const struct end *end = &events_models[vm].port[port];

	events_raise(end->peer_vm, end->peer_port);
}

void events_bind(u32 vm, u32 port, u32 vcpu, u32 priority)
{
	events_models[vm].port[port].bound = &events_models[vm].queue[vcpu][priority];
}

void events_publish(u32 vm, u32 port, u64 word)
{
	const struct end *end = &events_models[vm].port[port];

	events_models[end->peer_vm].port[end->peer_port].word = word;
	events_raise(end->peer_vm, end->peer_port);
}

/* The number was nobody's, and no event names it. */
static struct end *given(u32 vm, weir_handle handle, enum port_kind kind)
{
	struct events_model *model = &events_models[vm];
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

void events_opened(u32 vm, weir_handle handle, enum port_kind kind, u32 of)
{
	struct end *end = given(vm, handle, kind);

	end->of = of;
	end->waiting = kind == PORT_PEER;
}

void events_connected(u32 vm, weir_handle handle, u32 peer, weir_handle theirs)
{
	u32 port = theirs & (GENERATION - 1);
	struct end *own = given(vm, handle, PORT_PEER), *end = &events_models[peer].port[port];

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
	struct end *end = &events_models[vm].port[port];
	bool joined = end->joined;

	end->kind = PORT_FREE;
	end->open = end->joined = false;
	if (!joined)
		return;
	events_models[end->peer_vm].port[end->peer_port].joined = false;
	events_raise(end->peer_vm, end->peer_port);
}

void events_mask(u32 vm, u32 port, bool masked)
{
	struct end *end = &events_models[vm].port[port];
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
	const struct end *end = &events_models[vm].port[port];

	open_port(&events_models[vm], port);
	if (!sure)
		events_models[vm].port[port].handle = real->handle;
	events_models[vm].port[port].word = sure ? 0 : real->word;
	events_models[end->peer_vm].port[end->peer_port].word = sure ? 0 : real->peer->word;
	events_raise_peer(vm, port);
}

void events_follow(u32 vm, bool sure)
{
	struct events_model *model = &events_models[vm];

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

static struct queue *first_queue(struct events_model *model, u32 vcpu)
{
	for (u32 priority = WEIR_EVENT_PRIORITIES; priority-- > 0;)
		if (model->queue[vcpu][priority].count)
			return &model->queue[vcpu][priority];
	return 0;
}

/* Brings what may be in any order into that of the ring. */
static void settle_queue(struct queue *queue, const struct vcpu *vcpu, u32 priority)
{
	const struct event_ring *ring = &vcpu->ipc->event.ring[priority];
	u64 head = vcpu->ipc->in->event_head[priority];

	for (u32 i = queue->settled; i < queue->count; i++)
		for (u32 k = i + 1; k < queue->count; k++)
			if (queue->port[k] == ring->slot[(head + i) & ring->mask]) {
				queue->port[k] = queue->port[i];
				queue->port[i] = ring->slot[(head + i) & ring->mask];
			}
}

/* Not of those who lie, or do not run. */
static void settle(bool loose)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		const struct vm *vm = machine.vm[id];

		for (u32 i = 0; vm && i < vm->vcpu_count * WEIR_EVENT_PRIORITIES; i++) {
			u32 vcpu = i / WEIR_EVENT_PRIORITIES, priority = i % WEIR_EVENT_PRIORITIES;
			struct queue *queue = &events_models[id].queue[vcpu][priority];

			if (!loose && events_models[id].honest && machine_runs(id))
				settle_queue(queue, vm->vcpu[vcpu], priority);
			queue->settled = loose ? min(queue->settled, queue->count) : EVENTS_PORTS;
		}
	}
}

void events_loose(void)
{
	settle(true);
}

void events_settle(void)
{
	settle(false);
}

bool events_receive(u32 vm, u32 vcpu, u32 *port)
{
	struct weir_pages pages = pages_of(machine.vm[vm]->vcpu[vcpu]);
	struct queue *queue = first_queue(&events_models[vm], vcpu);

	if (!events_models[vm].honest)
		return false;
	if (blind)
		return weir_event_next(&pages, port);
	events_settle();
	if (!weir_event_next(&pages, port)) {
		assert_null(queue);
		return false;
	}
	assert_non_null(queue);
	assert_int_equal(*port, queue->port[0]);
	memmove(queue->port, queue->port + 1, --queue->count * sizeof(queue->port[0]));
	return true;
}

void events_lie(u32 vm)
{
	events_models[vm].honest = false;
	memset(events_models[vm].queue, 0, sizeof(events_models[vm].queue));
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

static void learn(const struct vm *vm, struct events_model *model)
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

static void learn_ports(const struct vm *vm, struct events_model *model)
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
		learn_ports(machine.vm[vm], &events_models[vm]);
		if (events_models[vm].honest && machine_runs(vm))
			learn(machine.vm[vm], &events_models[vm]);
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
	return events_models[vm].honest;
}
