/*
 * What each VM says in the manifest: the tables of its properties, and the checks of several of them together
 * (manifest_vm.h).
 *
 * Owns nothing; Locks: none, at boot only.
 */
#include "core/manifest_vm.h"

#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/manifest_kernel.h"
#include "core/memory.h"
#include "drivers/gic.h"

#define MINUTE_MS 60000u
#define MAX_MIB	  262144u

static const struct rule vm_rules[] = {
	RULE_OTHER("kernel", "include a kernel's file"),
	RULE_OTHER("ramdisk", "include a file that has content"),
	RULE_OTHER("tree", "include what dtc -O dtb makes"),
	RULE_TEXT("bootargs", 2047, "write one text, at most 2047 bytes"),
	RULE_NUMBER("memory-mib", 1, MAX_MIB, 1, "give at least 1 MiB"),
	RULE_NUMBER("memory-kib", 64, MAX_MIB << 10, 4, "give whole pages"),
	RULE_NUMBER("load-offset", 0, 0xfffff000, 4096, "give whole pages"),
	RULE_NUMBER("vcpus", 1, MAX_VCPUS, 1, "1 is the default"),
	RULE_OTHER("cores", "number the cores from 0"),
	RULE_NUMBER("priority", 0, 7, 1, "7 is served first, 3 is the default"),
	RULE_NUMBER("budget-us", 1, 10000000, 1, "give microseconds"),
	RULE_NUMBER("period-us", 1, 10000000, 1, "give microseconds"),
	RULE_NUMBER("shared-kib", 0, MAX_MIB << 10, 4, "give whole pages"),
	RULE_NUMBER("window-kib", 4, 720 << 10, 4, "give whole pages, 720 MiB at most"),
	RULE_NUMBER("ports", 1, 8192, 1, "128 is the default"),
	RULE_OTHER("peers", "name VMs"),
	RULE_NUMBER("store-nodes", 0, MANIFEST_STORE_NODES, 1,
		    "15 is the default for who has peers"),
	RULE_NUMBER("store-bytes", 0, MANIFEST_STORE_NODES * 128, 1,
		    "give the bytes of all values"),
	RULE_NUMBER("store-watches", 0, 256, 1, "16 is the default for who has peers"),
	RULE_OTHER("rights", "name rights"),
	RULE_OTHER("disks", "name disks"),
	RULE_OTHER("disks-read-only", "name disks"),
	RULE_OTHER("devices", "name nodes"),
	RULE_OTHER("memory-direct", "write the name only"),
	RULE_OTHER("dma-unsafe", "write the name only"),
	RULE_TEXT("on-fault", 31, "write halt, restart or stop-machine"),
	RULE_NUMBER("watchdog-ms", 1, 60 * MINUTE_MS, 1, "give milliseconds"),
	RULE_NUMBER("upcall-ms", 1, 60 * MINUTE_MS, 1, "give milliseconds"),
	RULE_OTHER("pmu", "write the name only"),
	{ 0 },
};

_Static_assert(ARRAY_SIZE(vm_rules) <= RULES_MAX, "a VM's properties have a place each");

/* No RAM is that large: an Image header may claim any size, and sums must not overflow. */
#define LARGEST_KERNEL (1ul << 40)

/* The kernel, the ramdisk, the tree and the pool share the VM's RAM. */
static void check_fit(struct reader *reader, const struct manifest_vm *vm, const char *property,
		      u64 kernel)
{
	u64 tree = manifest_tree_room(vm), need;

	if (vm->shared_bytes >= vm->memory_bytes) {
		reader_complain(reader, "shared-kib",
				"%lu is not below the %lu KiB of RAM; lower it, or raise %s",
				vm->shared_bytes / KIB, vm->memory_bytes / KIB, property);
		return;
	}
	if (kernel > LARGEST_KERNEL || vm->load_offset > LARGEST_KERNEL) {
		reader_complain(reader, "kernel",
				"its header asks for %lu MiB at %lu MiB; "
				"include the Image as it was built",
				kernel / MIB, vm->load_offset / MIB);
		return;
	}
	need = align_up(vm->load_offset + kernel, PAGE_SIZE) +
	       align_up(vm->ramdisk.bytes, PAGE_SIZE) + tree + vm->shared_bytes;
	if (need > vm->memory_bytes)
		reader_complain(reader, property,
				"%lu KiB do not hold kernel %lu KiB at %lu KiB, ramdisk %lu KiB, "
				"tree %lu KiB, shared-kib %lu; give %lu KiB",
				vm->memory_bytes / KIB, align_up(kernel, KIB) / KIB,
				vm->load_offset / KIB, align_up(vm->ramdisk.bytes, KIB) / KIB,
				tree / KIB, vm->shared_bytes / KIB, need / KIB);
}

