/* A model of what raises ports of Weir's own kinds (sources.h). */
#include "sources.h"

#include "ipc/store_node.h"

#define NODES_MAX     64u
#define WATCHERS      8u /* ports of the machine that are told of changes of VMs */
#define ANY_VM	      0xffu
#define HANDLE_NUMBER 0xfffful

static struct model {
	enum vm_state stepped, seen; /* that watchers were told of; that was looked at last */
	bool heard;		     /* of the store, and has not searched to the end since */
	u64 life;
	struct vcpu_model {
		u64 deadline; /* of the timer; 0: none */
		u64 tail;     /* of completions, as last seen */
		bool had_port, interrupt, raised;
		u64 tell; /* VMs that it has still to tell of the store */
	} vcpu[MACHINE_VCPUS];
} models[MACHINE_VMS];

static struct store_node before[NODES_MAX];

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static struct vcpu_model *model_of(const struct vcpu *vcpu)
{
	return &models[vcpu->vm->id].vcpu[vcpu->index];
}

/* The port that this vCPU, or its VM, has of a kind of which there is one. */
static u32 port_of_vcpu(const struct vcpu *vcpu, enum port_kind kind)
{
	u32 port = events_find(vcpu->vm->id, kind, 0);

	while (port < EVENTS_PORTS && kind != PORT_STORE &&
	       events_of(vcpu->vm->id, port) != vcpu->index)
		port = events_find(vcpu->vm->id, kind, port + 1);
	return port;
}

static void raise(const struct vcpu *vcpu, enum port_kind kind)
{
	u32 port = port_of_vcpu(vcpu, kind);

	if (port < EVENTS_PORTS)
		events_raise(vcpu->vm->id, port);
}

/* ---- Opening ------------------------------------------------------------------------------------------- */

static u32 watchers(void)
{
	u32 count = 0;

	for (u32 vm = 0; vm < MACHINE_VMS; vm++)
		for (u32 port = 0; port < EVENTS_PORTS; port++)
			count += events_find(vm, PORT_VM_STATE, port) == port;
	return count;
}

static u32 state_errors(const struct vcpu *self, u64 argument)
{
	u32 other = argument & HANDLE_NUMBER;

	if (self->vm->id) /* VM a alone has the right */
		return one(WEIR_DENIED);
	if (argument && (other >= MACHINE_VMS || !machine.vm[other]))
		return one(WEIR_NOT_FOUND);
	if (argument && argument >> 16 != machine.vm[other]->life)
		return one(WEIR_STALE);
	return watchers() == WATCHERS ? one(WEIR_BUSY) : 0;
}

u32 sources_errors(const struct vcpu *self, enum port_kind kind, u64 argument)
{
	if (kind == PORT_VM_STATE)
		return state_errors(self, argument);
	if (argument)
		return one(WEIR_INVALID);
	return port_of_vcpu(self, kind) < EVENTS_PORTS ? one(WEIR_BUSY) : 0;
}

void sources_opened(const struct vcpu *self, enum port_kind kind)
{
	if (kind == PORT_TIMER)
		model_of(self)->deadline = 0;
	if (kind == PORT_BLOCK)
		model_of(self)->had_port = true;
	if (kind == PORT_STORE)
		raise(self, kind);
}

/* ---- Timers -------------------------------------------------------------------------------------------- */

u32 sources_timer_errors(const struct vcpu *self, weir_handle handle)
{
	u32 errors = events_port_errors(self->vm->id, handle), port = handle & HANDLE_NUMBER;

	if (errors)
		return errors;
	if (events_find(self->vm->id, PORT_TIMER, port) != port)
		return one(WEIR_INVALID);
	return events_of(self->vm->id, port) == self->index ? 0 : one(WEIR_DENIED);
}

void sources_timer(const struct vcpu *self, u64 deadline)
{
	model_of(self)->deadline = deadline;
}

/* For each vCPU that this core has, by its interrupt. */
static void each_here(void (*what)(struct vcpu *vcpu))
{
	for (u32 id = 0; id < MACHINE_VMS; id++)
		for (u32 i = 0; machine.vm[id] && i < machine.vm[id]->vcpu_count; i++)
			if (machine.vm[id]->vcpu[i]->core == machine.core)
				what(machine.vm[id]->vcpu[i]);
}

