/*
 * The block service: requests of guests to the disks of the manifest, and their completions.
 *
 * Owns:   struct block_slot, the completion rings in the `out` pages, what waits for a full device.
 * Locks:  see block.h. No guest memory is touched but the vCPU's own pages: data moves by DMA.
 * ABI:    guests/include/weir/block.h
 *
 * A request lives in a slot of the vCPU that made it. The slots are as many as the completion ring
 * has: a request is accepted while requests in flight and completions that are not consumed yet are
 * together fewer than that, so a completion always finds its place, and a slot is always free.
 *
 * The device's queue is shared by the VMs. A request that finds it full waits here, and is
 * submitted after an interrupt that has ended some of the device's requests: VMs in turn, each VM's
 * requests in their order. While anything waits, what comes new waits behind it. Only a few are
 * submitted at once: for the rest the device's interrupt is raised again.
 */
#include "ipc/block.h"
#include "core/base/log.h"
#include "core/life.h"
#include "core/memory.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"
#include "ipc/block_virtio.h"
#include "ipc/event.h"
#include "ipc/grant.h"
#include "ipc/ipc.h"

#define LARGEST_REQUEST_SECTORS 2048u /* 1 MiB */
#define SUBMITTED_AT_ONCE	4u    /* of those that wait for a device */
#define STEP_REQUESTS		8u    /* dropped in one step of the end of a VM */

struct block_slot {
	struct block_request request; /* `link` is the waiting list's while it waits */
	struct vcpu *vcpu;	      /* fixed */
	u32 index;		      /* fixed */
	u64 cookie;
};

_Static_assert(WEIR_COMPLETIONS == 64, "slots that are free are bits of one word");

/* What waits for a device's full queue. */
struct waiting {
	struct spinlock lock; /* guards all; `count` is also read without it */
	struct list turns;    /* struct block_turn: VMs that wait, the next one first */
	u32 count;	      /* requests */
};

static struct waiting waiting[BLOCK_DEVICES_MAX];

_Static_assert(BLOCK_READ == (int)WEIR_BLOCK_READ && BLOCK_WRITE == (int)WEIR_BLOCK_WRITE &&
		       BLOCK_FLUSH == (int)WEIR_BLOCK_FLUSH,
	       "an operation of the ABI is one of a driver");

static struct block_slot *slot_of(struct block_request *request)
{
	return container_of(request, struct block_slot, request);
}

/* Slots and the completion ring of one vCPU. */

/* Reads how far the guest has consumed; believed as far as it is possible. */
static void update_head(struct block_vcpu *block) NEEDS(block->lock)
{
	u64 head;

	/* [B2] Pairs with [Q2] in weir_block_next: the guest has read the slots before. */
	WEIR_ORDERED(B2, ldar,
		     head = __atomic_load_n(&block->in->completion_head, __ATOMIC_ACQUIRE));
	if (head > block->tail)
		head = block->tail;
	if (head > block->head)
		block->head = head;
}

/* A slot for a request on this memory; from then on block_pages_busy() knows. 0: none is left. */
static struct block_slot *take_slot(struct vcpu *self, pa_t pa, u32 bytes)
{
	struct block_vcpu *block = &self->ipc->block;
	struct block_slot *slot = 0;

	spin_lock(&block->lock);
	update_head(block);
	if (block->accepted - block->head < WEIR_COMPLETIONS) {
		u32 index = (u32)__builtin_ctzl(block->free);

		block->accepted++;
		block->free &= ~BIT(index);
		slot = &block->slot[index];
		slot->request.segment_count = bytes != 0;
		slot->request.ticks = 0;
		slot->request.own = (struct block_segment){ pa, bytes, 0 };
		block->reach[index] = (struct block_reach){ pa.raw, pa.raw + bytes };
	}
	spin_unlock(&block->lock);
	return slot;
}

static void free_slot(struct block_vcpu *block, u32 index) NEEDS(block->lock)
{
	block->free |= BIT(index);
	block->reach[index].to = 0;
}

