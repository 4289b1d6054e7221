/*
 * Reads the machine's device tree.
 *
 * One walk over the tree's tokens collects everything: a node is looked at when all its properties
 * are known, that is at its first child or its end, with its ancestors still at hand for cell
 * counts and address translation. A second walk happens only if /chosen names another UART than the
 * first PL011. (Devicetree Specification 0.4: 2.3 standard properties, 3 node requirements, 5.4
 * structure block.)
 */
#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/platform.h"

/* Nothing that is looked for lies deeper: /soc/gic@..., /cpus/cpu@..., /reserved-memory/.... */
#define DEPTH	   6
#define PATH_BYTES 96

#define MPIDR_AFFINITY 0xff00fffffful

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
	P_STDOUT_PATH,
	P_INITRD_START,
	P_INITRD_END,
	P_COUNT
};

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
	[P_STDOUT_PATH] = "stdout-path",
	[P_INITRD_START] = "linux,initrd-start",
	[P_INITRD_END] = "linux,initrd-end",
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
struct walk {
	const void *tree;
	struct node node[DEPTH];
	u32 depth; /* node[depth] is the current one */
	struct platform *platform;
	u64 boot_mpidr;
	bool boot_core_found;
	bool uart_found;
	struct value timer_interrupts;
	u32 interrupt_cells;	      /* of the GIC */
	int aliases;		      /* node offset, 0: none */
	struct value stdout_path;     /* from /chosen */
	char first_pl011[PATH_BYTES]; /* its path, "" until there is one */
	struct platform_device pl011; /* and what it is */
	struct value pl011_compatible;
	const char *uart_path; /* second walk: the node that is wanted */
	size_t uart_path_length;
};

/* ---- Values ---- */

static u64 cells(const u8 *data, u32 count)
{
	u64 value = 0;

	for (; count; count--, data += 4)
		value = value << 32 | fdt32_ld((const fdt32_t *)data);
	return value;
}

static bool has_string(struct value list, const char *wanted)
{
	size_t length = strlen(wanted) + 1;

	for (u32 at = 0; at + length <= list.bytes;) {
		if (!memcmp(list.data + at, wanted, length))
			return true;
		at += (u32)strnlen((const char *)list.data + at, list.bytes - at) + 1;
	}
	return false;
}

static bool is_string(struct value value, const char *wanted)
{
	return value.bytes == strlen(wanted) + 1 && !memcmp(value.data, wanted, value.bytes);
}

/* ---- The current node ---- */

static const struct node *current(const struct walk *walk)
{
	return &walk->node[walk->depth];
}

static struct value value(const struct walk *walk, enum property property)
{
	return walk->node[walk->depth].value[property];
}

static void node_path(const struct walk *walk, char *path, size_t size)
{
	size_t length = format_text(path, size, "%s", walk->depth ? "" : "/");

	for (u32 i = 1; i <= walk->depth; i++)
		length += format_text(path + length, size - length, "/%s", walk->node[i].name);
}

static void complain(const struct walk *walk, const char *property, const char *expectation)
{
	char path[PATH_BYTES];

	node_path(walk, path, sizeof(path));
	log_line("tree: %s: %s: %s", path, property, expectation);
}

static u32 cell_count(const struct node *node, enum property property, u32 standard)
{
	struct value value = node->value[property];

	return value.bytes == 4 ? (u32)cells(value.data, 1) : standard;
}

static u32 address_cells(const struct node *node)
{
	return cell_count(node, P_ADDRESS_CELLS, 2);
}

static u32 size_cells(const struct node *node)
{
	return cell_count(node, P_SIZE_CELLS, 1);
}

static bool is_enabled(const struct walk *walk)
{
	struct value status = value(walk, P_STATUS);

	return !status.data || is_string(status, "okay") || is_string(status, "ok");
}

/* One bus upward: an address in `bus`'s own space to its parent's. */
static bool translate_once(const struct node *bus, const struct node *parent, u64 *address)
{
	struct value ranges = bus->value[P_RANGES];
	u32 own = address_cells(bus), outer = address_cells(parent), size = size_cells(bus);
	u32 row = 4 * (own + outer + size);

	if (!ranges.data)
		return false;
	if (!ranges.bytes)
		return true;
	if (own > 2 || outer > 2 || size > 2 || !row)
		return false;
	for (u32 at = 0; ranges.bytes - at >= row; at += row) {
		u64 from = cells(ranges.data + at, own);
		u64 to = cells(ranges.data + at + 4 * own, outer);
		u64 bytes = cells(ranges.data + at + 4 * (own + outer), size);

		if (*address >= from && *address - from < bytes) {
			*address = *address - from + to;
			return true;
		}
	}
	return false;
}

