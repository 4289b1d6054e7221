/*
 * Which driver serves which disk of the tree, and what the drivers are given: interrupts, timers. Two
 * SD controllers with one interrupt line between them, as on the Raspberry Pi, and the true driver on
 * models of them; of virtio only that it is asked.
 *
 * Sources: core/disks.c core/timeout.c core/base/log.c drivers/block_device.c
 * Sources: drivers/sdhci.c drivers/sdhci_identification.c drivers/sdhci_adma.c drivers/dma.c
 * Sources: tests/host/fake/sd_host.c tests/host/fake/sd_card.c
 * Sources: tests/host/fake/heap.c tests/host/fake/log.c
 * Sources: tests/host/fake/cache.c tests/host/fake/cpu.c tests/host/fake/timer.c
 * Sources: tests/host/fake/panic.c
 */
#include <stdio.h>
#include "sd_host.h"
#include "core/disks.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/probe.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "drivers/bcm2835_mailbox.h"
#include "drivers/block_device.h"
#include "drivers/gic.h"
#include "drivers/virtio_blk.h"

#define SECTORS	     2048u
#define INTID	     158u
#define VIRTIO_INTID 48u
#define HANDLERS     8
#define BUS	     0xc0000000u /* where devices find memory from REACH before `medium` on */
#define REACH	     0x10000000u

static u8 medium[SECTORS * BLOCK_SECTOR_BYTES];
static struct fake_sd hw[2];
static u64 now_us;
static bool pended;

static struct {
	u32 intid;
	void (*handler)(void *context);
	void *context;
} handlers[HANDLERS];
static u32 handler_count;

/* ---- The rest of the machine ----------------------------------------------------------------- */

void *probe_device(const char *what, const struct platform_device *device)
{
	(void)what;
	return (void *)device->base.raw; /* 0: nothing answers */
}

static struct block_device virtio = { .sectors = 8, .intid = VIRTIO_INTID };

bool virtio_blk_probe(const struct virtio_blk_place *place)
{
	assert_int_equal(place->intid, VIRTIO_INTID);
	return place->edge && block_device_add(&virtio);
}

static u8 mailbox[0x40];
static u32 asked;

u32 bcm2835_mailbox_emmc2(void *registers, u32 *message, u32 address)
{
	assert_ptr_equal(registers, mailbox);
	assert_int_equal((u64)message % DMA_LINE_BYTES, 0);
	assert_int_equal(address - BUS, (u64)message - (u64)medium + REACH);
	asked++;
	return hw[0].base_hz;
}

void gic_pend(u32 intid)
{
	assert_int_equal(intid, INTID);
	pended = true;
}

static u32 lent;

void sched_lent(u64 ticks)
{
	(void)ticks;
	lent++;
}

void irq_register(u32 intid, u32 core, bool edge, void (*handler)(void *context), void *context)
{
	assert_int_equal(core, 0);
	assert_int_equal(edge, intid == VIRTIO_INTID);
	assert_true(handler_count < HANDLERS);
	handlers[handler_count].intid = intid;
	handlers[handler_count].handler = handler;
	handlers[handler_count++].context = context;
}

static void set_time(u64 us)
{
	now_us = us;
	fake_timer_set(us * 1000);
}

/* The line is that of both. What comes next: an interrupt, what a card does, a timer. */
static bool machine_step(void)
{
	if (pended || fake_sd_line(&hw[0]) || fake_sd_line(&hw[1])) {
		pended = false;
		for (u32 i = 0; i < handler_count; i++)
			if (handlers[i].intid == INTID)
				handlers[i].handler(handlers[i].context);
		return true;
	}
	if (hw[0].coming_count || hw[1].coming_count) {
		set_time(now_us + 120);
		return fake_sd_step(&hw[0]) || fake_sd_step(&hw[1]);
	}
	if (fake_timer_el2_deadline() == UINT64_MAX)
		return false;
	set_time(fake_timer_el2_deadline() / 1000);
	timeout_interrupt();
	return true;
}

static bool in_vain; /* somebody may wait for what never comes, for a time */

/* Else a boot that does fails. */
void irq_handle(struct vcpu *current)
{
	assert_null(current);
	if (in_vain)
		set_time(now_us + 1000);
	else
		assert_true(machine_step());
}

/* ---- The tree: one virtio disk, two controllers, the card in the first, which is emmc2 --------- */

