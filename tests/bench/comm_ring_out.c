/* ring_out, which wakes the other by its submission ring. */
#define BY_SUBMISSION_RING
#include "tests/bench/ring_out.c"
