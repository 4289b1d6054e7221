/* What event.c publishes on the channel `control`; event_peer.c publishes it back with DONE, once. */
#pragma once

#define COMMAND_NOTHING	 1ull
#define COMMAND_FLOOD	 2ull /* send on spread0..3 in order, many times */
#define COMMAND_INVERT	 3ull /* publish on spread1 the inverse of what is published there */
#define COMMAND_END	 4ull /* power off */
#define COMMAND_DONE	 0x100ull
#define COMMAND_ROUND	 0x1000ull /* as often as there were commands before: no two are equal */
#define COMMAND_OF(word) ((word)&0xff)
