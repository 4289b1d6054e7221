/*
 * Reads the system image and checks all of it.
 *
 * The tables are the format: each property's kind, range and what to do about a wrong value. They
 * say the same as tools/weirlib/manifest.py, which a manifest normally has passed already; so lines
 * here are short. Order: disks, then the names of all VMs, then what each VM says (it refers to
 * both), channels last. A disk or channel that is wrong is left out; a VM that is wrong keeps its
 * place and is refused.
 */
#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/manifest_reader.h"
#include "core/memory.h"

#define DEFAULT_LOAD_OFFSET 0x80000ul
#define NOT_FOUND	    UINT32_MAX

#define MINUTE_MS 60000u
#define MAX_MIB	  262144u

#define NUMBER(name, low, high, multiple, remedy) \
	{                                         \
		name, low, high, multiple, remedy \
	}
#define TEXT(name, longest, remedy)         \
	{                                   \
		name, 0, longest, 0, remedy \
	}
#define OTHER(name, remedy)           \
	{                             \
		name, 0, 0, 0, remedy \
	}

static const struct rule system_rules[] = {
	TEXT("compatible", 31, "write \"weir,system\""),
	OTHER("communication-cores", "number the cores from 0"),
	OTHER("stay", "write the name only"),
	{ 0 },
};

static const struct rule vm_rules[] = {
	OTHER("kernel", "include a kernel's file"),
	OTHER("ramdisk", "include a file that has content"),
	OTHER("tree", "include what dtc -O dtb makes"),
	TEXT("bootargs", 2047, "write one text, at most 2047 bytes"),
	NUMBER("memory-mib", 1, MAX_MIB, 1, "give at least 1 MiB"),
	NUMBER("memory-kib", 64, MAX_MIB << 10, 4, "give whole pages"),
	NUMBER("load-offset", 0, 0xfffff000, 4096, "give whole pages"),
	NUMBER("vcpus", 1, MAX_VCPUS, 1, "1 is the default"),
	OTHER("cores", "number the cores from 0"),
	NUMBER("priority", 0, 7, 1, "7 is served first, 3 is the default"),
	NUMBER("budget-us", 1, 10000000, 1, "give microseconds"),
	NUMBER("period-us", 1, 10000000, 1, "give microseconds"),
	NUMBER("shared-kib", 0, MAX_MIB << 10, 4, "give whole pages"),
	NUMBER("window-kib", 4, 720 << 10, 4, "give whole pages, 720 MiB at most"),
	NUMBER("ports", 1, 8192, 1, "128 is the default"),
	OTHER("peers", "name VMs"),
	OTHER("rights", "name rights"),
	OTHER("disks", "name disks"),
	OTHER("disks-read-only", "name disks"),
	TEXT("on-fault", 31, "write halt, restart or stop-machine"),
	NUMBER("watchdog-ms", 1, 60 * MINUTE_MS, 1, "give milliseconds"),
	NUMBER("upcall-ms", 1, 60 * MINUTE_MS, 1, "give milliseconds"),
	OTHER("pmu", "write the name only"),
	{ 0 },
};

_Static_assert(ARRAY_SIZE(vm_rules) <= RULES_MAX, "a VM's properties have a place each");

static const struct rule channel_rules[] = {
	OTHER("ends", "name two VMs"),
	{ 0 },
};

static const struct rule disk_rules[] = {
	NUMBER("device", 0, 7, 1, "count the machine's disks from 0"),
	NUMBER("first-sector", 0, UINT32_MAX, 1, "count sectors of 512 bytes from 0"),
	NUMBER("sectors", 1, UINT32_MAX, 1, "give the length in sectors of 512 bytes"),
	NUMBER("partition", 1, 128, 1, "count the partitions from 1"),
	{ 0 },
};

/* What a kernel must not be, by its first bytes, little endian. */
static const struct {
	u32 magic, mask;
	const char *what, *remedy;
} unbootable[] = {
	{ 0x464c457f, UINT32_MAX, "an ELF file", "make a raw binary of it by objcopy -O binary" },
	{ 0xedfe0dd0, UINT32_MAX, "a device tree", "include the kernel itself" },
	{ 0xfd2fb528, UINT32_MAX, "packed by zstd", "unpack it first" },
	{ 0x587a37fd, UINT32_MAX, "packed by xz", "unpack it first" },
	{ 0x00088b1f, 0xffffff, "packed by gzip", "unpack it first" },
};

