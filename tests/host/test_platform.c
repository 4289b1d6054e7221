/*
 * What the device tree says of the machine, as core/platform.c reads it: three machines, and variants of them.
 *
 * Sources: core/platform.c core/tree_walk.c core/base/log.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include "platform_tree.h"

TEST(virt_with_gicv2_is_read_whole_and_silently)
{
	assert_true(read_tree(tree_load("virt-gicv2")));
	assert_int_equal(fake_log_count(), 0);

	assert_int_equal(platform.cpu_count, 3);
	assert_int_equal(platform.cpu[0].mpidr, 0);
	assert_int_equal(platform.cpu[2].mpidr, 0x100);
	assert_true(platform.cpu[1].psci && platform.psci);
	assert_int_equal(platform.bank_count, 1);
	assert_int_equal(platform.bank[0].base, 0x40000000);
	assert_int_equal(platform.bank[0].bytes, 0x20000000);
	assert_int_equal(platform.gic.version, 2);
	assert_int_equal(platform.gic.distributor.raw, 0x8000000);
	assert_int_equal(platform.gic.distributor_bytes, 0x10000);
	assert_int_equal(platform.gic.cpu_interface.raw, 0x8010000);
	assert_int_equal(platform.gic.hypervisor.raw, 0x8030000);
	assert_int_equal(platform.gic.virtual_interface.raw, 0x8040000);
	assert_int_equal(platform.maintenance_intid, 25);
	assert_int_equal(platform.virtual_timer_intid, 27);
	assert_int_equal(platform.el2_timer_intid, 26);
	assert_int_equal(platform.uart.base.raw, 0x9000000);
	assert_int_equal(platform.uart.bytes, 0x1000);
	assert_int_equal(platform.uart.intid, 33);
	assert_false(platform.uart.edge);
	assert_int_equal(platform.uart_compatible_bytes, 24);
	assert_memory_equal(platform.uart_compatible, "arm,pl011\0arm,primecell", 24);
}

TEST(virtio_devices_are_sorted_by_address_and_disabled_ones_left_out)
{
	assert_true(read_tree(tree_load("virt-gicv2")));
	assert_int_equal(platform.virtio_mmio_count, 2);
	assert_int_equal(platform.virtio_mmio[0].base.raw, 0xa000000);
	assert_int_equal(platform.virtio_mmio[0].intid, 48);
	assert_int_equal(platform.virtio_mmio[1].base.raw, 0xa000200);
	assert_int_equal(platform.virtio_mmio[1].intid, 49);
	assert_true(platform.virtio_mmio[1].edge);
}

TEST(reserved_memory_reserve_map_and_image_are_kept)
{
	assert_true(read_tree(tree_load("virt-gicv2")));
	assert_int_equal(platform.reserved_count, 3);
	assert_int_equal(platform.reserved[0].base, 0x4f000000);
	assert_int_equal(platform.reserved[0].bytes, 0x2000);
	assert_int_equal(platform.reserved[1].base, 0x5f000000);
	assert_int_equal(platform.reserved[2].base, 0x48000000);
	assert_int_equal(platform.system_image.base, 0x48000000);
	assert_int_equal(platform.system_image.bytes, 0x100000);
	platform_reserve(&platform, (struct range){ 0x1000, 0x1000 });
	assert_int_equal(platform.reserved[3].base, 0x1000);
}

TEST(more_reserved_ranges_than_there_is_room_for_are_kept_together)
{
	const struct range *last = &platform.reserved[PLATFORM_RESERVED - 1];

	platform = (struct platform){ 0 };
	for (u64 i = 0; i < PLATFORM_RESERVED; i++)
		platform_reserve(&platform, (struct range){ (100 + i) * MIB, 1 });
	assert_int_equal(fake_log_count(), 0);
	platform_reserve(&platform, (struct range){ 10 * MIB, MIB });
	platform_reserve(&platform, (struct range){ 90 * MIB, 50 * MIB });
	assert_int_equal(last->base, 10 * MIB);
	assert_int_equal(last->bytes, 130 * MIB);
	assert_int_equal(fake_log_count(), 1);
	assert_true(fake_log_has("expected at most 24 reserved ranges; memory between the others"));
	platform_reserve(&platform, (struct range){ MIB, UINT64_MAX });
	assert_int_equal(last->base, MIB);
	assert_int_equal(last->base + last->bytes, 0);
	platform_reserve(&platform, (struct range){ 0, UINT64_MAX });
	assert_int_equal(last->bytes, UINT64_MAX);
}

TEST(virt_with_gicv3_has_redistributors_two_banks_and_a_64_bit_initrd)
{
	assert_true(read_tree(tree_load("virt-gicv3")));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(platform.gic.version, 3);
	assert_int_equal(platform.gic.redistributors.raw, 0x80a0000);
	assert_int_equal(platform.gic.redistributors_bytes, 0xf60000);
	assert_int_equal(platform.bank_count, 2);
	assert_int_equal(platform.bank[1].base, 0x8800000000);
	assert_int_equal(platform.bank[1].bytes, 0x100000000);
	assert_int_equal(platform.system_image.base, 0x48000000);
	assert_int_equal(platform.system_image.bytes, 0x100000010);
}

TEST(stdout_path_by_alias_with_a_baud_rate_finds_the_second_pl011)
{
	assert_true(read_tree(tree_load("virt-gicv3")));
	assert_int_equal(platform.uart.base.raw, 0x9000000);
	assert_int_equal(platform.uart.intid, 33);
}

TEST(pi4_addresses_are_translated_by_ranges)
{
	assert_true(read_tree(tree_load("pi4")));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(platform.gic.version, 2);
	assert_int_equal(platform.gic.distributor.raw, 0xff841000);
	assert_int_equal(platform.gic.virtual_interface.raw, 0xff846000);
	assert_int_equal(platform.gic.virtual_interface_bytes, 0x2000);
	assert_int_equal(platform.uart.base.raw, 0xfe215040);
	assert_int_equal(platform.uart.intid, 125);
	assert_string_equal(platform.uart_compatible, "brcm,bcm2835-aux-uart");
	assert_int_equal(platform.virtual_timer_intid, 27);
	assert_int_equal(platform.reserved[0].bytes, 0x1000);
	assert_int_equal(platform.bank_count, 2);
	assert_int_equal(platform.bank[0].bytes, 0x3b400000);
	assert_int_equal(platform.bank[1].base, 0x40000000);
}

TEST(pi4_cores_are_released_by_spin_table)
{
	assert_true(read_tree(tree_load("pi4")));
	assert_false(platform.psci);
	assert_int_equal(platform.cpu_count, 3);
	assert_false(platform.cpu[2].psci);
	assert_int_equal(platform.cpu[2].release, 0xe8);
}

/* Both controllers, in the order of their addresses; of the two only emmc2 is the firmware's. */
TEST(pi4_card_controllers_are_found)
{
	assert_true(read_tree(tree_load("pi4")));
	assert_int_equal(platform.sdhci_count, 2);
	assert_int_equal(platform.sdhci[0].device.base.raw, 0xfe300000);
	assert_int_equal(platform.sdhci[1].device.base.raw, 0xfe340000);
	assert_int_equal(platform.sdhci[1].device.intid, 158);
	assert_false(platform.sdhci[0].emmc2 || platform.sdhci[0].removable);
	assert_true(platform.sdhci[1].emmc2 && !platform.sdhci[1].removable);
	assert_int_equal(platform.mailbox.base.raw, 0xfe00b880);
}

