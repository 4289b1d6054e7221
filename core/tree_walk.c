/*
 * Walking a device tree (tree_walk.h). Whatever the tree says, nothing is read outside of it.
 */
#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/tree_walk.h"

#define ADDRESS_BITS 48 /* of EL2's tables */

static const char *const property_names[P_COUNT] = {
	[P_ADDRESS_CELLS] = "#address-cells",
	[P_SIZE_CELLS] = "#size-cells",
	[P_INTERRUPT_CELLS] = "#interrupt-cells",
	[P_COMPATIBLE] = "compatible",
	[P_REG] = "reg",
	[P_RANGES] = "ranges",
	[P_INTERRUPTS] = "interrupts",
	[P_STATUS] = "status",
	[P_DEVICE_TYPE] = "device_type",
	[P_ENABLE_METHOD] = "enable-method",
	[P_CPU_RELEASE_ADDR] = "cpu-release-addr",
	[P_METHOD] = "method",
	[P_CLOCK_FREQUENCY] = "clock-frequency",
	[P_STDOUT_PATH] = "stdout-path",
	[P_INITRD_START] = "linux,initrd-start",
	[P_INITRD_END] = "linux,initrd-end",
	[P_NON_REMOVABLE] = "non-removable",
	[P_BROKEN_CD] = "broken-cd",
	[P_DMA_RANGES] = "dma-ranges",
	[P_DMA_COHERENT] = "dma-coherent",
	[P_INTERRUPT_PARENT] = "interrupt-parent",
	[P_INTERRUPTS_EXTENDED] = "interrupts-extended",
	[P_INTERRUPT_MAP] = "interrupt-map",
};

/* ---- Values ---- */

u64 tree_cells(const u8 *data, u32 count)
{
	u64 value = 0;

	for (; count; count--, data += 4)
		value = value << 32 | fdt32_ld((const fdt32_t *)data);
	return value;
}

bool tree_has_string(struct value list, const char *wanted)
{
	size_t length = strlen(wanted) + 1;

	for (u32 at = 0; at + length <= list.bytes;) {
		if (!memcmp(list.data + at, wanted, length))
			return true;
		at += (u32)strnlen((const char *)list.data + at, list.bytes - at) + 1;
	}
	return false;
}

bool tree_is_string(struct value value, const char *wanted)
{
	return value.bytes == strlen(wanted) + 1 && !memcmp(value.data, wanted, value.bytes);
}

/* ---- The current node ---- */

const struct node *tree_current(const struct tree_walk *walk)
{
	return &walk->node[walk->depth];
}

struct value tree_value(const struct tree_walk *walk, enum property property)
{
	return walk->node[walk->depth].value[property];
}

void tree_path(const struct tree_walk *walk, char *path, size_t size)
{
	size_t length = format_text(path, size, "%s", walk->depth ? "" : "/");

	for (u32 i = 1; i <= walk->depth; i++)
		length += format_text(path + length, size - length, "/%s", walk->node[i].name);
}

void tree_complain(const struct tree_walk *walk, const char *property, const char *expectation)
{
	char path[TREE_PATH_BYTES];

	tree_path(walk, path, sizeof(path));
	log_line("tree: %s: %s: %s", path, property, expectation);
}

__attribute__((noinline)) u32 tree_cell(const struct node *node, enum property property,
					u32 standard)
{
	struct value value = node->value[property];

	return value.bytes == 4 ? (u32)tree_cells(value.data, 1) : standard;
}

static u32 address_cells(const struct node *node)
{
	return tree_cell(node, P_ADDRESS_CELLS, 2);
}

static u32 size_cells(const struct node *node)
{
	return tree_cell(node, P_SIZE_CELLS, 1);
}

bool tree_is_enabled(const struct tree_walk *walk)
{
	struct value status = tree_value(walk, P_STATUS);

	return !status.data || tree_is_string(status, "okay") || tree_is_string(status, "ok");
}

/*
 * A row of a list of numbers: how many cells each of them has, and the row that was read last. Trees are
 * read by the boot core alone.
 */
enum column { INNER, OUTER, BYTES, COLUMNS };

static u32 cells[COLUMNS];
static u64 row[COLUMNS];

/* False: there is no row `index`, and `row` is as it was. */
static bool read_row(struct value list, u32 columns, u32 index)
{
	const u8 *at = list.data;
	u32 bytes = 0;

	for (u32 i = 0; i < columns; i++) {
		if (cells[i] > 2)
			return false;
		bytes += 4 * cells[i];
	}
	if (!bytes || list.bytes / bytes <= index)
		return false;
	at += index * bytes;
	for (u32 i = 0; i < columns; at += 4 * cells[i++])
		row[i] = tree_cells(at, cells[i]);
	return true;
}

