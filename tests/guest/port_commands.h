/*
 * What port.c tells port_peer.c: on `control` the handle of a port to connect to, or PORT_END; on that port
 * a word, which comes back plus one, or PORT_CLOSE. PORT_FLOOD: many sends first.
 */
#pragma once

#define PORT_END   1ull
#define PORT_CLOSE (1ull << 32)
#define PORT_FLOOD (1ull << 33)
#define FLOOD	   500u
