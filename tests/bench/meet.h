/* Where two VMs of a benchmark begin: the word that the other side has published, once it is not 0. */
#pragma once

#include <weir/event.h>
#include "guests/lib/guest.h"

static inline uint64_t meet(weir_handle peer)
{
	uint64_t word = 0;

	while (weir_port_peer(peer, &word, NULL) == WEIR_OK && !word)
		event_wait(peer, TASK_FOREVER);
	return word;
}
