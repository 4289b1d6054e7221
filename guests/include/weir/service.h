/*
 * Services: one VM offers something under a name, others connect by that name. Each side is one call.
 *
 * It is done with the store (store.h) and with ports (event.h) alone. The service is a node below its VM's
 * home, that others may add to, and that its VM watches. Who wants it opens a port for that VM and adds
 * a node, which says the port's handle and up to WEIR_SERVICE_DATA_MAX bytes for the service. The
 * service finds it and connects to the port: from then on the two have a port each, joined, which are
 * theirs until either closes it or ends.
 *
 * Both sides hear of each other by events: a VM opens one port of kind WEIR_PORT_STORE; whenever there is an
 * event on it, it calls weir_service_drain() and then looks after all that it offers and all that it
 * wants: weir_service_accept() until WEIR_NOT_FOUND, weir_service_connect() once for each; and does all that again
 * if the former said false. A VM that does something else with watches takes them by weir_store_watch_next() itself.
 * When a port of a connection has an event, and weir_port_peer() says that the peer is not open, the connection is over.
 *
 * Coming and going. Who connects may be there before the service: it is told when the service comes.
 * If either VM ends, what it had in the store goes, and its ports close. Who connects calls again, and has a new
 * connection as soon as the service is there again; a VM that starts again offers and connects as at first.
 * A service that has enough of a peer, or is told that its port has closed, dismisses it.
 *
 * Struct weir_offer and struct weir_service_link are zero at first. Each is used by one task at a time. No function
 * waits, and none is to be called from a handler that may interrupt another one on its vCPU.
 * Tests: tests/host/test_service.c, tests/guest/store.c. Since ABI 1.
 */
#pragma once

#include <weir/store.h>

/* Beside the handle of the port. */
#define WEIR_SERVICE_DATA_MAX (WEIR_STORE_VALUE_MAX - 8u)

struct weir_offer {
	weir_handle node; /* watched; its value is the service's to write */
	uint64_t at;	  /* how far the search for peers has come */
};

/* Somebody who has connected. */
struct weir_service_peer {
	weir_handle port; /* joined to the peer's */
	weir_handle vm;
	weir_handle node; /* the peer's, below the service's */
	uint32_t bytes;
	uint8_t data[WEIR_SERVICE_DATA_MAX];
};

/* The other side: a connection that is, or shall be. */
struct weir_service_link {
	weir_handle
		port; /* 0: none; joined to the service's, when weir_service_connect() says WEIR_OK */
	weir_handle vm;	  /* of the service */
	weir_handle node; /* its own, below the service's */
	bool joined;
};

/*
 * There was an event on the VM's port of kind WEIR_PORT_STORE: the next one comes with the next change. False: there
 * may be more than `most`, and no event comes before all are taken: who goes on changing things may keep it so.
 */
static inline bool weir_service_drain(uint32_t most)
{
	weir_handle node;
	bool gone;

	while (most--)
		if (weir_store_watch_next(&node, &gone) != WEIR_OK)
			return true;
	return false;
}

/* ---- Who offers --------------------------------------------------------------------------------- */

/*
 * `name` is one of store.h; `who` a mask of VMs: WEIR_STORE_ALL.
 * errors: those of WEIR_FN_STORE_MAKE and WEIR_FN_STORE_WATCH; WEIR_BUSY: the VM offers it already.
 */
static inline enum weir_status weir_service_offer(const struct weir_pages *pages, const char *name,
						  uint64_t who, struct weir_offer *service)
{
	enum weir_status status = weir_store_make(pages, 0, name, who, 0, who, &service->node);

	if (status != WEIR_OK)
		return status;
	service->at = 0;
	status = weir_store_watch(service->node, true);
	if (status != WEIR_OK)
		weir_store_remove_all(pages, service->node);
	return status;
}

/* Connects to the port that a node below the service says. */
static inline enum weir_status weir_service_meet(const struct weir_pages *pages, weir_handle node,
						 struct weir_service_peer *peer)
{
	struct weir_store_value value;
	enum weir_status status = weir_store_read(pages, node, &value);
	weir_handle theirs;

	if (status != WEIR_OK)
		return status;
	if (value.bytes < sizeof(theirs))
		return WEIR_AGAIN; /* it is not written yet */
	__builtin_memcpy(&theirs, value.data, sizeof(theirs));
	status = weir_port_connect_vm(value.owner, theirs, &peer->port);
	peer->vm = value.owner;
	peer->node = node;
	peer->bytes = value.bytes - (uint32_t)sizeof(theirs);
	__builtin_memcpy(peer->data, value.data + sizeof(theirs), peer->bytes);
	return status;
}

/*
 * The next one who has come: connected when it returns.
 * errors: WEIR_NOT_FOUND: there is nobody new. WEIR_QUOTA: the VM has no port left; call again when one was
 *   closed. WEIR_STALE: the service is not offered any more.
 */
static inline enum weir_status weir_service_accept(const struct weir_pages *pages,
						   struct weir_offer *service,
						   struct weir_service_peer *peer)
{
	struct weir_store_child child;
	enum weir_status status;
	bool all;

	do {
		all = service->at == 0;
		while ((status = weir_store_list(pages, service->node, &service->at, &child)) ==
		       WEIR_OK) {
			/* Connected already, or it says nonsense: that is its own affair. */
			status = weir_service_meet(pages, child.node, peer);
			if (status == WEIR_OK)
				return status;
			if (status == WEIR_QUOTA)
				break;
		}
		service->at = 0;
	} while (status == WEIR_NOT_FOUND && !all);
	return status;
}