static void check_dma(const struct dma_range *dma, u64 pa, u64 bus, u64 bytes)
{
	assert_int_equal(dma->bytes, bytes);
	if (!bytes)
		return;
	assert_int_equal(dma->pa, pa);
	assert_int_equal(dma->bus, bus);
}

TEST(pi4_devices_reach_the_first_gib)
{
	assert_true(read_tree(tree_load("pi4")));
	check_dma(&platform.sdhci[0].dma, 0, 0xc0000000, 0x40000000);
	check_dma(&platform.sdhci[1].dma, 0, 0xc0000000, 0x40000000);
	check_dma(&platform.mailbox_dma, 0, 0xc0000000, 0x40000000);
}

/* As later boards have it, and as a tree may say it. */
TEST(dma_reaches_what_the_bus_says)
{
	static const struct {
		u32 cells[6], count;
		u64 pa, bus, bytes;
	} rows[] = {
		{ { 0, 0, 0, 0, 0xfc000000 }, 5, 0, 0, 0xfc000000 },
		{ { 0, 0x80000000, 1, 0x40000000, 0x1000 }, 5, 0x140000000, 0x80000000, 0x1000 },
		{ { 1, 0, 0, 0, 0x1000 }, 5, 0, 0x100000000, 0x1000 },
		{ { 0 }, 0, 0, 0, 0 },
		{ { 0, 0, 0, 0x1000 }, 4, 0, 0, 0 },
	};
	void *tree;

	for (u32 i = 0; i < ARRAY_SIZE(rows); i++) {
		fdt32_t value[6];

		tree = tree_load("pi4");
		for (u32 cell = 0; cell < rows[i].count; cell++)
			value[cell] = cpu_to_fdt32(rows[i].cells[cell]);
		tree_set(tree, "/emmc2bus", "dma-ranges", value, (int)rows[i].count * 4);
		assert_true(read_tree(tree));
		check_dma(&platform.sdhci[1].dma, rows[i].pa, rows[i].bus, rows[i].bytes);
		tree_free();
	}
	tree = tree_load("pi4");
	fdt_delprop(tree, tree_node(tree, "/emmc2bus"), "dma-ranges");
	tree_set(tree, "/emmc2bus/mmc@7e340000", "dma-coherent", 0, 0);
	assert_true(read_tree(tree));
	check_dma(&platform.sdhci[1].dma, 0, 0, 0);
	assert_true(platform.sdhci[1].dma.coherent && !platform.sdhci[0].dma.coherent);
}

