/* For what saves and loads a `struct arch_vcpu *vcpu`: vcpu.c, extensions.c. */
#pragma once

#include "arch/arm64/sysreg.h"

/*
 * Two registers and the two words where they are kept, side by side in struct arch_vcpu: one access to memory.
 * In the order of the arguments.
 */
#define SAVE(one, one_register, other, other_register)            \
	do {                                                      \
		u64 one_value = READ_SYSREG(one_register);        \
		u64 other_value = READ_SYSREG(other_register);    \
		vcpu->one = one_value, vcpu->other = other_value; \
	} while (0)
#define LOAD(one_register, one, other_register, other) \
	LOAD_OF(vcpu, one_register, one, other_register, other)
#define LOAD_OF(state, one_register, one, other_register, other)            \
	do {                                                                \
		u64 one_value = (state)->one, other_value = (state)->other; \
		/* Both, or the compiler loads each when it is written. */  \
		__asm__ volatile("" : "+r"(one_value), "+r"(other_value));  \
		WRITE_SYSREG(one_register, one_value);                      \
		WRITE_SYSREG(other_register, other_value);                  \
	} while (0)
