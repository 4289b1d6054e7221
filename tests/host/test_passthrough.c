/*
 * Passthrough: which devices of tests/host/trees/devices.dts a VM is given, what is said of the
 * others, and what of them a VM has in which part of its life.
 *
 * Sources: core/passthrough.c core/tree_walk.c core/platform.c core/base/log.c
 * Sources: tests/host/fake/log.c tests/host/fake/panic.c tests/host/fake/tree.c
 * Sources: tests/host/fake/heap.c tests/host/fake/stage2.c
 */
#include <libfdt.h>
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "core/fault.h"
#include "core/irq.h"
#include "core/passthrough.h"

#define RTC   0x9010000ul
#define TIMER 0xfe003000ul

static const void *tree;
static struct platform platform;
static struct manifest_vm vms[2];
static struct manifest manifest = { .vm = vms, .vm_count = 2 };
static struct vm machine;
static const char *place; /* what the VM has at each address; 0: nothing */

const char *fault_place(const struct vm *vm, u64 base, u64 bytes)
{
	assert_ptr_equal(vm, &machine);
	assert_true(base % PAGE_SIZE == 0 && bytes % PAGE_SIZE == 0 && bytes);
	return place;
}

/* By INTID: whose it is at boot, and whether it has it now. */
static struct {
	const struct vm *vm;
	bool edge, given;
} lines[320];

void irq_pass(u32 intid, struct vm *vm, bool edge)
{
	lines[intid].vm = vm;
	lines[intid].edge = edge;
}

void vgic_hardware_set(struct vm *vm, u32 intid, bool given)
{
	assert_ptr_equal(lines[intid].vm, vm);
	assert_true(lines[intid].given != given);
	lines[intid].given = given;
}

static int prepare(void **state)
{
	u64 bytes;

	(void)state;
	fake_log_reset();
	fake_heap_reset();
	fake_stage2_reset();
	tree = tree_exact(tree_load("devices"), &bytes);
	assert_true(platform_read(tree, 0x80000000, &platform));
	assert_int_equal(fake_log_count(), 0);
	memset(vms, 0, sizeof(vms));
	vms[0].name = "first";
	vms[1].name = "second";
	memset(&machine, 0, sizeof(machine));
	memset(lines, 0, sizeof(lines));
	machine.config = &vms[0];
	place = 0;
	return 0;
}

static int clean(void **state)
{
	(void)state;
	fake_heap_reset();
	fake_stage2_reset();
	tree_free();
	return 0;
}

static void give(u32 vm, const char *paths, u32 paths_count)
{
	vms[vm].devices = paths;
	vms[vm].device_count = paths_count;
}

static void find(void)
{
	passthrough_find(tree, &platform, &manifest);
}

/* The device is refused by exactly this line. */
static void refused(const char *path, const char *why)
{
	char line[300];

	prepare(0);
	give(0, path, 1);
	find();
	snprintf(line, sizeof(line), "manifest: /vms/first: devices: %s %s; name another", path,
		 why);
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), line);
	assert_true(vms[0].refused);
	assert_false(vms[1].refused);
}

TEST(a_device_is_found_with_its_registers_and_interrupts)
{
	give(0, "/rtc@9010000", 1);
	give(1, "/soc/timer@7e003000", 1);
	find();
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(vms[0].passed_count, 1);
	assert_int_equal(vms[0].passed[0].frames, 1);
	assert_int_equal(vms[0].passed[0].frame[0].base, RTC);
	assert_int_equal(vms[0].passed[0].frame[0].bytes, 0x1000);
	assert_int_equal(vms[0].passed[0].interrupts, 1);
	assert_int_equal(vms[0].passed[0].intid[0], 34);
	assert_false(vms[0].passed[0].edge[0]);
	assert_int_equal(vms[1].passed_count, 1);
	assert_int_equal(vms[1].passed_frames, 1);
	assert_int_equal(vms[1].passed[0].frame[0].base, TIMER);
	assert_int_equal(vms[1].passed[0].interrupts, 4);
	assert_int_equal(vms[1].passed[0].intid[3], 99);
	assert_true(vms[1].passed[0].edge[3]);
}