static void after_time(struct vcpu *vcpu)
{
	struct vcpu_model *model = model_of(vcpu);

	if (model->deadline && model->deadline <= machine.now) {
		model->deadline = 0;
		raise(vcpu, PORT_TIMER);
	}
}

void sources_after_time(void)
{
	each_here(after_time);
}

/* ---- Completions, and VMs ------------------------------------------------------------------------------ */

bool sources_interrupt(const struct vcpu *vcpu)
{
	return model_of(vcpu)->interrupt || !model_of(vcpu)->had_port;
}

static void completed(const struct vcpu *vcpu)
{
	struct vcpu_model *model = model_of(vcpu);
	const bool *raised = &machine.raised[vcpu->vm->id][vcpu->index][WEIR_INTID_BLOCK];

	/* While the VM is renewed it begins at 0. */
	if (machine_runs(vcpu->vm->id) && model->tail != vcpu->ipc->block.tail &&
	    !events_are_blind()) {
		if (port_of_vcpu(vcpu, PORT_BLOCK) == EVENTS_PORTS)
			model->interrupt = true;
		else
			assert_true(model->raised || !*raised);
		assert_true(!model->interrupt || port_of_vcpu(vcpu, PORT_BLOCK) < EVENTS_PORTS ||
			    *raised);
		raise(vcpu, PORT_BLOCK);
	}
	if (vcpu->ipc->block.tail == vcpu->ipc->in->completion_head)
		model->interrupt = false;
	model->tail = vcpu->ipc->block.tail;
	model->raised = *raised;
}

static void begin_life(u32 id)
{
	struct model *model = &models[id];

	model->life = machine.vm[id]->life;
	model->heard = false;
	for (u32 i = 0; i < MACHINE_VCPUS; i++) {
		model->vcpu[i].had_port = model->vcpu[i].interrupt = false;
	}
}

static void changed(u32 vm)
{
	for (u32 id = 0; id < MACHINE_VMS; id++)
		for (u32 port = 0; port < EVENTS_PORTS; port++)
			if (events_find(id, PORT_VM_STATE, port) == port &&
			    (events_of(id, port) == ANY_VM || events_of(id, port) == vm))
				events_raise(id, port);
}

void sources_settle(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		struct model *model = &models[id];
		struct vm *vm = machine.vm[id];

		if (!vm)
			continue;
		if (vm->life != model->life)
			begin_life(id);
		for (u32 i = 0; i < vm->vcpu_count; i++)
			completed(vm->vcpu[i]);
		if (vm->state != model->seen && (vm->state == VM_OFF || vm->state == VM_RUNNING))
			changed(id);
		model->seen = vm->state;
	}
}

void sources_stepped(u32 vm, enum vm_state state)
{
	if (models[vm].stepped != state)
		changed(vm);
	models[vm].stepped = state;
}

/* ---- The store ----------------------------------------------------------------------------------------- */

/* VMs that may read the node, of the store as it was or as it is. */
static u64 readers(const struct store_node *nodes, u32 index)
{
	u64 vms = 0;

	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++) {
		const struct store_node *node = &nodes[index];
		const struct manifest_vm *config = machine.vm[vm]->config;
		bool may = !node->depth || config->rights & RIGHT_STORE ||
			   (config->talks & BIT(node->owner) && node->read & BIT(vm));

		for (; node->depth; node = &nodes[node->parent])
			may |= node->owner == vm;
		vms |= may ? BIT(vm) : 0;
	}
	return nodes[index].lives ? vms : 0;
}

/* VMs with a watch that has something to tell now, and had not. */
static u64 fired(weir_handle touched)
{
	u64 vms = 0;

	for (u32 i = 1; i < store.count; i++) {
		const struct store_node *was = &before[i], *is = store_node(i);
		u32 parent = is->lives ? is->parent : was->parent;
		u64 who;

		if (was->lives == is->lives && was->generation == is->generation &&
		    (!is->lives || is->handle != touched))
			continue;
		who = readers(before, i) | readers(store.node, i);
		vms |= was->lives ? who & was->watch & ~was->fired : 0;
		vms |= who & readers(before, parent) & before[parent].watch & ~before[parent].fired;
	}
	return vms;
}

void sources_before_store(void)
{
	assert_true(store.count <= NODES_MAX);
	for (u32 i = 0; i < store.count; i++)
		before[i] = *store_node(i);
}

