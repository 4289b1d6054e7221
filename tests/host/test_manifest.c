/*
 * The system image: what core/manifest.c reads of tests/host/trees/system.dts, and what it says of
 * mistakes in it.
 *
 * Sources: core/manifest.c core/manifest_kernel.c core/manifest_reader.c core/manifest_disks.c core/manifest_store.c core/manifest_vm.c core/base/log.c
 * Sources: drivers/block_device.c tests/host/fake/log.c
 * Sources: tests/host/fake/gic_pend.c
 * Sources: tests/host/fake/panic.c tests/host/fake/heap.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "core/partition.h"
#include "drivers/gic.h"

#define CORES 4
#define FULL  0
#define BARE  1
#define THIRD 2

static struct manifest manifest;
static u32 gic = 3;

u32 gic_version(void)
{
	return gic;
}

/* core/partition.c has tests of its own. */
bool partition_find(struct manifest_disk *disk, struct block_device *device)
{
	(void)disk, (void)device;
	fail();
	return false;
}

bool partition_missing(const struct manifest_disk *disk, const struct block_device *device,
		       const char *format, ...)
{
	(void)disk, (void)device, (void)format;
	fail();
	return false;
}

static bool read_image(const void *tree)
{
	u64 bytes;
	const void *image = tree_exact(tree, &bytes);

	return manifest_read(image, bytes, CORES, &manifest);
}

static void set(void *tree, const char *path, const char *property, const void *value, int bytes)
{
	assert_int_equal(fdt_setprop(tree, tree_node(tree, path), property, value, bytes), 0);
}

static void set_number(void *tree, const char *path, const char *property, u32 value)
{
	assert_int_equal(fdt_setprop_u32(tree, tree_node(tree, path), property, value), 0);
}

static int prepare(void **state)
{
	(void)state;
	gic = 3;
	fake_log_reset();
	fake_heap_reset();
	return 0;
}

static int clean(void **state)
{
	(void)state;
	fake_heap_reset();
	tree_free();
	return 0;
}

TEST(every_property_arrives_in_its_field)
{
	const struct manifest_vm *vm;

	assert_true(read_image(tree_load("system")));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(manifest.vm_count, 3);
	vm = &manifest.vm[FULL];
	assert_string_equal(vm->name, "full");
	assert_false(vm->refused);
	assert_int_equal(vm->kernel.bytes, 8);
	assert_memory_equal(vm->kernel.data, "\xd5\x03\x20\x1f", 4);
	assert_int_equal(vm->ramdisk.bytes, 3);
	assert_int_equal(vm->tree.bytes, 0);
	assert_string_equal(vm->bootargs, "console=ttyAMA0");
	assert_int_equal(vm->memory_bytes, 8192 * KIB);
	assert_int_equal(vm->load_offset, 0x10000);
	assert_int_equal(vm->vcpus, 3);
	assert_int_equal(vm->core[0], 1);
	assert_int_equal(vm->core[1], 2);
	assert_int_equal(vm->core[2], 1);
	assert_int_equal(vm->priority, 5);
	assert_int_equal(vm->budget_us, 2000);
	assert_int_equal(vm->period_us, 10000);
	assert_int_equal(vm->shared_bytes, 64 * KIB);
	assert_int_equal(vm->window_bytes, 2048 * KIB);
	assert_int_equal(vm->ports, 16);
	assert_int_equal(vm->peers, BIT(BARE) | BIT(THIRD));
	assert_int_equal(vm->store_nodes, 100);
	assert_int_equal(vm->store_bytes, 2000);
	assert_int_equal(vm->store_watches, 7);
	assert_int_equal(vm->rights, RIGHT_CONSOLE | RIGHT_STORE);
	assert_int_equal(vm->disk_count, 2);
	assert_int_equal(vm->writable_disk_count, 1);
	assert_int_equal(vm->disk[0], 1);
	assert_int_equal(vm->disk[1], 0);
	assert_int_equal(vm->device_count, 2);
	assert_true(vm->memory_direct && vm->dma_unsafe);
	assert_memory_equal(vm->devices, "/soc/timer@7e003000\0clock", 26);
	assert_int_equal(vm->on_fault, ON_FAULT_RESTART);
	assert_int_equal(vm->watchdog_ms, 500);
	assert_int_equal(vm->upcall_ms, 250);
	assert_true(vm->pmu);
}

TEST(what_is_left_out_gets_the_documented_default)
{
	const struct manifest_vm *vm;

	assert_true(read_image(tree_load("system")));
	vm = &manifest.vm[BARE];
	assert_int_equal(vm->memory_bytes, MIB);
	assert_int_equal(vm->load_offset, 0x80000);
	assert_int_equal(vm->vcpus, 1);
	assert_int_equal(vm->priority, 3);
	assert_int_equal(vm->budget_us, 0);
	assert_int_equal(vm->shared_bytes, 256 * KIB);
	assert_int_equal(vm->window_bytes, 1024 * KIB);
	assert_int_equal(vm->ports, 128);
	assert_int_equal(vm->on_fault, ON_FAULT_HALT);
	assert_int_equal(vm->upcall_ms, 0);
	assert_null(vm->bootargs);
	assert_false(vm->pmu);
	assert_false(manifest.stay);
	assert_int_equal(manifest.communication_cores, 0);
}