/* Entry `index` of the current node's reg, as the CPU sees it. Not for the root. */
static bool read_reg(const struct walk *walk, u32 index, u64 *base, u64 *bytes)
{
	const struct node *parent = &walk->node[walk->depth - 1];
	u32 address = address_cells(parent), size = size_cells(parent);
	struct value reg = value(walk, P_REG);
	u32 row = 4 * (address + size);

	if (address > 2 || size > 2 || !row || reg.bytes / row <= index)
		return false;
	*base = cells(reg.data + index * row, address);
	*bytes = cells(reg.data + index * row + 4 * address, size);
	for (u32 bus = walk->depth - 1; bus; bus--)
		if (!translate_once(&walk->node[bus], &walk->node[bus - 1], base))
			return false;
	return true;
}

/* A GIC specifier is type, number, flags; bit 0 and 1 of the flags are the edges. */
static bool read_interrupt(struct value interrupts, u32 index, u32 cells_each, u32 *intid,
			   bool *edge)
{
	const u8 *at = interrupts.data + 4 * (u64)index * cells_each;
	u64 type, number;

	if (cells_each < 3 || interrupts.bytes / 4 / cells_each <= index)
		return false;
	type = cells(at, 1);
	number = cells(at + 4, 1);
	if (type > 1 || number >= (type ? 16 : 988))
		return false;
	*intid = (u32)number + (type ? 16 : 32);
	if (edge)
		*edge = cells(at + 8, 1) & 3;
	return true;
}

/* ---- What is looked for ---- */

static void add_range(const struct walk *walk, struct range *ranges, u32 *count, u32 room,
		      struct range range)
{
	if (!range.bytes)
		return;
	if (*count < room && range.base + range.bytes > range.base)
		ranges[(*count)++] = range;
	else
		complain(walk, "reg",
			 *count < room ? "reaches beyond the last address"
				       : "too many ranges; this one is ignored");
}

static void visit_memory(struct walk *walk)
{
	struct platform *platform = walk->platform;
	struct range range;
	u32 index = 0;

	for (; read_reg(walk, index, &range.base, &range.bytes); index++)
		add_range(walk, platform->bank, &platform->bank_count, PLATFORM_BANKS, range);
	if (!index)
		complain(walk, "reg", "expected address and size of a memory bank");
}

bool platform_reserve(struct platform *platform, struct range range)
{
	if (!range.bytes)
		return true;
	if (platform->reserved_count == PLATFORM_RESERVED)
		return false;
	platform->reserved[platform->reserved_count++] = range;
	return true;
}

/* Without reg an operating system may choose where the region lies; nothing is there yet. */
static void visit_reserved(struct walk *walk)
{
	struct platform *platform = walk->platform;
	struct range range;

	for (u32 i = 0; is_enabled(walk) && read_reg(walk, i, &range.base, &range.bytes); i++)
		add_range(walk, platform->reserved, &platform->reserved_count, PLATFORM_RESERVED,
			  range);
}

static void visit_cpu(struct walk *walk)
{
	struct platform *platform = walk->platform;
	const struct node *parent = &walk->node[walk->depth - 1];
	struct platform_cpu cpu = { 0 };
	struct value method = value(walk, P_ENABLE_METHOD), reg = value(walk, P_REG);
	struct value release = value(walk, P_CPU_RELEASE_ADDR);
	bool boot_core;

	if (reg.bytes != 4 && reg.bytes != 8) {
		complain(walk, "reg", "expected the core's MPIDR affinity in one or two cells");
		return;
	}
	cpu.mpidr = cells(reg.data, reg.bytes / 4) & MPIDR_AFFINITY;
	boot_core = cpu.mpidr == (walk->boot_mpidr & MPIDR_AFFINITY);
	if (!method.data)
		method = parent->value[P_ENABLE_METHOD];
	cpu.psci = is_string(method, "psci");
	if (release.bytes == 4 || release.bytes == 8)
		cpu.release = cells(release.data, release.bytes / 4);
	if (!boot_core && !cpu.psci && !is_string(method, "spin-table")) {
		complain(walk, "enable-method", "expected psci or spin-table; the core stays off");
		return;
	}
	if (!boot_core && !cpu.psci && !cpu.release) {
		complain(walk, "cpu-release-addr", "expected an address; the core stays off");
		return;
	}
	/* One place is kept for the boot core until it has come. */
	if (platform->cpu_count - walk->boot_core_found == MAX_PCPUS - 1 && !boot_core) {
		complain(walk, "reg", "one core too many; it stays off");
		return;
	}
	/* cpu[0] waits for the boot core. */
	if (boot_core) {
		platform->cpu[0] = cpu;
		platform->cpu_count += !walk->boot_core_found;
		walk->boot_core_found = true;
		return;
	}
	platform->cpu[platform->cpu_count + !walk->boot_core_found] = cpu;
	platform->cpu_count++;
}

