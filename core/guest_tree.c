/*
 * The device tree that a VM gets: its own from the manifest, or one that describes the machine of
 * core/vm.h with the names that QEMU's virt machine uses, so that kernels know it.
 */
#include <libfdt.h>
#include <weir/abi.h>
#include "arch/arm64/cpu.h"
#include "arch/arm64/timer.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/passthrough.h"
#include "core/vdev/virtio.h"
#include "drivers/gic.h"

#define PHANDLE_GIC   1
#define PHANDLE_CLOCK 2
#define CLOCK_HZ      24000000 /* of the PL011 */
#define SEED_BYTES    32
#define KASLR_BYTES   8
/* Of a longer one, in a tree of the VM's own, only the beginning: one step of the VM writes it. */
#define SEED_MOST 64u

/* Interrupt specifiers of the GIC: SPI or PPI, number, flags. */
#define SPI	    0
#define PPI	    1
#define EDGE_RISING 1
#define LEVEL_HIGH  4
#define SPI_INTID   32
#define PPI_INTID   16

#define UART_PATH "/pl011@9000000"

static const char *const seeds[GUEST_SEEDS] = { "rng-seed", "kaslr-seed" };

/* A tree being written; after the first error nothing more happens to it. */
struct writer {
	void *tree;
	const struct vm *vm;
	int error;
};

/* ---- One property, one node ---- */

static void begin(struct writer *writer, const char *name)
{
	if (!writer->error)
		writer->error = fdt_begin_node(writer->tree, name);
}

static void end(struct writer *writer)
{
	if (!writer->error)
		writer->error = fdt_end_node(writer->tree);
}

static void put_bytes(struct writer *writer, const char *name, const void *data, u32 bytes)
{
	if (!writer->error)
		writer->error = fdt_property(writer->tree, name, data, (int)bytes);
}

static void put_flag(struct writer *writer, const char *name)
{
	put_bytes(writer, name, "", 0);
}

/* Several strings, separated by \0 in the literal. */
#define put_list(writer, name, literal) put_bytes(writer, name, literal, sizeof(literal))

static void put_text(struct writer *writer, const char *name, const char *text)
{
	put_bytes(writer, name, text, (u32)strlen(text) + 1);
}

#define CELLS_MAX 12

static void put_cells(struct writer *writer, const char *name, const u32 *cells, u32 count)
{
	fdt32_t big_endian[CELLS_MAX];

	for (u32 i = 0; i < count; i++)
		big_endian[i] = cpu_to_fdt32(cells[i]);
	put_bytes(writer, name, big_endian, count * 4);
}

static void put_u32(struct writer *writer, const char *name, u32 value)
{
	put_cells(writer, name, &value, 1);
}

static void put_u64(struct writer *writer, const char *name, u64 value)
{
	put_cells(writer, name, (const u32[]){ (u32)(value >> 32), (u32)value }, 2);
}

/* Addresses and sizes of two cells each, as the root has it. */
static void put_reg(struct writer *writer, const struct range *ranges, u32 count)
{
	u32 cells[CELLS_MAX];

	for (u32 i = 0; i < count; i++) {
		cells[4 * i] = (u32)(ranges[i].base >> 32);
		cells[4 * i + 1] = (u32)ranges[i].base;
		cells[4 * i + 2] = (u32)(ranges[i].bytes >> 32);
		cells[4 * i + 3] = (u32)ranges[i].bytes;
	}
	put_cells(writer, "reg", cells, 4 * count);
}

/* The version 2 binding wants the mask of the CPUs in a PPI's flags. */
static void put_ppis(struct writer *writer, const u32 *intids, u32 count, u32 trigger)
{
	u32 mask = gic_version() == 2 ? ((1u << writer->vm->vcpu_count) - 1) << 8 : 0;
	u32 cells[CELLS_MAX];

	for (u32 i = 0; i < count; i++) {
		cells[3 * i] = PPI;
		cells[3 * i + 1] = intids[i] - PPI_INTID;
		cells[3 * i + 2] = mask | trigger;
	}
	put_cells(writer, "interrupts", cells, 3 * count);
}

