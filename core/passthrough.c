/*
 * Passthrough of devices to VMs (passthrough.h).
 *
 * What is not known to be harmless is refused: registers that share a page with another device's,
 * interrupts that another device raises too, and devices that may read and write memory by
 * themselves, past stage 2. Of the last no tree tells: so all are taken for such but a few kinds.
 *
 * Owns: the table of such devices, written at boot. Locks: none. The entries of stage 2 for their
 * registers are changed by nobody else.
 */
#include "core/passthrough.h"

#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/fault.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/tree_walk.h"

/* Devices that do not access memory: by `dmas` others may do it for them, which a VM does not get. */
static const char *const no_masters[] = {
	"arm,pl011",	    "arm,pl031",	   "arm,pl061",
	"arm,sp804",	    "brcm,bcm2711-rng200", "brcm,bcm2835-i2c",
	"brcm,bcm2835-pwm", "brcm,bcm2835-spi",	   "brcm,bcm2835-system-timer",
	"snps,dw-apb-uart",
};

static struct passed *passed;
static u32 count;

/* The walk, and what visitors need besides. */
struct search {
	struct tree_walk walk; /* first: visitors get this and convert by a cast */
	const struct platform *platform;
};

/* One line for a VM is enough. `what` ends it. */
static void refuse(const struct passed *device, const char *why, const char *what)
{
	if (!device->vm->refused)
		log_line("manifest: /vms/%s: devices: %.64s %s%s; name another", device->vm->name,
			 device->path, why, what);
	device->vm->refused = true;
}

/* Does the range lie in the frame's pages, in part at least? */
static bool meets(const struct range *frame, u64 base, u64 bytes)
{
	u64 page = align_down(frame->base, PAGE_SIZE);

	return base < align_up(frame->base + frame->bytes, PAGE_SIZE) && page < base + bytes;
}

/* ---- The device's own node ---- */

static bool is_of(const struct platform_device *device, const struct range *frame)
{
	return meets(frame, device->base.raw, device->bytes); /* 0 bytes: there is none */
}

/* All that a driver here has the registers of. A node of the interrupt controller has the distributor among its own. */
static bool is_weirs(const struct platform *platform, const struct range *frame)
{
	bool own = is_of(&platform->uart, frame) || is_of(&platform->power, frame) ||
		   is_of(&platform->mailbox, frame) ||
		   meets(frame, platform->gic.distributor.raw, 1);

	for (u32 i = 0; i < platform->sdhci_count; i++)
		own |= is_of(&platform->sdhci[i].device, frame);
	for (u32 i = 0; i < platform->virtio_mmio_count; i++)
		own |= is_of(&platform->virtio_mmio[i], frame);
	return own;
}

static void read_frames(struct passed *device, const struct search *search)
{
	struct range *frame = device->frame;

	for (; tree_reg(&search->walk, device->frames, &frame->base, &frame->bytes); frame++) {
		if (device->frames == PASSED_FRAMES - 1 || !frame->bytes ||
		    frame->bytes > PASSED_PAGES * PAGE_SIZE ||
		    (frame->base + frame->bytes) >> STAGE2_IPA_BITS)
			refuse(device, "has more registers than 3 times 256 KiB, or beyond 512 GiB",
			       "");
		if (device->frames == PASSED_FRAMES - 1)
			return;
		if (is_weirs(search->platform, frame))
			refuse(device, "is in use by the hypervisor", "");
		if (frame->base % PAGE_SIZE)
			format_text(device->neighbours, sizeof(device->neighbours),
				    "what lies before it");
		device->frames++;
	}
	if (!device->frames)
		refuse(device, "has no registers at an address of its own", "");
}

/* The nearest one, as the standard has it; the root's is the GIC's on all machines. */
static bool has_gic(const struct tree_walk *walk)
{
	u32 parent = 0;

	for (u32 i = walk->depth; i && !parent; i--)
		parent = tree_cell(&walk->node[i], P_INTERRUPT_PARENT, 0);
	return !parent || parent == tree_cell(&walk->node[0], P_INTERRUPT_PARENT, 0);
}

/* Entry `index` of the current node's interrupts, which are the GIC's. */
static bool interrupt_at(const struct tree_walk *walk, u32 index, u32 *intid, bool *edge)
{
	return has_gic(walk) &&
	       tree_interrupt(tree_value(walk, P_INTERRUPTS), index, 3, intid, edge);
}

