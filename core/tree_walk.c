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

/* All that is read by words is aligned so. */
static u32 word_at(const u8 *data)
{
	return __builtin_bswap32(*(const u32 *)(const void *)data);
}

u64 tree_cells(const u8 *data, u32 count)
{
	u64 value = 0;

	for (; count; count--, data += 4)
		value = value << 32 | word_at(data);
	return value;
}

const char *tree_next_string(struct value *list)
{
	const char *text = (const char *)list->data;
	u32 length = list->bytes ? (u32)strnlen(text, list->bytes) : 0;

	if (length == list->bytes)
		return 0;
	list->data += length + 1;
	list->bytes -= length + 1;
	return text;
}

bool tree_has_string(struct value list, const char *wanted)
{
	const char *text;

	while ((text = tree_next_string(&list)))
		if (!strcmp(text, wanted))
			return true;
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

APART u32 tree_cell(const struct node *node, enum property property, u32 standard)
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

#define MEMOS 64u

/*
 * The rest of the structure block, and the strings; that both lie in the tree is checked (platform_read()). Names are
 * compared once: a property is known again by where its name stands. Reading libfdt's way, which looks for
 * everything anew, took half of the boot.
 */
struct tokens {
	const u8 *at, *end;
	const char *strings;
	u32 strings_bytes;
	u32 memo[MEMOS]; /* (where + 1) << 8 | enum property, by `where` */
};

/* So many bytes, and what aligns the next token. 0: there are not so many. */
static const u8 *take(struct tokens *tokens, u64 bytes)
{
	const u8 *from = tokens->at;
	u64 left = (u64)(tokens->end - from);

	if (bytes > left)
		return 0;
	tokens->at += min(align_up(bytes, 4), left);
	return from;
}

/* 0, which is no token: the block ends. */
static u32 take_token(struct tokens *tokens)
{
	const u8 *token = take(tokens, 4);

	return token ? word_at(token) : 0;
}

static const char *take_name(struct tokens *tokens)
{
	u64 left = (u64)(tokens->end - tokens->at);

	return (const char *)take(tokens, strnlen((const char *)tokens->at, left) + 1);
}

/* P_COUNT: another one. */
static u32 find_property(const char *name, u32 room)
{
	u32 i = 0;

	if (strnlen(name, room) == room)
		return P_COUNT;
	while (i < P_COUNT && (*name != *property_names[i] || strcmp(name, property_names[i])))
		i++;
	return i;
}

static u32 property_at(struct tokens *tokens, u32 where)
{
	u32 *memo = &tokens->memo[where % MEMOS];

	if (where >= tokens->strings_bytes)
		return P_COUNT;
	if (*memo >> 8 != where + 1)
		*memo = (where + 1) << 8 |
			find_property(tokens->strings + where, tokens->strings_bytes - where);
	return *memo & 0xff;
}

/* Into `node`, unless that is 0. False: it is not whole. */
static bool read_property(struct tokens *tokens, struct node *node)
{
	const u8 *head = take(tokens, 8); /* bytes of the value, where the name stands */
	const u8 *data = head ? take(tokens, word_at(head)) : 0;
	u32 property;

	if (!data)
		return false;
	property = node ? property_at(tokens, word_at(head + 4)) : P_COUNT;
	if (property < P_COUNT)
		node->value[property] = (struct value){ data, word_at(head) };
	return true;
}

static struct tokens tokens_of(const void *tree)
{
	const u8 *structure = (const u8 *)tree + fdt_off_dt_struct(tree);

	return (struct tokens){ .at = structure,
				.end = structure + fdt_size_dt_struct(tree),
				.strings = (const char *)tree + fdt_off_dt_strings(tree),
				.strings_bytes = fdt_size_dt_strings(tree) };
}

bool tree_walk(struct tree_walk *walk, void (*visit)(struct tree_walk *))
{
	struct tokens tokens = tokens_of(walk->tree);
	const u8 *begin = tokens.at;
	struct node *fresh = 0; /* it may still get properties, and was not visited yet */
	u32 levels = 0;		/* nodes that are open: the current one is node[levels - 1] */

	for (;;) {
		int offset = (int)(tokens.at - begin);
		u32 tag = take_token(&tokens);
		const char *name;

		if (tag == FDT_NOP || (tag == FDT_PROP && read_property(&tokens, fresh)))
			continue;
		if (tag != FDT_BEGIN_NODE && (tag != FDT_END_NODE || !levels))
			return tag == FDT_END && !levels;
		if (fresh)
			visit(walk);
		fresh = 0;
		if (tag == FDT_END_NODE) {
			if (--levels && levels <= TREE_DEPTH)
				walk->depth = levels - 1;
			continue;
		}
		name = take_name(&tokens);
		if (!name)
			return false;
		if (levels < TREE_DEPTH) {
			fresh = &walk->node[walk->depth = levels];
			*fresh = (struct node){ .name = name, .offset = offset };
		}
		levels++;
	}
}
