/* A system image in tests (manifest_image.h). */
#include "manifest_image.h"

#include <libfdt.h>
#include "arch/arm64/cpu.h"
#include "core/partition.h"
#include "drivers/gic.h"

struct manifest manifest;
u32 gic = 3;
u64 page_sizes;

u32 gic_version(void)
{
	return gic;
}

u64 cpu_id_register(u32 number, bool pmu)
{
	assert_int_equal(number, 7 << 3);
	assert_false(pmu);
	return page_sizes;
}

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

bool read_image(const void *tree)
{
	u64 bytes;
	const void *image = tree_exact(tree, &bytes);

	return manifest_read(image, bytes, CORES, &manifest);
}

void set_number(void *tree, const char *path, const char *property, u32 value)
{
	assert_int_equal(fdt_setprop_u32(tree, tree_node(tree, path), property, value), 0);
}

int prepare(void **state)
{
	(void)state;
	gic = 3;
	page_sizes = 0;
	fake_log_reset();
	fake_heap_reset();
	return 0;
}

int clean(void **state)
{
	(void)state;
	fake_heap_reset();
	tree_free();
	return 0;
}

void check_one_line(const void *tree, const char *line)
{
	fake_log_reset();
	assert_true(read_image(tree));
	assert_string_equal(fake_log_text(0), line);
	assert_string_equal(fake_log_text(1), "");
}
