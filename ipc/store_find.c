/*
 * The store: nodes found by their names, and listed (store_node.h).
 *
 * Listing goes through the numbers of all nodes, not through the children: so it goes on behind a number,
 * whatever was removed or made meanwhile, and what may not be read leaves no trace in it: numbers that were
 * never used are looked at as all others, or where a call ends would tell how many of them a VM has used.
 */
#include "ipc/store.h"

#include "ipc/store_node.h"

#define LIST_AT_ONCE 96u /* numbers that a call looks at */

bool store_copy_name(const struct vcpu *self, u64 bytes, struct store_name *name)
{
	const u64 *from = (const u64 *)self->ipc->in->buffer;
	const char *text;

	if (bytes == 0 || bytes > WEIR_NAME_MAX)
		return false;
	for (u32 i = 0; i < STORE_NAME_WORDS; i++) {
		u64 left = bytes > i * 8 ? bytes - i * 8 : 0;

		name->word[i] = left ? read_once(from[i]) : 0;
		if (left && left < 8)
			name->word[i] &= BIT(left * 8) - 1;
	}
	text = (const char *)name->word;
	for (u32 i = 0; i < bytes; i++)
		if (text[i] < '!' || text[i] > '~' || text[i] == '/')
			return false;
	return true;
}

/* The tree in which a child of the node is, by the VM that x3 says; 0: there is no such VM. */
static const u16 *tree_of(const struct store_node *parent, weir_handle whose)
{
	const struct vm *vm = vm_get(whose & (BIT(STORE_INDEX_BITS) - 1));

	if (!whose)
		return parent->depth ? &store_owner(parent)->tree : &store.homes;
	if (!vm || whose >> STORE_INDEX_BITS != read_once(vm->life))
		return 0;
	return &vm->ipc->store.tree;
}

enum weir_status store_find_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	enum weir_status status = WEIR_NOT_FOUND;
	const struct store_node *parent;
	struct store_name name;
	const u16 *tree;
	u32 index = 0;

	if (!store_copy_name(self, in->x2, &name))
		return WEIR_INVALID;
	spin_lock(&store.lock);
	parent = store_lookup(self->vm, in->x1);
	if (!parent) {
		status = WEIR_STALE;
	} else if ((tree = tree_of(parent, in->x3))) {
		index = store_tree_find(*tree, store_index(parent), &name);
		if (index && store_may_read(store_node(index), self->vm->id)) {
			out->x1 = store_node(index)->handle;
			status = WEIR_OK;
		}
	}
	spin_unlock(&store.lock);
	return status;
}

/* The next child from number *at on that one of `vms` may read; 0: none so far. */
static const struct store_node *next_child(const struct store_node *parent, u64 vm, u32 *at)
	NEEDS(&store.lock)
{
	bool all = store_owners(parent) & vm; /* then what is below it may be read, too */

	for (u32 looks = 0; looks < LIST_AT_ONCE && *at < store.count; looks++) {
		const struct store_node *node = store_node((*at)++);

		if (!node->lives || node->parent != store_index(parent))
			continue;
		if (all || (store_meant(node, node->read) | BIT(node->owner)) & vm)
			return node;
	}
	return 0;
}

enum weir_status store_list_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	enum weir_status status = WEIR_NOT_FOUND;
	struct store_name *name = (struct store_name *)self->ipc->out->store_name;
	const struct store_node *parent, *child = 0;
	u32 at = (u32)min(max(in->x2, 1), UINT32_MAX);

	spin_lock(&store.lock);
	parent = store_lookup(self->vm, in->x1);
	if (!parent) {
		status = WEIR_STALE;
	} else if (at < store.count) {
		at = (u32)index_nospec(at, store.count);
		child = next_child(parent, BIT(self->vm->id), &at);
		status = child || at < store.count ? WEIR_OK : WEIR_NOT_FOUND;
		out->x2 = at;
	}
	if (child) {
		*name = child->name;
		out->x1 = child->handle;
		out->x3 = store_owner_handle(child);
	}
	spin_unlock(&store.lock);
	return status;
}
