/*
 * Copies, a piece at a time (copy.h).
 *
 * Owns:  nothing; a piece goes through the windows of the core that copies it.
 * Locks: the grant lock of the VM that copies. Under it no page leaves the VM's window or pool: who revokes,
 *	  returns or passes one takes it, too. So where the pages of a piece are is looked up under it, and it is
 *	  held until the piece is done.
 * ABI:   guests/include/weir/submit.h
 */
#include "ipc/copy.h"

#include "core/memory.h"
#include "ipc/block.h"
#include "ipc/grant.h"
#include <weir/submit.h>

#define ALIGNMENT 8u

enum weir_status copy_begin(struct vcpu *vcpu, struct copy *copy, u64 to, u64 from, u32 bytes,
			    u64 cookie)
{
	if ((to | from | bytes) % ALIGNMENT || bytes == 0 || bytes > WEIR_COPY_BYTES_MAX)
		return WEIR_INVALID;
	copy->slot = block_slot_take(vcpu, cookie);
	if (!copy->slot)
		return WEIR_QUOTA;
	copy->to = to;
	copy->from = from;
	copy->left = bytes;
	return WEIR_OK;
}

/* Where a page of the VM is, that it may read, or write. */
static enum weir_status find(struct vm *vm, u64 ipa, bool write, pa_t *pa)
	NEEDS(&vm->ipc->grant.lock)
{
	enum stage2_kind kind;

	if (ipa - vm->ram_ipa >= vm->ram_bytes && ipa - VM_WINDOW_BASE >= vm->window_bytes)
		return WEIR_FAULT;
	kind = stage2_lookup(&vm->stage2, IPA(ipa), pa);
	if (kind == STAGE2_NONE || (write && kind == STAGE2_SHARED_READ))
		return WEIR_FAULT;
	/* Where the VM sees its scratch page a page was taken away. (Without one: no address of memory.) */
	if (align_down(pa->raw, PAGE_SIZE) == mmu_heap_pa(vm->ipc->grant.scratch).raw)
		return WEIR_CLOSED;
	return WEIR_OK;
}

static inline void copy_line(u64 *to, const u64 *from)
{
	u64 a = from[0], b = from[1], c = from[2], d = from[3];
	u64 e = from[4], f = from[5], g = from[6], h = from[7];

	to[0] = a;
	to[1] = b;
	to[2] = c;
	to[3] = d;
	to[4] = e;
	to[5] = f;
	to[6] = g;
	to[7] = h;
}

/* Both are multiples of 8 bytes, and so is the size. Of what is in them nothing is assumed. */
static void copy_words(u64 *to, const u64 *from, u32 bytes)
{
	for (; bytes >= 128; bytes -= 128, to += 16, from += 16) {
		copy_line(to, from);
		copy_line(to + 8, from + 8);
	}
	for (; bytes; bytes -= 8)
		*to++ = *from++;
}

/* As far as both pages go. */
static u32 piece_bytes(const struct copy *copy)
{
	u64 to = PAGE_SIZE - (copy->to & PAGE_MASK), from = PAGE_SIZE - (copy->from & PAGE_MASK);

	return (u32)min(min(to, from), (u64)copy->left);
}

static enum weir_status copy_piece(struct vm *vm, const struct copy *copy, u32 bytes)
{
	enum weir_status status;
	pa_t to, from;

	grant_lock(vm);
	status = find(vm, copy->from, false, &from);
	if (status == WEIR_OK)
		status = find(vm, copy->to, true, &to);
	if (status == WEIR_OK) {
		void *target = mmu_window(WINDOW_TARGET, to);

		copy_words(target, mmu_window(WINDOW_SOURCE, from), bytes);
		cache_clean_invalidate(target, bytes);
	}
	grant_unlock(vm);
	return status;
}

enum weir_status copy_step(struct vcpu *vcpu, struct copy *copy, u64 *used)
{
	struct account_ring *account = &vcpu->account.ring;
	u32 bytes = piece_bytes(copy);
	enum weir_status status = copy_piece(vcpu->vm, copy, bytes);

	if (status == WEIR_OK) {
		*used += bytes;
		copy->to += bytes;
		copy->from += bytes;
		copy->left -= bytes;
		write_once(account->copied_bytes, account->copied_bytes + bytes);
		if (copy->left)
			return WEIR_AGAIN;
	}
	copy->left = 0;
	write_once(account->copies, account->copies + 1);
	block_slot_complete(copy->slot, status);
	return status;
}
