/* Trapped system registers of a guest. Source: vsysreg.c */
#pragma once

#include "core/vm.h"

enum vsysreg {
	VSYSREG_NONE,  /* the register does not exist for a guest */
	VSYSREG_DONE,  /* emulated */
	VSYSREG_AGAIN, /* to be executed again: it does not trap any more */
};

/* Emulates the access that `syndrome` describes. */
enum vsysreg vsysreg_access(struct vcpu *self, u64 syndrome);
