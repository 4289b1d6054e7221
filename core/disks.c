/*
 * The disks of the machine (disks.h): which driver serves which node, and the interrupts and timers
 * that the drivers ask for, and reading at boot.
 *
 * Owns: struct card_slot, one for each SD host controller; struct boot_read, one for each device that is read.
 */
#include "core/disks.h"

#include "arch/arm64/mmu.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/irq.h"
#include "core/memory.h"
#include "core/probe.h"
#include "core/sched.h"
#include "core/timeout.h"
#include "drivers/bcm2835_mailbox.h"
#include "drivers/block_device.h"
#include "drivers/gic.h"
#include "drivers/sdhci.h"
#include "drivers/virtio_blk.h"

static const char *name_of(const char *kind, const struct platform_device *node)
{
	char name[32];
	size_t length = format_text(name, sizeof(name), "%s@%lx", kind, node->base.raw);
	char *kept = heap_alloc(length + 1);

	memcpy(kept, name, length);
	return kept;
}

static void find_virtio(const struct platform_device *node)
{
	struct virtio_blk_place place = {
		.registers = probe_device("virtio_mmio", node),
		.intid = node->intid,
		.edge = node->edge,
		.name = "virtio_mmio",
		.alloc_page = heap_page,
		.to_pa = mmu_heap_pa,
	};
	struct block_device *disk;

	if (!place.registers || !virtio_blk_probe(&place))
		return;
	disk = block_device_get(block_device_count() - 1);
	disk->name = name_of("virtio_mmio", node);
	irq_register(node->intid, 0, node->edge, block_device_interrupt, disk);
}

/* ---- SD cards -------------------------------------------------------------------------------- */

struct card_slot {
	/* What the firmware and the controller read and write past the caches. Not in the heap: both may reach
	 * only the first GiB of the board's memory, and there is where the image lies. */
	u32 lines[DMA_LINE_BYTES / 4] DMA_LINE_ALIGNED;
	struct block_device *device;
	struct timeout timeout; /* of core 0, where the interrupt goes */
};

static struct card_slot slots[PLATFORM_SDHCI];
static u32 slot_count;

static void slot_timer(struct timeout *timeout)
{
	struct block_device *device = container_of(timeout, struct card_slot, timeout)->device;

	sdhci_timer(device);
	block_device_room(device);
}

static void slot_interrupt(void *context)
{
	const struct card_slot *slot = context;

	block_device_interrupt(slot->device);
}

static void set_timer(void *context, u32 microseconds)
{
	struct card_slot *slot = context;

	if (microseconds)
		timeout_set(&slot->timeout, timer_now() + timer_from_us(microseconds));
	else
		timeout_cancel(&slot->timeout);
}

/* The base clock of emmc2, which its capabilities do not know. 0: nobody says. */
static u32 ask_firmware(const struct platform *platform, struct card_slot *slot, const char *name)
{
	u32 address = dma_address(&platform->mailbox_dma, mmu_heap_pa(slot->lines), DMA_LINE_BYTES);
	void *registers = 0;
	u32 hz = 0;

	if (address != DMA_UNREACHABLE)
		registers = probe_device("mailbox", &platform->mailbox);
	if (registers)
		hz = bcm2835_mailbox_emmc2(registers, slot->lines, address);
	if (!hz)
		log_line("%s: the firmware's mailbox does not tell its clock; a guess is taken",
			 name);
	return hz;
}

static void find_card(const struct platform *platform, const struct platform_sdhci *node)
{
	struct card_slot *slot = &slots[slot_count];
	struct sdhci_place place = {
		.registers = probe_device("mmc", &node->device),
		.intid = node->device.intid,
		.name = name_of("mmc", &node->device),
		.removable = node->removable,
		.alloc = heap_alloc,
		.raise = gic_pend,
		.table = slot->lines,
		.table_address = dma_address(&node->dma, mmu_heap_pa(slot->lines), DMA_LINE_BYTES),
		.set_timer = set_timer,
		.worked = sched_lent,
		.context = slot,
	};

	if (!place.registers)
		return;
	if (node->emmc2)
		place.clock_hz = ask_firmware(platform, slot, place.name);
	/* The firmware may still write an answer that did not come. */
	if (place.clock_hz)
		place.dma = node->dma;
	slot_count++;
	timeout_init(&slot->timeout, slot_timer);
	slot->device = sdhci_probe(&place);
	irq_register(node->device.intid, 0, false, slot_interrupt, slot);
	/* Each step of it ends by its own timer. */
	while (!sdhci_settled(slot->device))
		irq_handle(0);
	if (slot->device->sectors && !block_device_add(slot->device))
		log_line("%s: one disk too many; it is ignored", slot->device->name);
}

/* ---- Reading at boot --------------------------------------------------------------------------- */

#define READ_US 10000000u /* longer than a card's driver takes with all that it tries */

/* A page for each device that is read; it is never given back, for one that hangs may still write there. */
struct boot_read {
	struct block_request request;
	bool under_way;
	enum weir_status status;
	u8 sector[BLOCK_SECTOR_BYTES] __attribute__((aligned(BLOCK_SECTOR_BYTES)));
};

_Static_assert(sizeof(struct boot_read) <= PAGE_SIZE, "it is one page");

static struct boot_read *reads[BLOCK_DEVICES_MAX];

static void read_done(struct block_request *request, enum weir_status status)
{
	struct boot_read *read = container_of(request, struct boot_read, request);

	read->status = status;
	read->under_way = false;
}

const void *disks_read(struct block_device *device, u64 sector)
{
	u64 deadline = timer_now() + timer_from_us(READ_US);
	struct boot_read *read = reads[device->index];

	if (!read)
		read = reads[device->index] = heap_page();
	if (read->under_way)
		return 0;
	read->request = (struct block_request){
		.operation = BLOCK_READ,
		.sector = sector,
		.segment_count = 1,
		.segment = &read->request.own,
		.own = { mmu_heap_pa(read->sector), BLOCK_SECTOR_BYTES, 0 },
		.done = read_done,
	};
	read->under_way = device->ops->submit(device, &read->request) == WEIR_OK;
	read->status = WEIR_IO;
	while (read->under_way && timer_now() < deadline)
		irq_handle(0);
	return read->status == WEIR_OK ? read->sector : 0;
}

void disks_find(const struct platform *platform)
{
	for (u32 i = 0; i < platform->virtio_mmio_count; i++)
		find_virtio(&platform->virtio_mmio[i]);
	for (u32 i = 0; i < platform->sdhci_count; i++)
		find_card(platform, &platform->sdhci[i]);
}