static u32 find_vm(const struct manifest *manifest, const char *name)
{
	for (u32 i = 0; i < manifest->vm_count; i++)
		if (!strcmp(manifest->vm[i].name, name))
			return i;
	return NOT_FOUND;
}

static u32 find_disk(const struct manifest *manifest, const char *name)
{
	for (u32 i = 0; i < manifest->disk_count; i++)
		if (!strcmp(manifest->disk[i].name, name))
			return i;
	return NOT_FOUND;
}

static u32 count_children(const void *image, int group)
{
	u32 count = 0;
	int node;

	if (group < 0)
		return 0;
	fdt_for_each_subnode(node, image, group) count++;
	return count;
}

/* ---- Disks ---- */

static bool read_disk(struct reader *reader, struct manifest_disk *disk)
{
	disk->name = reader->name;
	disk->device = (u32)reader_number(reader, "device", 0);
	disk->first_sector = reader_number(reader, "first-sector", 0);
	disk->sectors = reader_number(reader, "sectors", 0);
	if (reader_has(reader, "partition"))
		reader_complain(reader, "partition",
				"partition tables are not read; give first-sector and sectors");
	return !reader->wrong;
}

static void read_disks(const void *image, int group, struct manifest *manifest)
{
	u32 count = count_children(image, group);
	int node;

	if (!count)
		return;
	manifest->disk = heap_alloc(count * sizeof(*manifest->disk));
	fdt_for_each_subnode(node, image, group)
	{
		struct reader reader = { manifest, "/disks/", 0, disk_rules, { { 0 } }, false };

		reader_open(&reader, image, node);
		if (read_disk(&reader, &manifest->disk[manifest->disk_count]))
			manifest->disk_count++;
	}
}

/* ---- VMs ---- */

static u64 little_endian(const u8 *data, u32 bytes)
{
	u64 value = 0;

	while (bytes--)
		value = value << 8 | data[bytes];
	return value;
}

/*
 * Where the kernel goes and how many bytes it needs there: the header of an arm64 Image says it
 * (Linux, Documentation/arch/arm64/booting.rst), except in kernels from before the fields existed.
 */
static u64 place_kernel(struct reader *reader, struct manifest_vm *vm)
{
	const u8 *header = vm->kernel.data;
	u64 bytes = vm->kernel.bytes, offset = DEFAULT_LOAD_OFFSET;

	for (u32 i = 0; bytes >= 4 && i < ARRAY_SIZE(unbootable); i++)
		if ((little_endian(header, 4) & unbootable[i].mask) == unbootable[i].magic)
			reader_complain(reader, "kernel", "is %s; %s", unbootable[i].what,
					unbootable[i].remedy);
	if (bytes >= 64 && !memcmp(header + 56, "ARM\x64", 4) && little_endian(header + 16, 8)) {
		offset = little_endian(header + 8, 8);
		bytes = max(bytes, little_endian(header + 16, 8));
	}
	vm->load_offset = reader_number(reader, "load-offset", offset);
	return bytes;
}

/* The kernel, the ramdisk and the pool share the VM's RAM. */
static void read_memory(struct reader *reader, struct manifest_vm *vm)
{
	bool by_kib = reader_has(reader, "memory-kib");
	const char *name = by_kib ? "memory-kib" : "memory-mib";
	u64 kernel, need = align_up(vm->ramdisk.bytes, PAGE_SIZE);
	u64 tree = max(PAGE_SIZE, align_up(vm->tree.bytes, PAGE_SIZE));

	vm->memory_bytes = by_kib ? reader_number(reader, name, 0) * KIB
				  : reader_number(reader, name, 0) * MIB;
	if (by_kib && reader_has(reader, "memory-mib"))
		reader_complain(reader, "memory-mib",
				"stands beside memory-kib; keep one of the two");
	if (!by_kib && !reader_has(reader, "memory-mib"))
		reader_complain(reader, name, "is missing; give the size of the VM's RAM");
	vm->shared_bytes = reader_number(reader, "shared-kib", 256) * KIB;
	vm->window_bytes = reader_number(reader, "window-kib", 1024) * KIB;
	vm->kernel = reader_blob(reader, "kernel");
	if (!vm->kernel.data)
		reader_complain(reader, "kernel", "is missing; include a kernel's file");
	if (!vm->kernel.bytes)
		return;
	kernel = place_kernel(reader, vm);
	if (reader->wrong)
		return;
	need += tree + vm->shared_bytes;
	/* Each alone is compared first: an Image header may claim any size. */
	if (vm->load_offset > vm->memory_bytes || kernel > vm->memory_bytes ||
	    align_up(vm->load_offset + kernel, PAGE_SIZE) + need > vm->memory_bytes)
		reader_complain(
			reader, name,
			"%lu KiB do not hold %lu KiB of kernel at %lu KiB, ramdisk, tree and "
			"shared-kib; give more",
			vm->memory_bytes / KIB, align_up(kernel, KIB) / KIB, vm->load_offset / KIB);
}

