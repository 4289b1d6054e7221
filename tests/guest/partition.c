/*
 * Says of each of its disks what it is: its sectors and the first word of the first of them, or that it is not
 * to be had. Who reads that knows what the device's table says (tests/qemu/test_partition.py).
 */
#include "tests/guest/tap.h"

#define DISKS 4u

static void look(uint32_t disk, void *buffer)
{
	struct weir_block_info info = { 0 };
	struct block_request request = { .disk = disk, .sectors = 1, .buffer = buffer };
	enum weir_status status = weir_block_info(disk, &info);

	if (status != WEIR_OK) {
		CHECK_IS(status, WEIR_IO);
		CHECK_IS(block_run(&request), WEIR_IO);
		request.operation = WEIR_BLOCK_FLUSH;
		request.sectors = 0;
		CHECK_IS(block_run(&request), WEIR_IO);
		printf("# disk %u: none\n", disk);
		return;
	}
	CHECK_IS(block_run(&request), WEIR_OK);
	printf("# disk %u: %lu sectors from %lu\n", disk, info.sectors, *(uint64_t *)buffer);
	request.sector = info.sectors;
	CHECK_IS(block_run(&request), WEIR_INVALID);
}

TEST(each_disk_is_there_or_fails)
{
	struct weir_block_info info;
	void *buffer = memory_pages(1);

	for (uint32_t disk = 0; disk < DISKS; disk++)
		look(disk, buffer);
	CHECK_IS(weir_block_info(DISKS, &info), WEIR_NOT_FOUND);
}

TESTS = {
	RUN(each_disk_is_there_or_fails),
};
TESTS_MAIN
