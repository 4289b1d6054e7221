/*
 * What port.c tells port_peer.c: on `control` the handle of a port to connect to, or PORT_END; on that port
 * a word, which comes back plus one, or PORT_CLOSE. PORT_FLOOD: many sends first. PORT_MAP and a grant: it is
 * mapped first, at MAP_PAGE, and its first word counted up; it stays there until the port is closed.
 */
#pragma once

#define PORT_END   1ull
#define PORT_CLOSE (1ull << 32)
#define PORT_FLOOD (1ull << 33)
#define PORT_MAP   (1ull << 62)
#define MAP_PAGE   3u
#define FLOOD	   500u
