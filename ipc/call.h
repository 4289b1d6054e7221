/*
 * What a hypercall handler gets and gives. A handler decodes its arguments into locals, checks,
 * then does; results are set after nothing can fail any more.
 */
#pragma once

#include "core/vm.h"

/*
 * The guest's saved x0..x6: EL2's copy, stable while the handler runs. x0 is the function. It lies
 * over struct arch_vcpu's x[], so that nothing is copied.
 */
struct __attribute__((may_alias)) call_args {
	u64 x0, x1, x2, x3, x4, x5, x6;
};

/* Zero at entry; given to the guest only with WEIR_OK. */
struct call_results {
	u64 x1, x2, x3;
};

typedef enum weir_status (*call_handler)(struct vcpu *self, const struct call_args *in,
					 struct call_results *out);
