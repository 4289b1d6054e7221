/*
 * The one call that only the benchmark build of Weir answers: the hypervisor's own side of a
 * measurement. x0 = WEIR_FN(STATS_CALL), x1 = enum stats_operation, x2 = its argument.
 */
#pragma once

#define STATS_CALL 0xb0u

enum stats_operation {
	STATS_EL2_TICKS, /* out x1 = ticks at EL2 for the calling VM's vCPUs, this call left out */
	STATS_PING,	 /* x2 = VM id: asks its vCPU 0 by upcall, on the core where that is */
	STATS_PING_RESULT, /* out x1 = ticks from the question to the answer; WEIR_AGAIN: none yet
			    */
};
