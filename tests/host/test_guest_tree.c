/*
 * The guest's device tree: what core/guest_tree.c writes, read back with libfdt, and judged by dtc.
 *
 * Sources: core/guest_tree.c core/base/log.c tests/host/fake/log.c tests/host/fake/panic.c
 * Sources: tests/host/fake/cpu.c tests/host/fake/timer.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "core/guest_tree.h"
#include "core/hypercall.h"
#include "core/passthrough.h"
#include "drivers/gic.h"

#define TREE_BYTES 4096u
#define SHARED	   0x6000u

static u32 version = 2;
static struct manifest_vm config;
static struct vm vm;
static u8 *tree;
static u32 tree_bytes;

u32 gic_version(void)
{
	return version;
}

u64 ipc_shared_bytes(const struct manifest_vm *of)
{
	return of->vcpus * SHARED;
}

u64 vm_pool_base(const struct vm *of)
{
	return VM_RAM_BASE + of->ram_bytes - of->pool_bytes;
}

/* Two vCPUs, 1 MiB with a pool of 256 KiB, no ramdisk. */
static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	version = 2;
	config = (struct manifest_vm){ .name = "guest", .vcpus = 2 };
	vm = (struct vm){ .config = &config,
			  .vcpu_count = 2,
			  .ram_bytes = MIB,
			  .ram_ipa = VM_RAM_BASE,
			  .pool_bytes = 256 * KIB,
			  .window_bytes = MIB };
	tree = malloc(TREE_BYTES);
	return 0;
}

static int clean(void **state)
{
	(void)state;
	free(tree);
	tree_free();
	return 0;
}

static void write_tree(struct range ramdisk)
{
	tree_bytes = guest_tree_write(&vm, ramdisk, tree, TREE_BYTES);
	assert_true(tree_bytes && tree_bytes <= TREE_BYTES);
	assert_int_equal(fdt_check_full(tree, tree_bytes), 0);
	assert_int_equal(fdt_totalsize(tree), tree_bytes);
}

static void expect_cells(const char *path, const char *property, const u32 *cells, u32 count)
{
	int bytes = 0;
	const fdt32_t *data = fdt_getprop(tree, tree_node(tree, path), property, &bytes);

	assert_non_null(data);
	assert_int_equal(bytes, count * 4);
	for (u32 i = 0; i < count; i++)
		assert_int_equal(fdt32_to_cpu(data[i]), cells[i]);
}

#define EXPECT_CELLS(path, property, ...)                          \
	expect_cells(path, property, (const u32[]){ __VA_ARGS__ }, \
		     ARRAY_SIZE(((const u32[]){ __VA_ARGS__ })))

static void expect_text(const char *path, const char *property, const char *text)
{
	const char *data = fdt_getprop(tree, tree_node(tree, path), property, 0);

	assert_non_null(data);
	assert_string_equal(data, text);
}

TEST(unit_addresses_of_cpus_are_hexadecimal)
{
	u32 count = vm.vcpu_count;

	vm.vcpu_count = 16;
	write_tree((struct range){ 0 });
	vm.vcpu_count = count;
	EXPECT_CELLS("/cpus/cpu@9", "reg", 9);
	EXPECT_CELLS("/cpus/cpu@a", "reg", 10);
	EXPECT_CELLS("/cpus/cpu@f", "reg", 15);
}

TEST(cpus_are_those_of_the_vm_and_start_by_hvc)
{
	write_tree((struct range){ 0 });
	expect_text("/cpus/cpu@0", "enable-method", "psci");
	EXPECT_CELLS("/cpus/cpu@1", "reg", 1);
	assert_true(fdt_path_offset(tree, "/cpus/cpu@2") < 0);
	expect_text("/psci", "method", "hvc");
	assert_int_equal(fdt_node_check_compatible(tree, tree_node(tree, "/psci"), "arm,psci-0.2"),
			 0);
}

TEST(memory_is_all_of_the_ram)
{
	vm.ram_bytes = 5ul << 30;
	write_tree((struct range){ 0 });
	EXPECT_CELLS("/memory@40000000", "reg", 0, 0x40000000, 1, 0x40000000);
	expect_text("/memory@40000000", "device_type", "memory");
}

TEST(direct_memory_is_where_the_machine_has_it)
{
	vm.ram_ipa = 0x123400000;
	write_tree((struct range){ 0 });
	EXPECT_CELLS("/memory@123400000", "reg", 1, 0x23400000, 0, 0x100000);
}

