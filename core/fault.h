/*
 * What a VM is ended for, in words: who, where, which exception, and what the manifest put at that
 * address. Source: fault.c. Tests: tests/host/test_fault.c
 */
#pragma once

#include "core/vm.h"

/*
 * The guest did what only a broken or hostile one does, in the exit that is being served: a report,
 * then its on-fault policy. `what` is a clause of its own.
 */
void vm_fault(struct vcpu *self, const char *what);
