/*
 * What arch/arm64/entry.S and core/trap.c do with `hvc #0` of the hypervisor's range, once the registers are
 * in struct vcpu: a send first goes its own way.
 */
#pragma once

#include "fake.h"
#include "core/hypercall.h"
#include <weir/abi.h>

static inline void fake_hvc(struct vcpu *self)
{
	u64 *x = self->arch.x;
	u64 number = (u32)x[0] - WEIR_FN(0);

	if (number == WEIR_FN_EVENT_SEND && !(x[2] | x[3] | x[4] | x[5] | x[6])) {
		enum trap_send how = (enum trap_send)trap_send(&self->arch, x[1]);

		assert_true(how == SEND_DONE || how == SEND_CALL);
		if (how == SEND_DONE) {
			x[0] = x[1] = 0;
			return;
		}
	}
	hypercall(self, number);
}
