/*
 * Reads the machine's device tree.
 *
 * One walk (tree_walk.h) collects everything. A second one happens only if /chosen names another
 * UART than the first PL011. Nothing in struct platform points into the tree. Devicetree
 * Specification 0.4, 3: node requirements.
 */
#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/platform.h"
#include "core/tree_walk.h"

#define MPIDR_AFFINITY 0xff00fffffful
#define TREE_VERSION   17 /* since then the header tells the size of the structure block */

/* What is collected on the way. */
struct discovery {
	struct tree_walk walk; /* first: visitors get this and convert by a cast */
	struct platform *platform;
	u64 boot_mpidr;
	bool boot_core_found;
	bool uart_found;
	struct value timer_interrupts;
	u32 interrupt_cells;		   /* of the GIC */
	int aliases;			   /* node offset, 0: none */
	struct value stdout_path;	   /* from /chosen */
	char first_pl011[TREE_PATH_BYTES]; /* its path, "" until there is one */
	struct platform_device pl011;	   /* and what it is */
	struct value pl011_compatible;
	const char *uart_path; /* second walk: the node that is wanted */
	size_t uart_path_length;
};

/* ---- What is looked for ---- */

static void add_range(struct discovery *found, struct range *ranges, u32 *count, u32 room,
		      struct range range)
{
	if (!range.bytes)
		return;
	if (*count < room && range.base + range.bytes > range.base)
		ranges[(*count)++] = range;
	else
		tree_complain(&found->walk, "reg",
			      *count < room ? "reaches beyond the last address"
					    : "too many ranges; this one is ignored");
}

static void visit_memory(struct discovery *found)
{
	struct platform *platform = found->platform;
	struct range range;
	u32 index = 0;

	for (; tree_reg(&found->walk, index, &range.base, &range.bytes); index++)
		add_range(found, platform->bank, &platform->bank_count, PLATFORM_BANKS, range);
	if (!index)
		tree_complain(&found->walk, "reg", "expected address and size of a memory bank");
}

/* The last address of a range, or of all there are. */
static u64 last_of(const struct range *range)
{
	u64 last = range->base + range->bytes - 1;

	return last < range->base ? UINT64_MAX : last;
}

/* What was reserved is never handed out, so a table that is full keeps more than it was asked to. */
static void widen(struct range *range, struct range other)
{
	u64 base = min(range->base, other.base);

	range->bytes = max(last_of(range), last_of(&other)) - base;
	range->base = base;
	range->bytes += range->bytes != UINT64_MAX;
}

void platform_reserve(struct platform *platform, struct range range)
{
	if (!range.bytes)
		return;
	if (platform->reserved_count < PLATFORM_RESERVED) {
		platform->reserved[platform->reserved_count++] = range;
		return;
	}
	widen(&platform->reserved[PLATFORM_RESERVED - 1], range);
	if (!platform->reserved_widened)
		log_line("tree: /reserved-memory: expected at most %u reserved ranges; memory "
			 "between the others stays unused",
			 PLATFORM_RESERVED);
	platform->reserved_widened = true;
}

/* Without reg an operating system may choose where the region lies; nothing is there yet. */
static void visit_reserved(struct discovery *found)
{
	struct platform *platform = found->platform;
	struct range range;

	for (u32 i = 0; tree_reg(&found->walk, i, &range.base, &range.bytes); i++)
		platform_reserve(platform, range);
}

static void visit_cpu(struct discovery *found)
{
	struct platform *platform = found->platform;
	const struct node *parent = &found->walk.node[found->walk.depth - 1];
	struct platform_cpu cpu = { 0 };
	struct value method = tree_value(&found->walk, P_ENABLE_METHOD),
		     reg = tree_value(&found->walk, P_REG);
	struct value release = tree_value(&found->walk, P_CPU_RELEASE_ADDR);
	bool boot_core;

	if (reg.bytes != 4 && reg.bytes != 8) {
		tree_complain(&found->walk, "reg",
			      "expected the core's MPIDR affinity in one or two cells");
		return;
	}
	cpu.mpidr = tree_cells(reg.data, reg.bytes / 4) & MPIDR_AFFINITY;
	boot_core = cpu.mpidr == (found->boot_mpidr & MPIDR_AFFINITY);
	if (!method.data)
		method = parent->value[P_ENABLE_METHOD];
	cpu.psci = tree_is_string(method, "psci");
	if (release.bytes == 4 || release.bytes == 8)
		cpu.release = tree_cells(release.data, release.bytes / 4);
	if (!boot_core && !cpu.psci && !tree_is_string(method, "spin-table")) {
		tree_complain(&found->walk, "enable-method",
			      "expected psci or spin-table; the core stays off");
		return;
	}
	if (!boot_core && !cpu.psci && (!cpu.release || cpu.release % 8)) {
		tree_complain(&found->walk, "cpu-release-addr",
			      "expected an address that is a multiple of 8; the core stays off");
		return;
	}
	/* One place is kept for the boot core until it has come. */
	if (platform->cpu_count - found->boot_core_found == MAX_PCPUS - 1 && !boot_core) {
		tree_complain(&found->walk, "reg", "one core too many; it stays off");
		return;
	}
	/* cpu[0] waits for the boot core. */
	if (boot_core) {
		platform->cpu[0] = cpu;
		platform->cpu_count += !found->boot_core_found;
		found->boot_core_found = true;
		return;
	}
	platform->cpu[platform->cpu_count + !found->boot_core_found] = cpu;
	platform->cpu_count++;
}