/* A bus in between may translate too; on the root there is none. */
TEST(dma_through_other_buses_is_not_known)
{
	static const fdt32_t row[6] = { 0, 0, 0, 0, -1u, -1u };
	void *tree = tree_load("pi4");
	int node = fdt_add_subnode(tree, tree_node(tree, "/emmc2bus"), "bus");

	fdt_setprop_u32(tree, node, "#address-cells", 2);
	fdt_setprop_u32(tree, node, "#size-cells", 1);
	fdt_setprop_empty(tree, node, "ranges");
	fdt_setprop(tree, node, "dma-ranges", row, sizeof(row));
	node = fdt_add_subnode(tree, node, "mailbox");
	fdt_setprop_string(tree, node, "compatible", "brcm,bcm2835-mbox");
	fdt_setprop_u64(tree, node, "reg", 0x7e000000);
	fdt_appendprop_u32(tree, node, "reg", 0x40);
	fdt_del_node(tree, tree_node(tree, "/soc/mailbox@7e00b880"));
	assert_true(read_tree(tree));
	assert_int_equal(platform.mailbox.base.raw, 0xfe000000);
	check_dma(&platform.mailbox_dma, 0, 0, 0);

	fdt_del_node(tree, tree_node(tree, "/emmc2bus/bus/mailbox"));
	fdt_setprop(tree, 0, "dma-ranges", row, sizeof(row));
	node = fdt_add_subnode(tree, 0, "mailbox");
	fdt_setprop_string(tree, node, "compatible", "brcm,bcm2835-mbox");
	fdt_setprop_u64(tree, node, "reg", 0xfe000000);
	fdt_appendprop_u32(tree, node, "reg", 0x40);
	assert_true(read_tree(tree));
	assert_int_equal(platform.mailbox.bytes, 0x40);
	check_dma(&platform.mailbox_dma, 0, 0, 0);
}

/* Of the two names of a card's controller, neither is looked for in a node that is off. */
TEST(card_controller_that_is_off_is_left_alone)
{
	void *tree = tree_load("pi4");

	tree_set(tree, "/emmc2bus/mmc@7e340000", "status", "disabled", 9);
	tree_set(tree, "/soc/mailbox@7e00b880", "status", "disabled", 9);
	assert_true(read_tree(tree));
	assert_int_equal(platform.sdhci_count, 1);
	assert_int_equal(platform.mailbox.bytes, 0);
	assert_int_equal(platform.mailbox_dma.bytes, 0);
}

TEST(boot_core_is_core_0_wherever_its_node_stands)
{
	u64 bytes;

	assert_true(
		platform_read(tree_exact(tree_load("virt-gicv2"), &bytes), 0x80000100, &platform));
	assert_int_equal(platform.cpu_count, 3);
	assert_int_equal(platform.cpu[0].mpidr, 0x100);
	assert_int_equal(platform.cpu[1].mpidr, 0);
	assert_int_equal(platform.cpu[2].mpidr, 1);
}

TEST(boot_core_without_a_node_is_still_core_0)
{
	u64 bytes;

	assert_true(
		platform_read(tree_exact(tree_load("virt-gicv2"), &bytes), 0x80000007, &platform));
	assert_int_equal(platform.cpu_count, 4);
	assert_int_equal(platform.cpu[0].mpidr, 7);
	assert_true(fake_log_has("tree: /cpus: expected a cpu node"));
}

