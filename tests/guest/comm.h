/* Between comm.c, comm_peer.c and comm_mortal.c: what is published on their channels. */
#pragma once

#define PEER_END      1ull
#define MORTAL_BEGIN  1ull
#define MORTAL_ENOUGH 2ull
