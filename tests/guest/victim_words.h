/*
 * What an attacker and its victims say to each other, on the channel that joins them. An attacker
 * that dies and comes back forgets everything; the victim remembers for it which life it is in.
 */
#pragma once

#include <stdint.h>

/* From the attacker. Anything else means that it is at work. */
#define WORD_HELLO 0x68656c6c6f000001ull /* I have just started: which life is it? */
#define WORD_DONE  0x646f6e6500000002ull /* that was all */

/* From the victim: the number of the life, from 1 on, here. */
#define WORD_LIFE      0x6c69666500000000ull
#define WORD_LIFE_MASK 0xffffffff00000000ull
