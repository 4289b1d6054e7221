/*
 * The machine's own device tree, damaged or wrong: what discovery makes of it, and the memory that is then
 * handed out: it lies in the banks, and neither in what is reserved nor in anything else that was handed out.
 *
 * Sources: core/platform.c core/tree_walk.c core/base/log.c
 * Sources: tests/fuzz/tree_input.c tests/host/fake/panic.c
 */
#include <libfdt.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"
#include "tree_input.h"
#include "core/base/log.h"
#include "core/memory.c" /* NOLINT: to begin anew for each input */

#define BOOT_MPIDR 0x80000000ul
#define IMAGE	   0x40200000ul
#define IMAGE_SIZE (512 * KIB)
#define PIECES	   16u

const char *const tree_words[] = {
	"compatible",
	"reg",
	"interrupts",
	"interrupt-parent",
	"interrupt-controller",
	"#interrupt-cells",
	"#address-cells",
	"#size-cells",
	"ranges",
	"status",
	"disabled",
	"okay",
	"device_type",
	"memory",
	"cpu",
	"cpus",
	"cpu@0",
	"enable-method",
	"psci",
	"spin-table",
	"cpu-release-addr",
	"method",
	"smc",
	"hvc",
	"chosen",
	"stdout-path",
	"linux,initrd-start",
	"linux,initrd-end",
	"aliases",
	"serial0",
	"reserved-memory",
	"no-map",
	"phandle",
	"arm,pl011",
	"arm,gic-400",
	"arm,cortex-a15-gic",
	"arm,gic-v3",
	"arm,armv8-timer",
	"arm,psci-1.0",
	"virtio,mmio",
	"dma-coherent",
	"memory@40000000",
	"timer",
	"intc",
	"/pl011@9000000",
	"brcm,bcm2835-aux-uart",
	"#redistributor-regions",
	"redistributor-stride",
	"",
	0,
};

static struct platform platform;

pa_t mmu_image_pa(void)
{
	return PA(IMAGE);
}

u64 mmu_image_bytes(void)
{
	return IMAGE_SIZE;
}

void mmu_heap_start(pa_t start)
{
	(void)start;
}

void *mmu_heap_grow(void)
{
	abort();
}

pa_t mmu_heap_pa(const void *in_heap)
{
	(void)in_heap;
	abort();
}

static bool meet(struct range a, struct range b)
{
	return a.bytes && b.bytes && a.base < b.base + b.bytes && b.base < a.base + a.bytes;
}

static bool in_a_bank(struct range piece)
{
	for (u32 i = 0; i < platform.bank_count; i++) {
		struct range bank = platform.bank[i];

		/* Banks that touch may be one. */
		if (piece.base >= bank.base && piece.base - bank.base < bank.bytes)
			return true;
	}
	return false;
}

static void check_piece(const struct range *pieces, u32 index)
{
	struct range piece = pieces[index];

	assert_true(piece.base + piece.bytes > piece.base);
	assert_true(in_a_bank(piece));
	assert_true(in_a_bank((struct range){ piece.base + piece.bytes - 1, 1 }));
	assert_false(meet(piece, (struct range){ IMAGE, IMAGE_SIZE }));
	for (u32 i = 0; i < platform.reserved_count; i++)
		assert_false(meet(piece, platform.reserved[i]));
	for (u32 i = 0; i < index; i++)
		assert_false(meet(piece, pieces[i]));
}

static void hand_out(void)
{
	static const u64 sizes[] = { PAGE_SIZE, 2 * MIB, 64 * MIB, 3 * MIB + PAGE_SIZE };
	struct range pieces[PIECES];
	pa_t pa;

	range_count = 0;
	heap_range = 0;
	heap_used = heap_goal = 0;
	memset(rests, 0, sizeof(rests));
	sealed = false;
	if (!memory_init(&platform))
		return;
	for (u32 i = 0; i < PIECES; i++) {
		if (!memory_take_ram(sizes[i % ARRAY_SIZE(sizes)], 0, &pa))
			return;
		pieces[i] = (struct range){ pa.raw, sizes[i % ARRAY_SIZE(sizes)] };
		check_piece(pieces, i);
	}
}

static void check_platform(void)
{
	assert_true(platform.cpu_count && platform.cpu_count <= MAX_PCPUS);
	assert_true(platform.bank_count && platform.bank_count <= PLATFORM_BANKS);
	assert_true(platform.reserved_count <= PLATFORM_RESERVED);
	assert_true(platform.virtio_mmio_count <= PLATFORM_VIRTIO);
	assert_true(platform.gic.version == 2 || platform.gic.version == 3);
	assert_true(platform.uart_compatible_bytes <= sizeof(platform.uart_compatible));
	for (u32 i = 1; i < platform.virtio_mmio_count; i++)
		assert_true(platform.virtio_mmio[i - 1].base.raw <=
			    platform.virtio_mmio[i].base.raw);
	hand_out();
}

static void drop_line(const char *line, size_t length)
{
	assert_int_equal(strlen(line), length);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes);

/* Who boots us says where the tree is, not how long: the header does, and firmware is believed. */
int LLVMFuzzerTestOneInput(const u8 *data, size_t bytes)
{
	log_set_sink(drop_line);
	if (bytes < sizeof(struct fdt_header) || fdt_totalsize(data) > bytes)
		return 0;
	if (platform_read(data, BOOT_MPIDR, &platform))
		check_platform();
	return 0;
}
