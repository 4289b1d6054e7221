/*
 * Reads the system image and checks all of it.
 *
 * The tables, here and in manifest_vm.c, are the format: each property's kind, range and what to do about a wrong
 * value. They say the same as tools/weirlib/properties.py, which a manifest normally has passed already; so lines
 * here are short. Order: disks, then the names of all VMs, then what each VM says (it refers to
 * both), channels last. A channel that is wrong is left out; a VM or a disk that is wrong keeps its
 * place and is refused, and so is a VM that names such a disk.
 */
#include <libfdt.h>
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/manifest_reader.h"
#include "core/manifest_vm.h"
#include "core/memory.h"
#include "drivers/bcm2835_pm.h"

static const struct rule system_rules[] = {
	RULE_TEXT("compatible", 31, "write \"weir,system\""),
	RULE_OTHER("communication-cores", "number the cores from 0"),
	RULE_OTHER("stay", "write the name only"),
	RULE_NUMBER("watchdog-ms", 100, BCM2835_PM_WATCHDOG_MAX_MS, 1, "give milliseconds"),
	{ 0 },
};

static const struct rule channel_rules[] = {
	RULE_OTHER("ends", "name two VMs"),
	{ 0 },
};

static const struct rule disk_rules[] = {
	RULE_NUMBER("device", 0, 7, 1, "count the machine's disks from 0"),
	RULE_NUMBER("first-sector", 0, UINT32_MAX, 1, "count sectors of 512 bytes from 0"),
	RULE_NUMBER("sectors", 1, UINT32_MAX, 1, "give the length in sectors of 512 bytes"),
	RULE_NUMBER("partition", 1, 4, 1, "name a primary one of an MBR"),
	{ 0 },
};

/* ---- Disks ---- */

static void read_disk(struct reader *reader, struct manifest_disk *disk)
{
	if (reader_find_disk(reader, reader->name) != READER_NOT_FOUND)
		reader_complain(reader, "name", "stands twice; give each disk its own");
	disk->name = reader->name;
	disk->device = (u32)reader_number(reader, "device", 0);
	disk->first_sector = reader_number(reader, "first-sector", 0);
	disk->sectors = reader_number(reader, "sectors", 0);
	if (disk->first_sector + disk->sectors > 1ul << 32)
		reader_complain(reader, "sectors", "ends at sector %lu (at most %lu); lower it",
				disk->first_sector + disk->sectors, 1ul << 32);
	disk->partition = (u32)reader_number(reader, "partition", 0);
	if (disk->partition &&
	    (reader_has(reader, "first-sector") || reader_has(reader, "sectors")))
		reader_complain(reader, "partition",
				"stands beside first-sector or sectors; keep one of the two");
	disk->refused = reader->wrong;
}

static void read_disks(const void *image, int group, struct manifest *manifest)
{
	u32 count = reader_count_nodes(manifest, image, group, "disks", MANIFEST_DISKS);
	int node;

	if (!count)
		return;
	manifest->disk = heap_alloc(count * sizeof(*manifest->disk));
	fdt_for_each_subnode(node, image, group)
	{
		struct reader reader = { manifest, "/disks/", 0, disk_rules, { { 0 } }, false };

		if (manifest->disk_count == count)
			break;
		reader_open(&reader, image, node);
		read_disk(&reader, &manifest->disk[manifest->disk_count]);
		manifest->disk_count++;
	}
}

/* ---- Channels ---- */

static u32 find_channel(const struct manifest *manifest, const char *name)
{
	for (u32 i = 0; i < manifest->channel_count; i++)
		if (!strcmp(manifest->channel[i].name, name))
			return i;
	return READER_NOT_FOUND;
}

static bool read_channel(struct reader *reader, struct manifest_channel *channel)
{
	u32 bytes, at = 0, ends = 0;
	const char *list = reader_names(reader, "ends", &bytes), *name;

	channel->name = reader->name;
	if (find_channel(reader->manifest, reader->name) != READER_NOT_FOUND)
		reader_complain(reader, "name", "stands twice; give each channel its own");
	if (!reader_has(reader, "ends"))
		reader_complain(reader, "ends", "is missing; write ends = \"one\", \"other\"");
	while ((name = reader_next(list, bytes, &at))) {
		u32 vm = reader_find_vm(reader, name);

		if (vm == READER_NOT_FOUND)
			reader_complain(reader, "ends", "there is no VM %.48s; name nodes of /vms",
					name);
		if (ends < 2)
			channel->end[ends] = vm;
		ends++;
	}
	if (!reader->wrong && ends != 2)
		reader_complain(reader, "ends",
				"must be two different VMs; write ends = \"one\", \"other\"");
	return !reader->wrong;
}

