/*
 * The store: watches, and who is told (store_node.h).
 *
 * A change marks the node in one word for all VMs that watch it (`fired`), and says in another that they
 * are to be told (`store.tell`): so what it costs does not depend on how many watches there are. A few VMs
 * are told by the call itself, the others in steps in place of its guest, which the scheduler gives the vCPU by its
 * priority and budget; if the VM ends before, in the steps of that. A VM finds the nodes by going through its own
 * watches. Whoever has made a change takes whom it concerns before it gives the lock back: so nobody ever has to tell
 * of what others do, however often they do it.
 *
 * None is lost: `fired` is set under the lock before the VM is told, and its port's event comes after that [N2];
 * the VM's search begins anew with it (`quiet`), and it takes `fired` back before it looks at the node.
 */
#include "core/hypercall.h"
#include "core/sched.h"
#include "ipc/port.h"
#include "ipc/store.h"
#include "ipc/store_node.h"

#define NEXT_AT_ONCE 24u /* watches that a call looks at */
#define STOP_AT_ONCE 24u /* watches that a step ends */

/* ---- Changes ------------------------------------------------------------------------------------ */

/* A watch that has fired already is told already, or about to be. */
static void fire(struct store_node *node, u64 readers) NEEDS(&store.lock)
{
	u64 fired = node->watch & readers & ~node->fired;

	node->fired |= fired;
	store.tell |= fired;
}

void store_changed(struct store_node *node, u64 readers)
{
	struct store_node *parent = store_node(node->parent);

	fire(node, readers);
	if (parent->watch)
		fire(parent, readers & store_readers(parent));
}

/* Takes VMs from those that the vCPU has to tell of changes, its last ones among them. */
static u64 take_some(struct vcpu_ipc *self) NEEDS(&store.lock)
{
	u64 vms = 0;

	self->store_tell |= store.tell;
	store.tell = 0;
	for (u32 i = 0; i < STORE_TELL_AT_ONCE && self->store_tell; i++) {
		u32 id = (u32)__builtin_ctzl(self->store_tell);

		self->store_tell &= self->store_tell - 1;
		vms |= BIT(id);
		store.vm[id]->quiet = 0; /* [N1] */
	}
	return vms;
}

void store_tell(struct vcpu *self)
{
	struct vcpu_ipc *ipc = self->ipc;
	u64 vms = take_some(ipc);

	spin_unlock(&store.lock);
	/* Before the guest's next instruction: so it is not ahead of this, whatever it does. */
	if (ipc->store_tell && self->turns == TURNS_GUEST) {
		write_once(self->turns, TURNS_CALL);
		sched_again();
	}
	for (; vms; vms &= vms - 1) {
		struct port *port = read_once(store.vm[__builtin_ctzl(vms)]->port);

		if (port)
			port_signal(port, port, 0); /* [N2] */
	}
}

bool store_tell_more(struct vcpu *vcpu)
{
	spin_lock(&store.lock);
	store_tell(vcpu);
	if (vcpu->ipc->store_tell)
		return true;
	if (vcpu->turns == TURNS_CALL)
		write_once(vcpu->turns, TURNS_GUEST);
	return false;
}

void ipc_vcpu_step(struct vcpu *vcpu)
{
	store_tell_more(vcpu);
}

/* ---- Watches of a VM ---------------------------------------------------------------------------- */

/* The node of a watch, if it is still there; whether it may be read is another question. */
static struct store_node *watched(weir_handle watch) NEEDS(&store.lock)
{
	struct store_node *node = store_node(watch & (BIT(STORE_INDEX_BITS) - 1));

	return node->lives && node->handle == watch ? node : 0;
}

/* Where the VM has this handle, 0: a free place; the end of its table: nowhere. */
static u32 place_of(const struct store_vm *vm, weir_handle handle) NEEDS(&store.lock)
{
	u32 i = 0;

	while (i < vm->watch_count && vm->watch[i] != handle)
		i++;
	return i;
}

static void end_watch(const struct vm *vm, u32 place) NEEDS(&store.lock)
{
	weir_handle *watch = &vm->ipc->store.watch[place];
	struct store_node *node = watched(*watch);

	if (node) {
		node->watch &= ~BIT(vm->id);
		node->fired &= ~BIT(vm->id);
	}
	*watch = 0;
}

static enum weir_status begin_watch(const struct vm *vm, weir_handle handle) NEEDS(&store.lock)
{
	struct store_node *node = store_lookup(vm, handle);
	struct store_vm *own = &vm->ipc->store;
	u32 place;

	if (!node)
		return WEIR_STALE;
	if (node->watch & BIT(vm->id))
		return WEIR_OK;
	place = place_of(own, 0);
	if (place == own->watch_count)
		return WEIR_QUOTA;
	own->watch[place] = node->handle;
	node->watch |= BIT(vm->id);
	return WEIR_OK;
}

enum weir_status store_watch_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	const struct vm *vm = self->vm;
	struct store_vm *own = &vm->ipc->store;
	enum weir_status status = WEIR_OK;
	weir_handle handle = in->x1;
	u32 place;

	(void)out;
	if (in->x2 > 1)
		return WEIR_INVALID;
	spin_lock(&store.lock);
	if (in->x2) {
		status = begin_watch(vm, handle);
	} else {
		if (!handle && own->count)
			handle = store_node(own->base)->handle;
		place = handle ? place_of(own, handle) : own->watch_count;
		if (place < own->watch_count)
			end_watch(vm, place);
	}
	spin_unlock(&store.lock);
	return status;
}

/* Has this watch of the VM something to tell? It is told then, or has ended. */
static bool take_fired(const struct vm *vm, u32 place, struct call_results *out) NEEDS(&store.lock)
{
	weir_handle handle = vm->ipc->store.watch[place];
	struct store_node *node;

	if (!handle)
		return false;
	node = watched(handle);
	if (!node || !store_may_read(node, vm->id)) {
		end_watch(vm, place);
		out->x2 = 1;
	} else if (node->fired & BIT(vm->id)) {
		node->fired &= ~BIT(vm->id); /* [N3] before the guest reads it */
	} else {
		return false;
	}
	out->x1 = handle;
	return true;
}

enum weir_status store_watch_next_call(struct vcpu *self, const struct call_args *in,
				       struct call_results *out)
{
	struct store_vm *own = &self->vm->ipc->store;
	bool found = false, round;

	(void)in;
	spin_lock(&store.lock);
	for (u32 i = 0; i < NEXT_AT_ONCE && !found && own->quiet < own->watch_count; i++) {
		found = take_fired(self->vm, own->search, out);
		own->search = own->search + 1 < own->watch_count ? own->search + 1 : 0;
		own->quiet = found ? 0 : own->quiet + 1;
	}
	round = own->quiet >= own->watch_count;
	if (round && !found)
		own->quiet = 0;
	spin_unlock(&store.lock);
	return found || !round ? WEIR_OK : WEIR_NOT_FOUND;
}

u32 store_watch_stop(const struct vm *vm, u32 at)
{
	u32 end = min(at + STOP_AT_ONCE, vm->ipc->store.watch_count);

	spin_lock(&store.lock);
	for (; at < end; at++)
		if (vm->ipc->store.watch[at])
			end_watch(vm, at);
	spin_unlock(&store.lock);
	return end;
}
