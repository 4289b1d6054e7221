/*
 * The store in any order of calls and ends of VMs, beside a model that is as simple as can be: a table of nodes, all
 * that there are looked at for each answer. Then the tree itself: sorted, balanced, all of it there.
 *
 * Sources: ipc/hypercall.c ipc/ipc.c ipc/event.c ipc/port.c ipc/port_source.c ipc/grant.c ipc/upcall.c ipc/manage.c core/timeout.c
 * Sources: core/base/log.c tests/host/fake/ipc_vms.c tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/stage2.c tests/host/fake/timer.c tests/host/fake/cpu.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdio.h>
#include <stdlib.h>
#include "ipc/store_node.h"
#include "soak.h"
#include "store_calls.h"

/* a, b and c talk to each other, d to a alone; e has the right "store". */
enum { A, B, C, D, E, VMS };

static const u64 talks[VMS] = {
	[A] = BIT(B) | BIT(C) | BIT(D), [B] = BIT(A) | BIT(C), [C] = BIT(A) | BIT(B), [D] = BIT(A)
};

#define NODES	40u
#define BYTES	600u
#define WATCHES 6u
#define NAMES	12u

/* ---- The model ---------------------------------------------------------------------------------- */

struct model {
	weir_handle handle; /* 0: nobody's */
	weir_handle parent;
	u32 owner, depth, bytes;
	u64 generation, read, write, add;
	u32 name; /* a home's is NAMES */
	u32 text; /* what its value begins with */
	bool watch[VMS], changed[VMS];
};

static struct model nodes[VMS * (NODES + 1)];
static weir_handle gone[VMS][WATCHES]; /* watches of what has gone, or may not be read */

static struct model *node_of(weir_handle handle)
{
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		if (nodes[i].handle == handle && handle)
			return &nodes[i];
	return 0;
}

static bool allowed(const struct model *node, u64 mask, u32 vm)
{
	return node->owner == vm || vm == E || (mask & talks[node->owner] & BIT(vm));
}

static bool owns_above(const struct model *node, u32 vm)
{
	for (; node; node = node_of(node->parent))
		if (node->owner == vm)
			return true;
	return false;
}

static bool may_read(const struct model *node, u32 vm)
{
	return node && (allowed(node, node->read, vm) || owns_above(node, vm));
}

static u32 count_nodes(u32 vm)
{
	u32 count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		count += nodes[i].handle && nodes[i].owner == vm && nodes[i].depth > 1;
	return count;
}

static u32 count_bytes(u32 vm)
{
	u32 count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		count += nodes[i].handle && nodes[i].owner == vm ? nodes[i].bytes : 0;
	return count;
}

static bool has_children(weir_handle handle)
{
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		if (nodes[i].handle && nodes[i].parent == handle)
			return true;
	return false;
}

/* Who could read it before the change or can after it is told, if it watches it or its parent. */
static void changed(struct model *node, const bool could[VMS])
{
	struct model *parent = node_of(node->parent);

	for (u32 vm = 0; vm < VMS; vm++) {
		if (!could[vm] && !may_read(node, vm))
			continue;
		node->changed[vm] |= node->watch[vm];
		if (parent && parent->watch[vm] && may_read(parent, vm))
			parent->changed[vm] = true;
	}
}

static void readers(const struct model *node, bool could[VMS])
{
	for (u32 vm = 0; vm < VMS; vm++)
		could[vm] = may_read(node, vm);
}

static void forget(struct model *node)
{
	bool could[VMS];

	readers(node, could);
	changed(node, could);
	for (u32 vm = 0; vm < VMS; vm++)
		for (u32 i = 0; node->watch[vm] && i < WATCHES; i++)
			if (!gone[vm][i]) {
				gone[vm][i] = node->handle;
				break;
			}
	node->handle = 0;
}

static u32 count_watches(u32 vm)
{
	u32 count = 0;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		count += nodes[i].handle && nodes[i].watch[vm];
	for (u32 i = 0; i < WATCHES; i++)
		count += gone[vm][i] != 0;
	return count;
}