TEST(disks_are_found_in_their_order)
{
	struct platform platform = {
		.virtio_mmio = { { .base = PA(0x1000), .intid = VIRTIO_INTID, .edge = true },
				 { .base = PA(0) } },
		.virtio_mmio_count = 2,
		.sdhci = { { .device = { .base = PA((u64)&hw[0]), .intid = INTID },
			     .removable = true,
			     .emmc2 = true },
			   { .device = { .base = PA((u64)&hw[1]), .intid = INTID } } },
		.sdhci_count = 2,
		.mailbox = { .base = PA((u64)mailbox) },
		.mailbox_dma = { (u64)medium - REACH, BUS, 2 * REACH, false },
	};
	char name[32];

	fake_log_reset();
	timeout_init_core();
	set_time(1000);
	for (u32 i = 0; i < 2; i++)
		fake_sd_init(&hw[i], medium, SECTORS, &now_us);
	hw[0].base_hz = 200 * 1000000; /* its capabilities say something else */
	hw[1].inserted = false;
	disks_find(&platform);
	assert_int_equal(asked, 1); /* the other is not the firmware's */
	assert_int_equal(block_device_count(), 2);
	assert_ptr_equal(block_device_get(0), &virtio);
	assert_string_equal(virtio.name, "virtio_mmio@1000");
	assert_int_equal(block_device_get(1)->sectors, SECTORS);
	snprintf(name, sizeof(name), "mmc@%lx", (u64)&hw[0]);
	assert_string_equal(block_device_get(1)->name, name);
	assert_int_equal(fake_log_count(), 1); /* of the slot without a card */
	assert_int_equal(handler_count, 3);
	assert_false(machine_step());
}

static u32 ends;
static enum weir_status ended_with;
static u32 rooms;

static void done(struct block_request *request, enum weir_status status)
{
	(void)request;
	ended_with = status;
	ends++;
}

static bool room(struct block_device *device)
{
	assert_ptr_equal(device, block_device_get(1));
	rooms += ends;
	return false;
}

/* Who waits for room is asked in the step that makes it. */
static void read_first(enum weir_status status)
{
	static u8 buffer[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	struct block_device *card = block_device_get(1);
	struct block_request request = {
		.operation = BLOCK_READ,
		.segment_count = 1,
		.segment = &request.own,
		.own = { PA((u64)buffer), BLOCK_SECTOR_BYTES, 0 },
		.done = done,
	};

	card->room = room;
	ends = rooms = 0;
	assert_int_equal(card->ops->submit(card, &request), WEIR_OK);
	while (!ends)
		assert_true(machine_step());
	assert_true(rooms);
	while (machine_step())
		;
	assert_int_equal(ends, 1);
	assert_int_equal(ended_with, status);
	assert_int_equal(lent, status == WEIR_OK); /* of its one block */
	lent = 0;
}

/* These go on with the machine that the first found. */
TEST(card_is_read_by_interrupts)
{
	read_first(WEIR_OK);
}

TEST(controller_that_hangs_is_helped_by_its_timer)
{
	u64 before = now_us;

	hw[0].mute[18] = 1;
	read_first(WEIR_OK);
	assert_true(now_us - before >= 2000000);
	assert_int_equal(fake_timer_el2_deadline(), UINT64_MAX);
	hw[0].mute[18] = FAKE_SD_FOR_EVER;
	read_first(WEIR_IO);
	hw[0].mute[18] = 0;
}

/* ---- At boot --------------------------------------------------------------------------------- */

TEST(boot_reads_sectors)
{
	struct block_device *card = block_device_get(1);
	const u8 *first;

	for (u32 i = 0; i < 2 * BLOCK_SECTOR_BYTES; i++)
		medium[i] = (u8)(i / BLOCK_SECTOR_BYTES + i);
	first = disks_read(card, 1);
	assert_non_null(first);
	assert_memory_equal(first, medium + BLOCK_SECTOR_BYTES, BLOCK_SECTOR_BYTES);
	first = disks_read(card, 0);
	assert_non_null(first);
	assert_memory_equal(first, medium, BLOCK_SECTOR_BYTES);
}

TEST(boot_is_told_that_a_sector_cannot_be_read)
{
	struct block_device *card = block_device_get(1);

	hw[0].mute[18] = FAKE_SD_FOR_EVER;
	assert_null(disks_read(card, 0));
	hw[0].mute[18] = 0;
	assert_non_null(disks_read(card, 0));
}

static u32 submitted;
static enum weir_status answer;

static enum weir_status swallow(struct block_device *device, struct block_request *request)
{
	(void)device;
	assert_int_equal(request->segment[0].pa.raw % BLOCK_SECTOR_BYTES, 0);
	submitted++;
	return answer;
}

/* It may still write to where it was told to, so that is not used again. */
TEST(boot_waits_for_a_device_that_hangs_once_and_not_for_ever)
{
	static const struct block_device_ops swallows = { .submit = swallow };
	u64 before = now_us;

	virtio.ops = &swallows;
	answer = WEIR_IO;
	assert_null(disks_read(&virtio, 0));
	assert_int_equal(now_us, before);
	in_vain = true;
	answer = WEIR_OK;
	assert_null(disks_read(&virtio, 0));
	assert_in_range(now_us - before, 9000000, 11000000);
	before = now_us;
	assert_null(disks_read(&virtio, 1));
	assert_int_equal(now_us, before);
	assert_int_equal(submitted, 2);
	in_vain = false;
	fake_heap_reset();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RUN(disks_are_found_in_their_order),
		RUN(card_is_read_by_interrupts),
		RUN(controller_that_hangs_is_helped_by_its_timer),
		RUN(boot_reads_sectors),
		RUN(boot_is_told_that_a_sector_cannot_be_read),
		RUN(boot_waits_for_a_device_that_hangs_once_and_not_for_ever),
	};

	return cmocka_run_group_tests(tests, 0, 0);
}