/* ---- The machine ---- */

static void write_chosen(struct writer *writer, struct range ramdisk)
{
	static const u8 seed[SEED_BYTES]; /* guest_tree_reseed() puts the real ones in its place */

	begin(writer, "chosen");
	put_bytes(writer, seeds[0], seed, SEED_BYTES);
	put_bytes(writer, seeds[1], seed, KASLR_BYTES);
	put_text(writer, "stdout-path", UART_PATH);
	if (writer->vm->config->bootargs)
		put_text(writer, "bootargs", writer->vm->config->bootargs);
	if (ramdisk.bytes) {
		put_u64(writer, "linux,initrd-start", ramdisk.base);
		put_u64(writer, "linux,initrd-end", ramdisk.base + ramdisk.bytes);
	}
	end(writer);
}

static void write_cpus(struct writer *writer)
{
	char name[] = "cpu@0";

	begin(writer, "cpus");
	put_u32(writer, "#address-cells", 1);
	put_u32(writer, "#size-cells", 0);
	for (u32 i = 0; i < writer->vm->vcpu_count; i++) {
		name[4] = "0123456789abcdef"[i];
		begin(writer, name);
		put_text(writer, "device_type", "cpu");
		put_text(writer, "compatible", "arm,armv8");
		put_u32(writer, "reg", i); /* the affinity in VMPIDR_EL2 */
		put_text(writer, "enable-method", "psci");
		end(writer);
	}
	end(writer);
	begin(writer, "psci");
	put_list(writer, "compatible", "arm,psci-1.0\0arm,psci-0.2");
	put_text(writer, "method", "hvc");
	end(writer);
}

static void write_memory(struct writer *writer)
{
	char name[sizeof("memory@0123456789abcdef")];

	format_text(name, sizeof(name), "memory@%lx", writer->vm->ram_ipa);
	begin(writer, name);
	put_text(writer, "device_type", "memory");
	put_reg(writer, &(struct range){ writer->vm->ram_ipa, writer->vm->ram_bytes }, 1);
	end(writer);
}

static void write_timer(struct writer *writer)
{
	static const u32 secure_physical_virtual_hypervisor[] = { 29, 30, 27, 26 };

	begin(writer, "timer");
	put_text(writer, "compatible", "arm,armv8-timer");
	put_ppis(writer, secure_physical_virtual_hypervisor, 4, LEVEL_HIGH);
	put_flag(writer, "always-on");
	put_u32(writer, "clock-frequency", (u32)timer_frequency());
	end(writer);
}

/* Without an interrupt: a kernel counts, and takes no samples. */
static void write_pmu(struct writer *writer)
{
	begin(writer, "pmu");
	put_text(writer, "compatible", "arm,armv8-pmuv3");
	end(writer);
}

static void write_gic(struct writer *writer)
{
	bool v3 = gic_version() == 3;
	struct range frames[] = {
		{ VM_GICD_BASE, VM_GICD_BYTES },
		{ VM_GICC_BASE, VM_GICC_BYTES },
	};

	if (v3)
		frames[1] = (struct range){ VM_GICR_BASE, VM_GICR_STRIDE * writer->vm->vcpu_count };
	begin(writer, "intc@8000000");
	put_text(writer, "compatible", v3 ? "arm,gic-v3" : "arm,cortex-a15-gic");
	put_reg(writer, frames, 2);
	put_flag(writer, "interrupt-controller");
	put_u32(writer, "#interrupt-cells", 3);
	put_u32(writer, "#address-cells", 0);
	put_u32(writer, "phandle", PHANDLE_GIC);
	end(writer);
}