static weir_handle *gone_of(u32 vm, weir_handle handle)
{
	for (u32 i = 0; i < WATCHES; i++)
		if (gone[vm][i] == handle)
			return &gone[vm][i];
	return 0;
}

/* ---- Calls, and what they should answer ----------------------------------------------------------- */

static u32 below(u32 bound)
{
	return (u32)rand() % bound;
}

static weir_handle some_handle(void)
{
	weir_handle handle = nodes[below(ARRAY_SIZE(nodes))].handle;

	while (!handle)
		handle = nodes[below(ARRAY_SIZE(nodes))].handle;
	return below(20) ? handle : handle + (1ul << 16) * below(2) + below(3);
}

static void name_of(u32 name, char text[40])
{
	static const char *const stems[] = { "n", "name", "a-name-of-16-byt",
					     "ABCDEFGHIJKLMNOPQRSTUVWXYZabc" };

	snprintf(text, 40, "%s%u", stems[name % 4], name / 4);
}

static enum weir_status should_make(u32 vm, const struct model *parent, u32 name)
{
	if (!may_read(parent, vm))
		return WEIR_STALE;
	if (parent->depth == WEIR_STORE_DEPTH)
		return WEIR_INVALID;
	if (!allowed(parent, parent->add, vm))
		return WEIR_DENIED;
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		if (nodes[i].handle && nodes[i].parent == parent->handle && nodes[i].owner == vm &&
		    nodes[i].name == name)
			return WEIR_BUSY;
	return count_nodes(vm) == NODES ? WEIR_QUOTA : WEIR_OK;
}

static void try_make(u32 vm, weir_handle handle)
{
	struct model *parent = node_of(handle), *node = nodes;
	u64 masks[3] = { (u64)rand(), (u64)rand(), (u64)rand() };
	const bool nobody[VMS] = { false };
	u32 name = below(NAMES);
	enum weir_status should = should_make(vm, parent, name);
	weir_handle result = 0;
	char text[40];

	name_of(name, text);
	assert_int_equal(make(vm, handle, text, masks[0], masks[1], masks[2], &result), should);
	if (should != WEIR_OK)
		return;
	assert_null(node_of(result));
	while (node->handle)
		node++;
	*node = (struct model){ .handle = result,
				.parent = handle,
				.owner = vm,
				.generation = 1,
				.depth = parent->depth + 1,
				.read = masks[0],
				.write = masks[1],
				.add = masks[2],
				.name = name };
	changed(node, nobody);
}

static void try_find(u32 vm, weir_handle handle)
{
	struct model *parent = node_of(handle), *child = 0;
	u32 name = below(NAMES), whose = below(VMS);
	weir_handle result = 0;
	char text[40];

	name_of(name, text);
	for (u32 i = 0; parent && i < ARRAY_SIZE(nodes); i++)
		if (nodes[i].handle && nodes[i].parent == handle && nodes[i].name == name &&
		    nodes[i].owner == whose)
			child = &nodes[i];
	assert_int_equal(find(vm, handle, text, vm_handle(whose), &result),
			 !may_read(parent, vm)	? WEIR_STALE
			 : !may_read(child, vm) ? WEIR_NOT_FOUND
						: WEIR_OK);
	if (result)
		assert_int_equal(result, child->handle);
}

static void try_write(u32 vm, weir_handle handle)
{
	struct model *node = node_of(handle);
	u32 bytes = 4 + below(WEIR_STORE_VALUE_MAX - 3), text = (u32)rand();
	u64 expected = node && below(2) ? node->generation - below(2) : 0;
	struct weir_pages pages = ipc_pages(vm, 0);
	enum weir_status should = WEIR_OK;
	u8 data[WEIR_STORE_VALUE_MAX] = { 0 };
	bool could[VMS];

	memcpy(data, &text, 4);
	if (!may_read(node, vm))
		should = WEIR_STALE;
	else if (!allowed(node, node->write, vm))
		should = WEIR_DENIED;
	else if (expected && expected != node->generation)
		should = WEIR_AGAIN;
	else if (count_bytes(node->owner) - node->bytes + bytes > BYTES)
		should = WEIR_QUOTA;
	ipc_run(vm, 0);
	assert_int_equal(weir_store_write(&pages, handle, data, bytes, expected, 0), should);
	if (should != WEIR_OK)
		return;
	node->bytes = bytes;
	node->text = text;
	node->generation++;
	readers(node, could);
	changed(node, could);
}