/* The connection is over: closes its port, and takes the peer's node away. */
static inline void weir_service_dismiss(const struct weir_service_peer *peer)
{
	weir_store_remove(peer->node, 0);
	weir_port_close(peer->port);
}

/* Nobody can connect any more; who is connected stays so. */
static inline enum weir_status weir_service_withdraw(const struct weir_pages *pages,
						     struct weir_offer *service)
{
	return weir_store_remove_all(pages, service->node);
}

/* ---- Who connects ------------------------------------------------------------------------------- */

/* Gives up the connection, and what there is of it. */
static inline void weir_service_leave(struct weir_service_link *link)
{
	if (link->node)
		weir_store_remove(link->node, 0);
	if (link->port)
		weir_port_close(link->port);
	__builtin_memset(link, 0, sizeof(*link));
}

/* The node of "VM/NAME"; the VM's home is watched from then on. WEIR_AGAIN: it is not there yet. */
static inline enum weir_status weir_service_find(const struct weir_pages *pages, const char *path,
						 weir_handle *node)
{
	const char *slash = path;
	char vm[WEIR_NAME_MAX + 1] = "";
	enum weir_status status;
	weir_handle home;

	while (*slash && *slash != '/')
		slash++;
	if (!*slash || slash - path > (int64_t)WEIR_NAME_MAX)
		return WEIR_INVALID;
	__builtin_memcpy(vm, path, (uint64_t)(slash - path));
	status = weir_store_find(pages, WEIR_STORE_ROOT, vm, 0, &home);
	if (status == WEIR_OK)
		status = weir_store_watch(home, true);
	if (status != WEIR_OK)
		return status;
	status = weir_store_find(pages, home, slash + 1, 0, node);
	return status == WEIR_NOT_FOUND ? WEIR_AGAIN : status;
}

/* A name that no other connection of this VM has: the port's handle. */
static inline void weir_service_name(weir_handle port, char name[17])
{
	for (uint32_t i = 0; i < 16; i++)
		name[i] = "0123456789abcdef"[port >> (60 - 4 * i) & 15];
	name[16] = 0;
}

/* Opens a port for the VM of the service and says so below it. */
static inline enum weir_status weir_service_ask(const struct weir_pages *pages, weir_handle node,
						const void *data, uint32_t bytes,
						struct weir_service_link *link)
{
	struct weir_store_value value;
	enum weir_status status = weir_store_read(pages, node, &value);
	char name[17];

	if (status == WEIR_OK)
		status = weir_port_open_vm(value.owner, &link->port);
	if (status != WEIR_OK)
		return status;
	link->vm = value.owner;
	weir_service_name(link->port, name);
	status = weir_store_make(pages, node, name, 0, 0, 0, &link->node);
	if (status != WEIR_OK)
		return status;
	__builtin_memcpy(value.data, &link->port, sizeof(link->port));
	if (bytes)
		__builtin_memcpy(value.data + sizeof(link->port), data, bytes);
	return weir_store_write(pages, link->node, value.data, bytes + (uint32_t)sizeof(link->port),
				0, 0);
}

/* Is the connection that was asked for still to come, or over? */
static inline enum weir_status weir_service_check(const struct weir_pages *pages,
						  struct weir_service_link *link)
{
	struct weir_store_value value;
	bool open = false;

	if (weir_port_peer(link->port, 0, &open) == WEIR_OK && open) {
		link->joined = true;
		return WEIR_OK;
	}
	/* Its node is gone with the service, or because it was dismissed. */
	if (!link->joined && weir_store_read(pages, link->node, &value) == WEIR_OK)
		return WEIR_AGAIN;
	weir_service_leave(link);
	return WEIR_CLOSED;
}

/*
 * Connects to a service, or looks how far that has come: to be called at first, and after each event on the
 * port of the store and on that of the connection. `path` is "VM/NAME", by the VM's name in the manifest; `data`
 * is for the service.
 * WEIR_OK: it is connected: link->port is joined.
 * WEIR_AGAIN: not yet; there will be an event.
 * WEIR_CLOSED: there was a connection, or it was asked for, and it is over; what there was of it is gone. The next
 *   call begins anew.
 * errors: WEIR_INVALID: `path` or `bytes`. WEIR_NOT_FOUND: this VM may not talk to such a VM, and never will.
 *   WEIR_DENIED: the service is not for this VM. WEIR_QUOTA: the VM has no port, node, byte or watch left for
 *   it.
 */
static inline enum weir_status weir_service_connect(const struct weir_pages *pages,
						    const char *path, const void *data,
						    uint32_t bytes, struct weir_service_link *link)
{
	enum weir_status status;
	weir_handle node;

	if (bytes > WEIR_SERVICE_DATA_MAX)
		return WEIR_INVALID;
	if (link->port)
		return weir_service_check(pages, link);
	status = weir_service_find(pages, path, &node);
	if (status != WEIR_OK)
		return status;
	status = weir_service_ask(pages, node, data, bytes, link);
	if (status == WEIR_OK)
		return WEIR_AGAIN;
	weir_service_leave(link);
	/* It has gone meanwhile: that is an event. */
	return status == WEIR_STALE || status == WEIR_CLOSED ? WEIR_AGAIN : status;
}