static bool check_core(struct reader *reader, const char *name, u64 core, u32 cores)
{
	if (core < cores)
		return true;
	reader_complain(reader, name, "there is no core %lu; the machine has %u, numbered from 0",
			core, cores);
	return false;
}

/* Cores that the manifest names; false: it names none. */
static bool read_cores(struct reader *reader, struct manifest_vm *vm, u32 cores)
{
	u32 bytes;
	const u8 *list = reader_value(reader, "cores", &bytes);

	if (!list)
		return false;
	if (!bytes || bytes % 4) {
		reader_complain(reader, "cores", "has %u bytes; write numbers", bytes);
		return true;
	}
	for (u32 i = 0; i < bytes / 4; i++) {
		u64 core = reader_cell(list, i);

		if (check_core(reader, "cores", core, cores) &&
		    reader->manifest->communication_cores & BIT(core))
			reader_complain(reader, "cores", "%lu is a communication core; name others",
					core);
	}
	for (u32 i = 0; i < MAX_VCPUS; i++)
		vm->core[i] = (u32)reader_cell(list, i % (bytes / 4));
	return true;
}

static void read_time(struct reader *reader, struct manifest_vm *vm)
{
	vm->priority = (u32)reader_number(reader, "priority", 3);
	vm->budget_us = reader_number(reader, "budget-us", 0);
	vm->period_us = reader_number(reader, "period-us", 0);
	vm->watchdog_ms = reader_number(reader, "watchdog-ms", 0);
	vm->upcall_ms = reader_number(reader, "upcall-ms", 0);
	if (reader_has(reader, "budget-us") != reader_has(reader, "period-us"))
		reader_complain(reader, vm->budget_us ? "period-us" : "budget-us",
				"is missing; give both or neither");
	else if (vm->budget_us > vm->period_us)
		reader_complain(reader, "budget-us",
				"%lu is more than the period-us of %lu; lower it", vm->budget_us,
				vm->period_us);
}

static void read_peers(struct reader *reader, struct manifest_vm *vm)
{
	u32 bytes, at = 0;
	const char *list = reader_names(reader, "peers", &bytes), *name;

	while ((name = reader_next(list, bytes, &at))) {
		u32 peer = find_vm(reader->manifest, name);

		if (peer == NOT_FOUND)
			reader_complain(reader, "peers", "there is no VM %s; name nodes of /vms",
					name);
		else if (&reader->manifest->vm[peer] == vm)
			reader_complain(reader, "peers", "%s is the VM itself; name others", name);
		else
			vm->peers |= BIT(peer);
	}
}

static void read_rights(struct reader *reader, struct manifest_vm *vm)
{
	static const char *const words[] = { "console", "manage", "introspect", "store" };
	u32 bytes, at = 0;
	const char *list = reader_names(reader, "rights", &bytes), *name;

	while ((name = reader_next(list, bytes, &at))) {
		u32 right = 0;

		while (right < ARRAY_SIZE(words) && strcmp(name, words[right]) != 0)
			right++;
		if (right == ARRAY_SIZE(words))
			reader_complain(reader, "rights",
					"%s is no right; take console, manage, introspect or store",
					name);
		else
			vm->rights |= 1u << right;
	}
}

