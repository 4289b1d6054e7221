/*
 * What reader and writer of the main job agree on. Source and copy each have a header sector, then
 * the file's bytes from the next sector on (configs/README.md).
 *
 * The channel "file" joins the two. Each publishes the grant of its ring pages there. The reader
 * sends the file as records CARRY_DATA, all but the last of whole sectors, then CARRY_END. The
 * writer releases CARRY_END when the copy is on its disk, header and all; the reader publishes
 * CARRY_SEEN when it knows that, and only then may the writer, and with it the ring, go away.
 */
#pragma once

#include <guest.h>
#include <weir/ring.h>

#define CARRY_CHANNEL "file"
#define CARRY_MAGIC   "WEIRFILE"

enum carry_tag {
	CARRY_DATA = 1,
	CARRY_END = 2, /* content: struct carry_end */
};

#define CARRY_SEEN 1ull /* no grant's handle */

struct carry_header {
	char magic[8];
	uint64_t bytes;
	uint8_t zero[WEIR_SECTOR_SIZE - 16];
};

struct carry_end {
	uint64_t bytes;
};

/* Requests in flight, each with a buffer of its own. */
#define CARRY_SLOTS 8u

/* One line, and the end of this VM; the copy has no header then. */
__attribute__((noreturn)) static inline void carry_fail(const char *what, enum weir_status status)
{
	printf("failed: %s: %s\n", what, status_text(status));
	power_off();
}

static inline void carry_check(enum weir_status status, const char *what)
{
	if (status != WEIR_OK)
		carry_fail(what, status);
}

static inline void *carry_pages(uint64_t bytes)
{
	void *pages = memory_pages((bytes + PAGE_SIZE - 1) / PAGE_SIZE);

	if (!pages)
		carry_fail("the VM has too little memory", WEIR_QUOTA);
	return pages;
}

/* The word that the peer has published, once it is not 0. */
static inline uint64_t carry_wait_for_peer(weir_handle port)
{
	uint64_t word = 0;
	bool open = true;

	for (;;) {
		carry_check(weir_port_peer(port, &word, &open), "look at the channel");
		if (word || !open)
			break;
		event_wait(port, TASK_FOREVER);
	}
	carry_check(open ? WEIR_OK : WEIR_CLOSED, "meet the peer");
	return word;
}

/* Sleeps until the peer kicks. */
static inline void carry_sleep(weir_handle port)
{
	bool open = false;

	event_wait(port, TASK_FOREVER);
	carry_check(weir_port_peer(port, NULL, &open), "look at the channel");
	carry_check(open ? WEIR_OK : WEIR_CLOSED, "the peer has gone");
}

static inline void carry_kick(weir_handle port, bool needed)
{
	if (needed)
		carry_check(weir_event_send(port), "send an event");
}
