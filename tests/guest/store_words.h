/* What store.c and store_server.c publish to each other. */
#pragma once

#define FIRST 7u	  /* what the service publishes first: the byte that its peer has said */
#define LAST  0xffffffffu /* the service powers off */
