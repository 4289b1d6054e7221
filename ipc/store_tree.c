/*
 * The store: a VM's nodes sorted by parent and name (store_node.h), as an AVL tree: the two branches of a
 * node differ by 1 in height at most, so that no order in which names come makes a search long.
 *
 * The order of names is that of their words as numbers: any does.
 */
#include "ipc/store_node.h"

/* 1.45 log2(MANIFEST_STORE_NODES), rounded up: no tree is higher. */
#define TREE_HEIGHT 20u

_Static_assert(MANIFEST_STORE_NODES + MAX_VMS < 10900, "no tree is higher than TREE_HEIGHT");

/* 0: they are the same; else on which side of `node` the other is: -1 or 1. */
static int compare(u32 parent, const struct store_name *name, const struct store_node *node)
{
	if (parent != node->parent)
		return parent < node->parent ? -1 : 1;
	/* Two words a turn: a search among names that are alike is made of this. */
	for (u32 i = 0; i < STORE_NAME_WORDS; i += 2) {
		u64 first = name->word[i], second = name->word[i + 1];

		if (first != node->name.word[i])
			return first < node->name.word[i] ? -1 : 1;
		if (second != node->name.word[i + 1])
			return second < node->name.word[i + 1] ? -1 : 1;
	}
	return 0;
}

u32 store_tree_find(u16 root, u32 parent, const struct store_name *name)
{
	while (root) {
		int side = compare(parent, name, store_node(root));

		if (!side)
			break;
		root = store_node(root)->branch[side > 0];
	}
	return root;
}

static u32 height(u16 index)
{
	return index ? store_node(index)->height : 0;
}

static void set_height(struct store_node *node)
{
	u32 left = height(node->branch[0]), right = height(node->branch[1]);

	node->height = (u8)(1 + max(left, right));
}

/* The branch on this side takes the place of the node at *link, which becomes its other branch. */
static void rotate(u16 *link, u32 side)
{
	u16 index = *link, up = store_node(index)->branch[side];
	struct store_node *node = store_node(index), *top = store_node(up);

	node->branch[side] = top->branch[!side];
	top->branch[!side] = index;
	*link = up;
	set_height(node);
	set_height(top);
}

/* One branch of the node at *link may have grown or shrunk by 1. False: its own height is as it was. */
static bool balance(u16 *link)
{
	struct store_node *node = store_node(*link);
	u32 before = node->height;

	for (u32 side = 0; side < 2; side++) {
		u16 *high = &node->branch[side];

		if (height(*high) <= height(node->branch[!side]) + 1)
			continue;
		if (height(store_node(*high)->branch[!side]) >
		    height(store_node(*high)->branch[side]))
			rotate(high, !side);
		rotate(link, side);
		return height(*link) != before;
	}
	set_height(node);
	return node->height != before;
}

void store_tree_insert(u16 *root, u32 index)
{
	struct store_node *node = store_node(index);
	u16 *path[TREE_HEIGHT], *link = root;
	u32 depth = 0;

	while (*link) {
		struct store_node *at = store_node(*link);

		path[depth++] = link;
		link = &at->branch[compare(node->parent, &node->name, at) > 0];
	}
	node->branch[0] = node->branch[1] = 0;
	node->height = 1;
	*link = (u16)index;
	while (depth && balance(path[depth - 1]))
		depth--;
}

/* The smallest node on the greater side of *link takes its place. `path` goes on from `depth`. */
static u32 replace(u16 *link, u16 *path[], u32 depth)
{
	struct store_node *node = store_node(*link), *next;
	u16 *at = &node->branch[1], index;
	u32 place = depth;

	path[depth++] = link;
	while (store_node(*at)->branch[0]) {
		path[depth++] = at;
		at = &store_node(*at)->branch[0];
	}
	index = *at;
	next = store_node(index);
	*at = next->branch[1];
	next->branch[0] = node->branch[0];
	next->branch[1] = node->branch[1];
	next->height = node->height;
	*link = index;
	if (depth > place + 1)
		path[place + 1] = &next->branch[1];
	return depth;
}

void store_tree_remove(u16 *root, u32 index)
{
	const struct store_node *node = store_node(index);
	u16 *path[TREE_HEIGHT], *link = root;
	u32 depth = 0;

	while (*link != index) {
		struct store_node *at = store_node(*link);

		path[depth++] = link;
		link = &at->branch[compare(node->parent, &node->name, at) > 0];
	}
	if (node->branch[0] && node->branch[1])
		depth = replace(link, path, depth);
	else
		*link = node->branch[node->branch[0] == 0];
	while (depth && balance(path[depth - 1]))
		depth--;
}
