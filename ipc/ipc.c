/*
 * Makes, ends and renews what a VM has for communication: the order in which modules are called.
 *
 * Owns:  the shared pages of every vCPU: `in`, `out` and the event rings, one after the other from
 *	  VM_SHARED_BASE on, vCPU by vCPU (weir/abi.h).
 * Locks: none; creation is the boot core's alone, before any guest runs, and while a VM is rebuilt
 *	  no vCPU of it enters its guest.
 */
#include "ipc/ipc.h"

#include "core/hypercall.h"
#include "core/memory.h"
#include "ipc/block.h"
#include "ipc/block_virtio.h"
#include "ipc/event.h"
#include "ipc/grant.h"
#include "ipc/store.h"
#include "ipc/submit.h"
#include "ipc/upcall.h"

/* `in` and `out`, then the rings. */
static u64 vcpu_shared_bytes(const struct manifest_vm *config)
{
	return 2 * PAGE_SIZE + event_ring_bytes(config);
}

u64 ipc_shared_bytes(const struct manifest_vm *config)
{
	return config->vcpus * vcpu_shared_bytes(config);
}

u64 ipc_heap_bytes(const struct manifest_vm *config)
{
	u64 vcpu = heap_cost(vcpu_shared_bytes(config)) + heap_cost(sizeof(struct vcpu_ipc)) +
		   block_vcpu_heap_bytes();

	return heap_cost(sizeof(struct vm_ipc)) + config->disk_count * block_virtio_heap_bytes() +
	       event_heap_bytes(config) + config->vcpus * vcpu + grant_heap_bytes(config) +
	       store_heap_bytes(config);
}

/* One writer to a page: the guest to `in`, EL2 to all others. */
static void map_pages(struct vm *vm, u64 ipa, const u8 *pages, u64 bytes)
{
	pa_t pa = mmu_heap_pa(pages);

	stage2_map(&vm->stage2, IPA(ipa), pa, PAGE_SIZE, STAGE2_SHARED, false);
	stage2_map(&vm->stage2, IPA(ipa + PAGE_SIZE), PA(pa.raw + PAGE_SIZE), bytes - PAGE_SIZE,
		   STAGE2_SHARED_READ, false);
}

static void vcpu_create(struct vcpu *vcpu)
{
	u64 bytes = vcpu_shared_bytes(vcpu->vm->config);
	u8 *pages = heap_pages(bytes / PAGE_SIZE);
	struct vcpu_ipc *ipc = heap_alloc(sizeof(*ipc));

	ipc->shared_ipa = VM_SHARED_BASE + vcpu->index * bytes;
	ipc->in = (const struct weir_in *)pages;
	ipc->out = (struct weir_out *)(pages + PAGE_SIZE);
	vcpu->ipc = ipc;
	map_pages(vcpu->vm, ipc->shared_ipa, pages, bytes);
	event_vcpu_create(vcpu);
	event_vcpu_reset(vcpu, (u32 *)(pages + 2 * PAGE_SIZE));
	submit_vcpu_reset(vcpu);
	upcall_vcpu_create(vcpu);
}

void ipc_vm_create(struct vm *vm, const struct manifest *manifest)
{
	vm->ipc = heap_alloc(sizeof(*vm->ipc));
	for (u32 i = 0; i < vm->vcpu_count; i++)
		vcpu_create(vm->vcpu[i]);
	event_vm_create(vm, manifest);
	grant_vm_create(vm);
}

void ipc_connect(const struct manifest *manifest)
{
	event_connect(manifest);
	for (u32 i = 0; i < vm_count(); i++)
		if (vm_get(i))
			block_vm_create(vm_get(i), manifest);
	store_create();
}

/*
 * A step of a phase: bounded work from position *at on, which it moves; false: the phase is over. *at
 * is 0 when a phase begins.
 */
typedef bool (*step)(struct vm *vm, u64 *at);

/* False: all phases are over. */
static bool run_step(struct vm *vm, struct vm_work *work, const step *phases, u32 count)
{
	if (work->phase == count)
		return false;
	if (!phases[work->phase](vm, &work->at)) {
		work->phase++;
		work->at = 0;
	}
	return true;
}

/*
 * Commands first: then no core does anything for the VM any more. Grants before ports: a peer whose mapping
 * becomes scratch is told on a port that is still open.
 */
bool ipc_vm_stop(struct vm *vm, struct vm_work *work)
{
	static const step phases[] = { submit_vm_stop, upcall_vm_stop, grant_vm_revoke,
				       grant_vm_unmap, store_vm_stop,  store_vm_tell,
				       event_vm_stop,  block_vm_stop };

	return run_step(vm, work, phases, ARRAY_SIZE(phases));
}

void ipc_pages_hold(struct vm *vm) NO_THREAD_SAFETY
{
	grant_lock(vm);
}

bool ipc_pages_shared(const struct vm *vm, pa_t pa, u64 bytes) NO_THREAD_SAFETY
{
	return grant_pages_shared(vm, pa, bytes);
}

void ipc_pages_release(struct vm *vm) NO_THREAD_SAFETY
{
	grant_unlock(vm);
}

bool ipc_vm_idle(const struct vm *vm)
{
	return block_vm_idle(vm);
}

/* The shared pages, in the order in which the guest sees them. Its vCPUs do not run. */
static bool page_reset(struct vm *vm, u64 *at)
{
	u64 each = vcpu_shared_bytes(vm->config) / PAGE_SIZE;
	u64 page = (*at)++;
	u8 *pages;

	if (page == each * vm->vcpu_count)
		return false;
	pages = (u8 *)(uintptr_t)vm->vcpu[page / each]->ipc->in;
	cache_scrub(pages + page % each * PAGE_SIZE);
	return true;
}

static bool vcpu_reset(struct vm *vm, u64 *at)
{
	struct vcpu *vcpu = vm->vcpu[(*at)++];

	event_vcpu_reset(vcpu, (u32 *)(vcpu->ipc->out + 1));
	submit_vcpu_reset(vcpu);
	return *at < vm->vcpu_count;
}

/* Ports last, when all that is behind them is there: peers go on with the first of them. */
bool ipc_vm_rebuild(struct vm *vm, struct vm_work *work)
{
	static const step phases[] = { page_reset,     vcpu_reset,     block_vm_reset,
				       grant_vm_reset, store_vm_reset, event_vm_reset };

	return run_step(vm, work, phases, ARRAY_SIZE(phases));
}
