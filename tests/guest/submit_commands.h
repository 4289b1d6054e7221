/* What submit.c asks of submit_peer.c: the word that it publishes. The peer's answer is a grant, or what it says. */
#pragma once

enum {
	PEER_SHARE = 1, /* two pages to write in, filled with PEER_WORD; then to read only */
	PEER_SHARE_READ = 2,
	PEER_LOOK = 3,	 /* says the first word of the second page */
	PEER_REVOKE = 4, /* says 1 */
	PEER_LEAVE = 5,
};

#define PEER_PAGES 2u
#define PEER_WORD  0x7065657270656572ull
#define PEER_SAYS  (1ull << 63) /* with what it says */
