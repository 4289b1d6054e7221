/*
 * The benchmark build's measuring inside EL2: the longest path of each class of exit, EL2's ticks
 * by VM, and how long an upcall takes; where all instructions of a life are counted (life_count.h), these alone.
 *
 * It stands around the entries of core/trap.c by the linker's --wrap, so the product knows nothing
 * of it. A path begins at the first C instruction after entry.S, ends at the last before it, and is
 * cut where the core waits for interrupts, and where it looks at them before and after a VM's step. Ticks are the counter's: instructions of all cores under
 * icount, so a path during which another core runs is too long by that; the images let one core run
 * at a time.
 *
 * Owns: one struct core_stats a core, no lock; the one question in flight, by `ping.state`.
 */
#include "arch/arm64/exit.h"
#include "arch/arm64/cpu.h"
#include "core/base/log.h"
#include "core/base/string.h"
#include "core/console.h"
#include "core/irq.h"
#include "core/life.h"
#include "core/sched.h"
#include "drivers/gic.h"
#include "ipc/upcall.h"
#include "tests/bench/hypervisor/life_count.h"
#include "tests/bench/hypervisor/stats_call.h"
#include "tests/bench/mark.h"

/* Exits by their cause, and the steps of VMs that begin or end, which wait for no exit. */
enum exit_class {
	EXIT_HYPERCALL,
	EXIT_PSCI,
	EXIT_MMIO,
	EXIT_SYSREG,
	EXIT_WFI,
	EXIT_FP,
	EXIT_FAULT,
	EXIT_INTERRUPT,
	VM_STEP,
	EXIT_CLASSES,
};

struct longest {
	u64 ticks, count;
	u64 detail; /* what it was: function number, IPA, else ESR_EL2 */
};

struct core_stats {
	u64 entered;	/* 0: no guest has run here yet */
	u64 exit_ticks; /* of the exit up to where it was cut */
	enum exit_class class;
	u64 detail;
	bool stepped; /* the path is a VM's step, which has just returned */
	struct longest longest[EXIT_CLASSES];
	u64 vm_ticks[MAX_VMS];
};

static struct core_stats stats[MAX_PCPUS];
static bool any_stepped; /* one of them has `stepped`, or had */

static const char *const class_name[EXIT_CLASSES] = {
	[EXIT_HYPERCALL] = "hypercall",
	[EXIT_PSCI] = "psci",
	[EXIT_MMIO] = "mmio",
	[EXIT_SYSREG] = "sysreg",
	[EXIT_WFI] = "wfi",
	[EXIT_FP] = "fp",
	[EXIT_FAULT] = "fault",
	[EXIT_INTERRUPT] = "interrupt",
	[VM_STEP] = "vm_step",
};

/* What the linker makes of the names (--wrap). */
struct arch_vcpu *__real_trap_hvc(struct arch_vcpu *arch, u64 number);
struct arch_vcpu *__real_trap_sent(struct arch_vcpu *arch, enum trap_send how);
struct arch_vcpu *__real_trap_sync(struct arch_vcpu *arch);
struct arch_vcpu *__real_trap_irq(struct arch_vcpu *arch);
struct arch_vcpu *__real_trap_serror(struct arch_vcpu *arch);
void __real_vm_step(struct vm *vm);
void __real_ipc_vcpu_step(struct vcpu *vcpu);
void __real_irq_handle(struct vcpu *current);
void __real_cpu_wait(void);
void __real_cpu_power_off(void);
struct arch_vcpu *__wrap_trap_hvc(struct arch_vcpu *arch, u64 number);
struct arch_vcpu *__wrap_trap_sent(struct arch_vcpu *arch, enum trap_send how);
struct arch_vcpu *__wrap_trap_sync(struct arch_vcpu *arch);
struct arch_vcpu *__wrap_trap_irq(struct arch_vcpu *arch);
struct arch_vcpu *__wrap_trap_serror(struct arch_vcpu *arch);
void __wrap_vm_step(struct vm *vm);
void __wrap_ipc_vcpu_step(struct vcpu *vcpu);
void __wrap_irq_handle(struct vcpu *current);
void __wrap_cpu_wait(void);
void __wrap_cpu_power_off(void);

/* ---- The longest path ------------------------------------------------------------------------ */

static struct core_stats *begin(void)
{
	struct core_stats *core = &stats[cpu_index()];

	core->exit_ticks = 0;
	core->entered = timer_now();
	return core;
}

