/*
 * The store: nodes are made, written, removed, and opened to others (store_node.h).
 *
 * Each call decodes, checks and does under one hold of the lock; then it tells who watches.
 */
#include <weir/store.h>

#include "core/base/string.h"
#include "ipc/store.h"
#include "ipc/store_node.h"

void store_link(u32 index, u32 parent, u16 *tree, const struct store_name *name)
{
	struct store_node *node = store_node(index), *above = store_node(parent);

	node->generation = 1;
	node->read = node->write = node->add = 0;
	node->watch = node->fired = 0;
	node->name = *name;
	node->parent = (u16)parent;
	node->depth = (u8)(above->depth + 1);
	node->bytes = 0;
	node->child = node->previous = 0;
	node->next = above->child;
	if (node->next)
		store_node(node->next)->previous = (u16)index;
	above->child = (u16)index;
	node->lives = true;
	store_tree_insert(tree, index);
}

void store_unlink(struct store_node *node)
{
	struct store_vm *owner = store_owner(node);
	u32 index = store_index(node);

	store_changed(node, store_readers(node));
	store_tree_remove(&owner->tree, index);
	if (node->previous)
		store_node(node->previous)->next = node->next;
	else
		store_node(node->parent)->child = node->next;
	if (node->next)
		store_node(node->next)->previous = node->previous;
	owner->bytes -= node->bytes;
	node->lives = false;
	node->handle += BIT(STORE_INDEX_BITS); /* the next generation */
	node->next = owner->free;
	owner->free = (u16)index;
}

/* ---- Making ------------------------------------------------------------------------------------- */

/* A VM to which a node above belongs ends, or is off. */
static bool is_closed(const struct store_node *node) NEEDS(&store.lock)
{
	for (; node->depth; node = store_node(node->parent))
		if (store_owner(node)->closed)
			return true;
	return false;
}

static enum weir_status may_make(const struct vm *vm, const struct store_node *parent,
				 const struct store_name *name) NEEDS(&store.lock)
{
	if (!parent)
		return WEIR_STALE;
	if (parent->depth == WEIR_STORE_DEPTH)
		return WEIR_INVALID;
	if (parent->owner != vm->id && !(store_meant(parent, parent->add) & BIT(vm->id)))
		return WEIR_DENIED;
	if (is_closed(parent))
		return WEIR_CLOSED;
	if (store_tree_find(vm->ipc->store.tree, store_index(parent), name))
		return WEIR_BUSY;
	return WEIR_OK;
}

/* A number of the VM's that no node has; 0: there is none. */
static u32 take(struct store_vm *vm) NEEDS(&store.lock)
{
	u32 index = vm->free;

	if (index)
		vm->free = store_node(index)->next;
	else if (vm->fresh < vm->count)
		index = vm->base + vm->fresh++;
	return index;
}

enum weir_status store_make_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	struct store_vm *vm = &self->vm->ipc->store;
	const struct store_node *parent;
	enum weir_status status;
	struct store_name name;
	u32 index;

	if (!store_copy_name(self, in->x2, &name))
		return WEIR_INVALID;
	spin_lock(&store.lock);
	parent = store_lookup(self->vm, in->x1);
	status = may_make(self->vm, parent, &name);
	if (status == WEIR_OK) {
		index = take(vm);
		status = index ? WEIR_OK : WEIR_QUOTA;
	}
	if (status == WEIR_OK) {
		struct store_node *node = store_node(index);

		store_link(index, store_index(parent), &vm->tree, &name);
		node->read = in->x3;
		node->write = in->x4;
		node->add = in->x5;
		out->x1 = node->handle;
		store_changed(node, store_readers(node));
	}
	store_tell(self);
	return status;
}

/* ---- Writing ------------------------------------------------------------------------------------ */

/* The guest's, each word read once; zero behind the last byte. */
static void copy_value(const struct vcpu *self, u64 bytes, struct store_value *value)
{
	const u64 *from = (const u64 *)self->ipc->in->buffer;

	for (u32 i = 0; i * 8 < bytes; i++) {
		value->word[i] = read_once(from[i]);
		if (bytes - i * 8 < 8)
			value->word[i] &= BIT((bytes - i * 8) * 8) - 1;
	}
}

static enum weir_status may_write(const struct vm *vm, const struct store_node *node, u64 expected,
				  u64 bytes) NEEDS(&store.lock)
{
	const struct store_vm *owner;

	if (!node)
		return WEIR_STALE;
	if (!node->depth ||
	    (node->owner != vm->id && !(store_meant(node, node->write) & BIT(vm->id))))
		return WEIR_DENIED;
	if (expected && expected != node->generation)
		return WEIR_AGAIN;
	owner = store_owner(node);
	return owner->bytes - node->bytes + bytes > owner->bytes_max ? WEIR_QUOTA : WEIR_OK;
}

enum weir_status store_write_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	enum weir_status status;
	struct store_value value;
	struct store_node *node;
	u64 bytes = in->x2;

	if (bytes > WEIR_STORE_VALUE_MAX)
		return WEIR_INVALID;
	copy_value(self, bytes, &value);
	spin_lock(&store.lock);
	node = store_lookup(self->vm, in->x1);
	status = may_write(self->vm, node, in->x3, bytes);
	if (status == WEIR_OK) {
		struct store_vm *owner = store_owner(node);

		owner->bytes += (u32)bytes - node->bytes;
		node->bytes = (u8)bytes;
		memcpy(&store.value[store_index(node)], &value, align_up(bytes, 8));
		out->x1 = ++node->generation;
		store_changed(node, store_readers(node));
	}
	store_tell(self);
	return status;
}

/* ---- Removing, and who may ------------------------------------------------------------------------ */

/* Homes stay. */
static enum weir_status may_remove(const struct vm *vm, const struct store_node *node, u64 expected)
	NEEDS(&store.lock)
{
	if (!node)
		return WEIR_STALE;
	if (!node->depth || store_index(node) == store_owner(node)->base ||
	    !((store_owners(node) | store.lords) & BIT(vm->id)))
		return WEIR_DENIED;
	if (expected && expected != node->generation)
		return WEIR_AGAIN;
	return node->child ? WEIR_BUSY : WEIR_OK;
}

enum weir_status store_remove_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	enum weir_status status;
	struct store_node *node;

	(void)out;
	spin_lock(&store.lock);
	node = store_lookup(self->vm, in->x1);
	status = may_remove(self->vm, node, in->x2);
	if (status == WEIR_OK)
		store_unlink(node);
	store_tell(self);
	return status;
}

enum weir_status store_allow_call(struct vcpu *self, const struct call_args *in,
				  struct call_results *out)
{
	enum weir_status status = WEIR_OK;
	struct store_node *node;
	u64 readers;

	(void)out;
	spin_lock(&store.lock);
	node = store_lookup(self->vm, in->x1);
	if (!node) {
		status = WEIR_STALE;
	} else if (!node->depth ||
		   (node->owner != self->vm->id && !(store.lords & BIT(self->vm->id)))) {
		status = WEIR_DENIED;
	} else {
		readers = store_readers(node);
		node->read = in->x2;
		node->write = in->x3;
		node->add = in->x4;
		/* Who may not read it any more hears that, too. */
		store_changed(node, readers | store_readers(node));
	}
	store_tell(self);
	return status;
}