TEST(channels_and_disks_arrive)
{
	assert_true(read_image(tree_load("system")));
	assert_int_equal(manifest.channel_count, 2);
	assert_string_equal(manifest.channel[1].name, "second");
	assert_int_equal(manifest.channel[1].end[0], BARE);
	assert_int_equal(manifest.channel[1].end[1], THIRD);
	assert_int_equal(manifest.disk_count, 2);
	assert_string_equal(manifest.disk[0].name, "system");
	assert_int_equal(manifest.disk[0].device, 0);
	assert_int_equal(manifest.disk[0].sectors, 0);
	assert_int_equal(manifest.disk[1].device, 1);
	assert_int_equal(manifest.disk[1].first_sector, 2048);
	assert_int_equal(manifest.disk[1].sectors, 4096);
}

TEST(vcpus_without_cores_go_round_the_application_cores_over_all_vms)
{
	void *tree = tree_load("system");

	fdt_delprop(tree, tree_node(tree, "/vms/full"), "cores");
	set_number(tree, "/", "communication-cores", 1);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(manifest.communication_cores, 2);
	assert_int_equal(manifest.vm[FULL].core[0], 0);
	assert_int_equal(manifest.vm[FULL].core[1], 2);
	assert_int_equal(manifest.vm[FULL].core[2], 3);
	assert_int_equal(manifest.vm[BARE].core[0], 0);
	assert_int_equal(manifest.vm[THIRD].core[0], 2);
	assert_int_equal(manifest.vm[THIRD].core[1], 3);
}

TEST(stay_is_a_flag_of_the_root)
{
	void *tree = tree_load("system");

	set(tree, "/", "stay", 0, 0);
	assert_true(read_image(tree));
	assert_true(manifest.stay);
}

TEST(image_header_says_where_the_kernel_goes)
{
	void *tree = tree_load("system");
	u8 kernel[64] = { 0 };

	memcpy(kernel + 56, "ARM\x64", 4);
	kernel[9] = 0x02;  /* text_offset 0x200 */
	kernel[18] = 0x02; /* image_size 0x20000 */
	set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
	assert_true(read_image(tree));
	assert_false(manifest.vm[BARE].refused);
	assert_int_equal(manifest.vm[BARE].load_offset, 0x200);
	set_number(tree, "/vms/bare", "load-offset", 0x3000);
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[BARE].load_offset, 0x3000);
}

TEST(image_header_with_a_monstrous_size_or_offset_is_refused)
{
	for (u32 field = 8; field <= 16; field += 8) {
		void *tree = tree_load("system");
		u8 kernel[64] = { [16] = 1 };

		memcpy(kernel + 56, "ARM\x64", 4);
		memset(kernel + field, 0xff, 8);
		set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
		fake_log_reset();
		assert_true(read_image(tree));
		assert_true(manifest.vm[BARE].refused);
		assert_true(fake_log_has("manifest: /vms/bare: kernel: its header asks for"));
		assert_int_equal(fake_log_count(), 1);
	}
}

TEST(own_tree_is_taken_if_it_looks_like_one)
{
	static const u8 head[40] = { 0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 40 };
	void *tree = tree_load("system");

	set(tree, "/vms/bare", "tree", head, sizeof(head));
	assert_true(read_image(tree));
	assert_false(manifest.vm[BARE].refused);
	assert_int_equal(manifest.vm[BARE].tree.bytes, 40);
	set(tree, "/vms/bare", "tree", head, 20);
	assert_true(read_image(tree));
	assert_true(manifest.vm[BARE].refused);
	assert_true(fake_log_has("/vms/bare: tree: is no device tree"));
}

#define VALUE(text) text, sizeof(text) - 1 /* bytes as they are */
#define TEXT(text)  text, sizeof(text)	   /* with the terminating 0 */