static void read_memory(struct reader *reader, struct manifest_vm *vm)
{
	bool by_kib = reader_has(reader, "memory-kib");
	const char *name = by_kib ? "memory-kib" : "memory-mib";
	u64 kernel;

	vm->memory_in_kib = by_kib;
	vm->memory_bytes = reader_number(reader, name, 0) * (by_kib ? KIB : MIB);
	if (by_kib && reader_has(reader, "memory-mib"))
		reader_complain(reader, name, "stands beside memory-mib; keep one of the two");
	if (!reader_has(reader, name))
		reader_complain(reader, name, "is missing; give the size of the VM's RAM");
	vm->shared_bytes = reader_number(reader, "shared-kib", 256) * KIB;
	vm->window_bytes = reader_number(reader, "window-kib", 1024) * KIB;
	vm->kernel = reader_blob(reader, "kernel");
	if (!vm->kernel.data)
		reader_complain(reader, "kernel", "is missing; include a kernel's file");
	if (!vm->kernel.bytes)
		return;
	kernel = manifest_place_kernel(reader, vm);
	if (!reader->wrong)
		check_fit(reader, vm, name, kernel);
}

/* Cores that the manifest names; false: it names none. */
static bool read_cores(struct reader *reader, struct manifest_vm *vm, u32 cores)
{
	struct blob list = reader_value(reader, "cores");

	if (!list.data)
		return false;
	if (!list.bytes || list.bytes % 4) {
		reader_complain(reader, "cores", "has %lu bytes; write numbers", list.bytes);
		return true;
	}
	for (u32 i = 0; i < list.bytes / 4; i++) {
		u64 core = reader_cell(list.data, i);

		if (reader_check_core(reader, "cores", core, cores) &&
		    reader->manifest->communication_cores & BIT(core))
			reader_complain(reader, "cores", "%lu is a communication core; name others",
					core);
	}
	for (u32 i = 0; i < MAX_VCPUS; i++)
		vm->core[i] = (u32)reader_cell(list.data, i % (list.bytes / 4));
	vm->cores_named = true;
	return true;
}

static void read_time(struct reader *reader, struct manifest_vm *vm)
{
	vm->priority = (u32)reader_number(reader, "priority", 3);
	vm->budget_us = reader_number(reader, "budget-us", 0);
	vm->period_us = reader_number(reader, "period-us", 0);
	vm->watchdog_ms = reader_number(reader, "watchdog-ms", 0);
	vm->upcall_ms = reader_number(reader, "upcall-ms", 0);
	if (reader_has(reader, "budget-us") && !reader_has(reader, "period-us"))
		reader_complain(reader, "budget-us", "stands without period-us; give both");
	else if (reader_has(reader, "period-us") && !reader_has(reader, "budget-us"))
		reader_complain(reader, "period-us", "stands without budget-us; give both");
	else if (vm->period_us && vm->budget_us > vm->period_us)
		reader_complain(reader, "budget-us",
				"%lu is more than the period-us of %lu; lower it", vm->budget_us,
				vm->period_us);
}