/* The request of the slot was never accepted. */
void block_slot_return(struct block_slot *slot)
{
	struct block_vcpu *block = &slot->vcpu->ipc->block;

	spin_lock(&block->lock);
	block->accepted--;
	free_slot(block, slot->index);
	spin_unlock(&block->lock);
}

void block_charge(struct vcpu *vcpu, u64 ticks)
{
	spin_lock(&vcpu->ipc->block.lock);
	write_once(vcpu->account.block_ticks, vcpu->account.block_ticks + ticks);
	spin_unlock(&vcpu->ipc->block.lock);
	sched_spend(vcpu, ticks);
}

/* The request is over: tells the vCPU, unless its VM is off; then its end may have waited for it. */
void block_slot_complete(struct block_slot *slot, enum weir_status status)
{
	struct vcpu *vcpu = slot->vcpu;
	struct block_vcpu *block = &vcpu->ipc->block;
	struct weir_completion *completion;
	u64 ticks = slot->request.ticks;
	bool tell;

	spin_lock(&block->lock);
	write_once(vcpu->account.block_ticks, vcpu->account.block_ticks + ticks);
	free_slot(block, slot->index);
	tell = !block_stopped(&vcpu->vm->ipc->block);
	if (tell) {
		completion = &block->out->completion[block->tail % WEIR_COMPLETIONS];
		completion->cookie = slot->cookie;
		completion->status = status;
		/* [B1] the slot before the tail. Pairs with [Q1] in weir_block_next. */
		block->tail++;
		WEIR_ORDERED(B1, stlr,
			     __atomic_store_n(&block->out->completion_tail, block->tail,
					      __ATOMIC_RELEASE));
	}
	spin_unlock(&block->lock);
	if (ticks)
		sched_spend(vcpu, ticks);
	if (tell)
		event_block_done(vcpu);
	else
		vm_device_done(vcpu->vm);
}

struct block_slot *block_slot_take(struct vcpu *vcpu, u64 cookie)
{
	struct block_slot *slot = take_slot(vcpu, PA(0), 0);

	if (slot)
		slot->cookie = cookie;
	return slot;
}

/* What waits for a device. */

/*
 * Submits what waits until the device is full again: one request of a VM, then the next VM's. True:
 * these were enough for once. A device that is broken takes each, and it fails.
 */
static bool submit_waiting(struct waiting *queue, struct block_device *device) NEEDS(queue->lock)
{
	for (u32 i = 0; i < SUBMITTED_AT_ONCE && !list_empty(&queue->turns); i++) {
		struct block_turn *turn = container_of(queue->turns.next, struct block_turn, link);
		struct list *first = turn->waiting.next;
		struct block_request *request = container_of(first, struct block_request, link);
		enum weir_status status;

		list_remove(first);
		status = device->ops->submit(device, request);
		if (status == WEIR_AGAIN) {
			list_insert_before(turn->waiting.next, first);
			return false;
		}
		__atomic_store_n(&queue->count, queue->count - 1, __ATOMIC_RELAXED);
		list_remove(&turn->link);
		if (!list_empty(&turn->waiting))
			list_append(&queue->turns, &turn->link);
		if (status != WEIR_OK)
			request->done(request, WEIR_IO);
	}
	return !list_empty(&queue->turns);
}

/*
 * The device was full, or others wait for it. What made it full may have been done since, and its
 * completion may have looked at the count too early: so submit_waiting() asks once more. The driver
 * answers "full" under the lock under which it makes room, so after that answer a completion
 * follows which sees the count. The VM does not end meanwhile: its end begins with requests when no
 * vCPU of it is on a core any more (core/life.c), and no communication core at its rings (submit_vm_stop()).
 */
static APART void wait_for_device(struct vm *vm, const struct block_disk *disk,
				  struct block_request *request)
{
	struct waiting *queue = &waiting[disk->device_index];
	struct block_turn *turn = &vm->ipc->block.turn[disk->device_index];
	bool more;

	spin_lock(&queue->lock);
	if (list_empty(&turn->waiting))
		list_append(&queue->turns, &turn->link);
	list_append(&turn->waiting, &request->link);
	__atomic_store_n(&queue->count, queue->count + 1, __ATOMIC_RELAXED);
	more = submit_waiting(queue, disk->device);
	spin_unlock(&queue->lock);
	if (more)
		block_device_again(disk->device);
}

