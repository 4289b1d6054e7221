/*
 * Offers "echo", and answers each word that a peer publishes by the next one. store.c restarts it time and again; it
 * reports nothing itself, and powers off when a peer publishes LAST.
 */
#include <guest.h>
#include <weir/service.h>
#include "tests/guest/store_words.h"

#define PEERS 8u

static weir_handle changes;
static struct weir_offer service;
static struct weir_service_peer peers[PEERS];

static void accept_all(void)
{
	for (uint32_t i = 0; i < PEERS; i++)
		while (!peers[i].port &&
		       weir_service_accept(weir_here(), &service, &peers[i]) == WEIR_OK)
			weir_port_publish(peers[i].port, peers[i].data[0]); /* the first answer */
}

/* False: it is time to end. */
static bool answer(struct weir_service_peer *peer)
{
	uint64_t word = 0;
	bool open = false;

	if (weir_port_peer(peer->port, &word, &open) != WEIR_OK || !open) {
		weir_service_dismiss(peer);
		peer->port = 0;
	} else if (word == LAST) {
		return false;
	} else if (word) {
		weir_port_publish(peer->port, word + 1);
	}
	return true;
}

int main(void)
{
	if (weir_port_open_store(&changes) != WEIR_OK ||
	    weir_service_offer(weir_here(), "echo", WEIR_STORE_ALL, &service) != WEIR_OK)
		return 1;
	while (true) {
		weir_handle ports[PEERS + 1] = { changes };
		uint32_t count = 1, which;

		while (!weir_service_drain(64))
			;
		accept_all();
		for (uint32_t i = 0; i < PEERS; i++)
			if (peers[i].port && !answer(&peers[i]))
				return 0;
		for (uint32_t i = 0; i < PEERS; i++)
			if (peers[i].port)
				ports[count++] = peers[i].port;
		event_wait_any(ports, count, TASK_FOREVER, &which);
	}
}