TEST(several_devices_and_an_alias_are_found)
{
	give(0, "clock\0/pair@9070000", 2);
	find();
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(vms[0].passed_count, 2);
	assert_int_equal(vms[0].passed_frames, 3);
	assert_int_equal(vms[0].passed[0].frame[0].base, RTC);
	assert_int_equal(vms[0].passed[1].frame[1].base, 0x9078000);
}

TEST(without_devices_the_tree_is_left_alone)
{
	passthrough_find(0, &platform, &manifest);
	assert_int_equal(fake_heap_allocations(), 0);
}

TEST(what_is_no_node_is_refused)
{
	refused("/rtc@9010004", "is no path or alias in the machine's tree");
	refused("uart", "is no path or alias in the machine's tree");
	refused("/", "is no path or alias in the machine's tree");
}

TEST(what_is_not_there_is_refused)
{
	refused("/nothing@9060000", "is disabled");
	refused("/plain", "has no registers at an address of its own");
	refused("/cpus/cpu@0", "has no registers at an address of its own");
}

TEST(what_the_hypervisor_uses_is_refused)
{
	static const char *const own[] = {
		"/console@9000000", "/intc@8000000", "/power@9020000",
		"/disk@9030000",    "/card@9040000", "/mailbox@9270000"
	};

	for (u32 i = 0; i < ARRAY_SIZE(own); i++)
		refused(own[i], "is in use by the hypervisor");
}

TEST(registers_too_many_or_too_far_are_refused)
{
	static const char *const paths[] = { "/four@9080000", "/large@9100000", "/far@8000000000",
					     "/empty@9090000", "/memory@40000000" };

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++)
		refused(paths[i], "has more registers than 3 times 256 KiB, or beyond 512 GiB");
}

TEST(registers_in_the_page_of_others_are_refused_with_the_neighbours_names)
{
	refused("/left@9079000",
		"shares a page or an interrupt with middle@9079400, right@9079800");
	refused("/middle@9079400", "shares a page or an interrupt with what lies before it, "
				   "left@9079000, right@9079800");
	refused("/inside@907b100", "shares a page or an interrupt with what lies before it");
}

TEST(interrupts_that_cannot_be_passed_are_refused)
{
	static const char *const paths[] = { "/private@90a0000",  "/beyond@90b0000",
					     "/nine@90c0000",	  "/elsewhere@90d0000",
					     "/extended@90e0000", "/uart-line@9220000" };

	for (u32 i = 0; i < ARRAY_SIZE(paths); i++)
		refused(paths[i],
			"has more than 8 interrupts, or others than the GIC's SPIs 0 and 2 to 255");
}

TEST(an_interrupt_that_another_device_raises_is_refused_with_its_name)
{
	refused("/one-line@90f0000", "shares a page or an interrupt with same-line@9200000");
	refused("/same-line@9200000", "shares a page or an interrupt with one-line@90f0000");
}

TEST(an_interrupt_of_others_by_a_list_or_a_map_is_refused_with_their_names)
{
	refused("/map-line@9230000", "shares a page or an interrupt with bus");
	refused("/extended-line@9240000", "shares a page or an interrupt with several");
}

/* They have the same number at another controller, or are not there; nothing of Weir's is at 0. */
TEST(an_interrupt_that_only_looks_like_anothers_is_given)
{
	give(0, "/other-line@9250000\0/off-map-line@9260000\0/first-page@0", 3);
	find();
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(vms[0].passed_count, 3);
}

static bool shared_with(void *edited, const char *neighbour)
{
	u64 bytes;

	fake_log_reset();
	memset(vms, 0, sizeof(vms));
	vms[0].name = "first";
	vms[1].name = "second";
	tree = tree_exact(edited, &bytes);
	assert_true(platform_read(tree, 0x80000000, &platform));
	give(0, "/other-line@9250000", 1);
	find();
	return fake_log_has(neighbour);
}