/* Of a slot. Driver's interrupt, without the driver's lock, or here. */
static void request_done(struct block_request *request, enum weir_status status)
{
	block_slot_complete(slot_of(request), status);
}

static APART bool serve_waiting(struct waiting *queue, struct block_device *device)
{
	bool more = block_virtio_look(device);

	if (!__atomic_load_n(&queue->count, __ATOMIC_RELAXED))
		return more;
	spin_lock(&queue->lock);
	more |= submit_waiting(queue, device);
	spin_unlock(&queue->lock);
	return more;
}

/*
 * The driver's interrupt, when all it has ended is done: what waits for the device, and what waits in a queue of
 * a guest's (block_virtio.c).
 */
static bool device_has_room(struct block_device *device)
{
	struct waiting *queue = &waiting[device->index];

	if (!__atomic_load_n(&queue->count, __ATOMIC_RELAXED) && !block_virtio_waits(device))
		return false;
	return serve_waiting(queue, device);
}

enum weir_status block_start(struct vm *vm, const struct block_disk *disk,
			     struct block_request *request)
{
	struct block_device *device = disk->device;
	enum weir_status status = WEIR_AGAIN;

	if (request->operation == BLOCK_FLUSH && device->write_through) {
		request->done(request, WEIR_OK);
		return WEIR_OK;
	}
	if (!__atomic_load_n(&waiting[disk->device_index].count, __ATOMIC_RELAXED))
		status = device->ops->submit(device, request);
	if (status == WEIR_AGAIN) {
		wait_for_device(vm, disk, request);
		return WEIR_OK;
	}
	return status;
}

/* The calls. The table has checked that what lies behind their arguments is 0. */

static const struct block_disk *find_disk(const struct vm *vm, u64 index)
{
	const struct block_vm *block = &vm->ipc->block;

	if (index >= block->disk_count)
		return 0;
	return &block->disk[index_nospec(index, MANIFEST_VM_DISKS)];
}

enum weir_status block_info_call(struct vcpu *self, const struct call_args *in,
				 struct call_results *out)
{
	const struct block_disk *disk;

	disk = find_disk(self->vm, in->x1);
	if (!disk)
		return WEIR_NOT_FOUND;
	if (!disk->device)
		return WEIR_IO;
	out->x1 = disk->sectors;
	out->x2 = disk->read_only ? WEIR_BLOCK_READ_ONLY : 0;
	out->x3 = disk->max_sectors;
	return WEIR_OK;
}

/* Sectors, right and memory of a request; `bytes` of them at `pa`. */
static enum weir_status check_request(const struct vm *vm, const struct block_disk *disk,
				      u64 operation, const struct call_args *in, u32 *bytes,
				      pa_t *pa)
{
	*bytes = 0;
	*pa = PA(0);
	if (operation == WEIR_BLOCK_FLUSH)
		return in->x2 | in->x3 | in->x4 ? WEIR_INVALID : WEIR_OK;
	if (in->x3 == 0 || in->x3 > disk->max_sectors)
		return WEIR_INVALID;
	if (in->x3 > disk->sectors || in->x2 > disk->sectors - in->x3)
		return WEIR_INVALID;
	if (in->x4 % WEIR_SECTOR_SIZE)
		return WEIR_INVALID;
	if (operation == WEIR_BLOCK_WRITE && disk->read_only)
		return WEIR_DENIED;
	*bytes = (u32)in->x3 * WEIR_SECTOR_SIZE; /* at most LARGEST_REQUEST_SECTORS of them */
	return vm_ram(vm, IPA(in->x4), *bytes, pa) ? WEIR_OK : WEIR_FAULT;
}

/* A slot, also in the pool, where sharing and DMA exclude each other (ipc/grant.h). */
static enum weir_status reserve_slot(struct vcpu *self, pa_t pa, u32 bytes,
				     struct block_slot **slot)
{
	struct vm *vm = self->vm;
	bool shared;