static void read_interrupts(struct passed *device, const struct tree_walk *walk)
{
	u32 all = tree_value(walk, P_INTERRUPTS).bytes / 12;

	if (tree_value(walk, P_INTERRUPTS_EXTENDED).data)
		all = PASSED_INTERRUPTS + 1; /* which are not read */
	for (u32 i = 0; i < all; i++) {
		u32 *intid = &device->intid[i];

		if (all > PASSED_INTERRUPTS || !interrupt_at(walk, i, intid, &device->edge[i]) ||
		    *intid < 32 || *intid >= 32 + 32 * VGIC_SPI_BANKS || *intid == VM_UART_INTID) {
			refuse(device,
			       "has more than 8 interrupts, or others than the GIC's SPIs 0 "
			       "and 2 to 255",
			       "");
			return;
		}
		if (*intid - VM_VIRTIO_INTID < manifest_virtio_devices(device->vm)) {
			refuse(device,
			       "has an interrupt that a virtio device of the VM has (SPI 16 on)",
			       "");
			return;
		}
		device->interrupts++;
	}
}

static bool may_be_master(const struct tree_walk *walk)
{
	for (u32 i = 0; i < ARRAY_SIZE(no_masters); i++)
		if (tree_has_string(tree_value(walk, P_COMPATIBLE), no_masters[i]))
			return false;
	return true;
}

/* First walk. */
static void visit_device(struct tree_walk *walk)
{
	const struct search *search = (const struct search *)walk;

	for (struct passed *device = passed; device < passed + count; device++) {
		if (device->vm->refused || device->node != tree_current(walk)->offset)
			continue;
		if (!tree_is_enabled(walk))
			refuse(device, "is disabled", "");
		read_frames(device, search);
		read_interrupts(device, walk);
		if (may_be_master(walk) && !device->vm->dma_unsafe)
			refuse(device, "may access memory by itself, and the VM has no dma-unsafe",
			       "");
	}
}

/* ---- All other nodes ---- */

static bool shares_page(const struct passed *device, const struct tree_walk *walk)
{
	u64 base, bytes;

	for (u32 i = 0; tree_reg(walk, i, &base, &bytes); i++)
		for (u32 j = 0; j < device->frames; j++)
			if (meets(&device->frame[j], base, bytes))
				return true;
	return false;
}

static bool has_line(const struct passed *device, u32 intid)
{
	for (u32 i = 0; i < device->interrupts; i++)
		if (intid == device->intid[i])
			return true;
	return false;
}

/* Of the node that `parent` names; without the property, or the node, 0. */
static u32 cells_of(const void *tree, int parent, const char *property)
{
	const fdt32_t *cells = parent < 0 ? 0 : fdt_getprop(tree, parent, property, 0);

	return cells ? fdt32_ld(cells) : 0;
}

/*
 * Does a list name a line of the device? Devicetree Specification 0.4, 2.4: each row is so many cells of the child, the
 * parent's phandle, in a map its address, and the specifier as the parent has it. A row that cannot be read might.
 */
static bool lists_line(const struct passed *device, const struct tree_walk *walk, struct value list,
		       u32 child, bool map)
{
	u32 gic = tree_cell(&walk->node[0], P_INTERRUPT_PARENT, 0), cells = list.bytes / 4;
	u32 at = child, before = 0, skip = 0, length = 0, intid;

	for (; at < cells; at += length + child) {
		u32 phandle = (u32)tree_cells(list.data + 4 * (u64)at, 1);

		if (phandle != before) {
			int parent = fdt_node_offset_by_phandle(walk->tree, phandle);

			skip = map ? cells_of(walk->tree, parent, "#address-cells") : 0;
			length = cells_of(walk->tree, parent, "#interrupt-cells");
			before = phandle;
		}
		at += 1 + skip;
		if (!length || length > cells || skip > cells || at > cells - length)
			return true;
		if (phandle == gic &&
		    tree_interrupt((struct value){ list.data + 4 * (u64)at, 4 * length }, 0, length,
				   &intid, 0) &&
		    has_line(device, intid))
			return true;
	}
	return at != cells + child; /* what is left is no row */
}

/* A line that nobody is to raise does not count. */
static bool shares_interrupt(const struct passed *device, const struct tree_walk *walk)
{
	const struct node *node = tree_current(walk);
	u32 intid;

	if (!device->interrupts || !tree_is_enabled(walk))
		return false;
	for (u32 i = 0; interrupt_at(walk, i, &intid, 0); i++)
		if (has_line(device, intid))
			return true;
	return lists_line(device, walk, node->value[P_INTERRUPTS_EXTENDED], 0, false) ||
	       lists_line(device, walk, node->value[P_INTERRUPT_MAP],
			  tree_cell(node, P_ADDRESS_CELLS, 2) +
				  tree_cell(node, P_INTERRUPT_CELLS, 1),
			  true);
}

