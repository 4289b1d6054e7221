/*
 * What restart_peer.c publishes on the channel `control`, and restart.c's answers. A grant and the
 * seed go over the channels of these names, before the word that is about them.
 */
#pragma once

#include <stdint.h>

#define COMMAND(life, what) ((uint64_t)(life) << 8 | (what)) /* lives count from 1 */
#define COMMAND_OF(word)    ((word)&0xff)
#define COMMAND_LIFE(word)  ((word) >> 8 & 0xff)
#define FAILED		    (1ull << 63) /* with the line in bits 31:16 */
#define FAILED_AT(line)	    (FAILED | (uint64_t)(line) << 16)

/* From the peer. */
#define BEGIN 1u /* `grants` is a page with its pattern */
#define DIE   2u /* the page that was shared has the peer's answer; end this life */
#define END   3u /* there is no next life: power off */
/* To the peer. */
#define SHARED 4u /* `grants` is a page with the pattern of this life; `seed` is the tree's */
#define DYING  5u

static inline uint64_t pattern(uint64_t life, uint64_t word)
{
	return life * 0x9e3779b97f4a7c15ull ^ word << 32 ^ ~word;
}