TEST(mistake_of_a_vm_is_one_line_and_refuses_that_vm_only)
{
	static const struct {
		const char *property, *value;
		int bytes;
		const char *line;
	} wrong[] = {
		{ "memory-kib", VALUE("\0\0\0\x46"),
		  "70 is not a multiple of 4; give whole pages" },
		{ "memory-kib", VALUE("\0\0\0\x03"),
		  "3 is out of range (64 to 268435456); give whole pages" },
		{ "memory-kib", VALUE("\0\0\0\x80"),
		  "128 KiB do not hold kernel 1 KiB at 64 KiB, ramdisk 1 KiB, tree 8 KiB, "
		  "shared-kib 64; give 144 KiB" },
		{ "kernel", VALUE(""), "is empty; include a kernel's file" },
		{ "kernel", TEXT("kernel.bin"), "is a text; include the file that it names" },
		{ "kernel", VALUE("MZ\0\0zimg"), "is an EFI image that unpacks itself" },
		{ "kernel",
		  VALUE("\x7f"
			"ELF...."),
		  "is an ELF file; make a raw binary" },
		{ "kernel", VALUE("\x1f\x8b\x08\x08"), "is packed by gzip; unpack it first" },
		{ "ramdisk", VALUE(""), "is empty; include a file that has content" },
		{ "tree", TEXT("guest.dtb"), "is no device tree; include what dtc -O dtb makes" },
		{ "bootargs", VALUE("no end"), "has 6 bytes; write one text, at most 2047 bytes" },
		{ "bootargs", TEXT("one\0two"), "has 8 bytes; write one text" },
		{ "load-offset", VALUE("\0\0\0\1"),
		  "1 is not a multiple of 4096; give whole pages" },
		{ "vcpus", VALUE("\0\0\0\0"), "0 is out of range (1 to 16); 1 is the default" },
		{ "vcpus", VALUE("\0\0\0\x11"), "17 is out of range (1 to 16)" },
		{ "vcpus", VALUE("\0\0\0\1\0\0\0\1"), "has 8 bytes; write one number" },
		{ "cores", VALUE("\0\0\0\4"),
		  "there is no core 4; the machine has 4, numbered from 0" },
		{ "cores", VALUE("\0\0\0\0\0\0\0\3"), "3 is a communication core; name others" },
		{ "cores", VALUE(""), "has 0 bytes; write numbers" },
		{ "cores", VALUE("abc"), "has 3 bytes; write numbers" },
		{ "priority", VALUE("\0\0\0\x8"), "8 is out of range (0 to 7); 7 is served first" },
		{ "budget-us", VALUE("\0\1\0\0"),
		  "65536 is more than the period-us of 10000; lower it" },
		{ "shared-kib", VALUE("\0\0\x20\0"), "8192 is not below the 8192 KiB of RAM" },
		{ "shared-kib", VALUE("\0\0\0\2"), "2 is not a multiple of 4; give whole pages" },
		{ "window-kib", VALUE("\0\x0b\x40\x04"), "737284 is out of range (4 to 737280)" },
		{ "ports", VALUE("\0\0\0\0"), "0 is out of range (1 to 8192)" },
		{ "peers", TEXT("nobody"), "there is no VM nobody; name nodes of /vms" },
		{ "peers", TEXT("full"), "full is the VM itself; name others" },
		{ "peers", TEXT("bare\0bare"), "bare is named twice; name it once" },
		{ "peers", VALUE("\0\0\0\1"), "is no list of names; write them in quotes" },
		{ "peers", VALUE("bare"), "is no list of names; write them in quotes" },
		{ "rights", TEXT("everything"), "everything is no right; take console, manage" },
		{ "disks", TEXT("nothing"), "there is no disk nothing; name nodes of /disks" },
		{ "disks", TEXT("data\0data"), "data is named twice; name it once" },
		{ "disks-read-only", TEXT("data"),
		  "data is in disks too; name it in one of the two" },
		{ "memory-mb", VALUE("\0\0\0\1"), "no such property; correct or remove it" },
		{ "on-fault", TEXT("explode"),
		  "explode is unknown; write halt, restart or stop-machine" },
		{ "watchdog-ms", VALUE("\0\0\0\0"),
		  "0 is out of range (1 to 3600000); give milliseconds" },
		{ "upcall-ms", VALUE("\1\0\0\0"), "16777216 is out of range (1 to 3600000)" },
		{ "pmu", VALUE("\0\0\0\1"), "has a value; write the name only" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		void *tree = tree_load("system");
		char line[160];

		fake_log_reset();
		set_number(tree, "/", "communication-cores", 3);
		set(tree, "/vms/full", wrong[i].property, wrong[i].value, wrong[i].bytes);
		assert_true(read_image(tree));
		snprintf(line, sizeof(line), "manifest: /vms/full: %s: %s", wrong[i].property,
			 wrong[i].line);
		if (strncmp(fake_log_text(0), line, strlen(line)) != 0)
			fail_msg("expected '%s', got '%s'", line, fake_log_text(0));
		assert_int_equal(fake_log_count(), 1);
		assert_true(manifest.vm[FULL].refused);
		assert_false(manifest.vm[BARE].refused);
		assert_false(manifest.vm[THIRD].refused);
		assert_int_equal(manifest.channel_count, 2);
	}
}

TEST(what_a_vm_cannot_do_without_is_missed)
{
	static const struct {
		const char *property, *line;
	} needed[] = {
		{ "kernel", "manifest: /vms/bare: kernel: is missing; include a kernel's file" },
		{ "memory-mib",
		  "manifest: /vms/bare: memory-mib: is missing; give the size of the VM's RAM" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(needed); i++) {
		void *tree = tree_load("system");

		fake_log_reset();
		fdt_delprop(tree, tree_node(tree, "/vms/bare"), needed[i].property);
		assert_true(read_image(tree));
		assert_string_equal(fake_log_text(0), needed[i].line);
		assert_int_equal(fake_log_count(), 1);
		assert_true(manifest.vm[BARE].refused);
		assert_false(manifest.vm[FULL].refused);
	}
}

TEST(gicv2_has_eight_cpus)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/bare", "vcpus", 16);
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[BARE].vcpus, 16);
	gic = 2;
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0), "manifest: /vms/bare: vcpus: 16 are more than the 8 "
					      "of a GICv2; lower it");
	assert_int_equal(fake_log_count(), 1);
	set_number(tree, "/vms/bare", "vcpus", 8);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 1);
}

