/*
 * The system image: nodes and properties that are unknown or stand twice, channels and disks (manifest_image.h).
 *
 * Sources: core/manifest.c core/manifest_kernel.c core/manifest_reader.c core/manifest_disks.c core/manifest_store.c core/manifest_vm.c core/base/log.c
 * Sources: drivers/block_device.c tests/host/fake/log.c
 * Sources: tests/host/fake/gic_pend.c tests/host/manifest_image.c
 * Sources: tests/host/fake/panic.c tests/host/fake/heap.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include <string.h>
#include "manifest_image.h"
#include "drivers/block_device.h"

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
	tree_set(tree, "/channels/first", "ends", TEXT("full\0bare"));
	check_one_line(tree,
		       "manifest: /channels/first: name: stands twice; give each channel its own");
	assert_int_equal(manifest.channel_count, 2);

	tree = tree_load("system");
	add_twin(tree, "/vms", "bary", "bare");
	tree_set(tree, "/vms/bare", "kernel", VALUE("kernel"));
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
		tree_set(tree, "/channels/first", "ends", wrong[i].value, wrong[i].bytes);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
