/*
 * Copies between pages of a VM and pages that others have granted to it: a command of the submission ring.
 *
 * Owns:  struct copy. Locks: the ring's (NEEDS below); the VM's grant lock for each piece.
 * ABI:   guests/include/weir/submit.h. Source: copy.c. Tests: tests/host/test_copy.c
 */
#pragma once

#include "ipc/ipc.h"

/* `copy` is none. WEIR_INVALID, WEIR_QUOTA: it is none still; else copy_step() is to be called. */
enum weir_status copy_begin(struct vcpu *vcpu, struct copy *copy, u64 to, u64 from, u32 bytes,
			    u64 cookie);
/*
 * A piece, a page at most; its bytes are added to `used`. WEIR_AGAIN: there is more. Else the copy is
 * over, `copy` is none, and the completion with this status is there: WEIR_OK, WEIR_FAULT, WEIR_CLOSED.
 */
enum weir_status copy_step(struct vcpu *vcpu, struct copy *copy, u64 *used);