TEST(budget_needs_a_period)
{
	void *tree = tree_load("system");

	fdt_delprop(tree, tree_node(tree, "/vms/full"), "period-us");
	assert_true(read_image(tree));
	assert_true(manifest.vm[FULL].refused);
	assert_string_equal(fake_log_text(0),
			    "manifest: /vms/full: budget-us: stands without period-us; give both");
	assert_int_equal(fake_log_count(), 1);
}

TEST(period_out_of_range_is_one_line)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/full", "period-us", 0);
	assert_true(read_image(tree));
	assert_true(manifest.vm[FULL].refused);
	assert_true(fake_log_has("manifest: /vms/full: period-us: 0 is out of range"));
	assert_int_equal(fake_log_count(), 1);
}

static void budget(void *tree, const char *path, u32 budget_us)
{
	set_number(tree, path, "budget-us", budget_us);
	set_number(tree, path, "period-us", 1000);
}

TEST(no_core_is_promised_twice)
{
	void *tree = tree_load("system");

	/* Core 1 has two vCPUs of the first VM; what is taken in turn counts for all cores only. */
	budget(tree, "/vms/full", 400);
	budget(tree, "/vms/bare", 1000);
	set_number(tree, "/vms/third-vm-1", "cores", 1);
	budget(tree, "/vms/third-vm-1", 100);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 0);
	budget(tree, "/vms/third-vm-1", 101);
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0),
			    "manifest: /vms/third-vm-1: budget-us: with it more than the time of "
			    "one core is promised; lower it");
	assert_true(manifest.vm[THIRD].refused);
	assert_false(manifest.vm[FULL].refused);
}

TEST(all_cores_together_are_not_promised_twice)
{
	void *tree = tree_load("system");

	fdt_delprop(tree, tree_node(tree, "/vms/full"), "cores");
	set(tree, "/", "communication-cores", "\0\0\0\0\0\0\0\3", 8);
	budget(tree, "/vms/full", 500);
	set_number(tree, "/vms/third-vm-1", "vcpus", 1);
	budget(tree, "/vms/third-vm-1", 500);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 0);
	budget(tree, "/vms/third-vm-1", 501);
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0),
			    "manifest: /vms/third-vm-1: budget-us: with it more than the time of "
			    "all cores is promised; lower it");
}

TEST(memory_stands_once)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/full", "memory-mib", 8);
	assert_true(read_image(tree));
	assert_string_equal(
		fake_log_text(0),
		"manifest: /vms/full: memory-kib: stands beside memory-mib; keep one of the two");
	assert_int_equal(fake_log_count(), 1);
	assert_true(manifest.vm[FULL].refused);
}

TEST(more_mistakes_of_one_vm_are_all_said)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/full", "vcpus", 0);
	set_number(tree, "/vms/full", "priority", 9);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 2);
}

/* By a channel, and by `peers` of either; not over a third. */
TEST(who_may_talk_is_said_by_channels_and_by_peers_of_either)
{
	void *tree = tree_load("system");

	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[FULL].talks, BIT(BARE) | BIT(THIRD));
	assert_int_equal(manifest.vm[BARE].talks, BIT(FULL) | BIT(THIRD));
	assert_int_equal(manifest.vm[THIRD].talks, BIT(FULL) | BIT(BARE));
	assert_int_equal(manifest.vm[BARE].store_nodes, 15);
	assert_int_equal(manifest.vm[BARE].store_bytes, 16 * 128);
	assert_int_equal(manifest.vm[BARE].store_watches, 16);
	fdt_delprop(tree, tree_node(tree, "/vms/full"), "peers");
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[FULL].talks, BIT(BARE));
	assert_int_equal(manifest.vm[BARE].talks, BIT(FULL) | BIT(THIRD));
	assert_int_equal(manifest.vm[THIRD].talks, BIT(BARE));
	fdt_del_node(tree, tree_node(tree, "/channels"));
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[BARE].talks, 0);
	assert_int_equal(manifest.vm[BARE].store_nodes, 0);
	assert_int_equal(manifest.vm[BARE].store_bytes, 0);
	assert_int_equal(manifest.vm[BARE].store_watches, 0);
	set_number(tree, "/vms/bare", "store-nodes", 3);
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm[BARE].store_nodes, 3);
	assert_int_equal(manifest.vm[BARE].store_bytes, 4 * 128);
}

TEST(nodes_of_the_store_that_are_too_many_for_the_machine_are_refused)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/bare", "store-nodes", 9900);
	assert_true(read_image(tree));
	assert_false(manifest.vm[BARE].refused);
	assert_true(manifest.vm[THIRD].refused);
	assert_true(
		fake_log_has("/vms/third-vm-1: store-nodes: 15 are more than the 0 that are left "
			     "of 10000; lower it"));
}

