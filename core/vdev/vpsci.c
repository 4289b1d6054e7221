/* PSCI for guests (vpsci.h). Locks: vm->lock guards the vCPUs' power states. */
#include "core/vdev/vpsci.h"

#include "core/life.h"
#include "core/sched.h"

/* DEN 0028, 7.1 and DEN 0022, 5.2. */
#define SMCCC_VERSION	    0x80000000u
#define SMCCC_ARCH_FEATURES 0x80000001u
#define SMCCC_1_2	    0x10002u
#define SMC64		    0x40000000u

enum psci_function {
	PSCI_VERSION = 0x84000000,
	PSCI_CPU_SUSPEND = 0x84000001,
	PSCI_CPU_OFF = 0x84000002,
	PSCI_CPU_ON = 0x84000003,
	PSCI_AFFINITY_INFO = 0x84000004,
	PSCI_MIGRATE_INFO_TYPE = 0x84000006,
	PSCI_SYSTEM_OFF = 0x84000008,
	PSCI_SYSTEM_RESET = 0x84000009,
	PSCI_FEATURES = 0x8400000a,
};

#define PSCI_1_1		0x10001
#define PSCI_NOT_SUPPORTED	(-1)
#define PSCI_INVALID_PARAMETERS (-2)
#define PSCI_ALREADY_ON		(-4)
#define PSCI_INVALID_ADDRESS	(-9)
#define PSCI_NO_MIGRATION	2

/* The vCPU with this MPIDR: affinity 0 is the index, all else zero. 0: none. */
static struct vcpu *target_of(struct vm *vm, u64 mpidr)
{
	return mpidr < vm->vcpu_count ? vm->vcpu[index_nospec(mpidr, MAX_VCPUS)] : 0;
}

static s64 cpu_on(struct vcpu *self, u64 mpidr, u64 entry, u64 context)
{
	struct vm *vm = self->vm;
	struct vcpu *target = target_of(vm, mpidr);
	s64 result = 0;

	if (!target)
		return PSCI_INVALID_PARAMETERS;
	if (entry - vm->ram_ipa >= vm->ram_bytes || entry & 3)
		return PSCI_INVALID_ADDRESS;
	spin_lock(&vm->lock);
	if (vm->state != VM_RUNNING || target->power == VCPU_ON) {
		result = PSCI_ALREADY_ON;
	} else {
		target->entry = entry;
		target->context = context;
		target->restart = true;
		target->power = VCPU_ON;
		sched_start(target);
	}
	spin_unlock(&vm->lock);
	return result;
}

static bool is_last_on(const struct vcpu *self) NEEDS(self->vm->lock)
{
	const struct vm *vm = self->vm;

	for (u32 i = 0; i < vm->vcpu_count; i++)
		if (vm->vcpu[i] != self && vm->vcpu[i]->power == VCPU_ON)
			return false;
	return true;
}

/*
 * If others are at it already they stop this vCPU a moment later than now, and the guest would see that a call came back
 * that never does.
 */
static void end_vm(struct vcpu *self, enum vm_end why)
{
	if (!vm_stop(self->vm, why))
		sched_stop(self, false);
}

/* With its last vCPU the VM is off: there is nobody left who could turn one on. */
static void cpu_off(struct vcpu *self)
{
	bool last;

	spin_lock(&self->vm->lock);
	last = self->vm->state == VM_RUNNING && is_last_on(self);
	if (!last) {
		self->power = VCPU_OFF;
		sched_stop(self, false);
	}
	spin_unlock(&self->vm->lock);
	if (last)
		end_vm(self, VM_END_OFF);
}

static s64 affinity_info(struct vcpu *self, u64 mpidr, u64 level)
{
	struct vcpu *target = target_of(self->vm, mpidr);

	if (!target || level)
		return PSCI_INVALID_PARAMETERS;
	return read_once(target->power) == VCPU_ON ? 0 : 1;
}

#define POWER_STATE_RESERVED 0xfffe0000u /* and the levels above a CPU: there is none */

/*
 * A power-down may end as a standby does (DEN 0022, 5.4.5), and here it always does: the vCPU waits as by WFI, which
 * is all that saves anything.
 */
static s64 cpu_suspend(u64 power_state)
{
	if (power_state & POWER_STATE_RESERVED)
		return PSCI_INVALID_PARAMETERS;
	sched_block();
	return 0;
}

#define NUMBERED(function) (1u << ((function)-PSCI_VERSION))
#define FUNCTIONS                                                                                  \
	(NUMBERED(PSCI_VERSION) | NUMBERED(PSCI_CPU_SUSPEND) | NUMBERED(PSCI_CPU_OFF) |            \
	 NUMBERED(PSCI_CPU_ON) | NUMBERED(PSCI_AFFINITY_INFO) | NUMBERED(PSCI_MIGRATE_INFO_TYPE) | \
	 NUMBERED(PSCI_SYSTEM_OFF) | NUMBERED(PSCI_SYSTEM_RESET) | NUMBERED(PSCI_FEATURES))
/* Those that have arguments of 64 bits, and so a second number. */
#define WIDE_FUNCTIONS \
	(NUMBERED(PSCI_CPU_SUSPEND) | NUMBERED(PSCI_CPU_ON) | NUMBERED(PSCI_AFFINITY_INFO))

/* A function of PSCI that there is, by one of its numbers. */
static bool is_function(u32 function)
{
	u32 n = (function & ~SMC64) - PSCI_VERSION;

	return n < 32 && (function & SMC64 ? WIDE_FUNCTIONS : FUNCTIONS) >> n & 1;
}

/* Of SMCCC; whatever else is asked for is not there. */
static s64 serve_smccc(u32 function, u32 a1)
{
	if (function == SMCCC_VERSION)
		return SMCCC_1_2;
	if (function == SMCCC_ARCH_FEATURES && (a1 == SMCCC_VERSION || a1 == SMCCC_ARCH_FEATURES))
		return 0;
	return PSCI_NOT_SUPPORTED;
}

/* Not hot; what every kernel asks first is answered below. */
static RARE APART s64 serve(struct vcpu *self, u32 function, u64 a1, u64 a2, u64 a3)
{
	if (!is_function(function))
		return serve_smccc(function, (u32)a1);
	/* A 32-bit call has 32-bit arguments. */
	if (!(function & SMC64)) {
		a1 = (u32)a1;
		a2 = (u32)a2;
		a3 = (u32)a3;
	}
	switch (function & ~SMC64) {
	case PSCI_CPU_SUSPEND:
		return cpu_suspend((u32)a1);
	case PSCI_CPU_OFF:
		cpu_off(self);
		return 0;
	case PSCI_CPU_ON:
		return cpu_on(self, a1, a2, a3);
	case PSCI_AFFINITY_INFO:
		return affinity_info(self, a1, a2);
	case PSCI_MIGRATE_INFO_TYPE:
		return PSCI_NO_MIGRATION;
	case PSCI_FEATURES:
		return is_function((u32)a1) || a1 == SMCCC_VERSION ? 0 : PSCI_NOT_SUPPORTED;
	case PSCI_SYSTEM_OFF:
		end_vm(self, VM_END_OFF);
		return 0;
	default: /* PSCI_SYSTEM_RESET; PSCI_VERSION was answered */
		end_vm(self, VM_END_RESET);
		return 0;
	}
}

void vpsci_call(struct vcpu *self)
{
	u64 *x = self->arch.x;

	x[0] = (u32)x[0] == PSCI_VERSION ? PSCI_1_1 : (u64)serve(self, (u32)x[0], x[1], x[2], x[3]);
}
