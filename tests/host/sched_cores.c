/* The scheduler's surroundings in tests (sched_cores.h). */
#include "sched_cores.h"

#include <stdio.h>
#include <string.h>
#include "arch/arm64/cpu.h"
#include "core/fault.h"
#include "core/hypercall.h"
#include "core/irq.h"
#include "core/life.h"

static struct manifest_vm config[VCPUS];
static struct vm vms[VCPUS];
struct vcpu vcpus[VCPUS];

u64 now;
char calls[512];
u32 kicks[MAX_PCPUS], left[VCPUS], steps, interrupts;
u64 step_ticks;
bool pending, wfi_trap;
struct vcpu *serror, *sibling;
enum vcpu_run run_when_asked;

static const char *between; /* the call at which another core comes in */
static void (*other)(void);
static jmp_buf idle;

static char name(const struct vcpu *vcpu)
{
	return (char)('a' + (vcpu - vcpus));
}

static void note(const char *call, const struct vcpu *vcpu)
{
	size_t length = strlen(calls);
	u32 core = cpu_index();

	snprintf(calls + length, sizeof(calls) - length, "%s%s %c", length ? ", " : "", call,
		 name(vcpu));
	if (!between || strcmp(call, between))
		return;
	between = 0;
	fake_cpu_set_index(!core);
	other();
	fake_cpu_set_index(core);
}

void meanwhile(const char *call, void (*what)(void))
{
	between = call;
	other = what;
}

/* ---- What is below and beside the scheduler ------------------------------------------------------ */

u64 gic_kick_word(u32 core)
{
	return core + 1;
}

void gic_kick(u32 core)
{
	kicks[core]++;
}

void vgic_load(struct vcpu *vcpu)
{
	note("vgic_load", vcpu);
}

void vgic_save(struct vcpu *vcpu)
{
	note("vgic_save", vcpu);
}

void vgic_settle(struct vcpu *vcpu)
{
	run_when_asked = vcpu->run;
	note("settle", vcpu);
}

bool vgic_pending(struct vcpu *vcpu)
{
	bool was = pending;

	run_when_asked = vcpu->run;
	note("pending", vcpu);
	return was;
}

/* The EL1 physical timer of a vCPU: tests/guest/ptimer.c. */
void vptimer_init(struct vptimer *timer)
{
	(void)timer;
}

void vptimer_reset(struct vptimer *timer)
{
	(void)timer;
}

void vgic_timer_fired(struct vcpu *vcpu)
{
	note("timer", vcpu);
}

void vgic_vcpu_reset(struct vcpu *vcpu)
{
	note("vgic_reset", vcpu);
}

void arch_vcpu_load(struct arch_vcpu *vcpu)
{
	note("load", container_of(vcpu, struct vcpu, arch));
}

bool arch_vcpu_save(struct arch_vcpu *arch)
{
	struct vcpu *vcpu = container_of(arch, struct vcpu, arch);
	bool left_one = vcpu == serror;

	note("save", vcpu);
	if (left_one)
		serror = 0;
	return left_one;
}

/* Ends the VM, as core/fault.c does; the other one is of the same VM, or none. */
void vm_fault(struct vcpu *self, const char *what)
{
	assert_string_equal(what, FAULT_SERROR);
	assert_ptr_equal(sched_current(), self);
	note("fault", self);
	assert_false(sched_stop(self, true));
	if (sibling)
		assert_false(sched_stop(sibling, true));
}

void arch_vcpu_reset(struct arch_vcpu *vcpu, u64 entry, u64 context)
{
	assert_int_equal(entry, 0x1000);
	assert_int_equal(context, 0x2000);
	note("reset", container_of(vcpu, struct vcpu, arch));
}

void arch_set_wfi_trap(struct arch_vcpu *vcpu, bool trap)
{
	(void)vcpu;
	wfi_trap = trap;
}

void vm_vcpu_left(struct vm *vm)
{
	assert_null(sched_current()); /* it is off the core when its VM hears of it */
	left[vm - vms]++;
}

void vm_step(struct vm *vm)
{
	if (!--steps)
		vm->vcpu[0]->turns = TURNS_GUEST;
}

void vgic_ask_step(struct vcpu *vcpu)
{
	note("ask", vcpu);
	if (!--steps)
		vcpu->turns = TURNS_GUEST;
}

void ipc_vcpu_step(struct vcpu *vcpu)
{
	note("step", vcpu);
	now += step_ticks;
	fake_timer_set(now);
	if (!--steps)
		vcpu->turns = TURNS_GUEST;
}

void irq_handle(struct vcpu *current)
{
	assert_ptr_equal(current, sched_current());
	interrupts++;
	if (fake_timer_el2_deadline() <= now)
		timeout_interrupt();
}

/* The core would sleep: back to the test. */
void cpu_wait(void)
{
	longjmp(idle, 1);
}

/* ---- Steps of a test ----------------------------------------------------------------------------- */

void on(u32 core)
{
	fake_cpu_set_index(core);
}

struct vcpu *next(void)
{
	if (setjmp(idle))
		return 0;
	return sched_next();
}

void pass(u64 ticks)
{
	now += ticks;
	fake_timer_set(now);
	timeout_interrupt();
}

void forget(void)
{
	calls[0] = 0;
	memset(kicks, 0, sizeof(kicks));
}

static u32 turns; /* of a communication core */

bool ipc_comm_turn(u32 core)
{
	assert_int_equal(core, cpu_index());
	return turns-- != 0;
}

void communicate(u32 count)
{
	turns = count;
	interrupts = 0;
	if (!setjmp(idle))
		sched_communicate();
}

struct vcpu *block(void)
{
	sched_block();
	return next();
}

void add(struct vcpu *vcpu, u32 core, u8 priority, u32 budget_us, u32 period_us)
{
	u32 index = (u32)(vcpu - vcpus);

	config[index].budget_us = budget_us;
	config[index].period_us = period_us;
	vms[index].config = &config[index];
	vms[index].state = VM_RUNNING;
	vcpu->vm = &vms[index];
	vms[index].vcpu[0] = vcpu;
	vcpu->core = core;
	vcpu->priority = priority;
	vcpu->entry = 0x1000;
	vcpu->context = 0x2000;
	sched_add(vcpu);
}

void add_ready(struct vcpu *vcpu, u32 core, u8 priority)
{
	add(vcpu, core, priority, 0, 0);
	sched_start(vcpu);
}

int cores_make(void **state)
{
	(void)state;
	memset(vcpus, 0, sizeof(vcpus));
	memset(vms, 0, sizeof(vms));
	memset(config, 0, sizeof(config));
	memset(left, 0, sizeof(left));
	forget();
	between = 0;
	serror = sibling = 0;
	pending = false;
	now = 100 * MS;
	fake_timer_set(now);
	for (u32 core = MAX_PCPUS; core--;) {
		on(core);
		timeout_init_core();
		sched_init_core(core);
	}
	return 0;
}

int cores_empty(void **state)
{
	(void)state;
	between = 0;
	for (u32 i = 0; i < VCPUS; i++)
		if (vcpus[i].vm)
			sched_stop(&vcpus[i], false);
	for (u32 core = 0; core < MAX_PCPUS; core++) {
		on(core);
		assert_null(next());
		assert_null(sched_current());
	}
	return 0;
}
