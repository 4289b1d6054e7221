/* Trapped system registers of a guest. Source: vsysreg.c */
#pragma once

#include "core/vm.h"

/* Emulates the access that `syndrome` describes; false: the register does not exist for a guest. */
bool vsysreg_access(struct vcpu *self, u64 syndrome);
