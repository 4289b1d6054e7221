/* A model of the submission rings (commands.h). */
#include "commands.h"

#include <string.h>
#include <weir/submit.h>
#include "core/memory.h"
#include "events.h"
#include "ipc/submit.h"
#include "requests.h"

static struct model {
	u64 head, tail; /* of what was put */
	struct weir_command put[WEIR_COMMANDS];
	bool lies;    /* what is there is no command */
	bool partial; /* a part of the copy at the head was made before */
} models[MACHINE_VMS][MACHINE_VCPUS];

/* Whose ring is drained, and under it whose by the core into which another came. */
static const struct vm *copier, *outer;

static u32 one(enum weir_status status)
{
	return 1u << -status;
}

static struct model *model_of(const struct vcpu *vcpu)
{
	return &models[vcpu->vm->id][vcpu->index];
}

static struct weir_in *in_of(const struct vcpu *vcpu)
{
	return (struct weir_in *)(uintptr_t)vcpu->ipc->in;
}

void commands_begin(u32 vm)
{
	memset(models[vm], 0, sizeof(models[vm]));
}

void commands_reset(void)
{
	memset(models, 0, sizeof(models));
	copier = outer = 0;
}

void commands_put(const struct vcpu *vcpu, u64 what, u64 first, u64 second)
{
	struct model *model = model_of(vcpu);
	struct weir_command command = { what, { first, second }, requests_cookie() };

	if (model->lies || model->tail - model->head == WEIR_COMMANDS)
		return;
	model->put[model->tail % WEIR_COMMANDS] = command;
	in_of(vcpu)->command[model->tail++ % WEIR_COMMANDS] = command;
	in_of(vcpu)->submit_tail = model->tail;
}

/* Only when nothing is in the ring, which would be lost. */
void commands_lie(const struct vcpu *vcpu, u64 tail)
{
	struct model *model = model_of(vcpu);

	if (model->head != model->tail)
		return;
	model->lies = true;
	for (u32 i = 0; i < WEIR_COMMANDS; i++)
		in_of(vcpu)->command[i].what = i % 2 ? UINT64_MAX - i : 1ul << (8 + i % 56) | 1;
	in_of(vcpu)->submit_tail = tail;
}

/* ---- What a command may end with ---------------------------------------------------------------------- */

static bool in_ram(const struct vm *vm, u64 ipa)
{
	return ipa - VM_RAM_BASE < vm->ram_bytes || ipa - VM_WINDOW_BASE < vm->window_bytes;
}

static enum weir_status page_status(const struct vm *vm, u64 ipa, bool write)
{
	enum stage2_kind kind = fake_stage2_kind(&vm->stage2, ipa);

	if (!in_ram(vm, ipa) || kind == STAGE2_NONE || (write && kind == STAGE2_SHARED_READ))
		return WEIR_FAULT;
	if (align_down(fake_stage2_pa(&vm->stage2, ipa), PAGE_SIZE) == (u64)vm->ipc->grant.scratch)
		return WEIR_CLOSED;
	return WEIR_OK;
}

/* From here on, as windows are now. */
static u32 copy_ends(const struct vm *vm, const struct weir_command *command)
{
	u64 to = command->argument[0], from = command->argument[1], bytes = command->what >> 32;
	enum weir_status status = WEIR_OK;

	if ((u32)command->what != WEIR_COMMAND_COPY || (to | from | bytes) % 8 || !bytes ||
	    bytes > WEIR_COPY_BYTES_MAX)
		return one(WEIR_INVALID);
	for (u64 at = 0; at < bytes && status == WEIR_OK; at += 8) {
		status = page_status(vm, from + at, false);
		if (status == WEIR_OK)
			status = page_status(vm, to + at, true);
	}
	return one(status);
}

static u32 block_ends(const struct vcpu *vcpu, const struct weir_command *command)
{
	const u64 x[] = { 0,
			  command->what >> 8 & 0xffffff,
			  command->argument[0],
			  command->what >> 32,
			  command->argument[1],
			  command->cookie };
	u32 maybe = 0, errors = requests_submit_errors(vcpu, x, &maybe);

	return maybe | (errors ? errors : one(WEIR_OK));
}

static u32 event_ends(const struct vcpu *vcpu, const struct weir_command *command)
{
	u32 errors = command->what != WEIR_COMMAND_EVENT
			     ? one(WEIR_INVALID)
			     : events_send_errors(vcpu->vm->id, command->argument[0]);

	return errors ? errors : one(WEIR_OK);
}

