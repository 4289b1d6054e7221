/* Between comm.c, comm_peer.c and comm_mortal.c, and comm_honest.c and comm_flood.c: what they publish. */
#pragma once

#define PEER_END      1ull
#define MORTAL_BEGIN  1ull
#define MORTAL_ENOUGH 2ull
#define FLOOD_BEGIN   1ull
#define FLOOD_END     2ull