/* What was executed since the path began, or went on after a wait. */
static void cut(struct core_stats *core)
{
	u64 ticks = timer_now() - core->entered;
	struct longest *longest = &core->longest[core->class];

	core->exit_ticks += ticks;
	longest->count++;
	if (ticks <= longest->ticks)
		return;
	longest->ticks = ticks;
	longest->detail = core->detail;
}

static struct arch_vcpu *end(struct core_stats *core, struct vcpu *self, struct arch_vcpu *next)
{
	cut(core);
	core->vm_ticks[self->vm->id] += core->exit_ticks;
	return next;
}

void __wrap_cpu_wait(void)
{
	struct core_stats *core = &stats[cpu_index()];

	if (!core->entered) {
		__real_cpu_wait();
		return;
	}
	cut(core);
	__real_cpu_wait();
	core->entered = timer_now();
}

/* A step is a path of its own, up to the look at interrupts after it. */
void __wrap_vm_step(struct vm *vm)
{
	struct core_stats *core = &stats[cpu_index()];

	if (core->entered)
		cut(core);
	life_before_step(vm);
	core->class = VM_STEP;
	core->detail = vm->state;
	core->entered = timer_now();
	__real_vm_step(vm);
	core->stepped = any_stepped = true;
}

/* So is one of a call; but it is time in which the VM lives. */
void __wrap_ipc_vcpu_step(struct vcpu *vcpu)
{
	struct core_stats *core = &stats[cpu_index()];

	if (core->entered)
		cut(core);
	core->class = VM_STEP;
	core->detail = vcpu->vm->state;
	core->entered = timer_now();
	__real_ipc_vcpu_step(vcpu);
	core->stepped = true;
}

/* Behind a step: what is handled now is late by that step and no more. */
void __wrap_irq_handle(struct vcpu *current)
{
	struct core_stats *core;

	if (!any_stepped) {
		__real_irq_handle(current);
		return;
	}
	core = &stats[cpu_index()];
	any_stepped = !life_alone;
	if (core->stepped) {
		core->stepped = false;
		cut(core);
		life_behind_step();
		core->class = EXIT_INTERRUPT;
		core->entered = timer_now();
	}
	__real_irq_handle(current);
}

/* ---- Upcalls --------------------------------------------------------------------------------- */

enum ping_state { PING_IDLE, PING_ASKED, PING_OPEN, PING_ANSWERED };

static struct {
	enum ping_state state; /* atomic; the fields are the asking core's before ASKED, then the */
	struct vcpu *target;   /* target's until ANSWERED */
	u64 since, ticks;
	enum weir_status status;
} ping;

static void ping_answered(void *context, enum weir_status status, const u64 reply[6])
{
	(void)context;
	(void)reply;
	MARK("to upcall.ping");
	ping.ticks = timer_now() - ping.since;
	ping.status = status;
	__atomic_store_n(&ping.state, PING_ANSWERED, __ATOMIC_RELEASE);
}

/* On the target's core. */
static void ping_ask(void)
{
	static const u64 argument[4];
	u64 deadline = timer_now() + timer_from_us(1000000);
	enum weir_status status;

	ping.state = PING_OPEN;
	status = upcall_request(ping.target, WEIR_SERVICE_PING, argument, deadline, ping_answered,
				0);
	if (status != WEIR_OK)
		ping_answered(0, status, 0);
}

static enum weir_status ping_start(u64 vm_id)
{
	struct vm *vm = vm_id < vm_count() ? vm_get((u32)vm_id) : 0;

	if (!vm)
		return WEIR_NOT_FOUND;
	ping.target = vm->vcpu[0];
	MARK("from upcall.ping");
	ping.since = timer_now();
	if (ping.target->core == cpu_index()) {
		ping_ask();
		return WEIR_OK;
	}
	__atomic_store_n(&ping.state, PING_ASKED, __ATOMIC_RELEASE);
	gic_kick(ping.target->core);
	return WEIR_OK;
}

static enum weir_status stats_call(struct vcpu *self, u64 *x)
{
	u64 total = 0;

	switch (x[1]) {
	case STATS_EL2_TICKS:
		for (u32 i = 0; i < MAX_PCPUS; i++)
			total += stats[i].vm_ticks[self->vm->id];
		x[1] = total;
		return WEIR_OK;
	case STATS_PING:
		return ping_start(x[2]);
	case STATS_PING_RESULT:
		if (__atomic_load_n(&ping.state, __ATOMIC_ACQUIRE) != PING_ANSWERED)
			return WEIR_AGAIN;
		x[1] = ping.ticks;
		return ping.status;
	default:
		return WEIR_INVALID;
	}
}