static void write_uart(struct writer *writer)
{
	begin(writer, "apb-pclk");
	put_text(writer, "compatible", "fixed-clock");
	put_u32(writer, "clock-frequency", CLOCK_HZ);
	put_text(writer, "clock-output-names", "clk24mhz");
	put_u32(writer, "#clock-cells", 0);
	put_u32(writer, "phandle", PHANDLE_CLOCK);
	end(writer);
	begin(writer, &UART_PATH[1]);
	put_list(writer, "compatible", "arm,pl011\0arm,primecell");
	put_reg(writer, &(struct range){ VM_UART_BASE, VM_UART_BYTES }, 1);
	put_cells(writer, "interrupts", (const u32[]){ SPI, VM_UART_INTID - SPI_INTID, LEVEL_HIGH },
		  3);
	put_list(writer, "clock-names", "uartclk\0apb_pclk");
	put_cells(writer, "clocks", (const u32[]){ PHANDLE_CLOCK, PHANDLE_CLOCK }, 2);
	end(writer);
}

static void write_virtio(struct writer *writer, u32 slot)
{
	u64 base = VM_VIRTIO_BASE + slot * VIRTIO_SLOT_BYTES;
	char name[sizeof("virtio_mmio@01234567")];

	format_text(name, sizeof(name), "virtio_mmio@%lx", base);
	begin(writer, name);
	put_text(writer, "compatible", "virtio,mmio");
	put_reg(writer, &(struct range){ base, VIRTIO_SLOT_BYTES }, 1);
	put_cells(writer, "interrupts",
		  (const u32[]){ SPI, VM_VIRTIO_INTID - SPI_INTID + slot, EDGE_RISING }, 3);
	put_flag(writer, "dma-coherent");
	end(writer);
}

/* How a guest finds Weir without asking by SMCCC (weir/abi.h). */
static void write_hypervisor(struct writer *writer)
{
	static const u32 upcall_block_event[] = { WEIR_INTID_UPCALL, WEIR_INTID_BLOCK,
						  WEIR_INTID_EVENT };
	const struct vm *vm = writer->vm;
	const struct range shared_pool_window[] = {
		{ VM_SHARED_BASE, ipc_shared_bytes(vm->config) },
		{ vm_pool_base(vm), vm->pool_bytes },
		{ VM_WINDOW_BASE, vm->window_bytes },
	};

	begin(writer, "hypervisor");
	put_text(writer, "compatible", "weir,hypervisor");
	put_reg(writer, shared_pool_window, 3);
	put_ppis(writer, upcall_block_event, 3, EDGE_RISING);
	end(writer);
}

/* ---- Devices of the machine ---- */

/* What needs nothing else of the machine. */
static const char *const copied[] = {
	"compatible", "interrupts",   "interrupt-names", "reg-names",
	"reg-shift",  "reg-io-width", "clock-frequency", "arm,primecell-periphid",
};

/*
 * A clock that is only there for the device's bus has a rate that nobody asks for, so any will do.
 * Others the VM does not see.
 */
static void write_clocks(struct writer *writer, const struct passed *device)
{
	static const char bus[] = "apb_pclk";
	int bytes;
	const void *names = fdt_getprop(device->tree, device->node, "clock-names", &bytes);

	if (bytes == sizeof(bus) && !memcmp(names, bus, sizeof(bus))) {
		put_bytes(writer, "clock-names", bus, sizeof(bus));
		put_u32(writer, "clocks", PHANDLE_CLOCK);
	} else if (fdt_getprop(device->tree, device->node, "clocks", 0)) {
		log_line("tree: %s: clocks: VM %s does not see them", device->path,
			 writer->vm->config->name);
	}
}

/* The address on its bus is not that in the VM. */
static void begin_device(struct writer *writer, const struct passed *device)
{
	const char *own = fdt_get_name(device->tree, device->node, 0);
	char name[64];
	u32 length = 0;

	for (; own[length] && own[length] != '@' && length < 32; length++)
		name[length] = own[length];
	format_text(name + length, sizeof(name) - length, "@%lx", device->frame[0].base);
	begin(writer, name);
}