TEST(more_cores_than_there_is_room_for_stay_off)
{
	void *tree = tree_load("virt-gicv2");
	char name[16] = "cpu@1a";
	u64 bytes;

	for (u32 i = 0; i < 8; i++) {
		int node;

		name[5] = (char)('a' + i);
		node = fdt_add_subnode(tree, tree_node(tree, "/cpus"), name);
		assert_true(node > 0);
		fdt_setprop_string(tree, node, "device_type", "cpu");
		fdt_setprop_string(tree, node, "enable-method", "psci");
		fdt_setprop_u32(tree, node, "reg", 0x200 + i);
	}
	/* The boot core comes last and has its place. */
	assert_true(platform_read(tree_exact(tree, &bytes), 0x80000100, &platform));
	assert_int_equal(platform.cpu_count, MAX_PCPUS);
	assert_int_equal(platform.cpu[0].mpidr, 0x100);
	assert_true(fake_log_has("one core too many"));
}

TEST(first_pl011_is_taken_when_nothing_is_chosen)
{
	void *tree = tree_load("pi4");

	fdt_delprop(tree, tree_node(tree, "/chosen"), "stdout-path");
	assert_true(read_tree(tree));
	assert_int_equal(platform.uart.base.raw, 0xfe201000);
	assert_int_equal(platform.uart.intid, 153);
}

TEST(stdout_path_without_unit_address_finds_the_node)
{
	void *tree = tree_load("pi4");

	tree_set(tree, "/chosen", "stdout-path", "/soc/serial", 12);
	assert_true(read_tree(tree));
	assert_int_equal(platform.uart.base.raw, 0xfe201000);
}

TEST(stdout_path_that_leads_nowhere_is_said_and_the_first_pl011_taken)
{
	void *tree = tree_load("virt-gicv2");

	tree_set(tree, "/chosen", "stdout-path", "/nothing", 9);
	assert_true(read_tree(tree));
	assert_true(fake_log_has("tree: /chosen: stdout-path: there is no such node"));
	assert_int_equal(platform.uart.base.raw, 0x9000000);
	tree = tree_load("virt-gicv2");
	tree_set(tree, "/chosen", "stdout-path", "serial7", 8);
	assert_true(read_tree(tree));
	assert_true(fake_log_has("tree: /chosen: stdout-path: expected a path or an alias"));
	assert_int_equal(platform.uart.base.raw, 0x9000000);
}

TEST(machine_without_uart_is_usable)
{
	void *tree = tree_load("virt-gicv2");

	fdt_del_node(tree, tree_node(tree, "/pl011@9000000"));
	fdt_delprop(tree, tree_node(tree, "/chosen"), "stdout-path");
	assert_true(read_tree(tree));
	assert_int_equal(platform.uart.bytes, 0);
}

TEST(memory_and_devices_of_the_secure_world_are_left_out)
{
	void *tree = tree_load("virt-gicv2");
	int node = fdt_add_subnode(tree, 0, "secram@e000000");

	assert_true(node > 0);
	fdt_setprop_string(tree, node, "device_type", "memory");
	fdt_setprop_string(tree, node, "status", "disabled");
	fdt_setprop_u64(tree, node, "reg", 0xe000000);
	fdt_appendprop_u64(tree, node, "reg", 0x1000000);
	tree_set(tree, "/pl011@9000000", "status", "disabled", 9);
	fdt_delprop(tree, tree_node(tree, "/chosen"), "stdout-path");
	assert_true(read_tree(tree));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(platform.bank_count, 1);
	assert_int_equal(platform.bank[0].base, 0x40000000);
	assert_int_equal(platform.uart.bytes, 0);
}

TEST(timer_may_tell_its_frequency)
{
	void *tree = tree_load("pi4");

	assert_true(read_tree(tree));
	assert_int_equal(platform.timer_hz, 0);
	fdt_setprop_u32(tree, tree_node(tree, "/timer"), "clock-frequency", 54000000);
	assert_true(read_tree(tree));
	assert_int_equal(platform.timer_hz, 54000000);
}