static void visit_gic(struct walk *walk, u32 version)
{
	static const char *const frames[4] = {
		"expected the distributor",
		"expected the CPU interface, or in version 3 the redistributors",
		"expected the hypervisor interface as third entry",
		"expected the virtual CPU interface as fourth entry",
	};
	struct gic_registers *gic = &walk->platform->gic;
	u64 base[4], bytes[4];

	if (gic->version)
		return; /* another one is behind it */
	for (u32 i = 0; i < (version == 2 ? 4 : 2); i++) {
		if (!read_reg(walk, i, &base[i], &bytes[i])) {
			complain(walk, "reg", frames[i]);
			return;
		}
	}
	*gic = (struct gic_registers){ .version = version,
				       .distributor = PA(base[0]),
				       .distributor_bytes = bytes[0] };
	if (version == 2) {
		gic->cpu_interface = PA(base[1]);
		gic->hypervisor = PA(base[2]);
		gic->virtual_interface = PA(base[3]);
		gic->virtual_interface_bytes = bytes[3];
	} else {
		gic->redistributors = PA(base[1]);
		gic->redistributors_bytes = bytes[1];
	}
	walk->interrupt_cells = cell_count(current(walk), P_INTERRUPT_CELLS, 3);
	if (!read_interrupt(value(walk, P_INTERRUPTS), 0, walk->interrupt_cells,
			    &walk->platform->maintenance_intid, 0)) {
		complain(walk, "interrupts", "expected the maintenance interrupt; 25 is taken");
		walk->platform->maintenance_intid = GIC_MAINTENANCE_INTID;
	}
}

static bool read_device(struct walk *walk, struct platform_device *device)
{
	if (!read_reg(walk, 0, &device->base.raw, &device->bytes) || !device->bytes) {
		complain(walk, "reg", "expected an address that its buses translate, and a size");
		return false;
	}
	device->intid = 0;
	device->edge = false;
	if (value(walk, P_INTERRUPTS).data &&
	    !read_interrupt(value(walk, P_INTERRUPTS), 0, 3, &device->intid, &device->edge))
		complain(walk, "interrupts", "expected a GIC specifier of an SPI or PPI");
	return true;
}

static void visit_virtio(struct walk *walk)
{
	struct platform *platform = walk->platform;
	struct platform_device device;
	u32 at = platform->virtio_mmio_count;

	if (!is_enabled(walk) || !read_device(walk, &device))
		return;
	if (at == PLATFORM_VIRTIO) {
		complain(walk, "reg", "one virtio device too many; it is ignored");
		return;
	}
	for (; at && platform->virtio_mmio[at - 1].base.raw > device.base.raw; at--)
		platform->virtio_mmio[at] = platform->virtio_mmio[at - 1];
	platform->virtio_mmio[at] = device;
	platform->virtio_mmio_count++;
}

static void visit_psci(struct walk *walk)
{
	walk->platform->psci = is_string(value(walk, P_METHOD), "smc");
	if (!walk->platform->psci)
		complain(walk, "method", "expected smc, the only way from EL2; PSCI is not used");
}

static void visit_pl011(struct walk *walk)
{
	if (walk->first_pl011[0] || !is_enabled(walk))
		return;
	if (!read_device(walk, &walk->pl011))
		return;
	node_path(walk, walk->first_pl011, sizeof(walk->first_pl011));
	walk->pl011_compatible = value(walk, P_COMPATIBLE);
}