static void write_device(struct writer *writer, const struct passed *device)
{
	begin_device(writer, device);
	for (u32 i = 0; i < ARRAY_SIZE(copied); i++) {
		int bytes;
		const void *data = fdt_getprop(device->tree, device->node, copied[i], &bytes);

		if (data)
			put_bytes(writer, copied[i], data, (u32)bytes);
	}
	put_reg(writer, device->frame, device->frames);
	write_clocks(writer, device);
	end(writer);
}

static u32 write_generated(const struct vm *vm, struct range ramdisk, void *buffer, u32 size)
{
	struct writer writer = { buffer, vm, 0 };

	/* Each name is searched for among all before it otherwise; some 200 bytes buy that time. */
	writer.error = fdt_create_with_flags(buffer, (int)size, FDT_CREATE_FLAG_NO_NAME_DEDUP);
	if (!writer.error)
		writer.error = fdt_finish_reservemap(buffer);
	begin(&writer, "");
	put_u32(&writer, "#address-cells", 2);
	put_u32(&writer, "#size-cells", 2);
	put_u32(&writer, "interrupt-parent", PHANDLE_GIC);
	put_list(&writer, "compatible", "weir,vm\0linux,dummy-virt");
	put_text(&writer, "model", "weir,vm");
	write_chosen(&writer, ramdisk);
	write_cpus(&writer);
	write_memory(&writer);
	write_timer(&writer);
	if (vm->config->pmu)
		write_pmu(&writer);
	write_gic(&writer);
	write_uart(&writer);
	for (u32 i = 0; i < manifest_virtio_devices(vm->config); i++)
		write_virtio(&writer, i);
	write_hypervisor(&writer);
	for (u32 i = 0; i < vm->config->passed_count; i++)
		write_device(&writer, &vm->config->passed[i]);
	end(&writer);
	if (!writer.error)
		writer.error = fdt_finish(buffer);
	if (!writer.error)
		return fdt_totalsize(buffer);
	log_line(
		"manifest: /vms/%s: bootargs: the guest's tree does not fit into %u bytes; shorten "
		"them",
		vm->config->name, size);
	return 0;
}

/* ---- Both kinds ---- */

/* Checked in the buffer, which is aligned; in the image it need not be. */
static u32 copy_own(const struct vm *vm, void *buffer, u32 size)
{
	const struct blob *own = &vm->config->tree;
	int error = -FDT_ERR_NOSPACE;

	if (own->bytes <= size) {
		memcpy(buffer, own->data, own->bytes);
		error = fdt_check_full(buffer, own->bytes);
	}
	if (!error)
		return fdt_totalsize(buffer);
	log_line("manifest: /vms/%s: tree: is damaged (libfdt says %d); include what dtc -O dtb "
		 "makes",
		 vm->config->name, error);
	return 0;
}

u32 guest_tree_write(const struct vm *vm, struct range ramdisk, void *buffer, u32 size)
{
	return vm->config->tree.bytes ? copy_own(vm, buffer, size)
				      : write_generated(vm, ramdisk, buffer, size);
}

/* ---- The seeds ---- */

void guest_tree_find_seeds(void *tree, struct guest_seed seed[GUEST_SEEDS])
{
	int chosen = fdt_path_offset(tree, "/chosen");

	for (u32 i = 0; i < GUEST_SEEDS; i++) {
		int bytes = 0;

		seed[i].data = fdt_getprop_w(tree, chosen, seeds[i], &bytes);
		seed[i].bytes = seed[i].data ? min((u32)bytes, SEED_MOST) : 0;
	}
}

void guest_tree_reseed(const struct guest_seed seed[GUEST_SEEDS])
{
	u64 value = 0;

	for (u32 i = 0; i < GUEST_SEEDS; i++) {
		for (u32 at = 0; at < seed[i].bytes; at++, value >>= 8) {
			if (at % 8 == 0)
				value = cpu_random();
			seed[i].data[at] = (u8)value;
		}
	}
}
