/*
 * What piece.c publishes on the channel `piece`, and piece_mortal.c's answers: the word with PIECE_DONE, or PIECE_FAILED
 * with the line. A word is what is to be done, and mostly a grant of 2 MiB.
 */
#pragma once

#include <stdint.h>

#define PIECE_TAKE (1ull << 56) /* map the grant: the pattern is there; leave its inverse */
#define PIECE_READ \
	(2ull      \
	 << 56) /* map it; when it has been answered, read until all is zero, and answer PIECE_GONE */
#define PIECE_RETURN (3ull << 56) /* unmap */
#define PIECE_RESET  (4ull << 56) /* begin anew, with what is mapped */
#define PIECE_END    (5ull << 56)
#define PIECE_GRANT  ((1ull << 56) - 1)
#define PIECE_GONE   (1ull << 61)
#define PIECE_DONE   (1ull << 62)
#define PIECE_FAILED (1ull << 63)

#define PIECE_PAGES 512u

static inline uint64_t pattern(uint64_t grant, uint64_t word)
{
	return grant * 0x9e3779b97f4a7c15ull ^ word << 20 ^ ~word;
}