/* What it ended with, and what follows from that. */
static void judge(const struct vcpu *vcpu, struct model *model, bool sure)
{
	const struct weir_command *command = &model->put[model->head % WEIR_COMMANDS];
	enum weir_status status =
		(enum weir_status)vcpu->ipc->out->submit_status[model->head % WEIR_COMMANDS];
	bool request =
		(u8)command->what == WEIR_COMMAND_BLOCK || (u8)command->what == WEIR_COMMAND_COPY;
	u32 ends = one(WEIR_INVALID);

	if ((u8)command->what == WEIR_COMMAND_BLOCK)
		ends = block_ends(vcpu, command);
	else if (request)
		ends = copy_ends(vcpu->vm, command);
	else if ((u8)command->what == WEIR_COMMAND_EVENT)
		ends = event_ends(vcpu, command);
	if (request && !model->partial)
		ends = requests_room(vcpu, ends);
	if (model->partial)
		ends = one(WEIR_OK) | one(WEIR_FAULT) | one(WEIR_CLOSED);
	if (sure && !(ends >> -status & 1))
		fail_msg("command %#lx ended with %d, not one of %#x", (unsigned long)command->what,
			 status, ends);
	if (!request && status == WEIR_OK)
		events_raise_peer(vcpu->vm->id, command->argument[0] & 0xffff);
	if ((u8)command->what == WEIR_COMMAND_BLOCK && status == WEIR_OK)
		requests_accepted(vcpu, command->cookie);
	else if (request && status != WEIR_QUOTA && !model->partial)
		requests_answered(vcpu, command->cookie, one(status));
	model->partial = false;
}

/* ---- A drain ------------------------------------------------------------------------------------------- */

void commands_before(const struct vcpu *vcpu)
{
	outer = copier;
	copier = vcpu->vm;
}

void commands_after(const struct vcpu *vcpu, bool sure)
{
	struct model *model = model_of(vcpu);
	u64 head = vcpu->ipc->submit.head;
	const struct copy *copy = &vcpu->ipc->submit.copy;

	copier = outer;
	outer = 0;
	if (vcpu->ipc->submit.stopped)
		return;
	assert_int_equal(vcpu->ipc->out->submit_head, head);
	assert_true(head >= model->head);
	for (; model->lies && model->head < head; model->head++)
		assert_int_equal(vcpu->ipc->out->submit_status[model->head % WEIR_COMMANDS],
				 WEIR_INVALID);
	if (model->lies) { /* an honest one goes on from here */
		model->lies = false;
		model->tail = head;
		in_of(vcpu)->submit_tail = head;
	}
	assert_true(head <= model->tail);
	for (; model->head < head; model->head++)
		judge(vcpu, model, sure);
	if (copy->left && !model->partial) {
		model->partial = true;
		requests_answered(vcpu, model->put[head % WEIR_COMMANDS].cookie,
				  one(WEIR_OK) | one(WEIR_FAULT) | one(WEIR_CLOSED));
	}
}

void commands_finish(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		struct vm *vm = machine.vm[id];

		for (u32 i = 0; vm && machine_runs(id) && i < vm->vcpu_count; i++) {
			commands_before(vm->vcpu[i]);
			submit_drain(vm->vcpu[i], UINT64_MAX);
			commands_after(vm->vcpu[i], true);
			assert_false(submit_waits(vm->vcpu[i]));
		}
	}
}

/* What a copy touches is seen by the VM for which it is made, and may be written. */
static bool may_touch(pa_t pa, bool write)
{
	const u64 bases[] = { VM_RAM_BASE, VM_WINDOW_BASE };
	const u64 sizes[] = { copier->ram_bytes, copier->window_bytes };

	for (u32 i = 0; i < 2; i++)
		for (u64 at = 0; at < sizes[i]; at += PAGE_SIZE)
			if (fake_stage2_pa(&copier->stage2, bases[i] + at) ==
				    align_down(pa.raw, PAGE_SIZE) &&
			    page_status(copier, bases[i] + at, write) == WEIR_OK)
				return true;
	return false;
}

static u8 ram[MACHINE_VMS][MACHINE_RAM_BYTES];

/* Memory of the host for what is the VMs'. */
void *mmu_window(enum window window, pa_t pa)
{
	u32 owner = machine_owner(pa.raw);

	if (copier) {
		assert_true(owner < MACHINE_VMS);
		assert_true(may_touch(pa, window == WINDOW_TARGET));
	}
	if (owner == MACHINE_VMS)
		return (void *)pa.raw;
	return ram[owner] + (pa.raw - machine.vm[owner]->ram.raw);
}

/* To the end of the page at most. */
void cache_clean_invalidate(const void *start, u64 bytes)
{
	assert_true(copier && bytes > 0 && (u64)start % 8 == 0);
	assert_true(bytes <= PAGE_SIZE);
}

void commands_check(void)
{
	for (u32 id = 0; id < MACHINE_VMS; id++) {
		struct vm *vm = machine.vm[id];

		for (u32 i = 0; vm && machine_runs(id) && i < vm->vcpu_count; i++) {
			const struct submit_vcpu *ring = &vm->vcpu[i]->ipc->submit;

			assert_false(ring->stopped);
			assert_int_equal(ring->head, models[id][i].head);
			assert_int_equal(vm->vcpu[i]->ipc->out->submit_wanted, ring->asleep);
		}
		for (u32 i = 0; vm && machine_closed(id) && i < vm->vcpu_count; i++)
			assert_int_equal(vm->vcpu[i]->ipc->submit.copy.left, 0);
	}
}
