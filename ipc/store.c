/*
 * The store: who may do what with a node, and reading, which is what guests do most.
 *
 * Owns:  the nodes (store_node.h). Locks: store.lock guards all of them, and struct store_vm.
 * ABI:   guests/include/weir/store.h
 */
#include "ipc/store.h"

#include "ipc/store_node.h"

struct store store;

u64 store_owners(const struct store_node *node)
{
	u64 owners = 0;

	for (; node->depth; node = store_node(node->parent))
		owners |= BIT(node->owner);
	return owners;
}

u64 store_readers(const struct store_node *node)
{
	return node->depth ? store_meant(node, node->read) | store_owners(node) : ~0ul;
}

/* What store_readers() says of one VM; most ask for what is their own or their peer's. */
bool store_may_read(const struct store_node *node, u32 vm)
{
	if (!node->depth || node->owner == vm || store_meant(node, node->read) & BIT(vm))
		return true;
	return store_owners(node) & BIT(vm);
}

struct store_node *store_lookup(const struct vm *vm, weir_handle handle)
{
	u64 index = handle & (BIT(STORE_INDEX_BITS) - 1);
	struct store_node *node;

	if (!handle)
		return vm->ipc->store.count ? store_node(vm->ipc->store.base) : 0;
	if (index >= store.count)
		return 0;
	node = store_node((u32)index_nospec(index, store.count));
	if (node->handle != handle || !node->lives || !store_may_read(node, vm->id))
		return 0;
	return node;
}

u64 store_owner_handle(const struct store_node *node)
{
	return node->depth
		       ? read_once(store_owner(node)->vm->life) << STORE_INDEX_BITS | node->owner
		       : 0;
}

enum weir_status store_read_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	u64 *to = (u64 *)self->ipc->out->store_value;
	const struct store_node *node;

	spin_lock(&store.lock);
	node = store_lookup(self->vm, in->x1);
	if (node) {
		const struct store_value *value = &store.value[store_index(node)];

		for (u32 i = 0; i * 8 < node->bytes; i++)
			to[i] = value->word[i];
		out->x1 = node->generation;
		out->x2 = node->bytes;
		out->x3 = store_owner_handle(node);
	}
	spin_unlock(&store.lock);
	return node ? WEIR_OK : WEIR_STALE;
}