static void read_channels(const void *image, int group, struct manifest *manifest)
{
	u32 count = reader_count_nodes(manifest, image, group, "channels", MANIFEST_CHANNELS);
	int node;

	if (!count)
		return;
	manifest->channel = heap_alloc(count * sizeof(*manifest->channel));
	fdt_for_each_subnode(node, image, group)
	{
		struct reader reader = {
			manifest, "/channels/", 0, channel_rules, { { 0 } }, false
		};

		if (!count--)
			break;
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
	u32 mask = 0;
	struct blob list = reader_value(reader, "communication-cores");

	if (!list.data)
		return;
	if (!list.bytes || list.bytes % 4) {
		reader_complain(reader, "communication-cores", "has %lu bytes; write numbers",
				list.bytes);
		return;
	}
	for (u32 i = 0; i < list.bytes / 4; i++) {
		u64 core = reader_cell(list.data, i);

		if (!reader_check_core(reader, "communication-cores", core, cores))
			continue;
		if (mask & BIT(core))
			reader_complain(reader, "communication-cores",
					"%lu is named twice; name it once", core);
		mask |= (u32)BIT(core);
	}
	if (mask == BIT(cores) - 1)
		reader_complain(reader, "communication-cores",
				"leaves no core for the VMs, so it is ignored; name fewer");
	else
		manifest->communication_cores = mask;
}

enum group { VMS, CHANNELS, DISKS, GROUPS };

/* Where each group is; negative: nowhere. By the whole name: libfdt's search also takes vms@1. */
static void find_groups(const void *image, int group[GROUPS])
{
	static const char *const names[GROUPS] = { "vms", "channels", "disks" };
	int node;

	for (u32 i = 0; i < GROUPS; i++)
		group[i] = -1;
	fdt_for_each_subnode(node, image, 0)
	{
		const char *name = fdt_get_name(image, node, 0);
		u32 i = 0;

		while (i < GROUPS && strcmp(name, names[i]) != 0)
			i++;
		if (i == GROUPS)
			log_line("manifest: /%.48s: no such node, it is ignored; correct or "
				 "remove it",
				 name);
		else if (group[i] >= 0)
			log_line("manifest: /%s: stands twice, the second is ignored; make one of "
				 "the two",
				 name);
		else
			group[i] = node;
	}
}

/*
 * What says that it is older than version 16 has no name that libfdt finds for its root, and
 * fdt_check_full() of libfdt 1.6 reads it all the same.
 */
#define OLDEST_VERSION 16

static int check_tree(const void *image, u64 bytes)
{
	if (bytes < sizeof(struct fdt_header))
		return -FDT_ERR_TRUNCATED;
	return fdt_version(image) < OLDEST_VERSION ? -FDT_ERR_BADVERSION
						   : fdt_check_full(image, bytes);
}

/* Well-formed as a whole, so that nothing after this reads beyond the image. */
static bool check_image(const void *image, u64 bytes)
{
	int error = check_tree(image, bytes);

	if (error) {
		log_line("manifest: the system image is damaged (libfdt says %d); make it by "
			 "tools/weir",
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
	int group[GROUPS];

	memset(manifest, 0, sizeof(*manifest));
	if (!check_image(image, bytes))
		return false;
	reader_open_group(&root, image, 0);
	find_groups(image, group);
	manifest->stay = reader_flag(&root, "stay");
	manifest->watchdog_ms = reader_number(&root, "watchdog-ms", 0);
	read_communication_cores(&root, cores, manifest);
	read_disks(image, group[DISKS], manifest);
	manifest_read_vms(image, group[VMS], cores, manifest);
	manifest_check_budgets(manifest, cores);
	read_channels(image, group[CHANNELS], manifest);
	check_ports(manifest);
	manifest_settle_store(manifest);
	return true;
}