	if (bytes == 0 || !grant_in_pool(vm, pa, bytes)) {
		*slot = take_slot(self, pa, bytes);
		return *slot ? WEIR_OK : WEIR_QUOTA;
	}
	*slot = 0;
	grant_lock(vm);
	shared = grant_pages_shared(vm, pa, bytes);
	if (!shared)
		*slot = take_slot(self, pa, bytes);
	grant_unlock(vm);
	if (shared)
		return WEIR_FAULT;
	return *slot ? WEIR_OK : WEIR_QUOTA;
}

enum weir_status block_submit(struct vcpu *vcpu, const struct call_args *in)
{
	u64 operation = in->x1 >> 8;
	const struct block_disk *disk;
	struct block_slot *slot;
	enum weir_status status;
	u32 bytes;
	pa_t pa;

	if (operation > WEIR_BLOCK_FLUSH)
		return WEIR_INVALID;
	disk = find_disk(vcpu->vm, in->x1 & 0xff);
	if (!disk)
		return WEIR_NOT_FOUND;
	if (!disk->device)
		return WEIR_IO;
	status = check_request(vcpu->vm, disk, operation, in, &bytes, &pa);
	if (status != WEIR_OK)
		return status;
	status = reserve_slot(vcpu, pa, bytes, &slot);
	if (status != WEIR_OK)
		return status;
	slot->request.operation = (enum block_operation)operation;
	slot->request.sector = disk->first_sector + in->x2;
	slot->cookie = in->x5;
	status = block_start(vcpu->vm, disk, &slot->request);
	if (status != WEIR_OK)
		block_slot_return(slot);
	return status;
}

enum weir_status block_submit_call(struct vcpu *self, const struct call_args *in,
				   struct call_results *out)
{
	enum weir_status status = block_submit(self, in);

	(void)out;
	if (status == WEIR_OK)
		account_block(&self->account, in->x3);
	return status;
}

/* For the others. */

static u32 overlap(const struct block_reach *reach, u64 from, u64 to)
{
	return (u32)(reach->from < to) & (u32)(from < reach->to);
}

/* Of a VM of eight vCPUs these are 512 looks in one exit: hence no branch, and four to a turn. */
static bool reaches(const struct block_vcpu *block, u64 from, u64 to) NEEDS(block->lock)
{
	u32 found = 0;

	for (u32 i = 0; i < WEIR_COMPLETIONS; i += 4) {
		const struct block_reach *reach = &block->reach[i];

		found |= overlap(reach, from, to) | overlap(reach + 1, from, to) |
			 overlap(reach + 2, from, to) | overlap(reach + 3, from, to);
	}
	return found != 0;
}

/* Apart: the rest is then short enough to become a part of grant_share_call(), which is made fast. */
static RARE APART bool virtio_busy(struct vm *vm, pa_t pa, u64 bytes)
{
	return virtio_pinned(vm, pa, bytes) || block_virtio_busy(vm, pa.raw, pa.raw + bytes);
}

bool block_pages_busy(struct vm *vm, pa_t pa, u64 bytes)
{
	bool found = vm->virtio_used && virtio_busy(vm, pa, bytes);

	for (u32 i = 0; i < vm->vcpu_count && !found; i++) {
		struct block_vcpu *block = &vm->vcpu[i]->ipc->block;

		spin_lock(&block->lock);
		found = block->free != UINT64_MAX && reaches(block, pa.raw, pa.raw + bytes);
		spin_unlock(&block->lock);
	}
	return found;
}

bool block_vm_idle(const struct vm *vm)
{
	bool idle = block_virtio_idle(vm);

	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct block_vcpu *block = &vm->vcpu[i]->ipc->block;

		spin_lock(&block->lock);
		idle = idle && block->free == UINT64_MAX;
		spin_unlock(&block->lock);
	}
	return idle;
}

