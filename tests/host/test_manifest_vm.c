/*
 * The system image: mistakes in what a VM says, each of which is one line and refuses that VM (manifest_image.h).
 *
 * Sources: core/manifest.c core/manifest_kernel.c core/manifest_reader.c core/manifest_disks.c core/manifest_store.c core/manifest_vm.c core/base/log.c
 * Sources: drivers/block_device.c tests/host/fake/log.c
 * Sources: tests/host/fake/gic_pend.c tests/host/manifest_image.c
 * Sources: tests/host/fake/panic.c tests/host/fake/heap.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "manifest_image.h"

/* What is set in VM "full", and the line that must come of it. */
static const struct {
	const char *property, *value;
	int bytes;
	const char *line;
} mistakes[] = {
	{ "memory-kib", VALUE("\0\0\0\x46"), "70 is not a multiple of 4; give whole pages" },
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
	{ "load-offset", VALUE("\0\0\0\1"), "1 is not a multiple of 4096; give whole pages" },
	{ "vcpus", VALUE("\0\0\0\0"), "0 is out of range (1 to 16); 1 is the default" },
	{ "vcpus", VALUE("\0\0\0\x11"), "17 is out of range (1 to 16)" },
	{ "vcpus", VALUE("\0\0\0\1\0\0\0\1"), "has 8 bytes; write one number" },
	{ "cores", VALUE("\0\0\0\4"), "there is no core 4; the machine has 4, numbered from 0" },
	{ "cores", VALUE("\0\0\0\0\0\0\0\3"), "3 is a communication core; name others" },
	{ "cores", VALUE(""), "has 0 bytes; write numbers" },
	{ "cores", VALUE("abc"), "has 3 bytes; write numbers" },
	{ "priority", VALUE("\0\0\0\x8"), "8 is out of range (0 to 7); 7 is served first" },
	{ "budget-us", VALUE("\0\1\0\0"), "65536 is more than the period-us of 10000; lower it" },
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
	{ "disks-read-only", TEXT("data"), "data is in disks too; name it in one of the two" },
	{ "memory-mb", VALUE("\0\0\0\1"), "no such property; correct or remove it" },
	{ "on-fault", TEXT("explode"), "explode is unknown; write halt, restart or stop-machine" },
	{ "watchdog-ms", VALUE("\0\0\0\0"), "0 is out of range (1 to 3600000); give milliseconds" },
	{ "upcall-ms", VALUE("\1\0\0\0"), "16777216 is out of range (1 to 3600000)" },
	{ "pmu", VALUE("\0\0\0\1"), "has a value; write the name only" },
};

TEST(mistake_of_a_vm_is_one_line_and_refuses_that_vm_only)
{
	for (u32 i = 0; i < ARRAY_SIZE(mistakes); i++) {
		void *tree = tree_load("system");
		char line[160];

		fake_log_reset();
		set_number(tree, "/", "communication-cores", 3);
		tree_set(tree, "/vms/full", mistakes[i].property, mistakes[i].value,
			 mistakes[i].bytes);
		assert_true(read_image(tree));
		snprintf(line, sizeof(line), "manifest: /vms/full: %s: %s", mistakes[i].property,
			 mistakes[i].line);
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
	tree_set(tree, "/", "communication-cores", "\0\0\0\0\0\0\0\3", 8);
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
	tree_set(tree, "/vms/full", "rights", name, sizeof(name));
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

TEST(long_bootargs_get_a_second_page_for_the_tree)
{
	void *tree = tree_load("system");
	u32 most = PAGE_SIZE - MANIFEST_TREE - 2 * MANIFEST_TREE_VCPU;
	char text[PAGE_SIZE];

	memset(text, 't', sizeof(text));
	text[most + 1] = 0;
	tree_set(tree, "/vms/bare", "vcpus", VALUE("\0\0\0\2"));
	tree_set(tree, "/vms/bare", "bootargs", text, most + 2);
	assert_true(read_image(tree));
	assert_int_equal(manifest_tree_room(&manifest.vm[BARE]), 2 * PAGE_SIZE);
	tree_set(tree, "/vms/bare", "bootargs", text + 1, most + 1);
	assert_true(read_image(tree));
	assert_int_equal(manifest_tree_room(&manifest.vm[BARE]), PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		RUN_AFTER(prepare, long_bootargs_get_a_second_page_for_the_tree),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
