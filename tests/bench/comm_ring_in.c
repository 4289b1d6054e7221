/* ring_in, which wakes the other by its submission ring: the row of 64-byte records. */
#define BY_SUBMISSION_RING
#include "tests/bench/ring_in.c"