static void try_read(u32 vm, weir_handle handle)
{
	struct model *node = node_of(handle);
	struct weir_store_value value;
	enum weir_status status = store_read(vm, handle, &value);

	assert_int_equal(status, may_read(node, vm) ? WEIR_OK : WEIR_STALE);
	if (status != WEIR_OK)
		return;
	assert_int_equal(value.generation, node->generation);
	assert_int_equal(value.bytes, node->bytes);
	assert_int_equal(value.owner, vm_handle(node->owner));
	if (node->bytes)
		assert_memory_equal(value.data, &node->text, 4);
}

static void try_remove(u32 vm, weir_handle handle)
{
	struct model *node = node_of(handle);
	u64 expected = node && below(2) ? node->generation + below(2) : 0;
	enum weir_status should = WEIR_OK;

	if (!may_read(node, vm))
		should = WEIR_STALE;
	else if (node->depth == 1 || !(owns_above(node, vm) || vm == E))
		should = WEIR_DENIED;
	else if (expected && expected != node->generation)
		should = WEIR_AGAIN;
	else if (has_children(handle))
		should = WEIR_BUSY;
	assert_int_equal(store_remove(vm, handle, expected), should);
	if (should == WEIR_OK)
		forget(node);
}

static void try_allow(u32 vm, weir_handle handle)
{
	u64 masks[3] = { (u64)rand(), (u64)rand(), (u64)rand() };
	struct model *node = node_of(handle);
	enum weir_status should = WEIR_OK;
	bool could[VMS];

	if (!may_read(node, vm))
		should = WEIR_STALE;
	else if (node->owner != vm && vm != E)
		should = WEIR_DENIED;
	assert_int_equal(allow(vm, handle, masks[0], masks[1], masks[2]), should);
	if (should != WEIR_OK)
		return;
	readers(node, could);
	node->read = masks[0];
	node->write = masks[1];
	node->add = masks[2];
	changed(node, could);
}

static void try_watch(u32 vm, weir_handle handle)
{
	struct model *node = node_of(handle);
	enum weir_status should = WEIR_OK;
	bool on = below(3) != 0;

	if (on && !may_read(node, vm))
		should = WEIR_STALE;
	else if (on && !node->watch[vm] && count_watches(vm) == WATCHES)
		should = WEIR_QUOTA;
	assert_int_equal(watch(vm, handle, on), should);
	if (should != WEIR_OK)
		return;
	if (node) {
		node->changed[vm] &= on;
		node->watch[vm] = on;
	} else if (gone_of(vm, handle)) {
		*gone_of(vm, handle) = 0;
	}
}

/* All that its watches tell; then there is nothing more to tell in the model either. */
static void take_watches(u32 vm)
{
	weir_handle told;

	while ((told = fired(vm))) {
		struct model *node = node_of(told & ~GONE);

		if (!(told & GONE)) {
			assert_true(may_read(node, vm) && node->changed[vm]);
			node->changed[vm] = false;
		} else if (node) {
			assert_true(node->watch[vm] && !may_read(node, vm));
			node->watch[vm] = node->changed[vm] = false;
		} else {
			assert_non_null(gone_of(vm, told & ~GONE));
			*gone_of(vm, told & ~GONE) = 0;
		}
	}
	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		assert_false(nodes[i].handle && nodes[i].changed[vm]);
	for (u32 i = 0; i < WATCHES; i++)
		assert_int_equal(gone[vm][i], 0);
}

static void try_list(u32 vm, weir_handle handle)
{
	struct model *parent = node_of(handle);
	u32 count = 0;
	bool found;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		count += nodes[i].handle && nodes[i].parent == handle && may_read(&nodes[i], vm);
	assert_int_equal(children(vm, handle, 0, &found), may_read(parent, vm) ? count : 0);
}

