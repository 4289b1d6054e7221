/*
 * The store: its memory, and the nodes and watches of a VM that ends (store_node.h).
 *
 * A VM that ends is `closed` first: from then on nobody makes anything below its nodes, so what is
 * there gets less with each step. What others have below a node of it goes before the node does.
 */
#include "core/base/string.h"
#include "core/memory.h"
#include "ipc/store.h"
#include "ipc/store_node.h"

#define STOP_AT_ONCE 64u /* numbers without a node that a step passes over */

/* The VM's range: its home and the nodes that it may make; 0: it takes no part. */
static u32 range_of(const struct manifest_vm *config)
{
	return config->store_nodes ? config->store_nodes + 1 : 0;
}

u64 store_heap_bytes(const struct manifest_vm *config)
{
	/* All VMs' are in one piece, with the root: so whole pages for each are enough. */
	u64 count = range_of(config) + 1, bytes = 0;

	if (config->store_nodes)
		bytes = heap_cost(align_up(count * sizeof(struct store_node), PAGE_SIZE)) +
			heap_cost(align_up(count * sizeof(struct store_value), PAGE_SIZE));
	return bytes + heap_cost(config->store_watches * sizeof(weir_handle));
}

static void reset_home(struct store_node *home) NEEDS(&store.lock)
{
	home->read = ~0ul;
	home->write = home->add = 0;
	store_owner(home)->bytes -= home->bytes;
	home->bytes = 0;
	home->generation++;
}

static void create_range(struct vm *vm, u32 *at) NO_THREAD_SAFETY
{
	struct store_vm *own = &vm->ipc->store;
	struct store_name name = { { 0 } };

	store.vm[vm->id] = own;
	own->vm = vm;
	own->talks = vm->config->talks;
	own->watch_count = vm->config->store_watches;
	own->bytes_max = vm->config->store_bytes;
	own->watch = own->watch_count ? heap_alloc(own->watch_count * sizeof(*own->watch)) : 0;
	own->base = *at;
	own->count = range_of(vm->config);
	if (vm->config->rights & RIGHT_STORE)
		store.lords |= BIT(vm->id);
	if (!own->count)
		return;
	own->fresh = 1;
	for (; *at < own->base + own->count; ++*at) {
		store_node(*at)->handle = BIT(STORE_INDEX_BITS) | *at; /* the first generation */
		store_node(*at)->owner = (u8)vm->id;
	}
	memcpy(&name, vm->config->name, min(strlen(vm->config->name), WEIR_NAME_MAX));
	store_link(own->base, 0, &store.homes, &name);
	store_node(own->base)->read = ~0ul;
}

void store_create(void)
{
	u32 count = 1, at = 1;

	store = (struct store){ 0 };
	for (u32 i = 0; i < vm_count(); i++)
		if (vm_get(i))
			count += range_of(vm_get(i)->config);
	if (count > 1) {
		store.count = count;
		store.node = heap_alloc(count * sizeof(*store.node));
		store.value = heap_alloc(count * sizeof(*store.value));
		store.node[0].handle = BIT(STORE_INDEX_BITS);
		store.node[0].owner = STORE_NOBODY;
		store.node[0].generation = 1;
		store.node[0].lives = true;
	}
	for (u32 i = 0; i < vm_count(); i++)
		if (vm_get(i))
			create_range(vm_get(i), &at);
}

/* The VM's nodes from number `from` of its range on: one goes, or some that do not live are passed over. */
static u32 stop_nodes(const struct store_vm *own, u32 from) NEEDS(&store.lock)
{
	u32 end = min(from + STOP_AT_ONCE, own->fresh);
	struct store_node *node;

	while (from < end && !store_node(own->base + from)->lives)
		from++;
	if (from == end)
		return end;
	node = store_node(own->base + from);
	while (node->child)
		node = store_node(node->child);
	if (store_index(node) != own->base) {
		store_unlink(node);
		return from;
	}
	reset_home(node);
	store_changed(node, store_readers(node));
	return from + 1;
}

bool store_vm_stop(struct vm *vm, u64 *at)
{
	struct store_vm *own = &vm->ipc->store;
	u32 nodes;
	bool more;

	if (*at < own->watch_count) {
		*at = store_watch_stop(vm, (u32)*at);
		return true;
	}
	nodes = (u32)*at - own->watch_count;
	spin_lock(&store.lock);
	own->closed = true;
	more = nodes < own->fresh;
	if (more)
		nodes = stop_nodes(own, nodes);
	store_tell(vm->vcpu[0]);
	*at = own->watch_count + nodes;
	return more;
}

bool store_vm_tell(struct vm *vm, u64 *at)
{
	struct vcpu *vcpu = vm->vcpu[*at];

	if (!store_tell_more(vcpu))
		++*at;
	return *at < vm->vcpu_count;
}

bool store_vm_reset(struct vm *vm, u64 *at)
{
	struct store_vm *own = &vm->ipc->store;

	(void)at;
	spin_lock(&store.lock);
	own->closed = false;
	own->search = own->quiet = 0;
	spin_unlock(&store.lock);
	return false;
}