static void read_vm_disks(struct reader *reader, struct manifest_vm *vm, const char *property_name)
{
	u32 bytes, at = 0;
	const char *list = reader_names(reader, property_name, &bytes), *name;

	while ((name = reader_next(list, bytes, &at))) {
		u32 disk = find_disk(reader->manifest, name);

		if (disk == NOT_FOUND) {
			reader_complain(reader, property_name,
					"there is no disk %s; name nodes of /disks", name);
			continue;
		}
		for (u32 i = 0; i < vm->disk_count; i++)
			if (vm->disk[i] == disk)
				reader_complain(reader, property_name,
						"%s is named twice; name it once", name);
		if (vm->disk_count == MANIFEST_VM_DISKS) {
			reader_complain(reader, property_name,
					"the VM has more than %u disks; name fewer",
					MANIFEST_VM_DISKS);
			return;
		}
		vm->disk[vm->disk_count++] = disk;
	}
}

static void read_on_fault(struct reader *reader, struct manifest_vm *vm)
{
	static const char *const words[] = {
		[ON_FAULT_HALT] = "halt",
		[ON_FAULT_RESTART] = "restart",
		[ON_FAULT_STOP_MACHINE] = "stop-machine",
	};
	const char *word = reader_text(reader, "on-fault");
	u32 i = 0;

	if (!word)
		return;
	while (i < ARRAY_SIZE(words) && strcmp(word, words[i]) != 0)
		i++;
	if (i == ARRAY_SIZE(words))
		reader_complain(reader, "on-fault",
				"%s is unknown; write halt, restart or stop-machine", word);
	else
		vm->on_fault = (enum on_fault)i;
}

/* Here the tree's head only: its place in the image is not aligned as libfdt wants it. */
static void read_tree(struct reader *reader, struct manifest_vm *vm)
{
	const fdt32_t *head;

	vm->tree = reader_blob(reader, "tree");
	head = vm->tree.data;
	if (vm->tree.bytes && (vm->tree.bytes < FDT_V1_SIZE || fdt32_ld(head) != FDT_MAGIC ||
			       fdt32_ld(head + 1) > vm->tree.bytes))
		reader_complain(reader, "tree", "is no device tree; include what dtc -O dtb makes");
}

static void read_vm(struct reader *reader, struct manifest_vm *vm, u32 cores, u32 *next_core)
{
	vm->ramdisk = reader_blob(reader, "ramdisk");
	vm->bootargs = reader_text(reader, "bootargs");
	vm->vcpus = (u32)reader_number(reader, "vcpus", 1);
	vm->ports = (u32)reader_number(reader, "ports", 128);
	vm->pmu = reader_flag(reader, "pmu");
	read_tree(reader, vm);
	read_time(reader, vm);
	read_peers(reader, vm);
	read_rights(reader, vm);
	read_vm_disks(reader, vm, "disks");
	vm->writable_disk_count = vm->disk_count;
	read_vm_disks(reader, vm, "disks-read-only");
	read_on_fault(reader, vm);
	read_memory(reader, vm); /* last: it looks at whether all else was right */
	if (read_cores(reader, vm, cores))
		return;
	for (u32 i = 0; i < vm->vcpus; i++) {
		while (reader->manifest->communication_cores & BIT(*next_core % cores))
			++*next_core;
		vm->core[i] = (*next_core)++ % cores;
	}
}

static void read_vms(const void *image, int group, u32 cores, struct manifest *manifest)
{
	u32 count = count_children(image, group), next_core = 0, index = 0;
	int node;

	if (!count) {
		log_line("manifest: /vms: has no VM; write /vms/NAME with a kernel and memory-mib");
		return;
	}
	if (count > MAX_VMS)
		log_line("manifest: /vms: has %u VMs; the first %u are taken", count, MAX_VMS);
	count = min(count, MAX_VMS);
	manifest->vm = heap_alloc(count * sizeof(*manifest->vm));
	fdt_for_each_subnode(node, image, group)
	{
		if (manifest->vm_count < count)
			manifest->vm[manifest->vm_count++].name = fdt_get_name(image, node, 0);
	}
	fdt_for_each_subnode(node, image, group)
	{
		struct manifest_vm *vm = &manifest->vm[index];
		struct reader reader = { manifest, "/vms/", 0, vm_rules, { { 0 } }, false };

		if (index++ == count)
			break;
		reader_open(&reader, image, node);
		read_vm(&reader, vm, cores, &next_core);
		vm->refused = reader.wrong;
	}
}

/* ---- Channels ---- */