static void read_peers(struct reader *reader, struct manifest_vm *vm)
{
	u32 bytes, at = 0;
	const char *list = reader_names(reader, "peers", &bytes), *name;

	while ((name = reader_next(list, bytes, &at))) {
		u32 peer = reader_find_vm(reader, name);

		if (peer == READER_NOT_FOUND)
			reader_complain(reader, "peers", "there is no VM %.48s; name nodes of /vms",
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
					"%.48s is no right; take console, manage, introspect or "
					"store",
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
		u32 disk = reader_find_disk(reader, name);

		if (disk == READER_NOT_FOUND) {
			reader_complain(reader, property_name,
					"there is no disk %.48s; name nodes of /disks", name);
			continue;
		}
		if (reader->manifest->disk[disk].refused)
			reader_complain(reader, property_name,
					"the disk %s was refused; correct that", name);
		for (u32 i = 0; i < vm->writable_disk_count; i++)
			if (vm->disk[i] == disk)
				reader_complain(reader, property_name,
						"%s is in disks too; name it in one of the two",
						name);
		if (vm->disk_count == MANIFEST_VM_DISKS) {
			reader_complain(reader, property_name,
					"the VM has more than %u disks; name fewer",
					MANIFEST_VM_DISKS);
			return;
		}
		vm->disk[vm->disk_count++] = disk;
	}
}

/* Whether the machine has them is seen when its tree is searched: core/passthrough.c. */
static void read_devices(struct reader *reader, struct manifest_vm *vm)
{
	u32 bytes, at = 0;

	vm->devices = reader_names(reader, "devices", &bytes);
	while (reader_next(vm->devices, bytes, &at))
		vm->device_count++;
	if (vm->device_count > MANIFEST_VM_DEVICES)
		reader_complain(reader, "devices", "the VM has more than %u devices; name fewer",
				MANIFEST_VM_DEVICES);
	vm->memory_direct = reader_flag(reader, "memory-direct");
	vm->dma_unsafe = reader_flag(reader, "dma-unsafe");
	if (vm->dma_unsafe && !vm->memory_direct)
		reader_complain(reader, "dma-unsafe", "stands without memory-direct; give both");
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

/* A GICv2 names its CPUs by the bits of a byte (IHI 0048, 4.3.12). */
static void read_vcpus(struct reader *reader, struct manifest_vm *vm)
{
	vm->vcpus = (u32)reader_number(reader, "vcpus", 1);
	if (gic_version() == 2 && vm->vcpus > GICV2_CPUS)
		reader_complain(reader, "vcpus", "%u are more than the %u of a GICv2; lower it",
				vm->vcpus, GICV2_CPUS);
}

static void read_vm(struct reader *reader, struct manifest_vm *vm, u32 cores, u32 *next_core)
{
	vm->ramdisk = reader_blob(reader, "ramdisk");
	vm->bootargs = reader_text(reader, "bootargs");
	read_vcpus(reader, vm);
	vm->ports = (u32)reader_number(reader, "ports", 128);
	vm->pmu = reader_flag(reader, "pmu");
	read_tree(reader, vm);
	read_time(reader, vm);
	read_peers(reader, vm);
	read_rights(reader, vm);
	vm->store_nodes = (u32)reader_number(reader, "store-nodes", MANIFEST_STORE_UNSAID);
	vm->store_bytes = (u32)reader_number(reader, "store-bytes", MANIFEST_STORE_UNSAID);
	vm->store_watches = (u32)reader_number(reader, "store-watches", MANIFEST_STORE_UNSAID);
	read_vm_disks(reader, vm, "disks");
	vm->writable_disk_count = vm->disk_count;
	read_vm_disks(reader, vm, "disks-read-only");
	read_devices(reader, vm);
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

void manifest_read_vms(const void *image, int group, u32 cores, struct manifest *manifest)
{
	u32 count = reader_count_nodes(manifest, image, group, "vms", MAX_VMS);
	u32 next_core = 0, index = 0;
	int node;

	if (!count) {
		log_line("manifest: /vms: has no VM; write /vms/NAME with a kernel and memory-mib");
		return;
	}
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

		if (index == count)
			break;
		reader_open(&reader, image, node);
		if (reader_find_vm(&reader, reader.name) != index++)
			reader_complain(&reader, "name", "stands twice; give each VM its own");
		read_vm(&reader, vm, cores, &next_core);
		vm->refused = reader.wrong;
	}
}

/* Of a core's time, in millionths, rounded down: what tools/weir accepts is never refused. */
static u64 share_of(const struct manifest_vm *vm)
{
	return vm->budget_us * 1000000 / vm->period_us;
}

/*
 * What can be said before the machine is known, as tools/weir does: no core that VMs name, and not
 * all cores together, may be promised more than the whole of their time.
 */
static void check_budget(struct manifest_vm *vm, u64 *promised, u64 *total, u32 cores)
{
	for (u32 i = 0; i < vm->vcpus; i++) {
		u64 *core = &promised[vm->core[i]];

		*total += share_of(vm);
		*core += vm->cores_named ? share_of(vm) : 0;
		if (*core <= 1000000 && *total <= 1000000ul * cores)
			continue;
		log_line("manifest: /vms/%s: budget-us: with it more than the time of %s is "
			 "promised; lower it",
			 vm->name, *core > 1000000 ? "one core" : "all cores");
		vm->refused = true;
		return;
	}
}

void manifest_check_budgets(struct manifest *manifest, u32 cores)
{
	u64 promised[MAX_PCPUS] = { 0 }, total = 0;
	u32 application = cores;

	for (u32 core = 0; core < cores; core++)
		application -= manifest->communication_cores >> core & 1;
	for (u32 i = 0; i < manifest->vm_count; i++)
		if (!manifest->vm[i].refused && manifest->vm[i].budget_us)
			check_budget(&manifest->vm[i], promised, &total, application);
}