TEST(gicv2_has_distributor_and_cpu_interface)
{
	write_tree((struct range){ 0 });
	assert_int_equal(fdt_node_check_compatible(tree, tree_node(tree, "/intc@8000000"),
						   "arm,cortex-a15-gic"),
			 0);
	EXPECT_CELLS("/intc@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x8010000, 0, 0x2000);
	EXPECT_CELLS("/timer", "interrupts", 1, 13, 0x304, 1, 14, 0x304, 1, 11, 0x304, 1, 10,
		     0x304);
}

TEST(gicv3_has_a_redistributor_for_each_vcpu)
{
	version = 3;
	write_tree((struct range){ 0 });
	assert_int_equal(
		fdt_node_check_compatible(tree, tree_node(tree, "/intc@8000000"), "arm,gic-v3"), 0);
	EXPECT_CELLS("/intc@8000000", "reg", 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0x40000);
	EXPECT_CELLS("/timer", "clock-frequency", 1000000000);
	EXPECT_CELLS("/timer", "interrupts", 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
}

TEST(uart_is_where_stdout_path_leads)
{
	write_tree((struct range){ 0 });
	expect_text("/chosen", "stdout-path", "/pl011@9000000");
	EXPECT_CELLS("/pl011@9000000", "reg", 0, 0x9000000, 0, 0x1000);
	EXPECT_CELLS("/pl011@9000000", "interrupts", 0, 1, 4);
	EXPECT_CELLS("/pl011@9000000", "clocks", 2, 2);
	assert_true(fdt_node_offset_by_phandle(tree, 2) == tree_node(tree, "/apb-pclk"));
	assert_true(fdt_node_offset_by_phandle(tree, 1) == tree_node(tree, "/intc@8000000"));
	EXPECT_CELLS("/", "interrupt-parent", 1);
}

TEST(hypervisor_tells_shared_pages_pool_window_and_interrupts)
{
	write_tree((struct range){ 0 });
	expect_text("/hypervisor", "compatible", "weir,hypervisor");
	EXPECT_CELLS("/hypervisor", "reg", 0, 0x0e000000, 0, 2 * SHARED, 0, 0x400c0000, 0, 0x40000,
		     0, 0x10000000, 0, 0x100000);
	EXPECT_CELLS("/hypervisor", "interrupts", 1, 2, 0x301, 1, 3, 0x301, 1, 4, 0x301);
}

TEST(each_disk_has_a_virtio_device)
{
	write_tree((struct range){ 0 });
	assert_true(fdt_node_offset_by_compatible(tree, -1, "virtio,mmio") < 0);
	config.disk_count = 2;
	write_tree((struct range){ 0 });
	EXPECT_CELLS("/virtio_mmio@a000000", "reg", 0, 0xa000000, 0, 0x200);
	EXPECT_CELLS("/virtio_mmio@a000000", "interrupts", 0, 16, 1);
	expect_text("/virtio_mmio@a000200", "compatible", "virtio,mmio");
	EXPECT_CELLS("/virtio_mmio@a000400", "interrupts", 0, 18, 1); /* the console */
	assert_true(fdt_path_offset(tree, "/virtio_mmio@a000600") < 0);
	EXPECT_CELLS("/virtio_mmio@a000200", "reg", 0, 0xa000200, 0, 0x200);
	EXPECT_CELLS("/virtio_mmio@a000200", "interrupts", 0, 17, 1);
	assert_non_null(
		fdt_getprop(tree, tree_node(tree, "/virtio_mmio@a000200"), "dma-coherent", 0));
}

/* What manifest_tree_room() gives is enough for all that a manifest may say. */
TEST(the_largest_tree_fits_into_its_room)
{
	char bootargs[PAGE_SIZE];

	memset(bootargs, 'x', sizeof(bootargs));
	config.disk_count = MANIFEST_VM_DISKS;
	for (version = 2; version <= 3; version++)
		for (u32 length = 0; length < PAGE_SIZE; length += 29) {
			u8 *room;

			config.bootargs = bootargs + PAGE_SIZE - 1 - length;
			bootargs[PAGE_SIZE - 1] = 0;
			config.vcpus = vm.vcpu_count = 1 + length % (version == 2 ? 8 : MAX_VCPUS);
			room = malloc(manifest_tree_room(&config));

			assert_int_not_equal(guest_tree_write(&vm, (struct range){ 1ul << 38, MIB },
							      room,
							      (u32)manifest_tree_room(&config)),
					     0);
			free(room);
		}
	version = 2;
}

TEST(performance_counters_are_there_only_if_the_vm_has_them)
{
	write_tree((struct range){ 0 });
	assert_true(fdt_path_offset(tree, "/pmu") < 0);
	config.pmu = true;
	write_tree((struct range){ 0 });
	expect_text("/pmu", "compatible", "arm,armv8-pmuv3");
}

TEST(bootargs_and_ramdisk_are_there_only_if_the_vm_has_them)
{
	write_tree((struct range){ 0 });
	assert_null(fdt_getprop(tree, tree_node(tree, "/chosen"), "bootargs", 0));
	assert_null(fdt_getprop(tree, tree_node(tree, "/chosen"), "linux,initrd-start", 0));
	config.bootargs = "quiet";
	write_tree((struct range){ 0x40080000, 0x1234 });
	expect_text("/chosen", "bootargs", "quiet");
	EXPECT_CELLS("/chosen", "linux,initrd-start", 0, 0x40080000);
	EXPECT_CELLS("/chosen", "linux,initrd-end", 0, 0x40081234);
}

#define SEEDS_BYTES 40 /* of both properties */

static void get_seed(u8 seed[SEEDS_BYTES])
{
	int bytes = 0;
	const u8 *data = fdt_getprop(tree, tree_node(tree, "/chosen"), "rng-seed", &bytes);

	assert_int_equal(bytes, 32);
	memcpy(seed, data, 32);
	data = fdt_getprop(tree, tree_node(tree, "/chosen"), "kaslr-seed", &bytes);
	assert_int_equal(bytes, 8);
	memcpy(seed + 32, data, 8);
}

static void reseed(void)
{
	struct guest_seed seed[GUEST_SEEDS];

	guest_tree_find_seeds(tree, seed);
	guest_tree_reseed(seed);
}

TEST(seeds_are_fresh_after_each_reseed)
{
	static const u8 zero[8];
	u8 first[SEEDS_BYTES], second[SEEDS_BYTES];

	write_tree((struct range){ 0 });
	reseed();
	get_seed(first);
	reseed();
	get_seed(second);
	for (u32 at = 0; at < SEEDS_BYTES; at += 8) {
		assert_memory_not_equal(first + at, zero, 8);
		assert_memory_not_equal(first + at, second + at, 8);
	}
	assert_int_equal(fdt_check_full(tree, tree_bytes), 0);
}

TEST(reseed_changes_nothing_else)
{
	u8 before[TREE_BYTES];
	struct guest_seed seed[GUEST_SEEDS];

	write_tree((struct range){ 0 });
	memcpy(before, tree, tree_bytes);
	reseed();
	guest_tree_find_seeds(tree, seed);
	for (u32 i = 0; i < GUEST_SEEDS; i++)
		memset(seed[i].data, 0, seed[i].bytes);
	assert_memory_equal(before, tree, tree_bytes);
}

TEST(tree_without_a_seed_is_left_alone)
{
	u8 before[TREE_BYTES];

	for (u32 i = 0; i < GUEST_SEEDS; i++) {
		static const char *const names[] = { "rng-seed", "kaslr-seed" };
		struct guest_seed seed[GUEST_SEEDS];

		write_tree((struct range){ 0 });
		assert_int_equal(fdt_delprop(tree, tree_node(tree, "/chosen"), names[i]), 0);
		memcpy(before, tree, tree_bytes);
		guest_tree_find_seeds(tree, seed);
		assert_int_equal(seed[i].bytes, 0);
		assert_int_not_equal(seed[!i].bytes, 0);
		guest_tree_reseed(seed);
		memset(seed[!i].data, 0, seed[!i].bytes);
		assert_memory_equal(before, tree, tree_bytes);
	}
}

/* A node named /hypervisor is the ABI, so that it has no unit address is meant. */
static void expect_no_warning(const char *name)
{
	char command[256], output[256] = "";
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), TREES "/%s.dtb", name);
	stream = fopen(path, "wb");
	assert_non_null(stream);
	assert_int_equal(fwrite(tree, 1, tree_bytes, stream), tree_bytes);
	fclose(stream);
	snprintf(command, sizeof(command),
		 "dtc -I dtb -O dts -W no-unit_address_vs_reg -o /dev/null %s 2>&1", path);
	stream = popen(command, "r");
	assert_non_null(stream);
	assert_int_equal(fread(output, 1, sizeof(output) - 1, stream), 0);
	assert_int_equal(pclose(stream), 0);
}