static bool read_channel(struct reader *reader, struct manifest_channel *channel)
{
	u32 bytes, at = 0, ends = 0;
	const char *list = reader_names(reader, "ends", &bytes), *name;

	channel->name = reader->name;
	while ((name = reader_next(list, bytes, &at))) {
		u32 vm = find_vm(reader->manifest, name);

		if (vm == NOT_FOUND)
			reader_complain(reader, "ends", "there is no VM %s; name nodes of /vms",
					name);
		if (ends < 2)
			channel->end[ends] = vm;
		ends++;
	}
	if (!reader->wrong && (ends != 2 || channel->end[0] == channel->end[1]))
		reader_complain(reader, "ends",
				"must be two different VMs; write ends = \"one\", \"other\"");
	return !reader->wrong;
}

static void read_channels(const void *image, int group, struct manifest *manifest)
{
	u32 count = count_children(image, group);
	int node;

	if (!count)
		return;
	manifest->channel = heap_alloc(count * sizeof(*manifest->channel));
	fdt_for_each_subnode(node, image, group)
	{
		struct reader reader = {
			manifest, "/channels/", 0, channel_rules, { { 0 } }, false
		};

		reader_open(&reader, image, node);
		if (read_channel(&reader, &manifest->channel[manifest->channel_count]))
			manifest->channel_count++;
	}
}

/* Each channel takes a port at both ends. */
static void check_ports(struct manifest *manifest)
{
	for (u32 i = 0; i < manifest->vm_count; i++) {
		struct manifest_vm *vm = &manifest->vm[i];
		u32 joined = 0;

		for (u32 c = 0; c < manifest->channel_count; c++)
			joined += manifest->channel[c].end[0] == i ||
				  manifest->channel[c].end[1] == i;
		if (joined <= vm->ports)
			continue;
		log_line("manifest: /vms/%s: ports: %u is too few for its %u channels; give more",
			 vm->name, vm->ports, joined);
		vm->refused = true;
	}
}

/* ---- The system ---- */

static void read_communication_cores(struct reader *reader, u32 cores, struct manifest *manifest)
{
	u32 bytes, mask = 0;
	const u8 *list = reader_value(reader, "communication-cores", &bytes);

	if (bytes % 4)
		reader_complain(reader, "communication-cores", "has %u bytes; write numbers",
				bytes);
	for (u32 i = 0; i < bytes / 4; i++)
		if (check_core(reader, "communication-cores", reader_cell(list, i), cores))
			mask |= 1u << reader_cell(list, i);
	if (mask == BIT(cores) - 1)
		reader_complain(reader, "communication-cores",
				"leaves no core for the VMs; it is ignored");
	else
		manifest->communication_cores = mask;
}

static void warn_unknown_groups(const void *image)
{
	int node;

	fdt_for_each_subnode(node, image, 0)
	{
		const char *name = fdt_get_name(image, node, 0);

		if (strcmp(name, "vms") != 0 && strcmp(name, "channels") != 0 &&
		    strcmp(name, "disks") != 0)
			log_line("manifest: /%s: no such node; it is ignored", name);
	}
}

/* Well-formed as a whole, so that nothing after this reads beyond the image. */
static bool check_image(const void *image, u64 bytes)
{
	int error = bytes < sizeof(struct fdt_header) ? -FDT_ERR_TRUNCATED
						      : fdt_check_full(image, bytes);

	if (error) {
		log_line("manifest: expected a system image made by tools/weir (libfdt says %d)",
			 error);
		return false;
	}
	if (!fdt_node_check_compatible(image, 0, "weir,system"))
		return true;
	log_line("manifest: /: compatible: expected \"weir,system\"; make the image by tools/weir");
	return false;
}

bool manifest_read(const void *image, u64 bytes, u32 cores, struct manifest *manifest)
{
	struct reader root = { manifest, "", "/", system_rules, { { 0 } }, false };

	memset(manifest, 0, sizeof(*manifest));
	if (!check_image(image, bytes))
		return false;
	reader_open_root(&root, image);
	warn_unknown_groups(image);
	manifest->stay = reader_flag(&root, "stay");
	read_communication_cores(&root, cores, manifest);
	read_disks(image, fdt_subnode_offset(image, 0, "disks"), manifest);
	read_vms(image, fdt_subnode_offset(image, 0, "vms"), cores, manifest);
	read_channels(image, fdt_subnode_offset(image, 0, "channels"), manifest);
	check_ports(manifest);
	return true;
}