/* What cannot be read might be its interrupt. */
TEST(a_list_that_is_cut_is_taken_for_sharing)
{
	for (u32 cells = 1; cells < 9; cells++) {
		void *edited = tree_load("devices");
		const void *value = fdt_getprop(edited, tree_node(edited, "/several"),
						"interrupts-extended", 0);
		u8 copy[40];

		memcpy(copy, value, sizeof(copy));
		assert_int_equal(fdt_setprop(edited, tree_node(edited, "/several"),
					     "interrupts-extended", copy, (int)(4 * cells)),
				 0);
		/* It ends with a row: after 4 and after 6 cells. */
		assert_int_equal(shared_with(edited, "with several"), cells != 4 && cells != 6);
	}
}

TEST(a_list_of_nobody_or_of_monstrous_numbers_is_taken_for_sharing)
{
	static const fdt32_t nobody[] = { 0x63000000, 0, 0, 0 };
	static const u32 monstrous[] = { 7, 0x7fffffff, 0xfffffffe, UINT32_MAX };
	void *edited = tree_load("devices");

	fdt_setprop(edited, tree_node(edited, "/several"), "interrupts-extended", nobody,
		    sizeof(nobody));
	assert_true(shared_with(edited, "with several"));
	for (u32 i = 0; i < ARRAY_SIZE(monstrous); i++) {
		edited = tree_load("devices");
		fdt_setprop_u32(edited, tree_node(edited, "/bus"), "#address-cells", monstrous[i]);
		assert_true(shared_with(edited, "with bus"));
		edited = tree_load("devices");
		fdt_setprop_u32(edited, tree_node(edited, "/wide-intc"), "#interrupt-cells",
				monstrous[i]);
		assert_true(shared_with(edited, "with bus, several"));
		edited = tree_load("devices");
		fdt_setprop_u32(edited, tree_node(edited, "/wide-intc"), "#address-cells",
				monstrous[i]);
		assert_true(shared_with(edited, "with bus"));
	}
}

TEST(what_may_access_memory_by_itself_is_refused)
{
	refused("/unknown@9050000", "may access memory by itself, and the VM has no dma-unsafe");
}

TEST(what_may_access_memory_is_given_to_a_vm_that_may_do_so)
{
	vms[0].dma_unsafe = true;
	give(0, "/unknown@9050000", 1);
	find();
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(vms[0].passed[0].frame[0].base, 0x9050000);
	/* But not Weir's own. */
	prepare(0);
	vms[0].dma_unsafe = true;
	give(0, "/card@9040000", 1);
	find();
	assert_true(fake_log_has("is in use by the hypervisor"));
}

TEST(a_device_is_given_once)
{
	give(0, "clock", 1);
	give(1, "/rtc@9010000", 1);
	find();
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0), "manifest: /vms/second: devices: /rtc@9010000 is "
					      "given to first; name another");
	assert_false(vms[0].refused);
	assert_true(vms[1].refused);
}

/* A VM that was refused for something else does not take what another wants. */
TEST(a_refused_vm_has_no_devices)
{
	give(0, "clock", 1);
	give(1, "clock", 1);
	vms[0].refused = true;
	find();
	assert_int_equal(fake_log_count(), 0);
	assert_int_equal(vms[1].passed_count, 1);
}

TEST(a_place_that_the_vm_has_already_is_refused)
{
	give(0, "clock", 1);
	find();
	place = "RAM";
	assert_false(passthrough_prepare(&machine));
	assert_string_equal(fake_log_text(0), "manifest: /vms/first: devices: clock has registers "
					      "where the VM has RAM; name another");
}

TEST(interrupts_are_the_vms_while_it_lives)
{
	give(0, "/soc/timer@7e003000", 1);
	find();
	stage2_init(&machine.stage2, 1, 0);
	assert_true(passthrough_prepare(&machine));
	assert_ptr_equal(lines[96].vm, &machine);
	assert_false(lines[98].edge);
	assert_true(lines[99].edge);
	assert_null(lines[100].vm);
	for (u32 life = 0; life < 3; life++) {
		assert_false(lines[96].given || lines[99].given);
		passthrough_step(&machine, true);
		assert_true(lines[96].given && lines[97].given && lines[98].given &&
			    lines[99].given);
		passthrough_step(&machine, false);
	}
}

