/*
 * Stands in for arch/arm64/sysreg.h in what is tested with its registers: -Itests/host/fake comes first.
 * The test defines both functions; names are as in the code.
 */
#pragma once

#include "core/base/types.h"

u64 fake_sysreg_read(const char *name);
void fake_sysreg_write(const char *name, u64 value);

#define READ_SYSREG(name)	  fake_sysreg_read(#name)
#define WRITE_SYSREG(name, value) fake_sysreg_write(#name, value)
#define dsb(domain)		  ((void)0)

static inline void isb(void)
{
}
