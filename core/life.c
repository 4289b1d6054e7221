/*
 * The life of a virtual machine: its states and the way from one to the next (life.h).
 *
 * Owns:  vm->state and all that stands with it in struct vm.
 * Locks: vm->lock for those; the steps need none, for they run on one core, that of vCPU 0.
 *
 *	off -> building -> running -> dying -> off, or rebuilding -> running
 *
 * Dying has three parts. Leaving: each vCPU leaves its core; nobody knows how long ago the guest's
 * last instruction was until the last of them has. Closing: what the VM had with others is closed,
 * step by step. Closed: nobody but a device may have to do with it; when it has not, the VM is off
 * or begins anew.
 *
 * Steps (closing, building, rebuilding) run in the time of vCPU 0, which the scheduler chooses by
 * its priority and budget as if the guest ran: vm_step() is called in place of entering it.
 */
#include "core/life.h"

#include "arch/arm64/cache.h"
#include "core/base/log.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/machine.h"
#include "core/passthrough.h"
#include "core/sched.h"
#include "core/vdev/virtio.h"

static u32 alive; /* atomic: VMs that are not off */
static bool stay; /* the machine stays on when all are; boot only */

const char *vm_state_name(enum vm_state state)
{
	static const char *const names[] = {
		[VM_OFF] = "off",     [VM_BUILDING] = "building",     [VM_RUNNING] = "running",
		[VM_DYING] = "dying", [VM_REBUILDING] = "rebuilding",
	};

	return names[state];
}

/* ---- Building -------------------------------------------------------------------------------- */

/* vCPU 0 alone is on, and will begin at the VM's entry. */
static void power_on(struct vm *vm)
{
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vm->vcpu[i]->power = i == 0 ? VCPU_ON : VCPU_OFF;
	vm->vcpu[0]->entry = vm->entry_ipa;
	vm->vcpu[0]->context = vm->tree_ipa;
	vm->vcpu[0]->restart = true;
}

/* vCPU 0, which is on no core, is to run steps. */
static void start_steps(struct vm *vm)
{
	vm->vcpu[0]->turns = TURNS_VM;
	sched_start(vm->vcpu[0]);
}

/* The VM's state says already that it is being built; none of its vCPUs is on a core. */
static void build(struct vm *vm)
{
	power_on(vm);
	vuart_reset(vm);
	vgic_init(vm);
	virtio_reset(vm);
	stage2_forget(&vm->stage2);
	guest_tree_reseed(vm->seed);
	start_steps(vm);
}

static void build_step(struct vm *vm)
{
	bool done;

	if (vm_fill_step(vm, &vm->work.filled) || passthrough_step(vm, true))
		return;
	/* At boot ipc_vm_create() has done it. */
	if (vm->life > 1 && ipc_vm_rebuild(vm, &vm->work))
		return;
	cache_invalidate_instructions(); /* the kernel was written as data */
	spin_lock(&vm->lock);
	done = vm->state != VM_DYING; /* else it was stopped in between */
	if (done) {
		vm->vcpu[0]->turns = TURNS_GUEST;
		vm->state = VM_RUNNING;
	}
	spin_unlock(&vm->lock);
	if (done)
		ipc_vm_changed(vm);
	if (done && vm->life > 1)
		log_line("%s starts again", vm->config->name);
}

/* ---- Dying ----------------------------------------------------------------------------------- */

/*
 * Closed, and if no device has a request of it any more the next state. Whoever comes last finds
 * that: the last request is over before it is asked for here, `closed` is set before that.
 */
static void try_end(struct vm *vm)
{
	u64 life = __atomic_load_n(&vm->life, __ATOMIC_ACQUIRE); /* before the look */
	bool mine, again;

	if (!ipc_vm_idle(vm))
		return;
	spin_lock(&vm->lock);
	/* In another life than the one that was idle there may be new requests. */
	mine = vm->life == life && vm->state == VM_DYING && vm->dying == DYING_CLOSED;
	again = vm->again;
	if (mine) {
		vm->life += again;
		vm->state = again ? VM_REBUILDING : VM_OFF;
	}
	spin_unlock(&vm->lock);
	if (!mine)
		return;
	if (again) {
		build(vm);
		return;
	}
	ipc_vm_changed(vm);
	if (__atomic_sub_fetch(&alive, 1, __ATOMIC_ACQ_REL) || stay)
		return;
	log_line("all VMs are off, powering off");
	machine_off();
}

void vm_device_done(struct vm *vm)
{
	try_end(vm);
}

static void set_dying(struct vm *vm, enum vm_dying dying)
{
	spin_lock(&vm->lock);
	vm->dying = dying;
	spin_unlock(&vm->lock);
}

