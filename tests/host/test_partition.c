/*
 * Disks that are partitions: where they lie by their device's table, and what is said of tables that are
 * wrong. The VM whose disk it is goes on, and so does everybody else.
 *
 * Sources: core/partition.c core/manifest_disks.c core/base/log.c drivers/block_device.c
 * Sources: tests/host/fake/log.c tests/host/fake/gic_pend.c tests/host/fake/panic.c
 */
#include <stdio.h>
#include <string.h>
#include "fake.h"
#include "core/disks.h"
#include "core/manifest.h"
#include "drivers/block_device.h"

#define SECTORS	 1000u
#define DEVICES	 2
#define ONE_READ UINT64_MAX /* no such sector fails */

static struct block_device device[DEVICES];
static u8 medium[DEVICES][SECTORS * BLOCK_SECTOR_BYTES];
static u64 bad_sector;

const void *disks_read(struct block_device *from, u64 sector)
{
	static u8 copy[BLOCK_SECTOR_BYTES]; /* the next call takes it away */

	assert_true(sector < from->sectors);
	memcpy(copy, &medium[from->index][sector * BLOCK_SECTOR_BYTES], sizeof(copy));
	return sector == bad_sector ? 0 : copy;
}

/* ---- A machine and a manifest ---------------------------------------------------------------- */

enum { FIRST, SECOND, DISKS };

static struct manifest_disk disk[DISKS];
static struct manifest_vm vm[2];
static struct manifest manifest = { .vm = vm, .vm_count = 2, .disk = disk, .disk_count = DISKS };

static void put(u32 number, u8 kind, u32 first, u32 sectors)
{
	u8 *entry = medium[0] + 446 + 16 * (number - 1);

	entry[4] = kind;
	memcpy(entry + 8, &first, 4);
	memcpy(entry + 12, &sectors, 4);
}

static void mark(u64 sector)
{
	medium[0][sector * BLOCK_SECTOR_BYTES + 510] = 0x55;
	medium[0][sector * BLOCK_SECTOR_BYTES + 511] = 0xaa;
}

/* A table with all four; VM "one" writes the second of them, "two" reads sectors behind them all. */
static int prepare(void **state)
{
	(void)state;
	fake_log_reset();
	memset(medium, 0, sizeof(medium));
	mark(0);
	put(1, 0x0c, 1, 99);
	put(2, 0xda, 100, 200);
	put(3, 0x83, 300, 1);
	put(4, 0x83, 301, 599);
	medium[0][446] = 0x80;
	mark(1);
	bad_sector = ONE_READ;
	disk[FIRST] = (struct manifest_disk){ .name = "first", .partition = 2 };
	disk[SECOND] =
		(struct manifest_disk){ .name = "second", .first_sector = 900, .sectors = 100 };
	vm[0] = (struct manifest_vm){
		.name = "one", .disk = { FIRST }, .disk_count = 1, .writable_disk_count = 1
	};
	vm[1] = (struct manifest_vm){ .name = "two", .disk = { SECOND }, .disk_count = 1 };
	return 0;
}

static void check(void)
{
	manifest_check_disks(&manifest);
	assert_false(vm[0].refused);
	assert_false(vm[1].refused);
	assert_false(disk[SECOND].missing && !disk[SECOND].partition);
}

static void check_good(u64 first, u64 sectors)
{
	check();
	assert_int_equal(fake_log_count(), 0);
	assert_false(disk[FIRST].missing);
	assert_int_equal(disk[FIRST].first_sector, first);
	assert_int_equal(disk[FIRST].sectors, sectors);
}

/* One line, of the disk "first". */
static void check_line(const char *what)
{
	char line[256];

	check();
	snprintf(line, sizeof(line),
		 "manifest: /disks/first: partition: %u of device 0 (mmc@1): %s; its requests fail",
		 disk[FIRST].partition, what);
	assert_string_equal(fake_log_text(0), line);
	assert_int_equal(fake_log_count(), 1);
	assert_true(disk[FIRST].missing);
}

/* ---- What they promise ----------------------------------------------------------------------- */

TEST(partition_is_where_the_table_says)
{
	check_good(100, 200);
	for (u32 number = 1; number <= 4; number++) {
		static const u32 first[] = { 1, 100, 300, 301 }, sectors[] = { 99, 200, 1, 599 };

		prepare(0);
		disk[FIRST].partition = number;
		check_good(first[number - 1], sectors[number - 1]);
	}
}

