/*
 * GICv3: kicking a core, inline for the way of every event (core/vdev/vgic_raise.h); gic_kick() is for
 * all others. IHI 0069 12.2.21.
 */
#pragma once

#include <weir/order.h>
#include "arch/arm64/sysreg.h"

/*
 * `word`: gic_kick_word() of the core. All earlier stores are visible to it when it takes the SGI, which is on
 * its way from the next context synchronization on: the return to the guest is one.
 */
static inline void gic_kick_by(u64 word)
{
	/* [G1] what was left for the core, before the SGI. The other side is the exception that it is
	 * there, or the run queue's lock where interrupts are polled. */
	WEIR_ORDERED(G1, dsb ishst, dsb(ishst));
	WRITE_SYSREG(S3_0_C12_C11_5, word); /* ICC_SGI1R_EL1 */
}
