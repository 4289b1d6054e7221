/*
 * VMs with real ipc/ state on a fake machine, and the guests' own wrappers on top of them: a test
 * says which vCPU runs and calls weir_event_send() and the like. Source: ipc_vms.c
 *
 * VM a has the right "manage"; what it commands is kept, not done.
 *
 * It defines core/vm.h's lookups, vm_command(), vgic_pend() (counting; from several threads) and the block
 * service as ipc/ calls it, so a program must not take these from elsewhere.
 */
#pragma once

#include "fake.h"
#include "core/hypercall.h"
#include "core/life.h"
#include "core/vm.h"
#include "ipc/ipc.h"

#define FAKE_POOL_PAGES	  96 /* more than WEIR_GRANT_PAGES_MAX */
#define FAKE_WINDOW_PAGES 80
#define FAKE_RAM_BYTES	  (FAKE_POOL_PAGES * PAGE_SIZE + 4 * PAGE_SIZE)
/* Of ipc_vms_set_large(): three pieces of 2 MiB, of which two are whole, from FAKE_PIECE on; and two and a bit. */
#define FAKE_LARGE_POOL	  (FAKE_PIECE + 2 * 512 + 40)
#define FAKE_LARGE_WINDOW (2 * 512 + 60)
#define FAKE_PIECE	  508

/*
 * Builds `vms` VMs, named a, b, c..., of `vcpus` vCPUs, all on core 0, joined by `channels`: "ab"
 * joins a and b, and is the channel's name too; the array ends with 0. Undoes what was before.
 */
void ipc_vms_make(u32 vms, u32 vcpus, const char *const *channels);
void ipc_vms_free(void);
int ipc_vms_end(void **state); /* the same, as what cmocka calls after a test */

/* Before ipc_vms_make(), for the next one: ports of each VM (128), upcall-ms (0), a refused VM. */
void ipc_vms_set_ports(u32 ports);
void ipc_vms_set_large(void); /* pools and windows that have pieces of 2 MiB */
void ipc_vms_set_upcall_ms(u64 ms);
void ipc_vms_refuse(u32 vm);

/* The same, of one VM: what of the store is its (the default), and `peers` and more `rights` (none). */
void ipc_vms_set_store(u32 vm, u32 nodes, u32 bytes, u32 watches);
void ipc_vms_set_peers(u32 vm, u64 peers, u64 rights);

struct vm *ipc_vm(u32 id);
/* The VM ends, all steps of it; and ends and starts again. */
void ipc_vm_end(u32 id);
void ipc_vm_renew(u32 id);
struct vcpu *ipc_vcpu(u32 vm, u32 index);

/* The last vm_command(); `status` is what it answers. */
extern struct ipc_command {
	const struct vm *vm;
	enum vm_command what;
	u64 life;
	enum weir_status status;
} ipc_command;

/* From now on this thread is that vCPU: its guest's calls come from there. */
void ipc_run(u32 vm, u32 index);
struct weir_pages ipc_pages(u32 vm, u32 index);
s32 ipc_next(u32 vm, u32 index); /* the port of its next event, -1 if there is none */

/* A call with all registers as given; the guest's x0 afterwards. x1..x3 are in arch.x. */
s64 ipc_call(u64 x0, u64 x1, u64 x2, u64 x3, u64 x4, u64 x5, u64 x6);

/* Called after each call of the wrappers, if it is set. */
extern void (*ipc_after_call)(void);

/* How often an interrupt was raised on a vCPU since the machine was made. */
u32 ipc_pends(const struct vcpu *vcpu, u32 intid);

/* Physical address of a page of a VM's pool; its scratch page. */
u64 ipc_pool_pa(u32 vm, u64 page);
u32 ipc_scrubs(u32 vm, u64 page); /* how often that page was zeroed */
u64 ipc_scratch_pa(u32 vm);

/* The VM that a piece of the heap is for, the pieces counted from 0; the number of VMs: for all. */
u32 ipc_heap_owner(u64 piece, const void *memory);

/*
 * ipc_disk.c, with ipc/block.c: every VM has one disk, and the same again to be read only. The request that has
 * waited longest is done; false: there is none.
 */
#define FAKE_DISK_SECTORS 4096ul
bool ipc_disk_done(enum weir_status status);
void ipc_disks(struct manifest *manifest, struct manifest_vm *config); /* for ipc_vms_make() */

/* What block_pages_busy() says of a page of a VM's pool, but for the true one; UINT64_MAX: none is busy. */
void ipc_block_busy(u32 vm, u64 page);