/* Drops requests that wait for a device, a few; true: there are more. */
static bool drop_waiting(struct vm *vm, u32 index)
{
	struct waiting *queue = &waiting[index];
	struct block_turn *turn = &vm->ipc->block.turn[index];
	bool more;

	spin_lock(&queue->lock);
	for (u32 i = 0; i < STEP_REQUESTS && !list_empty(&turn->waiting); i++) {
		struct list *first = turn->waiting.next;
		struct block_request *request;

		list_remove(first);
		__atomic_store_n(&queue->count, queue->count - 1, __ATOMIC_RELAXED);
		request = container_of(first, struct block_request, link);
		request->done(request, WEIR_IO);
	}
	more = !list_empty(&turn->waiting);
	if (!more)
		list_remove(&turn->link);
	spin_unlock(&queue->lock);
	return more;
}

bool block_vm_stop(struct vm *vm, u64 *at)
{
	__atomic_store_n(&vm->ipc->block.stopped, true, __ATOMIC_RELAXED);
	if (*at < block_device_count()) {
		if (!drop_waiting(vm, (u32)*at))
			(*at)++;
		return true;
	}
	/* A completion that did not see the flag has left its lock after this. */
	block_vm_idle(vm);
	return false;
}

bool block_vm_reset(struct vm *vm, u64 *at)
{
	(void)at;
	for (u32 i = 0; i < vm->vcpu_count; i++) {
		struct block_vcpu *block = &vm->vcpu[i]->ipc->block;

		spin_lock(&block->lock);
		block->accepted = block->tail = block->head = 0;
		spin_unlock(&block->lock);
	}
	__atomic_store_n(&vm->ipc->block.stopped, false, __ATOMIC_RELAXED);
	return false;
}

/* At boot. */

/*
 * The disk's place on its device; `device` stays 0 if it has none, which manifest_check_disks() has
 * said already: its partition is not to be had.
 */
static void open_disk(const struct vm *vm, const struct manifest_disk *config, bool writable,
		      struct block_disk *disk)
{
	struct block_device *device = block_device_get(config->device);
	u64 largest;

	disk->config = config;
	if (!device || config->missing || config->first_sector >= device->sectors ||
	    config->sectors > device->sectors - config->first_sector)
		return;
	if (writable && device->read_only)
		log_line("/disks/%s: device %u is read-only, and so is the disk of VM %s",
			 config->name, config->device, vm->config->name);
	largest = device->max_segment_bytes / BLOCK_SECTOR_BYTES;
	disk->device = device;
	disk->device_index = config->device;
	disk->first_sector = config->first_sector;
	disk->sectors = config->sectors ? config->sectors : device->sectors - config->first_sector;
	disk->max_sectors = min(largest, LARGEST_REQUEST_SECTORS);
	disk->read_only = !writable || device->read_only;
}

static void create_vcpu(struct vcpu *vcpu)
{
	struct block_vcpu *block = &vcpu->ipc->block;

	block->in = vcpu->ipc->in;
	block->out = vcpu->ipc->out;
	block->free = UINT64_MAX;
	block->slot = heap_alloc(WEIR_COMPLETIONS * sizeof(*block->slot));
	for (u32 i = 0; i < WEIR_COMPLETIONS; i++) {
		block->slot[i].vcpu = vcpu;
		block->slot[i].index = i;
		block->slot[i].request.done = request_done;
		block->slot[i].request.segment = &block->slot[i].request.own;
		list_init(&block->slot[i].request.link);
	}
}

u64 block_vcpu_heap_bytes(void)
{
	return heap_cost(WEIR_COMPLETIONS * sizeof(struct block_slot));
}

void block_vm_create(struct vm *vm, const struct manifest *manifest)
{
	struct block_vm *block = &vm->ipc->block;

	for (u32 i = 0; i < BLOCK_DEVICES_MAX; i++) {
		list_init(&block->turn[i].link);
		list_init(&block->turn[i].waiting);
		if (!waiting[i].turns.next)
			list_init(&waiting[i].turns);
	}
	for (u32 i = 0; i < block_device_count(); i++)
		block_device_get(i)->room = device_has_room;
	block->disk_count = vm->config->disk_count;
	for (u32 i = 0; i < block->disk_count; i++)
		open_disk(vm, &manifest->disk[vm->config->disk[i]],
			  i < vm->config->writable_disk_count, &block->disk[i]);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		create_vcpu(vm->vcpu[i]);
	block_virtio_create(vm);
}