TEST(dtc_finds_nothing_to_warn_about)
{
	config.bootargs = "quiet";
	write_tree((struct range){ 0x40080000, 0x1234 });
	expect_no_warning("written-gicv2");
	version = 3;
	write_tree((struct range){ 0x40080000, 0x1234 });
	expect_no_warning("written-gicv3");
}

TEST(tree_of_8_vcpus_with_long_bootargs_fits_a_page)
{
	static char bootargs[1025];

	memset(bootargs, 'a', sizeof(bootargs) - 1);
	config.bootargs = bootargs;
	config.vcpus = vm.vcpu_count = 8;
	write_tree((struct range){ 0x40080000, 0x1234 });
}

TEST(tree_that_does_not_fit_is_said)
{
	for (u32 size = 0; size < 1000; size += 8) {
		fake_log_reset();
		assert_int_equal(guest_tree_write(&vm, (struct range){ 0 }, tree, size), 0);
		assert_true(fake_log_has(
			"manifest: /vms/guest: bootargs: the guest's tree does not fit"));
	}
}

TEST(own_tree_is_handed_over_as_it_is)
{
	u64 bytes;
	const void *own = tree_exact(tree_load("virt-gicv3"), &bytes);

	config.tree = (struct blob){ own, bytes };
	write_tree((struct range){ 0 });
	assert_int_equal(tree_bytes, bytes);
	assert_memory_equal(tree, own, bytes);
}

