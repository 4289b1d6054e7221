/* A disk of all VMs of ipc_vms.c, for programs that are linked with the true ipc/block.c (ipc_vms.h). */
#include "ipc_vms.h"
#include "drivers/block_device.h"

#define DISKS 2u /* of each VM: the whole one, and again as read-only */

#define ROOM (4 * MAX_VCPUS * WEIR_COMPLETIONS)

static struct block_request *queue[ROOM];
static u32 queued;
static struct manifest_disk disks[DISKS] = { { .name = "disk" }, { .name = "again" } };

static enum weir_status submit(struct block_device *device, struct block_request *request)
{
	(void)device;
	assert_true(queued < ROOM);
	queue[queued++] = request;
	return WEIR_OK;
}

static const struct block_device_ops ops = { .submit = submit };
static struct block_device disk = { .ops = &ops,
				    .name = "disk",
				    .sectors = FAKE_DISK_SECTORS,
				    .max_segments = 1,
				    .max_segment_bytes = 1u << 20 };

u32 block_device_count(void)
{
	return 1;
}

struct block_device *block_device_get(u32 index)
{
	return index ? 0 : &disk;
}

void block_device_again(const struct block_device *device)
{
	(void)device;
}

void ipc_disks(struct manifest *manifest, struct manifest_vm *config)
{
	queued = 0;
	manifest->disk = disks;
	manifest->disk_count = DISKS;
	config->disk[1] = 1;
	config->disk_count = DISKS;
	config->writable_disk_count = 1;
}

bool ipc_disk_done(enum weir_status status)
{
	struct block_request *request = queue[0];

	if (!queued)
		return false;
	queued--;
	for (u32 i = 0; i < queued; i++)
		queue[i] = queue[i + 1];
	request->done(request, status);
	return true;
}

bool vm_ram(const struct vm *vm, ipa_t ipa, u64 bytes, pa_t *pa)
{
	u64 offset = ipa.raw - vm->ram_ipa;

	if (offset >= vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return false;
	*pa = PA(vm->ram.raw + offset);
	return true;
}

/* Who waits for a VM's requests asks ipc_vm_idle(). */
void vm_device_done(struct vm *vm)
{
	(void)vm;
}
