/*
 * A walk over the tokens of a device tree: each node is shown once, when all its properties are
 * known (at its first child or its end), with its ancestors at hand for cell counts and
 * translation. Devicetree Specification 0.4: 2.3 standard properties, 5.4 structure block. Source:
 * tree_walk.c
 */
#pragma once

#include "core/base/types.h"
#include "drivers/dma.h"

/* Nothing that is looked for lies deeper: /soc/gic@..., /cpus/cpu@..., /reserved-memory/.... */
#define TREE_DEPTH	6
#define TREE_PATH_BYTES 96

/* The properties that are kept of each node. */
enum property {
	P_ADDRESS_CELLS,
	P_SIZE_CELLS,
	P_INTERRUPT_CELLS,
	P_COMPATIBLE,
	P_REG,
	P_RANGES,
	P_INTERRUPTS,
	P_STATUS,
	P_DEVICE_TYPE,
	P_ENABLE_METHOD,
	P_CPU_RELEASE_ADDR,
	P_METHOD,
	P_CLOCK_FREQUENCY,
	P_STDOUT_PATH,
	P_INITRD_START,
	P_INITRD_END,
	P_NON_REMOVABLE,
	P_BROKEN_CD,
	P_DMA_RANGES,
	P_DMA_COHERENT,
	P_INTERRUPT_PARENT,
	P_INTERRUPTS_EXTENDED,
	P_INTERRUPT_MAP,
	P_COUNT
};

struct value {
	const u8 *data; /* 0: the node has no such property */
	u32 bytes;
};

struct node {
	const char *name;
	int offset;
	struct value value[P_COUNT];
};

/* The way from the root (node[0]) to where the walk is. */
struct tree_walk {
	const void *tree;
	struct node node[TREE_DEPTH];
	u32 depth; /* node[depth] is the current one */
};

/* Calls `visit` for each node that is not too deep. False: the tree's structure is damaged. */
bool tree_walk(struct tree_walk *walk, void (*visit)(struct tree_walk *walk));

/* A number of 1 or 2 cells. */
u64 tree_cells(const u8 *data, u32 count);
bool tree_is_string(struct value value, const char *wanted);
/* The next of strings that 0 ends each, which then is not in the list any more. 0: there is none. */
const char *tree_next_string(struct value *list);
bool tree_has_string(struct value list, const char *wanted); /* of strings separated by 0 */

/* The following are about the current node. */

const struct node *tree_current(const struct tree_walk *walk);
struct value tree_value(const struct tree_walk *walk, enum property property);
bool tree_is_enabled(const struct tree_walk *walk);
void tree_path(const struct tree_walk *walk, char *path, size_t size);
/* Does the path lead here? A part without @ fits any unit address. */
bool tree_path_is(const struct tree_walk *walk, const char *path, size_t length);
/* A property of one cell, or the standard's default. */
u32 tree_cell(const struct node *node, enum property property, u32 standard);
/* Entry `index` of reg, as the CPU sees it. Not for the root. */
bool tree_reg(const struct tree_walk *walk, u32 index, u64 *base, u64 *bytes);
/*
 * What of memory the current node's device reaches by DMA: the first row of its bus's dma-ranges, which
 * is the only one where it matters. No bytes: there is none, or there are other buses above. Its own
 * dma-coherent says whether it sees the caches.
 */
void tree_dma(const struct tree_walk *walk, struct dma_range *range);
/* One line: node, property, what was expected. */
void tree_complain(const struct tree_walk *walk, const char *property, const char *expectation);

/* A GIC specifier: type, number, flags. `edge` may be 0. */
bool tree_interrupt(struct value interrupts, u32 index, u32 cells_each, u32 *intid, bool *edge);