/* As firmware writes it for 8 GiB: sizes have one cell, so what lies above 4 GiB is two ranges. */
TEST(pi4_with_8_gib_has_all_its_banks)
{
	static const u8 reg[] = {
		0, 0, 0, 0, 0,	  0, 0, 0, 0x3b, 0x40, 0, 0, /* up to the GPU's memory */
		0, 0, 0, 0, 0x40, 0, 0, 0, 0xbc, 0,    0, 0, /* up to the devices */
		0, 0, 0, 1, 0,	  0, 0, 0, 0x80, 0,    0, 0, /* above 4 GiB */
		0, 0, 0, 1, 0x80, 0, 0, 0, 0x80, 0,    0, 0,
	};
	void *tree = tree_load("pi4");

	tree_set(tree, "/memory@0", "reg", reg, sizeof(reg));
	assert_true(read_tree(tree));
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(platform.bank_count, 4);
	assert_int_equal(platform.bank[0].base + platform.bank[0].bytes, 0x3b400000);
	assert_int_equal(platform.bank[1].base + platform.bank[1].bytes, 0xfc000000);
	assert_int_equal(platform.bank[2].base, 0x100000000);
	assert_int_equal(platform.bank[3].base + platform.bank[3].bytes, 0x200000000);
}

/* What TF-A makes of the tree: PSCI in place of the spin table, its own memory kept. */
TEST(pi4_cores_start_by_psci_if_the_tree_says_so)
{
	void *tree = tree_load("pi4");
	char path[] = "/cpus/cpu@0";
	int node;

	for (u32 i = 0; i < 3; i++) {
		path[10] = (char)('0' + i);
		tree_set(tree, path, "enable-method", "psci", 5);
	}
	node = fdt_add_subnode(tree, 0, "psci");
	fdt_setprop(tree, node, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci", 35);
	fdt_setprop_string(tree, node, "method", "smc");
	assert_true(read_tree(tree));
	assert_int_equal(fake_log_count(), 0);
	assert_true(platform.psci);
	assert_int_equal(platform.cpu_count, 3);
	assert_true(platform.cpu[0].psci && platform.cpu[1].psci && platform.cpu[2].psci);
	/* Each core by its own word. */
	tree_set(tree, "/cpus/cpu@1", "enable-method", "spin-table", 11);
	assert_true(read_tree(tree));
	assert_false(platform.cpu[1].psci);
	assert_int_equal(platform.cpu[1].release, 0xe0);
	assert_true(platform.cpu[2].psci);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, virt_with_gicv2_is_read_whole_and_silently),
		RUN_AFTER(prepare, virtio_devices_are_sorted_by_address_and_disabled_ones_left_out),
		RUN_AFTER(prepare, reserved_memory_reserve_map_and_image_are_kept),
		RUN_AFTER(prepare, more_reserved_ranges_than_there_is_room_for_are_kept_together),
		RUN_AFTER(prepare,
			  virt_with_gicv3_has_redistributors_two_banks_and_a_64_bit_initrd),
		RUN_AFTER(prepare, stdout_path_by_alias_with_a_baud_rate_finds_the_second_pl011),
		RUN_AFTER(prepare, pi4_addresses_are_translated_by_ranges),
		RUN_AFTER(prepare, pi4_cores_are_released_by_spin_table),
		RUN_AFTER(prepare, pi4_card_controllers_are_found),
		RUN_AFTER(prepare, pi4_devices_reach_the_first_gib),
		RUN_AFTER(prepare, dma_reaches_what_the_bus_says),
		RUN_AFTER(prepare, dma_through_other_buses_is_not_known),
		RUN_AFTER(prepare, card_controller_that_is_off_is_left_alone),
		RUN_AFTER(prepare, boot_core_is_core_0_wherever_its_node_stands),
		RUN_AFTER(prepare, boot_core_without_a_node_is_still_core_0),
		RUN_AFTER(prepare, more_cores_than_there_is_room_for_stay_off),
		RUN_AFTER(prepare, first_pl011_is_taken_when_nothing_is_chosen),
		RUN_AFTER(prepare, stdout_path_without_unit_address_finds_the_node),
		RUN_AFTER(prepare,
			  stdout_path_that_leads_nowhere_is_said_and_the_first_pl011_taken),
		RUN_AFTER(prepare, machine_without_uart_is_usable),
		RUN_AFTER(prepare, memory_and_devices_of_the_secure_world_are_left_out),
		RUN_AFTER(prepare, timer_may_tell_its_frequency),
		RUN_AFTER(prepare, pi4_with_8_gib_has_all_its_banks),
		RUN_AFTER(prepare, pi4_cores_start_by_psci_if_the_tree_says_so),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
