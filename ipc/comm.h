/*
 * Communication cores: they run no vCPU, but serve the submission rings of vCPUs of other cores. The ring
 * of a vCPU is served by one communication core, for ever: that of its number among the machine's vCPUs,
 * modulo the number of communication cores. A core serves 64 rings at most, the most urgent; of the other vCPUs
 * the call takes commands, as without communication cores.
 *
 * Which ring is next: the VM's priority first; of equals each in its turn, for a quantum of bytes. A ring
 * that has had nothing for a while falls asleep: it is not looked at any more, `submit_wanted` in the
 * vCPU's `out` page says so, and its guest then makes the hypercall behind a command. A ring that was woken is looked
 * at as long, whether it has anything or not. What a ring costs that falls asleep, or is served, its vCPU pays.
 *
 * Serving comes off the vCPU's budget, if it has one: while that is used up its ring rests. A more urgent VM without a
 * budget that floods starves the less urgent of its core.
 *
 * ABI: guests/include/weir/submit.h. Source: comm.c. Tests: tests/host/test_comm.c, tests/models/doze.pml
 */
#pragma once

#include "core/vm.h"

/* Owner: the communication core; the first three are fixed. */
struct comm_vcpu {
	u32 core;		  /* which one; meaningless if there is none */
	u32 rank;		  /* the ring's number there, the most urgent first */
	struct comm_group *group; /* fixed: its equals there */
	u64 served;		  /* when it last was, or was woken, ticks */
	s64 credit;		  /* bytes that it may take; what it took too much is less */
};
