/* A model of the block service (requests.h). */
#include "requests.h"

#include <string.h>
#include "sources.h"
#include "ipc/block.h"
#include "ipc/grant.h"

static struct model {
	bool honest;
	u64 open[WEIR_COMPLETIONS]; /* cookies that are to come back */
	u32 ends[WEIR_COMPLETIONS]; /* with one of these: bit n: the status -n */
	u32 count;
	u64 tail; /* as last seen */
} models[MACHINE_VMS][MACHINE_VCPUS];
static u64 cookies;
static bool broken[MACHINE_DEVICES];

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static struct model *model_of(const struct vcpu *vcpu)
{
	return &models[vcpu->vm->id][vcpu->index];
}

void requests_begin(u32 vm)
{
	memset(models[vm], 0, sizeof(models[vm]));
	for (u32 i = 0; i < MACHINE_VCPUS; i++)
		models[vm][i].honest = true;
}

void requests_reset(void)
{
	cookies = 0;
	memset(broken, 0, sizeof(broken));
	for (u32 vm = 0; vm < MACHINE_VMS; vm++)
		requests_begin(vm);
}

u64 requests_cookie(void)
{
	return cookies++ * 0x100000001ul;
}

void requests_device_broken(u32 device)
{
	broken[device] = true;
	disk_break(device);
}

/* Sectors, memory and rights of a read or write. */
static u32 range_errors(const struct vm *vm, const struct block_disk *disk, const u64 x[6])
{
	u64 offset = x[4] - VM_RAM_BASE, bytes = x[3] * WEIR_SECTOR_SIZE;
	u32 errors = 0;

	if (x[3] == 0 || x[3] > disk->max_sectors || x[3] > disk->sectors ||
	    x[2] > disk->sectors - x[3] || x[4] % WEIR_SECTOR_SIZE)
		return one(WEIR_INVALID);
	if (x[1] >> 8 == WEIR_BLOCK_WRITE && disk->read_only)
		errors |= one(WEIR_DENIED);
	if (x[4] < VM_RAM_BASE || offset > vm->ram_bytes || bytes > vm->ram_bytes - offset)
		return errors | one(WEIR_FAULT);
	if (grant_pages_shared(vm, PA(vm->ram.raw + offset), bytes))
		errors |= one(WEIR_FAULT);
	return errors;
}

u32 requests_submit_errors(const struct vcpu *vcpu, const u64 x[6], u32 *maybe)
{
	const struct vm *vm = vcpu->vm;
	const struct block_disk *disk;
	u64 operation = x[1] >> 8;
	u32 errors = 0;

	if (operation > WEIR_BLOCK_FLUSH)
		return one(WEIR_INVALID);
	if ((x[1] & 0xff) >= vm->config->disk_count)
		return one(WEIR_NOT_FOUND);
	disk = &vm->ipc->block.disk[x[1] & 0xff];
	if (!disk->device)
		return one(WEIR_IO);
	if (broken[disk->device_index])
		*maybe |= one(WEIR_IO) | one(WEIR_OK);
	if (operation == WEIR_BLOCK_FLUSH)
		errors |= x[2] | x[3] | x[4] ? one(WEIR_INVALID) : 0;
	else
		errors |= range_errors(vm, disk, x);
	if (!model_of(vcpu)->honest)
		*maybe |= one(WEIR_QUOTA);
	else if (model_of(vcpu)->count == WEIR_COMPLETIONS)
		errors |= one(WEIR_QUOTA);
	return errors;
}

void requests_answered(const struct vcpu *vcpu, u64 cookie, u32 ends)
{
	struct model *model = model_of(vcpu);

	if (!model->honest)
		return;
	assert_true(model->count < WEIR_COMPLETIONS);
	model->ends[model->count] = ends;
	model->open[model->count++] = cookie;
}

void requests_accepted(const struct vcpu *vcpu, u64 cookie)
{
	requests_answered(vcpu, cookie, one(WEIR_OK) | one(WEIR_IO));
}