TEST(registers_are_the_vms_while_it_lives)
{
	give(0, "clock\0/pair@9070000", 2);
	find();
	stage2_init(&machine.stage2, 1, 0);
	assert_true(passthrough_prepare(&machine));
	assert_int_equal(fake_stage2_pages(&machine.stage2), 0);
	for (u32 life = 0; life < 3; life++) {
		assert_true(passthrough_step(&machine, true));
		assert_true(passthrough_step(&machine, true));
		assert_false(passthrough_step(&machine, true));
		assert_int_equal(fake_stage2_pages(&machine.stage2), 3);
		assert_int_equal(fake_stage2_kind(&machine.stage2, RTC), STAGE2_DEVICE);
		assert_int_equal(fake_stage2_pa(&machine.stage2, RTC), RTC);
		assert_int_equal(fake_stage2_kind(&machine.stage2, 0x9078000), STAGE2_DEVICE);
		assert_true(passthrough_step(&machine, false));
		assert_true(passthrough_step(&machine, false));
		assert_false(passthrough_step(&machine, false));
		assert_int_equal(fake_stage2_pages(&machine.stage2), 0);
	}
}

/* It dies while it is being built. */
TEST(what_was_not_given_is_not_taken)
{
	give(0, "clock\0/pair@9070000", 2);
	find();
	stage2_init(&machine.stage2, 1, 0);
	assert_true(passthrough_prepare(&machine));
	assert_true(passthrough_step(&machine, true));
	assert_true(passthrough_step(&machine, false));
	assert_false(passthrough_step(&machine, false));
	assert_int_equal(fake_stage2_pages(&machine.stage2), 0);
}

TEST(the_bytes_of_a_tree_are_those_that_it_uses)
{
	u64 bytes;
	void *padded = tree_load("devices");
	const void *exact = tree_exact(padded, &bytes);

	assert_true(fdt_totalsize(padded) > bytes);
	assert_int_equal(passthrough_tree_bytes(exact), bytes);
	assert_true(passthrough_tree_bytes(padded) <= bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, a_device_is_found_with_its_registers_and_interrupts),
		RUN_AFTER(prepare, several_devices_and_an_alias_are_found),
		RUN_AFTER(prepare, without_devices_the_tree_is_left_alone),
		RUN(what_is_no_node_is_refused),
		RUN(what_is_not_there_is_refused),
		RUN(what_the_hypervisor_uses_is_refused),
		RUN(registers_too_many_or_too_far_are_refused),
		RUN(registers_in_the_page_of_others_are_refused_with_the_neighbours_names),
		RUN(interrupts_that_cannot_be_passed_are_refused),
		RUN(an_interrupt_that_another_device_raises_is_refused_with_its_name),
		RUN(an_interrupt_of_others_by_a_list_or_a_map_is_refused_with_their_names),
		RUN_AFTER(prepare, an_interrupt_that_only_looks_like_anothers_is_given),
		RUN_AFTER(prepare, a_list_that_is_cut_is_taken_for_sharing),
		RUN_AFTER(prepare, a_list_of_nobody_or_of_monstrous_numbers_is_taken_for_sharing),
		RUN(what_may_access_memory_by_itself_is_refused),
		RUN_AFTER(prepare, what_may_access_memory_is_given_to_a_vm_that_may_do_so),
		RUN_AFTER(prepare, a_device_is_given_once),
		RUN_AFTER(prepare, a_refused_vm_has_no_devices),
		RUN_AFTER(prepare, a_place_that_the_vm_has_already_is_refused),
		RUN_AFTER(prepare, interrupts_are_the_vms_while_it_lives),
		RUN_AFTER(prepare, registers_are_the_vms_while_it_lives),
		RUN_AFTER(prepare, what_was_not_given_is_not_taken),
		RUN_AFTER(prepare, the_bytes_of_a_tree_are_those_that_it_uses),
	};

	return cmocka_run_group_tests(tests, 0, clean);
}
