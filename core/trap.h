/* What every exit from a guest leads to (entry.S calls trap_*(), declared in arch/arm64/vcpu.h). */
#pragma once

#include "core/base/types.h"

/* Exit classes of the benchmark build, which keeps the longest path of each. */
enum exit_class {
	EXIT_HYPERCALL,
	EXIT_PSCI,
	EXIT_MMIO,
	EXIT_SYSREG,
	EXIT_WFI,
	EXIT_FP,
	EXIT_FAULT,
	EXIT_INTERRUPT,
	EXIT_CLASSES,
};