static void visit_chosen(struct walk *walk)
{
	struct value start = value(walk, P_INITRD_START), end = value(walk, P_INITRD_END);
	struct range *image = &walk->platform->system_image;

	walk->stdout_path = value(walk, P_STDOUT_PATH);
	if (!start.data && !end.data)
		return;
	if ((start.bytes != 4 && start.bytes != 8) || (end.bytes != 4 && end.bytes != 8)) {
		complain(walk, "linux,initrd-start",
			 "expected it and linux,initrd-end, 4 or 8 bytes each");
		return;
	}
	image->base = cells(start.data, start.bytes / 4);
	image->bytes = cells(end.data, end.bytes / 4) - image->base;
	if (cells(end.data, end.bytes / 4) <= image->base) {
		complain(walk, "linux,initrd-end", "expected an address above linux,initrd-start");
		image->bytes = 0;
	}
}

static void visit_compatible(struct walk *walk, struct value compatible)
{
	if (has_string(compatible, "virtio,mmio"))
		visit_virtio(walk);
	else if (has_string(compatible, "arm,pl011"))
		visit_pl011(walk);
	else if (has_string(compatible, "arm,cortex-a15-gic") ||
		 has_string(compatible, "arm,gic-400"))
		visit_gic(walk, 2);
	else if (has_string(compatible, "arm,gic-v3"))
		visit_gic(walk, 3);
	else if (has_string(compatible, "arm,armv8-timer"))
		walk->timer_interrupts = value(walk, P_INTERRUPTS);
	else if (has_string(compatible, "arm,psci-1.0") || has_string(compatible, "arm,psci-0.2"))
		visit_psci(walk);
}

/* First walk: all properties of the current node are known. */
static void visit(struct walk *walk)
{
	const struct node *node = current(walk);
	const char *parent = walk->depth ? walk->node[walk->depth - 1].name : "";

	if (is_string(node->value[P_DEVICE_TYPE], "memory") && walk->depth == 1)
		visit_memory(walk);
	else if (is_string(node->value[P_DEVICE_TYPE], "cpu") && walk->depth == 2)
		visit_cpu(walk);
	else if (walk->depth == 2 && !strcmp(parent, "reserved-memory"))
		visit_reserved(walk);
	else if (walk->depth == 1 && !strcmp(node->name, "chosen"))
		visit_chosen(walk);
	else if (walk->depth == 1 && !strcmp(node->name, "aliases"))
		walk->aliases = node->offset;
	else if (node->value[P_COMPATIBLE].data && walk->depth)
		visit_compatible(walk, node->value[P_COMPATIBLE]);
}

/* ---- The UART ---- */

static void take_uart(struct platform *platform, const struct platform_device *device,
		      struct value compatible)
{
	platform->uart = *device;
	platform->uart_compatible_bytes =
		min(compatible.bytes, (u32)sizeof(platform->uart_compatible));
	memcpy(platform->uart_compatible, compatible.data, platform->uart_compatible_bytes);
	/* A list that was cut still ends in a whole string. */
	platform->uart_compatible[sizeof(platform->uart_compatible) - 1] = 0;
}

/* Does the path lead to the current node? A part without @ fits any unit address. */
static bool path_is_current(const struct walk *walk, const char *path, size_t length)
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

/* Second walk. */
static void visit_uart(struct walk *walk)
{
	struct platform_device device;
	struct value compatible = value(walk, P_COMPATIBLE);

	if (walk->uart_found || !path_is_current(walk, walk->uart_path, walk->uart_path_length))
		return;
	walk->uart_found = true;
	if (!compatible.data)
		complain(walk, "compatible", "expected the kind of UART");
	else if (read_device(walk, &device))
		take_uart(walk->platform, &device, compatible);
}

/* ---- The walk ---- */

static void read_property(struct walk *walk, int offset)
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
static bool enter_node(struct walk *walk, u32 depth, int offset)
{
	struct node *node = &walk->node[depth];

	*node = (struct node){ .name = fdt_get_name(walk->tree, offset, 0), .offset = offset };
	walk->depth = depth;
	return node->name != 0;
}