/* ---- Around core/trap.c ---------------------------------------------------------------------- */

static struct vcpu *vcpu_of(struct arch_vcpu *arch)
{
	return container_of(arch, struct vcpu, arch);
}

/* What the guest asked for is done; who runs next is decided as after any other exit. */
static struct arch_vcpu *serve_stats(struct vcpu *self)
{
	self->arch.x[0] = (u64)(s64)stats_call(self, self->arch.x);
	return *self->sched_needed ? &sched_next()->arch : 0;
}

struct arch_vcpu *__wrap_trap_hvc(struct arch_vcpu *arch, u64 number)
{
	struct core_stats *core;

	if (life_alone)
		return __real_trap_hvc(arch, number);
	if (arch->x[0] == WEIR_FN(STATS_CALL))
		return serve_stats(vcpu_of(arch));
	core = begin();
	core->class = (arch->x[0] >> 24 & 0x3f) == 6 ? EXIT_HYPERCALL : EXIT_PSCI;
	core->detail = arch->x[0];
	return end(core, vcpu_of(arch), __real_trap_hvc(arch, number));
}

/* What trap_send() itself takes cannot be seen from here, for all registers are a guest's then. */
struct arch_vcpu *__wrap_trap_sent(struct arch_vcpu *arch, enum trap_send how)
{
	struct core_stats *core = begin();

	core->class = EXIT_HYPERCALL;
	core->detail = WEIR_FN(WEIR_FN_EVENT_SEND);
	return end(core, vcpu_of(arch), __real_trap_sent(arch, how));
}

/* ESR_EL2.EC, DDI 0487 D19.2.37. */
static enum exit_class class_of(u64 syndrome)
{
	switch (syndrome >> 26 & 0x3f) {
	case 0x01:
		return EXIT_WFI;
	case 0x07:
		return EXIT_FP;
	case 0x16:
	case 0x17:
		return EXIT_PSCI;
	case 0x18:
		return EXIT_SYSREG;
	case 0x24: /* below Weir's pages there are only devices */
		return arch_exit_ipa().raw < VM_SHARED_BASE ? EXIT_MMIO : EXIT_FAULT;
	default:
		return EXIT_FAULT;
	}
}

static __attribute__((noinline)) struct arch_vcpu *measured_sync(struct arch_vcpu *arch)
{
	struct core_stats *core = begin();
	u64 syndrome = arch_exit_syndrome();

	core->class = class_of(syndrome);
	core->detail = core->class == EXIT_MMIO ? arch_exit_ipa().raw : syndrome;
	return end(core, vcpu_of(arch), __real_trap_sync(arch));
}

static __attribute__((noinline)) struct arch_vcpu *marked_sync(struct arch_vcpu *arch)
{
	return life_mark(arch) ? 0 : __real_trap_sync(arch);
}

struct arch_vcpu *__wrap_trap_sync(struct arch_vcpu *arch)
{
	if (!life_alone)
		return measured_sync(arch);
	if (arch_exit_syndrome() >> 26 == EC_SYSREG)
		return marked_sync(arch);
	return __real_trap_sync(arch);
}

struct arch_vcpu *__wrap_trap_irq(struct arch_vcpu *arch)
{
	struct core_stats *core;

	if (life_alone)
		return __real_trap_irq(arch);
	if (__atomic_load_n(&ping.state, __ATOMIC_ACQUIRE) == PING_ASKED &&
	    ping.target->core == cpu_index())
		ping_ask();
	core = begin();
	core->class = EXIT_INTERRUPT;
	core->detail = 0;
	return end(core, vcpu_of(arch), __real_trap_irq(arch));
}

struct arch_vcpu *__wrap_trap_serror(struct arch_vcpu *arch)
{
	struct core_stats *core = begin();

	core->class = EXIT_FAULT;
	core->detail = arch_exit_syndrome();
	return end(core, vcpu_of(arch), __real_trap_serror(arch));
}

void __wrap_cpu_power_off(void)
{
	for (u32 class = 0; class < EXIT_CLASSES; class ++) {
		struct longest all = { 0 };

		for (u32 i = 0; i < MAX_PCPUS; i++) {
			const struct longest *one = &stats[i].longest[class];
			u64 count = all.count + one->count;

			if (one->ticks > all.ticks)
				all = *one;
			all.count = count;
		}
		log_line("longest %s %lu ticks of %lu, detail %lx", class_name[class], all.ticks,
			 all.count, all.detail);
	}
	life_report();
	console_flush();
	__real_cpu_power_off();
}