TEST(name_that_is_not_allowed_is_refused)
{
	static const char *const names[] = { "Third",	 "third_vm",
					     "3rd",	 "-vm",
					     "vm@1",	 "abcdefghijklmnopqrstuvwxyz012345",
					     "third\nvm" };

	for (u32 i = 0; i < ARRAY_SIZE(names); i++) {
		void *tree = tree_load("system");

		fake_log_reset();
		fdt_del_node(tree, tree_node(tree, "/channels"));
		fdt_delprop(tree, tree_node(tree, "/vms/full"), "peers");
		assert_int_equal(fdt_set_name(tree, tree_node(tree, "/vms/third-vm-1"), names[i]),
				 0);
		assert_true(read_image(tree));
		assert_int_equal(fake_log_count(), 1);
		assert_true(fake_log_has("name: is not allowed; use up to 31 of a-z, 0-9 and"));
		assert_null(strchr(fake_log_text(0), '\n'));
		assert_true(manifest.vm[THIRD].refused);
		assert_false(manifest.vm[BARE].refused);
	}
}

TEST(longest_name_and_remedy_fit_into_a_line)
{
	char name[300];
	void *tree = tree_load("system");

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	set(tree, "/vms/full", "rights", name, sizeof(name));
	assert_int_equal(fdt_set_name(tree, tree_node(tree, "/vms/full"), name), 0);
	assert_true(read_image(tree));
	assert_true(fake_log_has("name: is not allowed; use up to 31 of a-z, 0-9 and '-', a "
				 "letter first"));
	assert_true(fake_log_has("is no right; take console, manage, introspect or store"));
}

TEST(node_inside_a_vm_refuses_it)
{
	void *tree = tree_load("system");

	assert_true(fdt_add_subnode(tree, tree_node(tree, "/vms/bare"), "inner") > 0);
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0),
			    "manifest: /vms/bare: inner: is a node; write properties only");
	assert_true(manifest.vm[BARE].refused);
}

TEST(unknown_node_or_property_outside_a_vm_is_a_line)
{
	void *tree = tree_load("system");

	set_number(tree, "/", "stey", 1);
	set_number(tree, "/vms", "count", 1);
	assert_true(fdt_add_subnode(tree, 0, "networks") > 0);
	assert_true(fdt_add_subnode(tree, 0, "vms@1") > 0);
	assert_true(read_image(tree));
	assert_true(fake_log_has("manifest: /: stey: no such property; correct or remove it"));
	assert_true(fake_log_has("manifest: /vms: count: no such property"));
	assert_true(fake_log_has("manifest: /networks: no such node, it is ignored; correct or "
				 "remove it"));
	assert_true(fake_log_has("manifest: /vms@1: no such node, it is ignored"));
	assert_int_equal(fake_log_count(), 4);
	assert_int_equal(manifest.vm_count, 3);
	assert_false(manifest.vm[BARE].refused);
}

/* Gives the node or property `from` a name of the same length: libfdt itself makes no twins. */
static void rename_to(void *tree, const char *from, const char *to)
{
	char *at = tree, *end = at + fdt_totalsize(tree);

	while (at < end && memcmp(at, from, strlen(from) + 1) != 0)
		at++;
	assert_true(at < end);
	memcpy(at, to, strlen(to));
}

/* A node like another one; libfdt puts it before that. */
static void add_twin(void *tree, const char *parent, const char *name, const char *twin)
{
	assert_true(fdt_add_subnode(tree, tree_node(tree, parent), name) > 0);
	rename_to(tree, name, twin);
}

static void check_one_line(const void *tree, const char *line)
{
	fake_log_reset();
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0), line);
	assert_string_equal(fake_log_text(1), "");
}

TEST(node_that_stands_twice_is_refused_the_second_time)
{
	void *tree = tree_load("system");

	add_twin(tree, "/disks", "daty", "data");
	check_one_line(tree, "manifest: /disks/data: name: stands twice; give each disk its own");
	assert_true(manifest.disk[2].refused);

	tree = tree_load("system");
	add_twin(tree, "/", "channelz", "channels");
	check_one_line(tree,
		       "manifest: /channels: stands twice, the second is ignored; make one of "
		       "the two");

	tree = tree_load("system");
	add_twin(tree, "/channels", "firzt", "first");
	set(tree, "/channels/first", "ends", TEXT("full\0bare"));
	check_one_line(tree,
		       "manifest: /channels/first: name: stands twice; give each channel its own");
	assert_int_equal(manifest.channel_count, 2);

	tree = tree_load("system");
	add_twin(tree, "/vms", "bary", "bare");
	set(tree, "/vms/bare", "kernel", VALUE("kernel"));
	set_number(tree, "/vms/bare", "memory-mib", 1);
	check_one_line(tree, "manifest: /vms/bare: name: stands twice; give each VM its own");
	assert_false(manifest.vm[0].refused);
	assert_true(manifest.vm[2].refused);
}

