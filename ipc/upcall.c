/*
 * Upcalls: requests to services inside guests, and the question that `upcall-ms` asks periodically.
 *
 * Owns:  struct upcall_vcpu; struct upcall_vm.
 * Locks: none. A vCPU's hypercalls, its timeouts and upcall_request() all run on the core that it
 *	  is pinned to, with interrupts masked. The end of the VM, on any core, is an atomic count.
 * ABI:   guests/include/weir/upcall.h
 *
 * A VM may end and start again before a vCPU's own core has looked. So what a vCPU has says of
 *which life of the VM it is; in a later one it counts for nothing, and goes when the vCPU
 *registers.
 */
#include "ipc/upcall.h"

#include "core/base/log.h"
#include "core/base/panic.h"
#include "core/base/string.h"

#define SERVICES    (BIT(WEIR_SERVICE_COUNT) - 1)
#define REPLY_WORDS 6
#define ANSWER_US   1000000 /* how long the periodic question waits for its answer */

static u64 life(const struct vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->vm->ipc->upcall.ends, __ATOMIC_RELAXED);
}

/* The VM has ended since this vCPU registered, and perhaps started again. */
static bool stopped(const struct vcpu *vcpu)
{
	return vcpu->ipc->upcall.life != life(vcpu);
}

static struct upcall_vcpu *upcall_of(struct vcpu *vcpu)
{
	return &vcpu->ipc->upcall;
}

/* The request is over: from here on its late answer is stale and another one may be made. */
static void finish(struct upcall_vcpu *upcall, enum weir_status status, const u64 *reply)
{
	upcall->open = false;
	timeout_cancel(&upcall->deadline);
	upcall->answered(upcall->context, status, reply);
}

static void deadline_expired(struct timeout *timeout)
{
	static const u64 none[REPLY_WORDS];
	struct upcall_vcpu *upcall = container_of(timeout, struct upcall_vcpu, deadline);
	struct vcpu *vcpu = upcall->vcpu;

	finish(upcall, stopped(vcpu) ? WEIR_CLOSED : WEIR_TIMEOUT, none);
}

enum weir_status upcall_request(struct vcpu *target, enum weir_service service,
				const u64 argument[4], u64 deadline, upcall_answered answered,
				void *context)
{
	struct upcall_vcpu *upcall = upcall_of(target);
	struct weir_out *out = target->ipc->out;

	if (!(upcall->services & BIT(service)) || stopped(target))
		return WEIR_NOT_FOUND;
	if (upcall->open)
		return WEIR_BUSY;

	upcall->open = true;
	upcall->sequence++;
	upcall->answered = answered;
	upcall->context = context;
	out->upcall_service = service;
	for (u32 i = 0; i < ARRAY_SIZE(out->upcall_argument); i++)
		out->upcall_argument[i] = argument[i];
	/* Read by the same core or after its interrupt, so only the compiler must keep the order.
	 */
	__atomic_store_n(&out->upcall_sequence, upcall->sequence, __ATOMIC_RELEASE);
	timeout_set(&upcall->deadline, deadline);
	vgic_pend(target, WEIR_INTID_UPCALL);
	return WEIR_OK;
}

static bool is_status(u64 value)
{
	s64 status = (s64)value;

	return status == WEIR_OK || (status >= WEIR_FAULT && status <= WEIR_INVALID);
}

enum weir_status upcall_return_call(struct vcpu *self, const struct call_args *in,
				    struct call_results *out)
{
	struct upcall_vcpu *upcall = upcall_of(self);
	u64 reply[REPLY_WORDS];

	(void)out;
	if (!is_status(in->x2))
		return WEIR_INVALID;
	if (stopped(self) || !upcall->open || in->x1 != upcall->sequence)
		return WEIR_STALE;
	for (u32 i = 0; i < REPLY_WORDS; i++)
		reply[i] = read_once(self->ipc->in->upcall_reply[i]);
	finish(upcall, (enum weir_status)(s64)in->x2, reply);
	return WEIR_OK;
}

/* In 0..100, also where the product would overflow. */
static u32 percent(u64 done, u64 total)
{
	if (done >= total)
		return 100;
	if (total > UINT64_MAX / 100)
		return (u32)(done / (total / 100));
	return (u32)(done * 100 / total);
}