TEST(own_tree_with_placeholders_gets_seeds)
{
	static const u8 zero[32];
	u64 bytes;
	u8 seed[SEEDS_BYTES];
	void *own = tree_load("virt-gicv3");

	assert_int_equal(fdt_setprop(own, tree_node(own, "/chosen"), "rng-seed", zero, 32), 0);
	assert_int_equal(fdt_setprop(own, tree_node(own, "/chosen"), "kaslr-seed", zero, 8), 0);
	config.tree = (struct blob){ tree_exact(own, &bytes), 0 };
	config.tree.bytes = bytes;
	write_tree((struct range){ 0 });
	reseed();
	get_seed(seed);
	assert_memory_not_equal(seed, zero, 32);
	assert_memory_not_equal(seed + 32, zero, 8);
}

TEST(only_the_beginning_of_a_long_seed_in_an_own_tree_is_written)
{
	static const u8 zero[200];
	struct guest_seed seed[GUEST_SEEDS];
	u64 bytes;
	const u8 *written;
	void *own = tree_load("virt-gicv3");

	assert_int_equal(fdt_setprop(own, tree_node(own, "/chosen"), "rng-seed", zero, 200), 0);
	config.tree = (struct blob){ tree_exact(own, &bytes), 0 };
	config.tree.bytes = bytes;
	write_tree((struct range){ 0 });
	reseed();
	guest_tree_find_seeds(tree, seed);
	assert_int_equal(seed[0].bytes, 64);
	written = fdt_getprop(tree, tree_node(tree, "/chosen"), "rng-seed", 0);
	assert_memory_not_equal(written, zero, 64);
	assert_memory_equal(written + 64, zero, 136);
}

TEST(broken_own_tree_is_said)
{
	u64 bytes;
	u8 *own = tree_exact(tree_load("virt-gicv3"), &bytes);

	config.tree = (struct blob){ own, bytes };
	own[60] ^= 0xff;
	assert_int_equal(guest_tree_write(&vm, (struct range){ 0 }, tree, TREE_BYTES), 0);
	assert_true(fake_log_has("manifest: /vms/guest: tree: is damaged"));
	config.tree.bytes = TREE_BYTES + 1;
	assert_int_equal(guest_tree_write(&vm, (struct range){ 0 }, tree, TREE_BYTES), 0);
}

static struct passed device(const char *path, u64 base)
{
	const void *machine = tree_load("devices");

	return (struct passed){ .path = path,
				.tree = machine,
				.node = tree_node(machine, path),
				.frame = { { base, 0x1000 } },
				.frames = 1 };
}