TEST(property_that_stands_twice_refuses_its_vm)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/bare", "portz", 1);
	set_number(tree, "/vms/bare", "ports", 2);
	rename_to(tree, "portz", "ports");
	check_one_line(tree, "manifest: /vms/bare: ports: stands twice; write it once");
	assert_true(manifest.vm[BARE].refused);
}

TEST(wrong_channel_is_left_out)
{
	static const struct {
		const char *value;
		int bytes;
		const char *line;
	} wrong[] = {
		{ TEXT("full\0nobody"), "ends: there is no VM nobody; name nodes of /vms" },
		{ TEXT("full"), "ends: must be two different VMs" },
		{ TEXT("full\0full"), "ends: full is named twice; name it once" },
		{ TEXT("full\0bare\0third-vm-1"), "ends: must be two different VMs" },
		{ VALUE("\0\0\0\1"), "ends: is no list of names" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(wrong); i++) {
		void *tree = tree_load("system");

		fake_log_reset();
		set(tree, "/channels/first", "ends", wrong[i].value, wrong[i].bytes);
		assert_true(read_image(tree));
		if (!fake_log_has(wrong[i].line))
			fail_msg("expected '%s', got '%s'", wrong[i].line, fake_log_text(0));
		assert_int_equal(fake_log_count(), 1);
		assert_int_equal(manifest.channel_count, 1);
		assert_string_equal(manifest.channel[0].name, "second");
		assert_false(manifest.vm[FULL].refused);
	}
}

TEST(channel_without_ends_is_left_out)
{
	void *tree = tree_load("system");

	fdt_delprop(tree, tree_node(tree, "/channels/first"), "ends");
	check_one_line(
		tree,
		"manifest: /channels/first: ends: is missing; write ends = \"one\", \"other\"");
	assert_int_equal(manifest.channel_count, 1);
}

TEST(vm_with_more_channels_than_ports_is_refused)
{
	void *tree = tree_load("system");

	set_number(tree, "/vms/bare", "ports", 1);
	assert_true(read_image(tree));
	assert_true(manifest.vm[BARE].refused);
	assert_string_equal(
		fake_log_text(0),
		"manifest: /vms/bare: ports: 1 is too few for its 2 channels; give more");
}

TEST(wrong_disk_refuses_who_wants_it)
{
	static const char *const beside[] = { "sectors", "first-sector" };

	for (u32 i = 0; i < ARRAY_SIZE(beside); i++) {
		void *tree = tree_load("system");

		fake_log_reset();
		set_number(tree, "/disks/system", "partition", 1);
		set_number(tree, "/disks/system", beside[i], 100);
		assert_true(read_image(tree));
		assert_true(manifest.disk[0].refused);
		assert_false(manifest.disk[1].refused);
		assert_string_equal(
			fake_log_text(0),
			"manifest: /disks/system: partition: stands beside first-sector or "
			"sectors; keep one of the two");
		assert_string_equal(fake_log_text(1),
				    "manifest: /vms/full: disks-read-only: the disk system was "
				    "refused; correct that");
		assert_int_equal(fake_log_count(), 2);
		assert_true(manifest.vm[FULL].refused);
		assert_false(manifest.vm[BARE].refused);
	}
}

/* What the device says of it is asked for later, and once. */
TEST(partition_arrives)
{
	void *tree = tree_load("system");

	set_number(tree, "/disks/system", "partition", 4);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(manifest.disk[0].partition, 4);
	assert_int_equal(manifest.disk[1].partition, 0);
	assert_false(manifest.vm[FULL].refused);
}

TEST(disk_ends_where_sector_numbers_end)
{
	void *tree = tree_load("system");

	set_number(tree, "/disks/data", "sectors", 0xfffff800);
	assert_true(read_image(tree));
	assert_int_equal(fake_log_count(), 0);
	set_number(tree, "/disks/data", "sectors", 0xfffff801);
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0), "manifest: /disks/data: sectors: ends at sector "
					      "4294967297 (at most 4294967296); lower it");
	assert_true(manifest.disk[1].refused);
}

/* First of those that look at disks: devices are added for ever. */
TEST(disk_that_the_machine_lacks_refuses_who_wants_it)
{
	static struct block_device devices[2] = { { .sectors = 1 }, { .sectors = 6144 } };
	void *tree = tree_load("system");

	assert_true(read_image(tree));
	manifest_check_disks(&manifest);
	assert_true(manifest.vm[FULL].refused);
	assert_false(manifest.vm[BARE].refused);
	assert_string_equal(fake_log_text(0),
			    "manifest: /disks/data: device: 1 is not there, the machine has 0, "
			    "numbered from 0; add a disk, or name another");
	assert_string_equal(fake_log_text(1),
			    "manifest: /vms/full: disks: the disk data was refused; correct that");
	assert_int_equal(fake_log_count(), 2);

	fake_log_reset();
	assert_true(block_device_add(&devices[0]) && block_device_add(&devices[1]));
	assert_true(read_image(tree));
	manifest_check_disks(&manifest);
	assert_int_equal(fake_log_count(), 0);
	assert_false(manifest.vm[FULL].refused);
	assert_int_equal(manifest.vm[FULL].ram_limit, 0);

	devices[1].dma_limit = 0x80000000;
	manifest_check_disks(&manifest);
	assert_int_equal(manifest.vm[FULL].ram_limit, 0x80000000);
	assert_int_equal(manifest.vm[BARE].ram_limit, 0);
	devices[0].dma_limit = 0x40000000; /* of its disk that is read-only */
	manifest_check_disks(&manifest);
	assert_int_equal(manifest.vm[FULL].ram_limit, 0x40000000);
	devices[1].dma_limit = UINT64_MAX;
	manifest_check_disks(&manifest);
	assert_int_equal(manifest.vm[FULL].ram_limit, 0x40000000);

	devices[1].sectors--;
	manifest_check_disks(&manifest);
	assert_string_equal(fake_log_text(0),
			    "manifest: /disks/data: sectors: sectors 2048+4096 are not all among "
			    "the 6143 of device 1; lower it");
	assert_true(manifest.vm[FULL].refused);
}