TEST(partition_may_end_with_its_device)
{
	disk[SECOND].first_sector = 0;
	disk[SECOND].sectors = 1;
	put(4, 0x83, 301, SECTORS - 301);
	disk[FIRST].partition = 4;
	check_good(301, SECTORS - 301);
}

TEST(device_without_a_table_is_told)
{
	memset(medium, 0, sizeof(medium));
	check_line("there is no partition table, for sector 0 does not end in 55 aa");
}

TEST(sector_that_cannot_be_read_is_told)
{
	bad_sector = 0;
	check_line("sector 0 cannot be read");
}

TEST(gpt_is_recognised)
{
	put(3, 0xee, 1, UINT32_MAX);
	check_line("the table is a GPT, which is not read");
}

TEST(damaged_table_is_told)
{
	medium[0][446 + 3 * 16] = 0x7f;
	check_line("the partition table is damaged, entry 4 begins with 7f");
	prepare(0);
	put(1, 0x0c, 1, 100);
	check_line("the partition table is damaged, 2 overlaps 1");
	prepare(0);
	put(3, 0x83, 150, UINT32_MAX);
	check_line("the partition table is damaged, 2 overlaps 3");
	prepare(0); /* what is in the entry of none does not count */
	put(3, 0, 150, 10);
	check_good(100, 200);
}

TEST(partition_that_is_none_is_told)
{
	put(2, 0, 100, 200);
	check_line("it is empty");
	prepare(0);
	put(2, 0xda, 100, 0);
	check_line("it is empty");
	prepare(0);
	put(2, 0x05, 100, 200);
	check_line("it is an extended one; name a primary one");
	prepare(0);
	put(2, 0x0f, 100, 200);
	check_line("it is an extended one; name a primary one");
}

TEST(partition_beyond_the_device_is_told)
{
	put(2, 0xda, 901, 100);
	check_line("sectors 901+100 are not all among the 999 behind the table");
	prepare(0);
	put(2, 0xda, UINT32_MAX, UINT32_MAX);
	check_line("sectors 4294967295+4294967295 are not all among the 999 behind the table");
	prepare(0);
	put(1, 0, 0, 0);
	put(2, 0xda, 0, 10);
	check_line("sectors 0+10 are not all among the 999 behind the table");
}

/* As another disk of the manifest has them: of who reads only nobody is harmed. */
TEST(sectors_of_two_disks_are_written_by_neither)
{
	disk[SECOND] =
		(struct manifest_disk){ .name = "second", .first_sector = 299, .sectors = 1 };
	check_line("it overlaps /disks/second, and one of the two is written");
	prepare(0);
	disk[SECOND] = (struct manifest_disk){ .name = "second" }; /* all of it */
	vm[0].writable_disk_count = 0;
	vm[1].writable_disk_count = 1;
	check_line("it overlaps /disks/second, and one of the two is written");

	prepare(0);
	disk[SECOND] = (struct manifest_disk){ .name = "second" };
	vm[0].writable_disk_count = 0;
	check_good(100, 200);
	prepare(0);
	disk[SECOND] = (struct manifest_disk){ .name = "second", .device = 1 };
	vm[1].writable_disk_count = 1;
	check_good(100, 200);
	prepare(0);
	disk[SECOND] = (struct manifest_disk){ .name = "second", .first_sector = 99, .sectors = 1 };
	check_good(100, 200);
	prepare(0);
	disk[SECOND] = (struct manifest_disk){ .name = "second" };
	vm[1].disk_count = 0; /* nobody's */
	check_good(100, 200);
}

static bool shared_by_two(u32 index)
{
	return disk[index].writers == 3;
}

/* Sectors are written down by hand: whoever did that may have meant it. */
TEST(sectors_of_two_disks_that_two_vms_write_are_shared)
{
	disk[FIRST] = (struct manifest_disk){ .name = "first", .first_sector = 10, .sectors = 20 };
	disk[SECOND] = (struct manifest_disk){ .name = "second", .first_sector = 29 };
	vm[1].writable_disk_count = 1;
	check();
	assert_true(shared_by_two(FIRST) && shared_by_two(SECOND));
	assert_false(disk[FIRST].missing || disk[SECOND].missing);
	assert_int_equal(fake_log_count(), 2);
	assert_string_equal(
		fake_log_text(0),
		"manifest: /disks/first: it overlaps /disks/second, which another VM writes; "
		"as a virtio device it is read-only");
	assert_string_equal(
		fake_log_text(1),
		"manifest: /disks/second: it overlaps /disks/first, which another VM writes; "
		"as a virtio device it is read-only");
}