TEST(device_has_its_properties_its_address_in_the_vm_and_a_clock_for_its_bus)
{
	struct passed passed = device("/rtc@9010000", 0x9010000);

	config.passed = &passed;
	config.passed_count = 1;
	write_tree((struct range){ 0 });
	assert_int_equal(fake_log_count(), 0);
	expect_text("/rtc@9010000", "compatible", "arm,pl031");
	EXPECT_CELLS("/rtc@9010000", "reg", 0, 0x9010000, 0, 0x1000);
	EXPECT_CELLS("/rtc@9010000", "interrupts", 0, 2, 4);
	expect_text("/rtc@9010000", "clock-names", "apb_pclk");
	expect_cells("/rtc@9010000", "clocks",
		     &(u32){ fdt_get_phandle(tree, tree_node(tree, "/apb-pclk")) }, 1);
}

TEST(device_behind_a_bus_is_named_by_its_address_in_the_vm)
{
	struct passed passed = device("/soc/timer@7e003000", 0xfe003000);

	config.passed = &passed;
	config.passed_count = 1;
	write_tree((struct range){ 0 });
	EXPECT_CELLS("/timer@fe003000", "reg", 0, 0xfe003000, 0, 0x1000);
	EXPECT_CELLS("/timer@fe003000", "clock-frequency", 1000000);
	EXPECT_CELLS("/timer@fe003000", "interrupts", 0, 64, 4, 0, 65, 4, 0, 66, 4, 0, 67, 1);
	assert_null(fdt_getprop(tree, tree_node(tree, "/timer@fe003000"), "clocks", 0));
	assert_int_equal(fake_log_count(), 0);
}

TEST(clocks_that_the_vm_does_not_see_are_said)
{
	struct passed passed = device("/rtc@9010000", 0x9010000);

	assert_int_equal(fdt_setprop_string((void *)(uintptr_t)passed.tree, passed.node,
					    "clock-names", "baud"),
			 0);
	config.passed = &passed;
	config.passed_count = 1;
	write_tree((struct range){ 0 });
	assert_null(fdt_getprop(tree, tree_node(tree, "/rtc@9010000"), "clocks", 0));
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0),
			    "tree: /rtc@9010000: clocks: VM guest does not see them");
}

#define RUN_CLEAN(name) cmocka_unit_test_setup_teardown(name, prepare, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_CLEAN(unit_addresses_of_cpus_are_hexadecimal),
		RUN_CLEAN(cpus_are_those_of_the_vm_and_start_by_hvc),
		RUN_CLEAN(memory_is_all_of_the_ram),
		RUN_CLEAN(direct_memory_is_where_the_machine_has_it),
		RUN_CLEAN(gicv2_has_distributor_and_cpu_interface),
		RUN_CLEAN(gicv3_has_a_redistributor_for_each_vcpu),
		RUN_CLEAN(uart_is_where_stdout_path_leads),
		RUN_CLEAN(hypervisor_tells_shared_pages_pool_window_and_interrupts),
		RUN_CLEAN(device_has_its_properties_its_address_in_the_vm_and_a_clock_for_its_bus),
		RUN_CLEAN(device_behind_a_bus_is_named_by_its_address_in_the_vm),
		RUN_CLEAN(clocks_that_the_vm_does_not_see_are_said),
		RUN_CLEAN(each_disk_has_a_virtio_device),
		RUN_CLEAN(the_largest_tree_fits_into_its_room),
		RUN_CLEAN(performance_counters_are_there_only_if_the_vm_has_them),
		RUN_CLEAN(bootargs_and_ramdisk_are_there_only_if_the_vm_has_them),
		RUN_CLEAN(seeds_are_fresh_after_each_reseed),
		RUN_CLEAN(reseed_changes_nothing_else),
		RUN_CLEAN(tree_without_a_seed_is_left_alone),
		RUN_CLEAN(dtc_finds_nothing_to_warn_about),
		RUN_CLEAN(tree_of_8_vcpus_with_long_bootargs_fits_a_page),
		RUN_CLEAN(tree_that_does_not_fit_is_said),
		RUN_CLEAN(own_tree_is_handed_over_as_it_is),
		RUN_CLEAN(own_tree_with_placeholders_gets_seeds),
		RUN_CLEAN(only_the_beginning_of_a_long_seed_in_an_own_tree_is_written),
		RUN_CLEAN(broken_own_tree_is_said),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
