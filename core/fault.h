/*
 * What a VM is ended for, in words: who, where, which exception, and what the manifest put at that
 * address. Source: fault.c. Tests: tests/host/test_fault.c
 */
#pragma once

#include "core/vm.h"

/*
 * The guest did what only a broken or hostile one does, in the exit that is being served: its
 * on-fault policy follows. `what` is a clause of its own. The report is printed while the VM dies.
 */
void vm_fault(struct vcpu *self, const char *what);

#define FAULT_SERROR "it caused an asynchronous error of the memory system"

/* The next line of the report that a VM which is dying still owes; false: there is none. */
bool fault_report(struct vm *vm);

/* What the VM has in a range of addresses, in words; 0: nothing. */
const char *fault_place(const struct vm *vm, u64 base, u64 bytes);
