/* <limits.h> for libfdt's headers: no C library is needed to build Weir. */
#pragma once

#define CHAR_BIT  __CHAR_BIT__
#define INT_MAX	  __INT_MAX__
#define UINT_MAX  (__INT_MAX__ * 2u + 1u)
#define LONG_MAX  __LONG_MAX__
#define ULONG_MAX (__LONG_MAX__ * 2ul + 1ul)