u32 requests_room(const struct vcpu *vcpu, u32 ends)
{
	if (!model_of(vcpu)->honest)
		return ends | one(WEIR_QUOTA);
	return model_of(vcpu)->count == WEIR_COMPLETIONS ? one(WEIR_QUOTA) : ends;
}

bool requests_receive(const struct vcpu *vcpu)
{
	struct weir_pages pages = { (struct weir_in *)(uintptr_t)vcpu->ipc->in, vcpu->ipc->out, 0,
				    0 };
	struct model *model = model_of(vcpu);
	struct weir_completion completion;

	if (!model->honest || !weir_block_next(&pages, &completion))
		return false;
	assert_int_equal(completion.reserved, 0);
	for (u32 i = 0; i < model->count; i++)
		if (model->open[i] == completion.cookie) {
			assert_true(model->ends[i] >> -completion.status & 1);
			model->ends[i] = model->ends[--model->count];
			model->open[i] = model->open[model->count];
			return true;
		}
	fail_msg("a completion of nothing, cookie %#lx", (unsigned long)completion.cookie);
}

void requests_lie(const struct vcpu *vcpu)
{
	model_of(vcpu)->honest = false;
	model_of(vcpu)->count = 0;
}

/* ---- Checks ---------------------------------------------------------------------------------- */

static void check_vcpu(const struct vcpu *vcpu)
{
	const struct block_vcpu *block = &vcpu->ipc->block;
	struct model *model = model_of(vcpu);
	u32 in_flight = (u32)__builtin_popcountl(~block->free);

	assert_true(block->head <= block->tail && block->tail <= block->accepted);
	assert_true(block->accepted - block->head <= WEIR_COMPLETIONS);
	assert_int_equal(block->accepted - block->tail, in_flight);
	assert_true(block->tail >= model->tail);
	assert_int_equal(block->out->completion_tail, block->tail);
	model->tail = block->tail;
	if (!model->honest)
		return;
	assert_int_equal(block->accepted - block->in->completion_head, model->count);
	if (block->tail != block->in->completion_head && sources_interrupt(vcpu))
		assert_true(machine.raised[vcpu->vm->id][vcpu->index][WEIR_INTID_BLOCK]);
}

/* What a device has is still a request of its VM, and nobody else sees the memory. */
static void check_device(u32 device)
{
	const struct block_request *request;

	for (u32 i = 0; (request = disk_request(device, i)); i++) {
		const struct block_segment *segment = &request->segment[0];
		u32 owner;

		if (!request->segment_count)
			continue;
		owner = machine_owner(segment->pa.raw);
		assert_false(ipc_vm_idle(machine.vm[owner]));
		assert_true(machine_runs(owner) || machine.vm[owner]->state == VM_DYING);
		assert_false(grant_pages_shared(machine.vm[owner], segment->pa, segment->bytes));
	}
}

void requests_check(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		struct vm *vm = machine.vm[id];

		if (!vm)
			continue;
		if (vm->state == VM_DYING && vm->dying == DYING_CLOSED)
			assert_false(ipc_vm_idle(vm));
		for (u32 i = 0; i < vm->vcpu_count && machine_runs(id); i++)
			check_vcpu(vm->vcpu[i]);
	}
	for (u32 device = 0; device < MACHINE_DEVICES; device++)
		check_device(device);
}

/* A copy that has begun goes with the end of its VM, when that has come to its vCPU. */
static bool ends_with_a_copy(const struct vm *vm)
{
	for (u32 i = 0; vm->state == VM_DYING && i < vm->vcpu_count; i++)
		if (vm->vcpu[i]->ipc->submit.copy.left)
			return true;
	return false;
}

void requests_check_done(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		struct vm *vm = machine.vm[id];

		assert_true(!vm || ipc_vm_idle(vm) || ends_with_a_copy(vm));
		for (u32 i = 0; vm && i < vm->vcpu_count; i++) {
			const struct block_vcpu *block = &vm->vcpu[i]->ipc->block;

			if (machine_runs(id))
				assert_int_equal(block->tail, block->accepted);
		}
	}
}