static void visit_gic(struct discovery *found, u32 version)
{
	static const char *const frames[4] = {
		"expected the distributor",
		"expected the CPU interface, or in version 3 the redistributors",
		"expected the hypervisor interface as third entry",
		"expected the virtual CPU interface as fourth entry",
	};
	struct gic_registers *gic = &found->platform->gic;
	u64 base[4], bytes[4];

	if (gic->version)
		return; /* another one is behind it */
	for (u32 i = 0; i < (version == 2 ? 4 : 2); i++) {
		if (!tree_reg(&found->walk, i, &base[i], &bytes[i])) {
			tree_complain(&found->walk, "reg", frames[i]);
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
	found->interrupt_cells = tree_cell(tree_current(&found->walk), P_INTERRUPT_CELLS, 3);
	if (!tree_interrupt(tree_value(&found->walk, P_INTERRUPTS), 0, found->interrupt_cells,
			    &found->platform->maintenance_intid, 0)) {
		tree_complain(&found->walk, "interrupts",
			      "expected the maintenance interrupt; 25 is taken");
		found->platform->maintenance_intid = GIC_MAINTENANCE_INTID;
	}
}

static bool read_device(struct discovery *found, struct platform_device *device)
{
	if (!tree_reg(&found->walk, 0, &device->base.raw, &device->bytes) || !device->bytes) {
		tree_complain(&found->walk, "reg",
			      "expected an address that its buses translate, and a size");
		return false;
	}
	device->intid = 0;
	device->edge = false;
	if (tree_value(&found->walk, P_INTERRUPTS).data &&
	    !tree_interrupt(tree_value(&found->walk, P_INTERRUPTS), 0, 3, &device->intid,
			    &device->edge))
		tree_complain(&found->walk, "interrupts",
			      "expected a GIC specifier of an SPI or PPI");
	return true;
}

/*
 * Puts the current node into an array that is ordered by address, each entry of which begins with a struct
 * platform_device. 0: it cannot be read, or there is no room.
 */
static void *add_device(struct discovery *found, void *array, u64 each, u32 *count, u32 room)
{
	static struct platform_device device; /* boot core only */
	u8 *at = (u8 *)array + *count * each;

	if (!read_device(found, &device))
		return 0;
	if (*count == room) {
		tree_complain(&found->walk, "reg", "one device too many; it is ignored");
		return 0;
	}
	++*count;
	for (; at != array && ((struct platform_device *)(at - each))->base.raw > device.base.raw;
	     at -= each)
		memcpy(at, at - each, each);
	return memcpy(at, &device, sizeof(device));
}

static void visit_virtio(struct discovery *found)
{
	struct platform *platform = found->platform;

	add_device(found, platform->virtio_mmio, sizeof(platform->virtio_mmio[0]),
		   &platform->virtio_mmio_count, PLATFORM_VIRTIO);
}

/* A controller whose card is soldered in, or that has no pin for it, always looks. */
static void visit_sdhci(struct discovery *found, bool emmc2)
{
	struct platform *platform = found->platform;
	struct platform_sdhci *slot = add_device(found, platform->sdhci, sizeof(*slot),
						 &platform->sdhci_count, PLATFORM_SDHCI);

	if (!slot)
		return;
	slot->removable = !tree_value(&found->walk, P_NON_REMOVABLE).data &&
			  !tree_value(&found->walk, P_BROKEN_CD).data;
	slot->emmc2 = emmc2;
	tree_dma(&found->walk, &slot->dma);
}

static void visit_mailbox(struct discovery *found)
{
	if (read_device(found, &found->platform->mailbox))
		tree_dma(&found->walk, &found->platform->mailbox_dma);
}

static void visit_timer(struct discovery *found)
{
	const struct node *node = tree_current(&found->walk);

	found->timer_interrupts = node->value[P_INTERRUPTS];
	found->platform->timer_hz = tree_cell(node, P_CLOCK_FREQUENCY, 0);
}

static void visit_psci(struct discovery *found)
{
	found->platform->psci = tree_is_string(tree_value(&found->walk, P_METHOD), "smc");
	if (!found->platform->psci)
		tree_complain(&found->walk, "method",
			      "expected smc, the only way from EL2; PSCI is not used");
}

static void visit_power(struct discovery *found)
{
	read_device(found, &found->platform->power);
}

static void visit_pl011(struct discovery *found)
{
	if (found->first_pl011[0] || !read_device(found, &found->pl011))
		return;
	tree_path(&found->walk, found->first_pl011, sizeof(found->first_pl011));
	found->pl011_compatible = tree_value(&found->walk, P_COMPATIBLE);
}

static void visit_chosen(struct discovery *found)
{
	struct value start = tree_value(&found->walk, P_INITRD_START),
		     end = tree_value(&found->walk, P_INITRD_END);
	struct range *image = &found->platform->system_image;

	found->stdout_path = tree_value(&found->walk, P_STDOUT_PATH);
	if (!start.data && !end.data)
		return;
	if ((start.bytes != 4 && start.bytes != 8) || (end.bytes != 4 && end.bytes != 8)) {
		tree_complain(&found->walk, "linux,initrd-start",
			      "expected it and linux,initrd-end, 4 or 8 bytes each");
		return;
	}
	image->base = tree_cells(start.data, start.bytes / 4);
	image->bytes = tree_cells(end.data, end.bytes / 4) - image->base;
	if (tree_cells(end.data, end.bytes / 4) <= image->base) {
		tree_complain(&found->walk, "linux,initrd-end",
			      "expected an address above linux,initrd-start");
		image->bytes = 0;
	}
}

enum kind { VIRTIO, PL011, GIC_V2, GIC_V3, TIMER, SDHCI, EMMC2, MAILBOX, POWER, PSCI };

static const struct {
	const char *compatible;
	enum kind kind;
} known[] = {
	{ "virtio,mmio", VIRTIO },	  { "arm,pl011", PL011 },
	{ "arm,cortex-a15-gic", GIC_V2 }, { "arm,gic-400", GIC_V2 },
	{ "arm,gic-v3", GIC_V3 },	  { "arm,armv8-timer", TIMER },
	{ "brcm,bcm2711-emmc2", EMMC2 },  { "brcm,bcm2835-sdhci", SDHCI },
	{ "brcm,bcm2835-mbox", MAILBOX }, { "brcm,bcm2835-pm", POWER },
	{ "brcm,bcm2711-pm", POWER },	  { "arm,psci-1.0", PSCI },
	{ "arm,psci-0.2", PSCI },
};

static void visit_kind(struct discovery *found, enum kind kind)
{
	switch (kind) {
	case VIRTIO:
		visit_virtio(found);
		break;
	case PL011:
		visit_pl011(found);
		break;
	case GIC_V2:
		visit_gic(found, 2);
		break;
	case GIC_V3:
		visit_gic(found, 3);
		break;
	case TIMER:
		visit_timer(found);
		break;
	case SDHCI:
	case EMMC2:
		visit_sdhci(found, kind == EMMC2);
		break;
	case MAILBOX:
		visit_mailbox(found);
		break;
	case POWER:
		visit_power(found);
		break;
	case PSCI:
		visit_psci(found);
		break;
	}
}

/* The first of its names that we know counts. */
static void visit_compatible(struct discovery *found, struct value compatible)
{
	const char *name;

	while ((name = tree_next_string(&compatible)))
		for (u32 i = 0; i < ARRAY_SIZE(known); i++)
			if (*name == *known[i].compatible && !strcmp(name, known[i].compatible)) {
				visit_kind(found, known[i].kind);
				return;
			}
}

/* First walk: all properties of the current node are known. */
static void visit(struct tree_walk *walk)
{
	struct discovery *found = (struct discovery *)walk;
	const struct node *node = tree_current(&found->walk);
	const char *parent = found->walk.depth ? found->walk.node[found->walk.depth - 1].name : "";

	/* A core that is "disabled" waits to be started (Devicetree Specification 0.4, 3.8.1). */
	if (tree_is_string(node->value[P_DEVICE_TYPE], "cpu") && found->walk.depth == 2)
		visit_cpu(found);
	else if (!tree_is_enabled(&found->walk))
		return; /* such as memory and devices of the secure world */
	else if (tree_is_string(node->value[P_DEVICE_TYPE], "memory") && found->walk.depth == 1)
		visit_memory(found);
	else if (found->walk.depth == 2 && !strcmp(parent, "reserved-memory"))
		visit_reserved(found);
	else if (found->walk.depth == 1 && !strcmp(node->name, "chosen"))
		visit_chosen(found);
	else if (found->walk.depth == 1 && !strcmp(node->name, "aliases"))
		found->aliases = node->offset;
	else if (node->value[P_COMPATIBLE].data && found->walk.depth)
		visit_compatible(found, node->value[P_COMPATIBLE]);
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

/* Second walk. */
static void visit_uart(struct tree_walk *walk)
{
	struct discovery *found = (struct discovery *)walk;
	struct platform_device device;
	struct value compatible = tree_value(&found->walk, P_COMPATIBLE);

	if (found->uart_found ||
	    !tree_path_is(&found->walk, found->uart_path, found->uart_path_length))
		return;
	found->uart_found = true;
	if (!compatible.data)
		tree_complain(&found->walk, "compatible", "expected the kind of UART");
	else if (read_device(found, &device))
		take_uart(found->platform, &device, compatible);
}

static void find_uart(struct discovery *found)
{
	struct value path = found->stdout_path;
	const char *text = (const char *)path.data;
	size_t length = path.bytes ? strnlen(text, path.bytes) : 0;
	const char *colon = length ? memchr(text, ':', length) : 0;
	int bytes;

	length = colon ? (size_t)(colon - text) : length; /* ":115200n8" */
	if (length && *text != '/') {
		text = fdt_getprop_namelen(found->walk.tree, found->aliases, text, (int)length,
					   &bytes);
		length = text && found->aliases ? strnlen(text, (size_t)bytes) : 0;
	}
	if (path.data && !length)
		log_line("tree: /chosen: stdout-path: expected a path or an alias of one");
	if (length && (strlen(found->first_pl011) != length ||
		       memcmp(found->first_pl011, text, length) != 0)) {
		found->uart_path = text;
		found->uart_path_length = length;
		tree_walk(&found->walk, visit_uart);
		if (!found->uart_found)
			log_line("tree: /chosen: stdout-path: there is no such node");
	}
	if (!found->platform->uart.bytes && found->first_pl011[0])
		take_uart(found->platform, &found->pl011, found->pl011_compatible);
}

/* ---- All of it ---- */

static void read_reserve_map(struct discovery *found)
{
	int count = fdt_num_mem_rsv(found->walk.tree);
	struct range range;

	for (int i = 0; i < count; i++)
		if (!fdt_get_mem_rsv(found->walk.tree, i, &range.base, &range.bytes))
			platform_reserve(found->platform, range);
}

/* The timer's interrupts: secure, non-secure, virtual, hypervisor. */
static bool read_timer(struct discovery *found)
{
	struct platform *platform = found->platform;
	u32 each = found->interrupt_cells;

	if (tree_interrupt(found->timer_interrupts, 2, each, &platform->virtual_timer_intid, 0) &&
	    tree_interrupt(found->timer_interrupts, 3, each, &platform->el2_timer_intid, 0))
		return true;
	log_line("tree: timer: interrupts: expected a node compatible with arm,armv8-timer and its "
		 "four PPIs");
	return false;
}

static bool check_machine(struct discovery *found)
{
	struct platform *platform = found->platform;

	if (!found->boot_core_found) {
		log_line("tree: /cpus: expected a cpu node whose reg is the boot core's %lx",
			 found->boot_mpidr & MPIDR_AFFINITY);
		platform->cpu[0] =
			(struct platform_cpu){ .mpidr = found->boot_mpidr & MPIDR_AFFINITY };
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
	return read_timer(found);
}

bool platform_read(const void *tree, u64 boot_mpidr, struct platform *platform)
{
	struct discovery found = { .walk.tree = tree,
				   .platform = platform,
				   .boot_mpidr = boot_mpidr };
	int error = fdt_check_header(tree);

	if (!error && (fdt_version(tree) < TREE_VERSION || fdt_off_dt_struct(tree) % 4))
		error = -FDT_ERR_BADVERSION;
	memset(platform, 0, sizeof(*platform));
	if (error) {
		log_line("tree: expected a device tree at the address in x0 (libfdt says %d)",
			 error);
		return false;
	}
	read_reserve_map(&found);
	if (!tree_walk(&found.walk, visit)) {
		tree_complain(&found.walk, "end",
			      "expected a whole tree, but it is damaged behind this node");
		find_uart(&found);
		return false;
	}
	platform_reserve(platform, platform->system_image);
	find_uart(&found);
	return check_machine(&found);
}