static void say(const struct vcpu *vcpu, const struct upcall_vcpu *upcall)
{
	const char *name = vcpu->vm->config->name;
	u64 done = upcall->said_done, total = upcall->said_total;

	if (upcall->said_status == WEIR_TIMEOUT)
		log_line("%s: no answer to an upcall", name);
	else if (upcall->said_status != WEIR_OK)
		log_line("%s: upcall refused (%d)", name, upcall->said_status);
	else if (upcall->service == WEIR_SERVICE_PING)
		log_line("%s: answers upcalls", name);
	else if (total == 0)
		log_line("%s: done %lu of %lu", name, done, total);
	else
		log_line("%s: %u %% (%lu of %lu)", name, percent(done, total), done, total);
}

/* One line, if there is news: the console is no place for a guest to shout in. */
RARE static void report(void *context, enum weir_status status, const u64 reply[REPLY_WORDS])
{
	struct vcpu *vcpu = context;
	struct upcall_vcpu *upcall = upcall_of(vcpu);
	bool progress = status == WEIR_OK && upcall->service == WEIR_SERVICE_PROGRESS;
	u64 done = progress ? reply[0] : 0, total = progress ? reply[1] : 0;
	u64 period = timer_from_us(vcpu->vm->config->upcall_ms * 1000);

	if (stopped(vcpu))
		return;
	timeout_set(&upcall->period, upcall->asked_at + period);
	if (upcall->said && status == upcall->said_status && done == upcall->said_done &&
	    total == upcall->said_total)
		return;
	upcall->said = true;
	upcall->said_status = status;
	upcall->said_done = done;
	upcall->said_total = total;
	say(vcpu, upcall);
}

/* Asks; or, if that cannot be now, tries again a period later. */
static void ask(struct vcpu *vcpu)
{
	static const u64 no_argument[4];
	struct upcall_vcpu *upcall = upcall_of(vcpu);
	u64 period = timer_from_us(vcpu->vm->config->upcall_ms * 1000);

	upcall->asked_at = timer_now();
	upcall->service = upcall->services & BIT(WEIR_SERVICE_PROGRESS) ? WEIR_SERVICE_PROGRESS
									: WEIR_SERVICE_PING;
	if (upcall_request(vcpu, upcall->service, no_argument,
			   upcall->asked_at + timer_from_us(ANSWER_US), report, vcpu) != WEIR_OK)
		timeout_set(&upcall->period, upcall->asked_at + period);
}

static void period_expired(struct timeout *timeout)
{
	struct upcall_vcpu *upcall = container_of(timeout, struct upcall_vcpu, period);

	if (!stopped(upcall->vcpu))
		ask(upcall->vcpu);
}

/* The first vCPU of a VM that registers is the one that is asked, from now on. */
static void watch(struct vcpu *self)
{
	struct upcall_vm *vm = &self->vm->ipc->upcall;
	struct vcpu *nobody = 0;

	if (self->vm->config->upcall_ms == 0 || upcall_of(self)->services == 0)
		return;
	if (__atomic_compare_exchange_n(&vm->watched, &nobody, self, false, __ATOMIC_RELAXED,
					__ATOMIC_RELAXED))
		ask(self);
}

/* Whatever is left of an earlier life of the VM. The sequence goes on: no old one fits again. */
static void forget(struct upcall_vcpu *upcall)
{
	static const u64 none[REPLY_WORDS];

	if (upcall->open)
		finish(upcall, WEIR_CLOSED, none);
	timeout_cancel(&upcall->period);
	upcall->services = 0;
	upcall->said = false;
	upcall->life = life(upcall->vcpu);
}

enum weir_status upcall_register_call(struct vcpu *self, const struct call_args *in,
				      struct call_results *out)
{
	struct upcall_vcpu *upcall = upcall_of(self);

	(void)out;
	if (in->x1 & ~SERVICES)
		return WEIR_INVALID;
	if (stopped(self))
		forget(upcall);
	if (upcall->open)
		return WEIR_BUSY;
	upcall->services = (u32)in->x1;
	watch(self);
	return WEIR_OK;
}

void upcall_vcpu_create(struct vcpu *vcpu)
{
	struct upcall_vcpu *upcall = upcall_of(vcpu);

	upcall->vcpu = vcpu;
	timeout_init(&upcall->deadline, deadline_expired);
	timeout_init(&upcall->period, period_expired);
}

bool upcall_vm_stop(struct vm *vm, u64 *at)
{
	(void)at;
	__atomic_fetch_add(&vm->ipc->upcall.ends, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&vm->ipc->upcall.watched, 0, __ATOMIC_RELAXED);
	return false;
}
