/* Device trees for tests, from tests/host/trees. */
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fake.h"

#define ROOM 65536 /* with space for changes */

static void *loaded, *exact;

void *tree_load(const char *name)
{
	static char file[ROOM] __attribute__((aligned(8)));
	char path[128];
	FILE *stream;

	snprintf(path, sizeof(path), TREES "/%s.dtb", name);
	stream = fopen(path, "rb");
	if (!stream)
		fail_msg("%s: not there; run from the top folder, after make host-tests", path);
	assert_true(fread(file, 1, sizeof(file), stream) < sizeof(file));
	fclose(stream);
	free(loaded);
	loaded = calloc(1, ROOM);
	assert_int_equal(fdt_open_into(file, loaded, ROOM), 0);
	return loaded;
}

void *tree_exact(const void *tree, u64 *bytes)
{
	static char packed[ROOM] __attribute__((aligned(8)));

	memcpy(packed, tree, ROOM);
	assert_int_equal(fdt_pack(packed), 0);
	*bytes = fdt_totalsize(packed);
	free(exact);
	exact = malloc(*bytes);
	memcpy(exact, packed, *bytes);
	return exact;
}

int tree_node(const void *tree, const char *path)
{
	int node = fdt_path_offset(tree, path);

	if (node < 0)
		fail_msg("%s: no such node", path);
	return node;
}

void tree_set(void *tree, const char *path, const char *property, const void *value, int bytes)
{
	assert_int_equal(fdt_setprop(tree, tree_node(tree, path), property, value, bytes), 0);
}

void tree_free(void)
{
	free(loaded);
	free(exact);
	loaded = exact = 0;
}