static bool is_below(const struct model *node, u32 vm)
{
	return node->depth > 1 && owns_above(node, vm);
}

static void end(u32 vm)
{
	struct model *own = node_of(home(vm));
	bool could[VMS], more = true;

	for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
		nodes[i].watch[vm] = nodes[i].changed[vm] = false;
	memset(gone[vm], 0, sizeof(gone[vm]));
	while (more) {
		more = false;
		for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
			if (nodes[i].handle && is_below(&nodes[i], vm) &&
			    !has_children(nodes[i].handle)) {
				forget(&nodes[i]);
				more = true;
			}
	}
	own->read = ~0ul;
	own->write = own->add = 0;
	own->bytes = 0;
	own->generation++;
	readers(own, could);
	changed(own, could);
	ipc_vm_renew(vm);
}

/* ---- The trees ------------------------------------------------------------------------------------ */

static u32 check_tree(u32 index, u32 *count)
{
	const struct store_node *node = store_node(index);
	u32 left, right;

	if (!index)
		return 0;
	assert_true(node->lives);
	assert_int_equal(store_tree_find((u16)index, node->parent, &node->name), index);
	left = check_tree(node->branch[0], count);
	right = check_tree(node->branch[1], count);
	assert_true(left <= right + 1 && right <= left + 1);
	assert_int_equal(node->height, 1 + max(left, right));
	++*count;
	return node->height;
}

static void check_trees(void)
{
	for (u32 vm = 0; vm < VMS; vm++) {
		u32 count = 0;

		check_tree(ipc_vm(vm)->ipc->store.tree, &count);
		assert_int_equal(count, count_nodes(vm));
		assert_int_equal(ipc_vm(vm)->ipc->store.bytes, count_bytes(vm));
		for (u32 i = 0; i < ARRAY_SIZE(nodes); i++)
			if (nodes[i].handle && nodes[i].owner == vm && nodes[i].depth > 1)
				assert_int_equal(
					store_tree_find(
						ipc_vm(vm)->ipc->store.tree,
						nodes[i].parent & 0xffff,
						&store_node(nodes[i].handle & 0xffff)->name),
					nodes[i].handle & 0xffff);
	}
}

static void prepare(void)
{
	static const char *const channels[] = { "ab", "ac", "bc", "ad", 0 };

	ipc_vms_free();
	memset(nodes, 0, sizeof(nodes));
	memset(gone, 0, sizeof(gone));
	for (u32 vm = 0; vm < VMS; vm++)
		ipc_vms_set_store(vm, NODES, BYTES, WATCHES);
	ipc_vms_set_peers(E, 0, RIGHT_STORE);
	ipc_vms_make(VMS, 1, channels);
	for (u32 vm = 0; vm < VMS; vm++)
		nodes[vm] = (struct model){ .handle = home(vm),
					    .owner = vm,
					    .depth = 1,
					    .generation = 1,
					    .read = ~0ul,
					    .name = NAMES };
}

TEST(calls_in_any_order_do_what_a_simple_model_does)
{
	static void (*const calls[])(u32 vm, weir_handle handle) = {
		try_make, try_make,   try_make,	 try_find,  try_write, try_read,
		try_list, try_remove, try_allow, try_watch, try_watch,
	};
	u64 rounds = soak_count(12, 2000);

	for (u64 round = 0; round < rounds; round++) {
		srand((u32)(soak_seed() + round));
		prepare();
		for (u32 step = 0; step < 4000; step++) {
			u32 vm = below(VMS);

			calls[below(ARRAY_SIZE(calls))](vm, some_handle());
			if (below(10) == 0)
				take_watches(below(VMS));
			if (below(800) == 0)
				end(below(VMS));
			if (below(100) == 0)
				check_trees();
		}
		for (u32 vm = 0; vm < VMS; vm++)
			take_watches(vm);
	}
	ipc_vms_free();
}

int main(void)
{
	const struct CMUnitTest tests[] = { RUN(calls_in_any_order_do_what_a_simple_model_does) };

	return cmocka_run_group_tests(tests, 0, 0);
}
