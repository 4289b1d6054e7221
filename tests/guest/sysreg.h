/* System registers by name, for test guests. */
#pragma once

#include <stdint.h>

#define READ(name)                                                           \
	({                                                                   \
		uint64_t value_;                                             \
		__asm__ volatile("mrs %0, " #name : "=r"(value_)::"memory"); \
		value_;                                                      \
	})

/* Not before what stands in front of it is done: a counter may otherwise be read early. */
#define READ_IN_ORDER(name)                           \
	({                                            \
		__asm__ volatile("isb" ::: "memory"); \
		READ(name);                           \
	})

#define WRITE(name, value) \
	__asm__ volatile("msr " #name ", %0\n\tisb" ::"r"((uint64_t)(value)) : "memory")
