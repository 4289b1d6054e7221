/*
 * The system image: what is read of it, and what is said of an image as a whole (manifest_image.h).
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

	tree_set(tree, "/", "stay", 0, 0);
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
	tree_set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
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
		tree_set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
		fake_log_reset();
		assert_true(read_image(tree));
		assert_true(manifest.vm[BARE].refused);
		assert_true(fake_log_has("manifest: /vms/bare: kernel: its header asks for"));
		assert_int_equal(fake_log_count(), 1);
	}
}

/* Bits 1 and 2 of its flags; without an Image's header they are anything. */
TEST(kernel_whose_pages_no_core_knows_is_refused)
{
	static const struct {
		u64 memory;	     /* ID_AA64MMFR0_EL1 */
		const char *said[4]; /* for pages that are not told, of 4 KiB, 16 KiB, 64 KiB */
	} cores[] = {
		{ 0x00001124, { 0, 0, "16 KiB", 0 } }, /* Cortex-A53, A72 */
		{ 0x00101122, { 0 } },
		{ 0x00201122, { 0 } }, /* with 52 bits */
		{ 0xf0100000 | 0xf << 24, { 0, 0, 0, "64 KiB" } },
		{ 0x0f000000, { 0, 0, "16 KiB", "64 KiB" } },
	};

	for (u32 i = 0; i < ARRAY_SIZE(cores) * 4; i++) {
		void *tree = tree_load("system");
		u8 kernel[64] = { [18] = 0x02, [24] = (u8)(8 | (i & 3) << 1) };
		const char *said = cores[i / 4].said[i & 3];

		page_sizes = cores[i / 4].memory;
		tree_set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
		check_one_line(tree, "");
		memcpy(kernel + 56, "ARM\x64", 4);
		tree_set(tree, "/vms/bare", "kernel", kernel, sizeof(kernel));
		fake_log_reset();
		assert_true(read_image(tree));
		assert_int_equal(manifest.vm[BARE].refused, said != 0);
		assert_int_equal(fake_log_count(), said != 0);
		if (said)
			assert_true(fake_log_has("manifest: /vms/bare: kernel: has pages of "));
		if (said)
			assert_true(fake_log_has(said));
	}
}

TEST(own_tree_is_taken_if_it_looks_like_one)
{
	static const u8 head[40] = { 0xd0, 0x0d, 0xfe, 0xed, 0, 0, 0, 40 };
	void *tree = tree_load("system");

	tree_set(tree, "/vms/bare", "tree", head, sizeof(head));
	assert_true(read_image(tree));
	assert_false(manifest.vm[BARE].refused);
	assert_int_equal(manifest.vm[BARE].tree.bytes, 40);
	tree_set(tree, "/vms/bare", "tree", head, 20);
	assert_true(read_image(tree));
	assert_true(manifest.vm[BARE].refused);
	assert_true(fake_log_has("/vms/bare: tree: is no device tree"));
}

TEST(communication_cores_must_exist_and_leave_one)
{
	void *tree = tree_load("system");

	set_number(tree, "/", "communication-cores", 4);
	assert_true(read_image(tree));
	assert_true(fake_log_has("manifest: /: communication-cores: there is no core 4"));
	assert_int_equal(manifest.communication_cores, 0);
	tree_set(tree, "/", "communication-cores", "\0\0\0\0\0\0\0\1\0\0\0\2\0\0\0\3", 16);
	assert_true(read_image(tree));
	assert_true(fake_log_has("leaves no core for the VMs"));
	assert_int_equal(manifest.communication_cores, 0);
	tree_set(tree, "/", "communication-cores", "", 0);
	check_one_line(tree, "manifest: /: communication-cores: has 0 bytes; write numbers");
	tree_set(tree, "/", "communication-cores", "\0\0\0\3\0\0\0\3", 8);
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

	tree_set(tree, "/", "compatible", TEXT("linux,dummy-virt"));
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
		RUN_AFTER(prepare, kernel_whose_pages_no_core_knows_is_refused),
		RUN_AFTER(prepare, own_tree_is_taken_if_it_looks_like_one),
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