TEST(long_bootargs_get_a_second_page_for_the_tree)
{
	void *tree = tree_load("system");
	u32 most = PAGE_SIZE - MANIFEST_TREE - 2 * MANIFEST_TREE_VCPU;
	char text[PAGE_SIZE];

	memset(text, 't', sizeof(text));
	text[most + 1] = 0;
	set(tree, "/vms/bare", "vcpus", VALUE("\0\0\0\2"));
	set(tree, "/vms/bare", "bootargs", text, most + 2);
	assert_true(read_image(tree));
	assert_int_equal(manifest_tree_room(&manifest.vm[BARE]), 2 * PAGE_SIZE);
	set(tree, "/vms/bare", "bootargs", text + 1, most + 1);
	assert_true(read_image(tree));
	assert_int_equal(manifest_tree_room(&manifest.vm[BARE]), PAGE_SIZE);
}

TEST(communication_cores_must_exist_and_leave_one)
{
	void *tree = tree_load("system");

	set_number(tree, "/", "communication-cores", 4);
	assert_true(read_image(tree));
	assert_true(fake_log_has("manifest: /: communication-cores: there is no core 4"));
	assert_int_equal(manifest.communication_cores, 0);
	set(tree, "/", "communication-cores", "\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3", 16);
	assert_true(read_image(tree));
	assert_true(fake_log_has("leaves no core for the VMs"));
	assert_int_equal(manifest.communication_cores, 0);
	set(tree, "/", "communication-cores", "", 0);
	check_one_line(tree, "manifest: /: communication-cores: has 0 bytes; write numbers");
	set(tree, "/", "communication-cores", "\0\0\0\3\0\0\0\3", 8);
	check_one_line(tree, "manifest: /: communication-cores: 3 is named twice; name it once");
	assert_int_equal(manifest.communication_cores, BIT(3));
}

TEST(the_machine_has_a_watchdog_if_the_root_gives_a_time_that_it_can_count)
{
	void *tree = tree_load("system");

	assert_true(read_image(tree));
	assert_int_equal(manifest.watchdog_ms, 0); /* what a VM says is another's */
	set_number(tree, "/", "watchdog-ms", 100);
	assert_true(read_image(tree));
	assert_int_equal(manifest.watchdog_ms, 100);
	set_number(tree, "/", "watchdog-ms", 15000);
	assert_true(read_image(tree));
	assert_int_equal(manifest.watchdog_ms, 15000);
	assert_int_equal(fake_log_count(), 0);
	set_number(tree, "/", "watchdog-ms", 99);
	check_one_line(tree, "manifest: /: watchdog-ms: 99 is out of range (100 to 15000); "
			     "give milliseconds");
	assert_int_equal(manifest.watchdog_ms, 0);
	set_number(tree, "/", "watchdog-ms", 15001);
	check_one_line(tree, "manifest: /: watchdog-ms: 15001 is out of range (100 to 15000); "
			     "give milliseconds");
	assert_int_equal(manifest.watchdog_ms, 0);
}

TEST(image_without_vms_is_said)
{
	void *tree = tree_load("system");

	fdt_del_node(tree, tree_node(tree, "/vms"));
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm_count, 0);
	assert_true(fake_log_has("manifest: /vms: has no VM"));
}

TEST(more_vms_than_there_is_room_for_are_cut)
{
	void *tree = tree_load("system");

	for (u32 i = 0; i < MAX_VMS; i++) {
		char name[8];

		snprintf(name, sizeof(name), "vm%u", i);
		assert_true(fdt_add_subnode(tree, tree_node(tree, "/vms"), name) > 0);
	}
	assert_true(read_image(tree));
	assert_int_equal(manifest.vm_count, MAX_VMS);
	assert_true(fake_log_has("manifest: /vms: has 67 nodes (at most 64); the last ones are "
				 "refused: remove some"));
}