/* Calls `visit_node` for each node that is not too deep. False: the tree's structure is damaged. */
static bool walk_tree(struct walk *walk, void (*visit_node)(struct walk *))
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
			visit_node(walk);
		fresh = tag == FDT_BEGIN_NODE && levels < DEPTH;
		if (fresh && !enter_node(walk, levels, offset))
			return false;
		if (tag == FDT_END_NODE && !levels)
			return false;
		levels += tag == FDT_BEGIN_NODE ? 1 : -1u;
		if (tag == FDT_END_NODE && levels && levels <= DEPTH)
			walk->depth = levels - 1;
	}
	return !levels && next >= 0;
}

static void find_uart(struct walk *walk)
{
	struct value path = walk->stdout_path;
	const char *text = (const char *)path.data;
	size_t length = path.bytes ? strnlen(text, path.bytes) : 0;
	const char *colon = length ? memchr(text, ':', length) : 0;
	int bytes;

	length = colon ? (size_t)(colon - text) : length; /* ":115200n8" */
	if (length && *text != '/') {
		text = fdt_getprop_namelen(walk->tree, walk->aliases, text, (int)length, &bytes);
		length = text && walk->aliases ? strnlen(text, (size_t)bytes) : 0;
	}
	if (path.data && !length)
		log_line("tree: /chosen: stdout-path: expected a path or an alias of one");
	if (length &&
	    (strlen(walk->first_pl011) != length || memcmp(walk->first_pl011, text, length) != 0)) {
		walk->uart_path = text;
		walk->uart_path_length = length;
		walk_tree(walk, visit_uart);
		if (!walk->uart_found)
			log_line("tree: /chosen: stdout-path: there is no such node");
	}
	if (!walk->platform->uart.bytes && walk->first_pl011[0])
		take_uart(walk->platform, &walk->pl011, walk->pl011_compatible);
	walk->platform->no_uart_tree = !walk->platform->uart.bytes;
}

/* ---- All of it ---- */

static void read_reserve_map(struct walk *walk)
{
	int count = fdt_num_mem_rsv(walk->tree);
	struct range range;

	for (int i = 0; i < count; i++)
		if (!fdt_get_mem_rsv(walk->tree, i, &range.base, &range.bytes) &&
		    !platform_reserve(walk->platform, range))
			log_line("tree: reserve map: too many ranges; the rest is ignored");
}

/* The timer's interrupts: secure, non-secure, virtual, hypervisor. */
static bool read_timer(struct walk *walk)
{
	struct platform *platform = walk->platform;
	u32 each = walk->interrupt_cells;

	if (read_interrupt(walk->timer_interrupts, 2, each, &platform->virtual_timer_intid, 0) &&
	    read_interrupt(walk->timer_interrupts, 3, each, &platform->el2_timer_intid, 0))
		return true;
	log_line("tree: timer: interrupts: expected a node compatible with arm,armv8-timer and its "
		 "four PPIs");
	return false;
}

static bool check_machine(struct walk *walk)
{
	struct platform *platform = walk->platform;

	if (!walk->boot_core_found) {
		log_line("tree: /cpus: expected a cpu node whose reg is the boot core's %lx",
			 walk->boot_mpidr & MPIDR_AFFINITY);
		platform->cpu[0] =
			(struct platform_cpu){ .mpidr = walk->boot_mpidr & MPIDR_AFFINITY };
		platform->cpu_count++;
	}
	if (!platform->bank_count) {
		log_line("tree: /: expected a memory node that is not empty");
		return false;
	}
	if (!platform->gic.version) {
		log_line("tree: /: expected an interrupt controller compatible with arm,gic-400, "
			 "arm,cortex-a15-gic or arm,gic-v3");
		return false;
	}
	return read_timer(walk);
}

bool platform_read(const void *tree, u64 boot_mpidr, struct platform *platform)
{
	struct walk walk = { .tree = tree, .platform = platform, .boot_mpidr = boot_mpidr };
	int error = fdt_check_header(tree);

	memset(platform, 0, sizeof(*platform));
	if (error) {
		log_line("tree: expected a device tree at the address in x0 (libfdt says %d)",
			 error);
		return false;
	}
	read_reserve_map(&walk);
	if (!walk_tree(&walk, visit)) {
		log_line("tree: the structure is damaged");
		return false;
	}
	if (!platform_reserve(platform, platform->system_image))
		log_line("tree: reserved: too many ranges");
	find_uart(&walk);
	return check_machine(&walk);
}