/* Second walk. */
static void visit_other(struct tree_walk *walk)
{
	const struct node *node = tree_current(walk);

	for (struct passed *device = passed; walk->depth && device < passed + count; device++) {
		size_t length = strlen(device->neighbours);

		if (device->node != node->offset &&
		    (shares_interrupt(device, walk) || shares_page(device, walk)))
			format_text(device->neighbours + length,
				    sizeof(device->neighbours) - length, length ? ", %s" : "%s",
				    node->name);
	}
}

/* ---- Public: boot ---- */

u64 passthrough_tree_bytes(const void *tree)
{
	return max(fdt_off_dt_struct(tree) + fdt_size_dt_struct(tree),
		   fdt_off_dt_strings(tree) + fdt_size_dt_strings(tree));
}

static void add(const void *tree, struct manifest_vm *vm, const char *path)
{
	struct passed *device = &passed[count++];

	device->vm = vm;
	device->path = path;
	device->tree = tree;
	device->node = fdt_path_offset(tree, path);
	if (device->node <= 0)
		refuse(device, "is no path or alias in the machine's tree", "");
	for (struct passed *other = passed; other < device; other++)
		if (other->node == device->node)
			refuse(device, "is given to ", other->vm->name);
	vm->passed = vm->passed ? vm->passed : device;
	vm->passed_count++;
}

void passthrough_find(const void *tree, const struct platform *platform, struct manifest *manifest)
{
	struct search search = { .walk.tree = tree, .platform = platform };
	u32 names = 0;

	for (u32 i = 0; i < manifest->vm_count; i++)
		names += manifest->vm[i].device_count;
	count = 0;
	if (!names)
		return;
	passed = heap_alloc(names * sizeof(*passed));
	for (u32 i = 0; i < manifest->vm_count; i++) {
		struct manifest_vm *vm = &manifest->vm[i];
		const char *path = vm->devices;

		for (u32 n = 0; !vm->refused && n < vm->device_count; n++, path += strlen(path) + 1)
			add(tree, vm, path);
	}
	tree_walk(&search.walk, visit_device);
	tree_walk(&search.walk, visit_other);
	for (u32 i = 0; i < count; i++) {
		if (*passed[i].neighbours)
			refuse(&passed[i], "shares a page or an interrupt with ",
			       passed[i].neighbours);
		passed[i].vm->passed_frames += passed[i].frames;
	}
}

static void prepare(struct vm *vm, const struct passed *device, const struct range *frame)
{
	u64 bytes = align_up(frame->bytes, PAGE_SIZE);
	const char *place = fault_place(vm, frame->base, bytes);

	if (place)
		refuse(device, "has registers where the VM has ", place);
	else
		stage2_make_tables(&vm->stage2, IPA(frame->base), bytes);
}

bool passthrough_prepare(struct vm *vm)
{
	const struct manifest_vm *config = vm->config;

	for (u32 i = 0; i < config->passed_count; i++) {
		const struct passed *device = &config->passed[i];

		for (u32 j = 0; j < device->frames; j++)
			prepare(vm, device, &device->frame[j]);
		for (u32 j = 0; j < device->interrupts; j++)
			irq_pass(device->intid[j], vm, device->edge[j]);
	}
	return !config->refused;
}

/* ---- Public: the VM's life ---- */

static void set(struct vm *vm, const struct passed *device, bool given)
{
	for (u32 i = 0; i < device->interrupts; i++)
		vgic_hardware_set(vm, device->intid[i], given);
	for (u32 i = 0; i < device->frames; i++)
		stage2_set_pages(&vm->stage2, IPA(device->frame[i].base),
				 (u32)(align_up(device->frame[i].bytes, PAGE_SIZE) / PAGE_SIZE),
				 PA(device->frame[i].base), given ? STAGE2_DEVICE : STAGE2_NONE);
}

bool passthrough_step(struct vm *vm, bool give)
{
	if (vm->passed == (give ? vm->config->passed_count : 0))
		return false;
	vm->passed -= !give;
	set(vm, &vm->config->passed[vm->passed], give);
	vm->passed += give;
	return true;
}