/* ranges and dma-ranges: so many bytes from `INNER` on, on the bus, are at `OUTER` on its parent. */
static bool read_range(const struct node *bus, enum property property, u32 index)
{
	cells[INNER] = address_cells(bus);
	cells[OUTER] = address_cells(bus - 1);
	cells[BYTES] = size_cells(bus);
	return read_row(bus->value[property], COLUMNS, index);
}

/* One bus upward: an address in `bus`'s own space to its parent's. */
static bool translate_once(const struct node *bus, u64 *address)
{
	if (!bus->value[P_RANGES].data)
		return false;
	if (!bus->value[P_RANGES].bytes)
		return true;
	for (u32 index = 0; read_range(bus, P_RANGES, index); index++) {
		if (*address - row[INNER] < row[BYTES]) {
			*address += row[OUTER] - row[INNER];
			return true;
		}
	}
	return false;
}

bool tree_reg(const struct tree_walk *walk, u32 index, u64 *base, u64 *bytes)
{
	const struct node *parent = &walk->node[walk->depth - 1];

	cells[0] = address_cells(parent);
	cells[1] = size_cells(parent);
	if (!read_row(tree_value(walk, P_REG), 2, index))
		return false;
	*base = row[0];
	*bytes = row[1];
	for (const struct node *bus = parent; bus != walk->node; bus--)
		if (!translate_once(bus, base))
			return false;
	return !(*base >> ADDRESS_BITS);
}

void tree_dma(const struct tree_walk *walk, struct dma_range *range)
{
	const struct node *bus = &walk->node[walk->depth - 1];

	row[BYTES] = 0;
	if (bus - 1 == walk->node)
		read_range(bus, P_DMA_RANGES, 0);
	*range = (struct dma_range){ row[OUTER], row[INNER], row[BYTES],
				     tree_value(walk, P_DMA_COHERENT).data };
}

/* Bits 0 and 1 of the flags are the edges. */
bool tree_interrupt(struct value interrupts, u32 index, u32 cells_each, u32 *intid, bool *edge)
{
	const u8 *at;
	u64 type, number;

	if (cells_each < 3 || interrupts.bytes / 4 / cells_each <= index)
		return false;
	at = interrupts.data + 4 * (u64)index * cells_each;
	type = tree_cells(at, 1);
	number = tree_cells(at + 4, 1);
	if (type > 1 || number >= (type ? 16 : 988))
		return false;
	*intid = (u32)number + (type ? 16 : 32);
	if (edge)
		*edge = tree_cells(at + 8, 1) & 3;
	return true;
}

bool tree_path_is(const struct tree_walk *walk, const char *path, size_t length)
{
	u32 level = 0;

	while (length) {
		const char *slash = memchr(path + 1, '/', length - 1);
		size_t part = slash ? (size_t)(slash - path) : length;
		const char *name;

		if (++level > walk->depth || *path != '/')
			return false;
		name = walk->node[level].name;
		if (strncmp(name, path + 1, part - 1))
			return false;
		if (name[part - 1] && (name[part - 1] != '@' || memchr(path + 1, '@', part - 1)))
			return false;
		path += part;
		length -= part;
	}
	return level && level == walk->depth;
}

/* ---- The walk ---- */

static void read_property(struct tree_walk *walk, int offset)
{
	const char *name;
	int bytes;
	const void *data = fdt_getprop_by_offset(walk->tree, offset, &name, &bytes);

	if (!data)
		return;
	for (u32 i = 0; i < P_COUNT; i++) {
		if (*name == *property_names[i] && !strcmp(name, property_names[i])) {
			walk->node[walk->depth].value[i] = (struct value){ data, (u32)bytes };
			return;
		}
	}
}

/* False: the name is not as it should be. */
static bool enter_node(struct tree_walk *walk, u32 depth, int offset)
{
	struct node *node = &walk->node[depth];

	*node = (struct node){ .name = fdt_get_name(walk->tree, offset, 0), .offset = offset };
	walk->depth = depth;
	return node->name != 0;
}

bool tree_walk(struct tree_walk *walk, void (*visit)(struct tree_walk *))
{
	int offset = 0, next;
	u32 levels = 0;	    /* nodes that are open: the current one is node[levels - 1] */
	bool fresh = false; /* it may still get properties, and was not visited yet */
	u32 tag;

	for (; (tag = fdt_next_tag(walk->tree, offset, &next)) != FDT_END; offset = next) {
		if (tag == FDT_PROP && fresh)
			read_property(walk, offset);
		if (tag != FDT_BEGIN_NODE && tag != FDT_END_NODE)
			continue;
		if (fresh)
			visit(walk);
		fresh = tag == FDT_BEGIN_NODE && levels < TREE_DEPTH;
		if (fresh && !enter_node(walk, levels, offset))
			return false;
		if (tag == FDT_END_NODE && !levels)
			return false;
		levels += tag == FDT_BEGIN_NODE ? 1 : -1u;
		if (tag == FDT_END_NODE && levels && levels <= TREE_DEPTH)
			walk->depth = levels - 1;
	}
	return !levels && next >= 0;
}