/* Of those whom the vCPU had to tell it has told a few, or all; the rest it tells later. */
static void told(struct vcpu *vcpu, u64 had)
{
	u64 left = vcpu->ipc->store_tell, now = had & ~left;

	if (events_are_blind())
		return;
	assert_false(left & ~had);
	assert_int_equal(__builtin_popcountl(now),
			 min(STORE_TELL_AT_ONCE, (u32)__builtin_popcountl(had)));
	for (u32 id = 0; id < MACHINE_VMS; id++)
		if (now >> id & 1)
			raise(machine.vm[id]->vcpu[0], PORT_STORE);
	model_of(vcpu)->tell = left;
}

static void after(struct vcpu *vcpu, u64 vms)
{
	/* A step of a VM's end that is not about the store tells nobody. */
	if (!vms && vcpu->ipc->store_tell == model_of(vcpu)->tell)
		return;
	told(vcpu, model_of(vcpu)->tell | vms);
}

void sources_after_store(const struct vcpu *self, weir_handle touched)
{
	after(machine.vm[self->vm->id]->vcpu[self->index], fired(touched));
}

void sources_after_end(u32 vm)
{
	u64 vms = fired(0);

	for (u32 i = 0; i < machine.vm[vm]->vcpu_count; i++)
		after(machine.vm[vm]->vcpu[i], i ? 0 : vms);
}

void sources_received(u32 vm, u32 port)
{
	if (machine.vm[vm]->ipc->event.port[port].kind == PORT_STORE)
		models[vm].heard = true;
}

void sources_searched(u32 vm)
{
	models[vm].heard = false;
}

/* ---- What is believed, and what has to hold ------------------------------------------------------------ */

static void learn_vcpu(struct vcpu *vcpu)
{
	struct vcpu_model *model = model_of(vcpu);
	const struct timeout *timer = &vcpu->ipc->event.timer;

	model->deadline = timeout_pending(timer) ? timer->deadline : 0;
	model->tail = vcpu->ipc->block.tail;
	model->had_port |= port_of_vcpu(vcpu, PORT_BLOCK) < EVENTS_PORTS;
	model->interrupt = false;
	model->raised = machine.raised[vcpu->vm->id][vcpu->index][WEIR_INTID_BLOCK];
	model->tell = vcpu->ipc->store_tell;
}

void sources_learn(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		const struct vm *vm = machine.vm[id];

		if (!vm)
			continue;
		if (vm->life != models[id].life)
			begin_life(id);
		models[id].stepped = (enum vm_state)vm->work.state;
		models[id].seen = vm->state;
		for (u32 i = 0; i < vm->vcpu_count; i++)
			learn_vcpu(vm->vcpu[i]);
	}
}

void sources_reset(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++)
		models[id] = (struct model){ .life = 1 };
	sources_learn();
}

/* A watch of the VM has something to tell: it is or will be told, or has been. */
static void check_watches(u32 id)
{
	u32 port = events_find(id, PORT_STORE, 0);
	u64 telling = store.tell;
	bool tells = false;

	for (u32 i = 0; i < store.count; i++)
		tells |= store_node(i)->lives && store_node(i)->fired >> id & 1;
	if (!tells || port == EVENTS_PORTS || models[id].heard || events_waits(id, port))
		return;
	for (u32 vm = 0; vm < MACHINE_VMS - 1; vm++)
		for (u32 i = 0; i < machine.vm[vm]->vcpu_count; i++)
			telling |= machine.vm[vm]->vcpu[i]->ipc->store_tell;
	assert_true(telling >> id & 1);
}

void sources_check(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		const struct vm *vm = machine.vm[id];

		for (u32 i = 0; vm && i < vm->vcpu_count; i++) {
			const struct vcpu_ipc *ipc = vm->vcpu[i]->ipc;
			const struct vcpu_model *model = model_of(vm->vcpu[i]);

			assert_int_equal(timeout_pending(&ipc->event.timer), model->deadline != 0);
			if (model->deadline)
				assert_int_equal(ipc->event.timer.deadline, model->deadline);
			assert_int_equal(ipc->store_tell, model->tell);
			assert_true(!model->tell || !machine_runs(id) ||
				    vm->vcpu[i]->turns == TURNS_CALL);
		}
		if (vm && machine_runs(id) && events_honest(id))
			check_watches(id);
	}
	assert_int_equal(store.tell, 0);
}
