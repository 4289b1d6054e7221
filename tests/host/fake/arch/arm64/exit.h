/*
 * Stands in for arch/arm64/exit.h, which reads EL2's registers inline: -Itests/host/fake comes
 * first. Source: fake/exit.c
 */
#pragma once

#include "core/base/types.h"

u64 arch_exit_syndrome(void);
u64 arch_exit_far(void);
ipa_t arch_exit_ipa(void);
u64 arch_guest_pc(void);
void arch_guest_set_pc(u64 pc);
void arch_guest_skip(void);
u64 arch_guest_pstate(void);