TEST(blob_that_is_no_system_image_is_refused)
{
	void *tree = tree_load("system");
	u64 bytes;
	u8 *image;

	set(tree, "/", "compatible", TEXT("linux,dummy-virt"));
	assert_false(read_image(tree));
	assert_true(fake_log_has("manifest: /: compatible: expected \"weir,system\""));
	image = tree_exact(tree_load("system"), &bytes);
	assert_false(manifest_read(image, bytes - 1, CORES, &manifest));
	assert_false(manifest_read(image, 3, CORES, &manifest));
	image[0] = 0;
	assert_false(manifest_read(image, bytes, CORES, &manifest));
	assert_true(fake_log_has("manifest: the system image is damaged"));
}

/* libfdt finds no name for the root of one that says so; the fuzzer found that it reads it. */
TEST(an_image_of_a_version_before_16_is_refused)
{
	u64 bytes;
	const void *image = tree_exact(tree_load("system"), &bytes);

	fdt_set_version((void *)(uintptr_t)image, 2);
	fdt_set_last_comp_version((void *)(uintptr_t)image, 2);
	fake_log_reset();
	assert_false(manifest_read(image, bytes, CORES, &manifest));
	assert_true(fake_log_has("manifest: the system image is damaged"));
}

TEST(damaged_image_never_crashes)
{
	u32 accepted = 0;
	u64 bytes, random = 1;
	u8 *image = tree_exact(tree_load("system"), &bytes), original[8192];

	assert_true(bytes <= sizeof(original));
	memcpy(original, image, bytes);
	for (u32 round = 0; round < 10000; round++) {
		memcpy(image, original, bytes);
		for (u32 hit = 0; hit < 1 + round % 4; hit++) {
			random = random * 6364136223846793005ul + 1442695040888963407ul;
			image[(random >> 33) % bytes] ^= (u8)(1u << (random >> 20) % 8);
		}
		accepted += manifest_read(image, bytes, CORES, &manifest);
		fake_heap_reset();
	}
	assert_true(accepted > 1000); /* enough got past the first look */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, every_property_arrives_in_its_field),
		RUN_AFTER(prepare, what_is_left_out_gets_the_documented_default),
		RUN_AFTER(prepare, channels_and_disks_arrive),
		RUN_AFTER(prepare, vcpus_without_cores_go_round_the_application_cores_over_all_vms),
		RUN_AFTER(prepare, stay_is_a_flag_of_the_root),
		RUN_AFTER(prepare, image_header_says_where_the_kernel_goes),
		RUN_AFTER(prepare, image_header_with_a_monstrous_size_or_offset_is_refused),
		RUN_AFTER(prepare, own_tree_is_taken_if_it_looks_like_one),
		RUN_AFTER(prepare, mistake_of_a_vm_is_one_line_and_refuses_that_vm_only),
		RUN_AFTER(prepare, what_a_vm_cannot_do_without_is_missed),
		RUN_AFTER(prepare, gicv2_has_eight_cpus),
		RUN_AFTER(prepare, budget_needs_a_period),
		RUN_AFTER(prepare, more_mistakes_of_one_vm_are_all_said),
		RUN_AFTER(prepare, period_out_of_range_is_one_line),
		RUN_AFTER(prepare, no_core_is_promised_twice),
		RUN_AFTER(prepare, all_cores_together_are_not_promised_twice),
		RUN_AFTER(prepare, memory_stands_once),
		RUN_AFTER(prepare, who_may_talk_is_said_by_channels_and_by_peers_of_either),
		RUN_AFTER(prepare,
			  nodes_of_the_store_that_are_too_many_for_the_machine_are_refused),
		RUN_AFTER(prepare, name_that_is_not_allowed_is_refused),
		RUN_AFTER(prepare, longest_name_and_remedy_fit_into_a_line),
		RUN_AFTER(prepare, node_inside_a_vm_refuses_it),
		RUN_AFTER(prepare, unknown_node_or_property_outside_a_vm_is_a_line),
		RUN_AFTER(prepare, node_that_stands_twice_is_refused_the_second_time),
		RUN_AFTER(prepare, property_that_stands_twice_refuses_its_vm),
		RUN_AFTER(prepare, channel_without_ends_is_left_out),
		RUN_AFTER(prepare, wrong_channel_is_left_out),
		RUN_AFTER(prepare, vm_with_more_channels_than_ports_is_refused),
		RUN_AFTER(prepare, wrong_disk_refuses_who_wants_it),
		RUN_AFTER(prepare, partition_arrives),
		RUN_AFTER(prepare, disk_ends_where_sector_numbers_end),
		RUN_AFTER(prepare, disk_that_the_machine_lacks_refuses_who_wants_it),
		RUN_AFTER(prepare, long_bootargs_get_a_second_page_for_the_tree),
		RUN_AFTER(prepare, communication_cores_must_exist_and_leave_one),
		RUN_AFTER(prepare,
			  the_machine_has_a_watchdog_if_the_root_gives_a_time_that_it_can_count),
		RUN_AFTER(prepare, image_without_vms_is_said),
		RUN_AFTER(prepare, more_vms_than_there_is_room_for_are_cut),
		RUN_AFTER(prepare, blob_that_is_no_system_image_is_refused),
		RUN_AFTER(prepare, an_image_of_a_version_before_16_is_refused),
		RUN_AFTER(prepare, damaged_image_never_crashes),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
