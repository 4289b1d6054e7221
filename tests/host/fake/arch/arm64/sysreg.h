/*
 * Stands in for arch/arm64/sysreg.h, for what of arch/ has no other instructions: each is recorded. The bits of
 * registers are the real ones. Source: fake/record.c
 */
#pragma once

#include "fake.h"

#define isb real_isb
#include_next "arch/arm64/sysreg.h"
#undef isb
#undef READ_SYSREG
#undef WRITE_SYSREG
#undef dsb
#undef dc
#undef ic
#undef tlbi
#undef tlbi_page
#undef translate
#undef sev

#define READ_SYSREG(name)	   fake_sysreg_read(#name)
#define WRITE_SYSREG(name, value)  fake_sysreg_write(#name, value)
#define dsb(domain)		   fake_note("dsb " #domain, 0)
#define dc(operation, va)	   fake_note("dc " #operation, (u64)(va))
#define ic(operation)		   fake_note("ic " #operation, 0)
#define tlbi(operation)		   fake_note("tlbi " #operation, 0)
#define tlbi_page(operation, page) fake_note("tlbi " #operation, (u64)(page) << PAGE_SHIFT)
#define translate(operation, va)   fake_note("at " #operation, (u64)(va))
#define sev()			   fake_note("sev", 0)

static inline void isb(void)
{
	fake_note("isb", 0);
}

/* A test may define its own; names are as in the code. */
u64 fake_sysreg_read(const char *name);
void fake_sysreg_write(const char *name, u64 value);
