/* What has to hold of the store (nodes.h). */
#include "nodes.h"

#include <string.h>
#include <weir/store.h>
#include "ipc/store_node.h"

#define RECENT 32u

static weir_handle recent[RECENT];
static u32 made;

void nodes_reset(void)
{
	memset(recent, 0, sizeof(recent));
	made = 0;
}

weir_handle nodes_recent(u32 which)
{
	return recent[which % RECENT];
}

void nodes_made(weir_handle handle)
{
	recent[made++ % RECENT] = handle;
}

#define E(status) (1u << -WEIR_##status)

u32 nodes_errors(u32 function)
{
	switch (function) {
	case WEIR_FN_STORE_FIND:
		return E(INVALID) | E(STALE) | E(NOT_FOUND);
	case WEIR_FN_STORE_MAKE:
		return E(INVALID) | E(STALE) | E(DENIED) | E(CLOSED) | E(BUSY) | E(QUOTA);
	case WEIR_FN_STORE_READ:
		return E(STALE);
	case WEIR_FN_STORE_WRITE:
		return E(INVALID) | E(STALE) | E(DENIED) | E(AGAIN) | E(QUOTA);
	case WEIR_FN_STORE_REMOVE:
		return E(STALE) | E(DENIED) | E(AGAIN) | E(BUSY);
	case WEIR_FN_STORE_LIST:
		return E(STALE) | E(NOT_FOUND);
	case WEIR_FN_STORE_ALLOW:
		return E(STALE) | E(DENIED);
	case WEIR_FN_STORE_WATCH:
		return E(INVALID) | E(STALE) | E(QUOTA);
	default:
		return E(NOT_FOUND);
	}
}

void nodes_told(u32 vm, weir_handle handle)
{
	const struct store_node *node = store_node(handle & 0xffff);
	const struct manifest_vm *config = machine.vm[vm]->config;
	bool may;

	assert_true((handle & 0xffff) < store.count && node->lives && node->handle == handle);
	may = !node->depth || config->rights & RIGHT_STORE ||
	      (config->talks & BIT(node->owner) && node->read & BIT(vm));
	for (; node->depth; node = store_node(node->parent))
		may |= node->owner == vm;
	assert_true(may);
}

/* How many nodes the tree has; all are where a search finds them, and no branch is 2 higher than the other. */
static u32 check_tree(u16 root, u16 index)
{
	const struct store_node *node = store_node(index);
	u32 left, right;

	if (!index)
		return 0;
	assert_true(node->lives);
	assert_int_equal(store_tree_find(root, node->parent, &node->name), index);
	left = node->branch[0] ? store_node(node->branch[0])->height : 0;
	right = node->branch[1] ? store_node(node->branch[1])->height : 0;
	assert_true(left <= right + 1 && right <= left + 1);
	assert_int_equal(node->height, 1 + max(left, right));
	return 1 + check_tree(root, node->branch[0]) + check_tree(root, node->branch[1]);
}

static void check_node(u32 index)
{
	const struct store_node *node = store_node(index), *parent = store_node(node->parent);
	u32 children = 0, listed = 0;

	if (!node->lives)
		return;
	if (index) {
		assert_true(parent->lives);
		assert_int_equal(node->depth, parent->depth + 1);
		assert_true(node->depth <= WEIR_STORE_DEPTH);
		assert_true(node->next == 0 || store_node(node->next)->previous == index);
	}
	for (u32 i = 1; i < store.count; i++)
		children += store_node(i)->lives && store_node(i)->parent == index;
	for (u16 i = node->child; i; i = store_node(i)->next)
		assert_true(++listed <= children);
	assert_int_equal(listed, children);
	assert_false(node->fired & ~node->watch);
}

static void check_vm(const struct vm *vm)
{
	const struct store_vm *own = &vm->ipc->store;
	u32 nodes = 0, bytes = 0;

	for (u32 i = own->base; i < own->base + own->count; i++) {
		const struct store_node *node = store_node(i);

		assert_int_equal(node->owner, vm->id);
		assert_true(i < own->base + own->fresh || !node->lives);
		nodes += node->lives;
		bytes += node->lives ? node->bytes : 0;
	}
	assert_int_equal(bytes, own->bytes);
	assert_true(bytes <= own->bytes_max);
	assert_int_equal(check_tree(own->tree, own->tree), nodes - 1);
	for (u32 i = 0; i < store.count; i++) {
		u32 places = 0;

		for (u32 place = 0; place < own->watch_count; place++)
			places += own->watch[place] == store_node(i)->handle;
		if (store_node(i)->lives)
			assert_int_equal(places, store_node(i)->watch >> vm->id & 1);
	}
	if (!machine_closed(vm->id) || machine_runs(vm->id))
		return;
	assert_int_equal(nodes, 1);
	for (u32 place = 0; place < own->watch_count; place++)
		assert_int_equal(own->watch[place], 0);
}

void nodes_check(void)
{
	for (u32 i = 0; i < store.count; i++)
		check_node(i);
	for (u32 id = 0; id < MACHINE_VMS; id++)
		if (machine.vm[id])
			check_vm(machine.vm[id]);
	assert_int_equal(check_tree(store.homes, store.homes), MACHINE_VMS - 1);
}
