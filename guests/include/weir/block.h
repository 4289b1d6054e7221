/*
 * The block service: disks of the manifest, shared between VMs, driven inside the hypervisor.
 *
 * A request names a contiguous buffer in the caller's own RAM, the shareable pool excepted while a
 * page of it is shared. Data moves by DMA between disk and buffer. Many requests may be in flight;
 * they complete in any order.
 *
 * Completions: ring weir_out.completion, written by Weir; positions are counted since start, slot =
 * position & (WEIR_COMPLETIONS - 1). weir_out.completion_tail is written by Weir (store-release),
 * weir_in.completion_head by the vCPU. A request completes on the vCPU that submitted it, and
 * WEIR_INTID_BLOCK is raised there. A slot is set aside when a request is accepted, so completions
 * cannot overflow.
 *
 * WEIR_FN_BLOCK_INFO: about a disk.
 *   in:  x1 = index of the disk in the VM's manifest node: `disks` first, then `disks-read-only`.
 *   out: x1 = sectors of 512 bytes, x2 = flags (bit 0: read-only), x3 = largest request in sectors.
 *   errors: WEIR_NOT_FOUND: the VM has no such disk. WEIR_IO: its device is missing, or
 *	     the partition that it should be, which Weir's console tells.
 *
 * WEIR_FN_BLOCK_SUBMIT: start one request.
 *   in:  x1 = disk index in bits 7:0, enum weir_block_operation in bits 15:8, 0 above; x2 = first
 *	  sector (0 for flush), x3 = sectors (0 for flush), x4 = IPA of the buffer, 512-byte
 *	  aligned (0 for flush), x5 = cookie, given back in the completion.
 *   errors: WEIR_INVALID: operation, sector range, too many sectors for one request, or alignment.
 *	     WEIR_NOT_FOUND: no such disk. WEIR_DENIED: a write to a read-only disk. WEIR_FAULT:
 *	     the buffer is not the VM's own RAM, or is shared. WEIR_QUOTA: WEIR_COMPLETIONS requests
 *	     are in flight or not yet consumed. WEIR_IO: the device or the disk's partition is
 *	     missing, or the device has failed.
 *   A device whose queue is full is no error: the request waits in the hypervisor, and the VMs that
 *   wait for a device get it in turn.
 *   The completion's status: WEIR_OK or WEIR_IO.
 *   Write means written: after WEIR_OK for a flush every write that had completed before the flush
 *   was submitted is on the medium.
 *
 * A VM that is restarted begins with an empty completion ring, positions at 0. It does not start
 * before the device has done with what it had of the VM's requests; whether those that were not
 * done when the VM ended reached the medium is not said.
 *
 * Source: ipc/block.c. Tests: tests/guest/block.c, tests/guest/block_error.c,
 * tests/host/test_block*.c. Since ABI 1.
 */
#pragma once

#include <stdbool.h>
#include <weir/hypercall.h>
#include <weir/order.h>

#define WEIR_SECTOR_SIZE 512u

enum weir_block_operation {
	WEIR_BLOCK_READ = 0,
	WEIR_BLOCK_WRITE = 1,
	WEIR_BLOCK_FLUSH = 2,
};

#define WEIR_BLOCK_READ_ONLY 1u /* flag of WEIR_FN_BLOCK_INFO */

struct weir_block_info {
	uint64_t sectors;
	bool read_only;
	uint64_t request_sectors_max;
};

static inline enum weir_status weir_block_info(uint32_t disk, struct weir_block_info *info)
{
	struct weir_result result = weir_call(WEIR_FN(WEIR_FN_BLOCK_INFO), disk, 0, 0, 0, 0, 0);

	if ((enum weir_status)result.status != WEIR_OK)
		return (enum weir_status)result.status;
	info->sectors = result.value[0];
	info->read_only = (result.value[1] & WEIR_BLOCK_READ_ONLY) != 0;
	info->request_sectors_max = result.value[2];
	return WEIR_OK;
}

/* `buffer` must be mapped 1:1; it belongs to the device until the completion. */
static inline enum weir_status weir_block_submit(uint32_t disk, enum weir_block_operation operation,
						 uint64_t sector, uint64_t sectors,
						 const void *buffer, uint64_t cookie)
{
	return weir_do(WEIR_FN_BLOCK_SUBMIT, disk | (uint64_t)operation << 8, sector, sectors,
		       (uint64_t)(uintptr_t)buffer, cookie);
}

/*
 * Takes the next completion of this vCPU; false if there is none. Weir writes a slot again only
 * after it has seen the head beyond it, so the release is all that the copy needs.
 */
static inline bool weir_block_next(const struct weir_pages *pages,
				   struct weir_completion *completion)
{
	uint64_t *head = &pages->in->completion_head;
	uint64_t position = *head, tail;

	/* [Q1] the tail before the slot. Pairs with [B1] in ipc/block.c. */
	WEIR_ORDERED(Q1, ldar,
		     tail = __atomic_load_n(&pages->out->completion_tail, __ATOMIC_ACQUIRE));
	if (tail == position)
		return false;
	*completion = pages->out->completion[position & (WEIR_COMPLETIONS - 1)];
	/* [Q2] the slot is read before the head. Pairs with [B2] in ipc/block.c. */
	WEIR_ORDERED(Q2, stlr, __atomic_store_n(head, position + 1, __ATOMIC_RELEASE));
	return true;
}
