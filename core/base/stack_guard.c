/* The stack protector's two symbols; their names are the compiler's. */
#include "core/base/stack_guard.h"

#include "core/base/panic.h"

u64 __stack_chk_guard = 0x7e1557e1557e1500;

__attribute__((noreturn)) void __stack_chk_fail(void);

void stack_guard_set(u64 value)
{
	/* The low byte stays zero: a string that runs over ends before it. */
	__stack_chk_guard = value & ~0xfful;
}

void __stack_chk_fail(void)
{
	panic("a stack frame was overwritten");
}
