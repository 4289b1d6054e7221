/*
 * How libFuzzer changes device trees: mostly by libfdt, so that what comes out is a tree still, with a
 * property or node that is not as it should be; now and then byte by byte. The program that is linked with
 * it names the words that matter to it.
 */
#include "tree_input.h"

#include <libfdt.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_MAX 512u
#define SPACE	  1024u /* for what a change adds */

size_t LLVMFuzzerMutate(u8 *data, size_t bytes, size_t room);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t bytes, size_t room, unsigned int seed);

static u32 chance;

static u32 below(size_t sides)
{
	chance = chance * 1664525 + 1013904223;
	return (u32)((u64)(chance >> 8) % sides);
}

static const char *some_word(void)
{
	u32 count = 0;

	while (tree_words[count])
		count++;
	return tree_words[below(count)];
}

static int some_node(const void *tree)
{
	u32 count = 0, wanted;
	int node;

	for (node = 0; node >= 0; node = fdt_next_node(tree, node, 0))
		count++;
	wanted = below(count);
	for (node = 0; wanted; wanted--)
		node = fdt_next_node(tree, node, 0);
	return node;
}

/* A property's offset, negative if the node has none. */
static int some_property(const void *tree, int node)
{
	u32 count = 0, wanted;
	int property;

	fdt_for_each_property_offset(property, tree, node) count++;
	if (!count)
		return -1;
	wanted = below(count);
	property = fdt_first_property_offset(tree, node);
	for (; wanted; wanted--)
		property = fdt_next_property_offset(tree, property);
	return property;
}

static u32 some_cell(void)
{
	u32 value = 1u << below(32);

	switch (below(4)) {
	case 0:
		return value - 1;
	case 1:
		return value;
	case 2:
		return -value;
	default:
		return below(16);
	}
}

/* A value made of the one that was there, of cells or of words. */
static u32 new_value(u8 *value, const u8 *old, u32 bytes)
{
	u32 kind = below(8), count = 0;
	fdt32_t cell;

	if (kind < 3 && bytes <= VALUE_MAX) {
		memcpy(value, old, bytes);
		if (kind == 0)
			return (u32)LLVMFuzzerMutate(value, bytes, VALUE_MAX);
		if (kind == 1 && bytes)
			return bytes - 1 - below(min(bytes, 4));
		if (bytes >= 4) {
			cell = cpu_to_fdt32(some_cell());
			memcpy(value + below(bytes / 4) * 4, &cell, 4);
		}
		return bytes;
	}
	if (kind < 6) {
		for (u32 i = below(4) + 1; i; i--, count += 4) {
			cell = cpu_to_fdt32(some_cell());
			memcpy(value + count, &cell, 4);
		}
		return count;
	}
	for (u32 i = below(3) + 1; i; i--) {
		const char *word = some_word();

		memcpy(value + count, word, strlen(word) + 1);
		count += (u32)strlen(word) + 1;
	}
	return count;
}

static void change_property(void *tree, int node)
{
	int property = some_property(tree, node), bytes;
	u8 value[VALUE_MAX];
	const char *name;
	const void *old;

	if (property < 0)
		return;
	old = fdt_getprop_by_offset(tree, property, &name, &bytes);
	if (below(6) == 0)
		fdt_delprop(tree, node, name);
	else
		fdt_setprop(tree, node, name, value, (int)new_value(value, old, (u32)bytes));
}

static void add_property(void *tree, int node)
{
	u8 value[VALUE_MAX];

	fdt_setprop(tree, node, some_word(), value, (int)new_value(value, 0, VALUE_MAX + 1));
}

/* A node like one that is there, under another name. */
static void copy_node(void *tree, int node)
{
	int parent = node ? fdt_parent_offset(tree, node) : 0, property, bytes;
	int copy = fdt_add_subnode(tree, parent, some_word());
	u8 value[VALUE_MAX];
	const char *name;
	const void *old;

	if (copy < 0)
		return;
	/* Its offset has not moved if it is behind the copy: then it is the wrong one, and no harm. */
	fdt_for_each_property_offset(property, tree, node)
	{
		old = fdt_getprop_by_offset(tree, property, &name, &bytes);
		if (!old || (u32)bytes > VALUE_MAX)
			return;
		memcpy(value, old, (size_t)bytes);
		if (fdt_setprop(tree, copy, name, value, bytes) || copy <= node)
			return;
	}
}

static void change(void *tree, const u8 *before, size_t bytes)
{
	int node = some_node(tree);

	switch (below(16)) {
	case 0:
		fdt_add_subnode(tree, node, some_word());
		break;
	case 1:
		copy_node(tree, node);
		break;
	case 2:
		if (node)
			fdt_del_node(tree, node);
		break;
	case 3:
		if (node)
			fdt_set_name(tree, node, some_word());
		break;
	case 4:
	case 5:
	case 6:
		add_property(tree, node);
		break;
	case 7: /* a tree in a tree */
		if (bytes <= SPACE)
			fdt_setprop(tree, node, some_word(), before, (int)bytes);
		break;
	default:
		change_property(tree, node);
		break;
	}
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t bytes, size_t room, unsigned int seed)
{
	size_t space = bytes + SPACE + 4 * VALUE_MAX, after;
	u8 *tree;

	chance = seed;
	if (bytes < sizeof(struct fdt_header) || fdt_version(data) < 16 ||
	    fdt_check_full(data, bytes) || below(12) == 0)
		return LLVMFuzzerMutate(data, bytes, room);
	tree = malloc(space);
	if (fdt_open_into(data, tree, (int)space) == 0) {
		for (u32 times = 1 + below(3); times; times--)
			change(tree, data, bytes);
		fdt_pack(tree);
		after = fdt_totalsize(tree);
		if (after <= room) {
			memcpy(data, tree, after);
			bytes = after;
		}
	}
	free(tree);
	return bytes;
}
