/* What a port tells of its peer: the word that it published last, and whether it is there. */
#pragma once

#include <stddef.h>
#include <weir/event.h>

static inline uint64_t word_of(weir_handle port)
{
	uint64_t word = 0;

	weir_port_peer(port, &word, NULL);
	return word;
}

static inline bool is_open(weir_handle port)
{
	bool open = false;

	weir_port_peer(port, NULL, &open);
	return open;
}