/* No vCPU of it is on a core any more. */
static void all_left(struct vm *vm)
{
	if (vm->dying == DYING_LEAVING) {
		vuart_flush(vm);
		power_on(vm);
		set_dying(vm, DYING_CLOSING);
		start_steps(vm);
	} else {
		vm->vcpu[0]->turns = TURNS_GUEST;
		set_dying(vm, DYING_CLOSED);
		try_end(vm);
	}
}

void vm_vcpu_left(struct vm *vm)
{
	if (!__atomic_sub_fetch(&vm->ending, 1, __ATOMIC_ACQ_REL))
		all_left(vm);
}

static void close_step(struct vm *vm)
{
	if (fault_report(vm) || passthrough_step(vm, false) || ipc_vm_stop(vm, &vm->work))
		return;
	/* Now vCPU 0 leaves too: it is on this core. */
	__atomic_store_n(&vm->ending, 1, __ATOMIC_RELEASE);
	sched_stop(vm->vcpu[0], true);
}

/* From running: all vCPUs leave. From building: vCPU 0 alone is there, and goes on with other steps.
 */
static void begin_dying(struct vm *vm, bool again, bool guests) NEEDS(vm->lock)
{
	vm->again = again;
	vm->dying = guests ? DYING_LEAVING : DYING_CLOSING;
	vm->state = VM_DYING;
}

static void leave_cores(struct vm *vm)
{
	/* One for each vCPU, and one that keeps the VM from ending while the loop is at it. */
	__atomic_store_n(&vm->ending, vm->vcpu_count + 1, __ATOMIC_RELEASE);
	for (u32 i = 0; i < vm->vcpu_count; i++)
		if (sched_stop(vm->vcpu[i], true))
			vm_vcpu_left(vm);
	vm_vcpu_left(vm);
}

bool vm_stop(struct vm *vm, enum vm_end why)
{
	enum on_fault policy = vm->config->on_fault;
	bool mine;

	spin_lock(&vm->lock);
	mine = vm->state == VM_RUNNING;
	if (mine)
		begin_dying(vm,
			    why == VM_END_RESET ||
				    (why == VM_END_FAULT && policy == ON_FAULT_RESTART),
			    true);
	spin_unlock(&vm->lock);
	if (!mine)
		return false;
	leave_cores(vm);
	if (why == VM_END_FAULT && policy == ON_FAULT_STOP_MACHINE) {
		log_line("%s faulted and its on-fault is stop-machine: powering off",
			 vm->config->name);
		machine_off();
	}
	return true;
}

/* ---- From outside ---------------------------------------------------------------------------- */

/* What a command does to a VM is decided under its lock, and done after it. */
enum deed { NOTHING, BUILD, LEAVE };

static enum deed start_off(struct vm *vm) NEEDS(vm->lock)
{
	vm->life++;
	vm->state = VM_BUILDING;
	__atomic_add_fetch(&alive, 1, __ATOMIC_RELAXED);
	return BUILD;
}

static enum deed end(struct vm *vm, bool again) NEEDS(vm->lock)
{
	switch (vm->state) {
	case VM_RUNNING:
		begin_dying(vm, again, true);
		return LEAVE;
	case VM_BUILDING:
	case VM_REBUILDING:
		begin_dying(vm, again, false);
		return NOTHING;
	case VM_DYING:
		vm->again = again;
		return NOTHING;
	default:
		return again ? start_off(vm) : NOTHING;
	}
}

enum weir_status vm_command(struct vm *vm, enum vm_command what, u64 life)
{
	enum weir_status status = WEIR_OK;
	enum deed deed = NOTHING;

	spin_lock(&vm->lock);
	if (life != VM_ANY_LIFE && life != vm->life)
		status = WEIR_STALE;
	else if (what != VM_START)
		deed = end(vm, what == VM_RESTART);
	else if (vm->state == VM_OFF)
		deed = start_off(vm);
	else
		status = WEIR_BUSY;
	spin_unlock(&vm->lock);
	if (deed == BUILD)
		build(vm);
	else if (deed == LEAVE)
		leave_cores(vm);
	return status;
}

void vm_start_all(bool stay_on)
{
	stay = stay_on;
	for (u32 id = 0; id < vm_count(); id++)
		if (vm_get(id))
			vm_command(vm_get(id), VM_START, VM_ANY_LIFE);
}

/* ---- Called by the scheduler ----------------------------------------------------------------- */

void vm_step(struct vm *vm)
{
	enum vm_state state = read_once(vm->state);

	if (vm->work.state != state) {
		vm->work = (struct vm_work){ .state = state };
		ipc_vm_changed(vm);
	}
	if (state == VM_DYING)
		close_step(vm);
	else
		build_step(vm);
}