/* One of two VMs at most writes the sectors of both, or there are none, or not on the same device. */
TEST(sectors_of_two_disks_that_one_vm_writes_are_not_shared)
{
	for (u32 i = 0; i < 4; i++) {
		prepare(0);
		disk[FIRST] = (struct manifest_disk){ .name = "first",
						      .first_sector = 10,
						      .sectors = 20 };
		disk[SECOND] = (struct manifest_disk){ .name = "second", .first_sector = 29 };
		vm[1].writable_disk_count = 1;
		if (i == 0)
			vm[1].writable_disk_count = 0;
		else if (i == 1)
			disk[SECOND].first_sector = 30;
		else if (i == 2)
			disk[SECOND].device = 1;
		else
			vm[1].disk_count = 0; /* nobody's */
		check();
		assert_false(shared_by_two(FIRST) || shared_by_two(SECOND));
		assert_int_equal(fake_log_count(), 0);
	}
}

TEST(one_partition_of_two_disks_is_the_first_ones)
{
	disk[SECOND] = (struct manifest_disk){ .name = "second", .partition = 2 };
	check();
	assert_false(disk[FIRST].missing);
	assert_true(disk[SECOND].missing);
	assert_int_equal(fake_log_count(), 1);
	assert_string_equal(fake_log_text(0),
			    "manifest: /disks/second: partition: 2 of device 0 (mmc@1): it "
			    "overlaps /disks/first, and one of the two is written; its requests "
			    "fail");
}

TEST(disk_of_two_vms_is_told_once)
{
	vm[1].disk[0] = FIRST;
	bad_sector = 0;
	check_line("sector 0 cannot be read");
	prepare(0);
	vm[1].disk[0] = FIRST;
	check_good(100, 200);
}

/* Whose it is may format it: it is had. */
TEST(damaged_file_system_is_told)
{
	static const u8 fat[] = { 0x01, 0x04, 0x06, 0x0b, 0x0c, 0x0e };

	for (u32 i = 0; i < sizeof(fat); i++) {
		prepare(0);
		put(2, fat[i], 100, 200);
		vm[1].disk[0] = FIRST; /* said once all the same */
		check();
		assert_string_equal(
			fake_log_text(0),
			"manifest: /disks/first: partition: 2 of device 0 (mmc@1): its FAT "
			"file system is damaged, for its first sector does not end in 55 aa");
		assert_int_equal(fake_log_count(), 1);
		assert_false(disk[FIRST].missing);
		assert_int_equal(disk[FIRST].sectors, 200);
	}
	prepare(0);
	put(2, 0x0b, 100, 200);
	bad_sector = 100;
	check();
	assert_true(fake_log_has("damaged, for its first sector cannot be read"));
	prepare(0);
	put(2, 0x0b, 100, 200);
	mark(100);
	check_good(100, 200);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN_AFTER(prepare, partition_is_where_the_table_says),
		RUN_AFTER(prepare, partition_may_end_with_its_device),
		RUN_AFTER(prepare, device_without_a_table_is_told),
		RUN_AFTER(prepare, sector_that_cannot_be_read_is_told),
		RUN_AFTER(prepare, gpt_is_recognised),
		RUN_AFTER(prepare, damaged_table_is_told),
		RUN_AFTER(prepare, partition_that_is_none_is_told),
		RUN_AFTER(prepare, partition_beyond_the_device_is_told),
		RUN_AFTER(prepare, sectors_of_two_disks_are_written_by_neither),
		RUN_AFTER(prepare, one_partition_of_two_disks_is_the_first_ones),
		RUN_AFTER(prepare, sectors_of_two_disks_that_two_vms_write_are_shared),
		RUN_AFTER(prepare, sectors_of_two_disks_that_one_vm_writes_are_not_shared),
		RUN_AFTER(prepare, disk_of_two_vms_is_told_once),
		RUN_AFTER(prepare, damaged_file_system_is_told),
	};

	for (u32 i = 0; i < DEVICES; i++) {
		device[i] = (struct block_device){ .name = "mmc@1", .sectors = SECTORS };
		assert_true(block_device_add(&device[i]));
	}
	return cmocka_run_group_tests(tests, 0, 0);
}
