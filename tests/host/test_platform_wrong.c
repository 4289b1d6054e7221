/*
 * Device trees of the machine that lack something, are wrong or damaged: what is said, and what is found all the same.
 *
 * Sources: core/platform.c core/tree_walk.c core/base/log.c tests/host/fake/log.c
 * Sources: tests/host/fake/panic.c tests/host/fake/tree.c
 */
#include <libfdt.h>
#include <string.h>
#include "platform_tree.h"

TEST(machine_without_gic_memory_or_timer_is_refused)
{
	static const struct {
		const char *path, *line;
	} needed[] = {
		{ "/memory@40000000", "tree: /: expected a memory node that is not empty" },
		{ "/intc@8000000", "tree: /: expected an interrupt controller" },
		{ "/timer", "tree: timer: interrupts: expected" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(needed); i++) {
		void *tree = tree_load("virt-gicv2");

		fake_log_reset();
		fdt_del_node(tree, tree_node(tree, needed[i].path));
		assert_false(read_tree(tree));
		assert_int_equal(fake_log_count(), 1);
		assert_true(fake_log_has(needed[i].line));
	}
}

TEST(malformed_property_is_one_line_with_node_property_and_expectation)
{
	static const struct {
		const char *path, *property, *value;
		int bytes;
		bool usable;
		const char *line;
	} bad[] = {
		{ "/cpus/cpu@1", "reg", "abc", 3, true,
		  "tree: /cpus/cpu@1: reg: expected the core's MPIDR" },
		{ "/cpus/cpu@1", "enable-method", "magic", 6, true,
		  "tree: /cpus/cpu@1: enable-method: expected psci or spin-table" },
		{ "/cpus/cpu@1", "enable-method", "spin-table", 11, true,
		  "tree: /cpus/cpu@1: cpu-release-addr: expected an address" },
		{ "/memory@40000000", "reg", "abcd", 4, false,
		  "tree: /memory@40000000: reg: expected address and size" },
		{ "/memory@40000000", "reg", "\0\0\0\0\0\0\20\0\377\377\377\377\377\377\377\377",
		  16, false, "tree: /memory@40000000: reg: reaches beyond the last address" },
		{ "/memory@40000000", "reg", "\0\1\0\0\0\0\20\0\0\0\0\0\0\0\20\0", 16, false,
		  "tree: /memory@40000000: reg: expected address and size" },
		{ "/intc@8000000", "reg", "\0\0\0\0\10\0\0\0\0\0\0\0\0\1\0\0", 16, false,
		  "tree: /intc@8000000: reg: expected the CPU interface" },
		{ "/intc@8000000", "interrupts", "abcd", 4, true,
		  "tree: /intc@8000000: interrupts: expected the maintenance interrupt" },
		{ "/timer", "interrupts", "\0\0\0\1\0\0\0\15\0\0\0\4", 12, false,
		  "tree: timer: interrupts: expected" },
		{ "/psci", "method", "hvc", 4, true, "tree: /psci: method: expected smc" },
		{ "/pl011@9000000", "reg", "", 0, true,
		  "tree: /pl011@9000000: reg: expected an address" },
		{ "/virtio_mmio@a000000", "interrupts", "\0\0\0\2\0\0\0\0\0\0\0\4", 12, true,
		  "tree: /virtio_mmio@a000000: interrupts: expected a GIC specifier" },
		{ "/chosen", "linux,initrd-end", "abc", 3, true,
		  "tree: /chosen: linux,initrd-start: expected it and linux,initrd-end" },
		{ "/chosen", "linux,initrd-end", "\0\0\0\0", 4, true,
		  "tree: /chosen: linux,initrd-end: expected an address above" },
	};

	for (u32 i = 0; i < ARRAY_SIZE(bad); i++) {
		void *tree = tree_load("virt-gicv2");

		fake_log_reset();
		tree_set(tree, bad[i].path, bad[i].property, bad[i].value, bad[i].bytes);
		assert_int_equal(read_tree(tree), bad[i].usable);
		assert_true(fake_log_count() >= 1);
		if (!strstr(fake_log_text(0), bad[i].line))
			fail_msg("expected '%s', got '%s'", bad[i].line, fake_log_text(0));
	}
}

TEST(bus_without_ranges_hides_its_devices)
{
	void *tree = tree_load("pi4");

	fdt_delprop(tree, tree_node(tree, "/soc"), "ranges");
	assert_false(read_tree(tree));
	assert_true(fake_log_has("tree: /soc/interrupt-controller@40041000: reg: expected"));
}

TEST(ranges_without_cells_do_not_hang)
{
	void *tree = tree_load("pi4");
	int node;

	fdt_setprop_u32(tree, 0, "#address-cells", 0);
	fdt_setprop_u32(tree, tree_node(tree, "/soc"), "#address-cells", 0);
	fdt_setprop_u32(tree, tree_node(tree, "/soc"), "#size-cells", 0);
	node = fdt_add_subnode(tree, tree_node(tree, "/soc"), "bus");
	fdt_setprop_u32(tree, node, "#address-cells", 1);
	fdt_setprop_u32(tree, node, "#size-cells", 1);
	fdt_setprop_empty(tree, node, "ranges");
	node = fdt_add_subnode(tree, node, "virtio");
	fdt_setprop_string(tree, node, "compatible", "virtio,mmio");
	fdt_setprop_u64(tree, node, "reg", 0x100000100);
	assert_false(read_tree(tree));
	assert_true(fake_log_has("tree: /soc/bus/virtio: reg: expected"));
}

TEST(structure_that_is_cut_is_said_and_the_uart_before_it_found)
{
	void *tree = tree_load("virt-gicv2");
	u64 bytes;
	u8 *exact;
	int node, next;

	fdt_delprop(tree, tree_node(tree, "/chosen"), "stdout-path");
	exact = tree_exact(tree, &bytes);
	/* What stands behind the UART's node is no token any more. */
	node = tree_node(exact, "/pl011@9000000");
	for (next = node; fdt_next_tag(exact, next, &node) != FDT_END_NODE; next = node)
		;
	exact[fdt_off_dt_struct(exact) + (u32)node + 3] = 7;
	assert_false(platform_read(exact, BOOT_MPIDR, &platform));
	assert_true(fake_log_has("expected a whole tree, but it is damaged behind this node"));
	assert_int_equal(fake_log_count(), 1);
	assert_int_equal(platform.uart.base.raw, 0x9000000);
}

TEST(no_tree_at_all_is_said)
{
	static u64 memory[64];

	assert_false(platform_read(memory, BOOT_MPIDR, &platform));
	assert_true(fake_log_has("tree: expected a device tree at the address in x0"));
}

TEST(damaged_tree_never_crashes)
{
	u32 accepted = 0;
	u64 bytes, state_of_random = 1;
	u8 *pristine = tree_exact(tree_load("pi4"), &bytes), original[8192];

	assert_true(bytes <= sizeof(original));
	memcpy(original, pristine, bytes);
	for (u32 round = 0; round < 5000; round++) {
		memcpy(pristine, original, bytes);
		for (u32 hit = 0; hit < 1 + round % 4; hit++) {
			state_of_random =
				state_of_random * 6364136223846793005ul + 1442695040888963407ul;
			/* The magic and the total size say how much there is: the loader's word. */
			pristine[8 + (state_of_random >> 33) % (bytes - 8)] ^=
				(u8)(1u << (state_of_random >> 20) % 8);
		}
		accepted += platform_read(pristine, BOOT_MPIDR, &platform);
	}
	assert_true(accepted > 500); /* enough got past the first look */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, machine_without_gic_memory_or_timer_is_refused),
		RUN_AFTER(prepare,
			  malformed_property_is_one_line_with_node_property_and_expectation),
		RUN_AFTER(prepare, bus_without_ranges_hides_its_devices),
		RUN_AFTER(prepare, ranges_without_cells_do_not_hang),
		RUN_AFTER(prepare, structure_that_is_cut_is_said_and_the_uart_before_it_found),
		RUN_AFTER(prepare, no_tree_at_all_is_said),
		RUN_AFTER(prepare, damaged_tree_never_crashes),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
