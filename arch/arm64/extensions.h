/*
 * What few guests use of a core, and the switch therefore leaves alone unless one does: performance counters (by
 * the manifest), keys of pointer authentication (from the first use on, which traps once in a vCPU's life), and
 * breakpoints, watchpoints and single steps (while they are on; the registers trap). Source: extensions.c
 */
#pragma once

#include "arch/arm64/vcpu.h"

/* Of the vCPU that leaves the core, or comes; `uses` is not 0. */
void extensions_save(struct arch_vcpu *vcpu);
void extensions_load(const struct arch_vcpu *vcpu);

/* Once, if the VM may count; where no core can it does nothing. */
void extensions_give_pmu(struct arch_vcpu *vcpu);
