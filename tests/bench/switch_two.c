/* The other VM of switch_one. */
#define SECOND true
#include "tests/bench/switch_one.c"
