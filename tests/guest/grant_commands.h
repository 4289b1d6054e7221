/*
 * What grant.c publishes on the channel `control`, and grant_peer.c's answers. Grants are published
 * on the channel `grants` before the command that is about them.
 */
#pragma once

#include <stdint.h>

#define COMMAND(round, what) ((uint64_t)(round) << 8 | (what)) /* no two are equal */
#define COMMAND_OF(word)     ((word)&0xff)
#define COMMAND_DONE	     (1ull << 63)
#define COMMAND_FAILED	     (1ull << 62)

#define MAP	  1u /* map it; the pages must show pattern() */
#define WRITE	  2u /* write the inverse of the pattern into all pages */
#define READ_ONLY 3u /* writing must abort, and change nothing */
#define UNMAP	  4u /* and then reading must abort */
#define REVOKED	  5u /* all pages must read as zero, and be this VM's own to write */
#define READ_ON	  6u /* after the answer, read all pages until they are zero: none may abort */
#define END	  7u

static inline uint64_t pattern(uint64_t page, uint64_t word)
{
	return page * 0x9e3779b97f4a7c15ull ^ word << 32 ^ ~word;
}
